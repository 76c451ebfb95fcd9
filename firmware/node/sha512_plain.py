"""The two loops of SHA-512 in plain Python, for where sha512_viper.py cannot run: only then are they in memory."""

from node.port import const

_LOW = const(0xFFFFFFFF)


def expand(w, message, start):
    """The 80 words of one block's message schedule, high halves at even places, low halves at odd ones."""
    for i in range(32):
        p = start + 4 * i
        w[i] = message[p] << 24 | message[p + 1] << 16 | message[p + 2] << 8 | message[p + 3]
    for i in range(32, 160, 2):
        xh, xl, yh, yl = w[i - 30], w[i - 29], w[i - 4], w[i - 3]
        low = (
            w[i - 31]
            + w[i - 13]
            + (((xl >> 1 | (xh & 1) << 31) ^ (xl >> 8 | xh << 24) ^ (xl >> 7 | xh << 25)) & _LOW)
            + (((yl >> 19 | yh << 13) ^ (yh >> 29 | yl << 3) ^ (yl >> 6 | yh << 26)) & _LOW)
        )
        w[i + 1] = low & _LOW
        w[i] = (
            w[i - 32]
            + w[i - 14]
            + (((xh >> 1 | (xl & 1) << 31) ^ (xh >> 8 | xl << 24) ^ (xh >> 7)) & _LOW)
            + (((yh >> 19 | yl << 13) ^ (yl >> 29 | yh << 3) ^ (yh >> 6)) & _LOW)
            + (low >> 32)
        ) & _LOW


def compress(state, w, k):
    """The 80 rounds over one block; `state` holds a…h as halves. Carries are added once, where they are needed.

    Nothing here allocates: assignments go three at a time because MicroPython makes a tuple of four or more on the
    heap, and no left shift exceeds 30 because 2^62 is the end of small integers. Both cost a factor of two.
    """
    ah, al, bh, bl, ch, cl, dh, dl, eh, el, fh, fl, gh, gl, hh, hl = state
    for i in range(0, 160, 2):
        low = (
            hl
            + k[i + 1]
            + w[i + 1]
            + (gl ^ (el & (fl ^ gl)))
            + (((el >> 14 | eh << 18) ^ (el >> 18 | eh << 14) ^ (eh >> 9 | el << 23)) & _LOW)
        )
        high = (
            hh
            + k[i]
            + w[i]
            + (gh ^ (eh & (fh ^ gh)))
            + (((eh >> 14 | el << 18) ^ (eh >> 18 | el << 14) ^ (el >> 9 | eh << 23)) & _LOW)
        )
        hh, gh, fh = gh, fh, eh
        hl, gl, fl = gl, fl, el
        total = dl + low
        el = total & _LOW
        eh = (dh + high + (total >> 32)) & _LOW
        low += ((al & bl) | (cl & (al | bl))) + (
            ((al >> 28 | ah << 4) ^ (ah >> 2 | al << 30) ^ (ah >> 7 | al << 25)) & _LOW
        )
        high += ((ah & bh) | (ch & (ah | bh))) + (
            ((ah >> 28 | al << 4) ^ (al >> 2 | ah << 30) ^ (al >> 7 | ah << 25)) & _LOW
        )
        dh, ch, bh = ch, bh, ah
        dl, cl, bl = cl, bl, al
        al = low & _LOW
        ah = (high + (low >> 32)) & _LOW
    rounds = (ah, al, bh, bl, ch, cl, dh, dl, eh, el, fh, fl, gh, gl, hh, hl)
    for i in range(0, 16, 2):
        low = state[i + 1] + rounds[i + 1]
        state[i] = (state[i] + rounds[i] + (low >> 32)) & _LOW
        state[i + 1] = low & _LOW
