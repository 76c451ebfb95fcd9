"""What the further kinds of entry do, told as books (the lines: conftest.py)."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from commonwatt.errors import FormatError
from commonwatt.units import INT64_MAX
from ledger import testing
from ledger.book import entry, found, rules
from ledger.book.body import (
    CreditLimit,
    Hold,
    PaymentRequest,
    Policy,
    Quorum,
    Release,
    Rotate,
    TopUp,
    Transfer,
)
from ledger.book.entry import Entry, sha256
from ledger.book.genesis import Genesis
from ledger.book.kinds import QUORUM_KINDS, Kind, Subject
from ledger.book.mint_arrays import MintArrays, from_leaves
from ledger.book.refusals import Refusal
from ledger.book.state import REVERSIBLE_HALF, Moved, State
from ledger.book.units import Limits, Unit
from ledger.sequencer import Placed

START = "policy\nassociation\nadmit ana ben eve\nmerchant shop\n"
RICH = START + "mint 0 ana 900 100\n mint 0 ben 90 10\n run 0\n"


def test_week_of_hours_when_all_goes_well(write: Callable[[str], Any]) -> None:
    """Who lends time owes it to nobody in particular: balances in hours sum to zero, energy stays apart."""
    write(
        RICH
        + """
        pay ana:hours ben:hours 3000
        pay ben:hours eve:hours 1000
        = ana:hours -3000
        = ben:hours 2000
        = eve:hours 1000
        = ana 900
        pay ana ben 1
        = ana:hours -3000
        """
    )


@pytest.mark.parametrize(
    "lines",
    [
        # Units never mix, and a unit that the constitution lacks is named.
        "pay ana ben:mutual 1 ! mixed-units",
        "pay ana:mutual ben 1 ! mixed-units",
        "pay ana:hours ben:mutual 1 ! mixed-units",
        "ask ben:hours ana 1 ! mixed-units",
        "pay ana:mutual ana:mutual 1 ! same-account",
        "pay ana:mutual ben:mutual 0 ! amount-zero",
        # Credit limits: the constitution's 100 soft and 200 hard, then one's own.
        "pay ana:mutual ben:mutual 100\n ~\n pay ana:mutual ben:mutual 1\n ~ ana:mutual\n = ana:mutual -101",
        "pay ana:mutual ben:mutual 200\n ~ ana:mutual\n pay ana:mutual ben:mutual 1 ! insufficient-funds",
        "limit ana 0 1\n pay ana:mutual ben:mutual 1\n ~ ana:mutual\n pay ana:mutual ben:mutual 1 !"
        " insufficient-funds",
        "pay ana:mutual ben:mutual 200\n limit ana 0 0\n pay ben:mutual ana:mutual 50\n = ana:mutual -150",
        "pay ana:mutual ben:mutual 200\n limit ana 0 0\n pay ana:mutual ben:mutual 1 ! insufficient-funds",
        "limit ana:energy 0 0 ! wrong-unit",
        "limit ana:euro 0 0 ! wrong-unit",
        "limit nobody 0 0 ! unknown-account",
        "revoke member ana\n limit ana 0 0 ! revoked",
        "limit ana 0 5 by townhall ! unknown-signer",
        f"limit ana 0 {INT64_MAX}\n pay ana:mutual ben:mutual {INT64_MAX}\n pay ana:mutual eve:mutual 1 !"
        " insufficient-funds",
        f"limit ana 0 {INT64_MAX}\n limit eve 0 {INT64_MAX}\n pay ana:mutual ben:mutual {INT64_MAX}\n"
        "pay eve:mutual ben:mutual 1 ! overflow",
        # Requests: paid at once, or put aside and counted as gone until delivered.
        "ask ben ana 250 as r\n accept r\n = ana 650\n = ben 340\n accept r ! unknown-entry",
        "ask ben ana 250 as r\n decline r\n = ana 900\n accept r ! unknown-entry",
        "ask ben ana 250 as r\n withdraw r\n accept r ! unknown-entry",
        "ask ben ana 250 as r\n settle r ! request-state",
        "ask ben ana 250 as r\n accept r by ben ! bad-signature",
        "ask ben ana 250 as r\n withdraw r by ana ! bad-signature",
        "ask ben ana 250 by ana ! bad-signature",
        "ask ben ana 901 as r\n accept r ! insufficient-funds",
        "ask ben ana 250 as r\n suspend member ana\n accept r ! suspended",
        "ask ben ana 250 as r\n suspend member ana\n decline r\n accept r ! unknown-entry",
        "ask ben ana 250 as r\n revoke member ben\n accept r ! revoked",
        "suspend member ben\n ask ben ana 250 ! suspended",
        "revoke member ana\n ask ben ana 250 ! revoked",
        "ask ben ana 0 ! amount-zero",
        "ask ana ana 1 ! same-account",
        "ask ben nobody 1 ! unknown-account",
        "ask ben ana 800 escrow as r\n accept r\n = ana 900\n pay ana ben 101 ! insufficient-funds",
        "ask ben ana 800 escrow as r\n accept r\n pay ana ben 100\n settle r\n = ana 0\n = ben 990",
        "ask ben ana 800 escrow as r\n accept r\n withdraw r\n pay ana ben 900\n = ana 0",
        "ask ben ana 800 escrow as r\n accept r\n accept r ! request-state",
        "ask ben ana 800 escrow as r\n accept r\n decline r ! request-state",
        "ask ben ana 800 escrow as r\n accept r\n settle r by ben ! bad-signature",
        "ask ben ana 800 escrow as r\n accept r\n ask eve ana 101 escrow as s\n accept s ! insufficient-funds",
        "ask ben:mutual ana:mutual 150 escrow as r\n accept r\n ~ ana:mutual\n pay ana:mutual ben:mutual 51 !"
        " insufficient-funds",
        "accept nothing ! unknown-entry",
        # Euros: what is out never exceeds the reserve; only merchants get euros back.
        "topup ana 1000 100\n = ana:euro 1000\n = reserve:euro 1000\n = outside:euro -1000\n = issuance:euro -1000",
        "topup ana 1001 100 ! reserve-exceeded",
        "topup ana 990 100\n topup ben 10 0\n = reserve:euro 1000\n topup ben 1 0 ! reserve-exceeded",
        "topup ana 0 1 ! amount-zero",
        "topup ana:mutual 10 1 ! wrong-unit",
        "topup ana:energy 10 1 ! wrong-unit",
        "topup nobody 10 1 ! unknown-account",
        "revoke member ana\n topup ana 10 1 ! revoked",
        "topup ana 10 1 by townhall ! unknown-signer",
        f"topup ana {INT64_MAX} {INT64_MAX // 10} ! reserve-exceeded",
        f"topup ana 1 {INT64_MAX // 10}\n topup ben 1 1 ! overflow",
        "topup ana 1000 100\n pay ana:euro shop:euro 600\n redeem shop 500 48\n = shop:euro 100\n = reserve:euro 520",
        "topup shop 1000 100\n redeem shop 500 51 ! reserve-exceeded",
        "topup shop 1000 100\n redeem shop 1001 90 ! insufficient-funds",
        "topup ana 1000 100\n redeem ana 500 50 ! not-a-merchant",
        "topup shop 1000 100\n redeem shop 500 50 by shop ! quorum-not-reached",
        "topup shop 1000 100\n redeem shop 500 50 by ana,steward ! bad-signature",
        "topup shop 1000 100\n redeem shop 500 50 by shop,townhall ! unknown-signer",
        "topup shop 1000 100\n suspend merchant shop\n redeem shop 500 50 ! suspended",
        "redeem shop 0 0 ! amount-zero",
        "redeem shop:mutual 1 0 ! wrong-unit",
        "redeem nobody 1 0 ! unknown-account",
        # Charges: what the policy says, recomputed by everyone.
        "charge levy energy 0 250 ! wrong-policy",
        "charges\n charge levy energy 0 340\n = ana 650\n = ben 0\n = association 450",
        "charges\n charge levy energy 0 341 ! wrong-total",
        "charges\n charge levy energy 0 340 by steward ! quorum-not-reached",
        "charges\n charge levy energy 0 340\n charge levy energy 0 250 ! wrong-period",
        "charges\n charge levy energy 2 340\n charge levy energy 1 250 ! wrong-period",
        "charges\n charge levy energy 10 340 ! wrong-period",
        "charges\n charge levy hours 0 0 ! wrong-policy",
        "charges\n charge demurrage energy 0 4\n = ana 896\n = ben 90",
        "charges\n ask ben ana 800 escrow as r\n accept r\n charge levy energy 0 190\n = ana 800\n = ben 0",
        "charges\n pay ana:hours ben:hours 9\n charge expiry hours 0 0\n pay ana:hours ben:hours 5\n"
        "pay ben:hours eve:hours 4\n charge expiry hours 1 5\n = ben:hours 5\n = eve:hours 4\n = ana:hours -14\n"
        "= association:hours 5\n charge expiry hours 2 9\n = ben:hours 0\n = eve:hours 0",
        # Reversals: in part or whole, never past what is there, once.
        "pay ana ben 250 as p\n reverse p 250\n = ana 900\n = ben 90\n reverse p 1 ! wrong-amount",
        "pay ana ben 250 as p\n reverse p 100\n reverse p 151 ! wrong-amount",
        "pay ana ben 250 as p\n reverse p 100\n reverse p 150\n = ana 900",
        "pay ana ben 250 as p\n pay ben eve 300\n reverse p 250 ! insufficient-funds",
        "pay ana ben 250 as p\n pay ben eve 300\n reverse p 40\n = ben 0\n = ana 690",
        "pay ana ben 250 as p\n revoke member ben\n reverse p 250\n = ana 900",
        "pay ana ben 250 as p\n reverse p 0 ! amount-zero",
        "pay ana ben 250 as p\n reverse p 250 by steward ! quorum-not-reached",
        "reverse nothing 1 ! unknown-entry",
        "ask ben ana 250 as r\n reverse r 250 ! unknown-entry",
        "ask ben ana 250 as r\n accept r as p\n reverse p 250\n = ana 900",
        "topup ana 1000 100 as t\n reverse t 400 ! wrong-amount",
        "topup ana 1000 100 as t\n reverse t 1000\n = reserve:euro 0\n = ana:euro 0",
        "topup ana 1000 100 as t\n pay ana:euro ben:euro 1\n reverse t 1000 ! insufficient-funds",
        "topup shop 1000 100\n redeem shop 500 48 as r\n reverse r 500\n = reserve:euro 1000\n = shop:euro 1000",
        # Holds: a held claim is not minted; released it is, even after later ones; barred it never is.
        "hold ana 1 500 as h\n mint 1 ana 500 0 ! claim-held",
        "hold ana 1 500 as h\n mint 2 ana 7 0\n run 2\n = ana 907",
        "hold ana 1 500 as h\n mint 2 ana 7 0\n run 2\n release h\n mint 1 ana 500 0\n run 1\n = ana 1407",
        "hold ana 1 500 as h\n mint 2 ana 7 0\n run 2\n release h\n mint 1 ana 5 0\n run 1\n mint 1 ana 5 0 !"
        " window-minted",
        "hold ana 1 500 as h\n mint 2 ana 7 0\n run 2\n release h\n mint 1 ana 5 0\n run 1\n mint 2 ana 5 0 !"
        " window-minted",
        "hold ana 1 500 as h\n bar h\n mint 1 ana 500 0 ! claim-held",
        "hold ana 1 500 as h\n bar h\n release h ! unknown-entry",
        "hold ana 1 500 as h\n release h\n hold ana 1 500 as i\n mint 1 ana 500 0 ! claim-held",
        "hold ana 1 500 as h\n hold ana 1 500 ! claim-held",
        "hold ana 0 500 ! window-minted",
        "hold nobody 1 500 ! unknown-account",
        "hold ana 1 0 ! amount-zero",
        f"hold ana 1 {INT64_MAX}\n hold ana 2 1 ! overflow",
        "hold ana 1 500 by ana ! unknown-signer",
        "release nothing ! unknown-entry",
        # Keys: the old one is refused by name, a lost one is recovered.
        "rotate member ana ana2\n pay ana ben 1 ! key-rotated",
        "rotate member ana ana2\n pay ana ben 1 by ana2\n = ana 899",
        "rotate member ana ana2\n rotate member ana ana3 by ana ! key-rotated",
        "rotate member ana ana2\n rotate member ana ana3 by ana2\n pay ana ben 1 by ana3",
        "rotate member ana ana2\n rotate member ben ana by ben ! duplicate-key",
        "rotate member ana ben ! duplicate-key",
        "rotate member nobody x by ana ! unknown-subject",
        "rotate merchant ana ana2 ! unknown-subject",
        "site farm ana\n rotate site farm x by ana ! unknown-subject",
        "revoke member ana\n rotate member ana ana2 ! revoked",
        "suspend member ana\n rotate member ana ana2\n pay ana ben 1 by ana2 ! suspended",
        "rotate member ana ana2 by ben ! unknown-signer",
        "rotate member ana ana2 by ana,steward ! unknown-signer",
        "rotate member ana ana2 by steward ! quorum-not-reached",
        "rotate member ana ana2 by steward,townhall\n pay ana ben 1 by ana2",
        "rotate member ana ana2 by steward,auditor ! unknown-signer",
        "guard ana 2 phone,paper\n rotate member ana ana2 by phone,paper\n pay ana ben 1 by ana2",
        "guard ana 2 phone,paper\n rotate member ana ana2 by phone,steward\n pay ana ben 1 by ana2",
        "guard ana 2 phone,paper\n rotate member ana ana2 by steward,paper\n pay ana ben 1 by ana2",
        "guard ana 2 phone,paper\n rotate member ana ana2 by phone ! quorum-not-reached",
        "guard ana 2 phone,paper\n rotate member ana ana2 by phone,phone ! quorum-not-reached",
        "guard ana 2 phone,paper\n rotate member ana ana2 by phone,townhall ! unknown-signer",
        "guard ana 2 phone,paper\n rotate member ben ben2 by phone,paper ! unknown-signer",
        "guard ana 2 phone,paper\n guard ana 1 phone\n rotate member ana ana2 by paper,steward ! unknown-signer",
        "guard ana 2 phone,paper by ben ! bad-signature",
        "guard ana 2 phone,ben ! duplicate-key",
        "guard nobody 1 phone by ana ! unknown-account",
        "revoke member ana\n guard ana 1 phone ! revoked",
        "site farm ana\n device meter farm\n rotate device meter meter2\n rotate device meter meter3 by meter !"
        " key-rotated",
        "rotate role townhall hall2\n charges ! key-rotated",
        "rotate role townhall hall2\n admit zoe",
        "role clerk steward\n admit zoe",
        "role clerk steward\n limit ana 0 5 by clerk",
        "role clerk steward\n revoke role clerk\n limit ana 0 5 by clerk ! revoked",
        "role clerk steward\n suspend role clerk\n limit ana 0 5 by clerk ! suspended",
        "role clerk steward\n suspend role clerk\n activate role clerk\n limit ana 0 5 by clerk",
        "role clerk steward\n suspend role clerk\n rotate role clerk clerk2\n limit ana 0 5 by clerk2 ! suspended",
        "role clerk steward\n suspend role clerk\n rotate role clerk clerk2\n activate role clerk\n"
        "limit ana 0 5 by clerk2",
        "role clerk steward\n rotate role clerk clerk2\n limit ana 0 5 by clerk ! key-rotated",
        "revoke role steward ! last-key",
        "role clerk steward\n revoke role steward\n limit ana 0 5 ! revoked",
        "revoke role townhall\n revoke role operator by steward,operator ! last-key",
        "revoke role steward by steward ! quorum-not-reached",
        "witness tower\n rotate witness tower tower2\n revoke witness tower",
        "witness tower\n witness tower ! conflict",
    ],
)
def test_line_when_it_is_the_last(write: Callable[[str], Any], lines: str) -> None:
    """Each story ends as its last line says; every entry on the way was accepted."""
    write(RICH + lines)


def test_requests_when_nobody_answers(book: Any) -> None:
    """One payee fills a bounded share of everybody's memory."""
    book.write(RICH + "\n".join("ask ben ana 1" for _ in range(100)))
    book.write("ask ben ana 1 ! too-many-open\n ask eve ana 1")
    assert len(book.state.requests) == 101


