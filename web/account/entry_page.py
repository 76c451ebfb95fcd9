"""Everything about one entry of an account, in plain words."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from starlette.exceptions import HTTPException

from aggregator.policy.explain import explain
from aggregator.policy.rules import Policy
from commonwatt.i18n import _
from ledger.book import entry
from ledger.book.body import PaymentRequest, Redeem, TopUp, Transfer
from ledger.book.entry import Entry, SignedEntry
from ledger.book.units import Unit, holder_of
from web.account import movements, sentences
from web.account.behind import Line
from web.account.movements import Movement
from web.account.proofs import Form
from web.account.reader import AccountReader, Lines
from web.account.sentences import Known
from web.book.books import Books
from web.book.followed import FollowedBook
from web.book.index import Row
from web.looks import Words
from web.public.town import Head
from web.units import unit_name


class EntryPage:
    """What the page of a movement shows, and the one that is printed."""

    def __init__(self, reader: AccountReader, books: Books) -> None:
        self._reader, self._books = reader, books

    def check(self, holder: bytes, place: int) -> None:
        """404 unless the entry concerns the holder and was not erased: nobody learns what concerns others."""
        with self._books.now() as book:
            if not 0 <= place < book.size or book.index.row(holder, place) is None or not book.entry(place):
                raise HTTPException(404)

    def values(self, holder: bytes, place: int, head: Head, words: Words) -> dict[str, Any]:
        """For its template."""
        back_mc: list[int] = []

        def choose(book: FollowedBook) -> Sequence[Row]:
            row = book.index.row(holder, place)
            assert row is not None, "it was checked"
            back_mc.append(_back_mc(book, place))
            return [row]

        seen = self._reader.see(holder, choose, lines=Lines.ALL)
        (movement,) = seen.movements
        (group,) = movements.together([movement], self._reader.zone)
        known, unit = seen.known, movement.row.unit
        named = "" if unit is Unit.ENERGY else unit_name(known.unit_names, unit)
        policy = known.policies.get(place)
        return {
            "place": place,
            "title": sentences.title(movement, known),
            "why": sentences.why(group, words, known),
            "amount_mc": movement.row.amount_mc,
            "amount": words.signed(movement.row.amount_mc),
            "unit_name": named or words.credits_after(movement.row.amount_mc),
            "facts_told": _facts(movement, policy, words, known),
            "back": sentences.amount(words, known, unit, back_mc[0]) if back_mc[0] else "",
            "lines": [_line(line, group.day, words, known) for line in known.lines.get(place, ())],
            "is_corrected": any(line.energy_wh < 0 for line in known.lines.get(place, ())),
            "rules": explain(policy).splitlines() if policy is not None else [],
            "log": _log(place, head, words),
        }


def _facts(movement: Movement, policy: Policy | None, words: Words, known: Known) -> list[tuple[str, str]]:
    """What there is to know of it, by name."""
    said = movement.said
    leaf = movement.mint
    if leaf is not None:
        gross_mc = leaf.amount_mc + leaf.association_mc
        rows = [
            (_("When it was measured"), words.between(leaf.window_start_s, leaf.window_end_s)),
            (_("Energy"), words.kwh(leaf.energy_wh)),
            (_("Credits made of it"), words.exact(gross_mc)),
            (_("Of these, to the association"), words.exact(leaf.association_mc)),
        ]
        if policy is not None:
            rule = _("{name}, version {version}").format(name=policy.rules.name, version=policy.rules.version)
            rows.append((_("By the rules"), rule))
        return rows
    if not isinstance(said, Entry):
        return []
    rows = [(_("Signed"), words.moment(said.time_s))]
    body = movement.earlier[-1].body if movement.earlier else said.body
    if isinstance(body, Transfer | PaymentRequest):
        who = {"payer": body.payer, "payee": body.payee}
        told = {
            key: _("you") if holder_of(account) == known.holder else known.name(account)
            for key, account in who.items()
        }
        rows += [(_("From"), told["payer"]), (_("To"), told["payee"])]
        rows += [(_("For what"), body.memo)] if body.memo else []
    if isinstance(body, TopUp | Redeem):
        rows += [(_("Euros"), f"{words.exact(body.paid_cents * 10)} €"), (_("Reference"), body.reference)]
    return rows


def _line(line: Line, day: date, words: Words, known: Known) -> dict[str, str]:
    return {
        "when": words.between(line.start_s, line.end_s, on=day),
        "meter": known.meter(line.device),
        "energy": words.kwh(line.energy_wh),
        "amount": words.exact(line.gross_mc),
    }


def _log(place: int, head: Head, words: Words) -> list[tuple[str, str]]:
    """Where it stands, and who has seen it."""
    rows = [
        (_("Place in the log"), _("{place} of {size}").format(place=words.count(place), size=words.count(head.size))),
        (_("Newest head"), head.root),
    ]
    if head.witnesses is None:
        return [*rows, (_("Witnesses"), _("None are asked for here."))]
    seen = [name for name, entries in head.witnesses.entries.items() if entries > place]
    is_enough = head.witnesses.cosigned_entries > place
    told = _("{names}: enough of them.") if is_enough else _("{names}: not enough yet; look again in a minute.")
    return [*rows, (_("Witnesses who have seen it"), told.format(names=", ".join(seen) or _("none")))]


def _back_mc(book: FollowedBook, place: int) -> int:
    """How much of a payment was taken back since, as far as the ledger remembers."""
    parsed = entry.parse(book.entry(place))
    moved = book.state.payment(parsed.entry.id) if isinstance(parsed, SignedEntry) else None
    return 0 if moved is None else abs(moved.postings[0].amount_mc) - moved.left_mc


def paper(form: Form | None) -> str:
    """What the code on a printed page encloses."""
    match form:
        case Form.LONG:
            return _("The code holds the whole proof, down to the meter’s signatures.")
        case Form.SHORT:
            return _("The code holds the proof with one of the lines, down to the meter’s signature.")
        case Form.CLOSED:
            return _("The code holds the proof that this entry is in the log.")
        case None:
            return _("The proof is too large for a code: keep the file.")
