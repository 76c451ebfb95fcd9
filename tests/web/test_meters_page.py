"""Meters: a claim admitted at its member's home, a meter replaced; what the ledger lacks is signed one by one."""

import pytest

from aggregator.enrolment.judge import Label
from aggregator.enrolment.store import enrolling
from aggregator.testing import TIME_S, ident, key
from commonwatt.device_claim import read_claim
from commonwatt.registry import Status
from tests.aggregator.test_enrolment import CODE_SHA256, DEVICE, claim
from tests.web.conftest import Site
from tests.web.office import posted, seen, signed_at


def _claimed(living: Site) -> str:
    """A meter that home09's member set up with the code of its label; its id."""
    terms = {"expires_s": 2**40, "role": "submeter", "rated_power_w": 3680, "grade": "device"}
    label = Label(DEVICE, key("new-meter").public_key, CODE_SHA256, **terms)  # type: ignore[arg-type]
    with enrolling(living.directory / "private.db") as store:
        store.expect([label])
        assert store.keep(read_claim(claim(account=ident("home09")), DEVICE), ident("cupboard"), TIME_S)
    return DEVICE.hex()


def test_claim_admitted_at_a_further_home(living: Site) -> None:
    """Counted at the desk, shown with its member; home and meter are signed one after the other; then nothing waits,
    and the same form again signs nothing."""
    device = _claimed(living)
    assert "to admit" in seen(living, "/desk")
    assert "home09" in seen(living, "/meters")
    fields = {"new_site": "home09's shed", "name": "the shed's plug"}
    assert signed_at(living, f"/meters/claims/{device}", **fields) == (["admit", "admit"], f"/meters/{device}")
    assert "No new meter waits" in seen(living, "/meters")
    page = seen(living, f"/meters/{device}")
    assert "the shed&#39;s plug" in page
    assert "home09&#39;s shed" in page
    assert signed_at(living, f"/meters/claims/{device}", **fields) == ([], f"/meters/{device}")


def test_meter_that_is_replaced(living: Site) -> None:
    """The new one is admitted at the same home in the same role, the old one revoked; both say so."""
    old, new = ident("home10-main").hex(), ident("home10-new")
    fields = {"device": new.hex(), "public_key": key("home10-new").public_key.hex(), "name": "home10's new meter"}
    assert signed_at(living, f"/meters/{old}/replace", **fields) == (["admit", "status"], f"/meters/{new.hex()}")
    with living.parts.books.now() as book:
        subjects = book.state.admissions.by_id
        assert subjects[bytes.fromhex(old)].status is Status.REVOKED
        assert subjects[new].status is Status.ACTIVE
    assert "home10&#39;s" in seen(living, f"/meters/{new.hex()}")


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"device": "nothing", "name": "x"}, "not what stands on the label: nothing"),
        ({"device": "ab" * 16, "name": "x"}, "Nobody made the label"),
        ({"device": "ab" * 16, "public_key": "ab", "name": "x"}, "not what stands on the label: ab"),
        ({"device": "ab" * 16}, "Something is missing"),
    ],
)
def test_replacement_that_cannot_be(living: Site, fields: dict[str, str], says: str) -> None:
    """A sentence; the old meter goes on."""
    status, said = posted(living, f"/meters/{ident('home11-main').hex()}/replace", **fields)
    assert (status, says in said) == (422, True), said
    with living.parts.books.now() as book:
        assert book.state.admissions.by_id[ident("home11-main")].status is Status.ACTIVE
