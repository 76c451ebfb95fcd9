"""The pages beside somebody who has other work to do: what goes wrong here, and that the other one goes on."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from aggregator import testing
from commonwatt import serving
from commonwatt.clock import CivilClock, MonotonicClock
from commonwatt.errors import UserError
from commonwatt.testing_command import run
from ledger import app as ledgers
from ledger import testing as book
from ledger.inbox import Inbox
from ledger.sequencer import Placed
from web.book.books import LedgerHand
from web.server import Beside


def test_pages_when_the_aggregator_asks_for_them() -> None:
    """By their entry point, which is the server of this very package."""
    assert serving.pages() is Beside


def test_pages_when_their_packages_are_not_installed() -> None:
    """An aggregator without the web extra says what to install."""
    program = (
        "import sys; sys.modules['starlette'] = None\n"
        "from commonwatt import serving\n"
        "from commonwatt.errors import UserError\n"
        "try: serving.pages()\n"
        "except UserError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "starlette" in done.stdout
    assert "pip install 'commonwatt[web]'" in done.stdout


@pytest.mark.parametrize("text", ["everywhere", "127.0.0.1", "127.0.0.1:99999", ":http"])
def test_option_when_it_is_no_address(tmp_path: Path, text: str) -> None:
    """Named before anything starts."""
    done = run("aggregator", "run", tmp_path, "--broker-account", tmp_path / "none.toml", "--pages", text)
    assert done.returncode == 2
    assert "--pages" in done.stderr


def test_pages_when_the_port_is_taken(town: Path) -> None:
    """A sentence with the port; the first ones are not disturbed."""
    with Beside(town, ("127.0.0.1", 0), clock=CivilClock()) as first:
        second = Beside(town, first.address, clock=CivilClock())
        with pytest.raises(UserError, match=f"127.0.0.1:{first.address[1]}"):
            second.__enter__()
        assert first.is_serving


class Failing(Beside):
    """A server that dies at once."""

    async def _serve_until_told(self) -> None:
        raise SystemExit(3)


def test_pages_when_their_server_fails(town: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, and whoever they are beside goes on and ends in his own time."""
    with Failing(town, ("127.0.0.1", 0), clock=CivilClock()) as pages:
        while pages.is_serving:
            time.sleep(0.01)
    assert "the pages have ended" in caplog.text


def test_entry_when_the_ledger_is_open_in_this_very_process(tmp_path: Path) -> None:
    """As in the aggregator's: the pages find it in use and hand in by its inbox; its own entries go on."""
    testing.quarter(tmp_path).close()
    testing.write_papers(tmp_path)
    with ledgers.open_ledger(tmp_path) as ledger, ThreadPoolExecutor(1) as pages:
        size, inbox = ledger.size, Inbox(tmp_path, ledger=ledger, clock=MonotonicClock())
        answer = pages.submit(LedgerHand(tmp_path).submit, [book.member("newcomer")])
        while not answer.done():
            inbox.step()
            time.sleep(0.01)
        assert answer.result() == [Placed(size)]
        assert ledger.submit([book.member("another")]) == [Placed(size + 1)]
    with ledgers.open_ledger(tmp_path) as ledger:
        assert ledger.size == size + 2
