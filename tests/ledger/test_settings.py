"""docs/operating/ledger-store.md tells every setting of ledger.toml, in the words of the code."""

from pathlib import Path

import pytest

from commonwatt.errors import UserError
from ledger import settings
from ledger.settings import LedgerSettings

PAGE = Path(__file__).parents[2] / "docs" / "operating" / "ledger-store.md"


def test_page_when_a_setting_is_added_or_changed() -> None:
    """Each setting has its row: name, default and why."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    for name, info in LedgerSettings.model_fields.items():
        assert f"| `{name}` | none | {info.description} |" in lines


def test_settings_when_wrong(tmp_path: Path) -> None:
    """No file means defaults; a mistake is named with file and place, before any database is touched."""
    assert settings.load(tmp_path) == LedgerSettings()
    (tmp_path / "ledger.toml").write_text('stores = "x"\n')
    with pytest.raises(UserError, match=r"ledger.toml: stores: Extra inputs"):
        settings.load(tmp_path)
    (tmp_path / "ledger.toml").write_text("store = \n")
    with pytest.raises(UserError, match="is not TOML"):
        settings.load(tmp_path)
    (tmp_path / "ledger.toml").write_text('store = "oracle://x/y"\n')
    with pytest.raises(UserError, match="write sqlite:///PATH or postgresql"):
        settings.load(tmp_path).engine(tmp_path)
