"""The journal on raw flash when the power goes: after every byte programmed and during every erase."""

from node.fileflash import FileFlash
from node.flashlog import FlashJournal, days_offline, years

from blocks import PowerCutError
from flash import Flash
from neutral import folder, seeded


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
    for number in range(90):
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
    assert flash.erases > 8
    assert cuts > 3000


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


def test_flashlog_when_offline_for_thirty_days():
    """224 sectors hold 30 days of 245-byte blocks, one in 15 minutes; a 4 MB flash lasts for centuries of that."""
    assert days_offline(224, 245, 900) >= 30
    day = 96 * (245 + 24 + 16)
    assert years(224, day) > 100
    assert years(8, 96 * 15 * 34) > 100  # a sample of two registers each minute


def test_flashlog_when_kept_in_a_file():
    """The file remembers what the journal was told; bits that fell do not rise."""
    path = folder() + "/flash"
    journal = FlashJournal(FileFlash(path, 16))
    journal.add_sample((900, ((1, 5),)))
    journal.add_block(b"b" * 100)
    journal.add_sample((1800, ((1, 6),)))
    expected = _state(journal)
    flash = FileFlash(path, 16)
    assert _state(FlashJournal(flash)) == expected
    flash.writeblocks(15, b"\x0f", 9)
    flash.writeblocks(15, b"\xf1", 9)
    read = bytearray(1)
    flash.readblocks(15, read, 9)
    assert read == b"\x01"
