"""Write the shared vectors. The bytes come from our encoder; the tests hold both interpreters to them."""

import json
from pathlib import Path
from typing import Any

import cbor2

from commonwatt import block, cbor, cose
from commonwatt.asked import ASKED, ASKS_MAX, Ask, Asked, Requests
from commonwatt.block import Block, Channel
from commonwatt.identity import SigningKey
from commonwatt.refusal import Refusal
from commonwatt.registry import DeviceRecord, Snapshot, Status
from commonwatt.transport import Ack, Batch, Receipt, sha256

HERE = Path(__file__).parent
KEY = SigningKey.from_seed(bytes(range(32)))
GENESIS = sha256(b"the genesis of the vectors")
START_S = 1_721_001_600


def _json(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if isinstance(value, dict):
        return {"map": [[_json(key), _json(item)] for key, item in value.items()]}
    if isinstance(value, cbor2.CBORTag):
        return {"tag": [value.tag, _json(value.value)]}
    if isinstance(value, list):
        return [_json(item) for item in value]
    return value


def cbor_vectors() -> dict[str, Any]:
    """Values and their one spelling; spellings that are refused."""
    uints = [0, 23, 24, 255, 256, 65535, 65536, 2**32 - 1, 2**32, 2**63 - 1]
    values = {f"uint-{number}": number for number in uints} | {f"nint-{number}": -1 - number for number in uints}
    for size in (0, 1, 23, 24, 255, 256):
        values[f"bytes-{size}"] = b"\xa5" * size
        values[f"text-{size}"] = "w" * size
    values |= {
        "text-accents": "énergie 1 kWh → 1 crédit",
        "false": False,
        "true": True,
        "null": None,
        "array-empty": [],
        "array-24": list(range(24)),
        "map-empty": {},
        "map-sorted-by-bytes": {300: 1, 2: 2, 24: 3, 1: b"4"},
        "typed-array-uint16": cbor2.CBORTag(69, b"\x01\x00\xff\x01"),
        "nested": [1, [2, [3, {4: [b"5"]}]]],
    }
    refused = {
        "uint-not-shortest": ("1801", "not-canonical"),
        "bytes-length-not-shortest": ("580161", "not-canonical"),
        "array-length-not-shortest": ("980101", "not-canonical"),
        "array-indefinite": ("9f01ff", "not-canonical"),
        "bytes-indefinite": ("5f4101ff", "not-canonical"),
        "map-keys-out-of-order": ("a202010102", "not-canonical"),
        "map-key-twice": ("a201010102", "not-canonical"),
        "tag-number-not-shortest": ("d81200", "not-canonical"),
        "empty": ("", "malformed"),
        "truncated-array": ("8201", "malformed"),
        "truncated-bytes": ("4401", "malformed"),
        "trailing-byte": ("0000", "not-canonical"),
        "reserved-length": ("1c", "malformed"),
        "nested-too-deep": ("81" * 32 + "00", "malformed"),
    }
    return {
        "accepted": [{"name": n, "hex": cbor.encode(v).hex(), "value": _json(v)} for n, v in values.items()],
        "refused": [{"name": n, "hex": h, "reason": reason} for n, (h, reason) in refused.items()],
    }


def cose_vectors() -> dict[str, Any]:
    """Signed messages; others that must not be taken for them."""
    accepted = []
    for kind, genesis, size in [
        ("block", b"", 0),
        ("block", b"", 23),
        ("batch", GENESIS, 24),
        ("batch", GENESIS, 300),
    ]:
        payload = bytes(index % 251 for index in range(size))
        signed = cose.sign1(payload, KEY, cose.external_aad(kind, genesis))
        accepted.append({
            "name": f"{kind}-{size}",
            "kind": kind,
            "genesis": genesis.hex(),
            "payload": payload.hex(),
            "signed": signed.hex(),
        })  # fmt: skip
    good = cose.sign1(b"payload", KEY, cose.external_aad("block"))
    other_kind = cose.sign1(b"payload", KEY, cose.external_aad("batch", GENESIS))
    start = good.index(b"Gpayload")
    refused = {
        "signature-flipped": (good[:-1] + bytes([good[-1] ^ 1]), "bad-signature"),
        "payload-flipped": (good.replace(b"payload", b"pAyload"), "bad-signature"),
        "signed-for-another-kind": (other_kind, "bad-signature"),
        "untagged": (good[1:], "malformed"),
        "another-algorithm": (good.replace(bytes.fromhex("a10127"), bytes.fromhex("a10126")), "malformed"),
        "no-kid": (good[:5] + b"\xa0" + good[16:], "malformed"),
        "kid-too-short": (good[:9] + bytes.fromhex("47") + good[10:16] + good[17:], "malformed"),
        "payload-nil": (good[:start] + b"\xf6" + good[start + 8 :], "malformed"),
        "payload-length-not-shortest": (good[:start] + b"\x58\x07" + good[start + 1 :], "not-canonical"),
        "signature-short": (good[:-66] + b"\x58\x3f" + good[-64:-1], "malformed"),
        "trailing-byte": (good + b"\x00", "not-canonical"),
        "truncated": (good[:-1], "malformed"),
        "empty": (b"", "malformed"),
    }
    return {
        "seed": KEY.seed.hex(),
        "public_key": KEY.public_key.hex(),
        "accepted": accepted,
        "refused": [{"name": n, "signed": s.hex(), "reason": reason} for n, (s, reason) in refused.items()],
    }


def _blocks() -> dict[str, Block]:
    one = Block(0, bytes(16), START_S, 900, 0, (Channel(1, 1_234_567, (120, 118, 0, 255)),))
    prev = block.link(one.sign(KEY))
    return {
        "first-of-a-device": one,
        "two-registers-uint16": Block(
            1, prev, START_S + 3600, 900, 0, (Channel(1, 0, (256, 3)), Channel(2, 7, (0, 9)))
        ),
        "uint32-increment": Block(2, prev, START_S, 900, 0, (Channel(1, 5, (65536,)),)),
        "single-reading": Block(3, prev, START_S, 900, 1, (Channel(1, 99, ()),)),
        "fifteen-minutes": Block(4, prev, START_S, 60, 0, (Channel(1, 1, (2,) * 15), Channel(2, 3, (4,) * 15))),
        "all-flags-largest": Block(2**63 - 1, prev, START_S, 1, 7, (Channel(3, 2**63 - 2, (1,)),)),
    }


def block_vectors() -> dict[str, Any]:
    """Blocks with their signed bytes; payloads that are refused."""
    accepted = [
        {
            "name": name,
            "seq": b.seq,
            "prev": b.prev.hex(),
            "start_s": b.start_s,
            "step_s": b.step_s,
            "flags": b.flags,
            "channels": [[c.quantity, c.base_wh, list(c.increments_wh)] for c in b.channels],
            "payload": b.encode().hex(),
            "signed": b.sign(KEY).hex(),
            "link": block.link(b.sign(KEY)).hex(),
        }
        for name, b in _blocks().items()
    ]
    bytes_64 = cbor2.CBORTag(64, b"\x01")
    base: list[Any] = [1, 0, bytes(16), START_S, 900, 0, [[1, 5, bytes_64]]]

    def with_field(index: int, value: Any) -> bytes:
        return cbor.encode([*base[:index], value, *base[index + 1 :]])

    refused = {
        "version-2": (with_field(0, 2), "malformed"),
        "version-true": (with_field(0, True), "malformed"),
        "seq-negative": (with_field(1, -1), "malformed"),
        "seq-beyond-63-bits": (with_field(1, 2**63), "malformed"),
        "prev-15-bytes": (with_field(2, bytes(15)), "malformed"),
        "start-not-on-a-step": (with_field(3, START_S + 1), "malformed"),
        "step-does-not-divide-900": (with_field(4, 7), "malformed"),
        "step-zero": (with_field(4, 0), "malformed"),
        "step-1800": (with_field(4, 1800), "malformed"),
        "flags-unknown": (with_field(5, 8), "malformed"),
        "channels-none": (with_field(6, []), "malformed"),
        "channels-nine": (with_field(6, [[1, 5, bytes_64]] * 9), "malformed"),
        "quantities-descending": (with_field(6, [[2, 5, bytes_64], [1, 5, bytes_64]]), "malformed"),
        "quantity-twice": (with_field(6, [[1, 5, bytes_64], [1, 5, bytes_64]]), "malformed"),
        "quantity-unknown": (with_field(6, [[99, 5, bytes_64]]), "malformed"),
        "channels-differ-in-length": (with_field(6, [[1, 5, bytes_64], [2, 5, cbor2.CBORTag(64, b"")]]), "malformed"),
        "base-negative": (with_field(6, [[1, -5, bytes_64]]), "malformed"),
        "register-overflows": (with_field(6, [[1, 2**63 - 1, bytes_64]]), "malformed"),
        "increments-plain-array": (with_field(6, [[1, 5, [1]]]), "malformed"),
        "increments-big-endian": (with_field(6, [[1, 5, cbor2.CBORTag(65, b"\x01\x00")]]), "malformed"),
        "increments-torn": (with_field(6, [[1, 5, cbor2.CBORTag(69, b"\x01")]]), "malformed"),
        "increments-not-narrowest": (with_field(6, [[1, 5, cbor2.CBORTag(69, b"\x01\x00")]]), "not-canonical"),
        "increments-empty-as-uint16": (with_field(6, [[1, 5, cbor2.CBORTag(69, b"")]]), "not-canonical"),
        "eight-fields": (cbor.encode([*base, 0]), "malformed"),
        "a-number": (b"\x01", "malformed"),
        "a-map": (b"\xa0", "malformed"),
        "float-seq": (with_field(1, 0.5), "malformed"),
        "seq-not-shortest": (with_field(1, 5).replace(b"\x01\x05\x50", b"\x01\x18\x05\x50"), "not-canonical"),
        "too-large": (with_field(6, [[1, 5, cbor2.CBORTag(64, bytes(1100))]]), "too-large"),
    }
    return {
        "seed": KEY.seed.hex(),
        "accepted": accepted,
        "refused": [{"name": n, "payload": p.hex(), "reason": reason} for n, (p, reason) in refused.items()],
    }


def transport_vectors() -> dict[str, Any]:
    """Batches, receipts, acknowledgements, registries."""
    block_bytes = tuple(b.sign(KEY) for b in _blocks().values())
    digest = sha256(block_bytes[0])
    record = DeviceRecord(bytes(range(16)), KEY.public_key, Status.ACTIVE, 9000)
    accepted = {
        "batch": Batch(42, START_S, block_bytes[:2]).encode(),
        "receipt-all-accepted": Receipt(42, digest).encode(),
        "receipt-some-refused": Receipt(42, digest, {0: Refusal.TOO_LARGE, 300: Refusal.CONFLICT}).encode(),
        "ack": Ack(7, digest).encode(),
        "ack-refused": Ack(7, digest, Refusal.BAD_SIGNATURE).encode(),
        "registry": Snapshot.of(12, [record]).encode(),
        "registry-empty": Snapshot.of(0, []).encode(),
    }
    peak, surplus = Ask(START_S, START_S + 7200, is_peak=True), Ask(START_S + 7200, START_S + 9000, is_peak=False)
    asked = Asked(12, (peak, surplus))
    accepted |= {
        "asked": asked.encode(),
        "asked-nothing": Asked(12, ()).encode(),
        "asked-full": Asked(2**63 - 1, tuple(Ask(n, n + 1, n % 2 == 0) for n in range(ASKS_MAX))).encode(),
        "requests": Requests(12, b"\xd2", ((b"\xd3", (record.device,)),)).encode(),
        "requests-for-everybody": Requests(0, b"\xd2", ()).encode(),
    }
    refused = {
        **_wrong_asks(),
        "batch-empty": cbor.encode([1, 42, START_S, []]),
        "batch-block-is-text": cbor.encode([1, 42, START_S, ["block"]]),
        "receipt-short-hash": cbor.encode([1, 42, digest[:31], {}]),
        "receipt-unknown-reason": cbor.encode([1, 42, digest, {0: 99}]),
        "ack-version-2": cbor.encode([2, 7, digest, 0]),
        "ack-unknown-reason": cbor.encode([1, 7, digest, 200]),
        "registry-out-of-order": cbor.encode(
            [1, 0, [[b"\x02" * 16, KEY.public_key, 0, 1], [b"\x01" * 16, KEY.public_key, 0, 1]]]
        ),
        "registry-unknown-status": cbor.encode([1, 0, [[b"\x02" * 16, KEY.public_key, 9, 1]]]),
    }
    return {
        "accepted": [{"name": name, "payload": data.hex()} for name, data in accepted.items()],
        "refused": [{"name": name, "payload": data.hex(), "reason": "malformed"} for name, data in refused.items()],
    }


def _wrong_asks() -> dict[str, bytes]:
    hours, device = 3600, bytes(range(16))
    wrong = {
        "ends-before-it-begins": [[5, 4, 1]],
        "ends-as-it-begins": [[5, 5, 1]],
        "longer-than-twelve-hours": [[0, 12 * hours + 1, 1]],
        "of-a-third-kind": [[0, 1, 3]],
        "of-no-kind": [[0, 1, 0]],
        "kind-true": [[0, 1, True]],
        "start-negative": [[-1, 1, 1]],
        "end-beyond-63-bits": [[2**63 - 1, 2**63, 1]],
        "out-of-order": [[2, 3, 1], [1, 2, 1]],
        "twice": [[1, 2, 1], [1, 2, 1]],
        "two-fields": [[1, 2]],
        "too-many": [[n, n + 1, 1] for n in range(ASKS_MAX + 1)],
    }
    groups = {
        "group-of-nobody": [[b"\xd2", []]],
        "devices-out-of-order": [[b"\xd2", [bytes([1]) * 16, bytes(16)]]],
        "device-in-two-groups": [[b"\xd2", [device]], [b"\xd3", [device]]],
        "device-15-bytes": [[b"\xd2", [bytes(15)]]],
        "asked-as-text": [["asked", [device]]],
    }
    return {
        **{f"asked-{name}": cbor.encode([1, 12, asks]) for name, asks in wrong.items()},
        "asked-version-2": cbor.encode([2, 12, []]),
        "asked-three-fields-more": cbor.encode([1, 12, [], 0]),
        **{f"requests-{name}": cbor.encode([1, 12, b"\xd2", rows]) for name, rows in groups.items()},
        "requests-for-everybody-nothing": cbor.encode([1, 12, None, []]),
    }


def asked_vectors() -> dict[str, Any]:
    """What a device answers to what it is asked, when it knows what the log's first 12 entries say."""
    other = SigningKey.from_seed(bytes(range(1, 33)))
    peak, surplus = Ask(START_S, START_S + 7200, is_peak=True), Ask(START_S + 7200, START_S + 9000, is_peak=False)

    def said(name: str, answer: int, payload: bytes, **how: Any) -> dict[str, Any]:
        signed = cose.sign1(payload, how.get("key", KEY), cose.external_aad(*how.get("aad", (ASKED, GENESIS))))
        return {
            "name": name,
            "answer": answer,
            "payload": payload.hex(),
            "signed": how.get("spoil", bytes)(signed).hex(),
        }

    good = Asked(12, (peak, surplus)).encode()
    wrong = {name: data for name, data in _wrong_asks().items() if name.startswith("asked-")}
    asked = [
        said("two-windows", 0, good),
        said("nothing-any-more", 0, Asked(13, ()).encode()),
        said("sixteen-windows", 0, Asked(12, tuple(Ask(n, n + 1, n % 2 == 0) for n in range(ASKS_MAX))).encode()),
        said("too-large", 1, cbor.encode([1, 12, [[2**62, 2**62 + n, 1] for n in range(1, 40)]])),
        {"name": "malformed-not-cose", "answer": 2, "payload": "", "signed": "a0"},
        *(said(f"malformed-{name}", 2, data) for name, data in wrong.items()),
        said("unknown-key", 3, good, key=other),
        said("older", 4, Asked(11, (peak,)).encode()),
        said("bad-signature", 5, good, spoil=lambda signed: signed[:-1] + bytes([signed[-1] ^ 1])),
        said("bad-signature-other-commune", 5, good, aad=(ASKED, bytes(32))),
        said("bad-signature-other-kind", 5, good, aad=("command", GENESIS)),
    ]
    return {"public_key": KEY.public_key.hex(), "genesis": GENESIS.hex(), "start_s": START_S, "asked": asked}


def all_vectors() -> dict[str, str]:
    """File name → text of every file that this script writes."""
    made = {
        "cbor": cbor_vectors(),
        "cose": cose_vectors(),
        "block": block_vectors(),
        "transport": transport_vectors(),
        "asked": asked_vectors(),
    }
    return {f"{name}.json": json.dumps(content, indent=1) + "\n" for name, content in made.items()}


if __name__ == "__main__":
    for file_name, text in all_vectors().items():
        (HERE / file_name).write_text(text)
