"""The sentences of the page on which a reader's own browser checks a proof."""

from typing import Any

from commonwatt.i18n import _
from commonwatt.quantities import EXPORT, HEAT, IMPORT
from ledger.book.kinds import Kind


def words() -> dict[str, Any]:
    """The page's sentences, in the language that is spoken; the page fills in the names in braces."""
    return {
        "proven": _("Proven. Whether it was undone later, by a reversal for example, a proof cannot show."),
        "failed": _("Not proven: the last step fails."),
        "large": _("A proof has at most 16 MB: this is something else."),
        "unread": _("The proof could not be fetched. Try again when there is a connection."),
        "lines": _("Each of these lines leads to a block that the meter itself has signed: one by one"),
        "old": _("This browser cannot check Ed25519 signatures. Take a newer one, or `commonwatt verify`."),
        "quantities": {
            IMPORT.number: _("taken from the grid"),
            EXPORT.number: _("given to the grid"),
            HEAT.number: _("heat"),
        },
        "kinds": _kinds(),
        "sources": {
            1: _("local production"),
            2: _("use covered by neighbours"),
            3: _("savings"),
            4: _("use moved away from a peak"),
            5: _("renewable heat"),
            6: _("a declared value"),
        },
        "steps": _steps() | _failures(),
    }


def _steps() -> dict[str, str]:
    return {
        "log": _("The log {origin} has signed its head over {size} entries with the commune's key."),
        "witnessed": _("Enough witnesses have seen this very log: {seen}. Nobody can take the entry back unseen."),
        "no-witnesses": _("No witnesses are asked for: that all see the same log rests on its own key alone."),
        "included": _("Entry {index} is in that log: {count} hashes lead from it to the signed head."),
        "entry": _("The entry is {kind}, of {time}."),
        "genesis": _("It is the genesis entry, which the steward signed."),
        "roles": _("It carries the signatures that the constitution asks for."),
        "wallet": _("It is signed by a wallet; whose it is stands in an earlier entry, which auditors check."),
        "holder": _("It is signed by its holder's key, which stands in an earlier entry; auditors check that."),
        "mint": _("The entry made {amount} credits, for {energy} of {source}, {start} to {end}."),
        "closed": _("The readings behind it are not enclosed; the mint-run after it in the log vouches for it."),
        "line": _("Line {number} of the {count} behind it is enclosed: {energy}, {start} to {end}."),
        "lines": _("All {count} lines behind it are enclosed; they add up to {energy} and {amount} credits."),
        "one-line": _("{start} to {end}: {energy}, {amount} credits before the association's share."),
        "meter": _("Meter {device} was admitted by those whom the constitution names, rated {power} W."),
        "block": _("That meter signed the readings itself, block {seq}, {start} to {end}: {grown}."),
    }


def _failures() -> dict[str, str]:
    return {
        "malformed": _("The file does not hold together: it is no proof, or it was damaged."),
        "log-unsigned": _("The log's own key did not sign this head."),
        "witness-wrong": _("The signature of the witness {name} does not hold."),
        "too-few-witnesses": _("Only {count} of {all} witnesses have seen this head: too few."),
        "not-included": _("The hashes do not lead from entry {index} to the signed head: it is not in this log."),
        "no-mint": _("Readings are enclosed, but only a mint rests on readings."),
        "quorum": _("The signatures do not satisfy the constitution."),
        "line-foreign": _("The enclosed lines are not those that the mint commits to."),
        "sum-wrong": _("The enclosed lines do not add up to what was minted."),
        "part-missing": _("A block or an admission that a line names is missing."),
        "block-foreign": _("The enclosed block is not the one that the line names."),
        "block-unsigned": _("The block is not signed by the meter's admitted key."),
        "meter-foreign": _("The enclosed admission is of another meter."),
        "meter-unsigned": _("The meter's admission or new key is not signed as it must be."),
        "constitution-wrong": _("The commune's constitution does not hold together."),
    }


def _kinds() -> dict[int, str]:
    return {
        Kind.GENESIS: _("the first one, which founds the commune"),
        Kind.ADMIT: _("an admission"),
        Kind.STATUS: _("a change of standing"),
        Kind.POLICY: _("a policy"),
        Kind.MINT_RUN: _("a mint-run, which vouches for the mints before it"),
        Kind.TRANSFER: _("a payment"),
        Kind.ROTATE: _("a change of key"),
        Kind.GUARD: _("a choice of who may recover a wallet"),
        Kind.PAYMENT_REQUEST: _("a payment request"),
        Kind.PAYMENT_ANSWER: _("an answer to a payment request"),
        Kind.TOP_UP: _("a top-up in euros"),
        Kind.REDEEM: _("a reconversion into euros"),
        Kind.CREDIT_LIMIT: _("a credit limit"),
        Kind.CHARGE: _("a charge of the policy"),
        Kind.REVERSE: _("a reversal"),
        Kind.HOLD: _("a hold of a claim"),
        Kind.RELEASE: _("a release of a held claim"),
        Kind.CARRY_FORWARD: _("balances carried forward"),
    }
