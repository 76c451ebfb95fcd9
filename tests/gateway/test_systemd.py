"""The gateway under systemd: what it says on a real notification socket, and the unit that starts it."""

import contextlib
import os
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import run

import pytest

from commonwatt.testing import ManualClock
from gateway.observe.systemd import FEEDS_PER_WATCHDOG, Supervisor
from tests.gateway import seccomp
from tests.gateway.support import COMMONWATT, GIVE_UP_S, Town, end, wait_for

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "gateway" / "systemd" / "commonwatt-gateway.service"
EXPOSURE_MAX = 2.0
"""Of 10, as `systemd-analyze security` counts; what is left is the network, serial devices and the clock's state."""
needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here (Debian package systemd)"
)
needs_seccomp = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None or os.uname().machine != "x86_64",
    reason="needs systemd-analyze and libseccomp (Debian package systemd) on Linux x86-64",
)


@pytest.fixture
def ear(tmp_path: Path) -> Iterator[socket.socket]:
    """A notification socket, as systemd has one."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(GIVE_UP_S)
        yield listener


def heard(ear: socket.socket) -> list[str]:
    """Everything said so far, first lines only."""
    said = []
    ear.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            said.append(ear.recv(4096).decode().splitlines()[0])
    ear.settimeout(GIVE_UP_S)
    return said


def supervisor(clock: ManualClock, **environment: str) -> Supervisor:
    return Supervisor(environment=environment, protocol=clock, own_pid=7)


def test_supervisor_when_ticks_go_on(ear: socket.socket) -> None:
    """READY after the first whole tick; then a feed whenever a quarter of the watchdog's patience is over."""
    clock = ManualClock()
    told = supervisor(clock, NOTIFY_SOCKET=ear.getsockname(), WATCHDOG_USEC="8000000", WATCHDOG_PID="7")
    assert heard(ear) == []
    for _ in range(80):
        told.progress("well")
        clock.advance(0.1)
    told.stopping()
    assert heard(ear) == ["READY=1", *["WATCHDOG=1"] * (FEEDS_PER_WATCHDOG - 1), "STOPPING=1"]


def test_supervisor_when_a_tick_never_ends(ear: socket.socket) -> None:
    """Time alone says nothing: only a tick that ended feeds the watchdog."""
    clock = ManualClock()
    told = supervisor(clock, NOTIFY_SOCKET=ear.getsockname(), WATCHDOG_USEC="8000000")
    told.progress("well")
    clock.advance(3600)
    assert heard(ear) == ["READY=1"]


@pytest.mark.parametrize(
    "environment",
    [{}, {"WATCHDOG_USEC": "8000000", "WATCHDOG_PID": "8"}, {"WATCHDOG_USEC": "soon"}],
    ids=["no watchdog", "another's watchdog", "not a number"],
)
def test_supervisor_when_no_watchdog_waits_for_us(ear: socket.socket, environment: dict[str, str]) -> None:
    """READY and STOPPING are said, feeds are not."""
    clock = ManualClock()
    told = supervisor(clock, NOTIFY_SOCKET=ear.getsockname(), **environment)
    for _ in range(10):
        told.progress("well")
        clock.advance(60)
    assert heard(ear) == ["READY=1"]


@pytest.mark.parametrize("address", ["", "/nowhere/notify", "@commonwatt-nobody-listens"])
def test_supervisor_when_nobody_listens(address: str, caplog: pytest.LogCaptureFixture) -> None:
    """Started by hand, or the socket is gone: no reason to stop measuring."""
    told = supervisor(ManualClock(), NOTIFY_SOCKET=address)
    told.progress("well")
    told.stopping()
    assert bool(caplog.messages) == bool(address)


def test_supervisor_when_the_socket_s_name_is_abstract() -> None:
    """systemd in a container hands over a name that starts with "@"."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"\0commonwatt-test-{os.getpid()}")
        supervisor(ManualClock(), NOTIFY_SOCKET=f"@commonwatt-test-{os.getpid()}").progress("well")
        assert listener.recv(4096) == b"READY=1\nSTATUS=well"


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return Town(tmp_path, []).found()


def test_gateway_when_it_lives_and_is_stopped(
    town: Town, ear: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real process: READY once, feeds while it works, STOPPING when it is asked to end."""
    monkeypatch.setenv("NOTIFY_SOCKET", ear.getsockname())
    monkeypatch.setenv("WATCHDOG_USEC", "200000")
    process = town.start_gateway()
    said: list[str] = []
    wait_for(lambda: said.extend(heard(ear)) or said.count("WATCHDOG=1") >= 3, "three feeds")
    end(process)
    said += heard(ear)
    assert process.returncode == 0
    assert said[0] == "READY=1"
    assert said[-1] == "STOPPING=1"
    assert set(said[1:-1]) == {"WATCHDOG=1"}


