"""The pages in a real browser: Debian's chromium, a phone and a desk, light and dark, at twice the size."""

import pytest

from tests.web.conftest import Site

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="pip install axe-playwright-python")

PAGES = ["/", "/log", "/verify", "/data", "/nowhere"]
PHONE, DESK = {"width": 360, "height": 740}, {"width": 1280, "height": 900}
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_pages_when_everyone_is_to_use_them(browser, site: Site, size, scheme) -> None:
    """axe finds nothing against WCAG 2.2 AA, the console stays empty, and nothing is wider than the screen."""
    context = browser.new_context(viewport=size, color_scheme=scheme, locale="fr-FR")
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    for path in PAGES:
        page.goto(site.url + path)
        found = axe.Axe().run(page, options={"runOnly": TAGS})
        assert found.violations_count == 0, found.generate_report()
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path
    assert [text for text in complaints if "404" not in text] == []
    context.close()


def test_page_at_twice_the_size(browser, site: Site) -> None:
    """Letters of twice the size on a phone: still no scrolling to the side."""
    context = browser.new_context(viewport=PHONE, locale="en-GB")
    page = context.new_page()
    for path in PAGES:
        page.goto(site.url + path)
        page.evaluate("document.documentElement.style.fontSize = '200%'")
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path
    context.close()


def test_pages_by_keyboard(browser, site: Site) -> None:
    """The first stop skips to the content; then come the pages, each seen when it is reached."""
    context = browser.new_context(viewport=DESK, locale="en-GB")
    page = context.new_page()
    page.goto(site.url)
    stops = []
    for _stop in range(7):
        page.keyboard.press("Tab")
        stops.append(page.evaluate("document.activeElement.textContent.trim()"))
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
    assert stops[0] == "Skip to the content"
    assert stops[2:7] == ["Sign in", "The town", "The log", "Check a proof", "Open data"]
    page.get_by_role("link", name="Français").click()
    assert page.locator("html").get_attribute("lang") == "fr"
    page.goto(site.url + "/log")
    assert page.locator("html").get_attribute("lang") == "fr", "the choice is remembered"
    context.close()
