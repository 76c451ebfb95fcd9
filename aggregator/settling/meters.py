"""Admitted devices in columns, by the numbers that pages name them with."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa

from aggregator import numbers
from aggregator.settling.interval import Meter
from commonwatt.page import Integers


@dataclass(frozen=True, slots=True)
class Meters:
    """One row a number. `roles` (0: no admitted device), `sites` (places among the sites, in no order), `accounts`
    (numbers), the rest as in Meter; `ranks`: of each id among all."""

    roles: Integers
    sites: Integers
    accounts: Integers
    rated_power_w: Integers
    grades: Integers
    unsold_permille: Integers
    ranks: Integers


def of(connection: sa.Connection, meters: Mapping[bytes, Meter]) -> Meters:
    """The columns of a directory's meters; all of them, and their accounts, get numbers."""
    known = numbers.of(connection)
    places: dict[bytes, int] = {}
    accounts, devices, sites = list[bytes](), list[bytes](), list[int]()
    for meter in meters.values():
        devices.append(meter.device)
        accounts.append(meter.account)
        sites.append(places.setdefault(meter.site, len(places)))
    at = known.of(connection, numbers.octets(devices))
    account_numbers = known.of(connection, numbers.octets(accounts))

    def column(values: Integers | list[int]) -> Integers:
        whole = np.zeros(len(known), dtype=np.int64)
        whole[at] = values
        return whole

    everyone = meters.values()
    return Meters(
        roles=column([int(meter.role) for meter in everyone]),
        sites=column(sites),
        accounts=column(account_numbers),
        rated_power_w=column([meter.rated_power_w for meter in everyone]),
        grades=column([int(meter.grade) for meter in everyone]),
        unsold_permille=column([meter.unsold_permille for meter in everyone]),
        ranks=known.ranks(),
    )
