"""The judgement: read the log and the evidence, settle again, compare to the watt-hour and the milli-credit."""

import hashlib
import json
import sqlite3
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any

from commonwatt.demo.judge.book import ISSUANCE, Book, read_book
from commonwatt.demo.judge.earned import Earnings, Told
from commonwatt.demo.judge.evidence import Evidence, Reading, read_evidence
from commonwatt.demo.judge.log import read_log
from commonwatt.demo.judge.mints import ExpectedMint, check_lines, check_mints, expected_mints
from commonwatt.demo.judge.places import read_feeders
from commonwatt.demo.judge.policies import Policies, read_policies
from commonwatt.demo.judge.report import BalanceLine, EnergyLine, Findings, JudgeReport, SourceLine
from commonwatt.demo.judge.settle import Claim, Settled, Settlement
from commonwatt.demo.judge.stated import corrections
from commonwatt.demo.registers import DeviceRegisters, read_registers
from commonwatt.units import INTERVAL_S


def judge(directory: Path, registers_csv: Path | None = None) -> JudgeReport:
    """Judge a commune's directory: log/, log.vkey, policy.toml, aggregator.db, demo.json and, unless another is
    named, registers.csv: what the meters replayed.

    A log that is not what its checkpoint says ends the judgement there: nothing in it can be relied on.
    """
    findings = Findings()
    published = read_log(directory / "log", directory / "log.vkey", findings)
    if published is None:
        return JudgeReport(tuple(findings.differences))
    origin, entries = published
    book = read_book(entries, findings)
    findings.expect("origin of the log in its genesis entry", origin, book.origin)
    _compare_paper(directory / "policy.toml", book, findings)
    try:
        evidence = read_evidence(directory / "aggregator.db", book.devices, findings)
    except sqlite3.Error as error:
        findings.expect("aggregator.db", "readable", str(error))
        return JudgeReport(tuple(findings.differences))
    policies = read_policies(book, evidence.closings, findings)
    _check_run_policies(book, policies, findings)
    demo = json.loads((directory / "demo.json").read_text())
    energies = _compare_registers(
        demo, read_registers(registers_csv or directory / "registers.csv"), evidence, findings
    )
    _check_nothing_in_time_was_left_out(evidence, policies, findings)
    earnings = Earnings(book, evidence, policies, read_feeders(directory / "private.db"))
    settled = _settle(book, evidence, policies, earnings)
    _compare_conclusions(settled, earnings.told, evidence, findings)
    mints = expected_mints([*settled.claims, *earnings.claims], policies, evidence.closings, corrections(book))
    check_mints(mints, book.mints, findings)
    check_lines(mints, book.mints, evidence.mint_lines, findings)
    balances = _compare_balances(mints, book, findings)
    counts = _count(entries, book, evidence, settled)
    claims = dict(_claim_text(claim) for claim in settled.claims)
    return JudgeReport(
        *(tuple(findings.differences), tuple(energies), tuple(balances), counts, claims),
        sources=tuple(_by_source(mints)),
    )


def _compare_paper(path: Path, book: Book, findings: Findings) -> None:
    """policy.toml is what people read; the log has the policies that count, and this is the last of them."""
    found = hashlib.sha256(path.read_bytes()).digest()
    findings.expect("policy.toml: hash in the log", found, book.policies[-1].sha256 if book.policies else b"")


def _check_run_policies(book: Book, policies: Policies, findings: Findings) -> None:
    for start_s, end_s, sha256 in book.run_policies:
        expected = policies.sha256_of_interval(start_s + INTERVAL_S)
        findings.expect(f"policy of the mint-run of window {start_s}..{end_s}", expected, sha256)


def _compare_registers(
    demo: Mapping[str, Any], registers: Mapping[str, DeviceRegisters], evidence: Evidence, findings: Findings
) -> list[EnergyLine]:
    """Each signed reading is a register of registers.csv; together they cover the whole run, to the Wh."""
    names = {bytes.fromhex(identifier): name for name, identifier in demo["devices"].items()}
    strangers = [device.hex() for device in evidence.readings if device not in names]
    findings.expect("devices with evidence that demo.json does not name", [], strangers)
    lines = []
    for device, name in names.items():
        source = registers[name]
        readings = sorted(evidence.readings.get(device, ()), key=lambda reading: reading.time_s)
        wrong = [r for r in readings if _expected_wh(r, source, demo["ends_s"]) != r.registers_wh]
        for reading in wrong:
            expected = _expected_wh(reading, source, demo["ends_s"])
            findings.expect(f"register of {name} at {reading.time_s}", expected, dict(reading.registers_wh))
        lines += _energies(name, source, readings, demo["starts_s"], demo["ends_s"])
    for line in lines:
        where = f"energy of {line.device}, quantity {line.quantity}, from first to last reading"
        findings.expect(where, line.registers_wh, line.evidence_wh)
    return lines


def _expected_wh(reading: Reading, source: DeviceRegisters, ends_s: int) -> dict[int, int]:
    """What a reading must show: after the run's end a meter stands still, and a register nobody feeds stays 0."""
    _, registers_wh = source.at(min(reading.time_s, ends_s))
    return dict.fromkeys(reading.registers_wh, 0) | dict(zip(source.quantities, registers_wh, strict=True))


def _energies(
    name: str, source: DeviceRegisters, readings: list[Reading], starts_s: int, ends_s: int
) -> list[EnergyLine]:
    first, last = source.at(starts_s)[1], source.at(ends_s)[1]
    lines = []
    for column, quantity in enumerate(source.quantities):
        signed = [reading.registers_wh.get(quantity, 0) for reading in readings] or [0]
        lines.append(EnergyLine(name, quantity, last[column] - first[column], signed[-1] - signed[0]))
    return lines


def _check_nothing_in_time_was_left_out(evidence: Evidence, policies: Policies, findings: Findings) -> None:
    """Which evidence a closing knew is the aggregator's word; that it knew all that came within the grace is not."""
    identifiers = [identifier for identifier, _ in evidence.received]
    earliest_s = list(accumulate((received_s for _, received_s in reversed(evidence.received)), min))[::-1]
    for closing in evidence.closings:
        deadline_s = closing.end_s + policies.of_interval(closing.end_s).grace_s
        unknown = bisect_right(identifiers, closing.evidence_id_max)
        if unknown < len(identifiers) and earliest_s[unknown] < deadline_s:
            left_out = [i for i, received_s in evidence.received[unknown:] if received_s < deadline_s]
            findings.expect(f"evidence in time for closing {closing.end_s} that was left out", [], left_out)


def _settle(book: Book, evidence: Evidence, policies: Policies, earnings: Earnings) -> Settled:
    """Close every interval again; `earnings` goes along."""
    settlement = Settlement(
        devices=book.devices,
        site_members=book.site_members,
        readings=evidence.readings,
        frozen_from=evidence.frozen_from,
        policies=policies,
        reviews=book.reviews,
        declared=evidence.declared,
        wraps=book.wraps,
        replacements=book.replacements,
    )
    for closing in evidence.closings:
        settlement.close(closing)
        earnings.close(closing, settlement)
    return settlement.settled


def _compare_conclusions(settled: Settled, told: list[Told], evidence: Evidence, findings: Findings) -> None:
    """What the aggregator concluded is what the judge concludes."""
    findings.compare(
        "closing (supply, demand, matched, unallocated)",
        {str(end_s): figures for end_s, figures in settled.figures.items()},
        {str(closing.end_s): closing.figures for closing in evidence.closings},
    )
    findings.compare(
        "claim",
        dict(_claim_text(claim) for claim in settled.claims),
        dict(_claim_text(Claim(*(*row, b""))) for row in evidence.claims),
    )
    findings.compare("held span", _held(settled.held), _held(evidence.held))
    findings.compare("answer", _answers(told), _answers(Told(*row) for row in evidence.told))


def _claim_text(claim: Claim) -> tuple[str, str]:
    name = f"{claim.device.hex()} {claim.start_s}..{claim.end_s} source {claim.source} revision {claim.revision}"
    figures = f"{claim.energy_wh} Wh, {claim.amount_mc} mc to {claim.account.hex()}, closing {claim.closing_s}"
    return name, figures


def _answers(told: Iterable[Told]) -> dict[str, str]:
    """What homes were told of savings and shifting: source, site, when, and the figures."""
    return {
        f"of source {row.source} to {row.site.hex()} from {row.start_s}, revision {row.revision}": (
            f"until {row.end_s}: reason {row.reason}, {row.expected_wh} Wh expected, {row.used_wh} used,"
            f" {row.credited_wh} credited, {row.held_wh} held, closing {row.closing_s}"
        )
        for row in told
    }


def _held(rows: list[tuple[Any, ...]]) -> dict[str, str]:
    return {
        f"{device.hex()} {start_s}..{end_s}": f"{energy_wh} Wh, reason {reason}, closing {closing_s}"
        for device, start_s, end_s, reason, energy_wh, closing_s in rows
    }


def _compare_balances(mints: list[ExpectedMint], book: Book, findings: Findings) -> list[BalanceLine]:
    """Balances by the judge's own mints and the log's transfers, against balances by replaying the log."""
    expected: dict[bytes, int] = defaultdict(int, book.transferred_mc)
    for mint in mints:
        expected[ISSUANCE] -= mint.amount_mc + mint.association_mc
        expected[mint.key[1]] += mint.amount_mc
        expected[book.association] += mint.association_mc
    accounts = sorted({*book.wallets, *expected, *book.balances_mc})
    lines = [BalanceLine(account, expected[account], book.balances_mc[account]) for account in accounts]
    for line in lines:
        findings.expect(f"balance of {line.account.hex()}", line.expected_mc, line.log_mc)
    return lines


def _by_source(mints: list[ExpectedMint]) -> Iterator[SourceLine]:
    for source in sorted({mint.key[2] for mint in mints}):
        of_it = [mint for mint in mints if mint.key[2] == source]
        amount_mc = sum(mint.amount_mc + mint.association_mc for mint in of_it)
        yield SourceLine(source, len(of_it), sum(mint.energy_wh for mint in of_it), amount_mc)


def _count(entries: list[bytes], book: Book, evidence: Evidence, settled: Settled) -> dict[str, int]:
    return {
        "entries": len(entries),
        "blocks": evidence.blocks,
        "missing blocks": evidence.missing_blocks,
        "readings": sum(len(readings) for readings in evidence.readings.values()),
        "intervals": len(evidence.closings),
        "gap intervals": len(settled.gap_intervals),
        "claims": len(settled.claims),
        "held spans": len(settled.held),
        "mints": len(book.mints),
        "mint-runs": book.runs,
        "transfers": book.transfers,
    }
