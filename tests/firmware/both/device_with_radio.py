"""firmware/main.py on a device that has a radio: `micropython device_with_radio.py FIRMWARE AIR.json CONFIG.json`.

The radio is of paper: AIR.json names the networks in reach with their passwords, and the ports that stand for 80 and
53. What the device does with it is a line each in AIR.json.log. Everything else is the firmware itself.
"""

import json
import sys

sys.path.insert(0, sys.argv[1])

import board
import main


class Radio:
    """Wi-Fi that takes us at once, or not."""

    def __init__(self, path):
        with open(path) as file:
            self._air = json.load(file)
        self._log = path + ".log"
        self._joined = False
        self.http_port = self._air["http_port"]
        self.dns_port = self._air["dns_port"]

    def open(self, name, password):
        self._note("open " + name + " " + password)
        return b"\x7f\x00\x00\x01"

    def close(self):
        self._note("close")

    def join(self, name, password):
        self._note("join " + name)
        if self._air["networks"].get(name) != password:
            raise OSError(5)
        self._joined = True

    def leave(self):
        self._joined = False

    def is_up(self):
        return self._joined

    def address(self):
        return "127.0.0.1"

    def level_dbm(self):
        return -61

    def _note(self, line):
        with open(self._log, "a") as file:
            file.write(line + "\n")


board.WIFI = True
board.radio = lambda _config: Radio(sys.argv[2])
sys.exit(main.main([sys.argv[3]]))
