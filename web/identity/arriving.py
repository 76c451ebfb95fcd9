"""A browser is signed in from now on, however its owner showed who they are."""

import sqlalchemy as sa
from starlette.responses import Response

from web.door import COOKIE, set_session
from web.identity import logins
from web.identity.browsers import name_of
from web.identity.logins import Login
from web.manners import remember_language
from web.visitor import Ask


def arrive(connection: sa.Connection, ask: Ask, who: Login, answer: Response) -> Response:
    """Give the browser a session of its own, and the language that its owner chose; whoever it was before is out."""
    logins.end_session(connection, ask.request.cookies.get(COOKIE, ""))
    browser = name_of(ask.request.headers.get("user-agent", ""))
    set_session(answer, ask, logins.open_session(connection, who, now_s=ask.now_s, browser=browser))
    if who.language:
        remember_language(answer, ask.request, who.language)
    return answer
