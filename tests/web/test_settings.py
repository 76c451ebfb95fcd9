"""web.toml: a mistake is named with its place, the command line comes first, and the page of settings tells all."""

from pathlib import Path

import pytest

from commonwatt.errors import UserError
from web import settings
from web.settings import FILE, WebSettings

PAGE = Path(__file__).parents[2] / "docs" / "operating" / "settings.md"


def test_page_when_a_setting_is_added_or_changed() -> None:
    """Each setting has its row: name, default and why."""
    rows = PAGE.read_text().splitlines()
    for name, field in WebSettings.model_fields.items():
        default = "none" if field.default in (None, "") else f"`{field.default}`"
        assert f"| `{name}` | {default} | {field.description} |" in rows


def test_settings_when_there_is_no_file(tmp_path: Path) -> None:
    """The defaults."""
    assert settings.load(tmp_path) == WebSettings()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('zone = "Europe/Atlantis"', "zone"),
        ("requests_per_s = 0", "requests_per_s"),
        ('tls_cert = "a.pem"', "go together"),
        ('tls_cert = "a.pem"\ntls_key = "a.pem"\nlocal_ca = "ca"', "either"),
        ("phone_port = 70000", "phone_port"),
        ("colour = 1", "colour"),
        ("zone = ", "not TOML"),
    ],
)
def test_settings_when_there_is_a_mistake(tmp_path: Path, text: str, words: str) -> None:
    """File and place."""
    (tmp_path / FILE).write_text(text)
    with pytest.raises(UserError, match=words) as caught:
        settings.load(tmp_path)
    assert str(tmp_path / FILE) in str(caught.value)


def test_settings_when_the_command_line_says_otherwise(tmp_path: Path) -> None:
    """What is typed counts; another certificate puts the file's aside; paths start where they were written."""
    (tmp_path / FILE).write_text('zone = "Indian/Reunion"\nrequests_per_s = 5\nlocal_ca = "ca"\n')
    read = settings.load(tmp_path)
    assert (str(read.zone), read.requests_per_s, read.local_ca) == ("Indian/Reunion", 5, tmp_path / "ca")
    told = settings.load(tmp_path, {"requests_per_s": 50.0, "tls_cert": Path("/a"), "tls_key": Path("/b")})
    assert (str(told.zone), told.requests_per_s, told.local_ca) == ("Indian/Reunion", 50, None)
    assert (told.tls_cert, told.tls_key) == (Path("/a"), Path("/b"))
    assert settings.load(tmp_path, {"zone": "UTC"}).local_ca == tmp_path / "ca"
