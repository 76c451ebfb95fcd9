"""What `commonwatt device list` shows: the log's devices beside what the evidence knows of them."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from aggregator import schema
from aggregator.commune.directory import CommuneDirectory
from aggregator.intake import heads
from aggregator.private.store import PrivateStore
from aggregator.reading import NothingMeasuredError, reading
from commonwatt.errors import UserError
from commonwatt.evidence_page import names
from commonwatt.i18n import _
from ledger.book.admissions import DeviceAccount
from ledger.book.replay import replay_slots
from ledger.log.published import PublishedLog

LOG = "log"


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """One device. `grade`: whether it signs itself or its gateway does. `latest_s`: time of its latest reading, 0
    before the first; `missing`: blocks that never came."""

    device: bytes
    name: str
    role: str
    status: str
    grade: str
    rated_power_w: int
    blocks: int
    missing: int
    latest_s: int
    is_frozen: bool


def list_devices(directory: Path) -> list[DeviceRow]:
    """Every device of the published log, ascending by id. Reads only, so the aggregator may be running."""
    log = PublishedLog(directory / LOG)
    if not log.root.exists():
        raise UserError(_("there is no published log here"), where=log.root, to_do=_("name a commune's directory"))
    names = PrivateStore(CommuneDirectory(directory).private_db)
    return of(directory, replay_slots(log.slots()).admissions.devices(), names)


def of(
    directory: Path, devices: Iterable[DeviceAccount], names: PrivateStore, *, database_url: str = ""
) -> list[DeviceRow]:
    """The same of some devices, for who follows the log."""
    chains, frozen = _read_chains(directory, database_url)
    rows = []
    for device in devices:
        highest_seq, blocks, latest_s = chains.get(device.device, (-1, 0, 0))
        rows.append(
            DeviceRow(
                device=device.device,
                name=names.name_of(device.device),
                role=device.role.name.lower().replace("_", "-"),
                status=device.status.name.lower(),
                grade=device.grade.name.lower(),
                rated_power_w=device.rated_power_w,
                blocks=blocks,
                missing=highest_seq + 1 - blocks,
                latest_s=latest_s,
                is_frozen=device.device in frozen,
            )
        )
    return rows


def _read_chains(directory: Path, database_url: str) -> tuple[dict[bytes, tuple[int, int, int]], set[bytes]]:
    """Highest seq, number of blocks and latest reading by device; the frozen devices. Empty before the first run."""
    missing: Counter[bytes] = Counter()
    try:
        with reading(directory, database_url) as connection:
            known = heads.load(connection)
            for row in connection.execute(sa.select(schema.gap)):
                missing[row.device] += row.last_seq - row.first_seq + 1
            frozen = set(connection.execute(sa.select(schema.conflict.c.device).distinct()).scalars())
    except NothingMeasuredError:
        return {}, set()
    rows = zip(names(known.device), known.seq.tolist(), known.latest_s.tolist(), strict=True)
    return {device: (seq, seq + 1 - missing[device], latest_s) for device, seq, latest_s in rows}, frozen
