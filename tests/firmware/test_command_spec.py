"""Commands, manifests and claims are what docs/spec/command.cddl says, by a validator that is not ours."""

import json
from pathlib import Path

import pycddl
import pytest
from node.ed25519 import SigningKey
from node.provision import claim

from commonwatt import cose, device_label
from commonwatt.cbor import decode

ROOT = Path(__file__).parents[2]
VECTORS = json.loads((ROOT / "tests" / "vectors" / "command.json").read_text())
SPEC = (ROOT / "docs" / "spec" / "command.cddl").read_text()


def _is_valid(rule, payload):
    try:
        pycddl.Schema(f"root = {rule}\n{SPEC}").validate_cbor(bytes.fromhex(payload))
    except pycddl.ValidationError:
        return False
    return True


@pytest.mark.parametrize(("rule", "family"), [("command", "commands"), ("update", "updates")])
def test_payloads_when_validated(rule, family):
    """The specification accepts every payload that a device can read."""
    for vector in VECTORS[family]:
        if vector["answer"] not in (1, 2):
            assert _is_valid(rule, vector["payload"]), vector["name"]


def test_validator_when_something_is_wrong():
    """The validator is not blind: another action, a minute that no day has, another version."""
    wrong = {"malformed-action", "malformed-rule-minute", "malformed-rule-days", "malformed-version"}
    for rule, family in (("command", "commands"), ("update", "updates")):
        for vector in VECTORS[family]:
            if vector["name"] in wrong:
                wrong.discard(vector["name"])
                assert not _is_valid(rule, vector["payload"]), vector["name"]
    assert not wrong


def test_claim_when_the_label_says_the_same():
    """A device's claim is what the specification says, and its hash is the one the commune keeps of the label."""
    device = "ab" * 16
    signed = claim(SigningKey(bytes(32)), device, "4RT69KQ2XM", "cd" * 16)
    payload = cose.parse1(signed, size_max=512).payload
    assert _is_valid("claim", payload.hex())
    assert decode(payload, size_max=512)[4].hex() == device_label.claim_hash(bytes.fromhex(device), "4RT69KQ2XM")
