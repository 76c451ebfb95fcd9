"""Word to systemd over its notification socket, sd_notify(3): ready, still alive, about to stop.

    READY=1 \\n STATUS=…      after the first whole tick: the spool was written, not merely opened
    WATCHDOG=1 \\n STATUS=…   after further ticks, four times per WatchdogSec
    STOPPING=1               when asked to end

A loop that is stuck says nothing, so systemd kills it and starts another. Nothing here answers, and a socket that
cannot be reached is no reason to stop measuring.
"""

import logging
import os
import socket
from collections.abc import Mapping

from commonwatt.clock import Protocolar

log = logging.getLogger(__name__)

FEEDS_PER_WATCHDOG = 4
"""systemd asks for two; a slow disk may cost one or two more."""


class Supervisor:
    """systemd's ear, or nobody's when we were not started by it."""

    def __init__(self, *, environment: Mapping[str, str], protocol: Protocolar, own_pid: int | None = None) -> None:
        self._address = _address(environment.get("NOTIFY_SOCKET", ""))
        self._feed_s = _watchdog_s(environment, os.getpid() if own_pid is None else own_pid) / FEEDS_PER_WATCHDOG
        self._protocol = protocol
        self._fed_at_s: float | None = None

    def progress(self, status: str) -> None:
        """Call after every whole tick, and only then; `status` is what `systemctl status` shows."""
        now_s = self._protocol.monotonic_s()
        if self._fed_at_s is None:
            self._say(f"READY=1\nSTATUS={status}")
        elif self._feed_s == 0 or now_s - self._fed_at_s < self._feed_s:
            return
        else:
            self._say(f"WATCHDOG=1\nSTATUS={status}")
        self._fed_at_s = now_s

    def stopping(self) -> None:
        """Call before the last work, so that a slow end is not taken for a stuck loop."""
        self._say("STOPPING=1")

    def _say(self, text: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.setblocking(False)
                sender.sendto(text.encode(), self._address)
        except OSError as error:
            log.warning("systemd does not hear us: %s", error.strerror)


def _address(text: str) -> str:
    """ "@" stands for the zero byte of Linux' abstract names."""
    return "\0" + text[1:] if text.startswith("@") else text


def _watchdog_s(environment: Mapping[str, str], own_pid: int) -> float:
    """How long we may be silent; 0: nobody waits, or not for this process."""
    if environment.get("WATCHDOG_PID", str(own_pid)) != str(own_pid):
        return 0.0
    spelled = environment.get("WATCHDOG_USEC", "0")
    return int(spelled) / 1e6 if spelled.isdecimal() else 0.0
