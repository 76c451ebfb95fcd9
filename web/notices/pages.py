"""What somebody wants to be told, and where: a section of /me, the browser's subscription, and the end of letters."""

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response

from commonwatt.i18n import _
from web.door import Page
from web.looks import Looks, Words
from web.mail.postman import Postman
from web.me.sections import Section
from web.notices import choices
from web.notices.choices import Device
from web.notices.kinds import Kind, kinds_of, label
from web.notices.service import ENDPOINT_CHARS_MAX, PushService
from web.roles import EVERYBODY, SIGNED_IN
from web.spelling import unbase64
from web.store.file import WebStore
from web.visitor import Ask, Sorry

POINT_SIZE, AUTH_SIZE = 65, 16
"""Bytes of a browser's key and secret (RFC 8291)."""


class NoticePages:
    """Routes of this room."""

    def __init__(self, store: WebStore, looks: Looks, service: PushService, postman: Postman) -> None:
        self._store, self._looks, self._service, self._postman = store, looks, service, postman

    def pages(self) -> list[Page]:
        """Every address of notices."""
        return [
            Page("notices", "/me/notices", SIGNED_IN, post=self.switch),
            Page("push-device", "/me/push", SIGNED_IN, post=self.subscribe),
            Page("push-device-end", "/me/push/end", SIGNED_IN, post=self.end),
            Page("unsubscribe", "/unsubscribe/{token}", EVERYBODY, get=self.ask_to_end, post=self.end_letters),
        ]

    def section(self, ask: Ask, _words: Words) -> Section | None:
        """The switches on /me."""
        kinds = self._kinds(ask)
        if not kinds:
            return None
        assert ask.visitor.login is not None
        with self._store.transaction() as connection:
            off = choices.off(connection, ask.visitor.login.id)
            count = len(choices.devices(connection, ask.visitor.login.id))
        rows = [{"name": kind.value, "text": label(kind), "is_on": kind not in off} for kind in kinds]
        values = {"rows": rows, "devices": count, "key": self._service.public_key}
        return Section("notices", _("What I want to be told"), "me/notices.html", values)

    def switch(self, ask: Ask) -> Response:
        """Let those be told that are ticked."""
        assert ask.visitor.login is not None
        kinds = self._kinds(ask)
        with self._store.transaction() as connection:
            choices.switch(connection, ask.visitor.login.id, kinds, [kind for kind in kinds if kind in ask.form])
        return RedirectResponse("/me#notices", 303)

    def subscribe(self, ask: Ask) -> Response:
        """Tell this browser, too."""
        assert ask.visitor.login is not None
        device = Device(
            ask.text("endpoint", chars_max=ENDPOINT_CHARS_MAX),
            ask.text("p256dh", chars_max=100),
            ask.text("auth", chars_max=40),
        )
        sizes = len(unbase64(device.p256dh)), len(unbase64(device.auth))
        if not self._service.may_reach(device.endpoint) or sizes != (POINT_SIZE, AUTH_SIZE):
            raise Sorry(
                _("This browser’s push service is not known here."),
                _("Take another browser, or read your account here: nothing is lost."),
            )
        with self._store.transaction() as connection:
            choices.subscribe(connection, ask.visitor.login.id, device, now_s=ask.now_s)
        return JSONResponse({"next": "/me#notices"})

    def end(self, ask: Ask) -> Response:
        """Tell this browser no more: whoever is signed in there says so."""
        with self._store.transaction() as connection:
            choices.forget(connection, ask.text("endpoint", chars_max=ENDPOINT_CHARS_MAX))
        return JSONResponse({"next": "/me#notices"})

    def ask_to_end(self, ask: Ask) -> Response:
        """A button: programs that look at letters press none."""
        self._login_of(ask)
        return self._looks.answer(ask, "unsubscribe.html", lambda _words: {})

    def end_letters(self, ask: Ask) -> Response:
        """No letter of the month any more."""
        login = self._login_of(ask)
        with self._store.transaction() as connection:
            on = [kind for kind in Kind if kind not in choices.off(connection, login) and kind is not Kind.DIGEST]
            choices.switch(connection, login, Kind, on)
        return self._looks.said(
            ask, lambda: (_("You get no letter of the month any more."), _("Under “Me” you can have it again."))
        )

    def _login_of(self, ask: Ask) -> bytes:
        with self._store.transaction() as connection:
            found = choices.of_token(connection, ask.part("token"))
        if found is None:
            raise HTTPException(404)
        return found

    def _kinds(self, ask: Ask) -> list[Kind]:
        has_letters = self._postman.has_mail
        return [kind for kind in kinds_of(ask.visitor.role) if has_letters or kind is not Kind.DIGEST]
