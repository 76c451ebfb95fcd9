"""Registers as meters send them, to whole watt-hours."""

from buses.words import energy_wh

from neutral import seeded


def _wh(kind, hexadecimal, order="big", numerator=1, denominator=1, no_values=()):
    return energy_wh((1, 0, kind, order, numerator, denominator, no_values), bytes.fromhex(hexadecimal))


def test_integers():
    """Both word orders, units and divisors; rounded down."""
    assert _wh("u64", "00000000002136e4", numerator=10) == 21767400
    assert _wh("i32", "091b0000", order="little") == 2331  # ioBroker.modbus#286: the low word is first
    assert _wh("u16", "04d2", denominator=10) == 123
    assert _wh("i64", "0000000001312d00") == 20000000


def test_floats():
    """A float's bits are read as integers: the value is exact, whatever the interpreter's floats are."""
    assert _wh("f32", "447a0000", numerator=1000) == 1000000
    assert _wh("f32", "4b7fffff", numerator=1000) == 16777215000
    assert _wh("f32", "3dcccccd", numerator=1000) == 100  # 0.1 kWh is a little more in binary
    assert _wh("f32", "3dcccccc", numerator=1000) == 99
    assert _wh("f64", "40c81cd6e631f8a1") == 12345
    assert _wh("f32", "00000001", numerator=1000) == 0


def test_no_value():
    """Not a number, infinity, all ones, the sign alone, a table's patterns, less than nothing: no value, never 0."""
    for kind, hexadecimal in [
        ("f32", "7fc00000"), ("f32", "7f800000"), ("f32", "ffffffff"), ("f32", "c47a0000"),
        ("f64", "7ff8000000000000"),
        ("u16", "ffff"), ("i16", "8000"), ("u32", "ffffffff"), ("i32", "80000000"), ("i32", "ffffffff"),
        ("u64", "ffffffffffffffff"), ("i64", "8000000000000000"), ("i64", "fffffffffffffff0"),
        ("u64", "fffffffffffffff0"),
    ]:  # fmt: skip
        assert _wh(kind, hexadecimal) is None, (kind, hexadecimal)
    assert _wh("i32", "7fffffff", no_values=("7fffffff",)) is None
    assert _wh("i32", "7fffffff") == 0x7FFFFFFF


def test_anything():
    """Random registers, seeded: whole watt-hours within 63 bits, or no value."""
    chance = seeded(8)
    for kind, size in (
        ("u16", 2),
        ("i16", 2),
        ("u32", 4),
        ("i32", 4),
        ("f32", 4),
        ("u64", 8),
        ("i64", 8),
        ("f64", 8),
    ):
        for _ in range(300):
            data = bytes([chance.randrange(256) for _ in range(size)])
            wh = energy_wh((1, 0, kind, "little", 1000, 7, ()), data)
            assert wh is None or 0 <= wh < 1 << 63
