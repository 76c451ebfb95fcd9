"""The door of every page: who comes, whether the page is theirs, and whether what they post comes from our own page.

Rooms declare their pages as `Page`s with the roles that may see them; nothing else is served.
"""

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from commonwatt.clock import CivilClock
from commonwatt.errors import UserError
from commonwatt.i18n import _, speaking
from web.book.books import Books
from web.identity import logins
from web.looks import Looks
from web.manners import language_of
from web.roles import Role, key_of, role_of
from web.store.file import WebStore
from web.visitor import Ask, Sorry, Visitor

COOKIE = "session"
FILES_MAX, FIELDS_MAX = 4, 100
BODY_SIZE_MAX = 6 * 1024 * 1024
"""What a form may bring with its files: a photograph of 5 MB and some words."""
DRAINED_SIZE_MAX = 128 * 1024 * 1024
"""So much of what is too large is read and thrown away: a browser hears no answer while it is still sending."""

Handler = Callable[[Ask], Response]


@dataclass(frozen=True, slots=True)
class Page:
    """An address and who may see it. `get` shows it, `post` does what its form asks for; both may read files and the
    database (they run in a thread)."""

    name: str
    path: str
    roles: frozenset[Role]
    get: Handler | None = None
    post: Handler | None = None

    @property
    def methods(self) -> list[str]:
        """Of HTTP."""
        return [method for method, handler in (("GET", self.get), ("POST", self.post)) if handler is not None]


class Door:
    """Makes routes of pages."""

    def __init__(self, *, store: WebStore, books: Books, looks: Looks, clock: CivilClock) -> None:
        self._store, self._books, self._looks, self._clock = store, books, looks, clock

    def route(self, page: Page) -> Route:
        """The page behind its door."""

        async def endpoint(request: Request) -> Response:
            return await self._let_in(page, request)

        return Route(page.path, endpoint, name=page.name, methods=page.methods)

    async def _let_in(self, page: Page, request: Request) -> Response:
        visitor = await run_in_threadpool(self.visitor, request)
        is_post = request.method == "POST"
        now_s = int(self._clock.now_s())
        if is_post and await _is_too_large(request):
            return self._sorry(Ask(request, visitor, language_of(request), now_s), _too_large, status=413)
        form, files = await _form(request) if is_post else ({}, {})
        ask = Ask(request, visitor, language_of(request), now_s, form, files)
        if visitor.role not in page.roles:
            return self._turn_away(ask)
        if is_post and not _is_ours(request, visitor, form):
            raise HTTPException(403)
        handler = page.post if is_post else page.get
        assert handler is not None
        answer = await run_in_threadpool(self._answer, handler, ask)
        if visitor.login is not None:
            answer.headers.setdefault("Cache-Control", "private, no-store")  # whatever it is, it is for them alone
        return answer

    def visitor(self, request: Request) -> Visitor:
        """Who a request's cookie belongs to, as the ledger knows them now."""
        token = request.cookies.get(COOKIE, "")
        if not token:
            return Visitor(Role.ANYBODY)
        with self._store.transaction() as connection:
            found = logins.of_session(connection, token, now_s=int(self._clock.now_s()))
        if found is None:
            return Visitor(Role.ANYBODY)
        with self._books.now() as book:
            role, key = role_of(book.state, found.subject), key_of(book.state, found.subject)
        return Visitor(role, found, logins.csrf_of(token), key or b"")

    def _answer(self, handler: Handler, ask: Ask) -> Response:
        """What a person did wrong is a sentence for them, not an error of ours."""
        with speaking(ask.language):
            try:
                return handler(ask)
            except UserError as error:
                if ask.request.method == "GET" and not isinstance(error, Sorry):
                    raise  # nobody asked for anything wrong: a file is
                said = error
        return self._sorry(ask, lambda: said)

    def _sorry(self, ask: Ask, make: Callable[[], UserError], *, status: int = 422) -> Response:
        """What `make` says in the visitor's language."""
        with speaking(ask.language):
            error = make()
            says, to_do = error.what, error.to_do or ""
        if ask.wants_json:
            return JSONResponse({"error": says, "to_do": to_do}, status)
        return self._looks.answer(ask, "said.html", lambda _words: {"says": says, "to_do": to_do}, status=status)

    def _turn_away(self, ask: Ask) -> Response:
        if ask.visitor.role is Role.ANYBODY:
            if ask.wants_json:
                with speaking(ask.language):
                    return JSONResponse({"error": _("You are not signed in any more."), "to_do": _("Sign in.")}, 401)
            there = ask.path if ask.request.method == "GET" else "/"
            return RedirectResponse(f"/enter?to={quote(there)}", 303)
        return self._looks.answer(ask, "forbidden.html", lambda _words: {}, status=403)


def set_session(answer: Response, ask: Ask, token: str) -> None:
    """Let the browser come back with a session's token: to us alone, and unseen by scripts."""
    is_secure = ask.request.url.scheme == "https"
    answer.set_cookie(COOKIE, token, max_age=logins.SESSION_S, httponly=True, samesite="lax", secure=is_secure)


def _too_large() -> Sorry:
    return Sorry(
        _("This file is too large."), _("At most 5 MB can be sent: take a smaller picture, or one of lower quality.")
    )


async def _is_too_large(request: Request) -> bool:
    """Whether a form says that it is larger than any of ours; it is then read to its end, and forgotten. Browsers
    always say it."""
    length = request.headers.get("content-length", "")
    if not length.isdigit():
        return True
    if int(length) <= BODY_SIZE_MAX:
        return False
    if int(length) <= DRAINED_SIZE_MAX:
        async for _chunk in request.stream():
            pass
    return True


async def _form(request: Request) -> tuple[dict[str, str], dict[str, bytes]]:
    """Texts and files of a posted form; the last one counts where a name comes twice."""
    texts: dict[str, str] = {}
    files: dict[str, bytes] = {}
    async with request.form(max_files=FILES_MAX, max_fields=FIELDS_MAX) as form:
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                files[name] = await value.read()
            else:
                texts[name] = value
    return texts, files


def _is_ours(request: Request, visitor: Visitor, form: dict[str, str]) -> bool:
    """Whether a post comes from a page of ours, in this very session."""
    origin = request.headers.get("origin", "")
    if origin and urlsplit(origin).netloc != request.headers.get("host", ""):
        return False
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    return visitor.login is None or form.get("csrf", "") == visitor.csrf
