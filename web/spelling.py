"""How bytes travel between pages and browsers: base64url without padding."""

import base64
import binascii

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
