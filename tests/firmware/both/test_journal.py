"""The journal when the power goes: cut at every byte of everything it ever wrote."""

import os

from node.journal import Journal

from neutral import folder, seeded


def _read(path):
    with open(path, "rb") as file:
        return file.read()


def _write(path, data):
    with open(path, "wb") as file:
        file.write(data)


def _state(journal):
    """All that a journal must not forget."""
    blocks = [(seq, journal.read_block(seq)) for seq in journal.unsettled()]
    return (journal.next_seq, journal.link, journal.last_time_s, list(journal.samples), blocks, dict(journal.refused))


def _reopened(path):
    return _state(Journal(path))


def _random_bytes(random, size):
    return bytes([random.getrandbits(8) for _ in range(size)])


def _operate(journal, random, time_s):
    """One random operation of those that a device does."""
    unsettled = list(journal.unsettled())
    choice = random.randrange(4)
    if choice == 0 and unsettled:
        journal.settle(unsettled[random.randrange(len(unsettled))], random.randrange(3))
    elif choice == 1 and journal.samples:
        journal.add_block(_random_bytes(random, random.randrange(90, 140)))
    else:
        journal.add_sample((time_s, ((1, random.getrandbits(30)), (2, random.getrandbits(20)))))


def _history(path, random, operations):
    """(file, state) after each operation on a new journal that compacts often."""
    journal = Journal(path, compact_at=500)
    steps = [(_read(path), _state(journal))]
    for number in range(operations):
        _operate(journal, random, 900 * number)
        steps.append((_read(path), _state(journal)))
    return steps


def test_journal_when_cut_at_every_byte():
    """After any cut the journal tells the state before or after the operation, and goes on from there.

    So nothing that was durable is lost, no block changes its bytes, and no seq is given twice.
    """
    path = folder() + "/journal"
    steps = _history(path, seeded(7), 60)
    compactions = 0
    for (before, state_before), (after, state_after) in zip(steps, steps[1:]):
        if not after.startswith(before):
            compactions += 1
            continue
        for cut in range(len(before), len(after) + 1):
            _write(path, after[:cut])
            journal = Journal(path)
            state = _state(journal)
            assert state == (state_after if cut == len(after) else state_before), cut
            journal.add_sample((10**9, ((1, 5),)))
            journal.add_block(b"the next block")
            next_seq, _link, _time, _samples, blocks, refused = state
            continued = _reopened(path)
            assert continued[0] == next_seq + 1
            assert continued[4] == blocks + [(next_seq, b"the next block")]
            assert continued[5] == refused
    assert compactions > 2


def test_journal_when_cut_while_compacting():
    """A half-made new file beside the old one changes nothing, and the whole new one means the same as the old."""
    path = folder() + "/journal"
    steps = _history(path, seeded(11), 80)
    for (before, state_before), (after, state_after) in zip(steps, steps[1:]):
        if after.startswith(before):
            continue
        for size in range(0, len(after), 5):
            _write(path, before)
            _write(path + ".new", after[:size])
            assert _reopened(path) == state_before
        state_record = len(after) - _last_record(after)
        for cut in range(state_record, len(after) + 1):  # renamed, and the state is being written again
            _write(path, after[:cut])
            assert _reopened(path) == state_after
    os.remove(path + ".new")


def _last_record(data):
    """Size of the last record, walking from the first."""
    at = 0
    while at < len(data):
        size = 7 + int.from_bytes(data[at : at + 2], "little")
        at += size
    return size


def test_journal_when_garbage_lies_between_records():
    """What a failed write left is skipped and counted; the records behind it are read."""
    path = folder() + "/journal"
    random = seeded(3)
    journal = Journal(path)
    journal.add_sample((900, ((1, 5),)))
    journal.add_block(b"first")
    _write(path, _read(path) + _random_bytes(random, 37))
    journal = Journal(path)
    journal.add_sample((1800, ((1, 6),)))
    journal.add_block(b"second")
    journal = Journal(path)
    assert [journal.read_block(seq) for seq in journal.unsettled()] == [b"first", b"second"]
    assert journal.damaged == 1


def test_journal_when_blocks_are_settled_out_of_order():
    """Each settled block is forgotten by itself; the others keep their order and their bytes."""
    path = folder() + "/journal"
    journal = Journal(path, compact_at=100)
    for number in range(6):
        journal.add_sample((900 * number, ((1, number),)))
        journal.add_block(b"block %d" % number)
    for seq in (4, 0, 5, 2):
        journal.settle(seq, 0)
        journal.settle(seq, 0)
    assert [journal.is_unsettled(seq) for seq in range(7)] == [False, True, False, True, False, False, False]
    assert journal.backlog() == 2
    journal = Journal(path)
    assert [(seq, journal.read_block(seq)) for seq in journal.unsettled()] == [(1, b"block 1"), (3, b"block 3")]
    assert journal.next_seq == 6


def test_journal_when_everything_is_settled_for_long():
    """The file stays small, and the last seq, link, time and refusals survive all compactions."""
    path = folder() + "/journal"
    journal = Journal(path, compact_at=2000)
    for number in range(200):
        journal.add_sample((900 * number, ((1, number),)))
        journal.add_block(b"b" * 100)
        journal.settle(number, 6 if number % 50 == 0 else 0)
    expected = _state(journal)
    assert os.stat(path)[6] < 2400
    assert _reopened(path) == expected
    assert expected[0] == 200
    assert expected[5] == {6: 4}


def test_journal_when_new():
    """A device knows whether it ran before: that is what the flag `power was lost` says."""
    path = folder() + "/journal"
    journal = Journal(path)
    assert not journal.survived
    journal = Journal(path)
    assert journal.survived
