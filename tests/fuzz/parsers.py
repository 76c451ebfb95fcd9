"""Every parser that meets bytes of strangers, with what must hold for any bytes, and examples to begin from.

A check returns whether the bytes were accepted. A parser refuses with a FormatError (or, for files that people write,
a UserError) and with nothing else; what it accepts is spelled in one way only, so that encoding gives the bytes back.
"""

import copy
import hashlib
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from commonwatt import block, cbor, cose
from commonwatt.block import Block, Channel
from commonwatt.clock import CivilClock
from commonwatt.errors import FormatError, UserError
from commonwatt.registry import Status
from ledger import testing
from ledger.audit import verify_since
from ledger.book import entry, mint, mint_arrays, rules, transfer_arrays
from ledger.book.body import Transfer
from ledger.book.entry import SignedEntry
from ledger.book.kinds import Subject
from ledger.book.mint import Line
from ledger.book.state import State
from ledger.http import rights
from ledger.log import checkpoint, merkle, note, tiles
from ledger.log.checkpoint import Checkpoint
from ledger.log.note import Signer
from ledger.log.tiles import TileName
from ledger.proof import file as proof_file
from ledger.proof import tlog_proof, trust
from ledger.proof.file import LongOpening, ProofFile
from ledger.proof.tlog_proof import TlogProof
from ledger.witness import client, cosignature, decide, policy
from ledger.witness.cosignature import CosigningKey

sys.path.insert(0, str(Path(__file__).parent))  # both the fuzzer and the tests read these files
import aggregator_parsers

LOG = Signer(testing.ORIGIN, testing.LOG_KEY)
WITNESS = CosigningKey("mairie.example/w", testing.key("witness"))
ROOT = merkle.leaf_hash(testing.GENESIS)
HEAD = Checkpoint(testing.ORIGIN, 1, ROOT)
SIGNED = HEAD.sign(LOG)
COSIGNED = SIGNED + WITNESS.cosign(HEAD.text(), testing.TIME_S).encode()
POLICY = f"log {LOG.verifier}\nwitness w {WITNESS.cosigner} http://w/\ngroup g 1 w\nquorum g\n"
LEAF = testing.earned("ana", 900, 100).encode()
PAID = testing.pay("ana", "ben", 5, "bread")
LEAF_BEN = testing.earned("ben", 2**40, 7, source=2).encode()


@dataclass(frozen=True)
class Parser:
    """One parser: what must hold, and bytes that it accepts."""

    check: Callable[[bytes], bool]
    examples: tuple[bytes, ...]


def _transfer_columns(data: bytes) -> bool:
    """What is read in columns, beside a neighbour, is what the general parser reads."""
    columns = transfer_arrays.parse([data, PAID])
    assert columns.rows.tolist() in ([0, 1], [1])
    if len(columns) == 1:
        return False
    signed = entry.parse(data)
    assert isinstance(signed, SignedEntry)
    body = signed.entry.body
    assert isinstance(body, Transfer)
    assert (columns.ids[0], columns.payers[0], columns.payees[0]) == (signed.entry.id, body.payer, body.payee)
    assert columns.amount_mc[0] == body.amount_mc
    return True


def _mint_columns(data: bytes) -> bool:
    """What is read in columns is what is read leaf by leaf, and of one window."""
    entries = tiles.parse_bundle(data)
    columns = mint_arrays.parse(entries)
    try:
        leaves = [mint.parse(leaf) for leaf in entries]
    except FormatError:
        leaves = []
    is_one_window = len({(leaf.window_start_s, leaf.window_end_s) for leaf in leaves}) == 1
    assert (columns is not None) == is_one_window
    assert columns is None or [columns.leaf(row) for row in range(len(columns))] == leaves
    return columns is not None


def _cbor(data: bytes) -> bool:
    assert cbor.encode(cbor.decode(data, size_max=entry.SIZE_MAX)) == data
    return True


def _cose(data: bytes) -> bool:
    message = cose.parse1(data, size_max=entry.SIZE_MAX)
    cbor.decode(data, size_max=entry.SIZE_MAX)  # what the fast path takes is also CBOR in its one spelling
    assert message.payload in data
    return True


def _entry(data: bytes) -> bool:
    parsed = entry.parse(data)
    if isinstance(parsed, SignedEntry):
        assert parsed.entry.encode() == parsed.message.payload
    else:
        assert parsed.encode() == data
    return True


def _payload(data: bytes) -> bool:
    """What is inside the signature: a fuzzer does not find the way in by itself."""
    return _entry(cose.sign1(data, testing.key("steward"), cose.external_aad("transfer", testing.GENESIS_SHA256)))


