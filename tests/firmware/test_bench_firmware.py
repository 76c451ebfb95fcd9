"""The firmware's own benchmark, run as a person runs it. Ratios of one run only: no wall-clock limit."""

import json

import pytest

from bench import firmware, household
from bench.household import Household
from bench.parts import chosen
from commonwatt.device.flashing.build import board_names
from commonwatt.errors import UserError


def test_names_when_asked_for():
    """The names are there, and a name also asks for those that go on from it; each board has its size."""
    names = [benchmark.name for benchmark in chosen("firmware", None)]
    assert {"sign", "verify", "heap_peak", "mpy_size"} <= set(names)
    heaps = [benchmark.name for benchmark in chosen("firmware", "heap_peak")]
    assert heaps == [name for name in names if name.startswith("heap_peak")]
    assert {"heap_peak_tls", "heap_peak_set_up", "heap_peak_update"} < set(heaps)
    assert len([name for name in names if name.startswith("mpy_size_")]) == len(board_names(firmware.FIRMWARE))
    with pytest.raises(UserError, match="no such benchmark"):
        chosen("firmware", "weight")


def test_times_when_measured():
    """Signing is at least four times as fast as the textbook's in the same run, and the comb stays under 10 kB."""
    figures = firmware.times()
    print(json.dumps(figures))
    assert figures["ratio"] >= 4
    assert 0 < figures["heap_table"] <= 10_000
    assert min(figures["verify"], figures["command"], figures["manifest"]) > 0


def test_smallest_when_searched():
    """The answer fits and a step less does not; what fits nowhere is said."""
    for need in (firmware.HEAP_MIN + 1, 100_000, firmware.HEAP_MAX):
        found = firmware.smallest(lambda heap, need=need: heap >= need)
        assert found - firmware.HEAP_STEP < need <= found
    with pytest.raises(UserError, match="does not even run"):
        firmware.smallest(lambda _heap: False)


@pytest.mark.parametrize("what", firmware.ONCE)
def test_heap_peak_when_done_once(what):
    """Signing, verifying, and answering a command or a manifest each fit beside a chip's other work."""
    peak = firmware.heap_peak(what)
    print(json.dumps({"heap_peak": {what: peak}}))
    assert firmware.HEAP_MIN < peak <= 96 * 1024


@pytest.mark.story
@pytest.mark.parametrize("what", firmware.LIVING)
def test_household_when_a_device_lives_in_it(tmp_path, what):
    """With room enough the device does what is measured; with too little it does not, so the measure is one."""
    with Household(tmp_path, firmware.modules(), firmware.micropython(), has_tls=what == "tls") as home:
        assert home.lives(what, firmware.HEAP_MAX)
        assert not home.lives(what, 40 * 1024)


def test_certificates_when_openssl_is_missing(tmp_path, monkeypatch):
    """The absence is explained."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="apt install openssl"):
        household.make_certificates(tmp_path)
