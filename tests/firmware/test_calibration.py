"""Calibration by a known load: right gains for right measurements, a refusal for each kind of wrong ones."""

import json
from fractions import Fraction

import pytest
from meters.counting import GAIN_MAX, GAIN_MIN, gain
from typer.testing import CliRunner

from aggregator.cli import device_app
from commonwatt.device import calibration
from commonwatt.device.calibration import KnownLoad, Refusal, calibrate

WH_PER_PULSE = [5_400_000, 3_600_000_000]
LOAD = KnownLoad(power_w=Fraction(2000), voltage_v=Fraction(230))


def _snapshots(count=11, every_ms=60_000, pulses=21_800, **shown):
    """A plug at 2000 W by the reference, that counts 2 % too little: 33.333 Wh a minute are 22 222 pulses."""
    values = {"voltage_mv": 232_000, "current_ma": 8_500, "power_mw": 1_962_000} | shown
    return [
        {"uptime_ms": 5_000 + every_ms * at, "pulses": 100 + pulses * at, "wh_per_pulse": WH_PER_PULSE} | values
        for at in range(count)
    ]


def test_gains_of_a_known_load():
    """Energy by pulses, the others by what was shown; current by power over voltage, as a heater has it."""
    gains = calibrate(_snapshots(), LOAD)
    assert gains["energy"] == pytest.approx(22_222.2 / 21_800, rel=1e-5)
    assert gains["power"] == pytest.approx(2000 / 1962, rel=1e-5)
    assert gains["voltage"] == pytest.approx(230 / 232, rel=1e-5)
    assert gains["current"] == pytest.approx(2000 / 230 / 8.5, rel=1e-5)
    assert all(gain.denominator <= calibration.DENOMINATOR_MAX for gain in gains.values())


def test_gains_when_only_the_power_is_known():
    """What the reference does not tell is not calibrated."""
    assert sorted(calibrate(_snapshots(), KnownLoad(power_w=Fraction(2000)))) == ["energy", "power"]


def test_gains_when_the_uptime_wraps():
    """MicroPython's milliseconds begin again after 12 days; the calibration does not notice."""
    snapshots = _snapshots()
    for snapshot in snapshots:
        snapshot["uptime_ms"] = (snapshot["uptime_ms"] + (1 << 30) - 200_000) % (1 << 30)
    assert calibrate(snapshots, LOAD) == calibrate(_snapshots(), LOAD)


def _with(change, place=5):
    snapshots = _snapshots()
    snapshots[place] = snapshots[place] | change
    return snapshots


@pytest.mark.parametrize(
    ("refusal", "snapshots", "load"),
    [
        (Refusal.MALFORMED, _with({"pulses": 1.5}), LOAD),
        (Refusal.MALFORMED, _with({"wh_per_pulse": [1, 0]}), LOAD),
        (Refusal.MALFORMED, [{}] * 9, LOAD),
        (Refusal.TOO_FEW, [], LOAD),
        (Refusal.TOO_FEW, _snapshots(4), LOAD),
        (Refusal.RESTARTED, _with({"pulses": 3}), LOAD),
        (Refusal.RESTARTED, _with({"uptime_ms": 100}), LOAD),
        (Refusal.RESTARTED, _with({"wh_per_pulse": [1, 700]}), LOAD),
        (Refusal.TOO_SHORT, _snapshots(5), LOAD),
        (Refusal.TOO_SMALL, _snapshots(), KnownLoad(power_w=Fraction(99))),
        (Refusal.TOO_FEW_PULSES, _snapshots(pulses=49), LOAD),
        (Refusal.UNSTEADY, _with({"power_mw": 2_100_000}), LOAD),
        (Refusal.IMPLAUSIBLE, _snapshots(), KnownLoad(power_w=Fraction(3000))),
        (Refusal.IMPLAUSIBLE, _snapshots(voltage_mv=115_000), LOAD),
    ],
)
def test_refusals(refusal, snapshots, load):
    """Each is told by its name; none makes gains."""
    assert calibrate(snapshots, load) is refusal


def test_refusals_are_all_tested():
    """A refusal that nothing brings about is none."""
    tested = {case[0] for case in test_refusals.pytestmark[0].args[1]}
    assert tested == set(Refusal)


def test_limits_are_the_firmwares():
    """What is worked out here is what a device takes: at the limit, not over it."""
    assert Fraction(*GAIN_MIN) == calibration.GAIN_MIN
    assert Fraction(*GAIN_MAX) == calibration.GAIN_MAX
    gains = calibrate(_snapshots(), LOAD)
    config = {"gains": {name: [value.numerator, value.denominator] for name, value in gains.items()}}
    for name, value in gains.items():
        assert gain(config, name) == (value.numerator, value.denominator)


def _run(tmp_path, snapshots, *more):
    path = tmp_path / "snapshots.jsonl"
    path.write_text("".join(json.dumps(snapshot) + "\n" for snapshot in snapshots))
    return CliRunner().invoke(device_app, ["calibrate", str(path), *more])


def test_command_writes_the_configuration(tmp_path):
    """The gains go into `meter`, beside what was there; states of the whole device will do as well."""
    config = tmp_path / "device.json"
    config.write_text(json.dumps({"device": "ab", "meter": {"type": "cse7766"}}))
    states = [{"link_up": True, "meter": snapshot} for snapshot in _snapshots()]
    done = _run(tmp_path, states, "--power-w", "2000", "--voltage-v", "230.0", "--config", str(config))
    assert done.exit_code == 0, done.output
    written = json.loads(config.read_text())
    assert written["device"] == "ab"
    assert written["meter"]["type"] == "cse7766"
    assert written["meter"]["gains"] == json.loads(done.stdout)["gains"]


def test_command_when_it_refuses(tmp_path):
    """Exit code 1, the reason, and the configuration as it was."""
    config = tmp_path / "device.json"
    config.write_text('{"meter": {}}')
    done = _run(tmp_path, _snapshots(3), "--power-w", "2000", "--config", str(config))
    assert done.exit_code == 1
    assert "fewer than five" in done.output
    assert config.read_text() == '{"meter": {}}'


def test_command_when_the_configuration_is_new_or_none(tmp_path):
    """A file that is missing is made, for enrol to lay over the device's settings; one that is none stays."""
    config = tmp_path / "gains.json"
    assert _run(tmp_path, _snapshots(), "--power-w", "2000", "--config", str(config)).exit_code == 0
    assert list(json.loads(config.read_text())) == ["meter"]
    for wrong in ("", "[]", '{"meter": 7}'):
        config.write_text(wrong)
        assert _run(tmp_path, _snapshots(), "--power-w", "2000", "--config", str(config)).exit_code != 0
        assert config.read_text() == wrong


def test_command_when_the_states_are_none(tmp_path):
    """Lines that begin no object are passed over; an object that is cut is named by its line."""
    path = tmp_path / "states.jsonl"
    path.write_text('boot\n{"uptime_ms": 1\n')
    done = CliRunner().invoke(device_app, ["calibrate", str(path), "--power-w", "2000"])
    assert "line 2" in str(done.exception)
    done = CliRunner().invoke(device_app, ["calibrate", str(tmp_path / "missing"), "--power-w", "2000"])
    assert "cannot be read" in str(done.exception)
