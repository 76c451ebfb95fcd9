"""What every device runs: bytes, keys, journal, clock, network. On MicroPython, and on CPython for the tests."""
