"""Holds over more than one window: each window is owed after the release, once, through both doors of minting."""

import itertools
from dataclasses import replace
from pathlib import Path

import pytest

from ledger import testing
from ledger.book import mint_arrays
from ledger.book.measures import Hold, Release
from ledger.book.refusals import Refusal
from ledger.sequencer import Placed, Refused
from tests.ledger.test_mint_arrays import submit_arrays


@pytest.mark.parametrize("in_columns", [False, True])
def test_windows_when_a_hold_covers_several(tmp_path: Path, in_columns: bool) -> None:
    """Each of them is owed after the release, once, in any order; what is held again of it is not."""
    with testing.village(tmp_path, "ana") as ledger:
        number = itertools.count()

        def mint(*windows: int) -> str:
            """The label of the refusal; "": minted. A window of one hour, or from the first to the last."""
            leaves = mint_arrays.from_leaves([testing.earned("ana", 5, window=windows[0])])
            leaves = replace(leaves, window_end_s=leaves.window_end_s + testing.WINDOW_S * (windows[-1] - windows[0]))
            answer = submit_arrays(ledger, leaves, next(number), in_columns=in_columns)
            return "" if isinstance(answer, Placed) else answer.refusal.label

        def hold(name: str, first: int, end: int) -> None:
            times_s = [testing.TIME_S + testing.WINDOW_S * window for window in (first, end)]
            body = Hold(testing.ident("ana"), 1, times_s[0], times_s[1], 5, "odd")
            (answer,) = ledger.submit([testing.signed(body, "steward", entry_id=name)])
            assert isinstance(answer, Placed)

        def release(name: str) -> None:
            ledger.submit([testing.signed(Release(testing.entry_id(name), True, "seen"), "steward")])

        hold("a", 0, 4)
        assert [mint(0), mint(4)] == ["claim-held", ""]
        release("a")
        assert [mint(2), mint(2), mint(0, 3), mint(1, 2)] == ["", *["window-minted"] * 3]
        hold("b", 0, 1)
        assert [mint(0), mint(0, 1), mint(1)] == ["claim-held", "claim-held", ""]
        release("b")
        assert [mint(0, 1), mint(0), mint(0), mint(3), mint(3), mint(5)] == [
            *("window-minted", "", "window-minted"),
            *("", "window-minted", ""),
        ]
        assert not ledger.state.claims.owed
        hold("c", 6, 7)
        hold("d", 7, 8)
        assert mint(8) == ""
        release("c")
        release("d")
        assert [mint(6, 7), mint(6)] == ["", "window-minted"]  # owed by two holds, minted as one


@pytest.mark.parametrize("in_columns", [False, True])
def test_window_when_it_was_minted_in_parts(tmp_path: Path, in_columns: bool) -> None:
    """After a release with nothing minted meanwhile, the hours are minted in order; the whole is not minted again."""
    with testing.village(tmp_path, "ana") as ledger:
        ends_s = (testing.TIME_S, testing.TIME_S + 2 * testing.WINDOW_S)
        body = Hold(testing.ident("ana"), 1, *ends_s, 5, "odd")
        release = Release(testing.entry_id("hold"), True, "seen")
        ledger.submit([testing.signed(body, "steward", entry_id="hold"), testing.signed(release, "steward")])
        for window in range(2):
            leaves = mint_arrays.from_leaves([testing.earned("ana", 5, window=window)])
            assert isinstance(submit_arrays(ledger, leaves, window, in_columns=in_columns), Placed)
        whole = replace(mint_arrays.from_leaves([testing.earned("ana", 5)]), window_end_s=ends_s[1])
        assert submit_arrays(ledger, whole, 2, in_columns=in_columns) == Refused(Refusal.WINDOW_MINTED, leaf=0)
