"""Signed statements in the log (docs/spec/statement.cddl): requests of the operator, declared values, taking part,
corrections."""

import base64
import binascii
import hashlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from commonwatt.demo.judge.book import Book
from commonwatt.demo.judge.signatures import Signed, UnreadableError, read_cbor, read_signed

REQUEST, VALUE, PART, CORRECTION = 1, 2, 3, 4
REVERSAL = 16  # kind of entry: its quorum corrects too
PREFIX = "statement "
SIZE_MAX = 180
EVERYBODY = bytes(16)
REQUEST_S_MAX = 12 * 3600
DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Statement:
    """What somebody signed: `who` is a role's name or the account of a wallet; `sha256` is of what was signed."""

    index: int
    time_s: int
    who: bytes
    topic: int
    what: str
    subject: bytes
    start_s: int
    end_s: int
    number: int
    sha256: bytes


@dataclass(frozen=True, slots=True)
class Part:
    """A site takes part in savings from a local midnight on, until another."""

    site: bytes
    from_s: int
    until_s: int | None


def statements(book: Book) -> list[Statement]:
    """Every statement of the log that was signed by somebody who might say such a thing there."""
    found = (_read(book, *reason) for reason in book.reasons)
    return [statement for statement in found if statement is not None]


def _read(book: Book, index: int, time_s: int, about: bytes, reason: str) -> Statement | None:
    if not reason.startswith(PREFIX):
        return None
    text = reason.removeprefix(PREFIX)
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        signed = read_signed(data)
        value: Any = read_cbor(signed.payload)
        version, topic, what, subject, start_s, end_s, number, digest = value
    except (UnreadableError, ValueError, TypeError, binascii.Error):
        return None
    is_spelled = base64.urlsafe_b64encode(data).decode().rstrip("=") == text and len(signed.payload) <= SIZE_MAX
    is_sound = version == 1 and topic in (REQUEST, VALUE, PART, CORRECTION) and 0 <= start_s < end_s and number >= 0
    who = _signer(book, index, signed, topic)
    is_placed = topic in (REQUEST, CORRECTION) or about == subject
    if who is None or not (is_spelled and is_sound and is_placed and len(subject) == 16 and len(digest) == 32):
        return None
    sha256 = hashlib.sha256(signed.payload).digest()
    return Statement(index, time_s, who, topic, what, subject, start_s, end_s, number, sha256)


def _signer(book: Book, index: int, signed: Signed, topic: int) -> bytes | None:
    """Requests are the operator's, corrections are of those who may reverse; anything else is said by active wallets,
    the steward or the town hall: as their keys were for the entry at `index`."""
    roles = ["operator"] if topic == REQUEST else ["steward", "townhall"]
    if topic == CORRECTION:
        roles = book.quorums.get(REVERSAL, ([], 0))[0]
    may = [*roles, ""] if topic in (VALUE, PART) else roles
    for term in book.terms_at(index):
        if term.role in may and signed.is_by(term.public_key, "statement", book.genesis_sha256):
            return term.role.encode() or term.who
    return None


def requests(said: Iterable[Statement]) -> list[Statement]:
    """Sound requests: a peak or a surplus, in quarter hours, for twelve hours at most."""
    return [
        row
        for row in said
        if (row.topic == REQUEST and row.what in ("peak", "surplus"))
        and (row.start_s % 900 == 0 and row.end_s % 900 == 0 and row.end_s - row.start_s <= REQUEST_S_MAX)
    ]


def concerns(request: Statement, feeder: bytes | None) -> bool:
    """Whether a site on that feeder was asked."""
    return request.subject in (EVERYBODY, feeder)


def confirmed(said: Iterable[Statement]) -> list[tuple[Statement, Statement]]:
    """Values by their first statement and the first by another than the declarer and whom it is for."""
    first: dict[bytes, Statement] = {}
    found: dict[bytes, tuple[Statement, Statement]] = {}
    for row in said:
        if row.topic == VALUE:
            declared = first.setdefault(row.sha256, row)
            if row.sha256 not in found and row.who not in (declared.who, row.subject):
                found[row.sha256] = (declared, row)
    return list(found.values())


def corrections(book: Book) -> list[Statement]:
    """Each as the statement by which as many roles have said the same as reverse a payment, in that order."""
    _roles, needed = book.quorums.get(REVERSAL, ([], 1))
    signed: dict[bytes, set[bytes]] = defaultdict(set)
    complete: list[Statement] = []
    for row in statements(book):
        if row.topic == CORRECTION and not row.what and row.start_s % 900 == 0 and row.end_s % 900 == 0:
            before = len(signed[row.sha256])
            signed[row.sha256].add(row.who)
            if before < needed <= len(signed[row.sha256]):
                complete.append(row)
    return complete


def parts(said: Iterable[Statement], members: dict[bytes, bytes]) -> list[Part]:
    """Who takes part when: the steward or the site's holder says so, not later than a day after it began."""
    found: list[Part] = []
    open_at: dict[bytes, int] = {}
    for row in said:
        may = row.who in (b"steward", members.get(row.subject))
        if row.topic != PART or not may or row.start_s < row.time_s - DAY_S:
            continue
        if row.what == "join" and row.subject not in open_at:
            open_at[row.subject] = len(found)
            found.append(Part(row.subject, row.start_s, None))
        if row.what == "leave" and row.subject in open_at:
            at = open_at.pop(row.subject)
            found[at] = Part(row.subject, found[at].from_s, row.start_s)
    return found
