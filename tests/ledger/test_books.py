"""What entries do to balances, told as books: lines in, balances or a refusal out (the lines: conftest.py)."""

from collections.abc import Callable
from typing import Any

import pytest

from commonwatt import cose
from commonwatt.units import INT64_MAX
from ledger import testing
from ledger.book import found, rules
from ledger.book.body import AdmitAccount, Policy, Transfer
from ledger.book.entry import Entry
from ledger.book.kinds import ISSUANCE, Kind, Subject
from ledger.book.refusals import Refusal
from ledger.book.state import State
from ledger.log import merkle

START = "policy\nassociation\nadmit ana ben\n"


def test_week_when_all_goes_well(write: Callable[[str], Any]) -> None:
    """Mints come from issuance, the association gets its share, payments move what is there."""
    write(
        START
        + """
        mint 0 ana 900 100
        mint 0 ben 90 10
        run 0
        = ana 900
        = ben 90
        = association 110
        = issuance -1100
        pay ana ben 250
        pay ben ana 1
        mint 1 ana 10 0
        run 1
        = ana 661
        = ben 339
        = issuance -1110
        """
    )


@pytest.mark.parametrize(
    "lines",
    [
        "pay ana ben 1 ! insufficient-funds",
        "pay ana ben 0 ! amount-zero",
        "pay ana ana 1 ! same-account",
        "pay ana nobody 1 ! unknown-account",
        "pay nobody ana 1 ! unknown-account",
        "admit ana ! conflict",
        "site farm nobody ! unknown-subject",
        "device meter farm ! unknown-subject",
        "site farm ana\n device meter farm\n revoke device meter\n activate device meter ! revoked",
        "site farm ana\n revoke site farm\n device meter farm ! revoked",
        "revoke member ana\n site farm ana ! revoked",
        "suspend merchant ana ! unknown-subject",
        "mint 0 ana 1000 0\n run 0\n suspend member ana\n pay ana ben 1 ! suspended",
        "mint 0 ana 1000 0\n run 0\n suspend member ben\n pay ana ben 1\n = ben 1",
        "mint 0 ana 1000 0\n run 0\n suspend member ana\n activate member ana\n pay ana ben 1\n = ben 1",
        "mint 0 ana 1000 0\n run 0\n revoke member ana\n pay ana ben 1 ! revoked",
        "mint 0 ana 1000 0\n run 0\n revoke member ben\n pay ana ben 1 ! revoked",
        "revoke member ana\n mint 0 ana 1000 0\n run 0\n = ana 1000",
        "mint 0 ana 1000 0\n run 0\n pay ana ben 1001 ! insufficient-funds",
        "mint 0 nobody 1 0 ! unknown-account",
        "mint 0 ana 0 0 ! amount-zero",
        "mint 0 ana 0 5\n run 0\n = association 5",
        "mint 0 ana 1 0\n mint 0 ana 2 0 ! window-minted",
        "mint 0 ana 1 0\n mint 1 ben 2 0 ! window-mismatch",
        "mint 0 ana 1 0\n run 1 ! window-mismatch",
        "mint 0 ana 1 0\n run 0\n mint 0 ana 1 0 ! window-minted",
        "mint 1 ana 1 0\n run 1\n mint 0 ana 1 0 ! window-minted",
        "mint 0 ana 1 0\n pay ana ben 1 ! misplaced",
        "mint 0 ana 1 0\n policy ! misplaced",
        "run 0 ! run-range",
        f"mint 0 ana {INT64_MAX} 0\n run 0\n = ana {INT64_MAX}\n mint 1 ben 1 0\n run 1 ! overflow",
        f"mint 0 ana {INT64_MAX} 1 ! overflow",
        f"mint 0 ana {INT64_MAX} 0\n mint 0 ben 1 0 ! overflow",
        f"mint 0 ana {INT64_MAX} 0\n run 0\n pay ana ben {INT64_MAX}\n = ben {INT64_MAX}\n pay ben ana 1 ! overflow",
    ],
)
def test_line_when_it_is_the_last(write: Callable[[str], Any], lines: str) -> None:
    """Each story ends as its last line says."""
    write(START + lines)


