"""What stands on a voucher, and what a shop signs with it. Pure. docs/decisions/0038-vouchers-on-paper.md

A voucher has a number, what it is worth, and a secret of 80 bits: "12-5-K7QD9M2FXX3BA1CZ". From all three together
follows an Ed25519 key; the store keeps its public half alone. The shop's browser signs with it, once, to whom the
voucher is to be paid:

    COSE_Sign1, "commonwatt/v1/voucher" and the genesis hash, payload [1, 12, h'ba4e…']
"""

import hashlib
import secrets
from dataclasses import dataclass

from commonwatt import cbor, cose
from commonwatt.errors import FormatError
from commonwatt.identity import ID_SIZE, SigningKey
from commonwatt.units import format_credits
from ledger.book import fields

VERSION = 1
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no I, L, O, U."""
SECRET_CHARS = 16
CLAIM_SIZE_MAX = 512
KIND = "voucher"
CONTEXT = b"commonwatt voucher"

COUNT_MAX = 16
"""Vouchers on one sheet of paper."""
FACE_MC_MAX = 20_000
"""What one is worth at most: what a finder, or a shop that takes a copy, can lose by it."""
OUT_MC_MAX = 100_000
"""What one member has on paper at most."""
OFFLINE_MC_MAX = 30_000
"""What a till takes without a connection at most, before it has to ask."""


@dataclass(frozen=True, slots=True)
class Voucher:
    """One voucher as kept. `sheet`: the id of the entry that paid for it; `public_key`: None until it is printed;
    `payee`: the shop that took it first."""

    number: int
    sheet: bytes
    member: bytes
    amount_mc: int
    public_key: bytes | None
    payee: bytes | None
    claimed_s: int | None

    @property
    def end_id(self) -> bytes:
        """The id of the entry that ends it, whoever it pays: so the ledger ends it once."""
        basis = self.public_key or self.sheet + self.number.to_bytes(8, "big")
        return hashlib.sha256(CONTEXT + basis).digest()[:ID_SIZE]


def new_secret() -> str:
    """Sixteen symbols."""
    return "".join(secrets.choice(ALPHABET) for _symbol in range(SECRET_CHARS))


def face(amount_mc: int) -> str:
    """The worth as it stands in a code: "5", "2.5"."""
    return format_credits(amount_mc).rstrip("0").rstrip(".")


def code(number: int, amount_mc: int, secret: str) -> str:
    """What is typed where no camera is."""
    return f"{number}-{face(amount_mc)}-{secret}"


def key_of(code: str, genesis: bytes) -> SigningKey:
    """The key of a code in one ledger. static/vouchers/paper.js derives the same."""
    return SigningKey.from_seed(hashlib.sha256(CONTEXT + genesis + code.encode()).digest())


def claim(number: int, payee: bytes, key: SigningKey, genesis: bytes) -> bytes:
    """What a shop's browser sends: pay this voucher to me."""
    payload = cbor.encode([VERSION, number, payee])
    return cose.sign1(payload, key, cose.external_aad(KIND, genesis))


def payee_of(claim: bytes, voucher: Voucher, genesis: bytes) -> bytes | None:
    """Whom a claim says to pay; None if it is not one of this voucher."""
    if voucher.public_key is None:
        return None
    try:
        message = cose.parse1(claim, size_max=CLAIM_SIZE_MAX)
        _version, number, payee = fields.array(cbor.decode(message.payload, size_max=CLAIM_SIZE_MAX), 3, "a claim")
        fields.identifier(payee, "payee")
    except FormatError:
        return None
    is_it = number == voucher.number and message.is_signed_by(voucher.public_key, cose.external_aad(KIND, genesis))
    return payee if is_it else None