def _signed(data: bytes) -> bool:
    """A payload under a good signature, of the steward or of a wallet, meets the rules."""
    parsed = entry.parse(cose.sign1(data, testing.key("steward"), b""))
    assert isinstance(parsed, SignedEntry)
    aad = cose.external_aad(parsed.entry.kind.label, testing.GENESIS_SHA256)
    answers = [_rules(cose.sign1(data, testing.key(name), aad)) for name in ("steward", "ana")]
    return any(answers)


def _rules(data: bytes) -> bool:
    """What the log refuses leaves no trace, whatever it is."""
    state = copy.deepcopy(_FOUNDED)
    answer = rules.apply(state, data, state.size)
    rules.withdraw_stage(state)
    assert answer is state or state.digest() == _FOUNDED.digest()
    return answer is state


def _block(data: bytes) -> bool:
    block.parse(cose.parse1(data, size_max=block.SIGNED_SIZE_MAX).payload)
    return True


def _note(data: bytes) -> bool:
    parsed = note.parse(data)
    assert (parsed.text + "\n" + "".join(map(note.spell_line, parsed.signatures))).encode() == data
    return True


def _checkpoint(data: bytes) -> bool:
    head, _ = checkpoint.open_checkpoint(data, LOG.verifier)
    assert data.decode().startswith(head.text())
    return True


def _cosignature(data: bytes) -> bool:
    times_s = cosignature.times_s(note.parse(data), [WITNESS.cosigner])
    return bool(times_s)


def _vkey(data: bytes) -> bool:
    text = data.decode("utf-8", "replace")
    key = cosignature.parse_vkey(text) if "+B" in text else note.parse_vkey(text)
    assert str(key) == text.strip()
    return True


def _policy(data: bytes) -> bool:
    parsed = policy.parse(data.decode("utf-8", "replace"))
    assert parsed.is_met(parsed.cosigners) or parsed.quorum != policy.NONE
    return True


def _genesis(data: bytes) -> bool:
    founded = trust.found(data)
    assert founded.genesis_sha256 == entry.sha256(data)
    return True


def _request(data: bytes) -> bool:
    request = decide.parse_request(data)
    assert decide.encode_request(request.old, request.proof, data.partition(b"\n\n")[2]) == data
    known = decide.judge_log(request, [LOG.verifier])
    return known is None and decide.judge_growth(request, decide.Remembered(1, ROOT)).status is decide.Status.COSIGNED


def _answer(data: bytes) -> bool:
    text = data.decode("utf-8", "replace")
    if text[:1].isdigit():
        assert str(client.size_of(text)) == text.strip().lstrip("0") or not text.strip().strip("0")
    else:
        client.line_of(text, policy.Witness("w", WITNESS.cosigner), SIGNED)
    return True


def _tlog_proof(data: bytes) -> bool:
    proof = tlog_proof.parse(data)
    assert proof.encode() == data
    return True


def _proof_file(data: bytes) -> bool:
    proof = proof_file.parse(data)
    assert proof.encode() == data
    return True


def _tile(data: bytes) -> bool:
    assert b"".join(tiles.parse_tile(data)) == data
    return True


def _bundle(data: bytes) -> bool:
    assert tiles.encode_bundle(tiles.parse_bundle(data)) == data
    return True


def _path(data: bytes) -> bool:
    text = data.decode("utf-8", "replace")
    name = tiles.parse_path(text)
    assert name is None or name.path == text
    return name is not None


def _header(data: bytes) -> bool:
    text = data.decode("latin-1")
    rights.read_header(text, _FOUNDED, now_s=testing.TIME_S, method="GET", target="/v1/entries")
    return True


def _saved_audit(data: bytes) -> bool:
    """The checksum is made right: it stops accidents, not somebody who means it."""
    body = data[_CHECKSUM.stop :]
    verify_since.parse(data[: _CHECKSUM.start] + hashlib.sha256(body).digest() + body)
    return True


def _founded() -> State:
    state = rules.apply(State(), testing.GENESIS, 0)
    assert isinstance(state, State)
    for data in (testing.policy(), testing.member("ana"), testing.member("ben")):
        assert rules.apply(state, data, state.size) is state
    return state


def _header_example() -> bytes:
    return rights.sign_request(
        testing.key("steward"),
        testing.GENESIS_SHA256,
        time_s=testing.TIME_S,
        method="GET",
        target="/v1/entries",
    ).encode()


def _clock(data: bytes) -> bool:
    CivilClock.parse(data.decode("utf-8", "replace"))
    return True


