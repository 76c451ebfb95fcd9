"""Writes a broker's configuration to disk: what broker.py says, and certificates that last from run to run."""

import datetime
import os
from pathlib import Path

from commonwatt.errors import UserError
from commonwatt.settings import read_toml
from gateway.devices import broker
from gateway.devices.broker import CA, SERVER, Place, Roster
from gateway.devices.certificates import Authority, Pair, read_pair

PASSWORDS = "passwords.toml"
"""Kept from run to run: a roster that grows changes nobody's password."""
ACCOUNTS = "accounts"


def write_broker(roster: Roster, directory: Path, place: Place, now: datetime.datetime) -> int:
    """Write everything, each file readable by its owner only; the number of accounts. UserError: what cannot be."""
    rights = broker.rights_of(roster)
    known = read_toml(directory / PASSWORDS) if (directory / PASSWORDS).exists() else {}
    passwords = broker.passwords_of(rights, known)
    accounts = {f"{ACCOUNTS}/{name}.toml": broker.account_toml(name, pw, place) for name, pw in passwords.items()}
    files = {
        "nats.conf": broker.nats_conf(roster.commune, rights, passwords, place),
        "mosquitto.conf": broker.mosquitto_conf(directory, place),
        "mosquitto.acl": broker.mosquitto_acl(rights),
        "mosquitto.passwd": broker.mosquitto_passwd(passwords),
        PASSWORDS: broker.passwords_toml(passwords),
        **accounts,
    }
    certificates = _certificates(roster, list(passwords), directory, place, now) if place.tls else {}
    _write_private(directory, {name: text.encode() for name, text in files.items()} | certificates)
    place.store_dir.mkdir(parents=True, exist_ok=True)
    return len(rights)


def _certificates(
    roster: Roster, names: list[str], directory: Path, place: Place, now: datetime.datetime
) -> dict[str, bytes]:
    """The authority's files, the broker's, and those of each account, kept where they are still good."""
    known = read_pair(directory / f"{CA}.pem", directory / f"{CA}.key")
    authority = Authority(known, now) if known else Authority.make(f"Commonwatt {roster.commune}", now)
    server = read_pair(directory / f"{SERVER}.pem", directory / f"{SERVER}.key")
    if server is None or not authority.is_ours_for(server, [place.name]):
        server = authority.for_server([place.name])
    files = {**_files(CA, authority.pair), **_files(SERVER, server)}
    files[f"{ACCOUNTS}/{CA}.pem"] = authority.pair.certificate
    for name in names if place.wants_certificates else ():
        path = f"{ACCOUNTS}/{name}"
        pair = read_pair(directory / f"{path}.pem", directory / f"{path}.key")
        if pair is None or not authority.is_ours_for(pair, [name]):
            pair = authority.for_client(name)
        files |= _files(path, pair)
    return files


def _files(path: str, pair: Pair) -> dict[str, bytes]:
    return {f"{path}.pem": pair.certificate, f"{path}.key": pair.key}


def _write_private(directory: Path, files: dict[str, bytes]) -> None:
    """Write the files readable by their owner only; UserError if the directory cannot be written."""
    try:
        for name, content in files.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "wb") as file:
                os.fchmod(handle, 0o600)
                file.write(content)
    except OSError as error:
        raise UserError(f"cannot be written: {error.strerror}", where=directory) from error
