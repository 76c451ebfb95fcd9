"""C2SP signed notes (https://c2sp.org/signed-note, v1.0.0): a text and lines of signatures below it.

solville.example/log
812
qINS1GRFhWHwdkUeqLEoP4yEMkTBBzxBkGwGQlVlVcs=

— solville.example/log Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
"""

import base64
import binascii
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from commonwatt.errors import FormatError
from commonwatt.identity import KEY_SIZE, SigningKey, is_signed_by, is_valid_public_key
from ledger.book.fields import require

NOTE_SIZE_MAX = 1_000_000
SIGNATURES_MAX = 100
KEY_ID_SIZE = 4
ED25519 = 1
_DASH = "— "


@dataclass(frozen=True, slots=True)
class Verifier:
    """Whose Ed25519 note signatures are known. Spelled `name+hex(key id)+base64(0x01 ‖ public key)` (a vkey)."""

    name: str
    public_key: bytes

    @property
    def key_id(self) -> bytes:
        """4 bytes that name the key beside its name."""
        tagged = self.name.encode() + b"\n" + bytes([ED25519]) + self.public_key
        return hashlib.sha256(tagged).digest()[:KEY_ID_SIZE]

    def __str__(self) -> str:
        key = base64.b64encode(bytes([ED25519]) + self.public_key).decode()
        return f"{self.name}+{self.key_id.hex()}+{key}"


@dataclass(frozen=True, slots=True)
class Signer:
    """A name and the key that signs notes under it."""

    name: str
    key: SigningKey = field(repr=False)

    @property
    def verifier(self) -> Verifier:
        """The public half."""
        return Verifier(self.name, self.key.public_key)


@dataclass(frozen=True, slots=True)
class SignatureLine:
    """One line below the text, as spelled."""

    name: str
    key_id: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """A parsed, not yet verified note. `text` ends in a line feed."""

    text: str
    signatures: tuple[SignatureLine, ...]

    def unknown(self, verifiers: Sequence[Verifier]) -> list[SignatureLine]:
        """The lines that none of the verifiers can judge."""
        known = {(verifier.name, verifier.key_id) for verifier in verifiers}
        return [line for line in self.signatures if (line.name, line.key_id) not in known]


def is_name(text: str) -> bool:
    """Whether a text may name a key, and so a log: C2SP's rule (no space, no plus), and no control character."""
    return bool(text) and "+" not in text and not any(c.isspace() or ord(c) < 0x20 or c == "\x7f" for c in text)


def parse_vkey(text: str) -> Verifier:
    """Read a vkey; FormatError if it is not an Ed25519 one whose parts agree."""
    parts = text.strip().split("+", 2)  # the base64 may contain further plus signs
    require(len(parts) == 3, "a vkey is name+id+key")
    name, key_id, key = parts
    data = decode_base64(key)
    require(len(data) == 1 + KEY_SIZE and data[0] == ED25519, "not an Ed25519 note key")
    require(is_name(name) and is_valid_public_key(data[1:]), "a vkey's name or key is not allowed")
    verifier = Verifier(name, data[1:])
    require(verifier.key_id.hex() == key_id, "a vkey's id is not its name's and key's")
    return verifier


def sign(text: str, signer: Signer) -> str:
    """The note with one signature. `text` ends in a line feed."""
    assert _is_text(text)
    signature = signer.key.sign(text.encode())
    return f"{text}\n{spell_line(SignatureLine(signer.name, signer.verifier.key_id, signature))}"


def spell_line(line: SignatureLine) -> str:
    """A signature line as it stands in a note, ended."""
    return f"{_DASH}{line.name} {base64.b64encode(line.key_id + line.signature).decode()}\n"


def parse_lines(text: str) -> tuple[SignatureLine, ...]:
    """Read signature lines that stand alone, as a witness answers them; FormatError "malformed"."""
    require(text.endswith("\n"), "the last line is not ended")
    lines = text[:-1].split("\n")
    require(len(lines) <= SIGNATURES_MAX, f"more than {SIGNATURES_MAX} signatures")
    return tuple(_parse_line(line) for line in lines)


def parse(data: bytes) -> Note:
    """Read a note strictly; FormatError "too-large" or "malformed"."""
    if len(data) > NOTE_SIZE_MAX:
        raise FormatError("too-large", f"{len(data)} bytes, at most {NOTE_SIZE_MAX} are read")
    try:
        whole = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatError("malformed", "a note is UTF-8") from error
    head, separator, tail = whole.rpartition("\n\n")
    require(bool(separator), "no empty line between text and signatures")
    text = head + "\n"
    require(_is_text(text), "a note has control characters or no text")
    return Note(text, parse_lines(tail))


def verify(note: Note, verifiers: Sequence[Verifier]) -> list[Verifier]:
    """Whose signatures the note carries, all of them good.

    FormatError "bad-signature" if a known key's signature fails or none is known: such a note says nothing.
    Lines of unknown keys are passed over, as C2SP asks; `Note.unknown` names them for who wants to be strict.
    """
    by_name = {(verifier.name, verifier.key_id): verifier for verifier in verifiers}
    signed: list[Verifier] = []
    for line in note.signatures:
        verifier = by_name.get((line.name, line.key_id))
        if verifier is None:
            continue
        if not is_signed_by(verifier.public_key, line.signature, note.text.encode()):
            raise FormatError("bad-signature", f"the signature of {line.name} does not verify")
        signed.append(verifier)
    if not signed:
        raise FormatError("bad-signature", "no signature of a known key")
    return signed


def _parse_line(line: str) -> SignatureLine:
    require(line.startswith(_DASH), "a signature line starts with a dash")
    name, separator, encoded = line[len(_DASH) :].partition(" ")
    require(is_name(name) and bool(separator), "a signature line has no name")
    data = decode_base64(encoded)
    require(len(data) >= KEY_ID_SIZE + 1, "a signature is too short")
    return SignatureLine(name, data[:KEY_ID_SIZE], data[KEY_ID_SIZE:])


def decode_base64(text: str) -> bytes:
    """Standard, padded base64 in its one spelling."""
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (ValueError, binascii.Error) as error:
        raise FormatError("malformed", "not base64") from error
    require(base64.b64encode(data).decode() == text, "base64 with stray bits")
    return data


def _is_text(text: str) -> bool:
    return text.endswith("\n") and not any(ord(char) < 0x20 and char != "\n" for char in text)
