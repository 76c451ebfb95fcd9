"""A small village with known keys, for tests and benchmarks of every part that needs a ledger.

Keys and ids follow from names, so that a test says "ana" and a vector stays the same.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from commonwatt.identity import SigningKey
from commonwatt.registry import Status
from ledger import app
from ledger.book import found
from ledger.book.body import (
    AdmitAccount,
    AdmitDevice,
    AdmitGateway,
    AdmitRole,
    AdmitSite,
    AdmitWitness,
    Body,
    Policy,
    Rotate,
    SetStatus,
    Transfer,
)
from ledger.book.entry import Entry, sha256
from ledger.book.genesis import Genesis, UnitTerms
from ledger.book.kinds import DeviceRole, Grade, Subject
from ledger.book.mint import SOURCE_PRODUCTION, Mint
from ledger.book.units import ISSUANCE, OUTSIDE, RESERVE, Limits, Unit, account_in
from ledger.sequencer import Placed, Refused, Sequencer

TIME_S = 1_721_001_600
WINDOW_S = 3600
ORIGIN = "testville.example/log"
POLICY_TEXT = 'name = "testville"\n'
ROLES = ("steward", "townhall", "operator", "auditor", "aggregator")


def key(name: str) -> SigningKey:
    """The key of who bears this name."""
    return SigningKey.from_seed(hashlib.sha256(f"key of {name}".encode()).digest())


def ident(name: str) -> bytes:
    """The 16-byte id of what bears this name."""
    return hashlib.sha256(f"id of {name}".encode()).digest()[:16]


def account(name: str) -> bytes:
    """An account: "ana" in energy credits, "ana:mutual" in another unit; "issuance", "reserve" and "outside" too."""
    holder, _, unit = name.partition(":")
    system = {"issuance": ISSUANCE, "reserve": RESERVE, "outside": OUTSIDE}
    return account_in(system.get(holder) or ident(holder), Unit[unit.upper()] if unit else Unit.ENERGY)


def commitment(name: str) -> bytes:
    """A stand-in for a salted commitment to personal attributes."""
    return hashlib.sha256(f"attributes of {name}".encode()).digest()


UNITS = (
    UnitTerms(Unit.EURO, "euro"),
    UnitTerms(Unit.MUTUAL, "heart", Limits(100, 200)),
    UnitTerms(Unit.HOURS, "hour", Limits(8000, 8000)),
)
"""Every unit there is; whoever lives here may owe 200 thousandths of a heart, and is warned past 100."""


def constitution(*, commune: str = "testville", trial: bool = True) -> Genesis:
    """One key per role, the default quorums, every unit."""
    return found.genesis_body(
        commune=commune,
        trial=trial,
        origin=ORIGIN,
        association=ident("association"),
        roles={role: [key(role).public_key] for role in ROLES},
        units=UNITS,
    )


GENESIS_BODY = constitution()
GENESIS = found.genesis_entry(GENESIS_BODY, entry_id=ident("genesis"), time_s=TIME_S, steward=key("steward"))
GENESIS_SHA256 = sha256(GENESIS)
LOG_KEY = key("log")
POLICY = Policy(hashlib.sha256(POLICY_TEXT.encode()).digest(), 1, POLICY_TEXT)


def signed(
    body: Body, *signers: str, entry_id: str | None = None, genesis: bytes = GENESIS_SHA256, time_s: int = TIME_S
) -> bytes:
    """An entry signed by the first signer and approved by the others; its id follows from the body or `entry_id`."""
    entry = Entry(ident(f"entry {entry_id or repr(body)}"), time_s, body)
    approvals = [entry.approve(key(signer), genesis) for signer in signers[1:]]
    return entry.with_approvals(*approvals).sign(key(signers[0]), genesis)


def member(name: str, subject: Subject = Subject.MEMBER) -> bytes:
    """The admission of a member, merchant or the association, with its wallet."""
    body = AdmitAccount(subject, ident(name), key(name).public_key, commitment(name))
    return signed(body, "steward")


def site(name: str, holder: str) -> bytes:
    """The admission of a site."""
    return signed(AdmitSite(ident(name), ident(holder), commitment(name)), "steward")


def device(name: str, at: str, role: DeviceRole = DeviceRole.MAIN, rated_power_w: int = 9000) -> bytes:
    """The admission of a device that signs its own readings."""
    body = AdmitDevice(ident(name), ident(at), key(name).public_key, role, rated_power_w, Grade.DEVICE)
    return signed(body, "steward")


def gateway(name: str) -> bytes:
    """The admission of a gateway."""
    return signed(AdmitGateway(ident(name), key(name).public_key), "steward")


def witness(name: str) -> bytes:
    """The admission of a witness."""
    body = AdmitWitness(ident(name), f"{name}.example/witness", key(name).public_key)
    return signed(body, "steward", "townhall")


def role(name: str, of: str) -> bytes:
    """The admission of a further key for a role."""
    return signed(AdmitRole(ident(name), of, key(name).public_key), "steward", "townhall")


def status(subject: Subject, name: str, to: Status, reason: str = "") -> bytes:
    """A change of standing."""
    return signed(SetStatus(subject, ident(name), to, reason), "steward")


def policy(body: Policy = POLICY) -> bytes:
    """A policy with the two signatures that it needs."""
    return signed(body, "steward", "townhall")


def pay(payer: str, payee: str, amount_mc: int, memo: str = "", *, genesis: bytes = GENESIS_SHA256) -> bytes:
    """A transfer signed by the payer's wallet; the memo tells two of the same amount apart."""
    body = Transfer(account(payer), account(payee), amount_mc, memo)
    return signed(body, payer.partition(":")[0], genesis=genesis)


def entry_id(name: str) -> bytes:
    """The id of an entry that `signed` made with this `entry_id`."""
    return ident(f"entry {name}")


def rotation(subject: Subject, ident_of: bytes, new: str, *signers: str, name: str | None = None) -> bytes:
    """Another key for a subject, signed and approved by these, and approved by the new key."""
    return signed(Rotate(subject, ident_of, key(new).public_key), *signers, new, entry_id=name)


def earned(name: str, amount_mc: int, association_mc: int = 0, *, window: int = 0, source: int | None = None) -> Mint:
    """A mint leaf of the window-th hour; its nonce follows from the rest."""
    source = source or SOURCE_PRODUCTION
    start_s = TIME_S + window * WINDOW_S
    nonce = ident(f"nonce {name} {amount_mc} {association_mc} {window} {source}")
    energy_wh = min(amount_mc + association_mc, 2**63 - 1)
    amounts = (energy_wh, amount_mc, association_mc)
    return Mint(nonce, ident(name), source, start_s, start_s + WINDOW_S, *amounts, 4, commitment("lines"))


def mint(sequencer: Sequencer, leaves: Sequence[Mint], *, run: str = "run", window: int = 0) -> Placed | Refused:
    """Submit one run of the window-th hour."""
    return sequencer.mint(
        ident(run),
        leaves,
        policy_sha256=POLICY.sha256,
        window_start_s=TIME_S + window * WINDOW_S,
        window_end_s=TIME_S + (window + 1) * WINDOW_S,
        time_s=TIME_S,
        key=key("aggregator"),
    )


def village(directory: Path, *names: str) -> Sequencer:
    """A founded ledger on disk with a policy, the association and these members."""
    sequencer = app.create_ledger(directory, GENESIS, LOG_KEY)
    members = [member("association", Subject.ASSOCIATION), *(member(name) for name in names)]
    answers = sequencer.submit([policy(), *members])
    assert [getattr(answer, "place", None) for answer in answers] == list(range(1, len(names) + 3))
    return sequencer
