"""The two loops of SHA-512 as machine code, where MicroPython has viper; importing this anywhere else fails.

Words are machine words of 32 or 64 bits, so nothing here relies on either: halves are kept below 2^32 by a mask that
is handed in (a chip's small integers could not hold it), and sums are made in two lanes of 16 bits, whose carries no
word loses. There is no branch but the loops' own.
"""

import micropython


@micropython.viper
def expand(w: ptr32, message: ptr8, start: int, mask: uint):  # noqa: F821 viper's own types
    """Fill w with the 80 words of the block of `message` at `start`, high halves at even places."""
    i = 0
    while i < 32:
        p = start + 4 * i
        w[i] = (message[p] << 24 | message[p + 1] << 16 | message[p + 2] << 8 | message[p + 3]) & mask
        i += 1
    while i < 160:
        xh = uint(w[i - 30]) & mask  # noqa: F821
        xl = uint(w[i - 29]) & mask  # noqa: F821
        yh = uint(w[i - 4]) & mask  # noqa: F821
        yl = uint(w[i - 3]) & mask  # noqa: F821
        m = uint(w[i - 31]) & mask  # noqa: F821
        n = uint(w[i - 13]) & mask  # noqa: F821
        s = ((xl >> 1 | xh << 31) ^ (xl >> 8 | xh << 24) ^ (xl >> 7 | xh << 25)) & mask
        t = ((yl >> 19 | yh << 13) ^ (yh >> 29 | yl << 3) ^ (yl >> 6 | yh << 26)) & mask
        low = (m & 0xFFFF) + (n & 0xFFFF) + (s & 0xFFFF) + (t & 0xFFFF)
        top = (m >> 16) + (n >> 16) + (s >> 16) + (t >> 16) + (low >> 16)
        w[i + 1] = (top << 16 | low & 0xFFFF) & mask
        s = ((xh >> 1 | xl << 31) ^ (xh >> 8 | xl << 24) ^ (xh >> 7)) & mask
        t = ((yh >> 19 | yl << 13) ^ (yl >> 29 | yh << 3) ^ (yh >> 6)) & mask
        w[i] = (w[i - 32] + w[i - 14] + s + t + (top >> 16)) & mask
        i += 2


@micropython.viper
def compress(v: ptr32, w: ptr32, k: ptr32, mask: uint):  # noqa: F821
    """The 80 rounds; v[0:16] holds a…h as halves and gets the sum, v[16:32] is room to work in."""
    i = 0
    while i < 16:
        v[16 + i] = v[i]
        i += 1
    ah, al = uint(v[0]) & mask, uint(v[1]) & mask  # noqa: F821
    eh, el = uint(v[8]) & mask, uint(v[9]) & mask  # noqa: F821
    i = 0
    while i < 160:
        # b, c, d and f, g, h lie in memory: eight halves more than registers.
        bh, bl = uint(v[18]) & mask, uint(v[19]) & mask  # noqa: F821
        ch, cl = uint(v[20]) & mask, uint(v[21]) & mask  # noqa: F821
        dh, dl = uint(v[22]) & mask, uint(v[23]) & mask  # noqa: F821
        fh, fl = uint(v[26]) & mask, uint(v[27]) & mask  # noqa: F821
        gh, gl = uint(v[28]) & mask, uint(v[29]) & mask  # noqa: F821
        x = uint(v[31]) & mask  # noqa: F821
        y = uint(k[i + 1]) & mask  # noqa: F821
        z = uint(w[i + 1]) & mask  # noqa: F821
        s = gl ^ (el & (fl ^ gl))
        t = ((el >> 14 | eh << 18) ^ (el >> 18 | eh << 14) ^ (eh >> 9 | el << 23)) & mask
        low = (x & 0xFFFF) + (y & 0xFFFF) + (z & 0xFFFF) + (s & 0xFFFF) + (t & 0xFFFF)
        top = (x >> 16) + (y >> 16) + (z >> 16) + (s >> 16) + (t >> 16) + (low >> 16)
        one_l = (top << 16 | low & 0xFFFF) & mask
        s = gh ^ (eh & (fh ^ gh))
        t = ((eh >> 14 | el << 18) ^ (eh >> 18 | el << 14) ^ (el >> 9 | eh << 23)) & mask
        one_h = (v[30] + k[i] + w[i] + s + t + (top >> 16)) & mask
        v[30], v[31] = gh, gl
        v[28], v[29] = fh, fl
        v[26], v[27] = eh, el
        low = (dl & 0xFFFF) + (one_l & 0xFFFF)
        top = (dl >> 16) + (one_l >> 16) + (low >> 16)
        el = (top << 16 | low & 0xFFFF) & mask
        eh = (dh + one_h + (top >> 16)) & mask
        s = (al & bl) | (cl & (al | bl))
        t = ((al >> 28 | ah << 4) ^ (ah >> 2 | al << 30) ^ (ah >> 7 | al << 25)) & mask
        low = (one_l & 0xFFFF) + (s & 0xFFFF) + (t & 0xFFFF)
        top = (one_l >> 16) + (s >> 16) + (t >> 16) + (low >> 16)
        s = (ah & bh) | (ch & (ah | bh))
        t = ((ah >> 28 | al << 4) ^ (al >> 2 | ah << 30) ^ (al >> 7 | ah << 25)) & mask
        v[22], v[23] = ch, cl
        v[20], v[21] = bh, bl
        v[18], v[19] = ah, al
        al = (top << 16 | low & 0xFFFF) & mask
        ah = (s + t + one_h + (top >> 16)) & mask
        i += 2
    v[16], v[17] = ah, al
    v[24], v[25] = eh, el
    i = 0
    while i < 16:
        x = uint(v[i + 1]) & mask  # noqa: F821
        y = uint(v[i + 17]) & mask  # noqa: F821
        low = (x & 0xFFFF) + (y & 0xFFFF)
        top = (x >> 16) + (y >> 16) + (low >> 16)
        v[i + 1] = (top << 16 | low & 0xFFFF) & mask
        v[i] = (v[i] + v[i + 16] + (top >> 16)) & mask
        i += 2
