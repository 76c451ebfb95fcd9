"""Every page there is, in a real browser, as one of those who may see it: on a phone in light and at a desk in dark.

With SHOTS=DIR each is left there as a picture, for a person to look at.
"""

import os
from pathlib import Path
from typing import Any

import pytest

from tests.web.conftest import Site
from tests.web.filled import fill
from tests.web.people import DESK, PHONE, session
from tests.web.test_rights import table
from web import app
from web.door import COOKIE
from web.roles import Role

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="pip install axe-playwright-python")

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
FIRST_PAGE_BYTES_MAX = 100_000
"""The first page with all that it brings along is smaller, compressed."""
LOOKS = {"phone": (PHONE, "light", "fr-FR"), "desk": (DESK, "dark", "en-GB")}


@pytest.mark.parametrize("look", list(LOOKS))
@pytest.mark.parametrize("role", list(Role))
def test_pages_when_everyone_is_to_use_them(browser, living: Site, role: Role, look: str) -> None:
    """axe finds nothing against WCAG 2.2 AA, the console stays empty, nothing is wider than the screen, also with
    letters of twice the size."""
    size, scheme, locale = LOOKS[look]
    context = browser.new_context(viewport=size, color_scheme=scheme, locale=locale, service_workers="block")
    if role is not Role.ANYBODY:
        cookie = {"name": COOKIE, "value": session(living, role), "url": living.url}
        context.add_cookies([cookie])
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(f"{page.url}: {message.text}"))
    for name, path in _pages_of(living, role):
        answer = page.goto(living.url + path)
        if "html" not in answer.headers["content-type"]:
            continue  # what modules ask for
        found = axe.Axe().run(page, options={"runOnly": TAGS})
        assert found.violations_count == 0, f"{path}\n{found.generate_report()}"
        assert _is_no_wider(page), f"{path} is wider than the screen"
        _leave_picture(page, f"{role.value}-{name}-{look}")
        page.evaluate("document.documentElement.style.fontSize = '200%'")
        assert _is_no_wider(page), f"{path} is wider than the screen at twice the size"
    expected = ("404", "Service Worker registration blocked by Playwright")
    assert [text for text in complaints if not any(each in text for each in expected)] == []
    context.close()


def _pages_of(living: Site, role: Role) -> list[tuple[str, str]]:
    """Names and addresses of the HTML pages that this role is the first to see; what everybody sees, as nobody."""
    expected, pages = table(), []
    for page in app.pages(living.parts):
        row = expected[page.name]
        is_first = next((each for each in Role if row[each.value] == 200), None) is role
        if page.get is not None and is_first and "." not in page.path:
            pages.append((page.name, fill(page.path, living)))
    return [*pages, ("missing", "/nowhere")] if role is Role.ANYBODY else pages


def _is_no_wider(page: Any) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


def _leave_picture(page: Any, name: str) -> None:
    if folder := os.environ.get("SHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def test_first_page_when_it_is_loaded(browser, living: Site) -> None:
    """With its stylesheet, icon and whatever else it asks for: under 100 kB compressed."""
    context = browser.new_context(viewport=PHONE, service_workers="block")
    page = context.new_page()
    sizes: list[int] = []
    page.on("requestfinished", lambda request: sizes.append(request.sizes()["responseBodySize"]))
    page.goto(living.url, wait_until="networkidle")
    assert 0 < sum(sizes) < FIRST_PAGE_BYTES_MAX
    context.close()
