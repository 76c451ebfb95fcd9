"""Publishes one signed command over MQTT. A broker's word is not the device's: look at its state afterwards."""

import socket
from pathlib import Path

import paho.mqtt.client as paho
from paho.mqtt import MQTTException
from paho.mqtt.enums import CallbackAPIVersion

from commonwatt import settings
from commonwatt.errors import CommonwattError
from commonwatt.mqtt import KEEPALIVE_S, QOS, BrokerAccount

PATIENCE_S = 10
_TICK_S = 0.5


class AccountFile(settings.Settings):
    """The TOML file of a broker account: url, username, password and perhaps ca_file."""

    url: str
    username: str
    password: str
    ca_file: str | None = None


def read_account(path: Path) -> BrokerAccount:
    """Who we are at a broker; UserError names the mistake."""
    read = settings.load(AccountFile, path)
    return BrokerAccount(url=read.url, username=read.username, password=read.password, ca_file=read.ca_file)


def publish(account: BrokerAccount, topic: str, payload: bytes) -> None:
    """Hand one message to a broker with QoS 1; CommonwattError if it does not take it within PATIENCE_S."""
    host, port = account.host_port()
    client = paho.Client(CallbackAPIVersion.VERSION2, clean_session=True)
    client.username_pw_set(account.username, account.password)
    if account.url.startswith("mqtts:"):
        client.tls_set(ca_certs=account.ca_file)
    reasons: list[str] = []
    client.on_connect = lambda _client, _user, _flags, reason, _properties: reasons.append(str(reason))
    try:
        client.connect(host, port, KEEPALIVE_S)
        told = client.publish(topic, payload, QOS)
        for _ in range(int(PATIENCE_S / _TICK_S)):
            if told.is_published() or client.loop(_TICK_S) != paho.MQTT_ERR_SUCCESS:
                break
        is_taken = told.is_published()
        client.disconnect()
    except (OSError, socket.gaierror, MQTTException, RuntimeError, ValueError) as error:
        raise CommonwattError(f"{host}:{port} did not take the command: {error}") from error
    if not is_taken:
        raise CommonwattError(f"{host}:{port} did not take the command: {reasons[-1] if reasons else 'no answer'}")
