"""Tiles and bundles are named and cut as C2SP says, whatever the size."""

import pytest

from commonwatt.errors import FormatError
from ledger.log import merkle, tiles
from ledger.log.tiles import ENTRIES, TileName, TileTree


@pytest.mark.parametrize(
    ("name", "path"),
    [
        (TileName(0, 0), "tile/0/000"),
        (TileName(0, 255, 1), "tile/0/255.p/1"),
        (TileName(1, 1000), "tile/1/x001/000"),
        (TileName(2, 1234067, 255), "tile/2/x001/x234/067.p/255"),
        (TileName(ENTRIES, 67), "tile/entries/067"),
    ],
)
def test_path_when_spelled(name: TileName, path: str) -> None:
    """A name has one path, and the path names it."""
    assert name.path == path
    assert tiles.parse_path(path) == name


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/0",
        "tile/0/0000",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/0/x000/001",
        "tile/0/001/000",
        "tile/0/x001",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p",
        "tile/0/000/",
        "tiles/0/000",
        "tile/entry/000",
    ],
)
def test_path_when_it_is_no_tile(path: str) -> None:
    """Any other spelling names nothing."""
    assert tiles.parse_path(path) is None


def test_bundle_when_read_again() -> None:
    """A bundle gives its entries back, up to the largest."""
    entries = [b"", b"a", b"b" * 65_535]
    assert tiles.parse_bundle(tiles.encode_bundle(entries)) == entries


@pytest.mark.parametrize("data", [b"\x00", b"\x00\x02a", b"\x00\x01ab"])
def test_bundle_when_torn(data: bytes) -> None:
    """A bundle that ends inside an entry is refused."""
    with pytest.raises(FormatError):
        tiles.parse_bundle(data)


@pytest.mark.parametrize("size", [1, 255, 256, 257, 511, 512, 65_536, 65_537])
def test_tree_when_cut_into_tiles(size: int) -> None:
    """The files of a tree are exactly those that its size names, and hold its hashes; the root is RFC 6962's."""
    entries = [number.to_bytes(4, "big") for number in range(size)]
    hashes = [merkle.leaf_hash(data) for data in entries]
    tree = TileTree()
    for data, leaf in zip(entries, hashes, strict=True):
        tree.append(data, leaf)
    files = tree.take_finished() | tree.partials()
    assert set(files) == set(tiles.names(size))
    assert tree.root() == merkle.root(hashes)
    for name, data in files.items():
        if name.level == 1:
            first = name.index * tiles.WIDTH**2
            assert tiles.parse_tile(data)[0] == merkle.root(hashes[first : first + tiles.WIDTH])
