"""Under which addresses and names other machines of the network reach this one."""

import fcntl
import socket
import struct

_SIOCGIFADDR = 0x8915
"""Linux: the IPv4 address of an interface (netdevice(7))."""
_ELSEWHERE = "192.0.2.1", 9
"""RFC 5737: an address that is nobody's. Connecting a datagram socket sends nothing; it only picks the way out."""


def of_this_machine() -> list[str]:
    """IPv4 addresses without loopback, the one by which it goes out first; none without a network."""
    found = [_outward(), *(_of_interface(name) for _index, name in socket.if_nameindex())]
    return list(dict.fromkeys(address for address in found if address and not address.startswith("127.")))


def names() -> list[str]:
    """What this machine is called in its network: by mDNS, unless its name is a whole one."""
    name = socket.gethostname().lower()
    if not all(label.replace("-", "").isalnum() and name.isascii() for label in name.split(".")):
        return []
    return [name] if "." in name else [f"{name}.local", name]


def _outward() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_ELSEWHERE)
        except OSError:
            return ""
        return str(probe.getsockname()[0])


def _of_interface(name: str) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            answer = fcntl.ioctl(probe, _SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
        except OSError:
            return ""
        return socket.inet_ntoa(answer[20:24])
