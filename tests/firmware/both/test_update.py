"""Updates: what is refused, and a device that boots after the power was cut in any write."""

from hashlib import sha256

from node import cbor, cose
from node.cell import Cell
from node.ed25519 import SigningKey
from node.slots import Slots
from node.update import TRIES_MAX, Update, prove

from blocks import Blocks, PowerCutError
from neutral import raises, run, vectors

TOLD = vectors("command.json")
KEY = SigningKey(bytes([7]) * 32)
GENESIS = bytes.fromhex(TOLD["genesis"])
IMAGE = bytes.fromhex(TOLD["image"])


def manifest(number, image, board="esp32-plug"):
    payload = cbor.encode([1, board, number, len(image), sha256(image).digest()])
    return cose.sign1(payload, KEY, cose.external_aad("update", GENESIS))


def image_of(number, size=300):
    """An image that says its version in its first byte, as these tests' boot loader reads it."""
    return bytes([number]) + bytes([number ^ place & 0xFF for place in range(size - 1)])


class Flash:
    """Everything that survives the power: two slots, the boot loader's cell, the updater's. One supply for all."""

    def __init__(self, count=4, size=1024):
        self.images = Blocks(count, size)
        self.boot = Blocks(2, 64)
        self.notes = Blocks(2, 64)
        self.images.data[0][:300] = image_of(7)
        self.parts = (self.images, self.boot, self.notes)

    def start(self):
        """Power on: the boot loader chooses, and the image that runs looks at its updates."""
        slots = Slots(self.images, Cell(self.boot))
        slots.boot()
        number = slots.image(slots.running, 0, 1)[0]
        assert slots.image(slots.running, 0, 300) == image_of(number)  # whatever runs is a whole image
        return Update(Cell(self.notes), slots, "esp32-plug", number, KEY.public_key, GENESIS)


class Supply:
    """Cuts the power of several block devices at the same instant, counting writes over all of them."""

    def __init__(self, parts, after, cut_bytes):
        self.left = after
        for part in parts:
            part.restart()
            part.writeblocks = self._metered(part, cut_bytes)
        self.parts = parts

    def _metered(self, part, cut_bytes):
        write = type(part).writeblocks

        def writeblocks(number, buffer, offset=0):
            if self.left == 0:
                part.restart(0, cut_bytes)
            self.left -= 1
            write(part, number, buffer, offset)

        return writeblocks

    def restore(self):
        for part in self.parts:
            del part.writeblocks
            part.restart()


def install(update, number):
    """The whole way of one update; its answer."""
    image = image_of(number)
    reason = update.begin(manifest(number, image))
    for at in range(0, len(image), 128):
        reason = reason or update.feed(image[at : at + 128])
    return reason or update.finish()


def test_update_of_every_vector():
    """Each manifest is answered as its vector says, and counted."""
    for vector in TOLD["updates"]:
        update = Flash(128).start()
        assert update.begin(bytes.fromhex(vector["signed"])) == vector["answer"], vector["name"]
        assert update.refused == ({vector["answer"]: 1} if vector["answer"] else {})


def test_update_when_all_goes_well():
    """Tried at the next boot, confirmed, and kept from then on; the old version never comes back."""
    flash = Flash()
    assert install(flash.start(), 8) == 0
    update = flash.start()
    assert (update.number, update.is_trial) == (8, True)
    update.confirm()
    for _ in range(3):
        update = flash.start()
        assert (update.number, update.is_trial, update.rollbacks) == (8, False, 0)
    assert install(update, 8) == 5
    assert install(update, 7) == 5


def test_update_when_the_image_is_not_the_one_that_was_signed():
    """An image too short, too long or with one other bit never starts."""
    image = image_of(8)
    for wrong, answer in [(image[:-1], 9), (image + b"\0", 9), (image[:-1] + b"\0", 10), (b"", 9)]:
        flash = Flash()
        update = flash.start()
        assert update.begin(manifest(8, image)) == 0
        assert (update.feed(wrong) or update.finish()) == answer
        assert update.refused == {answer: 1}
        assert flash.start().number == 7


def test_update_when_nobody_began_it():
    """Bytes without an accepted manifest go nowhere."""
    flash = Flash()
    update = flash.start()
    assert update.feed(b"image") == 9
    assert update.finish() == 9
    assert flash.images.writes == 0


def test_update_when_the_flash_fails():
    """It is refused and counted; the device goes on with what it has."""
    flash = Flash()
    update = flash.start()
    flash.images.broken = True
    assert update.begin(manifest(8, image_of(8, 1100))) == 0
    assert update.feed(image_of(8, 1100)) == 11
    assert flash.start().number == 7


def test_update_when_the_new_image_is_never_confirmed():
    """The next start goes back; after three tries that very version is refused, a newer one is not."""
    flash = Flash()
    for tries in range(1, TRIES_MAX + 1):
        assert install(flash.start(), 8) == 0
        assert flash.start().number == 8
        update = flash.start()
        assert (update.number, update.is_trial, update.rollbacks) == (7, False, tries)
    assert install(update, 8) == 6
    assert install(update, 9) == 0
    assert flash.start().number == 9


def test_update_when_the_power_is_cut_in_every_write():
    """Whatever runs after a cut is a whole image, old or new; the update can be done again and ends well."""
    for cut_bytes in (0, 1, 7, 12, 40, 64, 500):
        for after in range(40):
            flash = Flash()
            supply = Supply(flash.parts, after, cut_bytes)
            try:
                install(flash.start(), 8)
                flash.start().confirm()
                flash.start()
                break  # this many writes do it all
            except PowerCutError:
                pass
            supply.restore()
            update = flash.start()
            assert update.number in (7, 8)
            for _ in range(3):
                if update.number == 7:
                    assert install(update, 8) == 0
                    update = flash.start()
                if update.is_trial:
                    update.confirm()
                update = flash.start()
            assert (update.number, update.is_trial) == (8, False)
        assert after > 5


def test_prove_when_gateway_and_meter_are_reached():
    """The image is confirmed as soon as it is well, and nothing restarts."""
    flash = Flash()
    install(flash.start(), 8)
    update = flash.start()
    restarts = []
    run(prove(update, lambda: True, 5, lambda: restarts.append(1)))
    assert (flash.start().is_trial, restarts) == (False, [])


def test_prove_when_the_time_is_over():
    """An image that is not well in its minutes restarts, and the old one runs again."""
    flash = Flash()
    install(flash.start(), 8)
    restarts = []
    run(prove(flash.start(), lambda: False, 0, lambda: restarts.append(1)))
    assert restarts == [1]
    update = flash.start()
    assert (update.number, update.rollbacks) == (7, 1)


def test_slots_when_an_image_is_larger_than_one():
    """The boot loader's space is a limit that is also held at the last byte."""
    flash = Flash()
    update = flash.start()
    image = image_of(8, 2048)
    assert update.begin(manifest(8, image)) == 0
    assert update.feed(image) == 0
    assert update.finish() == 0
    slots = Slots(flash.images, Cell(flash.boot))
    assert raises(OSError, slots.write, 2048, b"x")
