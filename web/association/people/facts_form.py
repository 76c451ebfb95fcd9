"""What a steward is told of a newcomer and their home, from the fields of a form to rows of a roster."""

from collections.abc import Mapping
from typing import Any, get_args

from aggregator.commune.attributes import PLACES, Heating, MemberKind
from aggregator.commune.roster import Member, Merchant, Roster, Site
from aggregator.private.store import PrivateStore
from commonwatt import settings
from commonwatt.i18n import _
from commonwatt.units import parse_credits
from web.visitor import Ask, Sorry

NAME_MAX = 80
_POWERS = {"installed_kwp": "installed_wp", "contracted_kva": "contracted_power_va", "storage_kwh": "storage_wh"}
"""Fields in thousands, as data sheets and contracts have them, and the fact in ones."""
_DEGREES = {"tilt": "tilt_deg", "azimuth": "azimuth_deg"}
_PLACES = ("quarter", "building", "feeder")


def choices(names: PrivateStore) -> dict[str, Any]:
    """What can be chosen from."""
    return {
        "kinds": {kind: kind_name(kind) for kind in get_args(MemberKind)},
        "heatings": {heating: heating_name(heating) for heating in get_args(Heating)},
        "places": {field: [row.name for row in names.people(PLACES[field])] for field in _PLACES},
    }


def kind_name(kind: str) -> str:
    """What a member is to a home."""
    return {
        "owner": _("owns the home"),
        "tenant": _("rents the home"),
        "landlord": _("lets the home"),
        "building-operator": _("runs the building"),
        "energy-supplier": _("supplies energy"),
    }[kind]


def heating_name(heating: str) -> str:
    """What heats a home."""
    return {"electric": _("electric"), "heat-pump": _("heat pump"), "other": _("something else")}[heating]


def roster(ask: Ask, account: bytes, wallet: bytes, *, is_merchant: bool) -> Roster:
    """A newcomer with their home, if the form names one. Sorry names a field that cannot be taken."""
    name = ask.text("name", chars_max=NAME_MAX)
    who = {"name": name, "id": account.hex(), "wallet": wallet.hex()}
    if is_merchant:
        return Roster(merchants=[Merchant(**who)])
    kind = _chosen(ask, "kind", get_args(MemberKind))
    member = settings.validate(Member, {**who, **({"kind": kind} if kind else {})}, where=name)
    home = ask.text("home", chars_max=NAME_MAX, is_needed=False)
    sites = [settings.validate(Site, {"name": home, "member": name, **_facts(ask)}, where=home)] if home else []
    return Roster(members=[member], sites=sites)


def _facts(ask: Ask) -> dict[str, Any]:
    facts: dict[str, Any] = {field: ask.text(field, is_needed=False) for field in _PLACES}
    facts["heating"] = _chosen(ask, "heating", get_args(Heating))
    facts |= {fact: _thousands(ask, field) for field, fact in _POWERS.items()}
    facts |= {fact: _number(ask, field) for field, fact in _DEGREES.items()}
    facts |= {field: None if (text := _decimal(ask, field)) == "" else _float(text) for field in _AXES}
    if (facts["latitude"] is None) != (facts["longitude"] is None):
        raise Sorry(_("A place has a latitude and a longitude."), _("Fill in both, or neither."))
    return {field: value for field, value in facts.items() if value not in (None, "")}


_AXES = {"latitude": 90, "longitude": 180}


def _chosen(ask: Ask, field: str, known: tuple[str, ...]) -> str:
    value = ask.text(field, is_needed=False)
    if value and value not in known:
        raise Sorry(_("This cannot be chosen: {value}.").format(value=value), _("Load the page again."))
    return value


def _decimal(ask: Ask, field: str) -> str:
    """A number as people write it, with a comma or a point."""
    return ask.text(field, chars_max=20, is_needed=False).replace(",", ".").replace(" ", "")


def _thousands(ask: Ask, field: str) -> int | None:
    text = _decimal(ask, field)
    if not text:
        return None
    try:
        return parse_credits(text)
    except ValueError as error:
        raise _no_number(ask, field) from error


def _number(ask: Ask, field: str) -> int | None:
    text = _decimal(ask, field)
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or int(text) >= 360:
        raise _no_number(ask, field)
    return int(text)


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise Sorry(
            _("This is not a number: {text}.").format(text=text), _("Write it with digits, for example 46.2.")
        ) from error


def _no_number(ask: Ask, field: str) -> Sorry:
    text = ask.text(field, is_needed=False)
    return Sorry(_("This is not a number: {text}.").format(text=text), _("Write it with digits, for example 3.2."))


def told(facts: Mapping[str, str]) -> dict[str, str]:
    """Facts of the private store with their names, for people."""
    labels = {
        "kind": _("what they are to the home"),
        "consent_until": _("agrees to everything until"),
        "consent.statistics": _("agrees to be counted in statistics until"),
        "consent.comparison": _("agrees to be compared until"),
        "consent.own-dashboard": _("has a dashboard of their own until"),
        "building": _("building"),
        "quarter": _("quarter"),
        "feeder": _("feeder"),
        "installed_wp": _("solar modules, W"),
        "contracted_power_va": _("contract, VA"),
        "latitude": _("latitude"),
        "longitude": _("longitude"),
        "tilt_deg": _("tilt of the modules, degrees"),
        "azimuth_deg": _("where they look, degrees"),
        "storage_wh": _("battery, Wh"),
        "heating": _("heating"),
        "sells_production": _("production is sold"),
        "sold_permille": _("of it, thousandths"),
    }
    spoken = {"kind": kind_name, "heating": heating_name}
    return {labels.get(field, field): spoken.get(field, str)(value) for field, value in facts.items()}
