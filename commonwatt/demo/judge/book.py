"""The entries of the log, read in order: who is who, what was minted, who paid whom (docs/spec/entry.cddl)."""

import hashlib
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from commonwatt.demo.judge.log import leaf_hash, tree_root
from commonwatt.demo.judge.report import Findings
from commonwatt.demo.judge.signatures import Signed, UnreadableError, encode, read_cbor, read_signed

KINDS = {1: "genesis", 2: "admit", 3: "status", 4: "policy", 6: "mint-run", 7: "transfer", 8: "rotate"}
MINT, ROTATE = 5, 8
MEMBER, MERCHANT, SITE, DEVICE, GATEWAY, ASSOCIATION, WITNESS, ROLE = range(1, 9)
ISSUANCE = bytes(16)
REVOKED = 2  # of a standing


@dataclass(frozen=True, slots=True)
class Device:
    """An admitted device. `role`: 1 main, 2 production, 3 sub-meter. `grade`: 1 signs itself, 2 a gateway signs.
    `index`: of its entry."""

    id: bytes
    site: bytes
    public_key: bytes
    role: int
    rated_power_w: int
    grade: int = 1
    index: int = 0


@dataclass(frozen=True, slots=True)
class Mint:
    """A mint leaf and its place in the log."""

    index: int
    account: bytes
    source: int
    window_start_s: int
    window_end_s: int
    energy_wh: int
    amount_mc: int
    association_mc: int
    lines: int
    lines_root: bytes


@dataclass(frozen=True, slots=True)
class PolicyEntry:
    """A policy, the place of its entry and the time in it."""

    index: int
    time_s: int
    sha256: bytes
    text: str


@dataclass(frozen=True, slots=True)
class Review:
    """What the entry at a place decided of the held span of a device that begins then."""

    index: int
    device: bytes
    start_s: int
    is_granted: bool
    energy_wh: int | None = None  # what a steward found instead of what was held


@dataclass(frozen=True, slots=True)
class Wraps:
    """The entry at a place says that the registers of a device begin at 0 again where they reach `at_wh`."""

    index: int
    device: bytes
    at_wh: int


@dataclass(frozen=True, slots=True)
class Replacement:
    """The entry at a place says that a device came in the place of another at a time."""

    index: int
    device: bytes
    begins_s: int


@dataclass(slots=True)
class Term:
    """A key that counts for entries after the one at `since`, up to the one at `until`; None: it still does. `role`:
    "" for the wallet of an account."""

    who: bytes
    role: str
    public_key: bytes
    since: int
    until: int | None = None


