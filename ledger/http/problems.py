"""Errors as RFC 9457 problem details: `application/problem+json`, one stable `type` for each reason."""

import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from commonwatt.errors import FormatError, StorageError, UserError
from ledger.book.refusals import Refusal

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
_TITLES = {400: "Bad request", 401: "Not signed", 403: "Not yours to read", 404: "Not found", 405: "Not allowed"}


class Body(BaseModel):
    """What every error answers (RFC 9457); some have further members."""

    type: str = Field(description="which kind: /problems/ and a stable word")
    title: str
    status: int
    detail: str = Field(description="for a person")


RESPONSES: dict[int | str, dict[str, Any]] = {
    "default": {"description": "A problem", "content": {MEDIA_TYPE: {"schema": Body.model_json_schema()}}}
}
"""Every answer of a route that is not its own."""


class Problem(Exception):  # noqa: N818 - the name of the specification
    """What a request ends with instead of an answer. `more`: further members of the object."""

    def __init__(self, status: int, reason: str, detail: str, **more: object) -> None:
        self.status = status
        self.reason = reason
        self.detail = detail
        self.more = more
        super().__init__(detail)


def of_refusal(refusal: Refusal, place: int | None) -> Problem:
    """A refused entry: 409 for an id that names another entry, 422 for everything else."""
    more = {} if place is None else {"place": place}
    status = 409 if refusal is Refusal.CONFLICT else 422
    return Problem(status, refusal.label, f"the entry is refused: {refusal.label}", refusal=int(refusal), **more)


def respond(status: int, reason: str, detail: str, **more: object) -> JSONResponse:
    """The response, a Body and whatever `more` there is to say."""
    title = _TITLES.get(status, reason.replace("-", " ").capitalize())
    body = {"type": f"/problems/{reason}", "title": title, "status": status, "detail": detail, **more}
    headers = {"WWW-Authenticate": "Commonwatt"} if status == 401 else {}
    return JSONResponse(body, status_code=status, media_type=MEDIA_TYPE, headers=headers)


def install(app: FastAPI) -> None:
    """Let every error of an application end as a problem."""

    @app.exception_handler(Problem)
    async def _problem(_: Request, error: Problem) -> JSONResponse:
        return respond(error.status, error.reason, error.detail, **error.more)

    @app.exception_handler(FormatError)
    async def _format(_: Request, error: FormatError) -> JSONResponse:
        return respond(400, error.reason, str(error))

    @app.exception_handler(StorageError)
    async def _storage(_: Request, error: StorageError) -> JSONResponse:
        return respond(503, "storage", "the ledger's store has failed; nothing is half done; ask again later")

    @app.exception_handler(UserError)
    async def _user(_: Request, error: UserError) -> JSONResponse:
        log.error("%s", error)
        return respond(503, "unavailable", "the published log cannot be read just now")

    @app.exception_handler(HTTPException)
    async def _http(_: Request, error: HTTPException) -> JSONResponse:
        answer = respond(error.status_code, "http", str(error.detail))
        answer.headers.update(error.headers or {})  # 405 names the methods that are allowed
        return answer

    @app.exception_handler(Exception)
    async def _mistake(_: Request, error: Exception) -> JSONResponse:
        return respond(500, "mistake", "we made a mistake; it is in the server's log")

    @app.exception_handler(RequestValidationError)
    async def _validation(_: Request, error: RequestValidationError) -> JSONResponse:
        wrong = "; ".join(f"{'.'.join(map(str, row['loc']))}: {row['msg']}" for row in error.errors())
        return respond(400, "parameters", wrong)
