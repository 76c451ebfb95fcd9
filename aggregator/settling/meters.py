"""Admitted devices in columns, by the numbers that pages name them with."""

from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from aggregator import numbers
from aggregator.commune import meters as commune
from commonwatt.page import Integers
from ledger.book.subjects import octets_of


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


def of(connection: sa.Connection, meters: commune.Meters) -> Meters:
    """The columns of a directory's meters; all of them, and their accounts, get numbers."""
    known, rows, subjects = numbers.of(connection), meters.rows, meters.subjects
    holders, member_of = np.unique(subjects.sites.rows["member"][rows["site"]], return_inverse=True)
    at = known.of(connection, octets_of(rows, "id"))
    account_numbers = known.of(connection, octets_of(subjects.accounts.rows, "id")[holders])

    def column(values: NDArray[np.generic]) -> Integers:
        whole = np.zeros(len(known), dtype=np.int64)
        whole[at] = values
        return whole

    return Meters(
        roles=column(rows["role"]),
        sites=column(rows["site"]),
        accounts=column(account_numbers[member_of]),
        rated_power_w=column(rows["rated_power_w"]),
        grades=column(rows["grade"]),
        unsold_permille=column(meters.unsold_permille),
        ranks=known.ranks(),
    )
