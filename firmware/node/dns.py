"""A name server of one address: whatever a phone asks for, it is us, so that phones open the page by themselves."""

import socket

from node.port import const, sleep_ms

_QUERY_MAX = const(512)
_TYPE_A = b"\x00\x01"  # an IPv4 address; phones ask for an IPv6 one as well
_LOOK_MS = const(50)
_QUERIES_MAX = const(8)  # at one look: somebody who asks without end does not keep the others from running


async def serve(address, port):
    """Answer on UDP `port` for ever: `address` is ours, 4 bytes. OSError: the port is taken."""
    line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        line.bind(socket.getaddrinfo("0.0.0.0", port)[0][-1])
        line.setblocking(False)
        while True:
            for _ in range(_QUERIES_MAX):
                try:
                    query, sender = line.recvfrom(_QUERY_MAX + 1)
                    reply = answer(query, address)
                    if reply:
                        line.sendto(reply, sender)
                except OSError:
                    break  # nobody asks, or nobody can be answered
            await sleep_ms(_LOOK_MS)
    finally:
        line.close()


def answer(query, address):
    """The answer that names `address` for whatever was asked; None for what is no question (RFC 1035 §4.1)."""
    if not 17 <= len(query) <= _QUERY_MAX or query[2] & 0x80 or query[4:6] != b"\x00\x01":
        return None
    end = 12
    while end < len(query) and query[end]:
        end += 1 + query[end]
    end += 5
    if end > len(query):
        return None
    if query[end - 4 : end - 2] != _TYPE_A:
        return query[:2] + b"\x81\x80\x00\x01\x00\x00\x00\x00\x00\x00" + query[12:end]  # a name without such a record
    head = query[:2] + b"\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00"
    return head + query[12:end] + b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04" + address
