"""The settlement of all devices at once says exactly what the plain rule says of each."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.settling.open_readings import Waiting
from aggregator.settling.settlement import Reading, settle
from aggregator.settling.settlement_columns import NOT_BEGUN, Accounts
from aggregator.settling.settlement_columns import settle as settle_columns
from commonwatt.block import FLAG_REGISTER_REPLACED
from commonwatt.page import UNKNOWN
from commonwatt.units import INT64_MAX, INTERVAL_S

DEVICES = 3
WH_MAX = INT64_MAX >> 6
"""So large that no sum of a test leaves 63 bits: what does may differ in columns."""
registers = st.dictionaries(st.integers(1, 3), st.sampled_from([0, 1, 5, 99, 100, 10**9, WH_MAX]), min_size=1)
reading = st.tuples(
    *(st.integers(0, DEVICES - 1), st.integers(1, 5), st.integers(0, 4), registers, st.booleans()),
)


def columns_of(rows) -> Waiting:
    """Readings as a closing takes them, in the order in which they come."""

    def column(values):
        return np.array(list(values), dtype=np.int64)

    return Waiting(
        column(INTERVAL_S * row[1] for row in rows),
        column(row[0] for row in rows),
        column(row[2] for row in rows),
        column(1000 + row[2] for row in rows),
        column(range(len(rows))),
        column(FLAG_REGISTER_REPLACED * row[4] for row in rows),
        {q: column(row[3].get(q, UNKNOWN) for row in rows) for q in (1, 2, 3)},
    )


def empty() -> Accounts:
    """Devices that never sent."""

    def column(value):
        return np.full(DEVICES, value)

    wh = [{q: column(UNKNOWN) for q in (1, 2, 3)} for _ in range(2)]
    return Accounts(np.arange(DEVICES), column(NOT_BEGUN), column(NOT_BEGUN), *wh)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.lists(reading, unique_by=lambda row: (row[0], row[1], row[2]), max_size=12), max_size=3),
    st.lists(st.sampled_from([0, 100, 10**9]), min_size=DEVICES, max_size=DEVICES),
)
def test_columns_and_rule_agree_closing_after_closing(closings, wraps_at_wh):
    """Gaps, late and repeated readings, registers that come, go, fall, run over or are replaced."""
    accounts, settled = empty(), dict.fromkeys(range(DEVICES))
    for rows in closings:
        found = settle_columns(accounts, columns_of(rows), np.array(wraps_at_wh))
        spans = [found.span(row, bytes([int(found.devices[row])])) for row in range(len(found))]
        expected = []
        for device in range(DEVICES):
            known = [
                Reading(bytes([device]), INTERVAL_S * time, seq, wh, 1000 + seq, at, is_replaced)
                for at, (of, time, seq, wh, is_replaced) in enumerate(rows)
                if of == device
            ]
            settled[device], new = settle(settled[device], known, wraps_at_wh=wraps_at_wh[device] or None)
            expected += new
        assert sorted(spans, key=lambda span: (span.device, span.start_s)) == expected
        for device, state in settled.items():
            if state is None:
                assert accounts.times_s[device] == NOT_BEGUN
                continue
            assert (accounts.times_s[device], accounts.first_times_s[device]) == (state.time_s, state.first_time_s)
            for columns, plain in ((accounts.registers_wh, state.registers_wh), (accounts.first_wh, state.first_wh)):
                known_wh = {q: int(values[device]) for q, values in columns.items() if values[device] != UNKNOWN}
                # What has no place in 63 bits may be anything, also unknown.
                exact_wh = {q: wh for q, wh in plain.items() if abs(wh) <= INT64_MAX}
                assert {q: wh for q, wh in known_wh.items() if q in exact_wh} == exact_wh
                assert known_wh.keys() <= plain.keys()
