"""A proof in one small file of CBOR, down to the signed reading: docs/spec/proof.cddl.

The same as a tlog-proof, and for a mint the opening of its commitment: one line with the device's signed block and
the device's admission (the short form, under 2.9 kB: it fits one QR code), or every line (the long form).

    [1, h'8c01…', 811, h'81…', h'736f…', [1, 3, h'77…', [h'5a…', h'de71…', …], h'd284…', h'd284…']]
"""

from dataclasses import dataclass
from typing import Any

from commonwatt import block, cbor
from commonwatt.errors import FormatError
from ledger.book import fields
from ledger.book.entry import SIZE_MAX as ENTRY_SIZE_MAX
from ledger.book.fields import require
from ledger.book.mint import Line
from ledger.log import merkle
from ledger.log.note import NOTE_SIZE_MAX
from ledger.proof.tlog_proof import HASHES_MAX, TlogProof

VERSION = 1
SHORT, LONG = 1, 2
QR_SIZE_MAX = 2_900
"""Bytes: a QR code of version 40 holds 2,953 at its lowest error correction."""
FILE_SIZE_MAX = 16_000_000
LINES_MAX = 100_000
ROTATIONS_MAX = 64
SUFFIX = ".proof"


Chain = tuple[bytes, ...]
"""A device's admission and the rotations of its key after it, as logged."""


@dataclass(frozen=True, slots=True)
class ShortOpening:
    """One line of a mint: its place among the lines and the way to `lines_root`; the block it names; who signed that.

    `admission`: the signed entry that admitted the device, then those that gave it another key, up to the one that
    signed the block: so that its key follows from the constitution.
    """

    position: int
    path: tuple[bytes, ...]
    line: Line
    block: bytes
    admission: Chain


@dataclass(frozen=True, slots=True)
class LongOpening:
    """Every line of a mint, every block that they name, the admission of every device that signed one."""

    lines: tuple[Line, ...]
    blocks: tuple[bytes, ...]
    admissions: tuple[Chain, ...]


Opening = ShortOpening | LongOpening


@dataclass(frozen=True, slots=True)
class ProofFile:
    """An entry as logged, the proof that it is there, and what stands behind it if it is a mint."""

    entry: bytes
    proof: TlogProof
    opening: Opening | None = None

    def encode(self) -> bytes:
        """The file."""
        path = b"".join(self.proof.hashes)
        opening = _opening_to_cbor(self.opening)
        return cbor.encode([VERSION, self.entry, self.proof.index, path, self.proof.checkpoint, opening])

    def tlog_proof(self) -> bytes:
        """The same for other people's tools, without the opening: C2SP tlog-proof with the entry as extra data."""
        return TlogProof(self.proof.index, self.proof.hashes, self.proof.checkpoint, self.entry).encode()


def parse(data: bytes) -> ProofFile:
    """Read a file strictly; FormatError "too-large", "malformed" or "not-canonical"."""
    value = cbor.decode(data, size_max=FILE_SIZE_MAX)
    version, entry, index, path, checkpoint, opening = fields.array(value, 6, "a proof")
    fields.uint(version, "version", least=VERSION, most=VERSION)
    proof = TlogProof(
        fields.uint(index, "index"),
        _hashes(path),
        _some_octets(checkpoint, "checkpoint", NOTE_SIZE_MAX),
    )
    return ProofFile(_some_octets(entry, "entry", ENTRY_SIZE_MAX), proof, _opening_from_cbor(opening))


def short(lines: tuple[Line, ...], position: int, signed_block: bytes, admission: Chain) -> ShortOpening:
    """Open one line of a mint; `lines`: all of it, in their order."""
    leaves = [merkle.leaf_hash(line.encode()) for line in lines]
    path = merkle.prove(leaves, merkle.inclusion_ranges(position, len(lines)))
    return ShortOpening(position, tuple(path), lines[position], signed_block, admission)


def _opening_to_cbor(opening: Opening | None) -> list[Any] | None:
    match opening:
        case ShortOpening(position, path, line, signed, admission):
            return [SHORT, position, b"".join(path), _line_to_cbor(line), signed, _chain_to_cbor(admission)]
        case LongOpening(lines, blocks, admissions):
            return [
                LONG,
                [_line_to_cbor(line) for line in lines],
                list(blocks),
                list(map(_chain_to_cbor, admissions)),
            ]
        case None:
            return None


def _opening_from_cbor(value: Any) -> Opening | None:
    if value is None:
        return None
    require(type(value) is list and len(value) > 0, "an opening is an array")
    if value[0] == LONG:
        _, lines, blocks, admissions = fields.array(value, 4, "a long opening")
        return LongOpening(
            tuple(_line_from_cbor(row) for row in fields.items(lines, "lines", count_max=LINES_MAX)),
            tuple(_block(row) for row in fields.items(blocks, "blocks", count_max=LINES_MAX)),
            tuple(map(_chain_from_cbor, fields.items(admissions, "admissions", count_max=LINES_MAX))),
        )
    kind, position, path, line, signed, admission = fields.array(value, 6, "a short opening")
    fields.uint(kind, "kind of opening", least=SHORT, most=SHORT)
    return ShortOpening(
        fields.uint(position, "position"),
        _hashes(path),
        _line_from_cbor(line),
        _block(signed),
        _chain_from_cbor(admission),
    )


def _chain_to_cbor(chain: Chain) -> bytes | list[bytes]:
    """A device whose key is still its first has no list: most proofs are small."""
    return chain[0] if len(chain) == 1 else list(chain)


def _chain_from_cbor(value: Any) -> Chain:
    if type(value) is bytes:
        return (_some_octets(value, "admission", ENTRY_SIZE_MAX),)
    rows = fields.items(value, "an admission with rotations", count_min=2, count_max=ROTATIONS_MAX + 1)
    return tuple(_some_octets(row, "admission", ENTRY_SIZE_MAX) for row in rows)


def _line_to_cbor(line: Line) -> list[Any]:
    span = [line.start_s, line.end_s, line.revision]
    return [line.salt, line.device, *span, line.energy_wh, line.amount_mc, line.block_sha256]


def _line_from_cbor(value: Any) -> Line:
    salt, device, start_s, end_s, revision, energy_wh, amount_mc, sha256 = fields.array(value, 8, "a line")
    return Line(
        fields.octets(salt, 16, "salt"),
        fields.identifier(device, "device"),
        fields.uint(start_s, "start_s"),
        fields.uint(end_s, "end_s", least=start_s + 1),
        fields.uint(revision, "revision"),
        fields.integer(energy_wh, "energy_wh"),
        fields.integer(amount_mc, "amount_mc"),
        fields.digest(sha256, "block_sha256"),
    )


def _hashes(value: Any) -> tuple[bytes, ...]:
    data = _some_octets(value, "hashes", HASHES_MAX * merkle.HASH_SIZE)
    require(len(data) % merkle.HASH_SIZE == 0, "the hashes end inside one")
    return tuple(data[i : i + merkle.HASH_SIZE] for i in range(0, len(data), merkle.HASH_SIZE))


def _block(value: Any) -> bytes:
    return _some_octets(value, "block", block.SIGNED_SIZE_MAX)


def _some_octets(value: Any, what: str, size_max: int) -> bytes:
    require(type(value) is bytes, f"{what} is not a byte string")
    if len(value) > size_max:
        raise FormatError("too-large", f"{what} has more than {size_max} bytes")
    return bytes(value)
