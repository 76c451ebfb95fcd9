"""The gateway's settings: gateway.toml, read once. Relative paths start at the file's own directory."""

from pathlib import Path
from typing import Annotated, Literal, Self

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
    cert_file: Path | None = None
    """Our certificate over mqtts: a broker that no device reaches asks for it."""
    key_file: Path | None = None
    """Its private key."""
    plaintext: bool = False
    """Speak mqtt:// to another machine: everybody on that line can then read the password. You answer for it."""

    def broker_account(self) -> BrokerAccount:
        """The account as the MQTT link takes it."""
        return BrokerAccount(**dict(self))

    def below(self, base: Path) -> Self:
        """With relative paths below `base`."""
        paths = {name: getattr(self, name) for name in ("ca_file", "cert_file", "key_file")}
        return self.model_copy(update={name: base / path for name, path in paths.items() if path})


BusKind = Literal["modbus-tcp", "modbus-rtu", "modbus-rtu-over-tcp", "mbus-serial", "mbus-over-tcp", "tic"]
Parity = Literal["none", "even", "odd"]
TIMEOUT_S = 1.0
SUNSPEC, HEAT, LINKY = "sunspec", "mbus-heat", "linky"
"""Types of meters that need no table: the meter says itself what it has."""
MBUS_UNIT_MAX = 250


class BusSettings(Settings):
    """A cable, or an address in the network, behind which meters are."""

    name: Annotated[str, Field(min_length=1, max_length=64)]
    """What the meters call it."""
    kind: BusKind
    """What is spoken on it, and how it is reached: a serial port of this box, or a converter in the network."""
    serial: str | None = None
    """The port of a modbus-rtu, mbus-serial or tic bus; /dev/serial/by-id/... stays the same when it is replugged."""
    host: str | None = None
    """Where the meter, or the converter before the bus, listens."""
    port: Annotated[int, Field(gt=0, lt=65536)] | None = None
    """Its port; 502 for modbus-tcp if absent."""
    baud: Annotated[int, Field(ge=300, le=921_600)] | None = None
    """As set at the meters; if absent 9600 for modbus-rtu, 2400 for mbus-serial, and what the mode says for tic."""
    parity: Parity | None = None
    """As set at the meters; if absent none for modbus-rtu, even for mbus-serial and tic, where it never differs."""
    stop_bits: Literal[1, 2] = 1
    """As set at the meters."""
    mode: Literal["historique", "standard"] | None = None
    """How the Linky on a tic bus speaks: its display says it (menu "mode TIC")."""
    gap_s: Annotated[float, Field(ge=0, le=10)] = 0.025
    """Silence before a request: some meters and converters lose one that follows too fast."""
    timeout_s: Annotated[float, Field(gt=0, le=60)] = TIMEOUT_S
    """How long a meter may take to answer; converters to RS-485 need a second."""

    @model_validator(mode="after")
    def _reached(self) -> Self:
        is_serial = self.kind in ("modbus-rtu", "mbus-serial", "tic")
        if is_serial and (self.serial is None or self.host or self.port):
            raise ValueError(f"a {self.kind} bus has serial, and neither host nor port")
        if not is_serial and (self.host is None or self.serial or self.baud or self.parity):
            raise ValueError(f"a {self.kind} bus has host, and none of serial, baud and parity")
        if not is_serial and self.port is None and self.kind != "modbus-tcp":
            raise ValueError(f"a {self.kind} bus has a port: the converter's manual says which")
        if (self.kind == "tic") != (self.mode is not None):
            raise ValueError('a tic bus has mode = "historique" or "standard", and no other bus has it')
        return self

    @property
    def place(self) -> str:
        """Where it is, in one word."""
        return self.serial or f"{self.host}:{self.tcp_port}"

    @property
    def tcp_port(self) -> int:
        """Where its converter listens."""
        return self.port or 502

    @property
    def line_baud(self) -> int:
        """The speed of its serial line."""
        if self.kind == "tic":
            return self.baud or {"historique": 1200, "standard": 9600}[self.mode or "standard"]
        return self.baud or {"mbus-serial": 2400}.get(self.kind, 9600)

    @property
    def line_parity(self) -> Parity:
        """The parity of its serial line."""
        return self.parity or ("none" if self.kind == "modbus-rtu" else "even")


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


class ObserveSettings(Settings):
    """Where the health page, /health and /metrics are served."""

    host: str = "127.0.0.1"
    """Who reaches it: this machine alone, or every machine of its networks if empty. It has no password."""
    port: Annotated[int, Field(ge=0, lt=65536)] = 8071
    """The port there."""


