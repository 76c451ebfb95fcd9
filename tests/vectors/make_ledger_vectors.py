"""Write the ledger's vectors: entry.json, note.json and merkle.json. tests/ledger says when they are stale."""

import json
from pathlib import Path
from typing import Any

from commonwatt import cbor, cose
from commonwatt.registry import Status
from ledger import testing
from ledger.book.body import (
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
    TopUp,
    Transfer,
)
from ledger.book.kinds import Kind, Subject
from ledger.book.measures import Carried, Cause
from ledger.book.payments import Verdict
from ledger.book.units import Unit
from ledger.log import merkle, note
from ledger.log.checkpoint import Checkpoint
from ledger.log.note import Signer

HERE = Path(__file__).parent
SIGNER = Signer(testing.ORIGIN, testing.LOG_KEY)


def _payload(signed: bytes) -> bytes:
    return cose.parse1(signed, size_max=65_535).payload


def _resigned(value: Any, kind: str = "transfer") -> bytes:
    """Any payload under ana's good signature: what is wrong is the form alone."""
    aad = cose.external_aad(kind, testing.GENESIS_SHA256)
    return cose.sign1(cbor.encode(value), testing.key("ana"), aad)


def entry_vectors() -> dict[str, Any]:
    """One entry of each kind; entries that no parser may accept, named by the failure."""
    pay = testing.pay("ana", "ben", 1000, "two baguettes")
    run = MintRun(
        12, 1, merkle.leaf_hash(b"leaf"), 3120, 3120, testing.POLICY.sha256, testing.TIME_S, testing.TIME_S + 3600
    )
    accepted = {
        "genesis": testing.GENESIS,
        "admit-member": testing.member("ana"),
        "admit-merchant": testing.member("ben", Subject.MERCHANT),
        "admit-association": testing.member("association", Subject.ASSOCIATION),
        "admit-site": testing.site("farm", "ana"),
        "admit-device": testing.device("meter", "farm"),
        "admit-gateway": testing.gateway("gateway"),
        "status": testing.status(Subject.DEVICE, "meter", Status.REVOKED, "stolen"),
        "policy-with-approval": testing.policy(),
        "mint": testing.earned("ana", 2808, 312).encode(),
        "mint-run": testing.signed(run, "aggregator"),
        "transfer": pay,
        **_further_kinds(),
    }
    entry_id, time_s = testing.ident("entry"), testing.TIME_S
    body = Transfer(testing.ident("ana"), testing.ident("ben"), 1, "").to_cbor()
    leaf = testing.earned("ana", 1).encode()
    refused: dict[str, tuple[bytes, str]] = {
        "empty": (b"", "malformed"),
        "truncated": (pay[:-1], "malformed"),
        "trailing-byte": (pay + b"\x00", "not-canonical"),
        "larger-than-a-bundle-can-frame": (b"\xd2" + bytes(65_535), "too-large"),
        "version-2": (_resigned([2, 7, entry_id, time_s, body, []]), "malformed"),
        "kind-unknown": (_resigned([1, 99, entry_id, time_s, body, []]), "malformed"),
        "kind-mint-signed": (_resigned([1, 5, entry_id, time_s, body, []]), "malformed"),
        "id-15-bytes": (_resigned([1, 7, entry_id[:15], time_s, body, []]), "malformed"),
        "time-negative": (_resigned([1, 7, entry_id, -1, body, []]), "malformed"),
        "amount-negative": (_resigned([1, 7, entry_id, time_s, [*body[:2], -1, ""], []]), "malformed"),
        "amount-64-bits": (_resigned([1, 7, entry_id, time_s, [*body[:2], 2**63, ""], []]), "malformed"),
        "amount-true": (_resigned([1, 7, entry_id, time_s, [*body[:2], True, ""], []]), "malformed"),
        "memo-bytes": (_resigned([1, 7, entry_id, time_s, [*body[:3], b"memo"], []]), "malformed"),
        "memo-257-bytes": (_resigned([1, 7, entry_id, time_s, [*body[:3], "m" * 257], []]), "malformed"),
        "transfer-with-approval": (_resigned([1, 7, entry_id, time_s, body, [pay]]), "malformed"),
        "admit-subject-unknown": (_resigned([1, 2, entry_id, time_s, [7, entry_id], []], "admit"), "malformed"),
        "status-unknown": (_resigned([1, 3, entry_id, time_s, [1, entry_id, 3, ""], []], "status"), "malformed"),
        "body-one-field-more": (_resigned([1, 7, entry_id, time_s, [*body, 0], []]), "malformed"),
        **_further_refused(entry_id, time_s),
        "mint-truncated": (leaf[:-1], "malformed"),
        "mint-trailing-byte": (leaf + b"\x00", "not-canonical"),
        "mint-source-unknown": (
            leaf.replace(testing.ident("ana") + b"\x01", testing.ident("ana") + b"\x07"),
            "malformed",
        ),
        "mint-length-not-shortest": (b"\x98\x0c" + leaf[1:], "not-canonical"),
        "mint-257-bytes": (leaf + bytes(257 - len(leaf)), "too-large"),
    }
    return {
        "genesis_sha256": testing.GENESIS_SHA256.hex(),
        "accepted": [
            {"name": name, "entry": data.hex(), "payload": (data if data[0] != 0xD2 else _payload(data)).hex()}
            for name, data in accepted.items()
        ],
        "refused": [{"name": n, "entry": data.hex(), "reason": reason} for n, (data, reason) in refused.items()],
    }


