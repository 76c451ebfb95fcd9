"""From the meter to signed blocks: the sampler and the recorder over a clock that a test sets."""

from node import block, cbor, cose
from node.clock import CivilClock, UnknownTime
from node.ed25519 import SigningKey, verify
from node.fileflash import FileFlash
from node.flashlog import FlashJournal
from node.recorder import Recorder
from node.sample import Sampler

from neutral import HandClock, ListMeter, folder, raises

T = 1721001600
KEY = SigningKey(bytes(32))


class Bench:
    """A device without a network: set the clock, set the meter, step, look at the blocks."""

    def __init__(self, path=None, readings=4):
        self.path = path or folder() + "/journal"
        self.clock = HandClock(T)
        self.meter = ListMeter([(1, 0)])
        self.signings = 0
        self.journal = FlashJournal(FileFlash(self.path, 24))
        recorder = Recorder(self.journal, KEY, 900, readings)
        recorder.resume()
        self.sampler = Sampler(self.meter, self.clock, recorder, 900, self.signed)

    def signed(self):
        self.signings += 1

    def at(self, time_s, wh):
        self.clock.set_s = time_s
        self.meter.registers = [(1, wh)] if isinstance(wh, int) else wh
        return self.sampler.step()

    def blocks(self):
        """Every block as its parsed payload, signatures and chain checked."""
        link = bytes(16)
        payloads = []
        for seq in self.journal.unsettled():
            signed = self.journal.read_block(seq)
            _kid, payload, signature = cose.parse1(signed)
            assert verify(KEY.public_key, cose.to_be_signed(payload, block.AAD), signature)
            value = cbor.decode(payload)
            assert value[1] == seq
            assert value[2] == link
            link = block_link(signed)
            payloads.append((value[3], value[5], [[q, wh, list(growth.value)] for q, wh, growth in value[6]]))
        assert self.journal.link == link
        return payloads


def block_link(signed):
    from hashlib import sha256

    return sha256(signed).digest()[:16]


def test_sampler_takes_one_sample_of_each_slot():
    """However often it looks, a slot gives one sample; the wait is to the next boundary."""
    bench = Bench()
    assert bench.at(T + 10, 100) == 890_000
    assert bench.at(T + 899, 200) == 1000
    bench.at(T + 900, 300)
    assert bench.journal.samples == [(T, ((1, 100),)), (T + 900, ((1, 300),))]


def test_sampler_signs_when_the_block_is_complete():
    """Four readings make a block of three increments, signed at once."""
    bench = Bench()
    for number in range(8):
        bench.at(T + 900 * number, 100 + number * number)
    assert bench.blocks() == [(T, 0, [[1, 100, [1, 3, 5]]]), (T + 3600, 0, [[1, 116, [9, 11, 13]]])]
    assert bench.signings == 2


def test_sampler_when_slots_were_missed():
    """A gap ends the block, also one of a single reading; the next begins after the gap."""
    bench = Bench()
    bench.at(T, 100)
    bench.at(T + 2700, 130)
    bench.at(T + 3600, 131)
    bench.at(T + 9000, 140)
    assert bench.blocks() == [(T, 0, [[1, 100, []]]), (T + 2700, 0, [[1, 130, [1]]])]
    assert bench.sampler.missed == 2 + 5


def test_sampler_when_the_register_runs_backwards():
    """A step back ends the block and is told as it is: nothing is refused or repaired here."""
    bench = Bench(readings=3)
    for number, wh in enumerate([100, 101, 5, 6, 7]):
        bench.at(T + 900 * number, wh)
    assert bench.blocks() == [(T, 0, [[1, 100, [1]]]), (T + 1800, 0, [[1, 5, [1, 1]]])]


def test_sampler_when_the_reading_straddles_a_boundary():
    """A reading that began in one slot and ended in the next is thrown away and read again."""
    bench = Bench()
    bench.clock.after = [T, T + 899, T + 900, T + 900, T + 901]
    bench.at(T + 900, 42)
    assert bench.meter.reads == 2
    assert bench.journal.samples == [(T + 900, ((1, 42),))]


