"""/me/export: ask for a copy of all one's data, and fetch it."""

from collections.abc import Iterator
from concurrent.futures import CancelledError

from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response, StreamingResponse

from commonwatt.i18n import _
from web.consent.export import KEPT_S, Copies, Copy
from web.door import Page
from web.looks import Looks
from web.roles import MEMBERS
from web.visitor import Ask, Sorry

_PIECE = 1 << 16


class ExportPages:
    """Routes of copies."""

    def __init__(self, copies: Copies, looks: Looks) -> None:
        self._copies, self._looks = copies, looks

    def pages(self) -> list[Page]:
        """Every address of it."""
        return [
            Page("export", "/me/export", MEMBERS, get=self.show, post=self.ask),
            Page("export-file", "/me/export/copy.zip", MEMBERS, get=self.file),
        ]

    def show(self, ask: Ask) -> Response:
        """Whether there is a copy, and the button that asks for one."""
        copy = self._copies.of(ask.visitor.subject, ask.now_s)
        size = _size(copy)
        is_made = copy is not None and not copy.done.done()
        values = {
            "size": size,
            "is_made": is_made,
            "has_failed": copy is not None and not is_made and size is None,
            "until_s": copy.asked_s + KEPT_S if copy is not None else 0,
        }
        headers = {"Refresh": "2"} if is_made else {}
        return self._looks.answer(ask, "consent/export.html", lambda _words: values, headers=headers)

    def ask(self, ask: Ask) -> Response:
        """Begin to make one."""
        assert ask.visitor.login is not None
        self._copies.ask(ask.visitor.subject, ask.visitor.login.name, ask.language, ask.now_s)
        return RedirectResponse("/me/export", 303)

    def file(self, ask: Ask) -> Response:
        """The copy itself."""
        copy = self._copies.of(ask.visitor.subject, ask.now_s)
        if copy is None:
            raise HTTPException(404)
        if _size(copy) is None:
            raise Sorry(_("Your copy is not there."), _("Go back and ask for it again."))
        headers = {
            "Content-Disposition": 'attachment; filename="my-data.zip"',
            "Content-Length": str(_size(copy)),
            "Cache-Control": "private, no-store",
        }
        return StreamingResponse(_pieces(copy), media_type="application/zip", headers=headers)


def _size(copy: Copy | None) -> int | None:
    """Of a copy that is there."""
    if copy is None or not copy.done.done():
        return None
    try:
        return copy.done.result() if copy.done.exception() is None else None
    except CancelledError:
        return None


def _pieces(copy: Copy) -> Iterator[bytes]:
    with copy.path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece
