"""People and places looked up, changed, handed over; refusals first."""

import csv
import json
from pathlib import Path

import pytest

from aggregator import testing
from aggregator.private.store import PrivateStore
from aggregator.testing import TIME_S, commonwatt, ident
from ledger.log.published import PublishedLog


@pytest.fixture
def village(commune: Path) -> Path:
    """Ana, who rents in the Old Town, and what the roster said of both."""
    store = PrivateStore(commune / "private.db")
    store.enrol("merchants", "Bakery", None)
    town = store.enrol("quarters", "Old Town", None)
    store.enrol("quarters", "New Town", None)
    store.enrol("members", "Ana", ident("ana"), {"kind": "tenant", "consent": {"statistics": "2027-12-31"}}, TIME_S)
    store.enrol("sites", "mill", ident("ana's"), {"quarter": town.id.hex(), "installed_wp": 3000}, TIME_S)
    store.save()
    return commune


def size(commune: Path) -> int:
    return PublishedLog(commune / "log").unverified_checkpoint().size


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("people", "show", "Anna"), "nobody is called 'Anna'"),
        (("people", "set", "mill", "kind=owner"), "nobody is called 'mill'"),
        (("people", "set", "Ana", "kind=king"), "kind"),
        (("people", "set", "Ana", "kind"), "'kind' is not FIELD=VALUE"),
        (("people", "set", "Ana", "shoe_size=42"), "shoe_size"),
        (("people", "set", "Ana", "consent.marketing=2027-01-01"), "consent"),
        (("people", "set", "Ana", "consent.statistics=soon"), "consent"),
        (("people", "set", "Bakery", "kind=owner"), "nothing further is known of a merchant"),
        (("places", "set", "mill", "quarter=Nowhere"), "sites.mill.quarter"),
        (("places", "set", "mill", "installed_wp=-1"), "installed_wp"),
        (("places", "show", "Ana"), "nobody is called 'Ana'"),
        (("people", "import", "nothing.csv"), "cannot be read"),
    ],
)
def test_command_when_it_cannot_be(village, words, what):
    """A sentence; nothing is changed and nothing logged."""
    before, logged = (village / "private.db").read_bytes(), size(village)
    group, verb, *rest = words
    code, _, errors = commonwatt(group, verb, village, *rest)
    assert code == 2
    assert what in errors
    assert ((village / "private.db").read_bytes(), size(village)) == (before, logged)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("members,Ana,,kind", "line 2 has not 5 columns"),
        ("members,Anna,,kind,owner", "nobody of members is called 'Anna'"),
        ("gnomes,Ana,,kind,owner", "nobody of gnomes is called 'Ana'"),
        ("members,Ana,,kind,king", "member Ana: kind"),
    ],
)
def test_import_when_one_line_is_wrong(village, line, what):
    """None of the lines is taken."""
    (village / "people.csv").write_text(f"table,name,id,field,value\n{line}\nsites,mill,,tilt_deg,30\n")
    code, _, errors = commonwatt("people", "import", village, village / "people.csv")
    assert code == 2
    assert what in errors
    assert "tilt_deg" not in PrivateStore(village / "private.db").attributes(ident("ana's"))


def test_list_when_asked(village):
    """Everybody with kind and consents' last days; every place with what is known of it."""
    text = commonwatt("people", "list", village)[1]
    assert f"{ident('ana').hex()}  tenant             statistics until 2027-12-31  Ana\n" in text
    assert "merchant           –  Bakery" in text
    assert "site         mill  installed_wp=3000  quarter=Old Town\n" in commonwatt("places", "list", village)[1]


def test_set_when_something_is_new(village):
    """The words are checked, dated and kept; the log gets a commitment, once."""
    before = size(village)
    words = ("kind=owner", "consent.statistics=", "consent.comparison=2026-06-30")
    code, text, errors = commonwatt("people", "set", village, "Ana", *words)
    assert (code, errors) == (0, "")
    assert "what is known of Ana has changed" in text
    assert size(village) == before + 1
    assert PrivateStore(village / "private.db").attributes(ident("ana")) == {
        "consent": {"comparison": "2026-06-30"},
        "kind": "owner",
    }
    assert commonwatt("people", "set", village, "Ana", *words)[1] == "That was known.\n"
    shown = commonwatt("people", "show", village, ident("ana").hex())[1]
    assert [line.split()[0] for line in shown.splitlines()] == [ident("ana").hex(), "consent.comparison", "kind",
                                                                "since", "since"]  # fmt: skip
    assert commonwatt("places", "set", village, "mill", "quarter=New Town", "installed_wp=")[0] == 0
    assert "site         mill  quarter=New Town\n" in commonwatt("places", "list", village)[1]


def test_export_when_imported_again(village):
    """The steward's file says everything; given back, it changes nothing; changed, it does."""
    out = village / "people.csv"
    assert commonwatt("people", "export", village, out)[0] == 0
    assert out.stat().st_mode & 0o777 == 0o600
    rows = list(csv.reader(out.read_text().splitlines()))
    assert ["sites", "mill", ident("ana's").hex(), "quarter", "Old Town"] in rows
    assert commonwatt("people", "import", village, out)[1] == ""
    out.write_text(out.read_text().replace("Old Town\n", "New Town\n"))
    assert commonwatt("people", "import", village, out)[1].endswith("  mill\n")
    store = PrivateStore(village / "private.db")
    assert store.name_of(bytes.fromhex(store.attributes(ident("ana's"))["quarter"])) == "New Town"


def test_export_when_a_member_asks(works):
    """Facts, their story with the salts, devices, registers and earnings: hers, and nobody else's."""
    testing.write_papers(works.directory)
    works.deliver(works.meters["ana-main"].sign(TIME_S, [(0, 0), (40, 0)]))
    works.close_until(TIME_S + 900)
    store = PrivateStore(works.directory / "private.db")
    store.enrol("members", "Ana", ident("ana"), {"kind": "tenant"}, TIME_S)
    store.enrol("sites", "mill", ident("ana's"))
    store.enrol("sites", "farm", ident("ben's"))
    store.save()
    out = works.directory / "ana"
    code, text, errors = commonwatt("people", "export", works.directory, out, "--member", "Ana")
    assert (code, errors) == (0, "")
    files = {Path(line).name: Path(line).read_text() for line in text.splitlines()}
    meter, plug = ident("ana-main").hex(), ident("ana-plug").hex()
    names = {"facts.csv", "history.json", "devices.csv", "account.json", "earned.csv"}
    assert files.keys() == names | {f"readings-{meter}.csv", f"readings-{plug}.csv"}
    assert files[f"readings-{meter}.csv"].splitlines()[1:] == [
        f"{TIME_S},2024-07-15T00:00:00+00:00,0,0",
        f"{TIME_S + 900},2024-07-15T00:15:00+00:00,40,0",
    ]
    assert {row["name"] for row in json.loads(files["history.json"])} == {"Ana", "mill"}
    assert json.loads(files["account.json"])["account"] == ident("ana").hex()
    assert not any("ben" in text or "farm" in text for text in files.values())
