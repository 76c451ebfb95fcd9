"""The units of an operator's room without containers: systemd takes them, and they may do little."""

import shutil
import sys
from pathlib import Path
from subprocess import run

import pytest

UNITS = sorted((Path(__file__).parents[2] / "deploy" / "systemd").glob("*.service"))
EXPOSURE_MAX = 1.5
"""Of 10, as `systemd-analyze security` counts."""

pytestmark = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here (Debian package systemd)"
)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_unit_when_systemd_reads_it(unit: Path, tmp_path: Path) -> None:
    """No unknown setting, no mistake, with the commands' real places."""
    copy = tmp_path / unit.name
    copy.write_text(unit.read_text().replace("/opt/commonwatt/bin", str(Path(sys.executable).parent)))
    done = run(["systemd-analyze", "verify", str(copy)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert unit.name not in done.stderr


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_unit_when_its_exposure_is_counted(unit: Path) -> None:
    """It stays below the limit, and the limit is not looser than it need be."""
    for limit, passes in ((EXPOSURE_MAX, True), (EXPOSURE_MAX - 0.5, False)):
        arguments = ["--offline=true", "--no-pager", f"--threshold={int(limit * 10)}", str(unit)]
        done = run(["systemd-analyze", "security", *arguments], capture_output=True, text=True, check=False)
        assert (done.returncode == 0) is passes, done.stdout + done.stderr


def test_units_when_counted() -> None:
    """Broker, aggregator, and who takes requests beside it: InfluxDB and Grafana bring their own."""
    assert [unit.stem for unit in UNITS] == ["commonwatt-aggregator", "commonwatt-broker", "commonwatt-requests"]
