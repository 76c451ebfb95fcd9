"""`make dashboards`: write every dashboard, what provisions a Grafana, and the rules for Prometheus into built/."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from commonwatt.i18n import LANGUAGES, speaking
from dashboards import commune, fleet, home, minting, operator, provisioning
from dashboards.board import to_json

BUILT = Path(__file__).parent / "built"


def files() -> dict[str, str]:
    """Everything that is built: text by path under BUILT."""
    boards = dict(_dashboards())
    panel_ids = {
        (board["uid"], panel["title"]): panel["id"] for board in boards.values() for panel in board["panels"]
    }
    texts = {name: json.dumps(board, indent=1, ensure_ascii=False) + "\n" for name, board in boards.items()}
    return {**texts, **provisioning.files(panel_ids)}


def _dashboards() -> Iterator[tuple[str, dict[str, Any]]]:
    with speaking("en"):
        for name, board in (("operator", operator.board()), ("fleet", fleet.board()), ("minting", minting.board())):
            yield f"dashboards/operators/{name}.json", to_json(board)
    for language in LANGUAGES:
        with speaking(language):
            yield f"dashboards/public/commune-{language}.json", to_json(commune.board(language))
            yield f"dashboards/home/home-{language}.json", to_json(home.board(language))


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
