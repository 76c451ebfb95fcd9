"""The cycle collector stands still in a long loop, and only there."""

import gc

import pytest

from ledger import collector


def fail_while_paused() -> None:
    with collector.paused():
        assert not gc.isenabled()
        raise OSError("disk")


@pytest.mark.parametrize("was_enabled", [True, False])
def test_collector_when_paused(was_enabled: bool) -> None:
    """Afterwards it is as it was, also when the loop fails."""
    before = gc.isenabled()
    (gc.enable if was_enabled else gc.disable)()
    try:
        with pytest.raises(OSError, match="disk"):
            fail_while_paused()
        assert gc.isenabled() == was_enabled
    finally:
        (gc.enable if before else gc.disable)()
