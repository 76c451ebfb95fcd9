"""What the processes beside the ledger do (signatures.py): verify wallets' signatures, some hundred at a time.

They read this module when they start, and it reads nothing of the ledger: so they start five times as fast.
"""

from collections.abc import Sequence

from commonwatt import cose


def verify(entries: Sequence[bytes], public_keys: Sequence[bytes], aad: bytes) -> bytes:
    """One byte for each entry: 1 if this key has signed it for this purpose. Their form was looked at already."""
    return bytes(map(cose.whole_verifier(aad), entries, public_keys))
