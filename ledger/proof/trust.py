"""What a verifier pins beforehand: the log's key, the constitution and the witnesses' quorum. `constitution.toml`:

    log_vkey = "solville.example/log+05a1b2c3+AQ…"
    genesis = "d28443a10127…"                       # the signed genesis entry, hex
    witnesses = '''…'''                             # a C2SP tlog-policy, if witnesses cosign

Get it from the commune on paper, at the counter or from several people: whoever can change it can make you believe.
"""

from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from commonwatt import settings
from commonwatt.errors import FormatError, UserError
from commonwatt.i18n import _
from ledger.book import constitution, entry
from ledger.book.constitution import Constitution
from ledger.book.entry import SignedEntry
from ledger.book.genesis import Genesis
from ledger.book.refusals import Refusal
from ledger.log import note
from ledger.log.note import Verifier
from ledger.witness import policy as tlog_policy
from ledger.witness.policy import TlogPolicy

FILE = "constitution.toml"


class TrustFile(settings.Settings):
    """The file as written."""

    log_vkey: str = Field(description="the log's public key: everything else hangs on it")
    genesis: str = Field(pattern=r"^([0-9a-f]{2})+$", description="who holds which role, and what needs how many")
    witnesses: str = Field(default="", description="how many witnesses must have seen a checkpoint; empty: none")

    def encode(self) -> str:
        """TOML."""
        text = f'log_vkey = "{self.log_vkey}"\ngenesis = "{self.genesis}"\n'
        return text + (f"witnesses = '''\n{self.witnesses}'''\n" if self.witnesses else "")


@dataclass(frozen=True, slots=True)
class Trust:
    """What is believed without proof."""

    log: Verifier
    constitution: Constitution
    policy: TlogPolicy


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
    return Trust(log, founded, policy)


def found(genesis: bytes) -> Constitution:
    """The constitution in a signed genesis entry; FormatError if it is none that its own steward signed."""
    parsed = entry.parse(genesis)
    if not isinstance(parsed, SignedEntry) or not isinstance(parsed.entry.body, Genesis):
        raise FormatError("malformed", "not a genesis entry")
    founded = constitution.found(parsed, parsed.entry.body, entry.sha256(genesis))
    if isinstance(founded, Refusal):
        raise FormatError(founded.label, "the genesis entry is refused")
    return founded
