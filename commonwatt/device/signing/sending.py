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
    """The TOML file of a broker account, as the aggregator has one; paths start at the file's own directory."""

    url: str
    username: str
    password: str
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    plaintext: bool = False


def read_account(path: Path) -> BrokerAccount:
    """Who we are at a broker; UserError names the mistake."""
    read = settings.load(AccountFile, path)
    beside = {
        name: path.parent / file
        for name, file in (("ca_file", read.ca_file), ("cert_file", read.cert_file), ("key_file", read.key_file))
        if file is not None
    }
    account = BrokerAccount(
        url=read.url, username=read.username, password=read.password, plaintext=read.plaintext, **beside
    )
    account.require_encryption()
    return account


def publish(account: BrokerAccount, topic: str, payload: bytes) -> None:
    """Hand one message to a broker with QoS 1; CommonwattError if it does not take it within PATIENCE_S."""
    host, port = account.host_port()
    client = paho.Client(CallbackAPIVersion.VERSION2, clean_session=True)
    client.username_pw_set(account.username, account.password)
    if account.url.startswith("mqtts:"):
        client.tls_set_context(account.tls_context())
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
