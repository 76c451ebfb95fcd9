"""Whether the person themselves is there, before something changes that a thief of a session would like to change.

A stolen cookie comes without the browser's key: so a browser that has the key signs this session's name with it, and
a browser that has none must have signed in just now.
"""

from commonwatt import cose
from commonwatt.errors import FormatError
from commonwatt.i18n import _
from web.book.books import Books
from web.door import COOKIE
from web.identity import logins
from web.roles import key_of
from web.spelling import unbase64
from web.store.file import WebStore
from web.visitor import Ask, Sorry

FRESH_S = 15 * 60
SIGNED_SIZE_MAX = 512


def check_presence(ask: Ask, store: WebStore, books: Books, genesis: bytes) -> None:
    """Sorry unless the post carries `presence` (static/wallet/presence.js), or the session is fresh."""
    if _is_signed(ask, books, genesis):
        return
    with store.transaction() as connection:
        began_s = logins.signed_in_s(connection, ask.request.cookies.get(COOKIE, ""))
    if ask.now_s - began_s > FRESH_S:
        raise Sorry(
            _("For this you have to have signed in within the last 15 minutes."),
            _("Sign out and in again, or use the browser that has your key."),
        )


def check_key(ask: Ask, books: Books, genesis: bytes) -> None:
    """Sorry unless the post carries `presence`: for what a fresh session alone may not do, for whoever reads
    somebody's letters has one."""
    if not _is_signed(ask, books, genesis):
        raise Sorry(
            _("Only the browser that has your key can change this."),
            _("Use the one in which you joined, or recover your account."),
        )


def _is_signed(ask: Ask, books: Books, genesis: bytes) -> bool:
    signed = ask.form.get("presence", "")
    if not signed:
        return False
    try:
        message = cose.parse1(unbase64(signed), size_max=SIGNED_SIZE_MAX)
    except FormatError:
        return False
    with books.now() as book:
        key = key_of(book.state, ask.visitor.subject)
    is_ours = message.payload == ask.visitor.csrf.encode()
    return is_ours and key is not None and message.is_signed_by(key, cose.external_aad("presence", genesis))
