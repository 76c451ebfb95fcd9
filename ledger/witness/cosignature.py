"""C2SP cosignatures (https://c2sp.org/tlog-cosignature, v1.0.1): what a witness says about a checkpoint.

`cosignature/v1` Ed25519, type 0x04. The signed bytes are two lines and the checkpoint's whole text:

    cosignature/v1
    time 1721001600
    solville.example/log
    …

The signature in the note is the time (8 bytes, big-endian) and the 64 bytes of Ed25519. It means: at this time, this
was the largest consistent tree that the witness had seen of this log.
"""

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from commonwatt.errors import FormatError
from commonwatt.identity import KEY_SIZE, SIGNATURE_SIZE, SigningKey, is_signed_by, is_valid_public_key
from ledger.book.fields import require
from ledger.log import note
from ledger.log.note import Note, SignatureLine

COSIGNATURE = 4
_TIME_SIZE = 8


@dataclass(frozen=True, slots=True)
class Cosigner:
    """A witness's name and public key. Spelled as a vkey whose key begins with 0x04."""

    name: str
    public_key: bytes

    @property
    def key_id(self) -> bytes:
        """4 bytes that name the key beside its name; another type of key has another one."""
        tagged = self.name.encode() + b"\n" + bytes([COSIGNATURE]) + self.public_key
        return hashlib.sha256(tagged).digest()[: note.KEY_ID_SIZE]

    def __str__(self) -> str:
        key = base64.b64encode(bytes([COSIGNATURE]) + self.public_key).decode()
        return f"{self.name}+{self.key_id.hex()}+{key}"


@dataclass(frozen=True, slots=True)
class CosigningKey:
    """A witness's name and its own key: never the key of a log, of a role or of another witness."""

    name: str
    key: SigningKey = field(repr=False)

    @property
    def cosigner(self) -> Cosigner:
        """The public half."""
        return Cosigner(self.name, self.key.public_key)

    def cosign(self, text: str, time_s: int) -> str:
        """The signature line, ended, for the text of a checkpoint; `time_s`: Unix seconds, above 0."""
        assert time_s > 0
        signature = time_s.to_bytes(_TIME_SIZE, "big") + self.key.sign(_message(text, time_s))
        return note.spell_line(SignatureLine(self.name, self.cosigner.key_id, signature))


def parse_vkey(text: str) -> Cosigner:
    """Read a witness's vkey; FormatError if it is not an Ed25519 cosignature key whose parts agree."""
    parts = text.strip().split("+", 2)
    require(len(parts) == 3, "a vkey is name+id+key")
    name, key_id, key = parts
    data = note.decode_base64(key)
    require(len(data) == 1 + KEY_SIZE and data[0] == COSIGNATURE, "not an Ed25519 cosignature key")
    require(note.is_name(name) and is_valid_public_key(data[1:]), "a vkey's name or key is not allowed")
    cosigner = Cosigner(name, data[1:])
    require(cosigner.key_id.hex() == key_id, "a vkey's id is not its name's and key's")
    return cosigner


def times_s(signed: Note, cosigners: Iterable[Cosigner]) -> dict[Cosigner, int]:
    """Which of these witnesses cosigned, and when; unknown lines are passed over.

    FormatError "bad-signature" if the line of a known witness fails: such a note says nothing.
    """
    known = {(cosigner.name, cosigner.key_id): cosigner for cosigner in cosigners}
    found: dict[Cosigner, int] = {}
    for line in signed.signatures:
        cosigner = known.get((line.name, line.key_id))
        if cosigner is not None:
            found[cosigner] = _time_of(line, cosigner, signed.text)
    return found


def _time_of(line: SignatureLine, cosigner: Cosigner, text: str) -> int:
    time_s = int.from_bytes(line.signature[:_TIME_SIZE], "big")
    signature = line.signature[_TIME_SIZE:]
    is_good = len(signature) == SIGNATURE_SIZE and time_s > 0
    if not is_good or not is_signed_by(cosigner.public_key, signature, _message(text, time_s)):
        raise FormatError("bad-signature", f"the cosignature of {line.name} does not verify")
    return time_s


def _message(text: str, time_s: int) -> bytes:
    return f"cosignature/v1\ntime {time_s}\n{text}".encode()
