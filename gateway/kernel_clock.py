"""Whether this machine's clock may date what is signed: the kernel says if somebody keeps it, a person may say so.

A Raspberry Pi has no battery: after a power cut its clock stands days back until NTP has answered, and a reading
signed then would be wrong for good. chrony, systemd-timesyncd and ntpd all tell the kernel (adjtimex(2)).
"""

import ctypes
import os
from collections.abc import Callable

from commonwatt.clock import Protocolar

_TIME_ERROR = 5
"""adjtimex's answer while the clock is not synchronised."""
_TIMEX_BYTES = 512
"""struct timex is 208 bytes on 64-bit Linux and smaller on 32-bit; all zero it asks and changes nothing."""


def kernel_is_synchronised() -> bool:
    """Whether the kernel believes its clock to be right within 16 s; OSError where it cannot be asked."""
    libc = ctypes.CDLL(None, use_errno=True)
    answer = int(libc.adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES)))
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return answer != _TIME_ERROR


def always() -> bool:
    """For a clock that a person answers for: a demo's, or one set by hand."""
    return True


class ClockTrust:
    """Trusts the clock while it is synchronised, and for `holdover_s` after it last was (protocol time).

    The kernel withdraws its word after nine hours without NTP, by its worst-case drift of 500 ppm; a real crystal
    loses some minutes in a month, so a village that is cut off goes on being measured.
    """

    def __init__(self, *, is_synchronised: Callable[[], bool], holdover_s: float, protocol: Protocolar) -> None:
        self._is_synchronised = is_synchronised
        self._holdover_s = holdover_s
        self._protocol = protocol
        self._trusted_until_s = float("-inf")

    def may_sign(self) -> bool:
        """Whether a signature may carry the present time. A kernel that cannot be asked has not synchronised."""
        now_s = self._protocol.monotonic_s()
        try:
            is_synchronised = self._is_synchronised()
        except OSError:
            is_synchronised = False
        if is_synchronised:
            self._trusted_until_s = now_s + self._holdover_s
        return is_synchronised or now_s < self._trusted_until_s
