"""A board on a serial port: a real Unix MicroPython behind two ptys, for real mpremote to talk to.

A chip answers Ctrl-D by a soft reboot and is back at the raw prompt; on Unix the interpreter ends. So it is started
again here, in the same folder, which stands for the chip's flash.
"""

import os
import select
import subprocess
import sys
import threading
import tty
from pathlib import Path

MICROPYTHON = Path(sys.executable).parent / "micropython"
_LOOK_S = 0.02


class SerialBoard:
    """`port` is what mpremote connects to; `folder` is the board's flash. A context: it has power within."""

    def __init__(self, folder):
        self._folder = folder
        self._host, self._line = os.openpty()
        self._chip, self._console = os.openpty()
        for end in (self._line, self._console):
            tty.setraw(end)
        self.port = os.ttyname(self._line)
        self._is_off = False

    def __enter__(self):
        self._start()
        self._thread = threading.Thread(target=self._carry)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._is_off = True
        self._thread.join()
        self._process.kill()
        self._process.wait()
        for end in (self._host, self._line, self._chip, self._console):
            os.close(end)

    def _start(self):
        console = {"stdin": self._console, "stdout": self._console, "stderr": self._console}
        self._process = subprocess.Popen([MICROPYTHON, "-i"], cwd=self._folder, env={"TERM": "dumb"}, **console)

    def _carry(self):
        while not self._is_off:
            if self._process.poll() is not None:
                self._reboot()
            for end in select.select([self._host, self._chip], [], [], _LOOK_S)[0]:
                os.write(self._chip if end == self._host else self._host, os.read(end, 4096))

    def _reboot(self):
        os.write(self._host, b"soft reboot\r\n")
        self._start()
        banner = b""
        while not banner.endswith(b">>> "):
            banner += os.read(self._chip, 4096)
        os.write(self._chip, b"\x01")
