"""What a draft is for, in a sentence for whoever is asked to sign it. Rooms that propose drafts add theirs."""

from aggregator.policy.rules import Policy as Rules
from commonwatt.i18n import _
from ledger.book.body import AdmitRole, CarryForward, Policy, Redeem, Reverse, Rotate, TopUp
from web.drafts.desk import Draft
from web.looks import Words
from web.spelling import number_of


def sentence(draft: Draft, words: Words) -> str:
    """In the language that is spoken."""
    when = words.moment(draft.proposed_s)
    match draft.purpose, draft.entry.body:
        case "takeover", _body:
            return _("A member uses a new browser: from {when} on its key is to sign for the account.").format(
                when=when
            )
        case "recover", Rotate() as body:
            return _(
                "Somebody who lost their key asks for a new one, since {when}. Agree only after you have seen them "
                "or phoned them, and the number on their screen is {number}."
            ).format(when=when, number=number_of(body.public_key))
        case "office", AdmitRole() as body:
            return _("Somebody is to hold the office “{office}” with a key of their own, since {when}.").format(
                office=body.role, when=when
            )
        case "reconvert", Redeem() as body:
            return _(
                "A shop gives back {amount} euro credits and is to be paid {euros} (reference {reference})."
            ).format(amount=words.exact(body.amount_mc), euros=words.euros(body.paid_cents), reference=body.reference)
        case "top-up", TopUp() as body:
            return _(
                "{euros} have come in (reference {reference}): somebody is to get {amount} euro credits for them."
            ).format(euros=words.euros(body.paid_cents), reference=body.reference, amount=words.exact(body.amount_mc))
        case "policy", Policy() as body:
            return _("Other rules are to count, “{name}”, version {version}: look at what they change.").format(
                name=Rules.parse(body.text, where="").rules.name, version=body.policy_version
            )
        case "reverse", Reverse() as body:
            return _("A payment is to be undone, {credits} credits of it: “{reason}”.").format(
                credits=words.exact(body.amount_mc), reason=body.reason
            )
        case "erasure", CarryForward():
            return _(
                "A member asked on {when} to be erased: this carries the balances on that no longer follow from the "
                "log once their entries are gone."
            ).format(when=when)
        case _:
            return _("An entry of the kind “{kind}”, proposed {when}.").format(kind=draft.entry.kind.label, when=when)
