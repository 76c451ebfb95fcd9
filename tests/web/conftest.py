"""A town of 24 homes whose first day is settled, shown by the real server on a real socket."""

import http.client
import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import uvicorn

from aggregator.private.store import PrivateStore
from aggregator.testing import TIME_S, MeterStandIn
from commonwatt.clock import CivilClock, MonotonicClock, Protocolar
from commonwatt.quantities import EXPORT
from commonwatt.testing import ManualClock
from ledger import app as app_of_ledger
from ledger import testing as ledger_testing
from ledger.book.kinds import DeviceRole, Subject
from ledger.sequencer import Placed
from tests.aggregator.conftest import open_town
from tests.web.post import Mailbox, serving_mail
from web import app
from web.app import Parts
from web.settings import WebSettings

HOMES = [f"home{number:02}" for number in range(24)]
SLOTS = 96
ZONE = ZoneInfo("Europe/Paris")


@dataclass(frozen=True)
class Answer:
    """One answer as it came."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass(frozen=True)
class Site:
    """A server that runs. `clock`: the protocol time it is given; `parts`: what its rooms are built from."""

    host: str
    port: int
    clock: ManualClock
    parts: Parts
    directory: Path

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def get(self, path: str, **headers: str) -> Answer:
        """One request; header names are written with _ for -."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=20)
        try:
            connection.request("GET", path, headers={name.replace("_", "-"): text for name, text in headers.items()})
            answer = connection.getresponse()
            told = {name.lower(): text for name, text in answer.getheaders()}
            return Answer(answer.status, told, answer.read())
        finally:
            connection.close()


def supply_wh(number: int, slot: int) -> int:
    """Every second home has a roof that gives, in the middle of the day, more than its own home takes."""
    return 0 if number % 2 or not 32 <= slot < 64 else 190 + number


def demand_wh(number: int, slot: int) -> int:
    return 0 if supply_wh(number, slot) else 60 + number + slot % 7


def roof_wh(slot: int) -> int:
    """What a meter at the first home's roof counts, a part of which stays in that home."""
    return 260 + slot * 7 % 11 if 32 <= slot < 64 else 0


def plug_wh(slot: int) -> int:
    """A washing machine in the second home, before noon."""
    return 50 if 36 <= slot < 44 else 0


def stuck_wh(slot: int) -> int:
    """What a meter at the third home's roof counts: always the same, which nobody believes at once."""
    return 250 if 32 <= slot < 64 else 0


def settle_town(directory: Path, homes: list[str]) -> None:
    """The first day, UTC, of these homes. The first and the third have a meter at their roof, the second a plug."""
    first, second, third = (homes * 3)[:3]
    roof, plug, stuck = f"{first}-roof", f"{second}-plug", f"{third}-stuck"
    further = [
        ledger_testing.device(roof, f"{first}'s", DeviceRole.PRODUCTION),
        ledger_testing.device(plug, f"{second}'s", DeviceRole.SUB_METER),
        ledger_testing.device(stuck, f"{third}'s", DeviceRole.PRODUCTION),
    ]
    works = open_town(directory, homes, entries=further)
    works.meters |= {name: MeterStandIn(name, (EXPORT.number,)) for name in (roof, stuck)} | {
        plug: MeterStandIn(plug)
    }
    blocks = [
        works.meters[name].sign(TIME_S, [[sum(map(of, range(slot)))] for slot in range(SLOTS + 1)])
        for name, of in ((roof, roof_wh), (plug, plug_wh), (stuck, stuck_wh))
    ]
    for number, home in enumerate(homes):
        rows = [(0, 0)]
        for slot in range(SLOTS):
            rows.append((rows[-1][0] + demand_wh(number, slot), rows[-1][1] + supply_wh(number, slot)))
        blocks.append(works.meters[f"{home}-main"].sign(TIME_S, rows))
    assert works.deliver(*blocks) == {}
    works.close_until(TIME_S + SLOTS * 900)
    works.database.close()
    works.ledger.close()


@contextmanager
def serving(
    directory: Path,
    *,
    per_s: float = 1000.0,
    wall: CivilClock | None = None,
    clock: Protocolar | None = None,
    told: dict[str, Any] | None = None,
) -> Iterator[Site]:
    """The pages of a commune's directory. `told`: further settings. The postman works when a test says so."""
    hand, wall = ManualClock(), wall or CivilClock()
    read = WebSettings(zone=ZONE, requests_per_s=per_s, **(told or {}))
    pages = app.build(directory, read, clock=clock or hand, wall=wall)
    quiet = {"log_config": None, "log_level": "critical", "access_log": False}
    config = uvicorn.Config(pages, host="127.0.0.1", port=0, lifespan="off", server_header=False, **quiet)
    server = uvicorn.Server(config)
    with config.bind_socket() as listener:
        listener.listen()
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        try:
            host, port = listener.getsockname()
            yield Site(host, port, hand, pages.state.parts, directory)
        finally:
            server.should_exit = True
            thread.join(20)
            pages.state.parts.close()


@pytest.fixture(scope="session")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the settled town; nobody writes there any more."""
    directory = tmp_path_factory.mktemp("town")
    settle_town(directory, HOMES)
    return directory


NOON_S = TIME_S + 36 * 3600
"""When people look at the living town: in the middle of the day after the one that was settled."""


@pytest.fixture(scope="module")
def living(town: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The town with a baker and everybody's names, at noon of the next day, for the tests of one file: whoever takes
    somebody's account or pays leaves it so for the tests after it."""
    directory = tmp_path_factory.mktemp("living") / "town"
    shutil.copytree(town, directory)
    with app_of_ledger.open_ledger(directory) as ledger:
        (answer,) = ledger.submit([ledger_testing.member("baker", Subject.MERCHANT)])
        assert isinstance(answer, Placed)
        ledger.publish()
    names = PrivateStore(directory / "private.db")
    for home in HOMES:
        names.enrol("members", home, ledger_testing.ident(home))
        names.enrol("sites", f"{home}'s", ledger_testing.ident(f"{home}'s"))
    names.enrol("devices", "washing machine", ledger_testing.ident("home01-plug"))
    names.enrol("merchants", "baker", ledger_testing.ident("baker"))
    names.save()
    with serving(directory, wall=CivilClock(NOON_S, time.time(), 1), clock=MonotonicClock()) as site:
        yield site


@pytest.fixture
def site(town: Path) -> Iterator[Site]:
    """Its pages, for one test: each has its own bucket of requests."""
    with serving(town) as site:
        yield site


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    """A real SMTP server."""
    with serving_mail() as mailbox:
        yield mailbox


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Debian's chromium, driven by Playwright; a test without either says how to get it."""
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        pytest.skip("no chromium is installed: apt install chromium")
    with playwright.sync_playwright() as running:
        # As root, which CI is, chromium has no sandbox of its own; it shows only our pages.
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = running.chromium.launch(executable_path=chromium, args=arguments)
        yield browser
        browser.close()
