"""What a verifier pins beforehand: the log's key, the constitution and the witnesses' quorum. `constitution.toml`:

    log_vkey = "solville.example/log+05a1b2c3+AQ…"
    genesis = "d28443a10127…"                       # the signed genesis entry, hex
    witnesses = '''…'''                             # a C2SP tlog-policy, if witnesses cosign

    [[changes]]                                     # what became of the role keys since, in the order of the log
    place = 812
    entry = "d28443a10127…"

Get it from the commune on paper, at the counter or from several people: whoever can change it can make you believe.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from commonwatt import settings
from commonwatt.errors import FormatError, UserError
from commonwatt.i18n import _
from commonwatt.identity import key_hint
from ledger.book import constitution, entry
from ledger.book.body import AdmitRole, Rotate, SetStatus
from ledger.book.constitution import Constitution
from ledger.book.entry import SignedEntry
from ledger.book.genesis import Genesis
from ledger.book.kinds import Subject
from ledger.book.mint import is_leaf
from ledger.book.refusals import REFUSAL_BY_REASON, Refusal
from ledger.log import note
from ledger.log.note import Verifier
from ledger.witness import policy as tlog_policy
from ledger.witness.policy import TlogPolicy

FILE = "constitution.toml"


class Change(settings.Settings):
    """An entry that gave, took or rotated a role's key."""

    place: int = Field(
        ge=1, strict=True, description="where it stands in the log: what is before it, the old key signs"
    )
    entry: str = Field(
        pattern=r"^([0-9a-f]{2})+$", description="the signed entry, hex; its own signatures are checked"
    )


class TrustFile(settings.Settings):
    """The file as written."""

    log_vkey: str = Field(description="the log's public key: everything else hangs on it")
    genesis: str = Field(pattern=r"^([0-9a-f]{2})+$", description="who holds which role, and what needs how many")
    witnesses: str = Field(default="", description="how many witnesses must have seen a checkpoint; empty: none")
    changes: tuple[Change, ...] = Field(
        default=(), description="what became of the role keys since the genesis entry"
    )

    def encode(self) -> str:
        """TOML."""
        text = f'log_vkey = "{self.log_vkey}"\ngenesis = "{self.genesis}"\n'
        text += f"witnesses = '''\n{self.witnesses}'''\n" if self.witnesses else ""
        tables = [f'\n[[changes]]\nplace = {row.place}\nentry = "{row.entry}"\n' for row in self.changes]
        return text + "".join(tables)


@dataclass(frozen=True, slots=True)
class Trust:
    """What is believed without proof. `later`: the constitution from a place on, ascending, as role keys changed."""

    log: Verifier
    constitution: Constitution
    policy: TlogPolicy
    later: tuple[tuple[int, Constitution], ...] = ()

    def at(self, place: int) -> Constitution:
        """The constitution that entries at a place are signed under."""
        return self._until(place)[-1]

    def check_before(self, place: int, signed: SignedEntry) -> Refusal | None:
        """Whether an entry from before a place satisfied the constitution as it was once; if not, why now."""
        refusals = [founded.check_quorum(signed) for founded in self._until(place)]
        return None if None in refusals else refusals[-1]

    def is_recovered_before(self, place: int, signed: SignedEntry, body: Rotate) -> bool:
        """Whether roles gave a new key somewhere before a place."""
        others = tuple(row for row in signed.approvals if row.kid != key_hint(body.public_key))
        return any(founded.check_recovery(signed, others) is None for founded in self._until(place))

    def _until(self, place: int) -> list[Constitution]:
        return [self.constitution, *(founded for since, founded in self.later if since < place)]


def load(path: Path) -> Trust:
    """Read constitution.toml, also in a directory; UserError says what is wrong with it."""
    path = path / FILE if path.is_dir() else path
    file = settings.load(TrustFile, path)
    try:
        log = note.parse_vkey(file.log_vkey)
        policy = tlog_policy.parse(file.witnesses) if file.witnesses else TlogPolicy()
        founded = found(bytes.fromhex(file.genesis))
    except FormatError as error:
        raise UserError(str(error), where=path) from error
    if founded.genesis.origin != log.name:
        raise UserError(_("the genesis entry founds another log than the key's"), where=path)
    return Trust(log, founded, policy, tuple(_follow(founded, file.changes, path)))


def changes_of(entries: Iterable[bytes], first: int = 0) -> Iterator[Change]:
    """The entries of a log, from place `first` on, that are about the keys of roles."""
    for place, data in enumerate(entries, first):
        parsed = entry.parse(data) if data and not is_leaf(data) else None
        body = parsed.entry.body if isinstance(parsed, SignedEntry) else None
        if isinstance(body, AdmitRole | SetStatus | Rotate) and body.subject is Subject.ROLE:
            yield Change(place=place, entry=data.hex())


def _follow(founded: Constitution, changes: Iterable[Change], path: Path) -> Iterator[tuple[int, Constitution]]:
    """Every change in its turn, signed under the constitution before it."""
    last = 0
    for change in changes:
        founded = founded.copy()
        refusal = _carry_out(founded, bytes.fromhex(change.entry)) if change.place > last else Refusal.MISPLACED
        if refusal is not None:
            why = _("the change at place {place} is refused: {why}").format(place=change.place, why=refusal.label)
            raise UserError(why, where=path)
        last = change.place
        yield last, founded


def _carry_out(founded: Constitution, data: bytes) -> Refusal | None:
    try:
        parsed = entry.parse(data)
    except FormatError as error:
        return REFUSAL_BY_REASON[error.reason]
    body = parsed.entry.body if isinstance(parsed, SignedEntry) else None
    if not isinstance(parsed, SignedEntry) or not isinstance(body, AdmitRole | SetStatus | Rotate):
        return Refusal.MISPLACED
    refusal = Refusal.MISPLACED if body.subject is not Subject.ROLE else founded.check_entry(parsed)
    if refusal is None:
        founded.follow(body)
    return refusal


def found(genesis: bytes) -> Constitution:
    """The constitution in a signed genesis entry; FormatError if it is none that its own steward signed."""
    parsed = entry.parse(genesis)
    if not isinstance(parsed, SignedEntry) or not isinstance(parsed.entry.body, Genesis):
        raise FormatError("malformed", "not a genesis entry")
    founded = constitution.found(parsed, parsed.entry.body, entry.sha256(genesis))
    if isinstance(founded, Refusal):
        raise FormatError(founded.label, "the genesis entry is refused")
    return founded
