"""One home's own points, for that home's own bucket: `home_15m` and `home_1d`. They never go into the operator's.

Read from the durable state, so that the same days give the same points however often they are written.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import timedelta

import sqlalchemy as sa

from aggregator import numbers, schema
from aggregator.commune.attributes import OWN_DASHBOARD
from aggregator.impact import measured
from aggregator.impact.balance import Balance
from aggregator.impact.measured import Commune
from aggregator.impact.periods import Period
from aggregator.minting import line_pages
from aggregator.privacy import cells
from aggregator.settling import claim_pages
from aggregator.settling.interval import Source
from aggregator.telemetry.point import Point
from commonwatt.errors import UserError
from commonwatt.i18n import _
from commonwatt.units import INT64_MAX, INTERVAL_S

Wh = Mapping[int, int]
"""By the start of an interval."""


def check_consent(commune: Commune, site: bytes, period: Period) -> None:
    """UserError unless the home's member agreed, for all of these days, to have them in a bucket of its own."""
    member = commune.members().get(site)
    consent = cells.consent_of(commune.names, member, OWN_DASHBOARD) if member is not None else None
    if consent is None or not (consent.first <= period.first and period.last <= consent.last):
        raise UserError(
            _("this home's member has not agreed to have these days in a bucket of its own"),
            where=commune.names.name_of(site),
            to_do=_('let the member sign it, and write consent = {{ "{purpose}" = DATE }} in the roster').format(
                purpose=OWN_DASHBOARD
            ),
        )


def points(connection: sa.Connection, commune: Commune, site: bytes, period: Period) -> Iterator[Point]:
    """Every interval that is known, and every day of which any is."""
    devices = {row.device for row in commune.devices if row.site == site}
    numbers.of(connection).read(connection)
    matched_wh = _matched_wh(connection, devices, period)
    earned_mc = _earned_mc(connection, devices, period)
    for number in range(period.days):
        day = period.first + timedelta(days=number)
        span = Period(day, day, period.zone)
        balance = measured.balance(connection, commune, site, span)
        yield from _intervals(balance, matched_wh)
        if balance.known.any():
            yield _day(balance, span, matched_wh, earned_mc)


def _intervals(balance: Balance, matched_wh: Wh) -> Iterator[Point]:
    energies = (balance.import_wh, balance.export_wh, balance.production_wh, balance.consumption_wh)
    columns = (balance.starts_s.tolist(), balance.known.tolist(), *(column.tolist() for column in energies))
    rows = zip(*columns, strict=True)
    for start_s, is_known, imported, exported, made, used in rows:
        if is_known:
            fields = {"import_wh": imported, "export_wh": exported, "solar_wh": made, "used_wh": used}
            yield Point("home_15m", start_s, {**fields, "matched_wh": matched_wh.get(start_s, 0)})


def _day(balance: Balance, span: Period, matched_wh: Wh, earned_mc: Wh) -> Point:
    """The sums of the intervals that are known."""
    fields = {
        "import_wh": int(balance.import_wh.sum()),
        "export_wh": int(balance.export_wh.sum()),
        "solar_wh": int(balance.production_wh.sum()),
        "used_wh": int(balance.consumption_wh.sum()),
        "matched_wh": sum(matched_wh.get(at, 0) for at in balance.starts_s[balance.known].tolist()),
        "self_consumption_permille": balance.self_consumption_permille or 0,
        "self_sufficiency_permille": balance.self_sufficiency_permille or 0,
        "earned_mc": sum(mc for at, mc in earned_mc.items() if span.start_s <= at < span.end_s),
        "intervals": int(balance.known.sum()),
        "intervals_expected": len(balance.starts_s),
    }
    return Point("home_1d", span.start_s, fields)


def _matched_wh(connection: sa.Connection, devices: set[bytes], period: Period) -> Wh:
    """What neighbours' supply covered of the home's demand; late claims too."""
    claims = claim_pages.read(connection, period.start_s, INT64_MAX)
    is_it = (claims.source == Source.MATCHED) & (claims.end_s > period.start_s) & (claims.end_s <= period.end_s)
    found: Counter[int] = Counter()
    here = claims.where(is_it)
    names = numbers.of(connection).names(here.device)
    for device, end_s, energy_wh in zip(names, here.end_s.tolist(), here.energy_wh.tolist(), strict=True):
        if device in devices:
            found[end_s - INTERVAL_S] += energy_wh
    return found


def _earned_mc(connection: sa.Connection, devices: set[bytes], period: Period) -> Wh:
    """What was minted for the home's meters, by when the energy began."""
    run = schema.run.c
    windows = connection.execute(
        sa.select(run.window_start_s)
        .distinct()
        .where(run.place.is_not(None), run.window_end_s > period.start_s, run.window_start_s < period.end_s)
    ).scalars()
    found: Counter[int] = Counter()
    known = numbers.of(connection)
    for window_start_s in windows.all():
        for lines in line_pages.read(connection, window_start_s):
            names = known.names(lines["device"])
            for device, start_s, mc in zip(
                names, lines["start_s"].tolist(), lines["amount_mc"].tolist(), strict=True
            ):
                if device in devices:
                    found[start_s] += mc
    return found
