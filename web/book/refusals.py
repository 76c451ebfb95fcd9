"""Why the ledger refuses, in words for the person who signed."""

from commonwatt.i18n import _
from ledger.book.refusals import Refusal


def sentence(refusal: Refusal) -> tuple[str, str]:
    """What is the matter, and what to do."""
    match refusal:
        case Refusal.INSUFFICIENT_FUNDS:
            return _("There are not enough credits on this account."), _("Pay less, or wait for what you earn next.")
        case Refusal.CONFLICT:
            return _("This was paid already, with another amount."), _("Look at your movements before you pay again.")
        case Refusal.KEY_ROTATED:
            return (
                _("This browser's key was replaced by another one."),
                _("Use the browser that has the new key, or recover your account."),
            )
        case Refusal.BAD_SIGNATURE | Refusal.UNKNOWN_SIGNER:
            return _("This browser's key is not the one of this account."), _("Use the browser in which you joined.")
        case Refusal.REVOKED | Refusal.SUSPENDED:
            return _("One of the two accounts is suspended or closed."), _("Ask the association.")
        case Refusal.AMOUNT_ZERO:
            return _("The amount is nothing."), _("Write an amount above zero.")
        case Refusal.SAME_ACCOUNT:
            return _("You cannot pay yourself."), _("Choose somebody else.")
        case Refusal.UNKNOWN_ACCOUNT:
            return _("This account is not there."), _("Ask for the code again.")
        case Refusal.UNKNOWN_ENTRY | Refusal.REQUEST_STATE:
            return _("This was answered already, or is not there any more."), _("Load the page again.")
        case Refusal.QUORUM_NOT_REACHED:
            return _("Signatures are still missing."), _("Others have to sign too.")
        case Refusal.RESERVE_EXCEEDED:
            return _("The euro reserve does not cover this."), _("Ask the association.")
        case _:
            return _("The ledger refuses it: {why}.").format(why=refusal.label), _("Tell the association this word.")
