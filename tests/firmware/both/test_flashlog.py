"""The journal on raw flash when the power goes: after every byte programmed and during every erase."""

from node.cell import Cell
from node.fileflash import FileFlash
from node.flashlog import FlashJournal, days_offline, years
from node.horizon import Horizon
from node.sectorfiles import SectorFiles

from blocks import Blocks, PowerCutError
from flash import Flash
from neutral import folder, raises, seeded


def _state(journal):
    """All that a journal must not forget."""
    blocks = [(seq, journal.read_block(seq)) for seq in journal.unsettled()]
    samples = list(journal.samples)
    return (journal.next_seq, journal.link, journal.last_time_s, samples, blocks, dict(journal.refused))


def _bytes(random, size):
    return bytes([random.getrandbits(8) for _ in range(size)])


def _operation(journal, random, time_s):
    """One random operation of those that a device does, as (method, arguments)."""
    unsettled = list(journal.unsettled())
    choice = random.randrange(4)
    if unsettled and (choice == 0 or len(unsettled) > 4):
        return "settle", (unsettled[random.randrange(len(unsettled))], random.randrange(3))
    if choice == 1 and journal.samples:
        return "add_block", (_bytes(random, random.randrange(90, 140)),)
    return "add_sample", ((time_s, ((1, random.getrandbits(30)), (2, random.getrandbits(20)))),)


def test_flashlog_when_cut_at_every_byte_and_erase():
    """After any cut the journal tells the state before or after the operation, and goes on from there."""
    random = seeded(4096)
    flash = Flash(12, 512, random)
    cuts = 0
    for number in range(60):
        journal = FlashJournal(flash, 4)
        before, snapshot = _state(journal), flash.copy()
        method, arguments = _operation(journal, random, 900 * number)
        flash.steps = 0
        getattr(journal, method)(*arguments)
        after, steps = _state(journal), flash.steps
        for cut in range(steps):
            broken = snapshot.copy()
            journal = FlashJournal(broken, 4)
            broken.cut_at, broken.steps = cut, 0
            try:
                getattr(journal, method)(*arguments)
                raise AssertionError
            except PowerCutError:
                broken.cut_at = None
            journal = FlashJournal(broken, 4)
            assert _state(journal) in (before, after), (number, cut)
            cuts += 1
            if cut % 7 == 0:
                _goes_on(broken, journal)
    assert flash.erases > 5
    assert cuts > 2000


def _goes_on(flash, journal):
    next_seq, link = journal.next_seq, journal.link
    journal.add_sample((10**9, ((1, 5),)))
    journal.add_block(b"b" * 100)
    again = FlashJournal(flash, 4)
    assert again.next_seq == next_seq + 1
    assert again.link != link
    assert again.read_block(next_seq) == b"b" * 100


def test_flashlog_when_the_newest_block_goes_bad():
    """Its seq is never used again, whichever byte of it goes bad."""
    random = seeded(5)
    flash = Flash(12, 512, random)
    journal = FlashJournal(flash, 4)
    for number in range(2):
        journal.add_sample((900 * number, ((1, 5),)))
        journal.add_block(_bytes(random, 200))
    place, start = next((p, s.find(_HEAD)) for p, s in enumerate(flash.data) if s.find(_HEAD) >= 0)
    for at in range(start - 4, start + 200):
        bad = flash.copy()
        bad.data[place][at] ^= 1 << random.randrange(8)
        journal = FlashJournal(bad, 4)
        assert journal.next_seq >= 2
        assert journal.lost == 1


_HEAD = (1).to_bytes(8, "little") + (900).to_bytes(8, "little")


def test_flashlog_when_full():
    """The oldest blocks go and are counted; seq goes on; what is left is whole and in order."""
    random = seeded(6)
    flash = Flash(10, 512, random)
    journal = FlashJournal(flash, 4)
    for number in range(60):
        journal.add_sample((900 * number, ((1, number),)))
        journal.add_block(b"%03d" % number + bytes(97))
    assert journal.next_seq == 60
    assert journal.dropped > 0
    assert journal.dropped + journal.backlog() == 60
    expected = _state(journal)
    journal = FlashJournal(flash, 4)
    assert _state(journal) == expected
    assert list(journal.unsettled()) == list(range(journal.dropped, 60))
    assert flash.erases // 10 <= journal.state()["journal_worn"] <= flash.erases


