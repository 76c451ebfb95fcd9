"""Letters: kept until a real SMTP server has taken them, tried again and again, dropped when worth nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from aiosmtpd.smtp import AuthResult, LoginPassword

from commonwatt.errors import UserError
from commonwatt.testing import ManualClock
from tests.web.post import Mailbox, serving_mail
from web.mail import letters
from web.mail.letters import RETRY_S, RETRY_S_MAX, Letter
from web.mail.postman import Postman
from web.mail.smtp import Smtp
from web.settings import WebSettings
from web.store.file import WebStore

URL = "https://pages.example"


def _smtp(port: int, **told: object) -> Smtp:
    settings = {"mail_host": "127.0.0.1", "mail_port": port, "mail_tls": "none", "mail_from": "hello@energy.example"}
    made = Smtp.of(WebSettings(**{**settings, "public_url": URL, **told}), "Énergie de Soleilhac")
    assert made is not None
    return made


@pytest.fixture
def store(tmp_path: Path) -> Iterator[WebStore]:
    store = WebStore(tmp_path)
    yield store
    store.close()


def _put(store: WebStore, clock: ManualClock, *wanted: Letter, for_s: int = letters.LETTER_S) -> None:
    with store.transaction() as connection:
        for one in wanted:
            letters.put(connection, one, now_s=int(clock.civil_s), for_s=for_s)


def _waiting(store: WebStore, clock: ManualClock) -> int:
    with store.transaction() as connection:
        return len(letters.due(connection, now_s=int(clock.civil_s) + RETRY_S_MAX, count_max=100))


def test_letter_when_it_is_sent(mailbox: Mailbox, store: WebStore) -> None:
    """It arrives whole, in any alphabet and without anybody's markup, says that a machine wrote it, and goes once."""
    clock = ManualClock()
    postman = Postman(store, _smtp(mailbox.port), clock=clock)
    _put(store, clock, Letter("zoé@exemple.fr".replace("é", "e"), "Déjà là", "Bonjour Zoé,\n\n…\n", f"{URL}/me"))
    assert (postman.step(), postman.step()) == (1, 0)
    (message,) = mailbox.taken
    assert (message["To"], message["Subject"]) == ("zoe@exemple.fr", "Déjà là")
    assert message["From"].addresses[0].display_name == "Énergie de Soleilhac"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["List-Unsubscribe"] == f"<{URL}/me>"
    assert message.get_content().split() == ["Bonjour", "Zoé,", "…"]
    assert message.get_content_type() == "text/plain"


def test_letter_when_the_server_is_away(mailbox: Mailbox, store: WebStore, tmp_path: Path) -> None:
    """It waits in web.db, longer each time, also over a restart, and goes out when the server is back."""
    clock = ManualClock()
    mailbox.stop()
    _put(store, clock, Letter("a@b.example", "One", "."), Letter("c@d.example", "Two", "."))
    assert Postman(store, _smtp(mailbox.port), clock=clock).step() == 0
    clock.advance(RETRY_S - 1)
    with store.transaction() as connection:
        assert letters.due(connection, now_s=int(clock.civil_s), count_max=9) == []
    mailbox.start()
    clock.advance(1)
    other = WebStore(tmp_path)
    assert Postman(other, _smtp(mailbox.port), clock=clock).step() == 2
    other.close()
    assert [message["Subject"] for message in mailbox.taken] == ["One", "Two"]


@pytest.mark.parametrize(
    ("answers", "is_kept"),
    [
        ({"to_recipient": "550 no such mailbox"}, False),
        ({"to_recipient": "450 later"}, True),
        ({"to_data": "554 we take no such thing"}, False),
        ({"to_data": "452 disk full"}, True),
    ],
)
def test_letter_when_the_server_refuses(mailbox: Mailbox, store: WebStore, caplog, answers, is_kept: bool) -> None:
    """For good: it is dropped; for now: it is tried again. The log names nobody, and the others still go."""
    clock = ManualClock()
    for name, answer in answers.items():
        setattr(mailbox, name, answer)
    _put(store, clock, Letter("nobody@nowhere.example", "One", "."))
    assert Postman(store, _smtp(mailbox.port), clock=clock).step() == 0
    assert _waiting(store, clock) == int(is_kept)
    assert "nobody" not in caplog.text
    assert "was not taken" in caplog.text