class MeterSettings(Settings):
    """One meter, with a key of its own on this gateway."""

    name: Annotated[str, Field(min_length=1, max_length=64)]
    """What people call it, in logs and on the status page."""
    device: Id
    """Its id in the register of the commune."""
    key_file: Path
    """Its signing key, made on the first start: blocks of two meters can never be confused."""
    type: str
    """A table of hardware/meters, for example schneider-iem3155, or sunspec, mbus-heat or linky."""
    bus: str | None = None
    """The name of the bus that it is on; a meter with an address of its own in the network has host instead."""
    host: str | None = None
    """Where a meter that speaks Modbus TCP listens."""
    port: Annotated[int, Field(gt=0, lt=65536)] = 502
    """Modbus TCP's port, of a meter with a host."""
    unit: Annotated[int, Field(ge=0, le=255)] = 1
    """Its address on the bus, as set at the meter."""
    model: Annotated[int, Field(gt=0)] | None = None
    """Of a sunspec device with several energy registers: the number of the model whose energy counts."""
    power_max_kw: Annotated[int, Field(gt=0)] | None = None
    """What it can carry at most, where its type does not say it or transformers stand before it; more is doubted."""

    @model_validator(mode="after")
    def _placed(self) -> Self:
        if (self.bus is None) == (self.host is None):
            raise ValueError("a meter has either the name of its bus or a host")
        if self.model is not None and self.type != SUNSPEC:
            raise ValueError("only a sunspec meter has a model")
        return self


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

    home_assistant: bool = False
    """Whether Home Assistant, at the devices' broker, is told of our own meters and of the operator's requests."""
    updates: UpdateSettings | None = None
    """Updates for devices; none are served if absent."""
    observe: ObserveSettings | None = None
    """The health page for people and metrics for Prometheus; not served if absent."""

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
    meter_timeout_s: Annotated[float, Field(gt=0, le=60)] = TIMEOUT_S
    """How long a meter with a host of its own may take to answer; a bus has its own time-out."""
    meter_backoff_s_min: Annotated[float, Field(gt=0)] = 2.0
    """How long a silent meter is left alone at first, so that it does not hold up its bus."""
    meter_backoff_s_max: Annotated[float, Field(gt=0)] = 300.0
    """How long at most: a meter switched on again is read within this time."""
    meters_dir: Path | None = None
    """More meter tables, looked at before the ones that come with the gateway."""
    bus: tuple[BusSettings, ...] = ()
    """The buses that this gateway reads."""
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
    spool_days_max: Annotated[int, Field(ge=1)] = 400
    """A block without a receipt for so many days of running is dropped and counted; its energy is in later ones."""

    @model_validator(mode="after")
    def _distinct_buses(self) -> Self:
        for what in ("name", "place"):
            values = [getattr(bus, what) for bus in self.bus]
            if len(set(values)) != len(values):
                raise ValueError(f"two buses have the same {what}")
        return self

    @model_validator(mode="after")
    def _distinct_meters(self) -> Self:
        for what in ("name", "device", "key_file"):
            values = [getattr(meter, what) for meter in self.meters]
            if len(set(values)) != len(values):
                raise ValueError(f"two meters have the same {what}")
        places = [(self.bus_of(meter).place, meter.unit) for meter in self.meters]
        if len(set(places)) != len(places):
            raise ValueError("two meters have the same host, port and unit, or the same bus and unit")
        return self

    @model_validator(mode="after")
    def _fitting_meters(self) -> Self:
        linkys = [meter.bus for meter in self.meters if meter.type == LINKY]
        if len(set(linkys)) != len(linkys):
            raise ValueError("a tic bus carries one Linky: each has a dongle of its own")
        for meter in self.meters:
            bus = self.bus_of(meter)
            if mistake := _misfit(meter, bus):
                raise ValueError(f"the meter {meter.name!r} on a {bus.kind} bus: {mistake}")
        return self

    def bus_of(self, meter: MeterSettings) -> BusSettings:
        """The bus of a meter; one with a host has a bus of its own. ValueError if no bus has that name."""
        if meter.host is not None:
            for bus in self.bus:
                if bus.place == f"{meter.host}:{meter.port}":
                    raise ValueError(
                        f"the meter {meter.name!r} is on the bus {bus.name!r}: name the bus, not the host"
                    )
            place = f"{meter.host}:{meter.port}"
            return BusSettings(
                name=place, kind="modbus-tcp", host=meter.host, port=meter.port, timeout_s=self.meter_timeout_s
            )
        for bus in self.bus:
            if bus.name == meter.bus:
                return bus
        raise ValueError(f"the meter {meter.name!r} is on the bus {meter.bus!r}, which is not there")

    @property
    def upstream_account(self) -> Account:
        """The account towards the aggregator."""
        return self.upstream or self.local


def _misfit(meter: MeterSettings, bus: BusSettings) -> str:
    """Why a type of meter cannot be on a kind of bus, or nothing."""
    wanted = {HEAT: ("mbus-serial", "mbus-over-tcp"), LINKY: ("tic",)}
    fitting = wanted.get(meter.type, ("modbus-tcp", "modbus-rtu", "modbus-rtu-over-tcp"))
    if bus.kind not in fitting:
        return f"the type {meter.type!r} is read over {' or '.join(fitting)}"
    if meter.type == HEAT and meter.unit > MBUS_UNIT_MAX:
        return f"a primary address is at most {MBUS_UNIT_MAX}"
    if bus.kind.startswith("modbus-rtu") and not 1 <= meter.unit <= 247:
        return "a unit is 1 to 247"
    return ""


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
            "local": settings.local.below(base),
            "upstream": settings.upstream.below(base) if settings.upstream else None,
            "updates": _updates_below(base, settings.updates),
            "meters_dir": base / settings.meters_dir if settings.meters_dir else None,
            "meters": meters,
        }
    )


def _updates_below(base: Path, updates: UpdateSettings | None) -> UpdateSettings | None:
    return updates.model_copy(update={"directory": base / updates.directory}) if updates else None
