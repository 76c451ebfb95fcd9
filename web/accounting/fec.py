"""The Fichier des écritures comptables of a shop: 18 fields by article A47 A-1 of the Livre des procédures fiscales.

Tab-separated UTF-8 lines; amounts in euros with a decimal comma, days as AAAAMMJJ; one number for each entry, growing
without gaps, whose debits and credits are equal. Which account takes what is told in docs/operating/accounting.md.
Pure: movements and a plan in, lines out.
"""

from calendar import monthrange
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from ledger.audit.formats import COMMODITIES, FEC_FIELDS
from ledger.book.units import Unit
from web.accounting.movements import Movement, What
from web.accounting.plan import Plan

MC_PER_CREDIT = 1000
JOURNALS = {
    What.RECEIVED: ("VE", "Ventes en monnaie locale"),
    What.PAID: ("AC", "Achats en monnaie locale"),
    What.EARNED: ("EN", "Crédits reçus pour de l'énergie"),
    What.BOUGHT: ("BQ", "Échanges contre euros"),
    What.REDEEMED: ("BQ", "Échanges contre euros"),
    What.OTHER: ("OD", "Opérations diverses"),
}
WORDINGS = {
    What.RECEIVED: "Vente",
    What.PAID: "Achat",
    What.EARNED: "Énergie",
    What.BOUGHT: "Achat de crédits",
    What.REDEEMED: "Reconversion",
    What.OTHER: "Contribution ou correction",
}
ACCOUNT_WORDINGS = {
    "purse": "Monnaie locale en caisse",
    "sales": "Ventes",
    "vat": "TVA collectée",
    "purchases": "Achats",
    "earned": "Produits divers de gestion courante",
    "bank": "Banque",
    "fees": "Services bancaires",
    "charges": "Cotisations",
}

Line = tuple[str, int]
"""An account of the plan by name, and cents: positive is a debit."""


@dataclass(frozen=True, slots=True)
class Year:
    """A business year, both days included."""

    first: date
    last: date

    @classmethod
    def ending(cls, year: int, plan: Plan) -> "Year":
        """The one that ends in a calendar year."""
        month = plan.year_end_month
        last = date(year, month, monthrange(year, month)[1])
        first = date(year, 1, 1) if month == 12 else date(year - 1, month + 1, 1)
        return cls(first, last)


def file_name(plan: Plan, year: Year) -> str:
    """By the law: SIRENFECAAAAMMJJ.txt, the day on which the business year ends."""
    return f"{plan.siren}FEC{year.last:%Y%m%d}.txt"


def lines(
    movements: Sequence[Movement], plan: Plan, names: Mapping[bytes, str], day_of: Callable[[int], date], year: Year
) -> Iterator[str]:
    """The header and every line of the movements of a year, each ended. Units of time are no money: hours are left
    out."""
    yield "\t".join(FEC_FIELDS) + "\r\n"
    dated = sorted(((day_of(row.time_s), row.place, row) for row in movements), key=lambda item: item[:2])
    number = 0
    for day, _place, movement in dated:
        posted = postings(movement, plan) if year.first <= day <= year.last else []
        if not posted:
            continue
        number += 1
        yield from _entry(number, day, movement, posted, plan, names)


def postings(movement: Movement, plan: Plan) -> list[Line]:
    """What one movement is in a shop's books; nothing if it comes to no cent."""
    cents = in_cents(abs(movement.amount_mc), movement.unit, plan)
    if cents == 0:
        return []
    match movement.what:
        case What.RECEIVED:
            return [("purse", cents), *_sale(cents, plan)]
        case What.PAID:
            return [("purchases", cents), ("purse", -cents)]
        case What.EARNED:
            return [("purse", cents), ("earned", -cents)]
        case What.BOUGHT:
            return _balanced([("purse", cents), ("bank", -movement.cents)], "fees")
        case What.REDEEMED:
            return _balanced([("bank", movement.cents), ("purse", -cents)], "fees")
        case _:
            sign = 1 if movement.amount_mc > 0 else -1
            return [("purse", sign * cents), ("charges", -sign * cents)]


def in_cents(amount_mc: int, unit: Unit, plan: Plan) -> int:
    """What an amount is worth in the shop's books, to the nearest cent; a euro unit is a euro, hours are no money."""
    if unit is Unit.HOURS:
        return 0
    rate = 100 if unit is Unit.EURO else plan.credit_cents
    return (2 * amount_mc * rate + MC_PER_CREDIT) // (2 * MC_PER_CREDIT)


def _sale(cents: int, plan: Plan) -> list[Line]:
    """A sale without its tax, and the tax: prices have it in them."""
    net = (2 * cents * 1000 + 1000 + plan.vat_permille) // (2 * (1000 + plan.vat_permille))
    return [("sales", -net), *([("vat", net - cents)] if net != cents else [])]


def _balanced(rows: list[Line], rest: str) -> list[Line]:
    left = -sum(cents for _account, cents in rows)
    return [row for row in [*rows, (rest, left)] if row[1]]


def _entry(
    number: int, day: date, movement: Movement, posted: Sequence[Line], plan: Plan, names: Mapping[bytes, str]
) -> Iterator[str]:
    code, journal = JOURNALS[movement.what]
    spelled = f"{day:%Y%m%d}"
    other = names.get(movement.other, "") if movement.other is not None else ""
    wording = one_line(" ".join((WORDINGS[movement.what], other, movement.text)))
    is_euro = movement.unit is Unit.EURO
    for account, cents in posted:
        foreign = account == "purse" and not is_euro
        sign = "" if cents > 0 else "-"
        fields = [
            *(code, journal, str(number), spelled, plan.accounts[account], ACCOUNT_WORDINGS[account], "", ""),
            *(str(movement.place), spelled, wording, comma(max(cents, 0)), comma(max(-cents, 0)), "", "", spelled),
            *((sign + comma_mc(abs(movement.amount_mc)), COMMODITIES[movement.unit]) if foreign else ("", "")),
        ]
        assert len(fields) == len(FEC_FIELDS)
        yield "\t".join(fields) + "\r\n"


def comma(cents: int) -> str:
    """1234 → "12,34"."""
    return f"{cents // 100},{cents % 100:02d}"


def comma_mc(amount_mc: int) -> str:
    """1234 → "1,234"."""
    return f"{amount_mc // MC_PER_CREDIT},{amount_mc % MC_PER_CREDIT:03d}"


def one_line(text: str) -> str:
    """Without what ends a field or a line, at most 120 letters."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())[:120]
