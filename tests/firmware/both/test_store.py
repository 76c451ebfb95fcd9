"""The small durable value: cut at every byte, damaged, full."""

import os

from meters.store import FileStore

from neutral import folder, seeded

VALUES = [bytes([number]) * (20 + number % 7) for number in range(40)]


def _files(path):
    found = {}
    for ending in (".a", ".b"):
        try:
            with open(path + ending, "rb") as file:
                found[ending] = file.read()
        except OSError:
            pass
    return found


def _write(path, files):
    for ending, data in files.items():
        with open(path + ending, "wb") as file:
            file.write(data)


def test_store_when_new():
    """Nothing was saved, nothing is damaged."""
    store = FileStore(folder() + "/energy")
    assert store.load() is None
    assert store.damaged == 0


def test_store_after_many_saves():
    """The last value is there, and the files stay within their limit."""
    path = folder() + "/energy"
    store = FileStore(path, 256)
    for value in VALUES:
        store.save(value)
        assert FileStore(path, 256).load() == value
    assert all(len(data) <= 256 for data in _files(path).values())


def test_store_when_cut_after_every_byte():
    """Whatever byte the power is cut at, the value is the new one or the one before, and saving goes on."""
    path = folder() + "/energy"
    store = FileStore(path, 256)
    before = {}
    for number, value in enumerate(VALUES[:20]):  # the files change places twice
        store.save(value)
        after = _files(path)
        _cut(before, after, VALUES[number - 1] if number else None, value)
        before = after


def _cut(before, after, old, new):
    for ending, data in after.items():
        was = before.get(ending, b"")
        if data == was:
            continue
        start = len(was) if data[: len(was)] == was else 0  # appended, or begun anew
        for end in range(start, len(data) + 1):
            path = folder() + "/energy"
            files = dict(before)
            files[ending] = data[:end]
            _write(path, files)
            store = FileStore(path, 256)
            assert store.load() == (new if end == len(data) else old)
            store.save(b"next")
            assert FileStore(path, 256).load() == b"next"


def test_store_when_another_version_wrote_a_longer_file():
    """The newest value of all that lies there counts, and the next save begins the other file."""
    path = folder() + "/energy"
    store = FileStore(path, 4096)
    for value in VALUES:
        store.save(value)
    assert len(_files(path)[".a"]) > 1000
    store = FileStore(path)
    assert store.load() == VALUES[-1]
    store.save(b"next")
    assert FileStore(path).load() == b"next"
    assert len(_files(path)[".b"]) <= 128


def test_store_when_a_file_cannot_be_read():
    """It is counted, the other file's value holds, and saving goes on or says that it cannot."""
    path = folder() + "/energy"
    FileStore(path).save(b"value")
    os.mkdir(path + (".a" if ".b" in _files(path) else ".b"))
    store = FileStore(path)
    assert (store.load(), store.damaged) == (b"value", 1)
    store.save(b"next")
    assert FileStore(path).load() == b"next"


def test_store_of_random_bytes():
    """Files of noise are no value, seeded; the store says so and works."""
    chance = seeded(5)
    for _ in range(50):
        path = folder() + "/energy"
        _write(path, {".a": bytes([chance.randrange(256) for _ in range(chance.randrange(1, 300))])})
        store = FileStore(path)
        assert store.load() is None
        assert store.damaged == 1
        store.save(b"value")
        assert FileStore(path).load() == b"value"
