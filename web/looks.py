"""Templates, and how numbers and days are written in the reader's language (Babel)."""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_datetime
from babel.numbers import format_currency, format_decimal, format_percent
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse

from commonwatt.i18n import LANGUAGES, _, speaking
from web import phrases
from web.facts import Facts
from web.month import Month
from web.navigation import tabs
from web.roles import Role
from web.visitor import Ask, Visitor

HERE = Path(__file__).parent
NAMES = {"en": "English", "fr": "Français"}
assert tuple(NAMES) == LANGUAGES

ANYBODY = Visitor(Role.ANYBODY)
_LOCALES = {"en": "en_GB", "fr": "fr_FR"}


class Looks:
    """The templates. One is enough for all threads."""

    def __init__(self, zone: ZoneInfo, facts: Facts) -> None:
        self.zone, self._facts = zone, facts
        self.paths: frozenset[str] = frozenset()
        """The addresses that are served: others are not led to."""
        self._templates = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals["_"] = _  # of macros too, which see no value of their page

    def answer(
        self,
        ask: Ask,
        template: str,
        make: Callable[["Words"], dict[str, Any]],
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> HTMLResponse:
        """A page for who asks; `make` is asked for its values while their language is spoken."""
        page = self.page(template, ask.language, make, ask.path, ask.visitor)
        kept = {} if ask.visitor.login is None else _of_one_person(ask.visitor.subject)
        told = {"Vary": "Accept-Language, Cookie", "Content-Language": ask.language}
        return HTMLResponse(page, status, {**told, **kept, **(headers or {})})

    def said(self, ask: Ask, make: Callable[[], tuple[str, str]]) -> HTMLResponse:
        """A page of two sentences: what was done, and what comes next; both made while the language is spoken."""
        return self.answer(ask, "said.html", lambda _words: dict(zip(("says", "to_do"), make(), strict=True)))

    def words(self, language: str) -> "Words":
        """How one of LANGUAGES writes numbers and days."""
        return Words(_LOCALES[language], self.zone)

    def page(
        self,
        template: str,
        language: str,
        make: Callable[["Words"], dict[str, Any]],
        path: str,
        visitor: Visitor = ANYBODY,
    ) -> str:
        """A page in one of LANGUAGES, as text."""
        words = self.words(language)
        with speaking(language):
            values = make(words)
            frame = {"words": words, "language": language, "languages": NAMES, "path": path, "facts": self._facts}
            return self._templates.get_template(template).render(
                **frame,
                phrases=phrases.as_script(phrases.of_modules()),
                visitor=visitor,
                served=self.paths,
                tabs=[tab for tab in tabs(visitor.role) if tab.path in self.paths],
                **values,
            )

    def part(self, template: str, language: str, make: Callable[["Words"], dict[str, Any]]) -> Markup:
        """A piece of a page in a language of its own."""
        words = Words(_LOCALES[language], self.zone)
        with speaking(language):
            values = {"_": _, "words": words, "language": language, "facts": self._facts, **make(words)}
            return Markup(self._templates.get_template(template).render(values))  # noqa: S704 escaped by the template


def _of_one_person(subject: bytes) -> dict[str, str]:
    """A page of somebody's own; static/sw.js keeps it for nobody else."""
    return {"Cache-Control": "private, no-store", "Commonwatt-Whose": subject.hex()}


class Words:
    """Numbers, energies, amounts and days as people write them."""

    def __init__(self, locale: str, zone: ZoneInfo) -> None:
        self.locale, self.zone = locale, zone

    def count(self, number: int) -> str:
        """12 345 → "12,345" or "12 345"."""
        return str(format_decimal(number, locale=self.locale))

    def energy(self, energy_wh: int) -> str:
        """3200 → "3.2 kWh" or "3,2 kWh"; from a thousand kWh on in MWh."""
        unit, divisor = ("MWh", 1_000_000) if energy_wh >= 1_000_000 else ("kWh", 1000)
        return f"{format_decimal(energy_wh / divisor, '#,##0.0', locale=self.locale)} {unit}"

    def weight(self, mass_g: int) -> str:
        """1234 → "1.2 kg"; below a kilogram in grams."""
        if mass_g < 1000:
            return f"{format_decimal(mass_g, locale=self.locale)} g"
        return f"{format_decimal(mass_g / 1000, '#,##0.0', locale=self.locale)} kg"

    def credits(self, amount_mc: int) -> str:
        """3200 → "3.2"."""
        return str(format_decimal(amount_mc / 1000, "#,##0.0", locale=self.locale))

    def kwh(self, energy_wh: int) -> str:
        """30 → "0.03 kWh": to the watt-hour, for who has to decide about it."""
        return f"{format_decimal(energy_wh / 1000, '#,##0.###', locale=self.locale)} kWh"

    def exact(self, amount_mc: int) -> str:
        """3205 → "3.205", to the milli-credit, and 3200 → "3.2"; a minus is a real one."""
        return str(format_decimal(Decimal(amount_mc) / 1000, "#,##0.###", locale=self.locale)).replace("-", "−")

    def signed(self, amount_mc: int) -> str:
        """The same with a plus before what came in."""
        return ("+" if amount_mc > 0 else "") + self.exact(amount_mc)

    def in_credits(self, amount_mc: int) -> str:
        """3200 → "3.2 credits"."""
        return _("{amount} {credits}").format(amount=self.exact(amount_mc), credits=self.credits_after(amount_mc))

    def credits_after(self, amount_mc: int) -> str:
        """The word after an amount: "credit" where the language takes it for one, else "credits"."""
        return _("credit") if self.is_one(abs(amount_mc) / 1000) else _("credits")

    def is_one(self, number: float) -> bool:
        """Whether the language takes a number for one of them: French begins its plural at two."""
        return number < 2 if self.locale.startswith("fr") else number == 1

    def between(self, start_s: int, end_s: int, *, on: date | None = None) -> str:
        """When something was: "15 July 2024, 10:00 to 18:00", or with both days; the hours alone where the day is
        the one that was said already (`on`)."""
        first, last = (datetime.fromtimestamp(at, UTC).astimezone(self.zone).date() for at in (start_s, end_s - 1))
        if first == last:
            hours = _("{start} to {end}").format(start=self.clock(start_s), end=self.clock(end_s))
            return hours if first == on else _("{day}, {hours}").format(day=self.day(first), hours=hours)
        return _("{start} to {end}").format(start=self.moment(start_s), end=self.moment(end_s))

    def amount(self, amount_mc: int, unit: str) -> str:
        """1500, "credits" → "1.5 credits", and 1000 → "1 credit"."""
        if unit == _("credits"):
            unit = self.credits_after(amount_mc)
        return f"{self.exact(amount_mc)} {unit}"

    def euros(self, cents: int) -> str:
        """4850 → "€48.50" or "48,50 €"."""
        return str(format_currency(Decimal(cents) / 100, "EUR", locale=self.locale))

    def share(self, permille: int) -> str:
        """427 → "43%" or "43 %"."""
        return str(format_percent(permille / 1000, locale=self.locale))

    def weekday(self, day: date) -> str:
        """ "Mon 15" or "lun. 15"."""
        return str(format_date(day, "E d", locale=self.locale))

    def day(self, day: date) -> str:
        """ "15 July 2024" or "15 juillet 2024"."""
        return str(format_date(day, "d MMMM y", locale=self.locale))

    def month(self, month: Month) -> str:
        """ "July 2024" or "juillet 2024"."""
        return str(format_date(date(month.year, month.month, 1), "LLLL y", locale=self.locale))

    def month_of(self, day: date) -> str:
        """The month of a day, with its year."""
        return str(format_date(day, "LLLL y", locale=self.locale))

    def month_letter(self, day: date) -> str:
        """ "J", "F", …: where twelve months have to fit."""
        return str(format_date(day, "LLLLL", locale=self.locale))

    def hour(self, when: datetime) -> str:
        """ "18:00" of a local time."""
        return f"{when:%H:%M}"

    def day_of(self, time_s: int) -> str:
        """The commune's day of a moment, as `day` writes it."""
        return self._local(time_s, "d MMMM y")

    def clock(self, time_s: int) -> str:
        """The hour and minute of the commune's day."""
        return self._local(time_s, "HH:mm")

    def moment(self, time_s: int) -> str:
        """Day, hour and minute."""
        return self._local(time_s, "d MMMM y, HH:mm")

    def span(self, start_s: int, end_s: int) -> str:
        """From when to when; the day once if it is the same."""
        is_one_day = self._local(start_s, "d MMMM y") == self._local(end_s, "d MMMM y")
        return f"{self.moment(start_s)} – {self.clock(end_s) if is_one_day else self.moment(end_s)}"

    def _local(self, time_s: int, pattern: str) -> str:
        when = datetime.fromtimestamp(time_s, UTC)
        return str(format_datetime(when, pattern, tzinfo=self.zone, locale=self.locale))
