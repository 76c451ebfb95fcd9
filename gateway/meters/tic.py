"""Linky's customer information (TIC) over a USB dongle: bytes in, whole frames out, noise counted.

    historique, 1200 7E1:  LF  BASE SP 029757986 SP @ CR
    standard,   9600 7E1:  LF  SMAXSN HT E220327075616 HT 00507 HT ? CR
    frame = STX group.. ETX;  EOT: the frame ends here, unfinished

Enedis-NOI-CPT_54E. The checksum is six bits of a sum, plus 0x20: it can be a space, so nothing is ever stripped.
The firmware's parser (firmware/buses/tic.py) behaves the same; a test feeds both the same bytes.
"""

from dataclasses import dataclass
from enum import Enum

STX, ETX, EOT, HT, LF, CR = 0x02, 0x03, 0x04, 0x09, 0x0A, 0x0D
GROUP_SIZE_MAX = 128
GROUPS_MAX = 80


class Mode(Enum):
    """The two ways in which a Linky speaks: what separates the fields, and the baud rate."""

    HISTORIQUE = (0x20, 1200)
    STANDARD = (HT, 9600)

    @property
    def separator(self) -> int:
        """The byte between the fields of a group."""
        return self.value[0]

    @property
    def baud(self) -> int:
        """7 data bits, even parity, 1 stop bit."""
        return self.value[1]


@dataclass(frozen=True, slots=True)
class Group:
    """One labelled value. `stamp` is the meter's time as it wrote it, or None."""

    label: str
    stamp: str | None
    data: str

    def encode(self, mode: Mode) -> bytes:
        """The group between LF and CR, its checksum last."""
        mark = chr(mode.separator)
        fields = [self.label, self.data] if self.stamp is None else [self.label, self.stamp, self.data]
        body = mark.join(fields).encode("ascii")
        return body + bytes([mode.separator, checksum(body, mode)])


@dataclass(frozen=True, slots=True)
class Frame:
    """The good groups of one whole frame by label, and how many were bad."""

    groups: dict[str, Group]
    bad: int


def checksum(body: bytes, mode: Mode) -> int:
    """Over label to data; in standard also over the separator that follows."""
    total = sum(body) + (HT if mode is Mode.STANDARD else 0)
    return (total & 0x3F) + 0x20


def parse(line: bytes, mode: Mode) -> Group | None:
    """A group without LF and CR; None if its checksum or its form is wrong."""
    mark = mode.separator
    if len(line) < 5 or line[-2] != mark or line[-1] != checksum(line[:-2], mode):
        return None
    if any(not 0x20 <= byte < 0x7F and byte != mark for byte in line):
        return None
    text = line[:-2].decode("ascii")
    if mode is Mode.HISTORIQUE:
        label, found, data = text.partition(" ")
        return Group(label, None, data) if label and found else None
    label, *fields = text.split("\t")
    if not label or len(fields) not in (1, 2):
        return None
    return Group(label, fields[0] if len(fields) == 2 else None, fields[-1])


class Reader:
    """Takes bytes as they come. `good` and `bad` count groups; `broken` frames that never ended as they should."""

    def __init__(self, mode: Mode) -> None:
        self.mode = mode
        self.good = self.bad = self.frames = self.broken = 0
        self._line = bytearray()
        self._groups: dict[str, Group] | None = None
        self._bad_in_frame = 0

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that `data` completes, oldest first."""
        found = []
        for byte in data:
            if byte not in (STX, ETX, EOT, LF, CR):
                if len(self._line) <= GROUP_SIZE_MAX:  # one byte over, so that it is known to be too long
                    self._line.append(byte)
                continue
            self._end_group()
            if byte in (STX, EOT):
                self.broken += self._groups is not None
                self._groups, self._bad_in_frame = ({} if byte == STX else None), 0
            elif byte == ETX and self._groups is not None:
                self.frames += 1
                found.append(Frame(self._groups, self._bad_in_frame))
                self._groups = None
        return found

    def _end_group(self) -> None:
        line, self._line = bytes(self._line), bytearray()
        # LF arrived as VT, SO or SI in recorded frames: control characters before a label are taken for it.
        group_bytes = line.lstrip(bytes(range(0x20)))
        if not group_bytes:
            return
        group = parse(group_bytes, self.mode) if len(line) <= GROUP_SIZE_MAX else None
        if group is None:
            self.bad += 1
            self._bad_in_frame += 1
            return
        self.good += 1
        if self._groups is not None:
            self._keep(self._groups, group)

    def _keep(self, groups: dict[str, Group], group: Group) -> None:
        if len(groups) >= GROUPS_MAX:
            self.broken += 1
            self._groups = None
        elif groups.setdefault(group.label, group) != group:
            self._bad_in_frame += 1  # one label twice with different data: believe neither
            groups[group.label] = Group(group.label, None, "")
