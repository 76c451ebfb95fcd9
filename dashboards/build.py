"""`make dashboards`: write every dashboard, what provisions a Grafana, and the rules for Prometheus into built/."""

import json
from collections.abc import Iterator
from pathlib import Path

from commonwatt.i18n import LANGUAGES, speaking
from dashboards import commune, fleet, home, minting, operator
from dashboards.board import to_json

BUILT = Path(__file__).parent / "built"


def files() -> dict[str, str]:
    """Everything that is built: text by path under BUILT."""
    return dict(_dashboards())


def _dashboards() -> Iterator[tuple[str, str]]:
    with speaking("en"):
        for name, board in (("operator", operator.board()), ("fleet", fleet.board()), ("minting", minting.board())):
            yield _dashboard("operators", name, to_json(board))
    for language in LANGUAGES:
        with speaking(language):
            yield _dashboard("public", f"commune-{language}", to_json(commune.board(language)))
            yield _dashboard("home", f"home-{language}", to_json(home.board(language)))


def _dashboard(folder: str, name: str, told: object) -> tuple[str, str]:
    return f"dashboards/{folder}/{name}.json", json.dumps(told, indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    """Write what has changed and remove what is built no more."""
    built = {BUILT / name: text for name, text in files().items()}
    for file in BUILT.rglob("*.*"):
        if file not in built:
            file.unlink()
    for file, text in built.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
