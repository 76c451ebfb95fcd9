"""The real command with --influx: what it writes by itself, and what a gateway says of itself, arrive as lines."""

import json
import re

import pytest

from aggregator.testing import COMMUNE, GATEWAY, TIME_S, ident
from commonwatt import topics
from commonwatt.clock import CivilClock
from commonwatt.mqtt import MqttLink
from tests.aggregator.programs import Service, found, running_broker, wait_for
from tests.dashboards.http_server import Reply, running

STATE = {
    "state": "up",
    "clock_trusted": True,
    "spool": {"blocks": 7, "oldest_age_s": None},
    "fleet": {"state": {"online": 3, "offline": 1}, "firmware": {"12": 3}},
}


def influx_toml(path, url):
    """The file of the page, with samples every half second."""
    path.write_text(f'url = "{url}"\norg = "c"\nbucket = "b"\ntoken = "t"\nsample_s = 0.5\nretry_s = 0.1\n')
    return path


@pytest.mark.story
def test_aggregator_when_told_of_a_database(tmp_path):
    """A database that is down at first gets everything from the beginning on; status and health say how it stands."""
    with running() as database, running_broker(tmp_path) as broker:
        database.decide = lambda _request: Reply(503, "starting")
        service = Service(found(tmp_path / "commune"), broker, CivilClock(TIME_S, 0, 1))
        service.clock = CivilClock.parse("")
        service.influx = influx_toml(tmp_path / "influx.toml", database.url)
        service.start()
        try:
            topic = topics.of_gateway(COMMUNE, ident(GATEWAY), topics.STATE)
            link = MqttLink(broker.account(ident(GATEWAY).hex()), client_id="cupboard", subscriptions=[])
            with link:
                wait_for(lambda: link.publish(topic, json.dumps(STATE).encode(), retain=True), "the gateway")
                wait_for(lambda: database.requests, "the first attempt")
                database.decide = lambda _request: Reply(204)
                pattern = re.compile(r"gateway,commune=[^ ]+,gateway=\w+ .*spool_age_s=0i,spool_blocks=7i,up=1i \d+")
                wait_for(lambda: any(pattern.fullmatch(line) for line in list(database.kept)), "its state")
            kept = list(database.kept)
            names = {line.partition(",")[0] for line in kept}
            assert {"pipeline", "fleet", "ledger", "event", "telemetry", "withheld", "refused"} <= names
            assert any(re.match(r"event,commune=[^ ]+,kind=firmware .*12", line) for line in kept)
            assert any("class=12,commune" in line and "devices=3i" in line for line in kept)
            assert "withheld" in service.state()
        finally:
            assert service.stop() == 0
