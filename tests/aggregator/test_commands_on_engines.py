"""Every command that looks opens the engine that aggregator.toml names, and says the same of the same commune."""

from pathlib import Path

import pytest

from aggregator import settings, testing
from aggregator.reading import NothingMeasuredError, reading
from aggregator.testing import TIME_S, commonwatt, ident
from commonwatt.errors import UserError
from ledger.book.mint import is_leaf
from ledger.log.published import PublishedLog
from ledger.proof import file
from ledger.proof.file import Opening
from tests.aggregator.conftest import Works, open_works

DAY_S = 86_400
DAY = "2024-07-15"
HOLD = f"{ident('sun-roof').hex()[:8]}@{TIME_S}"
COMMANDS = {
    "holds list": ["holds", "list", "DIR"],
    "holds why": ["holds", "why", "DIR", HOLD],
    "device list": ["device", "list", "DIR"],
    "policy replay": ["policy", "replay", "DIR", "DIR/policy.toml", "--json"],
    "savings show": ["savings", "show", "DIR"],
    "statistics": ["statistics", "DIR", "--from", DAY, "--zone", "UTC", "--json"],
    "impact": ["impact", "DIR", "--from", DAY, "--to", DAY, "--zone", "UTC"],
    "evidence delete": ["evidence", "delete", "DIR", ident("ana").hex()],
}


def measured(directory: Path) -> Works:
    """A day and an hour of the quarter, a span held, a block missing, a device with two histories; stopped."""
    works = open_works(directory)
    works.clock.civil_s = TIME_S + 2 * DAY_S
    roof, ana, ben = (works.meters[name] for name in ("sun-roof", "ana-main", "ben-main"))
    works.deliver(*roof.sign_each(TIME_S, [(0,), (3000,), (3100,), (3200,), (3300,)]))
    works.deliver(*ana.sign_each(TIME_S, [(70 * index, 0) for index in range(90)]))
    first, _missing, last = ben.sign_each(TIME_S, [(0, 0), (100, 0), (200, 0), (300, 0)])
    again = testing.meters()["ben-main"].sign(TIME_S, [(0, 0), (99, 0)])
    works.deliver(first, last, again)
    works.close_until(TIME_S + DAY_S + 3600)
    testing.write_papers(directory)
    works.database.close()
    works.ledger.close()
    return works


def test_commands_say_the_same_on_both_engines(tmp_path, postgres_url):
    """Word for word, and each says something of the day; the last one deletes from the one it was told."""
    told: dict[str, dict[str, str]] = {}
    for name in ("sqlite", "postgres"):
        directory = tmp_path / name
        directory.mkdir()
        if name == "postgres":
            (directory / settings.FILE).write_text(f'database = "{postgres_url}"\n')
        measured(directory)
        for command, words in COMMANDS.items():
            code, text, errors = commonwatt(*(word.replace("DIR", str(directory)) for word in words))
            told.setdefault(command, {})[name] = f"{code} {text}{errors}".replace(str(directory), "DIR")
        assert (directory / settings.DATABASE).exists() == (name == "sqlite")
    assert {command: text["sqlite"] for command, text in told.items()} == {
        command: text["postgres"] for command, text in told.items()
    }
    assert HOLD in told["holds list"]["postgres"]
    assert "rated power" in told["holds why"]["postgres"]
    assert told["evidence delete"]["postgres"].startswith("0 89 blocks")
    assert [command for command, text in told.items() if not text["postgres"].startswith("0 ")] == []


def test_a_mint_is_proven_from_either_engine(tmp_path, postgres_url):
    """The lines and blocks behind a mint come from a file or a server, and open down to the signed reading."""
    for name in ("sqlite", "postgres"):
        directory = tmp_path / name
        directory.mkdir()
        url = f"sqlite:///{directory / settings.DATABASE}" if name == "sqlite" else postgres_url
        (directory / settings.FILE).write_text(f'database = "{url}"\n')
        measured(directory)
        entries = list(PublishedLog(directory / "log").entries())
        index = next(place for place, data in enumerate(entries) if is_leaf(data))
        proof = directory / "mint.proof"
        words = ("ledger", "prove", directory, index, "--line", 0, "--database", url, "--out", proof)
        code, _text, errors = commonwatt(*words)
        assert (code, errors) == (0, ""), errors
        assert isinstance(file.parse(proof.read_bytes()).opening, Opening)
    code, _text, errors = commonwatt(*words[:-4], "--database", "postgresql://u:secret@127.0.0.1:9/d", "--out", proof)
    assert (code, "secret" in errors) == (2, False)
    assert "cannot read the aggregator's database" in errors


def test_reading_when_there_is_nothing_to_read(tmp_path, postgres_url):
    """A sentence with the place and no password, the same on both; nothing is made, nothing can be written."""
    with pytest.raises(NothingMeasuredError, match=r"aggregator.db.*nothing was measured"), reading(tmp_path):
        pass
    (tmp_path / settings.FILE).write_text(f'database = "{postgres_url}"\n')
    with pytest.raises(NothingMeasuredError, match="nothing was measured"), reading(tmp_path):
        pass
    (tmp_path / settings.FILE).write_text('database = "postgresql://u:secret@127.0.0.1:9/d"\n')
    with pytest.raises(UserError, match="cannot be read") as error, reading(tmp_path):
        pass
    assert "secret" not in str(error.value)
    (tmp_path / settings.FILE).write_text('database = "oracle://u:secret@h/d"\n')
    with pytest.raises(UserError, match="cannot lie there"), reading(tmp_path):
        pass


@pytest.mark.engines("sqlite", "postgres")
def test_reading_cannot_write(works):
    """Whoever looks changes nothing, even by mistake."""
    with pytest.raises(UserError, match="cannot be read"), reading(works.directory) as connection:
        connection.exec_driver_sql("DELETE FROM closing")
