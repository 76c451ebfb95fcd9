"""Being told: real encrypted messages to a push service on a real socket, letters of the month, switches."""

import base64
import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlencode

import http_ece
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from aggregator.statements.statement import EVERYBODY, PEAK, Statement, Topic, reason_of
from aggregator.testing import TIME_S, ident, key
from commonwatt.identity import new_id
from commonwatt.registry import Status
from ledger import testing as book
from ledger.book.body import PaymentRequest, Rotate, SetStatus, role_key_id
from ledger.book.entry import Entry
from ledger.book.kinds import Subject
from ledger.book.units import Unit, account_in
from ledger.sequencer import Placed
from tests.web.conftest import Site
from tests.web.people import session
from web.door import COOKIE
from web.drafts import desk
from web.identity import logins
from web.mail import letters
from web.notices import choices
from web.notices.choices import Device
from web.notices.kinds import Kind
from web.notices.service import PushService
from web.notices.telling import Telling
from web.notices.waiting import Sending
from web.roles import Role

CONTACT = "mailto:town@example.org"
DAY_S = 86_400


@dataclass
class Phone:
    """A browser's side of a subscription: what decrypts."""

    key: Any = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    auth: bytes = b"0123456789abcdef"

    def device(self, endpoint: str) -> Device:
        point = self.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return Device(endpoint, _base64url(point), _base64url(self.auth))

    def read(self, body: bytes) -> dict[str, str]:
        return json.loads(http_ece.decrypt(body, private_key=self.key, auth_secret=self.auth, version="aes128gcm"))


@dataclass
class Carrier:
    """A push service on a socket: keeps what it is given. `status`: what it answers."""

    port: int = 0
    status: int = 201
    took: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)

    def endpoint(self, name: str) -> str:
        return f"http://localhost:{self.port}/{name}"


