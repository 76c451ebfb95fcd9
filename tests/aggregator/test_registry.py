"""Whom gateways may believe, and when they are told."""

from dataclasses import dataclass, field

import pytest

from aggregator.commune.attributes import SiteFacts
from aggregator.commune.places import Located, Places
from aggregator.commune.registry import Directory, RegistryPublisher
from aggregator.followed_log import FollowedLog
from aggregator.testing import COMMUNE, GATEWAY, GENESIS, ident, key, write_papers
from commonwatt import cose, topics
from commonwatt.errors import StorageError
from commonwatt.registry import Snapshot, Status
from commonwatt.transport import REGISTRY
from ledger import testing as ledger_testing
from ledger.book.kinds import Subject
from ledger.log import tiles
from ledger.log.published import PublishedLog
from ledger.log.tiles import ENTRIES, TileName
from ledger.saved import FILE, Saved, SavedState


@dataclass
class RecordingLink:
    """A connection that remembers what was published; `is_up` and `connects` are the test's to set."""

    is_up: bool = True
    connects: int = 1
    sent: list[tuple[str, bytes, bool]] = field(default_factory=list)

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:
        if self.is_up:
            self.sent.append((topic, payload, retain))
        return self.is_up


def publisher() -> RegistryPublisher:
    return RegistryPublisher(commune=COMMUNE, genesis=GENESIS, key=key("aggregator"))


SOLD = SiteFacts(sells_production="purchase-obligation", sold_permille=600)


def test_the_registry_is_signed_and_retained(works):
    """One message to the gateway, with every device as the log has it."""
    link = RecordingLink()
    publisher().step(link, works.intake.directory)
    ((topic, payload, retain),) = link.sent
    assert topic == topics.of_gateway(COMMUNE, ident(GATEWAY), "registry")
    assert retain
    signed = cose.parse1(payload, size_max=10**6)
    assert signed.is_signed_by(key("aggregator").public_key, cose.external_aad(REGISTRY, GENESIS))
    assert Snapshot.parse(signed.payload) == works.ledger.state.admissions.snapshot(works.ledger.size)


def test_the_registry_is_published_once_per_connection_and_change(works):
    """Nothing while nothing is new; again after a reconnect, and after an entry changed a device."""
    link, publish = RecordingLink(), publisher()
    for _ in range(3):
        publish.step(link, works.intake.directory)
    assert len(link.sent) == 1
    link.connects += 1
    publish.step(link, works.intake.directory)
    assert len(link.sent) == 2
    works.ledger.submit([ledger_testing.status(Subject.DEVICE, "ana-main", Status.REVOKED)])
    publish.step(link, Directory.of(works.ledger.state))
    snapshot = Snapshot.parse(cose.parse1(link.sent[-1][1], size_max=10**6).payload)
    assert snapshot.devices[ident("ana-main")].status is Status.REVOKED


def test_the_registry_waits_for_the_connection(works):
    """What could not be sent is sent when there is somebody to send it to."""
    link, publish = RecordingLink(is_up=False), publisher()
    publish.step(link, works.intake.directory)
    assert link.sent == []
    link.is_up = True
    publish.step(link, works.intake.directory)
    assert len(link.sent) == 1


def test_what_a_site_sells_elsewhere_is_known_to_settlement(works):
    """The roster's declaration reaches every meter of the site, and no other's."""
    located = Located(ident("sun's"), None, None, None, None, SOLD)
    places = Places({located.site: located}, {}, {}, {})
    meters = Directory.of(works.ledger.state, places).meters
    unsold = {name: meters[ident(name)].unsold_permille for name in ("sun-roof", "sun-main", "ana-main")}
    assert unsold == {"sun-roof": 400, "sun-main": 400, "ana-main": 1000}


def spoil(works, place: int) -> None:
    """Another entry stands in the published log."""
    log = PublishedLog(works.directory / "log")
    path = log.root / TileName(ENTRIES, 0, log.unverified_checkpoint().size).path
    entries = tiles.parse_bundle(path.read_bytes())
    entries[place] = b"nothing that anybody would sign"
    path.write_bytes(tiles.encode_bundle(entries))


def test_a_follower_begins_with_what_the_leader_saved(works):
    """It believes the same devices without the entries before it, and hears of what comes after."""
    write_papers(works.directory)
    state = SavedState(works.directory / FILE, ledger_testing.LOG_KEY)
    state.save(Saved(works.ledger.state, works.ledger._tree, works.ledger._signed))
    spoil(works, 3)
    log = FollowedLog(works.directory)
    assert log.directory.snapshot == Directory.of(works.ledger.state).snapshot
    assert not log.step()
    works.ledger.submit([ledger_testing.status(Subject.DEVICE, "ana-main", Status.REVOKED)])
    works.ledger.publish()
    assert log.step()
    assert log.directory.snapshot.devices[ident("ana-main")].status is Status.REVOKED


def test_a_follower_when_nothing_was_saved(works):
    """It reads every entry, and none that breaks a rule goes unseen."""
    write_papers(works.directory)
    log = FollowedLog(works.directory)
    assert log.directory.snapshot == Directory.of(works.ledger.state).snapshot
    spoil(works, 3)
    with pytest.raises(StorageError, match="entry 3 of the published log"):
        FollowedLog(works.directory)


def test_a_directory_when_somebody_is_admitted_later(works):
    """It stays as it was: who came later is in another one, and in that at once."""
    before = Directory.of(works.ledger.state)
    known = set(before.meters)
    works.ledger.submit([ledger_testing.site("new", "ana"), ledger_testing.device("new meter", "new")])
    after = Directory.of(works.ledger.state)
    assert set(before.meters) == known
    assert len(before.keys) == len(before.meters) == len(known)
    assert ident("new meter") not in before.meters
    assert set(after.meters) == {*known, ident("new meter")}
    assert after.meters[ident("new meter")].account == ident("ana")
    assert [meter.device for meter in after.meters.values()] == sorted(after.meters)
