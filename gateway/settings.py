"""The gateway's settings: gateway.toml, read once. Relative paths start at the file's own directory."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from commonwatt import block, topics, transport
from commonwatt.identity import ID_SIZE, KEY_SIZE
from commonwatt.mqtt import RECONNECT_S_MAX, BrokerAccount
from commonwatt.settings import Settings, load
from commonwatt.units import INTERVAL_S

BATCH_OVERHEAD_BYTES = 256
"""Room for a batch's own fields, signature and byte-string heads beside `batch_bytes_max` of blocks."""
BATCH_BYTES_LIMIT = transport.BATCH_SIZE_MAX - BATCH_OVERHEAD_BYTES - 3 * transport.BATCH_BLOCKS_MAX
BLOCK_READINGS_LIMIT = 24
"""Eight registers of 32 bits over 24 readings still fit a block of 1,024 bytes."""

BOARDS_MAX = 16
"""Boards whose updates one gateway keeps."""


def _bytes_of(size: int) -> BeforeValidator:
    def parse(value: object) -> bytes:
        try:
            data = bytes.fromhex(value) if isinstance(value, str) else b""
        except ValueError:
            data = b""
        if len(data) != size:
            raise ValueError(f"write {2 * size} hexadecimal digits")
        return data

    return BeforeValidator(parse)


def _slug(text: str) -> str:
    if not topics.is_slug(text):
        raise ValueError("a commune's slug has a-z first, then a-z, 0-9 and hyphens, at most 31 characters")
    return text


def _divides_interval(step_s: int) -> int:
    if INTERVAL_S % step_s:
        raise ValueError(f"must divide {INTERVAL_S}, because energy is settled per quarter of an hour")
    return step_s


Id = Annotated[bytes, _bytes_of(ID_SIZE)]
PublicKey = Annotated[bytes, _bytes_of(KEY_SIZE)]
Sha256 = Annotated[bytes, _bytes_of(transport.HASH_SIZE)]
Slug = Annotated[str, AfterValidator(_slug)]
Board = Annotated[str, Field(pattern=r"^[a-z0-9_]{1,32}$")]
StepS = Annotated[int, Field(gt=0, le=INTERVAL_S), AfterValidator(_divides_interval)]


class Account(Settings):
    """An account at a broker; broker-config writes its password."""

    url: str
    """mqtt://host:port or mqtts://host:port: one address says host, port and whether TLS is spoken."""
    username: str
    """Who we are there: topic rights hang on it."""
    password: Annotated[str, Field(repr=False)]
    """What proves it; the file should be readable by the gateway alone."""
    ca_file: Path | None = None
    """Whom to believe over mqtts; the system's authorities if absent."""

    def broker_account(self) -> BrokerAccount:
        """The account as the MQTT link takes it."""
        ca_file = str(self.ca_file) if self.ca_file else None
        return BrokerAccount(url=self.url, username=self.username, password=self.password, ca_file=ca_file)


class UpdateSettings(Settings):
    """Updates for devices, fetched where the commune publishes them and served to devices from here."""

    url: Annotated[str, Field(pattern=r"^https?://[^ ]+$")]
    """Where BOARD.update and its image lie: any web server, since the manifest is signed."""
    public_key: PublicKey
    """The commune's update key: what it did not sign is not given to devices."""
    boards: Annotated[tuple[Board, ...], Field(min_length=1, max_length=BOARDS_MAX)]
    """Boards in use here, as the firmware names them: one update of each is kept."""
    directory: Path
    """Where updates are kept, so that devices get them while the line is down."""
    host: str = ""
    """Where devices fetch them; every address of this machine if empty."""
    port: Annotated[int, Field(ge=0, lt=65536)] = 8070
    """The port there; a device's update.url names host and port."""
    every_s: Annotated[float, Field(gt=0)] = 3600.0
    """How often to look for a newer one (protocol time): devices look once a day."""


class MeterSettings(Settings):
    """One meter on a Modbus bus, with a key of its own on this gateway."""

    name: Annotated[str, Field(min_length=1, max_length=64)]
    """What people call it, in logs and on the status page."""
    device: Id
    """Its id in the register of the commune."""
    key_file: Path
    """Its signing key, made on the first start: blocks of two meters can never be confused."""
    type: str
    """A table of hardware/meters, for example schneider-iem3155: which registers mean what."""
    host: str
    """Where the meter, or the converter before its bus, listens."""
    port: Annotated[int, Field(gt=0, lt=65536)] = 502
    """Modbus TCP's port; converters often have another one."""
    unit: Annotated[int, Field(ge=0, le=255)] = 1
    """Its address on the bus, as set at the meter."""