def test_flashlog_when_a_sector_wears():
    """The marks count the erases of each sector, over every start."""
    flash = Flash(10, 512, seeded(10))
    erased = [0] * 10
    program = flash.ioctl

    def counting(request, argument):
        if request == 6:
            erased[argument] += 1
        return program(request, argument)

    flash.ioctl = counting
    for start in range(4):
        journal = FlashJournal(flash, 4)
        for number in range(40 * start, 40 * start + 40):
            journal.add_sample((900 * number, ((1, number),)))
            journal.add_block(bytes(100))
        assert journal.worn == FlashJournal(flash, 4).worn == max(erased)


def test_flashlog_when_it_was_wiped():
    """A journal that begins anew, or from long ago, goes on where no seq was used; an intact one is left alone."""
    random = seeded(7)
    flash, cells = Flash(10, 512, random), Blocks()
    journal = FlashJournal(flash, 4, Horizon(Cell(cells)))
    for number in range(300):
        journal.add_sample((900 * number, ((1, number),)))
        journal.add_block(b"%03d" % number + bytes(97))
    journal = FlashJournal(flash, 4, Horizon(Cell(cells)))
    assert (journal.next_seq, journal.state()["journal_wiped"]) == (300, False)
    journal = FlashJournal(Flash(10, 512, random), 4, Horizon(Cell(cells)))
    assert (journal.next_seq, journal.state()["journal_wiped"]) == (304, True)
    journal.add_sample((10**9, ((1, 5),)))
    journal.add_block(b"b" * 100)
    assert list(journal.unsettled()) == [304]


def test_flashlog_when_the_horizon_cannot_be_moved():
    """Nothing is signed under a seq that may have been used."""
    random = seeded(8)
    cells = Blocks()
    journal = FlashJournal(Flash(10, 512, random), 4, Horizon(Cell(cells)))
    journal.add_sample((900, ((1, 5),)))
    cells.broken = True
    assert raises(OSError, journal.add_block, b"b" * 100)
    assert (journal.next_seq, journal.backlog()) == (0, 0)


def test_flashlog_when_a_block_goes_bad_while_it_waits():
    """It is given up and counted; the others are still there."""
    random = seeded(9)
    flash = Flash(12, 512, random)
    journal = FlashJournal(flash, 4)
    for number in range(2):
        journal.add_sample((900 * number, ((1, 5),)))
        journal.add_block(_bytes(random, 200))
    place, at = next((p, s.find(_HEAD)) for p, s in enumerate(flash.data) if s.find(_HEAD) >= 0)
    flash.data[place][at + 40] ^= 1
    assert raises(OSError, journal.read_block, 1)
    journal.give_up(1)
    assert (journal.unreadable, list(journal.unsettled())) == (1, [0])


def test_flashlog_when_offline_for_thirty_days():
    """A 4 MB flash's 184 sectors hold 30 days of blocks of 196 bytes, one in 15 minutes, for centuries."""
    flash = Flash(192, 4096, seeded(11))
    journal = FlashJournal(flash)
    for number in range(30 * 96):
        journal.add_sample((900 * number, ((1, number), (2, number))))
        journal.add_block(number.to_bytes(4, "big") + bytes(192))
    assert (journal.dropped, journal.backlog()) == (0, 30 * 96)
    journal = FlashJournal(flash)
    assert list(journal.unsettled()) == list(range(30 * 96))
    assert journal.read_block(0)[:4] == bytes(4)
    assert days_offline(184, 196, 900) >= 30
    assert days_offline(184, 245, 900) >= 26
    day = 96 * (196 + 25 + 16)
    assert years(184, day) > 100
    assert years(8, 96 * 15 * 34) > 100  # a sample of two registers each minute


def test_flashlog_when_kept_in_a_file():
    """The file remembers what the journal was told; bits that fell do not rise. So do files for each sector."""
    for kind in (FileFlash, SectorFiles):
        _keep(kind, folder() + "/flash")


def _keep(kind, path):
    journal = FlashJournal(kind(path, 16))
    journal.add_sample((900, ((1, 5),)))
    journal.add_block(b"b" * 100)
    journal.add_sample((1800, ((1, 6),)))
    expected = _state(journal)
    flash = kind(path, 16)
    assert _state(FlashJournal(flash)) == expected
    flash.writeblocks(15, b"\x0f", 9)
    flash.writeblocks(15, b"\xf1", 9)
    read = bytearray(1)
    flash.readblocks(15, read, 9)
    assert read == b"\x01"
