"""Linky's customer information (TIC), both modes: bytes in, groups with a good checksum out, the rest counted.

    historique, 1200 7E1:  LF  BASE SP 029757986 SP @ CR
    standard,   9600 7E1:  LF  SMAXSN HT E220327075616 HT 00507 HT ? CR
    frame = STX group.. ETX;  EOT: the frame ends here, unfinished

Source: Enedis-NOI-CPT_54E. The checksum is the sum over label to data, six bits of it, plus 0x20: it can be a space,
so nothing is ever stripped. In historique the separator before it is left out of the sum, in standard it is taken in.
Noise seen for real: LF as VT, SO or SI, HT as BS, digits as spaces, bits flipped in labels, groups glued together
(hekmon/linkytic 9, 11, 51, 67; NicolasBernaerts/tasmota).
"""

from node.port import const

HISTORIQUE = " "
STANDARD = "\t"

_STX = const(0x02)
_ETX = const(0x03)
_EOT = const(0x04)
_HT = const(0x09)
_LF = const(0x0A)
_CR = const(0x0D)
_GROUP_MAX = const(128)
_GROUPS_MAX = const(80)


def checksum(body, separator):
    """The checksum character of a group, `body` being label, separators and data without the last separator."""
    total = sum(body)
    if separator == STANDARD:
        total += _HT
    return (total & 0x3F) + 0x20


def parse(line, separator):
    """(label, horodatage or "", data) of a group without LF and CR; None if its checksum or its form is wrong."""
    mark = ord(separator)
    if len(line) < 5 or line[-2] != mark or line[-1] != checksum(line[:-2], separator):
        return None
    for byte in line:
        if not 0x20 <= byte < 0x7F and byte != mark:
            return None
    text = str(line[:-2], "ascii")
    if separator == HISTORIQUE:
        label, found, data = text.partition(separator)
        return (label, "", data) if label and found else None
    fields = text.split(separator)
    if not fields[0] or len(fields) not in (2, 3):
        return None
    return fields[0], fields[1] if len(fields) == 3 else "", fields[-1]


class Reader:
    """Takes bytes as they come; whole frames come out as dicts of label to (horodatage, data).

    `good` and `bad` count groups, `frames` whole frames, `broken` those that were interrupted, began anew or grew
    without end. A frame's dict holds its good groups; under "" is how many were bad.
    """

    def __init__(self, separator):
        self._separator = separator
        self._line = bytearray()
        self._frame = None
        self.good = 0
        self.bad = 0
        self.frames = 0
        self.broken = 0

    def feed(self, data):
        """The frames that `data` completes, oldest first."""
        found = []
        for byte in data:
            if byte not in (_STX, _ETX, _EOT, _LF, _CR):
                if len(self._line) <= _GROUP_MAX:  # one byte over, so that it is known to be too long
                    self._line.append(byte)
                continue
            self._end_group()
            if byte in (_STX, _EOT):
                self.broken += self._frame is not None
                self._frame = {"": 0} if byte == _STX else None
            elif byte == _ETX and self._frame is not None:
                self.frames += 1
                found.append(self._frame)
                self._frame = None
        return found

    def _end_group(self):
        line, self._line = bytes(self._line), bytearray()
        start = 0
        while start < len(line) and line[start] < 0x20:  # an LF that arrived as another control character
            start += 1
        if start == len(line):
            return
        group = parse(line[start:], self._separator) if len(line) <= _GROUP_MAX else None
        if group is None:
            self.bad += 1
            if self._frame is not None:
                self._frame[""] += 1
            return
        self.good += 1
        if self._frame is not None:
            if len(self._frame) > _GROUPS_MAX:
                self.broken += 1
                self._frame = None
            elif self._frame.get(group[0], group[1:]) != group[1:]:
                self._frame[""] += 1  # one label twice with different data: believe neither
                self._frame[group[0]] = ("", "")
            else:
                self._frame[group[0]] = group[1:]