def test_letter_that_is_worth_nothing_any_more(mailbox: Mailbox, store: WebStore) -> None:
    """A link that is too old is not sent late."""
    clock = ManualClock()
    _put(store, clock, Letter("a@b.example", "Your link", "."), for_s=900)
    clock.advance(900)
    assert Postman(store, _smtp(mailbox.port), clock=clock).step() == 0
    assert (mailbox.taken, _waiting(store, clock)) == ([], 0)


def test_address_that_would_forge_a_header(mailbox: Mailbox, store: WebStore) -> None:
    """Line ends are no part of an address, and such a letter is never sent."""
    clock = ManualClock()
    assert not letters.is_address("a@b.example\r\nBcc: everybody@b.example")
    assert not letters.is_address("a@b.example, c@d.example")
    assert not letters.is_address("a" * 250 + "@b.example")
    assert letters.is_address("prénom.nom+énergie@b.example")
    _put(store, clock, Letter("a@b.example\nBcc: c@d.example", "x", "."), Letter("a@b.example", "x\ny", "."))
    assert Postman(store, _smtp(mailbox.port), clock=clock).step() == 0
    assert (mailbox.taken, _waiting(store, clock)) == ([], 0)


def test_postman_when_a_round_fails(mailbox: Mailbox, store: WebStore) -> None:
    """Another room's mistake keeps no letter back."""
    clock = ManualClock()

    def broken(_now_s: int) -> None:
        raise RuntimeError("oops")

    postman = Postman(store, _smtp(mailbox.port), clock=clock, rounds=[broken])
    _put(store, clock, Letter("a@b.example", "One", "."))
    assert postman.step() == 1
    assert len(mailbox.taken) == 1


def test_server_that_wants_a_password(store: WebStore, tmp_path: Path) -> None:
    """The password comes from its file; a wrong one lets letters wait, for that is the operator's mistake."""
    clock, path = ManualClock(), tmp_path / "password"

    def authenticate(_server, _session, _envelope, _mechanism, data: LoginPassword) -> AuthResult:
        return AuthResult(success=(data.login, data.password) == (b"us", b"right"), handled=False)

    with serving_mail(authenticator=authenticate, auth_require_tls=False) as mailbox:
        with pytest.raises(UserError, match="password"):
            _smtp(mailbox.port, mail_user="us", mail_password_file=path)
        _put(store, clock, Letter("a@b.example", "One", "."))
        for password, taken in (("wrong", 0), ("right", 1)):
            path.write_text(password + "\n")
            smtp = _smtp(mailbox.port, mail_user="us", mail_password_file=path)
            assert Postman(store, smtp, clock=clock).step() == taken
            clock.advance(RETRY_S)
    assert len(mailbox.taken) == 1


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"mail_host": "mail.example"}, "mail_from"),
        ({"mail_host": "mail.example", "mail_from": "a@b.example"}, "public_url"),
        ({"public_url": "energy.example"}, "https://HOST"),
        ({"public_url": "https://energy.example/pages"}, "nothing after"),
        ({"mail_user": "us"}, "go together"),
        (
            {
                "mail_host": "mail.example",
                "mail_from": "a@b.example",
                "public_url": URL,
                "mail_tls": "none",
                "mail_user": "us",
                "mail_password_file": "p",
            },
            "starttls",
        ),
    ],
)
def test_settings_of_mail_when_something_is_missing(told: dict[str, str], words: str) -> None:
    """The mistake is named before anything is sent."""
    with pytest.raises(ValueError, match=words):
        WebSettings(**told)