@contextmanager
def carrying() -> Iterator[Carrier]:
    carrier = Carrier()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            carrier.took.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            self.send_response(carrier.status)
            self.end_headers()

        def log_message(self, *_words: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        carrier.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield carrier
        server.shutdown()
        thread.join()


@dataclass
class Post:
    """The rounds of the postman by hand, at civil times of ours, to a carrier of ours."""

    living: Site
    carrier: Carrier
    service: PushService

    def step(self, now_s: int, *, url: str = "") -> None:
        parts = self.living.parts
        telling = next(work for work in parts.postman._rounds if isinstance(work, Telling))
        Telling(*(parts.store, parts.books, telling.home, parts.looks, parts.names, "Testville", url))(now_s)
        Sending(parts.store, self.service)(now_s)


@pytest.fixture
def post(living: Site) -> Iterator[Post]:
    with carrying() as carrier:
        service = PushService(living.directory, hosts=("localhost",), contact=CONTACT, schemes=("http",))
        post = Post(living, carrier, service)
        post.step(_now_s(living))
        yield post
        with living.parts.store.transaction() as connection:
            for login in choices.subscribed(connection):
                for device in choices.devices(connection, login):
                    choices.forget(connection, device.endpoint)


def _now_s(living: Site) -> int:
    return int(living.parts.wall.now_s())


def _login(living: Site, subject: bytes, language: str = "en", email: str = "") -> logins.Login:
    with living.parts.store.transaction() as connection:
        who = logins.add(connection, subject=subject, name="Ada", email=email or None, now_s=_now_s(living))
        logins.set_language(connection, who, language)
        if email:
            logins.set_email(connection, who, email)
    return who


def _subscribe(post: Post, who: logins.Login, name: str) -> Phone:
    phone = Phone()
    with post.living.parts.store.transaction() as connection:
        choices.subscribe(connection, who.id, phone.device(post.carrier.endpoint(name)), now_s=_now_s(post.living))
    return phone


def _enter(living: Site, *entries: bytes) -> None:
    assert all(isinstance(answer, Placed) for answer in living.parts.books.submit(*entries))


def test_payment_when_its_payee_is_told(living: Site, post: Post) -> None:
    """Encrypted for the browser alone, signed by our key; in the reader's language; once."""
    phone = _subscribe(post, _login(living, ident("baker"), "fr"), "baker")
    _enter(living, book.pay("home00", "baker", 10, "deux baguettes"))
    post.step(_now_s(living))
    ((path, headers, body),) = post.carrier.took
    told = phone.read(body)
    assert path == "/baker"
    assert told["title"] == "0,01 crédit de home00"
    assert told["body"] == "deux baguettes"
    assert told["path"].startswith("/movement/")
    assert b"baguettes" not in body
    assert headers["ttl"] == "86400"
    assert headers["authorization"].startswith("vapid t=")
    assert post.service.public_key in headers["authorization"]
    post.step(_now_s(living))
    assert len(post.carrier.took) == 1


def test_request_and_review_when_they_concern_somebody(living: Site, post: Post) -> None:
    """Who is asked hears of it, and who waits for a look; nobody else does."""
    ana, baker = (_login(living, ident(name)) for name in ("ana", "baker"))
    phones = {name: _subscribe(post, who, name) for name, who in (("ana", ana), ("baker", baker))}
    asks = book.signed(PaymentRequest(ident("baker"), ident("ana"), 1500, False, "bread"), "baker")
    with living.parts.books.now() as followed:
        standing = followed.state.admissions.by_id[ident("ana-main")].status
    review = SetStatus(Subject.DEVICE, ident("ana-main"), standing, f"release {TIME_S}: the meter was right")
    _enter(living, asks, Entry(new_id(), TIME_S, review).sign(key("steward"), book.GENESIS_SHA256))
    post.step(_now_s(living))
    assert [path for path, _headers, _body in post.carrier.took] == ["/ana", "/ana"]
    titles = {phones["ana"].read(body)["title"] for _path, _headers, body in post.carrier.took}
    assert titles == {"baker asks you for 1.5 credits", "A meter of yours was looked at: all is well"}


def test_request_when_it_is_of_another_unit(living: Site, post: Post) -> None:
    """It is told in that unit, by the constitution's own name for it."""
    phone = _subscribe(post, _login(living, ident("ana")), "ana")
    hearts = [account_in(ident(name), Unit.MUTUAL) for name in ("baker", "ana")]
    _enter(living, book.signed(PaymentRequest(hearts[0], hearts[1], 50, False, "jam"), "baker"))
    post.step(_now_s(living))
    assert [phone.read(body)["title"] for _path, _headers, body in post.carrier.took] == [
        "baker asks you for 0.05 heart"
    ]


def test_request_of_the_operator_that_somebody_else_signed(living: Site, post: Post) -> None:
    """Nobody is told of what the operator has not signed."""
    _subscribe(post, _login(living, ident("ana")), "ana")
    start_s = _now_s(living) // 900 * 900 + 86_400
    forged = Statement(Topic.REQUEST, PEAK, EVERYBODY, start_s, start_s + 3600).sign(key("ana"), book.GENESIS_SHA256)
    said = SetStatus(Subject.ASSOCIATION, ident("association"), Status.ACTIVE, reason_of(forged))
    _enter(living, Entry(new_id(), TIME_S, said).sign(key("steward"), book.GENESIS_SHA256))
    post.step(_now_s(living))
    assert post.carrier.took == []


def test_kind_when_switched_off(living: Site, post: Post) -> None:
    """It is not told, the others are."""
    who = _login(living, ident("baker"))
    _subscribe(post, who, "baker")
    with living.parts.store.transaction() as connection:
        choices.switch(connection, who.id, Kind, [kind for kind in Kind if kind is not Kind.PAID])
    _enter(living, book.pay("home00", "baker", 10, "quiet"))
    post.step(_now_s(living))
    assert post.carrier.took == []
    with living.parts.store.transaction() as connection:
        choices.switch(connection, who.id, Kind, Kind)


@pytest.mark.parametrize(
    ("status", "is_kept", "is_tried"), [(503, True, True), (429, True, True), (410, False, False), (413, True, False)]
)
def test_carrier_that_refuses(living: Site, post: Post, status: int, is_kept: bool, is_tried: bool) -> None:
    """A service in trouble is asked again later; a browser that is gone is forgotten; what is too much is dropped."""
    who = _login(living, ident("baker"))
    _subscribe(post, who, "baker")
    post.carrier.status = status
    _enter(living, book.pay("home00", "baker", 10, f"status {status}"))
    post.step(_now_s(living))
    with living.parts.store.transaction() as connection:
        assert bool(choices.devices(connection, who.id)) is is_kept
    post.carrier.status = 201
    post.step(_now_s(living))
    assert len(post.carrier.took) == 1
    post.step(_now_s(living) + 31)
    assert (len(post.carrier.took) == 2) is is_tried


def test_morning_when_something_was_earned(living: Site, post: Post) -> None:
    """At eight, once, in the words of the first page."""
    with living.parts.books.now() as followed:
        earner = next(name for name in ("home00", "home02", "home01") if followed.index.rows(ident(name)))
    phone = _subscribe(post, _login(living, ident(earner)), "earner")
    now_s = _now_s(living)
    morning_s = now_s - now_s % DAY_S + DAY_S + 7 * 3600  # nine in Paris
    post.step(morning_s - 3 * DAY_S)
    post.step(morning_s)
    told = [phone.read(body) for _path, _headers, body in post.carrier.took]
    assert all(row["title"] == "Yesterday" and row["body"].startswith("You earned") for row in told)
    post.step(morning_s + 60)
    assert len(post.carrier.took) == len(told) <= 1


def test_office_when_something_waits(living: Site, post: Post) -> None:
    """Who may sign hears that something waits; a member does not."""
    steward = _login(living, role_key_id(key("steward").public_key))
    member = _login(living, ident("home05"))
    phone = _subscribe(post, steward, "steward")
    _subscribe(post, member, "home05")

    entry = Entry(new_id(), _now_s(living), Rotate(Subject.MEMBER, ident("home05"), key("new").public_key))
    with living.parts.store.transaction() as connection:
        desk.propose(
            connection, entry, purpose="takeover", about=ident("home05"), proposed_by=None, now_s=_now_s(living)
        )
    post.step(_now_s(living) + 5)
    assert [phone.read(body)["path"] for _path, _headers, body in post.carrier.took] == ["/desk"]
    with living.parts.store.transaction() as connection:
        desk.end(connection, entry.id, "withdrawn")


def test_month_when_it_is_over(living: Site, post: Post) -> None:
    """A letter with its sums and a link that ends such letters; none for who wants none, nor for a quiet month."""

    _login(living, ident("baker"), "en", "baker@example.org")
    url = "https://town.example"
    _enter(living, book.pay("home00", "baker", 10, "before the month ends"))
    august_s = 1_722_470_400 + 12 * 3600  # 1 August 2024, noon
    post.step(august_s - 2 * DAY_S, url=url)
    post.step(august_s, url=url)
    post.step(august_s + 60, url=url)
    with living.parts.store.transaction() as connection:
        waiting = letters.due(connection, now_s=august_s + 60, count_max=50)
    (letter,) = [row.letter for row in waiting if row.letter.recipient == "baker@example.org"]
    assert letter.subject == "Your July 2024 in Testville"
    assert "Received: 0.0" in letter.text
    assert letter.unsubscribe_url.startswith(f"{url}/unsubscribe/")
    token = letter.unsubscribe_url.rpartition("/")[2]
    assert "letter of the month" in living.get(f"/unsubscribe/{token}", accept_language="en").text
    answer = _post(living, f"/unsubscribe/{token}", {}, cookie="")
    assert answer == 200
    with living.parts.store.transaction() as connection:
        found = choices.of_token(connection, token)
        assert found is not None
        assert choices.off(connection, found) == {Kind.DIGEST}


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://127.0.0.1/x",
        "http://fcm.googleapis.com/x",
        "https://fcm.googleapis.com.evil.example/x",
        "file:///x",
        "x" * 1001,
    ],
)
def test_subscription_that_leads_elsewhere(living: Site, endpoint: str) -> None:
    """A browser cannot make us ask any address but a push service's."""
    cookie = session(living, Role.RESIDENT)
    phone = Phone().device(endpoint)
    fields = {"endpoint": phone.endpoint, "p256dh": phone.p256dh, "auth": phone.auth}
    assert _post(living, "/me/push", fields, cookie=cookie) == 422


