"""C2SP tlog-policy (https://c2sp.org/tlog-policy): which logs and witnesses count, and how many are enough.

log solville.example/log+05a1…+AQ…
witness townhall mairie.example+1f…+BA… https://mairie.example/witness
witness association asso.example+2e…+BA… https://asso.example/witness
witness operator reseau.example+3d…+BA… https://reseau.example/witness
group commune 2 townhall association operator
quorum commune
"""

from collections.abc import Collection
from dataclasses import dataclass, field

from commonwatt.errors import FormatError
from ledger.book.fields import require
from ledger.log import note
from ledger.log.checkpoint import Checkpoint, open_checkpoint
from ledger.log.note import Note, Verifier
from ledger.witness import cosignature
from ledger.witness.cosignature import Cosigner

FILE = "witnesses.policy"
"""Where a commune keeps it, beside its log."""

SIZE_MAX = 65_536
NONE = "none"


@dataclass(frozen=True, slots=True)
class Witness:
    """One that may cosign: its name in this policy, its key, and where it is asked ("" if only verified)."""

    name: str
    cosigner: Cosigner
    url: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """`k` of these members, witnesses or groups, must have witnessed."""

    name: str
    k: int
    members: tuple[str, ...]


@dataclass(slots=True)
class TlogPolicy:
    """A parsed policy. Groups stand in the order in which they were defined: members first."""

    logs: list[Verifier] = field(default_factory=list)
    witnesses: list[Witness] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    quorum: str = NONE

    @property
    def cosigners(self) -> list[Cosigner]:
        """The keys of all witnesses."""
        return [witness.cosigner for witness in self.witnesses]

    def is_met(self, cosigners: Collection[Cosigner]) -> bool:
        """Whether these witnesses are enough."""
        if self.quorum == NONE:
            return True
        met = {witness.name for witness in self.witnesses if witness.cosigner in cosigners}
        for group in self.groups:
            if sum(member in met for member in group.members) >= group.k:
                met.add(group.name)
        return self.quorum in met


@dataclass(frozen=True, slots=True)
class Witnessed:
    """A checkpoint that meets a policy, and when each witness cosigned it (Unix seconds)."""

    checkpoint: Checkpoint
    note: Note
    times_s: dict[Cosigner, int]


def open_witnessed(data: bytes, log: Verifier, policy: TlogPolicy) -> Witnessed:
    """The checkpoint in a file, if the log signed it and the quorum cosigned it; FormatError otherwise."""
    head, signed = open_checkpoint(data, log)
    found = cosignature.times_s(signed, policy.cosigners)
    if not policy.is_met(found):
        raise FormatError("quorum-not-reached", f"{len(found)} of {len(policy.witnesses)} witnesses cosigned")
    return Witnessed(head, signed, found)


def parse(text: str) -> TlogPolicy:
    """Read a policy strictly; FormatError "too-large" or "malformed" names the line."""
    if len(text) > SIZE_MAX:
        raise FormatError("too-large", f"a policy has at most {SIZE_MAX} characters")
    require(not any((ord(c) < 0x20 and c not in "\t\n") or c == "\x7f" for c in text), "a control character")
    policy, reader = TlogPolicy(), _Reader()
    for number, line in enumerate(text.split("\n"), 1):
        words = line.replace("\t", " ").split(" ")
        words = [word for word in words if word]
        if not words or words[0].startswith("#"):
            continue
        try:
            reader.read(policy, words)
        except FormatError as error:
            raise FormatError("malformed", f"line {number}: {error}") from error
    require(reader.has_quorum, "no quorum line")
    return policy


class _Reader:
    """What has been defined so far, and what is taken."""

    def __init__(self) -> None:
        self.has_quorum = False
        self._defined = {NONE}
        self._used: set[str] = {NONE}
        self._keys: set[tuple[str, bytes]] = set()

    def read(self, policy: TlogPolicy, words: list[str]) -> None:
        """Take one line that is neither empty nor a comment."""
        match words:
            case ["log", vkey, *url] if len(url) < 2:
                log = note.parse_vkey(vkey)
                self._take_key("log", log.public_key)
                policy.logs.append(log)
            case ["witness", name, vkey, *url] if len(url) < 2:
                cosigner = cosignature.parse_vkey(vkey)
                self._take_key("witness", cosigner.public_key)
                self._define(name)
                policy.witnesses.append(Witness(name, cosigner, *url))
            case ["group", name, k, *members] if members:
                policy.groups.append(self._group(name, k, members))
            case ["quorum", name]:
                require(not self.has_quorum, "a second quorum line")
                require(name in self._defined, f"{name} is not defined before it is used")
                self.has_quorum = True
                policy.quorum = name
            case _:
                raise FormatError("malformed", f"not a line of a policy: {words[0]}")

    def _group(self, name: str, k: str, members: list[str]) -> Group:
        number = {"any": "1", "all": str(len(members))}.get(k, k)
        is_number = number.isascii() and number.isdecimal() and not number.startswith("0")
        require(is_number and int(number) <= len(members), f"{k} is not any, all or 1 to {len(members)}")
        for member in members:
            require(member in self._defined and member != NONE, f"{member} is not defined before it is used")
            require(member not in self._used, f"{member} is a member twice")
            self._used.add(member)
        self._define(name)
        return Group(name, int(number), tuple(members))

    def _define(self, name: str) -> None:
        require(name not in self._defined, f"{name} is defined twice")
        self._defined.add(name)

    def _take_key(self, what: str, key: bytes) -> None:
        require((what, key) not in self._keys, f"a second {what} has the same key")
        self._keys.add((what, key))
