"""The demo's real processes: started, stopped, killed, started again; each with a log file of its own."""

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from commonwatt.errors import CommonwattError

BIN = Path(sys.executable).parent
STOP_S_MAX = 20
LOG_TAIL_LINES = 12


class ProgramEndedError(CommonwattError):
    """A program of the demo ended by itself, or did not come up; the end of its log says why."""

    def __init__(self, name: str, what: str, log_file: Path) -> None:
        lines = log_file.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:] if log_file.exists() else []
        tail = "\n  ".join(lines) or "(nothing)"
        super().__init__(f"{name} {what}; the end of {log_file}:\n  {tail}")


@dataclass
class Program:
    """One process that the demo starts, and starts again after a kill. `argv[0]` is a path."""

    name: str
    argv: Sequence[str]
    log_file: Path
    kills: int = 0
    _process: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)

    def start(self) -> None:
        """Start it; its output is appended to its log."""
        assert self._process is None or self._process.poll() is not None, f"{self.name} is already running"
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    @property
    def is_running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def check(self) -> None:
        """Raise ProgramEnded if it has ended by itself."""
        if self._process is not None and (code := self._process.poll()) is not None:
            raise ProgramEndedError(self.name, f"ended with exit code {code}", self.log_file)

    def kill(self) -> None:
        """SIGKILL: nothing is flushed, nothing is said."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self.kills += 1

    def stop(self) -> None:
        """Ask it to end; kill it if it does not listen."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def run(argv: Sequence[str], *, log_file: Path) -> str:
    """Run a command to its end and return what it printed; CommonwattError with its words if it fails."""
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    log_file.parent.mkdir(parents=True, exist_ok=True)
    with log_file.open("a") as log:
        log.write(f"$ {' '.join(argv)}\n{done.stdout}{done.stderr}")
    if done.returncode != 0:
        raise CommonwattError(f"'{' '.join(argv)}' failed with {done.returncode}:\n{done.stderr or done.stdout}")
    return done.stdout


def free_port() -> int:
    """A port of the loopback interface that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Callable[[], bool], *, what: str, timeout_s: float, programs: Sequence[Program] = ()) -> None:
    """Wait until a condition holds; a program that ends meanwhile, or the time-out, raises with its log."""
    ends_s = time.monotonic() + timeout_s
    while not condition():
        for program in programs:
            program.check()
        if time.monotonic() > ends_s:
            raise CommonwattError(f"waited {timeout_s:.0f} s for {what}")
        time.sleep(0.05)


def answers(host: str, port: int) -> bool:
    """Whether something accepts connections there."""
    try:
        socket.create_connection((host, port), timeout=0.5).close()
    except OSError:
        return False
    return True