def test_sampler_when_no_reading_ends_in_its_slot():
    """A meter slower than a slot gives no samples rather than wrong ones."""
    bench = Bench()
    bench.clock.after = [T] + [T, T + 900] * 3
    assert bench.at(T + 900, 42) <= 200
    assert bench.journal.samples == []


def test_sampler_when_the_meter_fails():
    """It is asked again within the slot; when the slot is lost, what was read before is signed at once."""
    bench = Bench()
    bench.at(T, 100)
    assert bench.at(T + 900, OSError()) == 200
    assert bench.blocks() == []
    bench.at(T + 1800, ValueError())
    assert bench.blocks() == [(T, 0, [[1, 100, []]])]
    bench.at(T + 1801, 120)
    assert bench.journal.samples == [(T + 1800, ((1, 120),))]
    assert bench.sampler.failed == 2


def test_sampler_when_the_meter_reads_nonsense():
    """Registers that no block can hold are a failure of the meter."""
    bench = Bench()
    bench.at(T, [(1, -5)])
    bench.at(T, [])
    bench.at(T, [(2, 1), (1, 1)])
    assert bench.journal.samples == []
    assert bench.sampler.failed == 3


def test_sampler_when_the_clock_steps_back():
    """Slots are not sampled twice; times only grow."""
    bench = Bench()
    bench.at(T + 900, 100)
    assert bench.at(T, 100) == 1_800_000
    bench.at(T + 1800, 101)
    assert [time_s for time_s, _ in bench.journal.samples] == [T + 900, T + 1800]


def test_recorder_when_the_power_went_between_samples():
    """The block goes on with the journaled samples and says that power was lost; the flag is raised once."""
    bench = Bench()
    bench.at(T, 100)
    bench.at(T + 900, 101)
    bench = Bench(bench.path)
    for number in range(2, 8):
        bench.at(T + 900 * number, 100 + number)
    assert bench.blocks() == [(T, 1, [[1, 100, [1, 1, 1]]]), (T + 3600, 0, [[1, 104, [1, 1, 1]]])]


def test_recorder_when_the_power_went_before_signing():
    """A complete set of samples without its block is signed at the next boot."""
    bench = Bench(readings=3)
    bench.at(T, 100)
    bench.at(T + 900, 101)
    bench = Bench(bench.path, readings=2)
    assert bench.blocks() == [(T, 1, [[1, 100, [1]]])]


def test_recorder_when_a_block_is_full():
    """A block that would exceed 1,024 bytes is signed before the sample that does not fit."""
    bench = Bench(readings=10_000)
    for number in range(300):
        registers = [(quantity, number * 70_000) for quantity in range(1, 9)]
        assert bench.journal.samples == [] or len(bench.journal.samples) < 60
        bench.at(T + 900 * number, registers)
    assert bench.journal.next_seq > 5
    assert all(len(bench.journal.read_block(seq)) <= 1024 for seq in bench.journal.unsettled())


def test_clock_at_a_factor():
    """Civil time runs `factor` times as fast from its anchor, in exact milliseconds."""
    wall = [1_790_000_000_500]
    clock = CivilClock(1_790_000_000.5, T, 1440, lambda: wall[0])
    assert clock.now_s() == T
    assert clock.wall_ms_until(T + 900) == 626
    wall[0] += 625
    assert clock.now_s() == T + 900
    assert clock.wall_ms_until(T + 900) == 0


def test_sampler_when_the_time_is_unknown():
    """The meter is read, the reading is journaled without a time, nothing is signed."""
    from neutral import run

    bench = Bench()
    sampler = Sampler(bench.meter, UnknownTime(), Recorder(bench.journal, KEY, 900, 4, 7), 900, bench.signed)

    async def look():
        import asyncio

        task = asyncio.create_task(sampler.run())
        while not sampler.undated:
            await asyncio.sleep(0)
        task.cancel()

    run(look())
    assert (bench.meter.reads, bench.signings, bench.journal.samples) == (1, 0, [])
    assert FlashJournal(FileFlash(bench.path, 24)).undatable == 1


