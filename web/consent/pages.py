"""/me/consent: each purpose, its last day, and its story."""

from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from starlette.responses import RedirectResponse, Response

from aggregator.commune.attributes import OWN_DASHBOARD, Purpose
from aggregator.earning.local_time import day_of
from aggregator.people import consents
from aggregator.private.person import Person
from aggregator.private.store import PrivateStore
from commonwatt.i18n import _
from web.door import Page
from web.looks import Looks, Words
from web.me.sections import Link, Section, links
from web.names import Names
from web.roles import Role
from web.visitor import Ask, Sorry

RESIDENTS = frozenset((Role.RESIDENT,))
YEAR_DAYS = 365


class ConsentPages:
    """Routes of consents, and the section of /me that leads to this room."""

    def __init__(self, names: Names, looks: Looks, zone: ZoneInfo) -> None:
        self._names, self._looks, self._zone = names, looks, zone

    def pages(self) -> list[Page]:
        """Every address of it."""
        return [Page("consent", "/me/consent", RESIDENTS, get=self.show, post=self.change)]

    def section(self, ask: Ask, words: Words) -> Section | None:
        """On /me: what ends soon stands there."""
        if ask.visitor.role is not Role.RESIDENT:
            return None
        given = consents.given(self._names.now(), ask.visitor.subject)
        soon = consents.ending(given, self._today(ask))
        note = _("{count} of them ends soon").format(count=len(soon)) if soon else ""
        return links(
            "data",
            _("Your data"),
            Link("/me/consent", _("What you agree to"), note),
            Link("/me/export", _("A copy of all your data")),
            Link("/me/erase", _("Erase me")),
        )

    def show(self, ask: Ask) -> Response:
        """What each purpose is for, and until when it is agreed to."""
        return self._looks.answer(ask, "consent/consents.html", lambda words: self._values(ask, words))

    def change(self, ask: Ask) -> Response:
        """Agree, renew or take back, in one gesture."""
        purpose = _purpose(ask.text("purpose"))
        store = PrivateStore(self._names.path)
        last = None if ask.text("act") == "withdraw" else self._last(ask)
        if consents.give(store, _member(store, ask), purpose, last, at_s=ask.now_s):
            store.save()
        return RedirectResponse(f"/me/consent#{purpose}", 303)

    def _values(self, ask: Ask, words: Words) -> dict[str, Any]:
        store, today = self._names.now(), self._today(ask)
        given = consents.given(store, ask.visitor.subject)
        explained = _explained()
        return {
            "rows": [
                {
                    "purpose": purpose,
                    "title": explained[purpose][0],
                    "says": explained[purpose][1],
                    "last": given.get(purpose),
                    "is_given": given.get(purpose, date.min) >= today,
                    "is_ending": purpose in dict(consents.ending(given, today)),
                }
                for purpose in consents.EVERY
            ],
            "next_year": today + timedelta(days=YEAR_DAYS),
            "day_max": today + timedelta(days=consents.DAYS_MAX),
            "today": today,
            "story": [
                _told(change, explained[change.purpose][0], words)
                for change in consents.story(store, ask.visitor.subject)
            ],
        }

    def _last(self, ask: Ask) -> date:
        today = self._today(ask)
        text = ask.text("until", is_needed=False)
        try:
            last = date.fromisoformat(text) if text else today + timedelta(days=YEAR_DAYS)
        except ValueError as error:
            raise Sorry(_("This is no day."), _("Choose a day of the calendar.")) from error
        if not today <= last <= today + timedelta(days=consents.DAYS_MAX):
            raise Sorry(_("This day cannot be taken."), _("Choose one from today on, within three years."))
        return last

    def _today(self, ask: Ask) -> date:
        return day_of(ask.now_s, self._zone)


def _purpose(text: str) -> Purpose:
    for purpose in consents.EVERY:
        if text == purpose:
            return purpose
    raise Sorry(_("Nobody is asked for this."), _("Load the page again."))


def _member(store: PrivateStore, ask: Ask) -> Person:
    found = store.person(ask.visitor.subject)
    if found is None or found.table != "members":
        raise Sorry(_("The association has no record of you."), _("Tell it: it has to put your name back."))
    return found


def _explained() -> dict[Purpose, tuple[str, str]]:
    return {
        "statistics": (
            _("To be counted in statistics"),
            _(
                "Your home is counted in totals of streets and quarters, never fewer than ten homes together. Nobody "
                "can read your use off them. Without it the town knows itself a little less well."
            ),
        ),
        "comparison": (
            _("To be compared with"),
            _(
                "Homes like yours see what you and at least ten others used on average, without names. You may "
                "compare yourself with others either way."
            ),
        ),
        OWN_DASHBOARD: (
            _("A database of your own"),
            _(
                "The commune also writes your energy, quarter by quarter, into a database that you keep, for your "
                "own tools (Grafana, Home Assistant). Nobody else reads it."
            ),
        ),
    }


def _told(change: consents.Change, title: str, words: Words) -> str:
    when = words.moment(change.at_s)
    if change.last is None:
        return _("{when}: taken back: {title}").format(when=when, title=title)
    return _("{when}: agreed until {day}: {title}").format(when=when, day=words.day(change.last), title=title)