def test_worker_when_it_is_told(browser: Any, living: Site) -> None:
    """The page asks for leave; the service worker shows what comes and leads to it."""
    context = browser.new_context(permissions=["notifications"])
    context.add_cookies([{"name": COOKIE, "value": session(living, Role.RESIDENT), "url": living.url}])
    page = context.new_page()
    page.goto(living.url + "/me")
    page.wait_for_function(  # ready says "activating", and what is delivered to such a worker is lost
        "navigator.serviceWorker.ready.then((worker) => worker.active.state === 'activated')"
    )
    told = {"title": "1.5 credits from Ada", "body": "bread", "path": "/home", "tag": "entry-1", "lang": "en"}
    cdp = context.new_cdp_session(page)
    registrations: dict[str, str] = {}

    def note(event: dict[str, Any]) -> None:
        registrations.update({one["scopeURL"]: one["registrationId"] for one in event["registrations"]})

    cdp.on("ServiceWorker.workerRegistrationUpdated", note)
    cdp.send("ServiceWorker.enable")
    until_s = time.monotonic() + 30
    while living.url + "/" not in registrations and time.monotonic() < until_s:
        page.evaluate("new Promise((done) => setTimeout(done, 20))")
    number = registrations[living.url + "/"]
    cdp.send(
        "ServiceWorker.deliverPushMessage",
        {"origin": living.url, "registrationId": number, "data": json.dumps(told)},
    )
    shown = page.evaluate(
        """async () => {
          const worker = await navigator.serviceWorker.ready;
          for (let turn = 0; turn < 1500; turn++) {
            const [one] = await worker.getNotifications();
            if (one) return [one.title, one.body, one.data.path];
            await new Promise((done) => setTimeout(done, 20));
          }
        }"""
    )
    assert shown == ["1.5 credits from Ada", "bread", "/home"]
    assert page.locator("#push").is_visible()
    context.close()


def _post(living: Site, path: str, fields: dict[str, str], *, cookie: str) -> int:

    connection = http.client.HTTPConnection(living.host, living.port, timeout=20)
    headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
    if cookie:
        headers["cookie"] = f"{COOKIE}={cookie}"
        fields = {**fields, "csrf": logins.csrf_of(cookie)}
    try:
        connection.request("POST", path, body=urlencode(fields), headers=headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
