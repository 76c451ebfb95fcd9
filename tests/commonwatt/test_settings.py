"""Settings name the file and the place of a mistake; the status file is whole whenever it is read."""

from pathlib import Path

import pytest

from commonwatt import status
from commonwatt.errors import UserError
from commonwatt.settings import Settings, load


class Lamp(Settings):
    name: str
    power_w: int


def test_settings_when_good(tmp_path: Path) -> None:
    """A file becomes its frozen model."""
    path = tmp_path / "lamp.toml"
    path.write_text('name = "kitchen"\npower_w = 7\n')
    lamp = load(Lamp, path)
    assert (lamp.name, lamp.power_w) == ("kitchen", 7)
    with pytest.raises(ValueError, match="frozen"):
        lamp.power_w = 8


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('name = "kitchen"\npower_w = "bright"\n', "power_w"),
        ('name = "kitchen"\n', "power_w"),
        ('name = "kitchen"\npower_w = 7\ncolour = "red"\n', "colour"),
        ('name = "kitchen\n', "line 1"),
    ],
)
def test_settings_when_there_is_a_mistake(tmp_path: Path, text: str, words: str) -> None:
    """A wrong value, a missing or unknown key and a slip in TOML are named with their place."""
    path = tmp_path / "lamp.toml"
    path.write_text(text)
    with pytest.raises(UserError, match=words) as caught:
        load(Lamp, path)
    assert str(path) in str(caught.value)


def test_status_when_written_again(tmp_path: Path) -> None:
    """A reader finds nothing before the first state, and afterwards the newest."""
    path = tmp_path / "status.json"
    assert status.read(path) == {}
    status.write(path, {"blocks": 1})
    status.write(path, {"blocks": 2})
    assert status.read(path) == {"blocks": 2}
    assert [file.name for file in tmp_path.iterdir()] == ["status.json"]
