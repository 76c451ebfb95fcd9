"""The ledger's vectors hold: every accepted one is read and written again, every refused one for its own reason."""

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pycddl
import pytest

from commonwatt.errors import FormatError
from ledger.book import entry
from ledger.book.mint import Mint
from ledger.log import merkle, note
from ledger.log.checkpoint import open_checkpoint

ROOT = Path(__file__).parents[2]
VECTORS = ROOT / "tests" / "vectors"


def load(name: str) -> Any:
    return json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))


def cases(file: str, part: str) -> list[Any]:
    return [pytest.param(case, id=case["name"]) for case in load(file)[part]]


def maker() -> Any:
    spec = importlib.util.spec_from_file_location("make_ledger_vectors", VECTORS / "make_ledger_vectors.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("file", ["entry.json", "note.json", "merkle.json"])
def test_vectors_when_the_code_has_changed(file: str) -> None:
    """The committed vectors are what make_ledger_vectors.py writes."""
    module = maker()
    assert (VECTORS / file).read_text(encoding="utf-8") == module.spell(module.FILES[file]())


@pytest.mark.parametrize("case", cases("entry", "accepted"))
def test_entry_when_good(case: Any) -> None:
    """An entry of each kind is read, and its payload is written again byte for byte."""
    data, payload = bytes.fromhex(case["entry"]), bytes.fromhex(case["payload"])
    parsed = entry.parse(data)
    assert (parsed if isinstance(parsed, Mint) else parsed.entry).encode() == payload


# The rule of each body; of admissions the alternative, so that a validator's choice proves nothing by accident.
RULES = {
    "admit-member": "member",
    "admit-merchant": "member",
    "admit-association": "member",
    "admit-site": "site",
    "admit-device": "device",
    "admit-gateway": "gateway",
    "admit-witness": "witness",
    "admit-role": "role",
    "policy-with-approval": "policy",
    "transfer-of-hours": "transfer",
    "rotate-by-quorum": "rotate",
}


def entry_rules() -> str:
    """docs/spec/entry.cddl as this validator can read it.

    Names of array items mean nothing in CDDL, but it takes `status:` inside the rule `status` for the rule and
    overflows its stack.
    """
    text = (ROOT / "docs/spec/entry.cddl").read_text()
    text = re.sub(r";.*", "", text)
    return re.sub(r"\b[a-z_0-9-]+: ", "", text)


@pytest.mark.parametrize("case", cases("entry", "accepted"))
def test_entry_when_validated(case: Any) -> None:
    """A CDDL validator that is not ours accepts envelope, body and signature."""
    spec = entry_rules()
    payload = bytes.fromhex(case["payload"])
    name = case["name"]
    rule = "mint" if name == "mint" else "entry"
    pycddl.Schema(f"root = {rule}\n{spec}").validate_cbor(payload)
    if name == "mint":
        return
    body = RULES.get(name, name)
    typed = f"root = [1, uint, bstr, uint, {body}, [* bstr]]\n{spec}"
    pycddl.Schema(typed).validate_cbor(payload)
    pycddl.Schema("root = signed\n" + (ROOT / "docs/spec/cose.cddl").read_text()).validate_cbor(
        bytes.fromhex(case["entry"])
    )


@pytest.mark.parametrize("case", cases("entry", "refused"))
def test_entry_when_malformed(case: Any) -> None:
    """Bytes that are no entry are refused for the reason that the vector names."""
    with pytest.raises(FormatError) as caught:
        entry.parse(bytes.fromhex(case["entry"]))
    assert caught.value.reason == case["reason"]


def test_checkpoint_when_good() -> None:
    """A checkpoint of ours opens under its vkey."""
    vectors = load("note")
    (case,) = vectors["accepted"]
    head, _ = open_checkpoint(case["note"].encode(), note.parse_vkey(vectors["vkey"]))
    assert head.size == case["size"]


@pytest.mark.parametrize("case", cases("note", "refused"))
def test_checkpoint_when_wrong(case: Any) -> None:
    """A note that is no checkpoint of this log is refused for the reason that the vector names."""
    with pytest.raises(FormatError) as caught:
        open_checkpoint(case["note"].encode(), note.parse_vkey(load("note")["vkey"]))
    assert caught.value.reason == case["reason"]


def hashes(case: Any) -> list[bytes]:
    return [bytes.fromhex(item) for item in case["proof"]]


@pytest.mark.parametrize("case", cases("merkle", "inclusion"))
def test_inclusion_when_checked(case: Any) -> None:
    """Only the good proof shows that a leaf is in the tree."""
    root = bytes.fromhex(load("merkle")["root"])
    leaf = bytes.fromhex(case["leaf"])
    assert merkle.is_included(leaf, case["index"], case["size"], hashes(case), root) is case["good"]


@pytest.mark.parametrize("case", cases("merkle", "consistency"))
def test_consistency_when_checked(case: Any) -> None:
    """Only the good proofs show that a tree grew out of another."""
    root, old_root = bytes.fromhex(load("merkle")["root"]), bytes.fromhex(case["old_root"])
    assert merkle.is_consistent(case["old"], case["new"], hashes(case), old_root, root) is case["good"]
