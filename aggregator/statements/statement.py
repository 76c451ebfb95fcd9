"""A signed statement and how the log holds it (docs/spec/statement.cddl). Pure.

    [1, 2, "time", h'0b5e…', 1721001600, 1721088000, 2500, h'77a0…']

The log has it, signature and all, as the reason of an entry about somebody's standing, which stays as it was:
"statement 0oRDoQEn…". So every ledger ever founded can hold it, and who replays the log can check who signed.
"""

import base64
import binascii
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from commonwatt import cbor, cose
from commonwatt.errors import FormatError
from commonwatt.identity import ID_SIZE, SigningKey
from ledger.book import fields
from ledger.book.body import SetStatus

VERSION = 1
KIND = "statement"
SIZE_MAX = 180
SIGNED_SIZE_MAX = 2 * SIZE_MAX
WHAT_MAX = 16
PREFIX = "statement "
NO_DIGEST = bytes(32)
EVERYBODY = bytes(ID_SIZE)
"""The subject of a request to all feeders."""

PEAK, SURPLUS = "peak", "surplus"


class Topic(IntEnum):
    """What is stated."""

    REQUEST = 1
    """The operator asks to use less in a `peak`, or more in a `surplus`, between the times; `subject`: a feeder."""
    VALUE = 2
    """Somebody gave `number` thousandths of a unit of `what` between the times; `subject`: the account it is for;
    `digest`: of its papers."""
    PART = 3
    """A site takes part in savings from `start_s` on (`join`), or no more (`leave`); `subject`: the site."""
    CORRECTION = 4
    """Of what was settled of a device between the times only `number` Wh are true; `subject`: the device; `digest`:
    of the reason's papers."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What is said. `what`: at most 16 characters; the meaning of the fields depends on the topic."""

    topic: Topic
    what: str
    subject: bytes
    start_s: int
    end_s: int
    number: int = 0
    digest: bytes = NO_DIGEST

    def encode(self) -> bytes:
        """What is signed."""
        times = [self.start_s, self.end_s]
        return cbor.encode([VERSION, int(self.topic), self.what, self.subject, *times, self.number, self.digest])

    @classmethod
    def parse(cls, data: bytes) -> "Statement":
        """Read a payload strictly; FormatError "too-large", "malformed" or "not-canonical"."""
        value: Any = cbor.decode(data, size_max=SIZE_MAX)
        version, topic, what, subject, start_s, end_s, number, digest = fields.array(value, 8, "a statement")
        fields.uint(version, "version", least=VERSION, most=VERSION)
        start_s = fields.uint(start_s, "start_s")
        return cls(
            Topic(fields.uint(topic, "topic", least=1, most=len(Topic))),
            fields.text(what, "what", bytes_max=WHAT_MAX),
            fields.octets(subject, ID_SIZE, "subject"),
            start_s,
            fields.uint(end_s, "end_s", least=start_s + 1),
            fields.uint(number, "number"),
            fields.digest(digest, "digest"),
        )

    def sign(self, key: SigningKey, genesis: bytes) -> bytes:
        """The signed bytes, as they are handed in."""
        return cose.sign1(self.encode(), key, cose.external_aad(KIND, genesis))


def reason_of(signed: bytes) -> str:
    """The reason of the entry that holds a signed statement."""
    return PREFIX + base64.urlsafe_b64encode(signed).rstrip(b"=").decode()


@dataclass(frozen=True, slots=True)
class Signed:
    """A statement as an entry about `about` holds it, not yet verified."""

    about: bytes
    statement: Statement
    message: cose.Sign1

    def is_by(self, public_key: bytes, genesis: bytes) -> bool:
        """Whether this key signed it for this commune."""
        return self.message.is_signed_by(public_key, cose.external_aad(KIND, genesis))


def parse_signed(data: bytes, about: bytes) -> Signed:
    """A signed statement from its bytes; FormatError "too-large", "malformed" or "not-canonical"."""
    message = cose.parse1(data, size_max=SIGNED_SIZE_MAX)
    return Signed(about, Statement.parse(message.payload), message)


def read(status: SetStatus) -> Signed | None:
    """The statement that an entry holds, or None."""
    data = signed_bytes(status)
    try:
        return None if data is None else parse_signed(data, status.id)
    except FormatError:
        return None


def signed_bytes(status: SetStatus) -> bytes | None:
    """What an entry holds as somebody signed it, not looked into; None if it holds nothing of the kind."""
    if not status.reason.startswith(PREFIX):
        return None
    text = status.reason.removeprefix(PREFIX)
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (ValueError, binascii.Error):
        return None
    return data if base64.urlsafe_b64encode(data).rstrip(b"=").decode() == text else None
