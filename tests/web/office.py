"""What waits for the offices of the living town, so that their pages have something to show."""

import hashlib
import http.client
import json
import sqlite3
from urllib.parse import urlencode

from aggregator.testing import POLICY, TIME_S, ident, key
from commonwatt import cose
from commonwatt.refusal import Hold
from tests.web.conftest import Site
from tests.web.people import session
from web.door import COOKIE
from web.drafts.signing import read_entry
from web.identity import logins, newcomers
from web.roles import Role
from web.spelling import base64url, unbase64

HELD = ("home06-main", TIME_S + 40 * 900, 6000)
"""Device, beginning and energy of a span that waits in the living town."""


def a_newcomer(living: Site, name: str = "Noor") -> str:
    """Somebody who took up an invitation; their login, in hexadecimal."""
    with living.parts.store.transaction() as connection:
        who = logins.add(connection, subject=ident(name), name=name, email=None, now_s=int(living.parts.wall.now_s()))
        if all(row.login.id != who.id for row in newcomers.waiting(connection)):
            newcomers.add(connection, who.id, key(name).public_key, is_merchant=False)
    return who.id.hex()


def a_held_span(living: Site) -> str:
    """A quarter of an hour above what its meter carries, as the aggregator would keep it."""
    device, start_s, energy_wh = HELD
    row = (ident(device), start_s, start_s + 900, int(Hold.ABOVE_RATING), energy_wh, start_s + 7200)
    with sqlite3.connect(living.directory / "aggregator.db") as database:
        database.execute(
            "INSERT OR IGNORE INTO held (device, start_s, end_s, reason, energy_wh, closing_s) VALUES (?,?,?,?,?,?)",
            row,
        )
    database.close()
    return f"{ident(device).hex()[:8]}@{start_s}"


def a_trial(living: Site, rate_mc: int = 150) -> str:
    """Rules that somebody proposed: a neighbour's energy earns less. Their hash."""
    text = POLICY.text.replace("version = 1", "version = 2").replace("= 200", f"= {rate_mc}")
    where = posted(living, "/policy/propose", wants_json=False, text=text)
    assert where[0] == 303, where[1]
    return hashlib.sha256(text.encode()).hexdigest()


def posted(
    living: Site, path: str, role: Role = Role.STEWARD, *, wants_json: bool = True, **fields: str
) -> tuple[int, str]:
    """A form that somebody in a role sends, as our modules do it, or as a browser without them; status and answer."""
    cookie = session(living, role)
    headers = {"cookie": f"{COOKIE}={cookie}", "accept-language": "en"}
    headers["content-type"] = "application/x-www-form-urlencoded"
    headers["accept"] = "application/json" if wants_json else "text/html"
    body = urlencode({"csrf": logins.csrf_of(cookie), **fields})
    connection = http.client.HTTPConnection(living.host, living.port, timeout=20)
    try:
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def seen(living: Site, path: str, role: Role = Role.STEWARD) -> str:
    """A page as somebody in a role reads it, in English."""
    answer = living.get(path, cookie=f"{COOKIE}={session(living, role)}", accept_language="en")
    assert answer.status == 200, answer.text
    return answer.text


def signed_at(living: Site, path: str, role: Role = Role.STEWARD, **fields: str) -> tuple[list[str], str]:
    """What an office's browser does (static/wallet/sign.js): signs what comes back until nothing does. The kinds of
    entry, and the page at the end."""
    kinds: list[str] = []
    genesis, signer = living.parts.facts.genesis, key(role.value)
    status, said = posted(living, path, role, **fields)
    while status == 200 and "payload" in json.loads(said):
        told = json.loads(said)
        kinds.append(told["kind"])
        payload = unbase64(told["payload"])
        if told["approve"]:
            signed = read_entry(payload).approve(signer, genesis)
        else:
            signed = cose.sign1(payload, signer, cose.external_aad(told["kind"], genesis))
        status, said = posted(living, path, role, **fields, signed=base64url(signed))
    assert status == 200, said
    return kinds, json.loads(said)["next"]
