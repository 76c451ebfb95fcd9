"""Ed25519 (RFC 8032) for a small interpreter: signing by a fixed-base comb, verifying by libsodium's strict rule.

The comb: the scalar is read as five rows of 51 digits, each +1 or -1 (any scalar can be spelled so, modulo the odd
order); each of the 51 columns picks one of 16 precomputed points or its negative, so that a signature costs 51
doublings and 51 additions. The table takes under 10 kB and is made on first use.

Every column does the same steps whatever the secret is: no branch depends on it. The place read in the table and the
time of big-integer arithmetic still do; docs/security.md says why a device may live with that.
"""

from node.port import const
from node.sha512 import sha512

_P = 2**255 - 19
_ORDER = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, _P - 2, _P) % _P
_D2 = 2 * _D % _P
_ROOT_OF_MINUS_1 = pow(2, (_P - 1) // 4, _P)
_BASE_X = 15112221349535400772501151409588531511454012693041857206046113283949847762202
_BASE_Y = 4 * pow(5, _P - 2, _P) % _P

_ROWS = const(5)
_COLUMNS = const(51)
_ALL_ONES = (1 << 255) - 1
_HALF = (_ORDER + 1) // 2
_SIGN_BIT = 1 << 255

# Points are (X, Y, Z, T) with x = X/Z, y = Y/Z, xy = T/Z; table points are (y + x, y - x, 2dxy) of affine x, y.
_NEUTRAL = (0, 1, 1, 0)
_BASE = (_BASE_X, _BASE_Y, 1, _BASE_X * _BASE_Y % _P)
_table = []


class SigningKey:
    """A key pair from its 32-byte seed. The seed is expanded once: two of six SHA-512 blocks saved per signature."""

    def __init__(self, seed):
        digest = sha512(seed)
        scalar = int.from_bytes(digest[:32], "little")
        self._scalar = (scalar & (1 << 254) - 8) | 1 << 254
        self._prefix = digest[32:]
        self.public_key = _encode(_multiply_base(self._scalar))

    def sign(self, message):
        """The 64-byte signature of `message` (bytes)."""
        r = _hash(self._prefix + message)
        r_bytes = _encode(_multiply_base(r))
        s = (r + _hash(r_bytes + self.public_key + message) * self._scalar) % _ORDER
        return r_bytes + s.to_bytes(32, "little")


def verify(public_key, message, signature):
    """Whether `signature` of `message` is `public_key`'s. Non-canonical spellings and small orders never are."""
    if len(public_key) != 32 or len(signature) != 64:
        return False
    r_bytes, s = signature[:32], int.from_bytes(signature[32:], "little")
    point = _decode(public_key)
    if s >= _ORDER or point is None or _is_small_order(point):
        return False
    x, y, z, t = _multiply(_hash(r_bytes + public_key + message), point)
    expected = _add(_multiply_base(s), (_P - x, y, z, _P - t))
    return not _is_small_order(expected) and _encode(expected) == r_bytes


def prepare():
    """Make the comb's table now rather than in the first signature."""
    if not _table:
        _table.extend(_make_table())


def _hash(message):
    return int.from_bytes(sha512(message), "little") % _ORDER


def _multiply_base(scalar):
    """`scalar` times the base point."""
    prepare()
    table, p = _table, _P
    # Bit b stands for the digit 2b - 1, and all digits for twice these bits less 2^255 - 1.
    bits = ((scalar + _ALL_ONES) * _HALF % _ORDER).to_bytes(32, "little")
    x1, y1, z1, t1 = _NEUTRAL
    for column in range(_COLUMNS - 1, -1, -1):
        # Doubling, then mixed addition: the formulas of _double and _add with Z2 = 1, inline for their speed.
        a, b = x1 * x1, y1 * y1
        h = a + b
        e = h - (x1 + y1) * (x1 + y1)
        g = a - b
        f = (2 * z1 * z1 + g) % p
        e %= p
        x1, y1, z1, t1 = e * f % p, g * h % p, f * g % p, e * h % p
        i1, i2, i3 = column + 51, column + 102, column + 153
        i4 = column + 204
        sign = (bits[i4 >> 3] >> (i4 & 7) & 1) ^ 1
        point = table[
            (
                (bits[column >> 3] >> (column & 7) & 1)
                | (bits[i1 >> 3] >> (i1 & 7) & 1) << 1
                | (bits[i2 >> 3] >> (i2 & 7) & 1) << 2
                | (bits[i3 >> 3] >> (i3 & 7) & 1) << 3
            )
            ^ 15 * sign
        ]
        a = (y1 - x1) * point[1 - sign]
        b = (y1 + x1) * point[sign]
        c = t1 * point[2 + sign]
        d = z1 + z1
        e = (b - a) % p
        f = (d - c) % p
        g = (d + c) % p
        h = (b + a) % p
        x1, y1, z1 = e * f % p, g * h % p, f * g % p  # the doubling that follows needs no t1
    return x1, y1, z1, e * h % p


def _make_table():
    """The base point's multiples by 2^0, 2^51 ... 2^204, the last added to each sum and difference of the others.

    Entry u adds the multiples whose bit is set in u and subtracts the others. A negative swaps the first two of an
    entry's numbers and takes the last instead of the third.
    """
    rows = [_BASE]
    for _ in range(_ROWS - 1):
        row = rows[-1]
        for _ in range(_COLUMNS):
            row = _double(row)
        rows.append(row)
    sums = [rows.pop()]
    while rows:
        row = rows.pop(0)
        x, y, z, t = row
        less = (_P - x, y, z, _P - t)
        sums = [_add(point, less) for point in sums] + [_add(point, row) for point in sums]
    # In place, and no number longer than it is needed: a list of its own would take 7 kB more, when a small device
    # has least.
    for entry, (x, y, z, _t) in enumerate(sums):
        sums[entry] = x, y, z
    for entry, inverse in enumerate(_inverses([point[2] for point in sums])):
        x, y = sums[entry][0] * inverse % _P, sums[entry][1] * inverse % _P
        t2 = x * y * _D2 % _P
        sums[entry] = (y + x) % _P, (y - x) % _P, t2, _P - t2
    return sums


def _inverses(values):
    """The inverse of each value for the price of one (Montgomery): an inverse costs as much as 400 products."""
    products = [1]
    for value in values:
        products.append(products[-1] * value % _P)
    inverse = _inverse(products.pop())
    found = []
    for value in reversed(values):
        found.append(inverse * products.pop() % _P)
        inverse = inverse * value % _P
    return reversed(found)


def _inverse(z):
    """1 / z: z to the power of p - 2 by 254 squarings and 11 products; pow() would make a product for each bit."""
    z2 = z * z % _P
    z9 = _squared(z2, 2) * z % _P
    z11 = z9 * z2 % _P
    z_5 = z11 * z11 % _P * z9 % _P  # z_n is z to the power of 2^n - 1
    z_10 = _squared(z_5, 5) * z_5 % _P
    z_20 = _squared(z_10, 10) * z_10 % _P
    z_40 = _squared(z_20, 20) * z_20 % _P
    z_50 = _squared(z_40, 10) * z_10 % _P
    z_100 = _squared(z_50, 50) * z_50 % _P
    z_200 = _squared(z_100, 100) * z_100 % _P
    z_250 = _squared(z_200, 50) * z_50 % _P
    return _squared(z_250, 5) * z11 % _P


def _squared(value, times):
    p = _P
    for _ in range(times):
        value = value * value % p
    return value


def _multiply(scalar, point):
    """`scalar` times `point` by double and add: for public values only."""
    total = _NEUTRAL
    while scalar:
        if scalar & 1:
            total = _add(total, point)
        point = _double(point)
        scalar >>= 1
    return total


def _add(p, q):
    """The sum of two points; complete, so it doubles too (RFC 8032 §5.1.4)."""
    x1, y1, z1, t1 = p
    x2, y2, z2, t2 = q
    a = (y1 - x1) * (y2 - x2) % _P
    b = (y1 + x1) * (y2 + x2) % _P
    c = t1 * _D2 % _P * t2 % _P
    d = 2 * z1 * z2 % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _double(point):
    x, y, z, _t = point
    a, b = x * x % _P, y * y % _P
    h = a + b
    e = h - (x + y) * (x + y) % _P
    g = a - b
    f = 2 * z * z % _P + g
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _is_small_order(point):
    """Whether eight times the point is the neutral element."""
    x, y, z, _t = _double(_double(_double(point)))
    return x % _P == 0 and (y - z) % _P == 0


def _encode(point):
    x, y, z, _t = point
    z_inverse = _inverse(z)
    x, y = x * z_inverse % _P, y * z_inverse % _P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def _decode(data):
    """The point that 32 bytes spell, or None (RFC 8032 §5.1.3; a y of p or more is another spelling of y - p)."""
    y = int.from_bytes(data, "little")
    odd = y >> 255
    y &= _SIGN_BIT - 1
    if y >= _P:
        return None
    u, v = (y * y - 1) % _P, (_D * y * y + 1) % _P
    v3 = v * v * v % _P
    x = u * v3 * pow(u * v3 * v3 * v, (_P - 5) // 8, _P) % _P
    if (v * x * x - u) % _P:
        x = x * _ROOT_OF_MINUS_1 % _P
        if (v * x * x - u) % _P:
            return None
    if x == 0 and odd:
        return None
    if x & 1 != odd:
        x = _P - x
    return x, y, 1, x * y % _P
