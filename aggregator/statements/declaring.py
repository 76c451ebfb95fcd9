"""Declaring and confirming values: from the words of a form or a CSV file to statements, and what waits for a second
person. Reads the published log, so what waits may be asked while the aggregator runs."""

import csv
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from aggregator.commune.directory import CommuneDirectory
from aggregator.commune.enacted import entries_from, stated_of
from aggregator.earning.local_time import start_of
from aggregator.policy.rules import Policy, Rules
from aggregator.private.store import PrivateStore
from aggregator.statements import papers
from aggregator.statements.signers import Signers
from aggregator.statements.statement import Statement, Topic
from aggregator.statements.values import Stated
from commonwatt.errors import UserError
from commonwatt.i18n import _
from commonwatt.units import parse_credits
from ledger.app import LOG
from ledger.book.replay import replay_slots
from ledger.log.published import PublishedLog

COLUMNS = ("member", "kind", "amount", "on", "text", "attach")
ROWS_MAX = 500
ID_DIGITS = 8


@dataclass(frozen=True, slots=True)
class Words:
    """A declaration as somebody writes it. `amount`: in units, three decimals at most; `on`: a local day."""

    member: str
    kind: str
    amount: str
    on: str
    text: str
    attachments: tuple[Path, ...]


def read_csv(path: Path) -> list[Words]:
    """The rows of a CSV file with the columns member, kind, amount, on, text, attach (files beside it, separated by
    semicolons); UserError names the line of a mistake."""
    try:
        return parse_csv(path.read_bytes(), path)
    except OSError as error:
        raise UserError(_("cannot be read: {error}").format(error=error), where=path) from error


def parse_csv(data: bytes, path: Path) -> list[Words]:
    """The same from the bytes of the file at `path`."""
    try:
        rows = csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""))
        if set(rows.fieldnames or ()) != set(COLUMNS):
            raise UserError(_("the first line does not name the columns"), where=path, to_do=",".join(COLUMNS))
        found = [_row(row, f"{path}: {_('line {line}').format(line=rows.line_num)}", path.parent) for row in rows]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(_("cannot be read: {error}").format(error=error), where=path) from error
    if not 0 < len(found) <= ROWS_MAX:
        raise UserError(_("a file has 1 to {count} rows").format(count=ROWS_MAX), where=path)
    return found


def statements(directory: Path, words: Sequence[Words], *, where: object) -> list[Statement]:
    """What the words say, their papers kept; UserError names the first row with a mistake; nothing is kept then."""
    rules = Policy.load(CommuneDirectory(directory).policy_toml).rules
    store = PrivateStore(CommuneDirectory(directory).private_db)
    drafts = [_draft(row, rules, store, f"{where} {number}") for number, row in enumerate(words, 1)]
    return [
        Statement(
            *(draft.topic, draft.what, draft.subject, draft.start_s, draft.end_s, draft.number),
            digest=papers.keep(directory, row.text, row.attachments),
        )
        for draft, row in zip(drafts, words, strict=True)
    ]


def stated_in(directory: Path) -> list[Stated]:
    """Every statement of the published log whose signer might speak there."""
    log = PublishedLog(directory / LOG)
    signers = Signers(replay_slots(log.slots()))
    found = (stated_of(place, signed, signers) for place, _data, signed in entries_from(log, 0))
    return [item for item in found if item is not None]


def name_of(statement: Statement) -> str:
    """How people name a declaration: the beginning of its hash."""
    return hashlib.sha256(statement.encode()).hexdigest()[:ID_DIGITS]


def find(waiting: Sequence[Stated], name: str) -> Stated:
    """The declaration that somebody means; UserError if none that waits is called so."""
    found = [item for item in waiting if name_of(item.statement) == name.lower()]
    if len(found) != 1:
        raise UserError(
            _("no declaration that waits is called {name!r}").format(name=name),
            to_do=_("copy the first column of commonwatt declared list"),
        )
    return found[0]


def _row(row: dict[str, str | None], where: str, folder: Path) -> Words:
    if None in row.values() or None in row:
        raise UserError(_("has more or fewer fields than the first line"), where=where)
    fields = {key: (value or "").strip() for key, value in row.items()}
    files = tuple(folder / name.strip() for name in fields["attach"].split(";") if name.strip())
    member, kind, amount, on, text = (fields[name] for name in COLUMNS[:-1])
    return Words(member, kind, amount, on, text, files)


def _draft(words: Words, rules: Rules, store: PrivateStore, where: str) -> Statement:
    person = store.find("members", words.member) or store.find("merchants", words.member)
    if person is None:
        raise UserError(_("nobody is called {name!r}").format(name=words.member), where=where)
    for path in words.attachments:
        if not path.is_file():
            raise UserError(_("there is no such file"), where=f"{where}: {path}")
    return draft(words, rules, person.id, where=where)


def draft(words: Words, rules: Rules, account: bytes, *, where: object = None) -> Statement:
    """What is said of an account, without its papers. UserError for what is no value of the policy."""
    if words.kind not in rules.declared:
        raise UserError(
            _("the policy in force pays for no {kind!r}").format(kind=words.kind),
            where=where,
            to_do=", ".join(rules.declared) or _("have a policy voted for that has [declared.…]"),
        )
    try:
        number, day = parse_credits(words.amount), date.fromisoformat(words.on)
    except ValueError as error:
        raise UserError(
            _("an amount is written 2.5 and a day 2026-12-01: {error}").format(error=error), where=where
        ) from error
    if number == 0 or not words.text.strip():
        raise UserError(_("a value has an amount and words that say what was done"), where=where)
    start_s, end_s = (start_of(on, rules.zone) for on in (day, day + timedelta(days=1)))
    return Statement(Topic.VALUE, words.kind, account, start_s, end_s, number)
