"""What a gateway tells upstream of its devices: counts by class, and nothing of one of them."""

import json

import pytest

from gateway.devices.fleet import GRID_METERS_MIN, counts, grid
from gateway.devices.states import DeviceState, read_state


def said(**words: object) -> DeviceState:
    state = read_state(json.dumps({"state": "online", **words}).encode(), 5)
    assert state is not None
    return state


def test_devices_when_counted():
    """Each is in one class of every facet; one that is away counts as that alone."""
    states = [
        said(time_known=True, version=12, wifi_rssi_dbm=-55),
        said(time_known=True, version=12, wifi_rssi_dbm=-67),
        said(time_known=True, version=11, wifi_rssi_dbm=-75),
        said(backlog=3, wifi_rssi_dbm=-76),
        said(),
        DeviceState(5, is_online=False, said={"version": 9, "time_known": True}),
    ]
    assert counts(states) == {
        "state": {"online": 5, "offline": 1},
        "clock": {"trusted": 3, "learning": 1, "unsynchronised": 1},
        "radio": {"good": 2, "fair": 1, "weak": 1, "wired": 1},
        "firmware": {"12": 2, "11": 1, "unknown": 2},
    }


@pytest.mark.parametrize("lie", [{"version": "12"}, {"version": -1}, {"version": True}, {"wifi_rssi_dbm": 7}])
def test_devices_when_one_says_nonsense(lie):
    """It counts as one that says nothing of it."""
    assert counts([said(time_known=True, **lie)]) == counts([said(time_known=True)])


def test_grid_when_meters_report_it():
    """The lowest and the highest of all that report; of a few, and of what no mains has, nothing."""
    meters = [said(meter={"voltage_mv": mv, "frequency_mhz": 50_000 + mv % 7}) for mv in (229_000, 231_500, 238_100)]
    found = grid([*meters, said(meter={"voltage_mv": 12}), said(meter=[1]), said()])
    assert found == {
        "voltage_mv_min": 229_000,
        "voltage_mv_max": 238_100,
        "frequency_mhz_min": 50_002,
        "frequency_mhz_max": 50_003,
        "meters": 3,
    }
    assert grid(meters[: GRID_METERS_MIN - 1]) == {}