@dataclass(slots=True)
class Book:
    """Everything the entries say, gathered while reading them."""

    genesis_sha256: bytes = b""
    association: bytes = b""
    origin: str = ""
    roles: dict[bytes, tuple[str, bytes]] = field(default_factory=dict)  # by the id of the key: role and present key
    wallets: dict[bytes, bytes] = field(default_factory=dict)  # by account: the present key
    terms: defaultdict[bytes, list[Term]] = field(default_factory=lambda: defaultdict(list))
    quorums: dict[int, tuple[list[str], int]] = field(default_factory=dict)
    site_members: dict[bytes, bytes] = field(default_factory=dict)
    devices: dict[bytes, Device] = field(default_factory=dict)
    policies: list[PolicyEntry] = field(default_factory=list)
    run_policies: list[tuple[int, int, bytes]] = field(default_factory=list)  # window's start and end, SHA-256
    reviews: list[Review] = field(default_factory=list)
    wraps: list[Wraps] = field(default_factory=list)
    replacements: list[Replacement] = field(default_factory=list)
    standing: dict[bytes, int] = field(default_factory=dict)  # 0 active, 1 suspended, 2 revoked
    reasons: list[tuple[int, int, bytes, str]] = field(default_factory=list)  # index, time, about whom, why
    mints: list[Mint] = field(default_factory=list)
    runs: int = 0
    transfers: int = 0
    balances_mc: defaultdict[bytes, int] = field(default_factory=lambda: defaultdict(int))
    transferred_mc: defaultdict[bytes, int] = field(default_factory=lambda: defaultdict(int))

    def role_keys(self, role: str) -> list[bytes]:
        """Those that count now."""
        return [key for who, (name, key) in self.roles.items() if name == role and self.standing.get(who, 0) == 0]

    def key_of(self, who: bytes) -> bytes:
        """The present key of an account or of a role's key; KeyError for anything else."""
        return self.roles[who][1] if who in self.roles else self.wallets[who]

    def note(self, who: bytes, index: int) -> None:
        """The entry at `index` may have changed the key or the standing of an account or a role's key."""
        terms, role = self.terms[who], self.roles.get(who, ("", b""))[0]
        counted = terms[-1].public_key if terms and terms[-1].until is None else None
        counts = self.key_of(who) if self.standing.get(who, 0) == 0 else None
        if counts == counted:
            return
        if counted is not None:
            terms[-1].until = index
        if counts is not None:
            terms.append(Term(who, role, counts, index))

    def terms_at(self, index: int) -> list[Term]:
        """Whose keys counted for the entry there."""
        every = (term for terms in self.terms.values() for term in terms)
        return [term for term in every if term.since < index and (term.until is None or index <= term.until)]

    def post(self, account: bytes, amount_mc: int) -> None:
        """One posting of an entry."""
        self.balances_mc[account] += amount_mc


def read_book(entries: list[bytes], findings: Findings) -> Book:
    """Read and check every entry; what cannot be read or is not rightly signed is a difference."""
    reader = _Reader(entries, findings)
    names = []
    for index, entry in enumerate(entries):
        try:
            names.append(reader.read_signed(index, entry) if entry[:1] == b"\xd2" else reader.read_mint(index, entry))
        except (UnreadableError, ValueError, TypeError, KeyError) as error:
            findings.expect(f"entry {index}", "an entry", f"{type(error).__name__}: {error}")
    findings.expect("entries with an id of their own", len(entries), len(set(names)))
    findings.expect("mint leaves that no mint-run commits to", 0, len(reader.uncommitted))
    findings.expect("sum of all balances", 0, sum(reader.book.balances_mc.values()))
    return reader.book


