"""How bytes travel between pages and browsers: base64url without padding; and keys as numbers that people compare."""

import base64
import binascii
import hashlib

from commonwatt.i18n import _
from web.visitor import Sorry


def base64url(data: bytes) -> str:
    """The text of bytes."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unbase64(text: str) -> bytes:
    """The bytes of a text. Sorry if it is none: a page of ours never sends such."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error) as error:
        raise Sorry(_("This page was not sent whole."), _("Load it again.")) from error


def number_of(public_key: bytes) -> str:
    """Twelve digits of a key, "1234 5678 9012": the same as static/wallet/code.js shows on the screen that has it."""
    digest = hashlib.sha256(b"commonwatt/v1/number" + public_key).digest()
    digits = f"{int.from_bytes(digest[:8]) % 10**12:012}"
    return f"{digits[:4]} {digits[4:8]} {digits[8:]}"
