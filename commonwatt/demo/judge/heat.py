"""What heat meters counted, what of it waits, and what was released (docs/spec/settlement.md, "Heat")."""

from collections.abc import Iterator, Mapping
from itertools import pairwise

from commonwatt.demo.judge.book import Book, Device, Review
from commonwatt.demo.judge.evidence import Closing, Reading
from commonwatt.demo.judge.known import Measured
from commonwatt.demo.judge.policies import HEAT, Policy
from commonwatt.demo.judge.settle import ABOVE_RATING, BACKWARDS, FROZEN, HEAT_REGISTER, Claim, Settlement, heat_alone
from commonwatt.units import INTERVAL_S

GENERATOR = 2  # role


class Heat:
    """Goes from closing to closing."""

    def __init__(self, book: Book, measured: Measured, frozen_from: Mapping[bytes, int]) -> None:
        self._book = book
        self._measured = measured
        self._frozen_from = frozen_from
        self._until_s: dict[bytes, int] = {}
        self._log_sizes: dict[int, int] = {}
        self._earned: list[Claim] = []

    def know(self, closing: Closing) -> None:
        """Note how much of the log a closing knew."""
        self._log_sizes[closing.end_s] = closing.log_size

    def close(self, closing: Closing, policy: Policy, settlement: Settlement) -> list[Claim]:
        """What a window brings whose last interval has closed."""
        generators = [row for row in self._book.devices.values() if row.role == GENERATOR]
        claims = [
            claim
            for device in generators
            if device.index < closing.log_size
            for claim in self._counted(device, closing, policy, settlement)
        ]
        self._earned += claims
        first = self._log_sizes.get(closing.end_s - policy.window_s, 0)
        for review in settlement.decided:
            device = self._book.devices[review.device]
            if first <= review.index < closing.log_size and review.is_granted and device.role == GENERATOR:
                claims += self._released(device, review, closing, settlement)
        return claims

    def _counted(self, device: Device, closing: Closing, policy: Policy, settlement: Settlement) -> Iterator[Claim]:
        from_s = self._until_s.get(device.id, closing.end_s - policy.window_s)
        found = (
            self._measured.reading(device.id, at, closing) for at in range(from_s, closing.end_s + 1, INTERVAL_S)
        )
        known = [row for row in found if row is not None and HEAT_REGISTER in row.registers_wh]
        if known:
            self._until_s[device.id] = known[-1].time_s
        held = [(row[1], row[2]) for row in settlement.settled.held if row[0] == device.id]
        for before, after in pairwise(known):
            if any(start_s < after.time_s and before.time_s < end_s for start_s, end_s in held):
                continue
            grown_wh = after.registers_wh[HEAT_REGISTER] - before.registers_wh[HEAT_REGISTER]
            reason = self._reason(device, grown_wh, after.time_s - before.time_s, closing)
            if reason:
                settlement.hold_heat(device, (before.time_s, after.time_s), grown_wh, reason, closing, after)
            elif grown_wh:
                revision = int(after.time_s - before.time_s > INTERVAL_S)
                yield self._claim(device, (before.time_s, after.time_s), revision, grown_wh, closing, after)

    def _reason(self, device: Device, grown_wh: int, length_s: int, closing: Closing) -> int | None:
        if grown_wh < 0:
            return BACKWARDS
        if grown_wh > -(-device.rated_power_w * length_s // 3600) + 1:
            return ABOVE_RATING
        is_frozen = self._frozen_from.get(device.id, closing.conflict_id_max + 1) <= closing.conflict_id_max
        return FROZEN if is_frozen else None

    def _released(self, device: Device, review: Review, closing: Closing, settlement: Settlement) -> Iterator[Claim]:
        (end_s,) = (row[2] for row in settlement.settled.held if row[:2] == (device.id, review.start_s))
        before, after = (self._measured.reading(device.id, at, closing) for at in (review.start_s, end_s))
        if before is None or after is None:
            return
        if HEAT_REGISTER not in before.registers_wh or HEAT_REGISTER not in after.registers_wh:
            return
        true_wh = after.registers_wh[HEAT_REGISTER] - before.registers_wh[HEAT_REGISTER]
        if review.energy_wh is not None and heat_alone(after):
            true_wh = review.energy_wh
        within = (
            row.energy_wh
            for row in self._earned
            if row.device == device.id and row.start_s >= review.start_s and row.end_s <= end_s
        )
        energy_wh = true_wh - sum(within)
        if energy_wh > 0:
            claim = self._claim(device, (review.start_s, end_s), 2, energy_wh, closing, after)
            self._earned.append(claim)
            yield claim

    def _claim(
        self, device: Device, span_s: tuple[int, int], revision: int, wh: int, closing: Closing, after: Reading
    ) -> Claim:
        account = self._book.site_members[device.site]
        place = (device.id, *span_s, HEAT, revision)
        return Claim(*place, wh, 0, account, closing.end_s, after.block_sha256, device.grade)