def test_identity_when_made_and_loaded():
    """The key of the first boot is the key of every boot; a file that is no key is left alone."""
    from node import identity

    path = folder() + "/key"
    made = identity.load_or_make(path, lambda size: bytes(range(size)))
    assert identity.load_or_make(path, None).public_key == made.public_key
    with open(path, "w") as file:
        file.write("0011\n")
    assert raises(ValueError, identity.load_or_make, path, None)
    with open(path) as file:
        assert file.read() == "0011\n"


def test_identity_when_flash_does_not_give_it():
    """A file that cannot be read is no reason to become another device; neither is a label's."""
    from node import identity, provision

    path = folder()  # there is something, and it is not to be read
    assert raises(OSError, identity.load_or_make, path, lambda size: bytes(size))
    assert raises(OSError, provision.label, path, lambda size: bytes(size))


def test_sampler_when_the_slot_began_too_long_ago():
    """A register read late does not stand for the slot's beginning: the slot is missed and the block ends."""
    bench = Bench()
    bench.sampler = Sampler(bench.meter, bench.clock, Recorder(bench.journal, KEY, 900, 4), 900, bench.signed, 10)
    bench.at(T + 10, 100)
    assert bench.at(T + 911, 150) == 889_000
    assert bench.blocks() == [(T, 0, [[1, 100, []]])]
    bench.at(T + 1800, 200)
    assert bench.journal.samples == [(T + 1800, ((1, 200),))]
    assert bench.sampler.missed == 1


def test_sampler_when_the_time_is_learnt():
    """Readings from before become samples where they are true; the rest of the energy is in the next register."""
    bench = Bench()
    for second in range(0, 1900, 20):
        bench.meter.registers = [(1, second)]
        bench.sampler.read_undated(1000 * second)
    bench.clock.set_s = T + 1900
    bench.sampler.take_undated(1_900_000)
    assert bench.journal.samples == [(T, ((1, 0),)), (T + 900, ((1, 900),)), (T + 1800, ((1, 1800),))]
    assert bench.sampler.taken == 3


def test_sampler_when_the_power_goes_before_the_time_is_learnt():
    """What waited is signed as it is; undated readings of a dead start are counted, and the register goes on."""
    bench = Bench()
    bench.at(T, 100)
    bench = Bench(bench.path)
    for second in (0, 10, 20):
        bench.meter.registers = [(1, 150 + second)]
        bench.sampler.read_undated(1000 * second)
    assert bench.blocks() == [(T, 1, [[1, 100, []]])]
    bench = Bench(bench.path)  # the power was cut: the ticks of before mean nothing
    assert bench.journal.undatable == 3
    bench.at(T + 3600, 200)
    bench.sampler.take_undated(5_000)
    assert bench.journal.samples == [(T + 3600, ((1, 200),))]
    assert bench.sampler.undated == 0


def test_sampler_when_the_time_is_learnt_in_the_same_start():
    """Then nothing is undatable, also for the next start."""
    bench = Bench()
    bench.meter.registers = [(1, 150)]
    bench.sampler.read_undated(5_000)
    bench.clock.set_s = T + 10
    bench.sampler.take_undated(15_000)
    assert bench.journal.samples == [(T, ((1, 150),))]
    assert Bench(bench.path).journal.undatable == 0


def test_sampler_when_an_undated_reading_cannot_be_kept():
    """Nonsense and failing flash are counted, and nothing is dated later that was not journaled."""
    bench = Bench()
    bench.meter.registers = [(2, 1), (1, 1)]
    bench.sampler.read_undated(0)
    bench.meter.registers = [(1, 1)]
    flash = bench.journal._pending._flash
    flash.writeblocks = lambda *_: (_ for _ in ()).throw(OSError(5))
    bench.sampler.read_undated(0)
    assert (bench.sampler.failed, bench.sampler.undated) == (2, 0)
