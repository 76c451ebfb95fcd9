"""What every answer does: nothing foreign runs, the reader's language is spoken, and nobody asks without end.

The rules are headers that browsers enforce: scripts of ours alone, no frame, and nothing from elsewhere.
"""

from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from commonwatt.i18n import LANGUAGES, preferred
from ledger.http.limits import RateLimit

LANGUAGE_COOKIE = "language"
_YEAR_S = 365 * 86_400

SECURITY = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; manifest-src 'self'; "
        "connect-src 'self'; worker-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "x-content-type-options": "nosniff",
    # With no-referrer, browsers send `Origin: null` with our own forms, and the door could not tell them apart.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


class Manners:
    """Around an application: security headers on every answer, and 429 for a client that is past its limit."""

    def __init__(self, app: ASGIApp, limit: RateLimit) -> None:
        self._app, self._limit = app, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def polite(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY.items():
                    headers[name] = value
            await send(message)

        # A page brings its stylesheet and modules along, which cost next to nothing: they are not counted.
        is_counted = not scope["path"].startswith("/static/")
        wait_s = self._limit.wait_s((scope["client"] or ("",))[0]) if is_counted else 0.0
        if wait_s > 0:
            seconds = str(int(wait_s) + 1)
            answer = PlainTextResponse("Too many requests. / Trop de requêtes.", 429, {"Retry-After": seconds})
            await answer(scope, receive, polite)
            return
        await self._app(scope, receive, polite)


def inside(path: str) -> str:
    """A path of these pages, or the first page: nobody is led elsewhere. Browsers drop tabs and line ends from an
    address and take \\ for /: none of them may be in it."""
    is_plain = path.isprintable() and "\\" not in path
    return path if is_plain and path.startswith("/") and not path.startswith("//") else "/"


def language_of(request: Request) -> str:
    """Which of LANGUAGES the reader chose, or the browser likes best."""
    chosen = request.query_params.get("lang") or _cookie(request.headers)
    return chosen if chosen in LANGUAGES else preferred(request.headers.get("accept-language", ""))


def remember_language(answer: Response, request: Request, chosen: str) -> None:
    """Let the browser come back with one of LANGUAGES."""
    is_secure = request.url.scheme == "https"
    answer.set_cookie(LANGUAGE_COOKIE, chosen, max_age=_YEAR_S, samesite="lax", secure=is_secure)


def _cookie(headers: Headers) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(LANGUAGE_COOKIE)
    except CookieError:
        return ""
    return found.value if found is not None else ""