def _further_kinds() -> dict[str, bytes]:
    """Kinds from 8 on, and what is said of accounts in other units."""
    ana, hours, euros = testing.ident("ana"), testing.account("ana:hours"), testing.account("shop:euro")
    window = (testing.TIME_S, testing.TIME_S + testing.WINDOW_S)
    guard = Guard(ana, 2, (testing.key("phone").public_key, testing.key("paper").public_key))
    carried = CarryForward(ana, ((812, 2), (901, 1)), (Carried(testing.ident("ben"), 7, 5000, 0, 0),), "asked for")
    return {
        "admit-witness": testing.witness("tower"),
        "admit-role": testing.role("clerk", "steward"),
        "transfer-of-hours": testing.pay("ana:hours", "ben:hours", 1000, "an hour of French"),
        "rotate": testing.rotation(Subject.MEMBER, ana, "ana2", "ana"),
        "rotate-by-quorum": testing.rotation(Subject.MEMBER, ana, "ana2", "steward", "townhall", name="lost"),
        "guard": testing.signed(guard, "ana"),
        "payment-request": testing.signed(PaymentRequest(testing.ident("ben"), ana, 1000, False, "bread"), "ben"),
        "payment-answer": testing.signed(PaymentAnswer(testing.entry_id("request"), Verdict.ACCEPT), "ana"),
        "top-up": testing.signed(TopUp(testing.account("ana:euro"), 20_000, 2000, "2024-07-15/3"), "steward"),
        "redeem": testing.signed(Redeem(euros, 50_000, 4850, "2024-07-31/1"), "shop", "steward"),
        "credit-limit": testing.signed(CreditLimit(hours, 8000, 12_000), "steward"),
        "charge": testing.signed(
            Charge(Cause.DEMURRAGE, Unit.MUTUAL, testing.POLICY.sha256, *window, 48_211), "steward", "townhall"
        ),
        "reverse": testing.signed(Reverse(testing.entry_id("twice"), 1000, "paid twice"), "steward", "townhall"),
        "hold": testing.signed(Hold(ana, 1, *window, 2808, "faster than the sun"), "steward"),
        "release": testing.signed(Release(testing.entry_id("hold"), True, "the meter was right"), "steward"),
        "carry-forward": testing.signed(carried, "steward", "townhall"),
    }