def _saved_example() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "saved"
        verify_since.save(path, verify_since.Saved(SIGNED, _FOUNDED))
        return path.read_bytes()


def _block_example() -> bytes:
    channels = (Channel(1, 1_234_567, (120, 90)), Channel(2, 5, (1000, 2)))
    return Block(7, bytes(16), testing.TIME_S, 900, 0, channels).sign(testing.key("meter"))


_FOUNDED = _founded()
_CHECKSUM = slice(19, 19 + 32)
_LINES = tuple(
    Line(testing.ident(f"salt {i}"), testing.ident("meter"), testing.TIME_S, testing.TIME_S + 900, 0, 5, 5, bytes(32))
    for i in range(3)
)
_PROOF = TlogProof(0, (ROOT, ROOT), COSIGNED)
_SHORT = ProofFile(LEAF, _PROOF, proof_file.short(_LINES, 1, _block_example(), testing.member("ana")))
_LONG = ProofFile(LEAF, _PROOF, LongOpening(_LINES, (_block_example(),), (testing.member("ana"),)))
_ENTRIES = (
    *(testing.GENESIS, testing.policy(), testing.member("eve"), PAID, LEAF),
    *(testing.site("farm", "ana"), testing.gateway("gate"), testing.device("meter", "farm")),
    testing.status(Subject.MEMBER, "ana", Status.SUSPENDED, "asked"),
)


def _inside(signed: bytes) -> bytes:
    """The payload of a signed entry; a mint leaf has none."""
    return b"" if signed == LEAF else cose.parse1(signed, size_max=entry.SIZE_MAX).payload


PARSERS = {
    "plain-transfer": Parser(
        _transfer_columns, (testing.pay("ana", "ben", 7, "jam"), testing.pay("ana", "ben", 2**40))
    ),
    "mint-columns": Parser(_mint_columns, (tiles.encode_bundle([LEAF]), tiles.encode_bundle([LEAF, LEAF_BEN]))),
    "cbor": Parser(_cbor, (cbor.encode([1, -5, b"x", "é", None, True, {1: [2]}]), *_ENTRIES)),
    "cose": Parser(_cose, (_ENTRIES[0], _block_example())),
    "block": Parser(_block, (_block_example(),)),
    "entry": Parser(_entry, _ENTRIES),
    "rules": Parser(_rules, _ENTRIES[1:]),
    "payload": Parser(_payload, tuple(map(_inside, _ENTRIES[1:]))),
    "signed": Parser(_signed, tuple(map(_inside, _ENTRIES[1:]))),
    "genesis": Parser(_genesis, (testing.GENESIS,)),
    "note": Parser(_note, (SIGNED, COSIGNED)),
    "checkpoint": Parser(_checkpoint, (SIGNED, COSIGNED)),
    "cosignature": Parser(_cosignature, (COSIGNED,)),
    "vkey": Parser(_vkey, (str(LOG.verifier).encode(), str(WITNESS.cosigner).encode())),
    "tlog-policy": Parser(_policy, (POLICY.encode(), b"quorum none\n")),
    "tlog-proof": Parser(_tlog_proof, (_PROOF.encode(), _SHORT.tlog_proof())),
    "proof-file": Parser(_proof_file, (_SHORT.encode(), _LONG.encode(), ProofFile(LEAF, _PROOF).encode())),
    "witness-request": Parser(_request, (decide.encode_request(1, [], SIGNED), decide.encode_request(0, [], SIGNED))),
    "witness-answer": Parser(_answer, (b"812\n", WITNESS.cosign(HEAD.text(), testing.TIME_S).encode())),
    "tile": Parser(_tile, (ROOT, ROOT * 3)),
    "bundle": Parser(_bundle, (tiles.encode_bundle(_ENTRIES), b"\0\0")),
    "tile-path": Parser(_path, (b"tile/0/x001/234", b"tile/entries/000.p/17", TileName(63, 5).path.encode())),
    "request-header": Parser(_header, (_header_example(),)),
    "saved-audit": Parser(_saved_audit, (_saved_example(),)),
    "clock": Parser(_clock, (b"1721001600@1790000000.5x1440",)),
    **{name: Parser(check, examples) for name, (check, examples) in aggregator_parsers.PARSERS.items()},
}


def is_accepted(name: str, data: bytes) -> bool:
    """Whether a parser takes these bytes. Any failure but a refusal is raised: it is what a fuzzer looks for."""
    try:
        return PARSERS[name].check(data)
    except (FormatError, UserError):
        return False
