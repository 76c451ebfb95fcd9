"""What is wrong with an amount, in words for pages and modules alike."""

from commonwatt.i18n import _


def sentences() -> dict[str, str]:
    """What is wrong with an amount, for pages and modules alike."""
    return {
        "amount-not-a-number": _("This is not an amount. Write it in figures, for example 2.50 or 2,50."),
        "amount-ambiguous": _("This can be read as {less} or as {more}. Write which of the two you mean."),
        "amount-too-fine": _("An amount has at most three decimals."),
        "amount-nothing": _("Write an amount above zero."),
        "amount-too-much": _("This amount is too large."),
    }
