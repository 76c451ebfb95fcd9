"""What stands in the bar of pages, by role: few, the most used first."""

from typing import NamedTuple

from commonwatt.i18n import _
from web.roles import Role


class Tab(NamedTuple):
    """One of them. `icon`: the name of a symbol in static/icons.svg."""

    path: str
    text: str
    icon: str


def tabs(role: Role) -> list[Tab]:
    """In the language that is spoken."""
    match role:
        case Role.RESIDENT:
            return [
                Tab("/home", _("Home"), "home"),
                Tab("/pay", _("Pay"), "pay"),
                Tab("/energy", _("Energy"), "energy"),
                Tab("/", _("The town"), "town"),
                Tab("/me", _("Me"), "me"),
            ]
        case Role.MERCHANT:
            return [
                Tab("/till", _("Till"), "till"),
                Tab("/home", _("Account"), "home"),
                Tab("/closing", _("Closing"), "closing"),
                Tab("/pay", _("Pay"), "pay"),
                Tab("/me", _("Me"), "me"),
            ]
        case Role.STEWARD | Role.TOWNHALL:
            return [
                Tab("/desk", _("Desk"), "desk"),
                Tab("/people", _("People"), "people"),
                Tab("/money", _("Money"), "money"),
                Tab("/policy", _("Policy"), "policy"),
                Tab("/me", _("Me"), "me"),
            ]
        case Role.OPERATOR:
            return [
                Tab("/grid", _("Grid"), "energy"),
                Tab("/desk", _("Desk"), "desk"),
                Tab("/", _("The town"), "town"),
                Tab("/me", _("Me"), "me"),
            ]
        case _:
            return [
                Tab("/", _("The town"), "town"),
                Tab("/log", _("The log"), "log"),
                Tab("/verify", _("Check a proof"), "verify"),
                Tab("/data", _("Open data"), "data"),
            ]
