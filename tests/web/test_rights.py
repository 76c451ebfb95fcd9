"""Every address with every role: what rights.csv says, and nothing else, is what the server does."""

import csv
import http.client
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.web.conftest import Site
from tests.web.filled import fill
from tests.web.people import session
from web import app
from web.door import COOKIE, Page
from web.identity import logins
from web.roles import Role

TABLE = Path(__file__).with_name("rights.csv")


def table() -> dict[str, dict[str, int]]:
    """The expected status, by page and role."""
    with TABLE.open() as file:
        return {row.pop("name"): {role: int(status) for role, status in row.items()} for row in csv.DictReader(file)}


def test_table_when_pages_come_and_go(living: Site) -> None:
    """Each page stands in it, with a status for every role."""
    names = [page.name for page in app.pages(living.parts)]
    assert sorted(names) == sorted(table())
    assert len(set(names)) == len(names)
    assert all(set(row) == {role.value for role in Role} for row in table().values())


@pytest.mark.parametrize("role", list(Role))
def test_every_page_with_every_role(living: Site, role: Role) -> None:
    """GET, or POST where a page is posted to only: 200 or 303 for those it is for, 403 for the others."""
    expected = table()
    found = {page.name: _ask(living, page, role) for page in app.pages(living.parts)}
    assert found == {name: row[role] for name, row in expected.items()}


@pytest.mark.parametrize("wrong", [{"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}, {}])
def test_form_of_another_site(living: Site, wrong: dict[str, str]) -> None:
    """A post that does not come from a page of this session is refused, whoever the browser is signed in as."""
    cookie = session(living, Role.STEWARD)
    headers = {"cookie": f"{COOKIE}={cookie}", "content-type": "application/x-www-form-urlencoded", **wrong}
    csrf = "" if not wrong else logins.csrf_of(cookie)
    assert _request(living, "POST", "/leave", headers, urlencode({"csrf": csrf})) == 403


def _ask(living: Site, page: Page, role: Role) -> int:
    path = fill(page.path, living)
    headers, csrf = {}, ""
    if role is not Role.ANYBODY:
        cookie = session(living, role)
        headers["cookie"], csrf = f"{COOKIE}={cookie}", logins.csrf_of(cookie)
    if page.get is not None:
        return _request(living, "GET", path, headers)
    headers["content-type"] = "application/x-www-form-urlencoded"
    return _request(living, "POST", path, headers, urlencode({"csrf": csrf}))


def _request(living: Site, method: str, path: str, headers: dict[str, str], body: str = "") -> int:
    connection = http.client.HTTPConnection(living.host, living.port, timeout=20)
    try:
        connection.request(method, path, body=body or None, headers=headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()
