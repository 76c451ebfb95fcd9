"""What entries of the log tell their parties: whom, of which kind, in which words. Pure."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from aggregator.commune.enacted import review_of, stated_of
from aggregator.statements.signers import Signers
from aggregator.statements.statement import PEAK, Statement, Topic
from commonwatt.i18n import _
from ledger.book.body import Hold, PaymentAnswer, PaymentRequest, Release, Reverse, SetStatus, TopUp, Transfer
from ledger.book.entry import SignedEntry
from ledger.book.units import Unit, holder_of, unit_of
from web.book.moved import Find, Moved, moved
from web.looks import Words
from web.notices.kinds import Kind
from web.units import amount

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


@dataclass(frozen=True, slots=True)
class Context:
    """What entries are read with. `units`: what the constitution calls those beside energy."""

    name: Name
    find: Find
    signers: Signers
    units: Mapping[Unit, str]


def of_entry(place: int, signed: SignedEntry, parties: frozenset[bytes], context: Context) -> Iterator[Event]:
    """What a signed entry tells. `parties`: the holders whom it concerns."""
    body, path, find = signed.entry.body, f"/movement/{place}", context.find
    match body:
        case Transfer() | PaymentAnswer() | TopUp() | Reverse():
            for holder in sorted(parties):
                change = moved(body, holder, find)
                if change.amount_mc > 0 or (change.amount_mc < 0 and isinstance(body, Reverse)):
                    others = sorted(parties - {holder})
                    write = _money(body, change, others, context, path)
                    yield Event(holder, Kind.PAID, f"entry-{place}", write)
        case PaymentRequest():
            asked = body

            def write_request(words: Words) -> Text:
                title = _("{name} asks you for {amount}").format(
                    name=context.name(asked.payee),
                    amount=amount(words, context.units, unit_of(asked.payee), asked.amount_mc),
                )
                return Text(title, asked.memo or _("Look at it, and accept or decline."), "/requests")

            yield Event(holder_of(body.payer), Kind.ASKED, f"entry-{place}", write_request)
        case Hold() | Release() | SetStatus():
            yield from _of_review(place, signed, parties, context.signers, path)
        case _:
            return


def _of_review(
    place: int, signed: SignedEntry, parties: frozenset[bytes], signers: Signers, path: str
) -> Iterator[Event]:
    body = signed.entry.body
    if (stated := stated_of(place, signed, signers)) is not None:
        if stated.statement.topic is Topic.REQUEST:
            yield Event(EVERYBODY, Kind.PEAK, f"entry-{place}", _peak(stated.statement))
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


def _peak(asked: Statement) -> Callable[[Words], Text]:
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
    body: Transfer | PaymentAnswer | TopUp | Reverse, change: Moved, others: list[bytes], context: Context, path: str
) -> Callable[[Words], Text]:
    memo = _memo(body, context.find)

    def write(words: Words) -> Text:
        said = amount(words, context.units, change.unit, abs(change.amount_mc))
        match body:
            case TopUp():
                return Text(_("{amount} came in").format(amount=said), _("For the euros that you paid."), path)
            case Reverse():
                text = (
                    _("{amount} were given back to you")
                    if change.amount_mc > 0
                    else _("{amount} were taken back from you")
                )
                return Text(text.format(amount=said), body.reason, path)
            case _:
                who = context.name(others[0]) if others else _("somebody")
                return Text(_("{amount} from {name}").format(amount=said, name=who), memo, path)

    return write


def _memo(body: object, find: Find) -> str:
    if isinstance(body, PaymentAnswer):
        body = find(body.request)
    return body.memo if isinstance(body, Transfer | PaymentRequest) else ""
