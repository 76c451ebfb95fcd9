"""The public pages in a real browser: by keyboard, in the language that was chosen."""

from tests.web.conftest import Site
from tests.web.people import DESK


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
