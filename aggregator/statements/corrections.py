"""Corrections of what was settled: from signed statements to what is carried out, and what waits. Pure.

Whoever may reverse a payment may say that what was settled of a device is not true, so many roles together as the
constitution asks for a reversal. All of them sign the same bytes, which name the papers with the reason.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from aggregator.statements.statement import Statement, Topic
from aggregator.statements.values import Stated
from commonwatt.errors import UserError
from commonwatt.i18n import _
from commonwatt.units import INTERVAL_S


@dataclass(frozen=True, slots=True)
class Correction:
    """Of what was settled of `device` in spans within `[start_s, end_s)` only `energy_wh` are true. `place`: of the
    entry that completed the quorum; `digest`: of the papers with the reason."""

    place: int
    device: bytes
    start_s: int
    end_s: int
    energy_wh: int
    digest: bytes


def agreed(stated: Iterable[Stated], roles_min: int) -> tuple[Correction, ...]:
    """Those that enough roles signed, in the order in which they were complete."""
    signed: dict[Statement, set[str]] = {}
    found: list[Correction] = []
    for item in stated:
        said = item.statement
        if said.topic is not Topic.CORRECTION or not _is_sound(said):
            continue
        roles = signed.setdefault(said, set())
        if len(roles) < roles_min and len(roles | {item.signer.role}) >= roles_min:
            span = (said.subject, said.start_s, said.end_s)
            found.append(Correction(item.place, *span, said.number, said.digest))
        roles.add(item.signer.role)
    return tuple(found)


def waiting(stated: Iterable[Stated], roles_min: int) -> dict[Statement, tuple[str, ...]]:
    """Those that wait for further roles, each with the roles that have signed."""
    signed: dict[Statement, list[str]] = {}
    for item in stated:
        if item.statement.topic is Topic.CORRECTION and _is_sound(item.statement):
            roles = signed.setdefault(item.statement, [])
            if item.signer.role not in roles:
                roles.append(item.signer.role)
    return {said: tuple(roles) for said, roles in signed.items() if len(roles) < roles_min}


def correction(device: bytes, start_s: int, end_s: int, energy_wh: int, digest: bytes) -> Statement:
    """A correction to be signed; UserError if it is none."""
    statement = Statement(Topic.CORRECTION, "", device, start_s, end_s, energy_wh, digest)
    if not _is_sound(statement):
        raise UserError(
            _("a correction is from one quarter hour to a later one"),
            to_do=_("write for example --from 2026-12-01T18:00 --to 2026-12-01T20:00"),
        )
    return statement


def _is_sound(statement: Statement) -> bool:
    times_s = (statement.start_s, statement.end_s)
    return not statement.what and times_s[0] < times_s[1] and all(time_s % INTERVAL_S == 0 for time_s in times_s)
