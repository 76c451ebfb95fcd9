"""What entries of the log tell their parties: whom, of which kind, in which words. Pure."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from aggregator.commune.enacted import review_of
from aggregator.statements import statement as statements
from aggregator.statements.statement import PEAK, Topic
from commonwatt.i18n import _
from ledger.book.body import Hold, PaymentAnswer, PaymentRequest, Release, Reverse, SetStatus, TopUp, Transfer
from ledger.book.entry import SignedEntry
from ledger.book.units import Unit, holder_of
from web.book.moved import Find, moved
from web.looks import Words
from web.notices.kinds import Kind

EVERYBODY = b""
"""Stands for all members instead of a holder."""


@dataclass(frozen=True, slots=True)
class Text:
    """What a device shows. `path`: where a tap leads."""

    title: str
    body: str
    path: str


@dataclass(frozen=True, slots=True)
class Event:
    """Something that `holder` is to be told. `write` makes its text in the language that is spoken; `tag`: a later
    event of the same tag takes its place."""

    holder: bytes
    kind: Kind
    tag: str
    write: Callable[[Words], Text]


Name = Callable[[bytes], str]
"""What people call the holder of an account."""


def of_entry(place: int, signed: SignedEntry, parties: frozenset[bytes], name: Name, find: Find) -> Iterator[Event]:
    """What a signed entry tells. `parties`: the holders whom it concerns."""
    body, path = signed.entry.body, f"/movement/{place}"
    match body:
        case Transfer() | PaymentAnswer() | TopUp() | Reverse():
            for holder in sorted(parties):
                change = moved(body, holder, find)
                if change.amount_mc > 0 or (change.amount_mc < 0 and isinstance(body, Reverse)):
                    others = sorted(parties - {holder})
                    write = _money(body, change.amount_mc, change.unit, others, name, path, _memo(body, find))
                    yield Event(holder, Kind.PAID, f"entry-{place}", write)
        case PaymentRequest():
            asked = body

            def write_request(words: Words) -> Text:
                title = _("{name} asks you for {amount}").format(
                    name=name(asked.payee), amount=_amount(words, asked.amount_mc, Unit.ENERGY)
                )
                return Text(title, asked.memo or _("Look at it, and accept or decline."), "/requests")

            yield Event(holder_of(body.payer), Kind.ASKED, f"entry-{place}", write_request)
        case Hold() | Release() | SetStatus():
            yield from _of_review(place, signed, parties, path)
        case _:
            return


def _of_review(place: int, signed: SignedEntry, parties: frozenset[bytes], path: str) -> Iterator[Event]:
    body = signed.entry.body
    if isinstance(body, SetStatus) and (request := statements.read(body)) is not None:
        if request.statement.topic is Topic.REQUEST:
            yield Event(EVERYBODY, Kind.PEAK, f"entry-{place}", _peak(request.statement))
        return
    review = review_of(place, signed)
    if isinstance(body, Hold):
        verdict = None
    elif isinstance(body, Release):
        verdict = body.is_granted
    elif review is not None:
        verdict = review.is_granted
    else:
        return

    def write(_words: Words) -> Text:
        if verdict is None:
            return Text(
                _("Something you earned waits for a look"), _("The association looks at a meter of yours."), path
            )
        title = (
            _("A meter of yours was looked at: all is well") if verdict else _("What a meter measured does not count")
        )
        return Text(title, _("Read what the association says of it."), path)

    for holder in sorted(parties):
        yield Event(holder, Kind.HELD, f"entry-{place}", write)


def _peak(asked: statements.Statement) -> Callable[[Words], Text]:
    def write(words: Words) -> Text:
        when = words.between(asked.start_s, asked.end_s)
        if asked.what == PEAK:
            return Text(
                _("Please use less electricity"), _("The grid’s operator asks: {when}.").format(when=when), "/energy"
            )
        return Text(
            _("A good time to use electricity"), _("The grid’s operator says: {when}.").format(when=when), "/energy"
        )

    return write


def _money(
    body: Transfer | PaymentAnswer | TopUp | Reverse,
    amount_mc: int,
    unit: Unit,
    others: list[bytes],
    name: Name,
    path: str,
    memo: str,
) -> Callable[[Words], Text]:
    def write(words: Words) -> Text:
        amount = _amount(words, abs(amount_mc), unit)
        match body:
            case TopUp():
                return Text(_("{amount} came in").format(amount=amount), _("For the euros that you paid."), path)
            case Reverse():
                text = (
                    _("{amount} were given back to you") if amount_mc > 0 else _("{amount} were taken back from you")
                )
                return Text(text.format(amount=amount), body.reason, path)
            case _:
                who = name(others[0]) if others else _("somebody")
                return Text(_("{amount} from {name}").format(amount=amount, name=who), memo, path)

    return write


def _memo(body: object, find: Find) -> str:
    if isinstance(body, PaymentAnswer):
        body = find(body.request)
    return body.memo if isinstance(body, Transfer | PaymentRequest) else ""


def _amount(words: Words, amount_mc: int, unit: Unit) -> str:
    if unit is Unit.ENERGY:
        return words.in_credits(amount_mc)
    unit_name = {Unit.EURO: _("euro credits"), Unit.HOURS: _("hours")}.get(unit, _("mutual credits"))
    return f"{words.exact(amount_mc)} {unit_name}"
