"""The CDDL files and the code say the same: a validator that is not ours accepts what our encoders write."""

import json
from pathlib import Path
from typing import Any

import pycddl
import pytest

ROOT = Path(__file__).parents[2]
VECTORS = ROOT / "tests" / "vectors"
SPEC = ROOT / "docs" / "spec"


def schema(file: str, rule: str) -> pycddl.Schema:
    """The rules of one file, with `rule` as the root."""
    return pycddl.Schema(f"root = {rule}\n" + (SPEC / file).read_text())


def accepted(name: str) -> list[Any]:
    cases = json.loads((VECTORS / f"{name}.json").read_text())["accepted"]
    return [pytest.param(case, id=case["name"]) for case in cases]


@pytest.mark.parametrize("case", accepted("block"))
def test_block_when_validated(case: Any) -> None:
    """Payload and signed block are what block.cddl and cose.cddl say."""
    schema("block.cddl", "block").validate_cbor(bytes.fromhex(case["payload"]))
    schema("cose.cddl", "signed").validate_cbor(bytes.fromhex(case["signed"]))


@pytest.mark.parametrize("case", accepted("transport"))
def test_transport_when_validated(case: Any) -> None:
    """Every message is what transport.cddl says."""
    schema("transport.cddl", case["name"].partition("-")[0]).validate_cbor(bytes.fromhex(case["payload"]))


@pytest.mark.parametrize(
    ("file", "rule", "data"),
    [
        ("transport.cddl", "ack", "8401075820" + "00" * 32 + "18c8"),
        ("transport.cddl", "receipt", "84011821581f" + "00" * 31 + "a0"),
        ("cose.cddl", "signed", "d28443a10127a10448000000000000000040583f" + "00" * 63),
    ],
)
def test_validator_when_something_is_wrong(file: str, rule: str, data: str) -> None:
    """The validator is not blind: another reason, a short hash, a short signature."""
    with pytest.raises(pycddl.ValidationError):
        schema(file, rule).validate_cbor(bytes.fromhex(data))
