"""What people call the units of a ledger."""

from collections.abc import Mapping

from commonwatt.i18n import _
from ledger.book.state import State
from ledger.book.units import Unit
from web.looks import Words


def names_of(state: State) -> dict[Unit, str]:
    """As the constitution calls those beside energy."""
    return {row.unit: row.name for row in state.founded.genesis.units}


def unit_name(names: Mapping[Unit, str], unit: Unit) -> str:
    """After an amount, in the language that is spoken: energy is credits; usual names are translated, others stay."""
    name = "credits" if unit is Unit.ENERGY else names.get(unit, "")
    usual = {
        "credits": _("credits"),
        "euro": _("euro credits"),
        "mutual": _("mutual credits"),
        "hour": _("hours"),
        "hours": _("hours"),
    }
    return usual.get(name.lower(), name)


def spoken(state: State) -> dict[Unit, str]:
    """Every unit of a ledger by its name, energy first."""
    names = names_of(state)
    return {unit: unit_name(names, unit) for unit in (Unit.ENERGY, *names)}


def amount(words: Words, names: Mapping[Unit, str], unit: Unit, amount_mc: int) -> str:
    """1500 of hours → "1.5 hours"."""
    if unit is Unit.ENERGY:
        return words.in_credits(amount_mc)
    return f"{words.exact(amount_mc)} {unit_name(names, unit)}"
