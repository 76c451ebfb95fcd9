"""What the view shows, taken from the aggregator's status file. Values only."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from commonwatt.demo.registers.homes import Role, Village


@dataclass(frozen=True, slots=True)
class Numbers:
    """One look at the commune: counts since the start of the processes that count, energy and credits so far."""

    readings: int
    accepted: int
    duplicates: int
    refused: int
    log_size: int
    checkpoint_size: int
    used_wh: Mapping[str, int]
    solar_wh: Mapping[str, int]
    credits_mc: Mapping[str, int]


def read(
    aggregator: dict[str, Any], village: Village, devices: Mapping[str, str], accounts: Mapping[str, str]
) -> Numbers:
    """Fold the aggregator's state; `devices` and `accounts` map hex ids to the demo's names."""
    energy_wh = {devices[key]: value for key, value in aggregator.get("energy_wh", {}).items() if key in devices}
    credits_mc = {accounts[key]: value for key, value in aggregator.get("credits_mc", {}).items() if key in accounts}
    counts = aggregator.get("blocks", {})
    return Numbers(
        readings=aggregator.get("readings", 0),
        accepted=counts.get("accepted", 0),
        duplicates=counts.get("duplicate", 0),
        refused=sum(counts.get("refused", {}).values()),
        log_size=aggregator.get("log_size", 0),
        checkpoint_size=aggregator.get("checkpoint_size", 0),
        used_wh=_of_role(energy_wh, village, Role.MAIN),
        solar_wh=_of_role(energy_wh, village, Role.PRODUCTION),
        credits_mc=credits_mc,
    )


def _of_role(energy_wh: Mapping[str, int], village: Village, role: Role) -> dict[str, int]:
    """By home: what its devices of one role measured."""
    sums = dict.fromkeys(village.homes, 0)
    for name, wh in energy_wh.items():
        if village.devices[name].role is role:
            sums[village.devices[name].home] += wh
    return sums
