"""Configuration of a broker with an account and topic rights per device: nats-server and mosquitto. Values only.

Rights are what keeps a curious neighbour out of other people's topics, and what makes an unsigned ack believable:
only a gateway may publish it. Both brokers acknowledge a forbidden publish and drop it.
"""

import base64
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from commonwatt.settings import Settings
from commonwatt.topics import (
    ACK,
    ASKED,
    BATCH,
    BLOCK,
    CLAIM,
    COMMAND,
    ENERGY,
    RECEIPT,
    REGISTRY,
    REQUESTS,
    STATE,
    TIME,
    TIME_ANSWER,
    of_device,
    of_gateway,
)
from gateway.settings import Id, Slug

MESSAGE_BYTES_MAX = 8 * 1024 * 1024
"""A registry of 40,000 devices still passes."""
HOME_ASSISTANT = "homeassistant"
AGGREGATOR = "aggregator"
CA, SERVER = "ca", "server"
"""Files of the authority and of the broker, .pem and .key."""
NATS_CONSUMERS = 900
"""Somewhat fewer than nats-server's own limit, because a connection that ends leaves its consumers for a moment."""
PASSWORD_BYTES = 24
_MOSQUITTO_ITERATIONS = 101
"""mosquitto_passwd's own number; the passwords are random, so a slow hash would protect nothing."""


class Roster(Settings):
    """accounts.toml: who gets an account at this broker."""

    commune: Slug
    """Names the upstream topics."""
    aggregator: bool = False
    """Whether the aggregator connects here too, as in a town with one broker."""
    home_assistant: bool = False
    """Whether a Home Assistant may read every meter of this broker: for a home of one's own, not for a town's."""
    gateways: tuple[Id, ...] = ()
    devices: tuple[Id, ...] = ()

    @property
    def wants_certificates(self) -> bool:
        """Whether clients need a certificate beside their password: where no device connects, for those have none."""
        return not self.devices


@dataclass(frozen=True, slots=True)
class Rights:
    """An account and the topic filters (MQTT spelling) it may publish and subscribe to."""

    username: str
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the broker listens and keeps its data. `http_port`: nats-server's monitoring, loopback only. `nats_port`:
    where aggregators pull batches from JetStream; None: they take them over MQTT.

    `name`: what clients call it; the certificate has it. `tls`: the directory of ca.pem, server.pem and server.key;
    None speaks plaintext. `wants_certificates`: clients show theirs, too.
    """

    host: str
    name: str
    port: int
    store_dir: Path
    http_port: int | None = None
    nats_port: int | None = None
    tls: Path | None = None
    wants_certificates: bool = False

    @property
    def url(self) -> str:
        """As clients write it."""
        name = f"[{self.name}]" if ":" in self.name else self.name
        return f"{'mqtts' if self.tls else 'mqtt'}://{name}:{self.port}"

    @property
    def nats_url(self) -> str:
        """Where JetStream is, as aggregators write it."""
        name = f"[{self.name}]" if ":" in self.name else self.name
        return f"{'tls' if self.tls else 'nats'}://{name}:{self.nats_port}"


def rights_of(roster: Roster) -> list[Rights]:
    """Every account: devices reach their own topics only, gateways the devices', the aggregator what is upstream."""
    rights = [_device_rights(device) for device in roster.devices]
    rights += [_gateway_rights(roster.commune, gateway) for gateway in roster.gateways]
    if roster.aggregator:
        rights.append(_aggregator_rights(roster.commune))
    if roster.home_assistant:
        rights.append(_home_assistant_rights())
    return rights


def _device_rights(device: bytes) -> Rights:
    own = tuple(of_device(device, channel) for channel in (BLOCK, TIME, STATE, CLAIM, ENERGY))  # STATE: its will too
    return Rights(
        device.hex(),
        publish=(*own, f"homeassistant/sensor/{device.hex()}/+/config"),
        subscribe=tuple(of_device(device, channel) for channel in (ACK, ASKED, COMMAND, TIME_ANSWER)),
    )


