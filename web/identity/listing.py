"""Who may sign in, as lines of a command."""

from datetime import UTC, datetime

from commonwatt.i18n import _
from web.book.books import Books
from web.identity import logins
from web.identity.logins import SeenLogin
from web.phrases import of_role
from web.roles import Role, role_of
from web.store.file import WebStore


def people(books: Books, store: WebStore, *, now_s: int) -> list[str]:
    """One line for each, by name; times are UTC."""
    with store.transaction() as connection:
        found = logins.everybody(connection, now_s=now_s)
    with books.now() as book:
        roles = [role_of(book.state, seen.who.subject) for seen in found]
    return [_line(seen, role) for seen, role in zip(found, roles, strict=True)]


def _line(seen: SeenLogin, role: Role) -> str:
    words = [
        seen.who.name,
        of_role(role),
        seen.who.email or _("no address"),
        _("last seen {when}").format(when=_moment(seen.seen_s)) if seen.seen_s else _("signed in nowhere"),
        _("browsers: {count}").format(count=seen.browsers),
        _("passkeys: {count}").format(count=seen.passkeys),
    ]
    return ", ".join(words)


def _moment(time_s: int) -> str:
    return f"{datetime.fromtimestamp(time_s, UTC):%Y-%m-%d %H:%M}"
