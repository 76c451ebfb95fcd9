"""What a till took on a day. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, time
from itertools import takewhile
from zoneinfo import ZoneInfo

from ledger.book.units import Unit, holder_of, unit_of
from web.pay.purse import Payment


@dataclass(frozen=True, slots=True)
class Day:
    """`sales`: received, the newest first; `returned`: paid back or out. `taken_mc`: received less what went out, by
    unit."""

    sales: list[Payment]
    returned: list[Payment]
    taken_mc: dict[Unit, int]


def day_of(newest_first: Iterable[Payment], holder: bytes, *, start_s: int) -> Day:
    """A holder's payments from `start_s` on."""
    today = list(takewhile(lambda payment: payment.time_s >= start_s, newest_first))
    sales = [payment for payment in today if holder_of(payment.payee) == holder]
    returned = [payment for payment in today if holder_of(payment.payer) == holder]
    taken_mc: dict[Unit, int] = {}
    for payment in today:
        sign = 1 if holder_of(payment.payee) == holder else -1
        unit = unit_of(payment.payee)
        taken_mc[unit] = taken_mc.get(unit, 0) + sign * payment.amount_mc
    return Day(sales, returned, taken_mc)


def start_of_day_s(now_s: int, zone: ZoneInfo) -> int:
    """When the local day began that `now_s` is in."""
    local = datetime.fromtimestamp(now_s, UTC).astimezone(zone)
    return int(datetime.combine(local.date(), time(), tzinfo=zone).timestamp())
