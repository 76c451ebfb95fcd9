"""Replays recorded registers in civil time: the meter of demonstrations and tests, in the place of a pin.

The file begins with the quantities and goes on with one row for each time, ascending:

    quantities,1,2
    1720396800,1234567,890
    1720397700,1234601,902

It is read as it is needed: two rows are in memory, whatever its length.
"""

import meters


@meters.driver("replay")
def make(config, clock, _hardware=None):
    """The meter of {"type": "replay", "file": path}."""
    return Replay(config["file"], clock)


class Replay:
    """`read` gives the last row at or before civil now; before the first row the first, after the last the last."""

    def __init__(self, path, clock):
        self._path = path
        self._clock = clock
        self._rewind()

    def read(self):
        """The registers as (quantity, wh), OSError before the clock is set."""
        if not self._clock.synchronised:
            raise OSError("a recording needs the time")
        now_s = self._clock.now_s()
        if now_s < self._row[0]:
            self._rewind()  # the clock stepped back
        while self._next is not None and self._next[0] <= now_s:
            self._row = self._next
            self._next = self._read_row()
        return list(zip(self._quantities, self._row[1:]))  # noqa: B905 checked when the row was read

    def _rewind(self):
        self._offset = 0
        head = self._read_fields()
        if head[0] != "quantities":
            raise ValueError("a recording begins with its quantities")
        self._quantities = [int(number) for number in head[1:]]
        self._row = self._read_row()
        if self._row is None:
            raise ValueError("an empty recording")
        self._next = self._read_row()

    def _read_row(self):
        """The next row as integers, None at the end."""
        fields = self._read_fields()
        if fields == [""]:
            return None
        row = [int(field) for field in fields]
        if len(row) != 1 + len(self._quantities):
            raise ValueError("a row with other columns than its head")
        return row

    def _read_fields(self):
        # Opened anew for each row: one row in 15 minutes is no reason to hold a file open.
        with open(self._path) as file:
            file.seek(self._offset)
            line = file.readline()
            self._offset = file.tell()
        return line.strip().split(",")
