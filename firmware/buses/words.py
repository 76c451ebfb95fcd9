"""Registers to watt-hours in whole numbers: also a float's bits are read as integers, so that no interpreter rounds.

A row of a table (firmware/meters/tables, made from hardware/meters) is

    (quantity, address, words, order, wh_numerator, wh_denominator, (no-value patterns in hexadecimal, ...))
"""

REGISTERS = {"u16": 1, "i16": 1, "u32": 2, "i32": 2, "u64": 4, "i64": 4, "f32": 2, "f64": 4}
_FLOATS = {"f32": (8, 23), "f64": (11, 52)}


def energy_wh(row, data):
    """The row's register in whole Wh, rounded down; None where the meter has no value. `data` is as on the wire."""
    _quantity, _address, kind, order, numerator, denominator, no_values = row
    if order == "little":
        data = b"".join([data[at : at + 2] for at in range(len(data) - 2, -1, -2)])
    if bytes(data).hex() in no_values or _is_sentinel(kind, data):
        return None
    mantissa, exponent = _parts(kind, data)
    if mantissa is None or mantissa < 0:
        return None
    if exponent >= 0:
        wh = (mantissa << exponent) * numerator // denominator
    else:
        wh = mantissa * numerator // (denominator << -exponent)
    return wh if wh < 1 << 63 else None


def _is_sentinel(kind, data):
    """All ones, or a sign alone: what meters say that have nothing to say. Never energy that anyone could count."""
    if kind[0] == "f":
        return False
    if data == b"\xff" * len(data):
        return True
    return kind[0] == "i" and data == b"\x80" + bytes(len(data) - 1)


def _parts(kind, data):
    """(mantissa, exponent) with value = mantissa * 2 ** exponent; (None, 0) for not-a-number and infinity."""
    number = 0
    for byte in data:
        number = number << 8 | byte
    bits = 8 * len(data)
    if kind[0] == "u":
        return number, 0
    if kind[0] == "i":
        return (number - (1 << bits) if number >> (bits - 1) else number), 0
    exponent_bits, fraction_bits = _FLOATS[kind]
    exponent = number >> fraction_bits & ((1 << exponent_bits) - 1)
    fraction = number & ((1 << fraction_bits) - 1)
    if exponent == (1 << exponent_bits) - 1:
        return None, 0
    if exponent:
        fraction |= 1 << fraction_bits
    else:
        exponent = 1
    bias = (1 << (exponent_bits - 1)) - 1
    return (-fraction if number >> (bits - 1) else fraction), exponent - bias - fraction_bits