def test_payment_when_it_is_too_old_to_reverse(book: Any) -> None:
    """Of all payments the last 32,768 to 65,536 can be reversed; memory does not grow with the log."""
    book.write(RICH + "pay ana ben 1 as p")
    filler = {bytes([number % 256]) * 15 + bytes([number // 256]): Moved((), 0) for number in range(REVERSIBLE_HALF)}
    book.state.paid.update(filler)
    book.write("pay ana ben 1 as q\n reverse p 1")
    assert len(book.state.paid) == 1
    book.state.paid.update(filler)
    book.write("pay ana ben 1\n reverse p 1 ! unknown-entry\n reverse q 1")


def test_new_key_when_it_did_not_agree() -> None:
    """A key that nobody holds cannot become anybody's: the new key signs too, and rightly."""
    state = replayed(testing.GENESIS, testing.member("ana"))
    body = Rotate(Subject.MEMBER, testing.ident("ana"), testing.key("ana2").public_key)
    assert rules.apply(state, testing.signed(body, "ana"), state.size) is Refusal.NOT_POSSESSED
    rotation = Entry(testing.ident("e"), testing.TIME_S, body)
    stranger = Entry(testing.ident("f"), testing.TIME_S, body).approve(testing.key("ana2"), testing.GENESIS_SHA256)
    signed = rotation.with_approvals(stranger).sign(testing.key("ana"), testing.GENESIS_SHA256)
    assert rules.apply(state, signed, state.size) is Refusal.BAD_SIGNATURE
    weak = Rotate(Subject.MEMBER, testing.ident("ana"), bytes([1]) + bytes(31))
    assert rules.apply(state, testing.signed(weak, "ana"), state.size) is Refusal.WEAK_KEY


def replayed(*entries: bytes) -> State:
    """The state after entries that are all good."""
    state = State()
    for data in entries:
        answer = rules.apply(state, data, state.size)
        assert isinstance(answer, State), answer
    return state


def bare_genesis() -> bytes:
    """A ledger as founded before there were further units and kinds."""
    body = found.genesis_body(
        commune="bareville",
        trial=False,
        origin=testing.ORIGIN,
        association=testing.ident("association"),
        roles={role: [testing.key(role).public_key] for role in testing.ROLES},
        quorums=[Quorum(kind, ("aggregator" if kind is Kind.MINT_RUN else "steward",), 1) for kind in QUORUM_KINDS],
    )
    return found.genesis_entry(body, entry_id=testing.ident("genesis"), time_s=0, steward=testing.key("steward"))


@pytest.mark.parametrize(
    ("body", "signers", "refusal"),
    [
        (TopUp(testing.account("ana:euro"), 1, 1, ""), ("steward",), Refusal.UNKNOWN_SIGNER),
        (CreditLimit(testing.account("ana:mutual"), 1, 1), ("steward",), Refusal.UNKNOWN_SIGNER),
        (Transfer(testing.account("ana:hours"), testing.account("ben:hours"), 1, ""), ("ana",), Refusal.UNKNOWN_UNIT),
        (Transfer(testing.account("ana"), testing.account("ben:hours"), 1, ""), ("ana",), Refusal.UNKNOWN_UNIT),
        (
            PaymentRequest(testing.account("ana:hours"), testing.account("ben:hours"), 1, False, ""),
            ("ana",),
            Refusal.UNKNOWN_UNIT,
        ),
    ],
)
def test_ledger_without_further_units_when_asked_for_them(body: Any, signers: Any, refusal: Refusal) -> None:
    """What its constitution does not name, a ledger does not do."""
    genesis = bare_genesis()
    founded = sha256(genesis)
    admitted = [
        testing.signed(parsed_body(testing.member(name)), "steward", genesis=founded) for name in ("ana", "ben")
    ]
    state = replayed(genesis, *admitted)
    assert rules.apply(state, testing.signed(body, *signers, genesis=founded), state.size) is refusal


def parsed_body(data: bytes) -> Any:
    parsed = entry.parse(data)
    assert isinstance(parsed, entry.SignedEntry)
    return parsed.entry.body


@pytest.mark.parametrize(
    "text",
    [
        "charge = 1",
        "[[charge]]",
        '[[charge]]\ncause = "levy"\nunit = "energy"\nperiod_s = 86400',
        '[[charge]]\ncause = "levy"\nunit = "gold"\nperiod_s = 86400\namount_mc = 1',
        '[[charge]]\ncause = "levy"\nunit = "energy"\nperiod_s = 0\namount_mc = 1',
        '[[charge]]\ncause = "levy"\nunit = "energy"\nperiod_s = 86400\namount_mc = -1',
        '[[charge]]\ncause = "levy"\nunit = "energy"\nperiod_s = 86400\namount_mc = 1.5',
        '[[charge]]\ncause = "levy"\nunit = "energy"\nperiod_s = 86400\namount_mc = true',
        '[[charge]]\ncause = "levy"\nunit = "energy"\nperiod_s = 86400\namount_mc = 1\nrate_ppm = 1',
        '[[charge]]\ncause = "demurrage"\nunit = "energy"\nperiod_s = 86400\nfree_mc = 0\nrate_ppm = 1000001',
        'name = "not TOML',
    ],
)
def test_charge_when_the_policy_cannot_be_read(book: Any, text: str) -> None:
    """A policy whose charges are not well said charges nobody."""
    policy = Policy(hashlib.sha256(text.encode()).digest(), 3, text)
    book.write(RICH)
    assert book.put(testing.policy(policy)) is None
    book.write("charge levy energy 0 340 ! wrong-policy")


def genesis_refused(**changes: Any) -> str:
    """Why a constitution with these changes is none."""
    good = testing.constitution()
    body = replace(good, **changes)
    with pytest.raises(FormatError) as caught:
        Genesis.from_cbor(body.to_cbor())
    return str(caught.value)


def test_constitution_when_badly_written() -> None:
    """Units and quorums stand in one order, each once, within what they may say."""
    good = testing.constitution()
    euro, mutual, hours = good.units
    assert Genesis.from_cbor(good.to_cbor()) == good
    assert "ascending" in genesis_refused(units=(mutual, euro))
    assert "ascending" in genesis_refused(units=(hours, hours))
    assert "below zero" in genesis_refused(units=(replace(euro, limits=Limits(0, 1)),))
    assert "soft limit" in genesis_refused(units=(replace(mutual, limits=Limits(2, 1)),))
    assert "unit" in genesis_refused(units=(replace(mutual, unit=Unit.ENERGY),))
    assert "ascending" in genesis_refused(quorums=(*good.quorums[:4], good.quorums[5], good.quorums[4]))
    assert "not one quorum" in genesis_refused(quorums=good.quorums[1:])
    assert "no quorum is kept" in genesis_refused(quorums=(*good.quorums, Quorum(Kind.TRANSFER, ("steward",), 1)))
    assert "ledger itself" in genesis_refused(association=bytes(15) + b"\x01")
    assert good.quorum(Kind.TRANSFER) is None


def test_run_in_columns_when_a_claim_is_held(tmp_path: Path) -> None:
    """The fast way of minting whole runs minds holds and releases too."""
    with testing.village(tmp_path, "ana", "ben") as ledger:
        window = (testing.TIME_S, testing.TIME_S + testing.WINDOW_S)
        hold = Hold(testing.ident("ana"), 1, *window, 5, "odd")
        release = Release(testing.entry_id("hold"), True, "seen")
        leaves = from_leaves([testing.earned("ana", 5)])
        later = from_leaves([testing.earned("ana", 6, window=1)])

        def mint(rows: MintArrays, run: str) -> Any:
            policy, key = testing.POLICY.sha256, testing.key("aggregator")
            return ledger.mint_arrays(testing.ident(run), rows, policy_sha256=policy, time_s=0, key=key)

        ledger.submit([testing.signed(hold, "steward", entry_id="hold")])
        assert mint(leaves, "a").refusal is Refusal.CLAIM_HELD
        assert isinstance(mint(later, "b"), Placed)
        ledger.submit([testing.signed(release, "steward")])
        assert isinstance(mint(leaves, "c"), Placed)
        assert ledger.state.book.balance_mc(testing.ident("ana")) == 11
        assert mint(from_leaves([testing.earned("ana", 7)]), "d").refusal is Refusal.WINDOW_MINTED
