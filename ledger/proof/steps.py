"""Checks a proof step by step and says each step in plain words. Pure: file and trust in, steps out.

The first step that fails is the last: what would follow rests on it.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from commonwatt import block, cose
from commonwatt.errors import FormatError
from commonwatt.i18n import _
from commonwatt.identity import key_hint
from commonwatt.quantities import QUANTITIES
from commonwatt.units import format_credits, format_kwh
from ledger.book import entry, show
from ledger.book.body import AdmitDevice, Rotate, Transfer
from ledger.book.entry import SignedEntry
from ledger.book.genesis import Genesis
from ledger.book.mint import Line, Mint, lines_root
from ledger.log import merkle
from ledger.proof import tlog_proof as proof
from ledger.proof.file import Chain, LongOpening, ProofFile, ShortOpening
from ledger.proof.trust import Trust


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was checked, as a sentence."""

    is_good: bool
    text: str


class _BrokenError(Exception):
    """A step that failed; the text says why."""


def explain(file: ProofFile, trust: Trust, names: show.Names) -> Iterator[Step]:
    """Every step until the end or the first that fails. The proof is good if all are, and there is at least one."""
    try:
        for text in _steps(file, trust, names):
            yield Step(True, text)
    except _BrokenError as error:
        yield Step(False, str(error))
    except FormatError as error:
        yield Step(False, _("The file does not hold together: {error}").format(error=error))


def _steps(file: ProofFile, trust: Trust, names: show.Names) -> Iterator[str]:
    yield from _log_steps(file, trust)
    parsed = entry.parse(file.entry)
    yield _("The entry says: {entry}").format(entry=show.describe(file.proof.index, file.entry, names))
    if isinstance(parsed, SignedEntry):
        yield _signers(parsed, file.proof.index, trust)
        if file.opening is not None:
            raise _BrokenError(_("Readings are enclosed, but only a mint rests on readings."))
    elif isinstance(file.opening, ShortOpening):
        yield from _short_steps(parsed, file.opening, file.proof.index, trust)
    elif isinstance(file.opening, LongOpening):
        yield from _long_steps(parsed, file.opening, file.proof.index, trust)
    else:
        yield _("The readings behind this mint are not enclosed; the mint-run after it in the log vouches for it.")


def _log_steps(file: ProofFile, trust: Trust) -> Iterator[str]:
    witnessed = proof.check(file.proof, merkle.leaf_hash(file.entry), trust.log, trust.policy)
    head = witnessed.checkpoint
    yield _("The log {origin} has signed its head over {size} entries with the key that you gave.").format(
        origin=head.origin, size=head.size
    )
    if trust.policy.witnesses:
        seen = [
            f"{witness.name} ({_time(witnessed.times_s[witness.cosigner])})"
            for witness in trust.policy.witnesses
            if witness.cosigner in witnessed.times_s
        ]
        yield _("Enough witnesses have seen this very log: {names}. Nobody can take the entry back unseen.").format(
            names=", ".join(seen) or _("none is asked for")
        )
    else:
        yield _("No witnesses are asked for: that everyone sees the same log rests on the log's key alone.")
    yield _("Entry {index} is in that log: {count} hashes lead from it to the signed head.").format(
        index=file.proof.index, count=len(file.proof.hashes)
    )


def _signers(signed: SignedEntry, index: int, trust: Trust) -> str:
    body = signed.entry.body
    if isinstance(body, Genesis):
        return _("It is the genesis entry, which the steward signed.")
    founded = trust.at(index)
    refusal = founded.check_entry(signed)
    if refusal is not None:
        raise _BrokenError(_("The signatures do not satisfy the constitution: {why}.").format(why=refusal.label))
    if signed.message.kid not in founded.keys and signed.message.kid not in founded.withdrawn:
        kind = _("the payer's wallet") if isinstance(body, Transfer) else _("the holder's wallet")
        return _("It is signed by {who}; the key is in an earlier entry, which auditors check.").format(who=kind)
    return _("It carries the signatures that the constitution asks for.")


def _short_steps(mint: Mint, opening: ShortOpening, index: int, trust: Trust) -> Iterator[str]:
    leaf = merkle.leaf_hash(opening.line.encode())
    if not merkle.is_included(leaf, opening.position, mint.lines, opening.path, mint.lines_root):
        raise _BrokenError(_("The enclosed line is not one that the mint commits to."))
    yield _("One of the mint's {count} lines is enclosed, number {number}: {line}").format(
        count=mint.lines, number=opening.position + 1, line=_line(opening.line)
    )
    yield from _block_steps(opening.line, opening.block, opening.admission, index, trust)


def _long_steps(mint: Mint, opening: LongOpening, index: int, trust: Trust) -> Iterator[str]:
    if len(opening.lines) != mint.lines or lines_root(opening.lines) != mint.lines_root:
        raise _BrokenError(_("The enclosed lines are not those that the mint commits to."))
    gross_mc = sum(line.amount_mc for line in opening.lines)
    if gross_mc != mint.amount_mc + mint.association_mc:
        raise _BrokenError(_("The lines add up to {sum} credits, not to what was minted.").format(sum=gross_mc))
    if sum(line.energy_wh for line in opening.lines) != mint.energy_wh:
        raise _BrokenError(_("The energy of the lines does not add up to the mint's."))
    yield _("All {count} lines of the mint are enclosed; they add up to {energy} and {credits} credits.").format(
        count=mint.lines, energy=format_kwh(mint.energy_wh), credits=format_credits(gross_mc)
    )
    blocks = {hashlib.sha256(data).digest(): data for data in opening.blocks}
    admissions = {_device_id(chain): chain for chain in opening.admissions}
    for line in opening.lines:
        if line.block_sha256 not in blocks or line.device not in admissions:
            raise _BrokenError(_("A block or an admission that a line names is missing."))
        yield _line(line)
        yield from _block_steps(line, blocks[line.block_sha256], admissions[line.device], index, trust)


def _block_steps(line: Line, signed_block: bytes, admission: Chain, index: int, trust: Trust) -> Iterator[str]:
    if hashlib.sha256(signed_block).digest() != line.block_sha256:
        raise _BrokenError(_("The enclosed block is not the one that the line names."))
    message = cose.parse1(signed_block, size_max=block.SIGNED_SIZE_MAX)
    device = _device(admission, message.kid, line, index, trust)
    yield _("Meter {device} was admitted by those whom the constitution names, rated {power} W.").format(
        device=line.device.hex(), power=device.rated_power_w
    )
    if not message.is_signed_by(device.public_key, block.AAD):
        raise _BrokenError(_("The block is not signed by the meter's admitted key."))
    readings = block.parse(message.payload)
    grown = ", ".join(
        f"{QUANTITIES[channel.quantity].name} +{format_kwh(sum(channel.increments_wh))}"
        for channel in readings.channels
    )
    yield _("The meter signed the block that the line names, number {seq}, {start} to {end}: {grown}.").format(
        seq=readings.seq, start=_time(readings.start_s), end=_time(readings.end_s), grown=grown
    )


def _device(chain: Chain, kid: bytes, line: Line, index: int, trust: Trust) -> AdmitDevice:
    """The admission, with the key of the hint `kid` if the rotations lead to it; each is checked as of its time."""
    parsed = entry.parse(chain[0])
    if not isinstance(parsed, SignedEntry) or not isinstance(parsed.entry.body, AdmitDevice):
        raise _BrokenError(_("What should admit the meter is another kind of entry."))
    device = parsed.entry.body
    if device.id != line.device:
        raise _BrokenError(_("The enclosed admission is of another meter."))
    refusal = trust.check_before(index, parsed)
    if refusal is not None:
        raise _BrokenError(_("The meter's admission is not signed as it must be: {why}.").format(why=refusal.label))
    for data in chain[1:]:
        if key_hint(device.public_key) == kid:  # the block is older than the next key
            break
        device = replace(device, public_key=_rotated(data, device, index, trust))
    return device


def _rotated(data: bytes, device: AdmitDevice, index: int, trust: Trust) -> bytes:
    """The new key, if the old one or the roles gave it and it agreed."""
    parsed = entry.parse(data)
    body = parsed.entry.body if isinstance(parsed, SignedEntry) else None
    if not isinstance(parsed, SignedEntry) or not isinstance(body, Rotate) or body.id != device.id:
        raise _BrokenError(_("What should give the meter another key is another entry."))
    genesis = trust.constitution.genesis_sha256
    is_by_old_key = parsed.is_signed_by(device.public_key, genesis)
    is_agreed = any(parsed.is_approved_by(row, body.public_key, genesis) for row in parsed.approvals)
    if not is_agreed or not (is_by_old_key or trust.is_recovered_before(index, parsed, body)):
        raise _BrokenError(_("The meter's new key is not signed as it must be."))
    return body.public_key


def _device_id(chain: Chain) -> bytes:
    parsed = entry.parse(chain[0])
    body = parsed.entry.body if isinstance(parsed, SignedEntry) else None
    return body.id if isinstance(body, AdmitDevice) else b""


def _line(line: Line) -> str:
    return _("{start} to {end}, {energy}, {credits} credits before the association's share.").format(
        start=_time(line.start_s),
        end=_time(line.end_s),
        energy=format_kwh(line.energy_wh),
        credits=format_credits(line.amount_mc),
    )


def _time(time_s: int) -> str:
    try:
        return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%d %H:%MZ")
    except (OverflowError, ValueError, OSError):
        return str(time_s)
