"""Keys: valid ones only, in files that only their owner reads."""

from pathlib import Path

import pytest

from commonwatt.errors import UserError
from commonwatt.identity import SigningKey, is_signed_by, is_valid_public_key, load_key, load_or_make_key, save_key

SMALL_ORDER = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
]


@pytest.mark.parametrize("public_key", SMALL_ORDER)
def test_public_key_when_of_small_order(public_key: str) -> None:
    """A key under which anything verifies is never admitted."""
    assert not is_valid_public_key(bytes.fromhex(public_key))


def test_public_key_when_not_canonical_or_short() -> None:
    """A second spelling of a point, or 31 bytes, is no key."""
    assert not is_valid_public_key(bytes.fromhex("f0" + "ff" * 30 + "7f"))
    assert not is_valid_public_key(bytes(31))


def test_key_when_fresh() -> None:
    """A fresh key is valid, signs, and its secret half is not in its repr."""
    key = SigningKey.generate()
    assert is_valid_public_key(key.public_key)
    assert is_signed_by(key.public_key, key.sign(b"1 kWh"), b"1 kWh")
    assert not is_signed_by(key.public_key, key.sign(b"1 kWh"), b"2 kWh")
    assert key.seed.hex() not in repr(key)
    assert str(key.seed) not in repr(key)


def test_key_file_when_made_on_the_first_start(tmp_path: Path) -> None:
    """The key is made once, private to its owner, and found again."""
    path = tmp_path / "keys" / "meter.key"
    key = load_or_make_key(path)
    assert load_or_make_key(path) == key
    assert path.stat().st_mode & 0o777 == 0o600


def test_key_file_when_one_is_there(tmp_path: Path) -> None:
    """A key is never overwritten."""
    path = tmp_path / "role.key"
    save_key(path, SigningKey.generate())
    with pytest.raises(UserError, match="already here"):
        save_key(path, SigningKey.generate())


@pytest.mark.parametrize("content", ["", "00", "not hex", "00" * 33])
def test_key_file_when_damaged(tmp_path: Path, content: str) -> None:
    """A damaged file is named."""
    path = tmp_path / "broken.key"
    path.write_text(content)
    with pytest.raises(UserError, match=r"broken\.key"):
        load_key(path)
