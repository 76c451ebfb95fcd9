"""Passwords for a Grafana and an InfluxDB that are set up anew: made here, one file each, never a default."""

import secrets
from pathlib import Path

from commonwatt import files
from commonwatt.grafana.source import BUCKET

PASSWORD_BYTES = 24
WRITER, READER = "writer", "reader"
"""InfluxDB's two accounts beside its administrator's: the aggregator's, and Grafana's."""
PASSWORDS = ("grafana_admin_password", "influx_admin_password", "influx_write_password", "influx_read_password")


def make(directory: Path, *, influx_url: str) -> list[Path]:
    """Write what is not there yet and return it; what is there stays. OSError if it cannot be written.

    Only its owner may enter the directory. The files can be read by everybody who is handed one: a container
    gets a file, not the directory, and runs as nobody whom this machine knows.
    """
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    directory.chmod(0o700)
    made = [path for name in PASSWORDS if _write(path := directory / name, secrets.token_hex(PASSWORD_BYTES))]
    for name, account in (("influx.toml", WRITER), ("influx-read.toml", READER)):
        password = (directory / f"influx_{'write' if account == WRITER else 'read'}_password").read_text()
        content = (
            f"# Made by `commonwatt dashboards secrets`: InfluxDB 1.8 and newer, account and password as a token.\n"
            f'url = "{influx_url}"\norg = "commonwatt"\nbucket = "{BUCKET}"\ntoken = "{account}:{password}"\n'
        )
        if _write(path := directory / name, content):
            made.append(path)
    return made


def _write(path: Path, content: str) -> bool:
    """Write a file that is not there; whether it was not."""
    if path.exists():
        return False
    files.replace(path, content.encode(), mode=0o644)
    return True
