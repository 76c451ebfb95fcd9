"""TIC groups and frames: both checksums, a checksum that is a space, and the damage that people reported."""

from buses import tic

from neutral import seeded
from wires import noise

# A public log of NicolasBernaerts/tasmota (linky-histo-hphc-hp2hc.log), the address set to zeros.
HPHC = (
    "ADCO 000000000000 W", "OPTARIF HC.. <", "ISOUSC 30 9", "HCHC 010556099 )", "HCHP 011141357 *", "PTEC HP..  ",
    "IINST 005 \\", "IMAX 026 G", "PAPP 01170 *", "HHPHC A ,", "MOTDETAT 000000 B",
)  # fmt: skip
# From the producer's capture beside these tests.
STANDARD = (
    "ADSC\t000000000000\tM", "DATE\tH250307134349\t\tJ", "NGTF\tH PLEINE/CREUSE \t\\", "EAST\t080490250\t+",
    "EAIT\t003626872\t'", "SMAXSN\tH250307060708\t09835\tL", "NJOURF+1\t00\tB",
    "PJOURF+1\t00008002 0210C001 08108002 1440C001 16408002 NONUTILE NONUTILE NONUTILE NONUTILE NONUTILE NONUTILE\t^",
)  # fmt: skip
CAPTURE = "tests/firmware/captures/linky/standard_producer.log"


def frame(groups):
    """The groups as a meter sends them."""
    return b"\x02" + b"".join([b"\n" + group.encode() + b"\r" for group in groups]) + b"\x03"


def test_groups_as_recorded():
    """Every group of both modes has a good checksum, also the one whose checksum is a space."""
    assert HPHC[5][-1] == " "
    for groups, separator in ((HPHC, tic.HISTORIQUE), (STANDARD, tic.STANDARD)):
        for group in groups:
            assert tic.parse(group.encode(), separator) is not None, group
    assert tic.parse(HPHC[5].encode(), tic.HISTORIQUE) == ("PTEC", "", "HP..")
    assert tic.parse(STANDARD[1].encode(), tic.STANDARD) == ("DATE", "H250307134349", "")
    assert tic.parse(STANDARD[7].encode(), tic.STANDARD)[2].count(" ") == 10


def test_groups_of_the_other_mode():
    """The two checksums differ by the last separator: a group of one mode is none of the other."""
    assert all(tic.parse(group.encode(), tic.STANDARD) is None for group in HPHC)
    assert all(tic.parse(group.encode(), tic.HISTORIQUE) is None for group in STANDARD)


def test_groups_damaged_as_reported():
    """hekmon/linkytic 11, 51: wrong checksum, form feed, HT as BS, a digit as a space, flipped bits in labels."""
    for line in (
        b"ADSC\t000000000000\t8",
        b"PRM\t00000000000000\tN\x0c",
        b"EASD01\t06476 712\tA",
        b"SMAXSN-1\tH241202043910\t03800\x08R",
        b"",
        b"\t\t",
    ):
        assert tic.parse(line, tic.STANDARD) is None, line
    for line in (b"ISOUSC 45 \x7f", b"\xbfPTARIF HC.. <", b"?(TARIF HC.. <", b"M?\xaaDETAT 000000 B"):
        assert tic.parse(line, tic.HISTORIQUE) is None, line


def test_frame():
    """A frame comes out once, when it ends, with all its groups."""
    reader = tic.Reader(tic.HISTORIQUE)
    found = reader.feed(frame(HPHC))
    assert len(found) == 1
    assert found[0]["HCHP"] == ("", "011141357")
    assert found[0][""] == 0
    assert (reader.good, reader.bad, reader.frames, reader.broken) == (11, 0, 1, 0)


def test_frame_byte_by_byte():
    """However the bytes come."""
    reader = tic.Reader(tic.STANDARD)
    found = []
    for byte in frame(STANDARD) * 3:
        found += reader.feed(bytes([byte]))
    assert len(found) == 3
    assert found[2]["EAIT"] == ("", "003626872")


def test_lf_as_another_control_character():
    """hekmon/linkytic 67: LF arrives as VT, SO or SI; the group behind it is whole, and kept."""
    for control in (b"\x0b", b"\x0e", b"\x0f"):
        reader = tic.Reader(tic.STANDARD)
        found = reader.feed(frame(STANDARD).replace(b"\nEAST", control + b"EAST"))
        assert found[0]["EAST"] == ("", "080490250")
        assert reader.bad == 0


def test_groups_glued_together():
    """Without CR and LF between them two groups are none: dropped, counted once, the others kept."""
    reader = tic.Reader(tic.STANDARD)
    found = reader.feed(frame(STANDARD).replace(b"\r\nEAIT", b"EAIT"))
    assert "EAST" not in found[0]
    assert "EAIT" not in found[0]
    assert found[0][""] == 1
    assert found[0]["ADSC"] == ("", "000000000000")


def test_frame_that_is_interrupted():
    """EOT, or an STX too early: what was there is no frame (hekmon/linkytic 9)."""
    reader = tic.Reader(tic.HISTORIQUE)
    assert reader.feed(frame(HPHC)[:-20] + b"\x04" + frame(HPHC)[:-1]) == []
    assert len(reader.feed(frame(HPHC))) == 1
    assert reader.broken == 2


def test_one_label_twice():
    """Told twice with different data, it is not believed."""
    reader = tic.Reader(tic.HISTORIQUE)
    found = reader.feed(frame(HPHC + ("HCHP 011141358 +",)))
    assert found[0]["HCHP"] == ("", "")
    assert found[0][""] == 1


def test_line_without_end():
    """A stream without CR takes no more memory than a group, and is counted once."""
    reader = tic.Reader(tic.STANDARD)
    for _ in range(100):
        assert reader.feed(b"\x02" + b"A" * 1000) == []
    assert len(reader._line) <= 129
    assert reader.feed(b"\r") == []
    assert (reader.bad, reader.broken) == (100, 99)


def test_capture_of_a_producer():
    """A real log with damaged lines and reordered groups: good groups are kept, the damaged ones counted."""
    with open(CAPTURE, "rb") as file:
        data = file.read()
    reader = tic.Reader(tic.STANDARD)
    found = reader.feed(b"\x02" + data)
    assert len(found) == 10
    assert all(fields["EAST"] == ("", "080490250") for fields in found if "EAST" in fields)
    # Three lines are damaged, by bytes that end groups: eight pieces, none of them a group.
    assert (reader.good, reader.bad, reader.frames) == (429, 8, 10)


def test_noise():
    """Random bytes, seeded: no frame without a good group in its place, and no group that was not sent."""
    chance = seeded(54)
    reader = tic.Reader(tic.STANDARD)
    sent = {group.split("\t")[0] for group in STANDARD}
    kept = 0
    for _ in range(100):
        data = bytearray(frame(STANDARD))
        for _ in range(chance.randrange(4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        for found in reader.feed(noise(chance, chance.randrange(40)) + bytes(data)):
            kept += found.get("EAST") == ("", "080490250")
            assert found.get("EAST", ("", ""))[1] in ("", "080490250") or found["EAST"][1] != "080490250"
            assert len(set(found) - sent - {""}) <= 1
    assert kept > 50
    assert reader.bad > 20