def _gateway_rights(commune: str, gateway: bytes) -> Rights:
    upstream_out = tuple(of_gateway(commune, gateway, channel) for channel in (BATCH, STATE, f"{CLAIM}/+"))
    upstream_in = tuple(
        of_gateway(commune, gateway, channel) for channel in (RECEIPT, REGISTRY, REQUESTS, f"{COMMAND}/+")
    )
    # ENERGY and what announces it: the gateway speaks for the meters that it reads itself.
    to_devices = tuple(of_device("+", channel) for channel in (ACK, ASKED, COMMAND, TIME_ANSWER, ENERGY, STATE))
    of_its_own = (of_device(gateway, REQUESTS), f"homeassistant/binary_sensor/{gateway.hex()}/+/config")
    from_devices = tuple(of_device("+", channel) for channel in (BLOCK, TIME, STATE, CLAIM))
    return Rights(
        gateway.hex(),
        publish=(*to_devices, "homeassistant/sensor/+/+/config", *of_its_own, *upstream_out),
        subscribe=(*from_devices, *upstream_in),
    )


def _aggregator_rights(commune: str) -> Rights:
    return Rights(
        AGGREGATOR,
        publish=tuple(of_gateway(commune, "+", channel) for channel in (RECEIPT, REGISTRY, REQUESTS, f"{COMMAND}/+")),
        subscribe=tuple(of_gateway(commune, "+", channel) for channel in (BATCH, STATE, f"{CLAIM}/+")),
    )


def _home_assistant_rights() -> Rights:
    return Rights(
        HOME_ASSISTANT,
        publish=("homeassistant/status",),
        subscribe=("homeassistant/#", *(of_device("+", channel) for channel in (ENERGY, REQUESTS, STATE))),
    )


def passwords_of(rights: list[Rights], known: Mapping[str, str]) -> dict[str, str]:
    """A password per account: the known one, or a random one of characters that need no quoting anywhere."""
    return {account.username: known.get(account.username) or secrets.token_hex(PASSWORD_BYTES) for account in rights}


def nats_conf(commune: str, rights: list[Rights], passwords: dict[str, str], place: Place) -> str:
    """nats-server's configuration. MQTT topics are subjects there, `/` as `.` and `+` as `*`.

    Without `nats_port` NATS' own port is a free one of loopback: nobody connects to it. MQTT's inner subjects
    ($MQTT.>) need no rights.
    """
    listen = f"{place.host}:{place.nats_port}" if place.nats_port else "127.0.0.1:-1"
    users = "\n".join(_nats_user(commune, account, passwords[account.username], place) for account in rights)
    http = f'http: "127.0.0.1:{place.http_port}"\n' if place.http_port else ""
    return (
        "# Made by `commonwatt gateway broker-config`; holds passwords.\n"
        f'server_name: "commonwatt-{commune}"\n'
        f'listen: "{listen}"\n'
        f"{_nats_tls(place) if place.nats_port else ''}"
        f"{http}"
        f"max_payload: {MESSAGE_BYTES_MAX}\n"
        f'jetstream {{ store_dir: "{place.store_dir}"{_nats_limits(rights)} }}\n'
        f'mqtt {{\n  host: "{place.host}"\n  port: {place.port}\n{_nats_tls(place)}}}\n'
        "accounts {\n  COMMUNE {\n    jetstream: enabled\n    users: [\n"
        f"{users}\n    ]\n  }}\n}}\n"
    )


def _nats_user(commune: str, account: Rights, password: str, place: Place) -> str:
    publish, subscribe = _subjects(account.publish), _subjects(account.subscribe)
    if account.username == AGGREGATOR and place.nats_port:
        stream = f"cw-{commune}-batch"
        publish += [f"$JS.API.STREAM.{verb}.{stream}" for verb in ("INFO", "CREATE")]
        publish += [
            f"$JS.API.CONSUMER.{verb}.{stream}.>" for verb in ("CREATE", "DURABLE.CREATE", "INFO", "MSG.NEXT")
        ]
        publish += [f"$JS.ACK.{stream}.>"]
        subscribe += ["_INBOX.>"]
    return (
        f'      {{ user: "{account.username}", password: "{password}", permissions: {{\n'
        f"        publish: {{ allow: {_allowed(publish)} }}\n"
        f"        subscribe: {{ allow: {_allowed(subscribe)} }}\n"
        f"      }} }}"
    )