def test_gateway_when_its_loop_is_stuck(town: Town, ear: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tick that hangs on the disk feeds nobody, though the process and its other threads live; freed, it goes on.

    The disk that hangs is a named pipe in the place of the status file: to open it waits for a reader.
    """
    monkeypatch.setenv("NOTIFY_SOCKET", ear.getsockname())
    monkeypatch.setenv("WATCHDOG_USEC", "200000")
    pipe = town.directory / "status.new"
    os.mkfifo(pipe)
    process = town.start_gateway()
    try:
        wait_for(lambda: town.spool_file.exists() and _is_waiting_in_open(process.pid), "the loop to be stuck")
        assert heard(ear) == []
        assert process.poll() is None
        with pipe.open() as reader:
            assert '"state": "up"' in reader.read()
        assert ear.recv(4096).startswith(b"READY=1")
        assert ear.recv(4096).startswith(b"WATCHDOG=1")
    finally:
        end(process)


def _is_waiting_in_open(pid: int) -> bool:
    """Whether the main thread waits for the other end of a named pipe."""
    return "wait_for_partner" in Path(f"/proc/{pid}/wchan").read_text()


@needs_systemd
def test_unit_when_systemd_reads_it(tmp_path: Path) -> None:
    """No unknown setting, no mistake, with the command's real place."""
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text().replace("/opt/commonwatt/bin/commonwatt", COMMONWATT))
    done = run(["systemd-analyze", "verify", str(copy)], capture_output=True, text=True, check=False)
    # Other units of this machine may have faults of their own; ours is named by its file.
    assert done.returncode == 0, done.stderr
    assert UNIT.name not in done.stderr


@needs_systemd
def test_unit_when_its_exposure_is_counted() -> None:
    """It stays below the limit above, and the limit is not looser than it need be."""
    for limit, passes in ((EXPOSURE_MAX, True), (EXPOSURE_MAX - 0.5, False)):
        arguments = ["--offline=true", "--no-pager", f"--threshold={int(limit * 10)}", str(UNIT)]
        done = run(["systemd-analyze", "security", *arguments], capture_output=True, text=True, check=False)
        assert (done.returncode == 0) is passes, done.stdout + done.stderr


@needs_seccomp
def test_gateway_when_it_may_do_no_more_than_its_unit_says(
    town: Town, ear: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under the unit's own filter of system calls the real gateway starts, works and ends."""
    monkeypatch.setenv("NOTIFY_SOCKET", ear.getsockname())
    monkeypatch.setenv("WATCHDOG_USEC", "200000")
    under = [sys.executable, str(ROOT / "tests" / "gateway" / "seccomp.py"), str(UNIT)]
    process = town.start_gateway(under=under)
    wait_for(lambda: "WATCHDOG=1" in heard(ear) or process.poll() is not None, "a feed")
    end(process)
    assert process.returncode == 0, town.log()


@needs_seccomp
def test_kernel_clock_when_the_unit_s_filter_stands() -> None:
    """It may be asked and not set: with ProtectClock= it could not be asked, and the gateway would sign nothing."""
    program = (
        "import time; from gateway.kernel_clock import kernel_is_synchronised; kernel_is_synchronised()\n"
        "try: time.clock_settime(time.CLOCK_REALTIME, time.time())\n"
        "except PermissionError: print('asked, not set')"
    )
    argv = [sys.executable, str(ROOT / "tests" / "gateway" / "seccomp.py"), str(UNIT), sys.executable, "-c", program]
    done = run(argv, capture_output=True, text=True, check=False)
    assert done.stdout == "asked, not set\n", done.stderr
    assert seccomp.settings(UNIT, "ProtectClock") == []


@needs_systemd
def test_filter_when_it_is_read() -> None:
    """The reading of SystemCallFilter= that the tests above stand on: lines in order, groups within groups."""
    names = seccomp.allowed(seccomp.settings(UNIT, "SystemCallFilter"))
    assert {"read", "futex", "sendto", "clock_adjtime", "execve"} <= names
    assert not {"clock_settime", "chown", "mount", "reboot", "bpf", "setrlimit"} & names