class GatewaySettings(Settings):
    """Everything that differs between two gateways."""

    id: Id
    """This gateway's id: the register, the broker account and the topics name it."""
    commune: Slug
    """The commune's slug: part of the upstream topics."""
    genesis_sha256: Sha256
    """Hash of the genesis entry: batches signed here, and receipts believed here, are of this commune only."""
    aggregator_public_key: PublicKey
    """Whose receipts and registry are believed; without it anyone at the broker could make us drop blocks."""
    command_public_key: PublicKey | None = None
    """Whose commands are passed on to devices; none are without it. The devices check them again."""
    key_file: Path
    """The key that signs batches; made on the first start, never leaves the gateway."""
    spool_file: Path
    """Everything acknowledged and not yet receipted lies here: put it on a disk that survives a power cut."""
    status_file: Path
    """Where people and views look, rewritten about once a second."""
    local: Account
    """The broker that the devices reach."""
    upstream: Account | None = None
    """The broker that the aggregator reaches; the local one if absent."""

    updates: UpdateSettings | None = None
    """Updates for devices; none are served if absent."""

    sign_unsynchronised: bool = False
    """Sign although the kernel calls its clock unsynchronised: a wrong date under a signature stays for good."""
    clock_holdover_s: Annotated[float, Field(ge=0)] = 30 * 86_400.0
    """How long a clock is trusted after it last was synchronised: a village cut off must not stop measuring."""

    step_s: StepS = INTERVAL_S
    """How often meters are read: coarser than a device's steps is enough, since energy is settled per 900 s."""
    late_s_max: Annotated[int, Field(gt=0)] = INTERVAL_S
    """A reading is dated at the start of its step; one taken later than this is not taken at all (civil time)."""
    block_readings: Annotated[int, Field(ge=1, le=BLOCK_READINGS_LIMIT)] = 4
    """Readings of a meter per signed block: more are cheaper, fewer arrive sooner."""
    meter_timeout_s: Annotated[float, Field(gt=0)] = 1.0
    """How long a meter may take to answer; converters to RS-485 need a second."""
    meter_backoff_s_min: Annotated[float, Field(gt=0)] = 2.0
    """How long a silent meter is left alone at first, so that it does not hold up its bus."""
    meter_backoff_s_max: Annotated[float, Field(gt=0)] = 300.0
    """How long at most: a meter switched on again is read within this time."""
    meters_dir: Path | None = None
    """More meter tables, looked at before the ones that come with the gateway."""
    meters: tuple[MeterSettings, ...] = ()
    """The meters that this gateway reads itself."""

    batch_blocks_max: Annotated[int, Field(ge=1, le=transport.BATCH_BLOCKS_MAX)] = 500
    """A batch is closed when it has this many blocks ..."""
    batch_bytes_max: Annotated[int, Field(ge=block.SIGNED_SIZE_MAX, le=BATCH_BYTES_LIMIT)] = 128 * 1024
    """... or this many bytes of blocks, so that one message stays small on a poor line ..."""
    batch_age_s: Annotated[float, Field(ge=0)] = 10.0
    """... or when its oldest block has waited this long (protocol time), so that few blocks do not wait for many."""
    in_flight_max: Annotated[int, Field(ge=1, le=64)] = 4
    """Batches on their way at once: enough to fill a slow line, few enough to sign nothing in vain."""
    resend_s: Annotated[float, Field(gt=0)] = 20.0
    """A batch without a receipt is sent again after this time; a broker's own word is not waited for."""
    reconnect_s_max: Annotated[int, Field(ge=1)] = RECONNECT_S_MAX
    """The longest pause between attempts to reach a broker."""
    spool_mib_max: Annotated[int, Field(ge=1)] = 1024
    """At this size no more device blocks are taken in; they stay in the devices' journals, unacknowledged."""

    @model_validator(mode="after")
    def _distinct_meters(self) -> Self:
        for what in ("name", "device", "key_file"):
            values = [getattr(meter, what) for meter in self.meters]
            if len(set(values)) != len(values):
                raise ValueError(f"two meters have the same {what}")
        places = [(meter.host, meter.port, meter.unit) for meter in self.meters]
        if len(set(places)) != len(places):
            raise ValueError("two meters have the same host, port and unit")
        return self

    @property
    def upstream_account(self) -> Account:
        """The account towards the aggregator."""
        return self.upstream or self.local


def read_settings(path: Path) -> GatewaySettings:
    """Read gateway.toml, its relative paths resolved; UserError lists every mistake."""
    settings = load(GatewaySettings, path)
    base = path.resolve().parent
    meters = tuple(m.model_copy(update={"key_file": base / m.key_file}) for m in settings.meters)
    return settings.model_copy(
        update={
            "key_file": base / settings.key_file,
            "spool_file": base / settings.spool_file,
            "status_file": base / settings.status_file,
            "updates": _updates_below(base, settings.updates),
            "meters_dir": base / settings.meters_dir if settings.meters_dir else None,
            "meters": meters,
        }
    )


def _updates_below(base: Path, updates: UpdateSettings | None) -> UpdateSettings | None:
    return updates.model_copy(update={"directory": base / updates.directory}) if updates else None