def test_mint_when_no_policy_is_known(write: Callable[[str], Any]) -> None:
    """A run names a policy that the log holds."""
    write("admit ana\n mint 0 ana 1 0\n run 0 ! wrong-policy")


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"first": 3}, Refusal.RUN_RANGE),
        ({"count": 1}, Refusal.RUN_RANGE),
        ({"root": merkle.EMPTY_ROOT}, Refusal.RUN_ROOT),
        ({"energy_wh": 0}, Refusal.RUN_TOTAL),
        ({"total_mc": 1}, Refusal.RUN_TOTAL),
        ({"policy_sha256": bytes(32)}, Refusal.WRONG_POLICY),
        ({"window_end_s": testing.TIME_S + 1}, Refusal.WINDOW_MISMATCH),
    ],
)
def test_run_when_it_says_something_else(book: Any, changes: dict[str, object], refusal: Refusal) -> None:
    """A run that differs from its leaves in any field is refused, and the right one still fits."""
    book.write(START + "mint 0 ana 900 100\n mint 0 ben 5 0")
    assert book.put(book.run(0, **changes)) is refusal
    assert book.put(book.run(0)) is None


PAYMENT = Transfer(testing.ident("ana"), testing.ident("ben"), 1, "")
BACK = Transfer(testing.ident("ben"), testing.ident("ana"), 1, "")
FROM_ISSUANCE = Transfer(ISSUANCE, testing.ident("ben"), 1, "")
TO_ISSUANCE = Transfer(testing.ident("ana"), ISSUANCE, 1, "")
OTHER_GENESIS = bytes(32)
WEAK = bytes([1]) + bytes(31)


def admission(name: str, wallet: bytes) -> AdmitAccount:
    return AdmitAccount(Subject.MEMBER, testing.ident(name), wallet, bytes(32))


def admitted_as(name: str, *, key_of: str, by: str = "steward") -> bytes:
    """The admission of a member with somebody's key."""
    return testing.signed(admission(name, testing.key(key_of).public_key), by)


def approved(approver: str, about: Policy) -> bytes:
    """The village's policy, with an approval that was given for `about`."""
    entry = Entry(testing.ident("entry"), testing.TIME_S, testing.POLICY)
    other = Entry(testing.ident("entry"), testing.TIME_S, about)
    approval = other.approve(testing.key(approver), testing.GENESIS_SHA256)
    return entry.with_approvals(approval).sign(testing.key("steward"), testing.GENESIS_SHA256)


def wrong_purpose() -> bytes:
    """A transfer signed as if it were a policy."""
    payload = Entry(testing.ident("entry"), testing.TIME_S, PAYMENT).encode()
    return cose.sign1(payload, testing.key("ana"), cose.external_aad("policy", testing.GENESIS_SHA256))


REFUSED = {
    "genesis-again": (testing.GENESIS, Refusal.MISPLACED),
    "transfer-by-another-wallet": (testing.signed(PAYMENT, "ben"), Refusal.BAD_SIGNATURE),
    "transfer-for-another-ledger": (testing.signed(PAYMENT, "ana", genesis=OTHER_GENESIS), Refusal.BAD_SIGNATURE),
    "transfer-signed-as-policy": (wrong_purpose(), Refusal.BAD_SIGNATURE),
    "transfer-flipped": (testing.pay("ana", "ben", 1)[:-1] + b"\xff", Refusal.BAD_SIGNATURE),
    "from-issuance": (testing.signed(FROM_ISSUANCE, "ana"), Refusal.UNKNOWN_ACCOUNT),
    "to-issuance": (testing.signed(TO_ISSUANCE, "ana"), Refusal.UNKNOWN_ACCOUNT),
    "policy-by-one": (testing.signed(testing.POLICY, "steward", entry_id="policy 2"), Refusal.QUORUM_NOT_REACHED),
    "policy-by-one-twice": (
        testing.signed(testing.POLICY, "steward", "steward", entry_id="policy 2"),
        Refusal.QUORUM_NOT_REACHED,
    ),
    "policy-by-another-role": (
        testing.signed(testing.POLICY, "auditor", "steward", entry_id="policy 2"),
        Refusal.UNKNOWN_SIGNER,
    ),
    "policy-approved-by-another-role": (
        testing.signed(testing.POLICY, "steward", "auditor", entry_id="policy 2"),
        Refusal.UNKNOWN_SIGNER,
    ),
    "approval-of-something-else": (approved("townhall", Policy(bytes(32), 9, "")), Refusal.BAD_SIGNATURE),
    "policy-hash-of-another-text": (
        testing.signed(Policy(bytes(32), 2, "x"), "steward", "townhall"),
        Refusal.WRONG_POLICY,
    ),
    "policy-version-again": (
        testing.signed(testing.POLICY, "steward", "townhall", entry_id="2"),
        Refusal.WRONG_POLICY,
    ),
    "admission-by-a-member": (admitted_as("eve", key_of="eve", by="ana"), Refusal.UNKNOWN_SIGNER),
    "small-order-key": (testing.signed(admission("eve", WEAK), "steward"), Refusal.WEAK_KEY),
    "key-of-another-member": (admitted_as("eve", key_of="ana"), Refusal.DUPLICATE_KEY),
    "key-of-a-role": (admitted_as("eve", key_of="steward"), Refusal.DUPLICATE_KEY),
    "id-of-another-member": (admitted_as("ana", key_of="eve"), Refusal.DUPLICATE_SUBJECT),
    "id-of-the-association": (admitted_as("association", key_of="eve"), Refusal.DUPLICATE_SUBJECT),
    "device-at-a-member": (testing.device("meter", "ana"), Refusal.UNKNOWN_SUBJECT),
    "known-id": (testing.signed(BACK, "ben", entry_id="known"), Refusal.CONFLICT),
}


