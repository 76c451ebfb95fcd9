"""A rehearsal and the real ledger never mix, whatever the kind: the genesis hash is in every signature."""

from collections.abc import Callable

import pytest

from commonwatt.registry import Status
from ledger import testing
from ledger.book import entry, found, rules
from ledger.book.body import (
    AdmitAccount,
    Body,
    CarryForward,
    Charge,
    CreditLimit,
    Guard,
    Hold,
    MintRun,
    PaymentAnswer,
    PaymentRequest,
    Redeem,
    Release,
    Reverse,
    Rotate,
    SetStatus,
    TopUp,
    Transfer,
)
from ledger.book.kinds import Kind, Subject
from ledger.book.measures import Cause
from ledger.book.payments import Verdict
from ledger.book.refusals import Refusal
from ledger.book.state import State
from ledger.book.units import Unit
from ledger.log import merkle

REAL = found.genesis_entry(
    testing.constitution(trial=False), entry_id=testing.ident("genesis"), time_s=0, steward=testing.key("steward")
)
ANA, BEN, SHOP = (testing.account(name) for name in ("ana", "ben", "shop:euro"))
EVE = AdmitAccount(Subject.MEMBER, testing.ident("eve"), testing.key("eve").public_key, bytes(32))
WINDOW = (testing.TIME_S, testing.TIME_S + testing.WINDOW_S)

OTHERS: dict[Kind, tuple[Body, *tuple[str, ...]]] = {
    Kind.ADMIT: (EVE, "steward"),
    Kind.STATUS: (SetStatus(Subject.MEMBER, testing.ident("ana"), Status.SUSPENDED, ""), "steward"),
    Kind.POLICY: (testing.POLICY, "steward", "townhall"),
    Kind.MINT_RUN: (MintRun(4, 1, merkle.EMPTY_ROOT, 0, 0, testing.POLICY.sha256, *WINDOW), "aggregator"),
    Kind.TRANSFER: (Transfer(ANA, BEN, 1, ""), "ana"),
    Kind.ROTATE: (Rotate(Subject.MEMBER, testing.ident("ana"), testing.key("ana2").public_key), "ana", "ana2"),
    Kind.GUARD: (Guard(testing.ident("ana"), 1, (testing.key("phone").public_key,)), "ana"),
    Kind.PAYMENT_REQUEST: (PaymentRequest(BEN, ANA, 1, False, ""), "ben"),
    Kind.PAYMENT_ANSWER: (PaymentAnswer(testing.entry_id("asked"), Verdict.DECLINE), "ana"),
    Kind.TOP_UP: (TopUp(testing.account("ana:euro"), 10, 1, ""), "steward"),
    Kind.REDEEM: (Redeem(SHOP, 10, 1, ""), "shop", "steward"),
    Kind.CREDIT_LIMIT: (CreditLimit(testing.account("ana:mutual"), 1, 1), "steward"),
    Kind.CHARGE: (Charge(Cause.LEVY, Unit.ENERGY, bytes(32), *WINDOW, 0), "steward", "townhall"),
    Kind.REVERSE: (Reverse(testing.entry_id("paid"), 1, ""), "steward", "townhall"),
    Kind.HOLD: (Hold(testing.ident("ana"), 1, *WINDOW, 1, ""), "steward"),
    Kind.RELEASE: (Release(testing.entry_id("held"), True, ""), "steward"),
    Kind.CARRY_FORWARD: (CarryForward(testing.ident("ana"), (), (), ""), "steward", "townhall"),
}


def village(genesis: bytes) -> Callable[[bytes], Refusal | None]:
    """A ledger of this genesis with ana, ben, a shop and an open request; it takes one more entry."""
    founded, state = entry.sha256(genesis), State()

    def put(data: bytes) -> Refusal | None:
        answer = rules.apply(state, data, state.size)
        return answer if isinstance(answer, Refusal) else None

    ask = PaymentRequest(BEN, ANA, 5, False, "")
    people = (("ana", Subject.MEMBER), ("ben", Subject.MEMBER), ("shop", Subject.MERCHANT))
    assert put(genesis) is None
    for name, subject in people:
        body = AdmitAccount(subject, testing.ident(name), testing.key(name).public_key, bytes(32))
        assert put(testing.signed(body, "steward", genesis=founded)) is None
    assert put(testing.signed(ask, "ben", entry_id="asked", genesis=founded)) is None
    return put


def test_kinds_when_counted() -> None:
    """Every kind that is signed stands in this file; genesis has no ledger before it, a leaf no signature."""
    assert set(OTHERS) | {Kind.GENESIS, Kind.MINT} == set(Kind)


@pytest.mark.parametrize("kind", OTHERS, ids=lambda kind: kind.label)
@pytest.mark.parametrize(("here", "there"), [(REAL, testing.GENESIS), (testing.GENESIS, REAL)], ids=["real", "trial"])
def test_entry_when_signed_for_the_other_ledger(kind: Kind, here: bytes, there: bytes) -> None:
    """What was signed in a trial is nothing in the real ledger, nor the other way round."""
    body, *signers = OTHERS[kind]
    assert body.kind is kind
    stranger = testing.signed(body, *signers, genesis=entry.sha256(there))
    assert village(here)(stranger) is Refusal.BAD_SIGNATURE


@pytest.mark.parametrize("kind", OTHERS, ids=lambda kind: kind.label)
def test_entry_when_one_signature_is_wrong(kind: Kind) -> None:
    """A flipped byte of the signature, and a stranger's signature, are refused before anything else is looked at."""
    body, *signers = OTHERS[kind]
    good = testing.signed(body, *signers)
    assert village(testing.GENESIS)(good[:-1] + bytes([good[-1] ^ 1])) is Refusal.BAD_SIGNATURE
    stranger = testing.signed(body, "mallory", *signers[1:])
    assert village(testing.GENESIS)(stranger) in (Refusal.UNKNOWN_SIGNER, Refusal.BAD_SIGNATURE)
    assert village(testing.GENESIS)(good) is not Refusal.BAD_SIGNATURE


@pytest.mark.parametrize("kind", OTHERS, ids=lambda kind: kind.label)
def test_entry_when_its_id_is_taken(kind: Kind) -> None:
    """An id is taken for ever, also by an entry of another kind."""
    body, *signers = OTHERS[kind]
    assert village(testing.GENESIS)(testing.signed(body, *signers, entry_id="asked")) is Refusal.CONFLICT
