"""What looks back reads the growth of every interval, and knows what it does not know."""

from aggregator.evidence import store
from aggregator.settling import history
from aggregator.testing import TIME_S, ident
from commonwatt.quantities import EXPORT, IMPORT

STEP_S = 900


def test_growth_of_each_interval_when_one_reading_is_missing(works):
    """An interval is known when both its readings are; a register that is not carried is not."""
    ana, roof = works.meters["ana-main"], works.meters["sun-roof"]
    works.deliver(
        *ana.sign_each(TIME_S, [(1000, 0), (1100, 5)]),
        *ana.sign_each(TIME_S + 3 * STEP_S, [(1400, 5), (1450, 9)]),
        *roof.sign_each(TIME_S, [(0,), (70,)]),
    )
    devices = [ident("ana-main"), ident("sun-roof"), bytes(16)]
    with works.database.transaction() as connection:
        imported = history.growth(connection, devices, IMPORT.number, TIME_S, TIME_S + 4 * STEP_S)
        exported = history.growth(connection, devices, EXPORT.number, TIME_S, TIME_S + 4 * STEP_S)
    unknown = history.UNKNOWN
    assert imported.tolist() == [[100, unknown, unknown, 50], [unknown] * 4, [unknown] * 4]
    assert exported.tolist() == [[5, unknown, unknown, 4], [70, unknown, unknown, unknown], [unknown] * 4]


def test_readings_when_later_evidence_must_not_be_looked_at(works):
    """What came later is not known to who asks as of an earlier closing."""
    ana = works.meters["ana-main"]
    works.deliver(*ana.sign_each(TIME_S, [(1000, 0), (1100, 0)]))
    with works.database.transaction() as connection:
        before = store.last_id(connection)
    works.deliver(*ana.sign_each(TIME_S + 2 * STEP_S, [(1200, 0), (1300, 0)]))
    with works.database.transaction() as connection:
        place = (connection, ident("ana-main"), TIME_S, TIME_S + 3 * STEP_S)
        then, now = history.readings(*place, evidence_id_max=before), history.readings(*place)
    assert sorted(then) == [TIME_S, TIME_S + STEP_S]
    assert sorted(now) == [TIME_S + STEP_S * at for at in range(4)]
