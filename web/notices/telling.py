"""The postman's round that makes notices: it follows the log, says in the morning what was earned, writes the month's
letters, and tells offices what waits for them. How far it has come is kept, so that nothing is told twice."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import sqlalchemy as sa

from aggregator.statements.signers import Signers
from commonwatt.i18n import _, speaking
from ledger.book import entry
from ledger.book.entry import SignedEntry
from ledger.book.parties import parties
from ledger.book.units import Unit, account_in
from web.account.home import Home
from web.account.movements import start_of
from web.book.books import Books
from web.book.followed import FollowedBook
from web.drafts import desk
from web.identity import logins
from web.identity.logins import Login
from web.looks import Looks, Words
from web.mail import letters
from web.month import Month
from web.names import Names
from web.notices import choices, events, months, waiting
from web.notices.events import EVERYBODY, Event, Text
from web.notices.kinds import Kind, kinds_of
from web.notices.service import payload_of
from web.roles import key_of, role_of
from web.store.file import WebStore
from web.store.schema import draft as drafts
from web.store.schema import told
from web.units import names_of

ENTRIES_MAX = 2000
"""Of the log in one look, so that letters are not kept waiting after an outage."""
LANGUAGE = "fr"
"""Of who has chosen none."""
MORNING_H = 8
"""When people like to hear of yesterday, local time."""


@dataclass(frozen=True, slots=True)
class Telling:
    """`url`: where the pages are, for letters; "" where none are sent."""

    store: WebStore
    books: Books
    home: Home
    looks: Looks
    names: Names
    title: str
    url: str

    def __call__(self, now_s: int) -> None:
        """One look."""
        self._follow(now_s)
        self._tell_offices(now_s)
        local = datetime.fromtimestamp(now_s, UTC).astimezone(self.looks.zone)
        if local.hour >= MORNING_H:
            self._once("earned", local.date().toordinal(), lambda: self._tell_earned(now_s))
        last = local.date().replace(day=1) - timedelta(days=1)
        if local.hour >= MORNING_H and self.url:
            month = Month(last.year, last.month)
            self._once("digest", month.year * 12 + month.month, lambda: self._write_months(month, now_s))

    def _once(self, what: str, number: int, tell: Callable[[], None]) -> None:
        """Do it for this number unless it was done; the first time of all there is nothing to tell."""
        with self.store.transaction() as connection:
            before = _come_to(connection, what)
            if before is None or before < number:
                _go_to(connection, what, number)
        if before is not None and before < number:
            tell()

    def _follow(self, now_s: int) -> None:
        with self.store.transaction() as connection:
            first = _come_to(connection, "log")
        with self.books.now() as book:
            end = book.size if first is None else min(book.size, first + ENTRIES_MAX)
            found = list(_events(book, first, end, self.names.of)) if first is not None and first < end else []
        if first == end:
            return
        with self.store.transaction() as connection:
            for event in found:
                for who in self._told_of(connection, event.holder):
                    self._put(connection, who, event.kind, event.tag, event.write, now_s)
            _go_to(connection, "log", end)

    def _told_of(self, connection: sa.Connection, holder: bytes) -> Iterable[Login]:
        if holder != EVERYBODY:
            found = logins.of_subject(connection, holder)
            return [] if found is None else [found]
        return [who for who in _with_devices(connection) if Kind.PEAK in self._kinds(who)]

    def _tell_offices(self, now_s: int) -> None:
        """Drafts that were proposed before this second and not told yet."""
        with self.store.transaction() as connection:
            since_s = _come_to(connection, "desk")
            is_new = (drafts.c.proposed_s >= (since_s or 0)) & (drafts.c.proposed_s < now_s)
            any_new = connection.execute(sa.select(drafts.c.id).where(is_new, drafts.c.ended.is_(None))).first()
            if since_s is None or any_new is not None:
                _go_to(connection, "desk", now_s)
            if since_s is None or any_new is None:
                return
            found = [row for row in desk.waiting(connection) if since_s <= row.proposed_s < now_s]
            everybody = _with_devices(connection)
        for who in everybody:
            with self.books.now() as book:
                key = key_of(book.state, who.subject)
                is_asked = key is not None and any(desk.asks(book.state, row, key) for row in found)
            if is_asked and Kind.DESK in self._kinds(who):
                with self.store.transaction() as connection:
                    self._put(connection, who, Kind.DESK, "desk", _something_to_sign, now_s)

    def _tell_earned(self, now_s: int) -> None:
        with self.store.transaction() as connection:
            everybody = [who for who in _with_devices(connection) if Kind.EARNED in self._kinds(who)]
        for who in everybody:
            with speaking(who.language or LANGUAGE):
                said = self.home.earned_yesterday(who.subject, now_s, self.looks.words(who.language or LANGUAGE))
            if said:
                with self.store.transaction() as connection:
                    self._put(connection, who, Kind.EARNED, "earned", _yesterday(said), now_s)

    def _write_months(self, month: Month, now_s: int) -> None:
        with self.store.transaction() as connection:
            everybody = [row.who for row in logins.everybody(connection, now_s=now_s) if row.who.email]
        for who in everybody:
            if Kind.DIGEST not in self._kinds(who):
                continue
            about = self._month_of(who, month)
            if not about.is_quiet:
                self._write_month(who, about, now_s)

    def _month_of(self, who: Login, month: Month) -> months.MonthOf:
        start_s, end_s = (start_of(date(each.year, each.month, 1), self.looks.zone) for each in (month, month.next))
        with self.books.now() as book:
            rows = book.index.rows(who.subject, since_s=start_s, until_s=end_s)
            later = book.index.rows(who.subject, since_s=end_s)
            balance_mc = book.state.book.balance_mc(account_in(who.subject, Unit.ENERGY))
        after_mc = sum(row.amount_mc for row in later if row.unit is Unit.ENERGY)
        return months.MonthOf.of(month, rows, balance_mc - after_mc)

    def _write_month(self, who: Login, about: months.MonthOf, now_s: int) -> None:
        language = who.language or LANGUAGE
        with self.store.transaction() as connection, speaking(language):
            if Kind.DIGEST in choices.off(connection, who.id):
                return
            end_url = f"{self.url}/unsubscribe/{choices.unsubscribe_token(connection, who.id)}"
            words = self.looks.words(language)
            told_of = {"title": self.title, "url": self.url, "end_url": end_url}
            letters.put(connection, months.letter(who.email or "", who.name, about, words, **told_of), now_s=now_s)

    def _kinds(self, who: Login) -> Sequence[Kind]:
        with self.books.now() as book:
            return kinds_of(role_of(book.state, who.subject))

    def _put(
        self, connection: sa.Connection, who: Login, kind: Kind, tag: str, write: Callable[[Words], Text], now_s: int
    ) -> None:
        """Let each device of somebody be told, unless they have switched it off."""
        devices = choices.devices(connection, who.id)
        if not devices or kind in choices.off(connection, who.id):
            return
        language = who.language or LANGUAGE
        with speaking(language):
            text = write(self.looks.words(language))
        payload = payload_of(title=text.title, body=text.body, path=text.path, tag=tag, language=language)
        for device in devices:
            waiting.put(connection, device, payload, now_s=now_s)


def _events(book: FollowedBook, first: int, end: int, name: events.Name) -> Iterator[Event]:
    context = events.Context(name, book.find_body, Signers(book.state), names_of(book.state))
    for place, data in enumerate(book.entries(first, end), first):
        parsed = entry.parse(data) if data else None
        if isinstance(parsed, SignedEntry):
            concerned = parties(parsed, book.state, book.find_entry)
            yield from events.of_entry(place, parsed, concerned, context)


def _yesterday(said: str) -> Callable[[Words], Text]:
    return lambda _words: Text(_("Yesterday"), said, "/home")


def _something_to_sign(_words: Words) -> Text:
    return Text(_("Something waits for your signature"), _("Look at your desk."), "/desk")


def _with_devices(connection: sa.Connection) -> list[Login]:
    """Everybody who is told at once of anything."""
    found = (logins.of_id(connection, login) for login in choices.subscribed(connection))
    return [who for who in found if who is not None]


def _come_to(connection: sa.Connection, what: str) -> int | None:
    return connection.execute(sa.select(told.c.value).where(told.c.what == what)).scalar_one_or_none()


def _go_to(connection: sa.Connection, what: str, value: int) -> None:
    connection.execute(sa.delete(told).where(told.c.what == what))
    connection.execute(sa.insert(told).values(what=what, value=value))
