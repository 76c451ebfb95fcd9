"""What `commonwatt operator announce` and `requests` do, in a commune's directory or over HTTP."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from aggregator.asking import judging
from aggregator.asking.client import RequestServer, Shown
from aggregator.commune.directory import CommuneDirectory
from aggregator.earning.local_time import time_of
from aggregator.policy.rules import Policy
from aggregator.private.store import PrivateStore
from aggregator.statements import declaring, requests
from aggregator.statements.enter import enter
from aggregator.statements.statement import Statement
from commonwatt.clock import CivilClock
from commonwatt.errors import UserError
from commonwatt.i18n import _
from commonwatt.identity import load_key


@dataclass(frozen=True, slots=True)
class Wanted:
    """A request as somebody writes it. `feeder`: by name, "" for everybody."""

    start: str
    end: str
    kind: str
    feeder: str

    def statement(self, zone: ZoneInfo, feeder: bytes | None) -> Statement:
        """What is to be signed; UserError names the mistake."""
        if self.feeder and feeder is None:
            raise UserError(_("no feeder is called {name!r}").format(name=self.feeder), where="--feeder")
        start_s, end_s = time_of(self.start, zone, where="--from"), time_of(self.end, zone, where="--to")
        return requests.request(start_s, end_s, self.kind, feeder)


@dataclass(frozen=True, slots=True)
class Announced:
    """A request as it is printed. `zone`: the commune's clock; `whom`: a feeder's name, or everybody."""

    start_s: int
    end_s: int
    is_peak: bool
    whom: str
    zone: ZoneInfo


def announce_in(directory: Path, wanted: Wanted, *, key: Path | None, steward: Path | None, clock: str) -> int:
    """Enter a request that the operator and a steward sign; its place."""
    place = CommuneDirectory(directory)
    line = PrivateStore(place.private_db).find("feeders", wanted.feeder) if wanted.feeder else None
    statement = wanted.statement(Policy.load(place.policy_toml).rules.zone, None if line is None else line.id)
    now_s = CivilClock.parse(clock).now_s()
    standing = [row for row in requests.of(declaring.stated_in(directory)) if row.end_s > now_s]
    refused = judging.check(statement, standing, () if line is None else (line.id,), now_s)
    if refused is not None:
        raise UserError(judging.sentence(refused[0]), where=f"{wanted.start} – {wanted.end}")
    (at,) = enter(
        directory,
        [statement],
        [bytes.fromhex(place.load().association)],
        key=load_key(key or place.key_file("operator")),
        steward=load_key(steward or place.key_file("steward")),
        time_s=int(now_s),
    )
    return at


def announce_to(url: str, wanted: Wanted, *, key: Path, genesis: str) -> Shown:
    """Sign a request and send it to a commune's server; what it says of it."""
    signer, server = load_key(key), RequestServer(url)
    told = server.told()
    if told.genesis_sha256 != genesis.lower():
        raise UserError(
            _("the server is of {commune}, whose genesis hash is another: {hash}").format(
                commune=told.commune, hash=told.genesis_sha256
            ),
            where=url,
            to_do=_("nothing was signed; see which of the two is wrong"),
        )
    feeder = told.feeders.get(wanted.feeder)
    statement = wanted.statement(told.zone, None if feeder is None else bytes.fromhex(feeder))
    return server.announce(statement.sign(signer, bytes.fromhex(told.genesis_sha256)))


def announced_in(directory: Path) -> Iterator[Announced]:
    """Every request of a commune's published log."""
    place = CommuneDirectory(directory)
    zone = Policy.load(place.policy_toml).rules.zone
    names = PrivateStore(place.private_db)
    for row in requests.of(declaring.stated_in(directory)):
        whom = names.name_of(row.feeder) if row.feeder is not None else _("everybody")
        yield Announced(row.start_s, row.end_s, row.is_peak, whom, zone)


def announced_to(url: str) -> Iterator[Announced]:
    """Every request that a commune's server shows."""
    told = RequestServer(url).told(with_past=True)
    for row in told.requests:
        whom = row.feeder_name or row.feeder or _("everybody")
        yield Announced(row.start_s, row.end_s, row.kind == "peak", whom, told.zone)