class _Reader:
    """Reads entries in their order into a book."""

    def __init__(self, entries: list[bytes], findings: Findings) -> None:
        self.book = Book()
        self.uncommitted: dict[int, Mint] = {}
        self._entries = entries
        self._findings = findings
        self._time_s = 0

    def read_mint(self, index: int, entry: bytes) -> bytes:
        """An unsigned leaf; answers its nonce."""
        value: Any = read_cbor(entry)
        version, kind, nonce, *fields = value
        if (version, kind) != (1, MINT):
            raise UnreadableError("an unsigned entry that is no mint")
        mint = Mint(index, *fields)
        self.book.mints.append(mint)
        self.uncommitted[index] = mint
        self.book.post(ISSUANCE, -mint.amount_mc - mint.association_mc)
        self.book.post(mint.account, mint.amount_mc)
        self.book.post(self.book.association, mint.association_mc)
        return bytes(nonce)

    def read_signed(self, index: int, entry: bytes) -> bytes:
        """A signed entry; answers its id."""
        signed = read_signed(entry)
        value: Any = read_cbor(signed.payload)
        version, kind, entry_id, time_s, body, approvals = value
        if version != 1 or (kind == 1) != (index == 0):
            raise UnreadableError("another version, or genesis is not the first entry and the only one")
        if index == 0:
            self.book.genesis_sha256 = hashlib.sha256(entry).digest()
        self._time_s = time_s
        is_remark = KINDS[kind] == "status" and not approvals and self._is_remark(body)
        read = getattr(self, "_read_" + KINDS[kind].replace("-", "_"))
        if index == 0:
            read(index, body)
        statement = hashlib.sha256(encode([version, kind, entry_id, time_s, body])).digest()
        others = [read_signed(row) for row in approvals]
        is_said = is_remark and self._role(signed, "status", ["aggregator"]) is not None
        found = "sufficient" if is_said else self._signers(kind, body, signed, others, statement)
        self._findings.expect(f"entry {index}: signatures of the {KINDS[kind]}", "sufficient", found)
        if index > 0:
            read(index, body)  # after its signatures, which are by the keys of before
        return bytes(entry_id)

    def _signers(self, kind: int, body: Any, signed: Signed, approvals: list[Signed], statement: bytes) -> str:
        """Whether those signed who must: the payer's wallet, a founding steward, the key that is replaced and the one
        that replaces it, or a quorum of roles."""
        name, book = KINDS[kind], self.book
        if name == "transfer":
            return "sufficient" if signed.is_by(book.wallets[body[0]], name, book.genesis_sha256) else "forged"
        if name == "genesis":
            return "sufficient" if any(signed.is_by(key, name) for key in book.role_keys("steward")) else "forged"
        if name == "rotate":
            by_new = [row for row in approvals if self._is_approved(row, body[2], statement)]
            approvals = [row for row in approvals if row not in by_new]
            if not by_new:
                return "without that of the new key"
            if not approvals and signed.is_by(book.key_of(body[1]), name, book.genesis_sha256):
                return "sufficient"
        is_about_keys = name in ("admit", "status") and body[0] in (WITNESS, ROLE)
        names, needed = book.quorums[ROTATE if is_about_keys else kind]
        roles = [self._role(signed, name, ["aggregator"] if name == "mint-run" else names)]
        roles += [self._role(row, "approval", names) if row.payload == statement else None for row in approvals]
        if None in roles:
            return "forged"
        return "sufficient" if len(set(roles)) >= needed else f"by {roles} only"

    def _is_approved(self, approval: Signed, key: bytes, statement: bytes) -> bool:
        return approval.payload == statement and approval.is_by(key, "approval", self.book.genesis_sha256)

    def _is_remark(self, body: Any) -> bool:
        """Whether it leaves the association active, as it is: the aggregator may sign that alone."""
        subject, identifier, status, _reason = body
        return subject == ASSOCIATION and status == 0 and self.book.standing.get(identifier, 0) == 0

    def _role(self, signed: Signed, kind: str, names: list[str]) -> str | None:
        for name in names:
            if any(signed.is_by(key, kind, self.book.genesis_sha256) for key in self.book.role_keys(name)):
                return name
        return None

    def _read_genesis(self, _index: int, body: Any) -> None:
        _commune, _trial, _unit, self.book.origin, self.book.association, roles, quorums, *_units = body
        for name, keys in roles:
            for key in keys:
                who = hashlib.sha256(key).digest()[:16]
                self.book.roles[who] = (name, key)
                self.book.note(who, 0)
        self.book.quorums = {kind: (list(names), k) for kind, names, k in quorums}

    def _read_admit(self, index: int, body: Any) -> None:
        subject, identifier, *fields = body
        if subject in (MEMBER, MERCHANT, ASSOCIATION):
            self.book.wallets[identifier] = fields[0]
            self.book.note(identifier, index)
        elif subject == ROLE:
            self.book.roles[identifier] = (fields[0], fields[1])
            self.book.note(identifier, index)
        elif subject == SITE:
            self.book.site_members[identifier] = fields[0]
        elif subject == DEVICE:
            site, public_key, role, rated_power_w, grade = fields
            self.book.devices[identifier] = Device(identifier, site, public_key, role, rated_power_w, grade, index)

    def _read_status(self, index: int, body: Any) -> None:
        """Who is suspended or revoked decides what is accepted, not what accepted evidence is worth; but the reason
        of an entry about a device may be a review: "release 1721001600: the meter was right" or "release 1721001600
        as 1250 Wh: from the old display", or say "registers wrap at 1000000 Wh: six digits"."""
        subject, identifier, status, reason = body
        self.book.standing[identifier] = status
        if identifier in self.book.wallets or identifier in self.book.roles:
            self.book.note(identifier, index)
        self.book.reasons.append((index, self._time_s, identifier, reason))
        if subject == DEVICE and status == REVOKED:
            match reason.split(" "):
                case ["replaced", "by", device, "from", begins] if _is_number(begins) and len(device) == 32:
                    self.book.replacements.append(Replacement(index, bytes.fromhex(device), int(begins)))
        order, separator, why = reason.partition(": ")
        if subject != DEVICE or not separator or not why.strip():
            return
        match order.split(" "):
            case ["release" | "reject" as verdict, start] if _is_number(start):
                self.book.reviews.append(Review(index, identifier, int(start), verdict == "release"))
            case ["release", start, "as", energy, "Wh"] if _is_number(start) and _is_number(energy):
                self.book.reviews.append(Review(index, identifier, int(start), True, int(energy)))
            case ["registers", "wrap", "at", at, "Wh"] if _is_number(at) and int(at) > 0:
                self.book.wraps.append(Wraps(index, identifier, int(at)))

    def _read_rotate(self, index: int, body: Any) -> None:
        """Of wallets and roles. Meters of the demo keep their keys, and evidence is read by one key each."""
        _subject, who, key = body
        if who in self.book.wallets:
            self.book.wallets[who] = key
        elif who in self.book.roles:
            self.book.roles[who] = (self.book.roles[who][0], key)
        else:
            raise UnreadableError("another key for a device or a gateway")
        self.book.note(who, index)

    def _read_policy(self, index: int, body: Any) -> None:
        sha256, _version, text = body
        self.book.policies.append(PolicyEntry(index, self._time_s, sha256, text))
        text_sha256 = hashlib.sha256(text.encode()).digest()
        self._findings.expect(f"entry {index}: hash of the policy", text_sha256, sha256)

    def _read_mint_run(self, index: int, body: Any) -> None:
        first, count, root, energy_wh, total_mc, policy_sha256, start_s, end_s = body
        leaves = [mint for at in range(first, first + count) if (mint := self.uncommitted.pop(at, None))]
        totals = (
            sum(mint.energy_wh for mint in leaves),
            sum(mint.amount_mc + mint.association_mc for mint in leaves),
        )
        leaf_hashes = tuple(leaf_hash(self._entries[mint.index]) for mint in leaves)
        windows = {(mint.window_start_s, mint.window_end_s) for mint in leaves}
        where = f"entry {index}: mint-run's"
        self._findings.expect(f"{where} leaves, not committed to before", count, len(leaves))
        self._findings.expect(f"{where} root", tree_root(leaf_hashes), root)
        self._findings.expect(f"{where} energy and total", totals, (energy_wh, total_mc))
        self._findings.expect(f"{where} window", windows, {(start_s, end_s)})
        self.book.run_policies.append((start_s, end_s, policy_sha256))
        self.book.runs += 1

    def _read_transfer(self, index: int, body: Any) -> None:
        payer, payee, amount_mc, _memo = body
        for account, change_mc in ((payer, -amount_mc), (payee, amount_mc)):
            self.book.post(account, change_mc)
            self.book.transferred_mc[account] += change_mc
        self.book.transfers += 1
        unknown = [account.hex() for account in (payer, payee) if account not in self.book.wallets]
        self._findings.expect(f"entry {index}: unknown parties of the transfer", [], unknown)
        self._findings.expect(
            f"entry {index}: the payer had the amount", True, self.book.balances_mc[payer] >= 0 < amount_mc
        )


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and str(int(text)) == text and len(text) <= 16
