"""The health page and its neighbours on HTTP, from a real gateway process and from states by hand."""

import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from html.parser import HTMLParser
from http.client import HTTPResponse
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from commonwatt.errors import UserError
from commonwatt.i18n import preferred, speaking
from commonwatt.testing import ManualClock
from gateway.observe.findings import findings
from gateway.observe.http import Watch
from gateway.observe.http import watch as serving
from gateway.observe.page import page
from tests.gateway.states import WELL, state
from tests.gateway.support import Town, answers, free_port, wait_for

VOID = {"meta"}


class Outline(HTMLParser):
    """The tags of a document; AssertionError if one is left open or closed twice."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self._open: list[str] = []
        self.feed(document)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert not [name for name, _value in attrs if name.startswith("on") or name in ("src", "href")]
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag


@pytest.fixture
def watch() -> Iterator[tuple[Watch, ManualClock]]:
    clock = ManualClock()
    with serving(host="127.0.0.1", port=0, protocol=clock) as served:
        yield served, clock


def get(port: int, path: str, **headers: str) -> HTTPResponse:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
    response = urllib.request.urlopen(request, timeout=20)
    assert isinstance(response, HTTPResponse)
    return response


def refused(port: int, path: str) -> int:
    with pytest.raises(urllib.error.HTTPError) as caught, get(port, path):
        pass
    caught.value.close()
    return caught.value.code


def test_page_when_it_is_drawn() -> None:
    """Well-formed, no script, nothing loaded from anywhere, and names are escaped."""
    told = state(meters={"<script>roof": WELL["meters"]["roof"]})
    document = page(findings(told, age_s=1), name="tests & friends", language="en")
    outline = Outline(document)
    assert "script" not in outline.tags
    assert outline.tags.count("li") == len(findings(told, age_s=1))
    assert "&lt;script&gt;roof" in document
    assert "tests &amp; friends" in document
    assert "http:" not in document


@pytest.mark.parametrize(
    ("changes", "headline"),
    [({}, "All is well"), ({"broker__upstream": False}, "look at this"), ({"broker__local": False}, "must act")],
)
def test_page_when_things_go_worse(changes: dict[str, object], headline: str) -> None:
    """The headline tells the worst of all lines; every colour stands beside a word."""
    document = page(findings(state(**changes), age_s=1), name="tests", language="en")
    assert headline in document.partition("<main>")[0]
    assert document.count("<small>") == document.count("<li ")


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("fr", "fr"),
        ("fr-FR,fr;q=0.9,en;q=0.8", "fr"),
        ("de, fr;q=0.8, en;q=0.5", "fr"),
        ("en;q=0.4, fr;q=0.5", "fr"),
        ("fr;q=0, en", "en"),
        ("es-ES", "en"),
        ("fr;q=nonsense, en;q=0.1", "en"),
        (",;,q=1;;", "en"),
    ],
)
def test_language_when_a_browser_asks(header: str, language: str) -> None:
    """The best liked of ours; English where nothing is understood."""
    assert preferred(header) == language


def test_page_when_it_is_asked_for_in_french(watch: tuple[Watch, ManualClock]) -> None:
    """The document says its language, and its words are those of the catalogue."""
    served, _clock = watch
    served.see(WELL)
    with speaking("fr"):
        expected = page(findings(WELL, age_s=0), name="tests · aaaaaaaa", language="fr")
    with get(served.port, "/", **{"Accept-Language": "fr-FR,fr;q=0.9"}) as response:
        document = response.read().decode()
    assert document == expected
    assert '<html lang="fr">' in document
    assert "Tout va bien" in document
    with get(served.port, "/") as response:
        assert '<html lang="en">' in response.read().decode()


def test_page_when_a_browser_guards_it(watch: tuple[Watch, ManualClock]) -> None:
    """Nothing may run, be loaded or be framed; nothing is kept."""
    with get(watch[0].port, "/?x=1") as response:
        assert response.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert "sha256-" in response.headers["Content-Security-Policy"]
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["Server"] == "commonwatt"


@pytest.mark.parametrize("path", ["/status.json", "/../gateway.toml", "/metrics/", "/%2e%2e/"])
def test_watch_when_something_else_is_asked_for(watch: tuple[Watch, ManualClock], path: str) -> None:
    """There is nothing else."""
    assert refused(watch[0].port, path) == 404


def test_health_when_the_loop_hangs(watch: tuple[Watch, ManualClock]) -> None:
    """What was well is red when it is told no more, though HTTP still answers; told again, it is well again."""
    served, clock = watch
    served.see(WELL)
    with get(served.port, "/health") as response:
        assert response.read() == b"green\n"
    clock.advance(60)
    assert refused(served.port, "/health") == 503
    with get(served.port, "/metrics") as response:
        assert "commonwatt_gateway_state_age_seconds 60.0" in response.read().decode()
    served.see(WELL)
    with get(served.port, "/health") as response:
        assert response.status == 200


def test_watch_when_its_port_is_taken(watch: tuple[Watch, ManualClock]) -> None:
    """A sentence with the place and what to do."""
    second = serving(host="127.0.0.1", port=watch[0].port, protocol=ManualClock())
    with (
        pytest.raises(UserError, match=r"cannot listen on 127\.0\.0\.1:\d+: .*\n→ choose another"),
        second,
    ):
        pass


def test_gateway_when_it_is_watched(tmp_path: Path) -> None:
    """The real process: page, health and metrics tell its own state; its password and keys are in none of them."""
    port = free_port()
    town = Town(tmp_path, [], extra="", meters=f"[observe]\nport = {port}\n").found()
    with town.broker(), town.running_gateway():
        wait_for(lambda: answers(port) and 'broker="local"} 1.0' in text(port, "/metrics"), "a broker that is up")
        told = text(port, "/") + text(port, "/metrics")
        samples = {
            sample.name: sample.value
            for family in text_string_to_metric_families(text(port, "/metrics"))
            for sample in family.samples
        }
        assert samples["commonwatt_gateway_disk_free_bytes"] > 0
        assert samples["commonwatt_gateway_spool_limit_bytes"] == 1 << 30
        assert re.search("tests · aaaaaaaa", told)
        # No registry has come.
        assert text(port, "/health") == "orange\n"
    secrets = [*town.passwords.values(), town.aggregator.genesis.hex()]
    assert not any(secret in told for secret in secrets)


def text(port: int, path: str) -> str:
    with get(port, path) as response:
        return response.read().decode()
