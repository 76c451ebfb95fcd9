"""All that a commune has of a member, as files to hand over: names and facts with their story, devices, registers,
what was earned, and the entries of the account. CSV and JSON, UTF-8."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from aggregator import numbers, schema
from aggregator.commune import called
from aggregator.people import facts
from aggregator.private.person import Person
from aggregator.private.store import PrivateStore
from aggregator.settling import claim_pages, history
from commonwatt import files
from commonwatt.errors import StorageError
from commonwatt.quantities import EXPORT, IMPORT
from commonwatt.units import INT64_MAX
from ledger.book.admissions import DeviceAccount
from ledger.book.body import AdmitSite
from ledger.book.state import State

REGISTERS = (IMPORT, EXPORT)


def write_member(
    out: Path, store: PrivateStore, member: Person, state: State, connection: sa.Connection | None
) -> list[Path]:
    """Write the files into `out`; their paths. `connection`: the aggregator's database; None: there is none."""
    sites = [
        person
        for person in store.people("sites")
        if (row := state.admissions.by_id.get(person.id))
        and isinstance(row.admission, AdmitSite)
        and row.admission.member == member.id
    ]
    own = {site.id for site in sites}
    devices = [device for device in state.admissions.devices() if device.site in own]
    written = [
        write_csv(out / "facts.csv", [facts.COLUMNS, *facts.rows(store, [member, *sites])]),
        _write(out / "history.json", json.dumps(_story(store, [member, *sites]), indent=1, ensure_ascii=False)),
        write_csv(out / "devices.csv", [_DEVICE_COLUMNS, *(_device(store, device) for device in devices)]),
        _write(out / "account.json", json.dumps(_account(state, member), indent=1)),
    ]
    if connection is not None:
        for device in devices:
            path = out / f"readings-{device.device.hex()}.csv"
            written.append(write_csv(path, [_READING_COLUMNS, *_readings(connection, device.device)]))
        written.append(write_csv(out / "earned.csv", [_CLAIM_COLUMNS, *_claims(connection, member.id)]))
    return written


def write_csv(path: Path, rows: Iterable[Sequence[object]]) -> Path:
    """Write a whole file of lines, readable by its owner only."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return _write(path, text.getvalue())


_DEVICE_COLUMNS = ["device", "name", "site", "role", "status", "rated_power_w", "grade", "public_key"]
_READING_COLUMNS = ["time_s", "time", *(f"{quantity.name}_wh" for quantity in REGISTERS)]
_CLAIM_COLUMNS = ["device", "start_s", "end_s", "source", "revision", "energy_wh", "amount_mc"]


def _story(store: PrivateStore, people: Iterable[Person]) -> list[dict[str, object]]:
    """Everything known since when, with the salts that open the log's commitments."""
    return [
        {
            "table": person.table,
            "name": person.name,
            "id": person.id.hex(),
            "salt": person.salt.hex(),
            "commitment": person.commitment.hex(),
            "records": [
                {
                    "since": datetime.fromtimestamp(record.at_s, UTC).isoformat(),
                    "attributes": record.read(),
                    "salt": record.salt.hex(),
                    "place": record.place,
                }
                for record in store.records(person.id)
            ],
        }
        for person in people
    ]


def _device(store: PrivateStore, device: DeviceAccount) -> list[object]:
    names = [called.name_of(store, device.device), store.name_of(device.site)]
    role, status, grade = (value.name.lower() for value in (device.role, device.status, device.grade))
    return [device.device.hex(), *names, role, status, device.rated_power_w, grade, device.public_key.hex()]


def _account(state: State, member: Person) -> dict[str, object]:
    found = state.admissions.account(member.id)
    wallet = found[0].wallet.hex() if found else None
    status = found[1].name.lower() if found else None
    return {
        "account": member.id.hex(),
        "wallet": wallet,
        "status": status,
        "balance_mc": state.book.balance_mc(member.id) if found else 0,
    }


def _readings(connection: sa.Connection, device: bytes) -> Iterable[list[object]]:
    last_s = connection.scalar(sa.select(sa.func.max(schema.closing.c.end_s))) or 0
    for time_s, registers_wh in sorted(history.readings(connection, device, 0, last_s).items()):
        values = [registers_wh.get(quantity.number, "") for quantity in REGISTERS]
        yield [time_s, datetime.fromtimestamp(time_s, UTC).isoformat(), *values]


def _claims(connection: sa.Connection, account: bytes) -> Iterable[list[object]]:
    claims, known = claim_pages.read(connection, 0, INT64_MAX), numbers.of(connection)
    mine = claims.where(claims.account == known.find(numbers.octets([account]))[0])
    for claim, amount_mc in sorted(
        zip(mine.claims(known), mine.amount_mc.tolist(), strict=True),
        key=lambda row: (row[0].start_s, row[0].device, row[0].source),
    ):
        place = [claim.device.hex(), claim.start_s, claim.end_s, int(claim.source), claim.revision]
        yield [*place, claim.energy_wh, amount_mc]
    table = schema.corrected
    taken_back = sa.select(table).where(table.c.account == account).order_by(table.c.start_s, table.c.revision)
    for row in connection.execute(taken_back):
        place = [row.device.hex(), row.start_s, row.end_s, row.source, row.revision]
        yield [*place, row.energy_wh, row.amount_mc]


def _write(path: Path, text: str) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.replace(path, text.encode(), mode=0o600)
    except OSError as error:
        raise StorageError(f"cannot be written: {error.strerror}", where=path, to_do="make room") from error
    return path
