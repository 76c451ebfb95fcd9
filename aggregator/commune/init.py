"""Founds a commune: keys, constitution, policy, and the first checkpoint of its log."""

import json
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from aggregator.commune.directory import ASSOCIATION_KEY, LOG_KEY, ROLES, CommuneDirectory
from aggregator.policy.rules import Policy
from aggregator.private.store import PrivateStore
from commonwatt.errors import FormatError, UserError
from commonwatt.i18n import _
from commonwatt.identity import SigningKey, new_id, save_key
from commonwatt.topics import is_slug
from ledger import app
from ledger.book import body, entry, found
from ledger.book.genesis import UnitTerms
from ledger.log.note import Signer
from ledger.sequencer import Refused, Sequencer

POLICY_SIGNERS = ("steward", "townhall")
"""The rules of the money need two of three (ledger/book/found.py)."""


def slug_of(title: str) -> str:
    """A commune's short name in topics and entries: "Saint-Étienne" → "saint-etienne"; UserError if none is left."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:31].rstrip("-")
    if not is_slug(slug):
        raise UserError(_("{title!r} leaves no short name").format(title=title), to_do=_("begin it with a letter"))
    return slug


def found_commune(
    root: Path,
    *,
    title: str,
    origin: str,
    policy: Policy,
    is_trial: bool,
    time_s: int,
    units: Sequence[UnitTerms] = (),
) -> None:
    """Make a commune in `root`. UserError if there is one already; nothing of it is overwritten."""
    place = CommuneDirectory(root)
    slug = slug_of(title)
    units = sorted(units, key=lambda row: row.unit)
    if not body.is_origin(origin):
        raise UserError(_("not a log's name: {origin!r}").format(origin=origin), to_do=_("no spaces, no plus signs"))
    if place.commune_toml.exists() or place.key_file(LOG_KEY).parent.exists():
        raise UserError(
            _("a commune is here already"), where=root, to_do=_("name another directory; nothing was changed")
        )
    keys = {role: SigningKey.generate() for role in (*ROLES, LOG_KEY, ASSOCIATION_KEY)}
    association = new_id()
    try:
        constitution = found.genesis_body(
            commune=slug,
            trial=is_trial,
            origin=origin,
            association=association,
            roles={role: [keys[role].public_key] for role in ROLES},
            units=units,
        )
    except FormatError as error:
        raise UserError(_("not a constitution: {error}").format(error=error)) from error
    for role, key in keys.items():
        save_key(place.key_file(role), key)
    genesis = found.genesis_entry(constitution, entry_id=new_id(), time_s=time_s, steward=keys["steward"])
    place.policy_toml.write_text(policy.text, encoding="utf-8")
    with app.create_ledger(root, genesis, keys[LOG_KEY]) as ledger:
        _enact(ledger, policy, keys, time_s)
        _admit_association(ledger, place, association, keys, time_s)
        ledger.publish()
    # Last, so that a directory with a commune.toml is a whole commune.
    place.commune_toml.write_text(
        _commune_toml(slug, title, origin, genesis, is_trial, association, keys), encoding="utf-8"
    )


def _enact(ledger: Sequencer, policy: Policy, keys: dict[str, SigningKey], time_s: int) -> None:
    genesis = ledger.state.genesis_sha256
    rules = body.Policy(policy.sha256, policy.rules.version, policy.text)
    enacted = entry.Entry(new_id(), time_s, rules)
    first, *others = POLICY_SIGNERS
    enacted = enacted.with_approvals(*(enacted.approve(keys[role], genesis) for role in others))
    _submit(ledger, enacted.sign(keys[first], genesis))


def _admit_association(
    ledger: Sequencer, place: CommuneDirectory, association: bytes, keys: dict[str, SigningKey], time_s: int
) -> None:
    store = PrivateStore(place.private_db)
    row = store.enrol("associations", "association", association)
    store.save()
    wallet = keys[ASSOCIATION_KEY].public_key
    admission = body.AdmitAccount(body.Subject.ASSOCIATION, association, wallet, row.commitment)
    _submit(ledger, entry.Entry(new_id(), time_s, admission).sign(keys["steward"], ledger.state.genesis_sha256))


def _submit(ledger: Sequencer, signed: bytes) -> None:
    (answer,) = ledger.submit([signed])
    assert not isinstance(answer, Refused), f"our own entry is refused: {answer.refusal.label}"


def _commune_toml(
    slug: str,
    title: str,
    origin: str,
    genesis: bytes,
    is_trial: bool,
    association: bytes,
    keys: dict[str, SigningKey],
) -> str:
    lines = {
        "name": slug,
        "title": title,
        "origin": origin,
        "genesis_sha256": entry.sha256(genesis).hex(),
        "log_vkey": str(Signer(origin, keys[LOG_KEY]).verifier),
        "trial": is_trial,
        "association": association.hex(),
        "aggregator_public_key": keys["aggregator"].public_key.hex(),
    }
    head = "# The public facts of this commune, written by commonwatt init. Nothing here is secret.\n"
    return head + "".join(f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in lines.items())
