"""The view shows what the status files say, on a terminal and in plain lines."""

import io
from pathlib import Path

from rich.console import Console

from commonwatt.demo import numbers
from commonwatt.demo.faults import Kill, Target
from commonwatt.demo.plan import Plan
from commonwatt.demo.registers.homes import FORTY_HOMES, START_S, TEN_HOMES
from commonwatt.demo.view import frame, line

DEVICES = {"aa": "swiss1", "bb": "emhass-solar", "cc": "emhass-main", "dd": "sceaux-kitchen"}
ACCOUNTS = {"11": "emhass", "22": "baker"}
AGGREGATOR = {
    "blocks": {"received": 12, "accepted": 9, "duplicate": 2, "refused": {"bad-signature": 1}},
    "readings": 36,
    "energy_wh": {"aa": 1500, "bb": 4000, "cc": 250, "dd": 100},
    "credits_mc": {"11": 3200, "22": 0, "99": 7},
    "log_size": 42,
    "checkpoint_size": 42,
}


def read() -> numbers.Numbers:
    return numbers.read(AGGREGATOR, TEN_HOMES, DEVICES, ACCOUNTS)


def test_numbers_when_a_home_has_plugs() -> None:
    """A plug behind the main meter is not counted twice; solar is told apart."""
    now = read()
    assert (now.used_wh["swiss1"], now.used_wh["emhass"], now.used_wh["sceaux"]) == (1500, 250, 0)
    assert now.solar_wh["emhass"] == 4000
    assert now.credits_mc == {"emhass": 3200, "baker": 0}


def test_numbers_when_nobody_has_reported_yet() -> None:
    """Before the first status everything is 0."""
    assert numbers.read({}, TEN_HOMES, DEVICES, ACCOUNTS).accepted == 0


def test_view_when_on_a_terminal_or_not() -> None:
    """Both forms carry the same figures and say who was killed."""
    kills = [Kill(START_S + 3600, Target.BROKER, "broker", 0.5)]
    plan = Plan(Path("/nowhere"), 10, 1, 1440, 1, faults=True, broker_url=None)
    screen = Console(file=io.StringIO(), width=100, force_terminal=True, color_system=None)
    screen.print(frame(plan, START_S + 7200.0, read(), kills))
    drawn = screen.file.getvalue()  # type: ignore[attr-defined]
    text = line(START_S + 7200.0, read(), kills)
    for shown in (drawn, text):
        assert "Mon 22 Jul 2024 02:00" in shown
        assert "broker" in shown
    assert "emhass" in drawn
    assert "3.200" in drawn
    assert "1.750 kWh" in text


def test_view_when_there_are_forty_homes() -> None:
    """Feeders are summed up and only homes with panels have a line: everything fits a terminal of 24 lines."""
    homes = FORTY_HOMES.homes
    accounts = {f"{index:02x}": home for index, home in enumerate(homes)}
    devices = {f"{index:02x}": name for index, name in enumerate(FORTY_HOMES.devices)}
    state = AGGREGATOR | {
        "energy_wh": dict.fromkeys(devices, 100),
        "credits_mc": dict.fromkeys(accounts, 50),
    }
    now = numbers.read(state, FORTY_HOMES, devices, accounts)
    plan = Plan(Path("/nowhere"), 40, 1, 1440, 1, faults=False, broker_url=None)
    screen = Console(file=io.StringIO(), width=100, force_terminal=True, color_system=None)
    screen.print(frame(plan, START_S + 7200.0, now, []))
    lines = screen.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert len(lines) <= 24
    (church,) = [line.split() for line in lines if "church" in line]
    assert church[-4:-1] == ["2.000", "0.600", "1.000"] or church[-5:-2] == ["2.000", "0.600", "1.000"]
    assert any("swiss37" in line for line in lines)
    assert not any("swiss38" in line for line in lines)