@pytest.mark.parametrize("name", REFUSED)
def test_entry_when_refused(book: Any, name: str) -> None:
    """The first check that fails is the answer, and the state is as before."""
    book.write(START + "mint 0 ana 900 100\n run 0")
    assert book.put(testing.signed(PAYMENT, "ana", entry_id="known")) is None
    before = book.state.digest()
    data, refusal = REFUSED[name]
    assert book.put(data) is refusal
    assert book.state.digest() == before


def test_run_when_signed_by_a_steward(book: Any) -> None:
    """Only the aggregator mints, whoever else holds a role."""
    book.write(START + "mint 0 ana 1 0")
    steward = testing.key("steward")
    payload = cose.parse1(book.run(0), size_max=65_535).payload
    aad = cose.external_aad("mint-run", testing.GENESIS_SHA256)
    assert book.put(cose.sign1(payload, steward, aad)) is Refusal.UNKNOWN_SIGNER


def genesis_with(**changes: Any) -> bytes:
    roles = changes.pop("roles", {role: [testing.key(role).public_key] for role in testing.ROLES})
    steward = testing.key(changes.pop("signer", "steward"))
    body = found.genesis_body(
        commune="testville", trial=False, origin=testing.ORIGIN, association=testing.ident("association"), roles=roles
    )
    return Entry(testing.ident("genesis"), testing.TIME_S, body).sign(steward)


def roles_with(**changes: list[bytes]) -> dict[str, list[bytes]]:
    return {role: [testing.key(role).public_key] for role in testing.ROLES} | changes


@pytest.mark.parametrize(
    ("data", "refusal"),
    [
        (testing.member("ana"), Refusal.MISPLACED),
        (genesis_with(signer="townhall"), Refusal.UNKNOWN_SIGNER),
        (genesis_with(signer="eve"), Refusal.UNKNOWN_SIGNER),
        (genesis_with()[:-1] + b"\xff", Refusal.BAD_SIGNATURE),
        (genesis_with(roles=roles_with(auditor=[WEAK])), Refusal.WEAK_KEY),
        (genesis_with(roles=roles_with(auditor=[testing.key("steward").public_key])), Refusal.DUPLICATE_KEY),
    ],
)
def test_first_entry_when_wrong(data: bytes, refusal: Refusal) -> None:
    """A log begins with a genesis entry that one of its own stewards signed, over sound and distinct keys."""

    assert rules.apply(State(), data, 0) is refusal


def test_digest_when_any_balance_differs(book: Any) -> None:
    """Two states are equal exactly when their digests are."""
    book.write(START + "mint 0 ana 900 100\n run 0")
    before = book.state.digest()
    book.write("pay ana ben 1")
    assert book.state.digest() != before


def test_registry_when_site_and_device_change(book: Any) -> None:
    """Settlement sees each device with its member's account and the worse of its own and its site's standing."""
    book.write(START + "site farm ana\n device meter farm\n suspend site farm")
    (row,) = book.state.admissions.devices()
    assert (row.device, row.account, row.status.name) == (testing.ident("meter"), testing.ident("ana"), "SUSPENDED")
    book.write("revoke device meter\n activate site farm")
    (row,) = book.state.admissions.devices()
    assert row.status.name == "REVOKED"
    snapshot = book.state.admissions.snapshot(book.state.size)
    assert snapshot.parse(snapshot.encode()) == snapshot


def test_kinds_when_named() -> None:
    """The names that signatures are bound to are those of docs/spec/entry.cddl."""
    names = "genesis admit status policy mint mint-run transfer rotate guard payment-request payment-answer"
    more = "top-up redeem credit-limit charge reverse hold release carry-forward"
    assert [kind.label for kind in Kind] == f"{names} {more}".split()
    assert [int(kind) for kind in Kind] == list(range(1, 20))
