"""docs/operating/settings.md tells every setting of the gateway, in the words of the code."""

import ast
import inspect
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from commonwatt.settings import Settings
from gateway import settings
from gateway.meters.meter import fleet
from gateway.settings import (
    Account,
    BusSettings,
    GatewaySettings,
    MeterSettings,
    ObserveSettings,
    UpdateSettings,
    read_settings,
)
from tests.gateway.test_settings import GOOD

PAGE = Path(__file__).parents[2] / "docs" / "operating" / "settings.md"
MODELS = (GatewaySettings, Account, UpdateSettings, ObserveSettings, BusSettings, MeterSettings)


def test_page_when_a_setting_is_added_or_changed() -> None:
    """Each setting has its row: name, default and why."""
    assert [row for row in rows() if row not in PAGE.read_text().splitlines()] == []


def rows() -> Iterator[str]:
    """The rows that the page must have."""
    tree = ast.parse(inspect.getsource(settings))
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    for model in MODELS:
        body = classes[model.__name__].body
        for field, why in pairwise(body):
            if isinstance(field, ast.AnnAssign) and isinstance(why, ast.Expr):
                name = ast.unparse(field.target)
                yield f"| `{name}` | {_default(model, name)} | {ast.literal_eval(why.value)} |"


def _default(model: type[Settings], name: str) -> str:
    info = model.model_fields[name]
    if info.is_required():
        return "required"
    return "none" if info.default in (None, (), "") else f"`{str(info.default).lower()}`"


def test_page_when_its_example_is_used(tmp_path: Path) -> None:
    """The buses and meters of the example are read as they stand."""
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (tmp_path / "gateway.toml").write_text(GOOD + example)
    own = read_settings(tmp_path / "gateway.toml")
    assert [type(meter.type).__name__ for meter in fleet(own)] == ["MeterTable", "SunSpec", "Heat", "Linky"]
