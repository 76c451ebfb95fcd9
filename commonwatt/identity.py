"""Ed25519 keys: made where they are used, named by a lookup hint, checked before anyone is admitted.

A key file holds the 32-byte seed as hex and a newline, mode 0600: whoever reads it can sign as its holder.
Signing and verifying is libsodium's (strict: non-canonical S and small-order points are refused).
"""

import hashlib
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

import nacl.bindings as sodium
from nacl.exceptions import BadSignatureError

from commonwatt.errors import UserError
from commonwatt.i18n import _

ID_SIZE = 16
KEY_SIZE = 32
SIGNATURE_SIZE = 64
HINT_SIZE = 8


def new_id() -> bytes:
    """A random 16-byte identifier of an account, member, device, site, gateway or entry."""
    return secrets.token_bytes(ID_SIZE)


def key_hint(public_key: bytes) -> bytes:
    """First 8 bytes of SHA-256(public key): the COSE `kid`, a lookup hint and never a proof."""
    return hashlib.sha256(public_key).digest()[:HINT_SIZE]


def is_valid_public_key(public_key: bytes) -> bool:
    """Whether a key may be admitted: 32 canonical bytes of a point of the main subgroup, not of small order."""
    return len(public_key) == KEY_SIZE and sodium.crypto_core_ed25519_is_valid_point(public_key)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An Ed25519 key pair. `repr` shows the public half only."""

    seed: bytes = field(repr=False)
    public_key: bytes
    _secret: bytes = field(repr=False)

    @classmethod
    def from_seed(cls, seed: bytes) -> "SigningKey":
        """The pair of a 32-byte seed (RFC 8032 §5.1.5)."""
        public_key, secret = sodium.crypto_sign_seed_keypair(seed)
        return cls(seed, public_key, secret)

    @classmethod
    def generate(cls) -> "SigningKey":
        """A fresh pair from the operating system's randomness."""
        return cls.from_seed(secrets.token_bytes(KEY_SIZE))

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature of `message`."""
        return sodium.crypto_sign(message, self._secret)[:SIGNATURE_SIZE]


def is_signed_by(public_key: bytes, signature: bytes, message: bytes) -> bool:
    """Whether `signature` (64 bytes) of `message` verifies under `public_key` by libsodium's strict rule."""
    try:
        sodium.crypto_sign_open(signature + message, public_key)
    except (BadSignatureError, ValueError):
        return False
    return True


def save_key(path: Path, key: SigningKey) -> None:
    """Write a new key file, durable and readable by its owner only; an existing file is never overwritten."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise UserError(_("a key is already here"), where=path, to_do=_("keep it, or move it away first")) from error
    with os.fdopen(handle, "w") as file:
        file.write(key.seed.hex() + "\n")
        file.flush()
        os.fsync(file.fileno())


def load_key(path: Path) -> SigningKey:
    """Read a key file; UserError says what is wrong with it."""
    try:
        seed = bytes.fromhex(path.read_text().strip())
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read a key: {error}", where=path, to_do="name the right key file") from error
    if len(seed) != KEY_SIZE:
        raise UserError(f"a key has {KEY_SIZE} bytes, this one {len(seed)}", where=path)
    return SigningKey.from_seed(seed)


def load_or_make_key(path: Path) -> SigningKey:
    """The key of `path`, made there on the first start."""
    if not path.exists():
        save_key(path, SigningKey.generate())
    return load_key(path)
