"""Make registers.csv from the excerpts beside it: python -m commonwatt.demo.registers.make_registers

That of the ten homes is committed; that of the forty is made when they are founded, because licences that each want
the whole to be theirs meet in it (SOURCES.md). Every source becomes energy per quarter hour as exact fractions of a
Wh; the running sum is rounded once per register, so that rounding never adds up. The same excerpts give the same
bytes.
"""

import hashlib
from fractions import Fraction
from pathlib import Path

from commonwatt.demo.registers.homes import INTERVALS, START_S, SWISS_METERS, TEN_HOMES, Role, Village
from commonwatt.demo.registers.read import HEADER, REGISTERS_CSV
from commonwatt.demo.registers.roofs import Energies, roof_energies, rows
from commonwatt.quantities import EXPORT, IMPORT
from commonwatt.units import INTERVAL_S, WH_PER_KWH

HERE = Path(__file__).parent
SWISS_CSV = HERE / "swiss" / "homes_15min.csv.gz"
EMHASS_CSV = HERE / "emhass" / "home_30min.csv"
SCEAUX_CSV = HERE / "uci" / "sceaux_1min.csv.gz"

_EMHASS_LOAD, _EMHASS_SOLAR = "sensor.power_load_positive", "sensor.power_photovoltaics"
_INVERTER_SLEEPS = ("19:00", "04:30")  # UTC; the only hours in which this week's solar sensor is empty
_SUB_METERS = {
    "sceaux-kitchen": "Sub_metering_1",
    "sceaux-laundry": "Sub_metering_2",
    "sceaux-heater": "Sub_metering_3",
}


def main() -> None:
    """Write registers.csv."""
    REGISTERS_CSV.write_text(make(), encoding="ascii")


def make(village: Village = TEN_HOMES) -> str:
    """The text of registers.csv: devices in the order of the village's, then quantities, then times."""
    energies = all_energies(village)
    lines = [",".join(HEADER)]
    for device in village.devices.values():
        for quantity in device.quantities:
            start_wh = start_register_wh(device.name, device.role, quantity)
            registers = registers_wh(start_wh, energies[device.name, quantity])
            for index, register in enumerate(registers):
                lines.append(f"{device.name},{quantity},{START_S + index * INTERVAL_S},{register}")
    return "\n".join(lines) + "\n"


def all_energies(village: Village) -> dict[tuple[str, int], Energies]:
    """Energy per quarter hour of every device and quantity, exactly as the sources give it."""
    energies = {(name, IMPORT.number): wh for name, wh in swiss_energies(village).items()}
    load, solar = emhass_energies()
    for name, roof in village.roofs.items():
        home, made = village.devices[name].home, roof_energies(roof, solar)
        energies |= _behind_one_meter(home, name, energies[home, IMPORT.number], made)
    if "emhass" in village.homes:
        energies |= _behind_one_meter("emhass-main", "emhass-solar", load, solar)
    if "sceaux" in village.homes:
        energies |= {(name, IMPORT.number): wh for name, wh in sceaux_energies().items()}
    assert all(len(wh) == INTERVALS and min(wh) >= 0 for wh in energies.values())
    return energies


def _behind_one_meter(main: str, roof: str, load: Energies, solar: Energies) -> dict[tuple[str, int], Energies]:
    """What the meters of a solar home see of its load and production."""
    return {
        (main, IMPORT.number): [max(Fraction(0), a - b) for a, b in zip(load, solar, strict=True)],
        (main, EXPORT.number): [max(Fraction(0), b - a) for a, b in zip(load, solar, strict=True)],
        (roof, EXPORT.number): solar,
    }


def registers_wh(start_wh: int, energies: Energies) -> list[int]:
    """A register before the first and after every quarter hour: the exact sum so far, rounded half up, once."""
    total = Fraction(start_wh)
    registers = [start_wh]
    for energy in energies:
        total += energy
        registers.append(int(total + Fraction(1, 2)))
    return registers


def start_register_wh(name: str, role: Role, quantity: int) -> int:
    """Where a register stands on Monday: a made-up past, as meters have one, the same on every machine."""
    digest = hashlib.sha256(f"commonwatt demo {name} {quantity}".encode()).digest()
    past_wh_max = 1_000_000 if role is Role.SUB_METER else 50_000_000
    return past_wh_max // 10 + int.from_bytes(digest[:8], "big") % past_wh_max


def swiss_energies(village: Village) -> dict[str, Energies]:
    """The Swiss homes of the village: kWh per quarter hour, with at most three decimals."""
    week = list(rows(SWISS_CSV))
    meters = {name: meter for name, meter in SWISS_METERS.items() if name in village.homes}
    return {name: [Fraction(row[meter]) * WH_PER_KWH for row in week] for name, meter in meters.items()}


def sceaux_energies() -> dict[str, Energies]:
    """The house in Sceaux: mean kW of each minute; its three sub-meters: whole Wh of each minute."""
    minutes = list(rows(SCEAUX_CSV))
    main = [Fraction(row["Global_active_power"]) * WH_PER_KWH / 60 for row in minutes]
    energies = {"sceaux-main": _quarters(main)}
    for name, column in _SUB_METERS.items():
        energies[name] = _quarters([Fraction(row[column]) for row in minutes])
    return energies


def emhass_energies() -> tuple[Energies, Energies]:
    """The French home with solar: (load, production), from mean W of each half hour in UTC."""
    half_hours = list(rows(EMHASS_CSV))
    load_w = [Fraction(row[_EMHASS_LOAD]) for row in half_hours]
    solar_w = [_solar_w(row["utc_timestamp"], row[_EMHASS_SOLAR]) for row in half_hours]
    return interpolate(load_w), interpolate(solar_w)


def interpolate(means_w: list[Fraction]) -> Energies:
    """Wh per quarter hour from half-hour means, of which the first and last only lend their slope.

    Inside each half hour the power is a straight line, as steep as from the half hour before to the one after;
    it turns around the mean, so the energy of the half hour stays what was measured. Where that line would cross
    zero it is laid flatter.
    """
    energies = []
    for before_w, mean_w, after_w in zip(means_w, means_w[1:], means_w[2:], strict=False):
        # Each quarter's mean lies a quarter of the half hour's rise from the middle: (after − before) / 2 / 4.
        lean_w = max(-mean_w, min(mean_w, (after_w - before_w) / 8))
        energies += [(mean_w - lean_w) / 4, (mean_w + lean_w) / 4]
    return energies


def _solar_w(utc_timestamp: str, value: str) -> Fraction:
    if value:
        return Fraction(value)
    falls_asleep, wakes_up = _INVERTER_SLEEPS
    hour = utc_timestamp[11:16]
    assert hour >= falls_asleep or hour < wakes_up, f"the solar sensor is missing by day, at {utc_timestamp}"
    return Fraction(0)


def _quarters(minutes_wh: Energies) -> Energies:
    return [sum(minutes_wh[at : at + 15], Fraction(0)) for at in range(0, len(minutes_wh), 15)]


if __name__ == "__main__":
    main()
