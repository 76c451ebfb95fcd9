"""Declared values that a second person confirmed, as lines of a mint. Pure."""

import hashlib
from collections.abc import Iterable, Iterator

from aggregator.earning.earned import Earned
from aggregator.policy.rules import Rules
from aggregator.statements import values
from aggregator.statements.statement import Statement
from aggregator.statements.values import Stated
from commonwatt.identity import ID_SIZE
from ledger.book import mint
from ledger.book.kinds import Grade


def earned(stated: Iterable[Stated], rules: Rules) -> Iterator[tuple[Statement, Earned]]:
    """What every confirmed value comes to by these rules, those that it refuses left out."""
    for value, declarer, confirmer in values.confirmed(stated):
        statement = value.statement
        if values.check(statement, declarer, confirmer, rules.declared, value.time_s) is None:
            proof = hashlib.sha256(statement.encode()).digest()
            span = (proof[:ID_SIZE], statement.start_s, statement.end_s)
            row = Earned(
                *(statement.subject, mint.SOURCE_DECLARED, *span, 0, 0, proof, Grade.DECLARED),
                kind=statement.what,
                amount_mc=values.amount_mc(statement, rules.declared[statement.what]),
            )
            yield statement, row