def _further_refused(entry_id: bytes, time_s: int) -> dict[str, tuple[bytes, str]]:
    """Bodies of those kinds that break their form, each in one place."""
    ana, ben, key = testing.ident("ana"), testing.ident("ben"), testing.key("ana2").public_key
    row = [ben, 0, 1, 0, 0]
    wrong: dict[str, tuple[Kind, list[Any]]] = {
        "account-in-energy-written-out": (Kind.TRANSFER, [ana + b"\x01", ben, 1, ""]),
        "account-in-unit-5": (Kind.TRANSFER, [ana + b"\x05", ben, 1, ""]),
        "account-18-bytes": (Kind.TRANSFER, [ana + b"\x02\x02", ben, 1, ""]),
        "rotate-subject-9": (Kind.ROTATE, [9, ana, key]),
        "rotate-key-31-bytes": (Kind.ROTATE, [1, ana, key[:31]]),
        "guard-key-twice": (Kind.GUARD, [ana, 1, [key, key]]),
        "guard-k-beyond-its-keys": (Kind.GUARD, [ana, 3, [key]]),
        "guard-k-zero": (Kind.GUARD, [ana, 0, [key]]),
        "guard-of-hours": (Kind.GUARD, [ana + b"\x04", 1, [key]]),
        "request-escrow-1": (Kind.PAYMENT_REQUEST, [ben, ana, 1, 1, ""]),
        "request-amount-negative": (Kind.PAYMENT_REQUEST, [ben, ana, -1, False, ""]),
        "answer-verdict-5": (Kind.PAYMENT_ANSWER, [entry_id, 5]),
        "top-up-cents-beyond-63-bits": (Kind.TOP_UP, [ana + b"\x02", 1, 2**63 // 10 + 1, ""]),
        "redeem-amount-negative": (Kind.REDEEM, [ana + b"\x02", -1, 1, ""]),
        "limit-soft-beyond-hard": (Kind.CREDIT_LIMIT, [ana + b"\x03", 2, 1]),
        "limit-64-bits": (Kind.CREDIT_LIMIT, [ana + b"\x03", 0, 2**63]),
        "charge-cause-4": (Kind.CHARGE, [4, 1, bytes(32), 0, 1, 0]),
        "charge-period-empty": (Kind.CHARGE, [1, 1, bytes(32), 1, 1, 0]),
        "reverse-reason-257-bytes": (Kind.REVERSE, [entry_id, 1, "r" * 257]),
        "hold-source-7": (Kind.HOLD, [ana, 7, 0, 1, 1, ""]),
        "hold-of-hours": (Kind.HOLD, [ana + b"\x04", 1, 0, 1, 1, ""]),
        "release-granted-1": (Kind.RELEASE, [entry_id, 1, ""]),
        "carry-forward-ranges-touch": (Kind.CARRY_FORWARD, [ana, [[1, 2], [3, 1]], [row], ""]),
        "carry-forward-erases-genesis": (Kind.CARRY_FORWARD, [ana, [[0, 1]], [row], ""]),
        "carry-forward-accounts-unsorted": (Kind.CARRY_FORWARD, [ana, [], [row, row], ""]),
        "witness-name-with-a-plus": (Kind.ADMIT, [7, ana, "a+b", key]),
        "role-unknown": (Kind.ADMIT, [8, ana, "mayor", key]),
    }
    return {
        name: (_resigned([1, int(kind), entry_id, time_s, body, []], kind.label), "malformed")
        for name, (kind, body) in wrong.items()
    }


def note_vectors() -> dict[str, Any]:
    """A checkpoint of ours; notes and checkpoints that must be refused, named by the failure."""
    good = Checkpoint(testing.ORIGIN, 812, merkle.leaf_hash(b"812")).sign(SIGNER).decode()
    text, _, line = good.partition("\n\n")
    origin, _, root = text.split("\n")
    other = Signer(testing.ORIGIN, testing.key("another log"))

    def signed(changed: str) -> str:
        return note.sign(changed, SIGNER)

    refused = {
        "no-signature": (text + "\n", "malformed"),
        "signature-flipped": (
            good.replace(line, line[:-10] + ("A" if line[-10] != "A" else "B") + line[-9:]),
            "bad-signature",
        ),
        "text-flipped": (good.replace("\n812\n", "\n813\n"), "bad-signature"),
        "key-unknown": (Checkpoint(origin, 812, bytes(32)).sign(other).decode(), "bad-signature"),
        "hyphen-for-dash": (good.replace("— ", "- "), "malformed"),
        "base64-stray-bits": (good[:-3] + "B=\n" if good[-3] != "B" else good[:-3] + "C=\n", "malformed"),
        "last-line-not-ended": (good[:-1], "malformed"),
        "carriage-returns": (good.replace("\n", "\r\n"), "malformed"),
        "size-leading-zero": (signed(f"{origin}\n0812\n{root}\n"), "malformed"),
        "size-negative": (signed(f"{origin}\n-1\n{root}\n"), "malformed"),
        "root-31-bytes": (signed(f"{origin}\n812\n{'A' * 41}=\n"), "malformed"),
        "extension-line": (signed(f"{origin}\n812\n{root}\nmore\n"), "malformed"),
        "origin-of-another-log": (signed(f"other.example/log\n812\n{root}\n"), "malformed"),
    }
    return {
        "vkey": str(SIGNER.verifier),
        "accepted": [{"name": "checkpoint", "note": good, "size": 812}],
        "refused": [{"name": n, "note": data, "reason": reason} for n, (data, reason) in refused.items()],
    }


def merkle_vectors() -> dict[str, Any]:
    """Proofs over a tree of 11 leaves that must not verify, named by the failure; and the good ones beside them."""
    leaves = [merkle.leaf_hash(bytes([number])) for number in range(11)]
    root, old_root = merkle.root(leaves), merkle.root(leaves[:6])
    path = merkle.prove(leaves, merkle.inclusion_ranges(6, 11))
    growth = merkle.prove(leaves, merkle.consistency_ranges(6, 11))
    inclusion = {
        "good": (leaves[6], 6, 11, path, True),
        "another-leaf": (leaves[5], 6, 11, path, False),
        "another-index": (leaves[6], 7, 11, path, False),
        "index-beyond": (leaves[6], 11, 11, path, False),
        "another-size": (leaves[6], 6, 7, path, False),
        "hash-missing": (leaves[6], 6, 11, path[:-1], False),
        "hash-too-many": (leaves[6], 6, 11, [*path, path[0]], False),
        "hashes-swapped": (leaves[6], 6, 11, [path[1], path[0], *path[2:]], False),
    }
    consistency = {
        "good": (6, 11, growth, old_root, True),
        "another-old-root": (6, 11, growth, root, False),
        "another-old-size": (5, 11, growth, old_root, False),
        "shrinking": (11, 6, growth, old_root, False),
        "proof-empty": (6, 11, [], old_root, False),
        "hash-missing": (6, 11, growth[:-1], old_root, False),
        "hash-too-many": (6, 11, [*growth, growth[0]], old_root, False),
        "equal-sizes-with-proof": (11, 11, growth, root, False),
        "equal-sizes": (11, 11, [], root, True),
        "from-empty": (0, 11, [], merkle.EMPTY_ROOT, True),
        "from-empty-with-another-root": (0, 11, [], old_root, False),
    }
    return {
        "root": root.hex(),
        "inclusion": [
            {
                "name": n,
                "leaf": leaf.hex(),
                "index": index,
                "size": size,
                "proof": [h.hex() for h in proof],
                "good": good,
            }
            for n, (leaf, index, size, proof, good) in inclusion.items()
        ],
        "consistency": [
            {"name": n, "old": old, "new": new, "proof": [h.hex() for h in proof], "old_root": r.hex(), "good": good}
            for n, (old, new, proof, r, good) in consistency.items()
        ],
    }


FILES = {"entry.json": entry_vectors, "note.json": note_vectors, "merkle.json": merkle_vectors}


def spell(vectors: dict[str, Any]) -> str:
    """The file's text."""
    return json.dumps(vectors, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for file, make in FILES.items():
        (HERE / file).write_text(spell(make()), encoding="utf-8")
