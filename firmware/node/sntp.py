"""Asks a time server (SNTP, RFC 4330) over UDP. What it says is unsigned: timesync.py decides."""

import socket

from node.port import const, sleep_ms, ticks_diff, ticks_ms

_SIZE = const(48)
_LOOK_MS = const(10)
_FROM_1900_S = 2208988800


async def ask(host, port, cookie, timeout_ms):
    """Milliseconds since 1970 as the server has it now, half the way there and back added.

    `cookie` is eight random bytes that the answer must repeat. OSError: none came in time; ValueError: not an answer.
    """
    address = socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_DGRAM)[0][-1]
    asker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        asker.setblocking(False)
        start = ticks_ms()
        asker.sendto(request(cookie), address)
        while True:
            try:
                data = asker.recv(2 * _SIZE)
                break
            except OSError:
                if ticks_diff(ticks_ms(), start) > timeout_ms:
                    raise
            await sleep_ms(_LOOK_MS)
        return parse(data, cookie) + ticks_diff(ticks_ms(), start) // 2
    finally:
        asker.close()


def request(cookie):
    """The question: version 4, mode client, the cookie where a client's time would stand."""
    return b"\x23" + bytes(39) + cookie


def parse(data, cookie):
    """Milliseconds since 1970 of an answer; ValueError if it is not one to our question, or says it does not know."""
    if len(data) < _SIZE or data[0] & 7 != 4 or data[0] >> 6 == 3 or not 1 <= data[1] <= 15 or data[24:32] != cookie:
        raise ValueError("not an answer of a synchronised time server")
    seconds = int.from_bytes(data[40:44], "big")
    if seconds < 1 << 31:
        seconds += 1 << 32  # after February 2036 (RFC 4330 §3)
    return (seconds - _FROM_1900_S) * 1000 + (int.from_bytes(data[44:48], "big") * 1000 >> 32)