def _nats_limits(rights: list[Rights]) -> str:
    """Every subscription is a consumer. nats-server 2.15 allows 1,000; earlier ones have neither limit nor word."""
    subscriptions = sum(len(account.subscribe) for account in rights)
    return "" if subscriptions <= NATS_CONSUMERS else f", limits {{ default_max_consumers: {2 * subscriptions} }}"


def _nats_tls(place: Place) -> str:
    if place.tls is None:
        return ""
    certificate, key, authority = place.tls / f"{SERVER}.pem", place.tls / f"{SERVER}.key", place.tls / f"{CA}.pem"
    files = f'cert_file: "{certificate}", key_file: "{key}", ca_file: "{authority}"'
    return f"  tls {{ {files}, verify: {str(place.wants_certificates).lower()} }}\n"


def mosquitto_conf(directory: Path, place: Place) -> str:
    """mosquitto's configuration; it names the other files of `directory`."""
    return (
        "# Made by `commonwatt gateway broker-config`. Started by root, mosquitto becomes the user mosquitto, who\n"
        "# must then own these files; or add `user` with another name.\n"
        "per_listener_settings false\n"
        "allow_anonymous false\n"
        f"listener {place.port} {place.host}\n"
        f"password_file {directory / 'mosquitto.passwd'}\n"
        f"acl_file {directory / 'mosquitto.acl'}\n"
        f"message_size_limit {MESSAGE_BYTES_MAX}\n"
        f"{_mosquitto_tls(place)}"
        "# Retained registries and states survive a restart; everything else is sent again by its sender.\n"
        "persistence true\n"
        f"persistence_location {place.store_dir}/\n"
    )


def _mosquitto_tls(place: Place) -> str:
    if place.tls is None:
        return ""
    return (
        f"cafile {place.tls / CA}.pem\ncertfile {place.tls / SERVER}.pem\nkeyfile {place.tls / SERVER}.key\n"
        f"require_certificate {str(place.wants_certificates).lower()}\n"
    )


def mosquitto_acl(rights: list[Rights]) -> str:
    """mosquitto's rights: what is not named is forbidden."""
    accounts = []
    for account in rights:
        lines = [f"user {account.username}"]
        lines += [f"topic write {topic}" for topic in account.publish if topic not in account.subscribe]
        lines += [f"topic read {topic}" for topic in account.subscribe if topic not in account.publish]
        lines += [f"topic readwrite {topic}" for topic in account.publish if topic in account.subscribe]
        accounts.append("\n".join(lines))
    return "\n\n".join(accounts) + "\n"


def mosquitto_passwd(passwords: dict[str, str]) -> str:
    """mosquitto's password file: $7$ is PBKDF2-HMAC-SHA512 with 12 bytes of salt."""
    return "".join(f"{name}:{_mosquitto_hash(password)}\n" for name, password in passwords.items())


def passwords_toml(passwords: dict[str, str]) -> str:
    """Every account's password, for handing out."""
    return "".join(f'"{name}" = "{password}"\n' for name, password in passwords.items())


def account_toml(username: str, password: str, place: Place) -> str:
    """One account's own file, to be handed to its holder alone, with the certificates that it names beside it."""
    lines = [f'url = "{place.url}"', f'username = "{username}"', f'password = "{password}"']
    if place.tls is not None:
        lines.append(f'ca_file = "{CA}.pem"')
    if place.wants_certificates:
        lines += [f'cert_file = "{username}.pem"', f'key_file = "{username}.key"']
    if username == AGGREGATOR and place.nats_port:
        lines.append(f'jetstream = "{place.nats_url}"')
    return "\n".join(lines) + "\n"


def _subjects(filters: tuple[str, ...]) -> list[str]:
    subjects = [topic.replace("/", ".").replace("+", "*").replace("#", ">") for topic in filters]
    # "a/#" is "a" as well, and is refused as a whole to whom that is not allowed.
    return subjects + [subject.removesuffix(".>") for subject in subjects if subject.endswith(".>")]


def _allowed(subjects: list[str]) -> str:
    return "[" + ", ".join(f'"{subject}"' for subject in subjects) + "]"


def _mosquitto_hash(password: str) -> str:
    salt = secrets.token_bytes(12)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _MOSQUITTO_ITERATIONS)
    return f"$7${_MOSQUITTO_ITERATIONS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"
