"""Units: energy in whole Wh, credits in whole milli-credits, time in Unix seconds.

At par 1 mc stands for 1 Wh and 1 credit for 1 kWh of local renewable energy. Amounts are integers
everywhere; the only texts with a decimal point are the ones people read.
"""

import re

INTERVAL_S = 900
"""Energy is settled per interval of 15 minutes, aligned to UTC."""

MC_PER_CREDIT = 1000
WH_PER_KWH = 1000
INT64_MAX = 2**63 - 1

_CREDITS = re.compile(r"([0-9]{1,12})(?:[.,]([0-9]{1,3}))?")


def interval_start_s(time_s: int) -> int:
    """The start of the interval that contains `time_s`."""
    return time_s - time_s % INTERVAL_S


def format_credits(amount_mc: int) -> str:
    """Milli-credits as people read them: 1234 -> "1.234"."""
    sign = "-" if amount_mc < 0 else ""
    whole, rest = divmod(abs(amount_mc), MC_PER_CREDIT)
    return f"{sign}{whole}.{rest:03d}"


def parse_credits(text: str) -> int:
    """Credits as people write them ("1", "1.5", "1,5") in milli-credits.

    Raises ValueError for anything else, also for a sign or a fourth decimal.
    """
    match = _CREDITS.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"not an amount of credits: {text!r} (write for example 1.5)")
    return int(match[1]) * MC_PER_CREDIT + int((match[2] or "").ljust(3, "0"))


def format_kwh(energy_wh: int) -> str:
    """Watt-hours as people read them: 1234 -> "1.234 kWh"."""
    return f"{format_credits(energy_wh)} kWh"
