"""Time answers are what docs/spec/time.cddl says, by a validator that is not ours."""

import json
from pathlib import Path

import pycddl
import pytest

from commonwatt import cbor

ROOT = Path(__file__).parents[2]
VECTORS = json.loads((ROOT / "tests" / "vectors" / "time.json").read_text())
SCHEMA = pycddl.Schema("root = time-answer\n" + (ROOT / "docs" / "spec" / "time.cddl").read_text())


def test_payload_when_validated():
    """The specification accepts what the device believes, and not a shorter nonce."""
    SCHEMA.validate_cbor(bytes.fromhex(VECTORS["payload"]))
    with pytest.raises(pycddl.ValidationError):
        SCHEMA.validate_cbor(cbor.encode([1, bytes(15), VECTORS["time_s"]]))
