"""What a browser keeps: the service worker, the page that stands in for others, and what it needs to be installed."""

import hashlib
import json
from functools import cache
from pathlib import Path

from starlette.responses import JSONResponse, Response

from commonwatt.i18n import _
from web.door import Page
from web.facts import Facts
from web.looks import HERE, Looks
from web.roles import EVERYBODY
from web.visitor import Ask

STATIC = HERE / "static"
WORKER = STATIC / "sw.js"
GREEN, PAPER = "#17603b", "#fbfaf6"


class OfflinePages:
    """Routes of this room."""

    def __init__(self, looks: Looks, facts: Facts) -> None:
        self._looks, self._facts = looks, facts

    def pages(self) -> list[Page]:
        """Every address."""
        return [
            Page("worker", "/sw.js", EVERYBODY, get=self.worker),
            Page("offline", "/offline", EVERYBODY, get=self.offline),
            Page("manifest", "/manifest.webmanifest", EVERYBODY, get=self.manifest),
        ]

    def worker(self, _ask: Ask) -> Response:
        """static/sw.js with what it keeps: another version of any file makes it another worker."""
        return Response(_worker(), media_type="text/javascript", headers={"Cache-Control": "no-cache"})

    def offline(self, ask: Ask) -> Response:
        """Instead of a page that was not kept."""
        return self._looks.answer(ask, "offline.html", lambda _words: {})

    def manifest(self, _ask: Ask) -> Response:
        """W3C application manifest, in the reader's language."""
        return JSONResponse(
            {
                "id": "/",
                "name": self._facts.title,
                "short_name": self._facts.title[:12],
                "start_url": "/welcome",
                "scope": "/",
                "display": "standalone",
                "background_color": PAPER,
                "theme_color": GREEN,
                "icons": [*_icons("icon", "any"), *_icons("maskable", "maskable")],
                "shortcuts": [
                    {"name": _("Pay"), "url": "/pay", "icons": _icons("icon", "any")[:1]},
                    {"name": _("Till"), "url": "/till", "icons": _icons("icon", "any")[:1]},
                ],
            },
            media_type="application/manifest+json",
            headers={"Vary": "Accept-Language, Cookie"},
        )


def _icons(name: str, purpose: str) -> list[dict[str, str]]:
    known = {"type": "image/png", "purpose": purpose}
    return [{"src": f"/static/icons/{name}-{side}.png", "sizes": f"{side}x{side}", **known} for side in (192, 512)]


@cache
def _worker() -> str:
    files = sorted(path for path in STATIC.rglob("*") if path.is_file() and path != WORKER)
    kept = {"version": _digest(files), "files": [f"/static/{path.relative_to(STATIC).as_posix()}" for path in files]}
    return f"self.SHELL = {json.dumps(kept)};\n{WORKER.read_text()}"


def _digest(files: list[Path]) -> str:
    """Of their names and contents."""
    whole = hashlib.sha256()
    for path in files:
        whole.update(f"{path.name}\n".encode() + hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()[:16]
