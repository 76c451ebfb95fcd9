"""What the processes beside the ledger do (signatures.py): verify wallets' signatures, some hundred at a time.

They read this module when they start, and it reads nothing of the ledger: so they start five times as fast.
"""

from collections.abc import Sequence

from commonwatt import cose
from commonwatt.identity import KEY_SIZE


def verify(entries: Sequence[bytes], public_keys: bytes, aad: bytes) -> bytes:
    """One byte for each entry: 1 if its key, 32 bytes each, has signed it for this purpose. Their form is known."""
    keys = (public_keys[at : at + KEY_SIZE] for at in range(0, len(public_keys), KEY_SIZE))
    return bytes(map(cose.whole_verifier(aad), entries, keys))
