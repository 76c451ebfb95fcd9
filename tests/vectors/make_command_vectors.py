"""Writes command.json: signed commands, updates and claims, named by what a device answers. Run from the root."""

import hashlib
import json
from pathlib import Path

from commonwatt import cbor, cose
from commonwatt.identity import SigningKey

KEY = SigningKey.from_seed(bytes([7]) * 32)
OTHER = SigningKey.from_seed(bytes([8]) * 32)
GENESIS = hashlib.sha256(b"a genesis entry").digest()
DEVICE = bytes(range(16))
IMAGE = bytes(range(256)) * 5


def command(name, answer, counter=5, action=(1, False), *, device=DEVICE, key=KEY, kind="command", genesis=GENESIS):
    """One signed command and the device's answer after it obeyed counter 4."""
    payload = cbor.encode([1, device, counter, action if isinstance(action, bytes) else list(action)])
    return _signed(name, answer, payload, key, kind, genesis)


def update(name, answer, number=8, board="esp32-plug", size=1280, *, key=KEY, kind="update", version=1):
    """One signed manifest and the answer of an esp32-plug with version 7 and 64 kB of room."""
    payload = cbor.encode([version, board, number, size, hashlib.sha256(IMAGE).digest()])
    return _signed(name, answer, payload, key, kind, GENESIS)


def _signed(name, answer, payload, key, kind, genesis):
    signed = cose.sign1(payload, key, cose.external_aad(kind, genesis))
    return {"name": name, "answer": answer, "payload": payload.hex(), "signed": signed.hex()}


def main() -> None:
    """Write the file beside this one."""
    relay = command("relay-off", 0)
    forged = bytes.fromhex(relay["signed"])[:-1] + b"\x00"
    rules = [[31, 360, True], [127, 1320, False]]
    commands = [
        relay,
        command("relay-on", 0, action=(1, True)),
        command("schedule", 0, action=(2, rules)),
        command("schedule-empty", 0, action=(2, [])),
        command("schedule-full", 0, action=(2, [[1, minute, True] for minute in range(16)])),
        command("too-large", 1, action=b"\x00" * 500),
        {"name": "malformed-not-cose", "answer": 2, "payload": "", "signed": "a0"},
        command("malformed-action", 2, action=(3, True)),
        command("malformed-relay-number", 2, action=(1, 1)),
        command("malformed-rule-minute", 2, action=(2, [[1, 1440, True]])),
        command("malformed-rule-days", 2, action=(2, [[0, 1, True]])),
        command("malformed-too-many-rules", 2, action=(2, [[1, minute, True] for minute in range(17)])),
        command("malformed-negative-counter", 2, counter=-1),
        command("unknown-key", 3, key=OTHER),
        command("wrong-device", 4, device=bytes(16)),
        command("replayed", 6, counter=4),
        command("stale", 7, counter=3),
        {**relay, "name": "bad-signature", "answer": 8, "signed": forged.hex()},
        command("bad-signature-other-commune", 8, genesis=bytes(32)),
        command("bad-signature-other-kind", 8, kind="update"),
    ]
    updates = [
        update("good", 0),
        update("too-large", 1, board="x" * 200),
        update("malformed-version", 2, version=2),
        update("unknown-key", 3, key=OTHER),
        update("wrong-board", 4, board="esp32c3-plug"),
        update("not-newer-same", 5, number=7),
        update("not-newer-older", 5, number=1),
        update("no-room", 7, size=64 * 1024 + 1),
        update("bad-signature-other-kind", 8, kind="command"),
    ]
    vectors = {
        "public_key": KEY.public_key.hex(),
        "genesis": GENESIS.hex(),
        "device": DEVICE.hex(),
        "image": IMAGE.hex(),
        "commands": commands,
        "updates": updates,
    }
    (Path(__file__).parent / "command.json").write_text(json.dumps(vectors, indent=1) + "\n")


if __name__ == "__main__":
    main()
