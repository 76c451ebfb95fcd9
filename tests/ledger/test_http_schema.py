"""The API against its description: schemathesis (not ours) makes requests, good and bad, and judges every answer."""

from collections.abc import Iterator

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from commonwatt.testing import ManualClock
from ledger import testing
from ledger.http import api as http_api
from ledger.http.api import Api
from ledger.http.desk import Desk
from ledger.http.limits import RateLimit
from ledger.sequencer import Sequencer

schemathesis.serializer.alias("application/cose", "application/octet-stream")

SEED = 20_240_715
EXAMPLES = 15
CHECKS = (
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
)
CONSTRAINED = (
    *("GET /v1/accounts/{account}", "GET /v1/accounts/{account}/history"),
    *("GET /v1/entries", "GET /v1/entries/{place}", "GET /v1/entries/{place}/proof"),
)
"""Their parameters can be wrong; what the others take, any text or bytes are in form."""
FREE = ("GET /v1/ledger", "POST /v1/entries", "GET /checkpoint", "GET /checkpoint.cosigned", "GET /tile/{path}")
OPERATIONS = (*CONSTRAINED, *FREE)


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FastAPI]:
    """The API of a trial ledger in which ana has paid ben."""
    directory = tmp_path_factory.mktemp("schema")

    def opened() -> Sequencer:
        ledger = testing.village(directory, "ana", "ben")
        testing.mint(ledger, [testing.earned("ana", 900, 100)])
        ledger.submit([testing.pay("ana", "ben", 5)])
        ledger.publish()
        return ledger

    failures: list[Exception] = []
    desk = Desk(open_ledger=opened, index=directory / "parties.db", on_failure=failures.append)
    clock = ManualClock(civil_s=testing.TIME_S)
    limit = RateLimit(burst=10**9, per_s=1, clock=clock)
    yield http_api.build(Api(desk=desk, log=directory / "log", clock=clock, limit=limit))
    desk.close()
    assert failures == []


def test_operations_when_one_is_added(application: FastAPI) -> None:
    """Every operation of the description is tried below."""
    schema = schemathesis.openapi.from_asgi("/openapi.json", application)
    assert {result.ok().label for result in schema.get_all_operations()} == set(OPERATIONS)


@pytest.mark.parametrize("label", OPERATIONS)
def test_operation_when_called_at_random(application: FastAPI, label: str) -> None:
    """Whatever is asked, the answer is one that the description names, errors are problems, and nothing is a 5xx."""
    _try(application, label, EXAMPLES)


@pytest.mark.soak
@pytest.mark.parametrize("label", OPERATIONS)
def test_operation_when_called_often(application: FastAPI, label: str) -> None:
    """The same, two thousand times."""
    _try(application, label, 2000)


def _try(application: FastAPI, label: str, examples: int) -> None:
    schema = schemathesis.openapi.from_asgi("/openapi.json", application)
    operation = next(o for o in (result.ok() for result in schema.get_all_operations()) if o.label == label)
    modes = [GenerationMode.POSITIVE] + ([GenerationMode.NEGATIVE] if label in CONSTRAINED else [])
    for mode in modes:

        @seed(SEED)
        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def call(case: schemathesis.Case) -> None:
            case.call_and_validate(checks=list(CHECKS))

        call()
