"""A data set that never changes: fifteen days of a commune of 60 homes in spring, across the change of clocks.

Every measurement, tag and field of docs/spec/telemetry.md is there, in round numbers, so that what a panel shows can
be worked out with a pencil. Names have quotes, apostrophes, slashes and commas, as places do. Times are Unix seconds.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from aggregator.telemetry.measurements import FACETS
from commonwatt.units import INTERVAL_S

DATABASE, COMMUNE, ZONE = "fixed", "solville", ZoneInfo("Europe/Paris")
DAYS = [datetime(2026, 3, 16, tzinfo=ZONE) + timedelta(days=day) for day in range(15)]
START_S, END_S = int(DAYS[0].timestamp()), int((DAYS[-1] + timedelta(days=1)).timestamp())
SAMPLE_S = 2 * 3600

FEEDERS = {"Mill Lane": 5, "L'Église": 3, 'Zone "A", north/1': 2}
"""Tenths of the commune's energy."""
TRANSFORMERS = {"T1": 8, "T2": 2}
QUARTERS = {"Old Town": 5, "Les Prés": 5}
RATINGS_W = {"Mill Lane": 10_000, "L'Église": 8_000, 'Zone "A", north/1': 4_000, "T1": 16_000, "T2": 5_000}
GATEWAYS = ("a1b2c3d4", "mairie, 2 & co")


def lines() -> list[str]:
    """Everything, as line protocol with seconds."""
    return [*_energy(), *_days(), *_sampled(), *_rare(), *_home()]


def places() -> Iterator[tuple[str, str, int]]:
    """Level, place, and its tenths of the commune."""
    yield "commune", COMMUNE, 10
    for level, shares in (("quarter", QUARTERS), ("transformer", TRANSFORMERS), ("feeder", FEEDERS)):
        for place, tenths in shares.items():
            yield level, place, tenths


def solar_wh(at: datetime, tenths: int = 10) -> int:
    """What a quarter of an hour makes: a tent from 6 to 18 o'clock, by tenths more through a week, and half as much
    again in each further one."""
    height, week = max(0, 6 - abs(at.hour - 12)), (at.date() - DAYS[0].date()).days // 7
    return tenths * 10 * height * (10 + at.weekday() + 5 * week)


def used_wh(at: datetime, tenths: int = 10) -> int:
    """What a quarter of an hour uses: more in the evening."""
    return tenths * (400 if 18 <= at.hour < 22 else 200)


def energies(solar: int, used: int) -> dict[str, int]:
    """The fields of energy that follow from what was made and used."""
    drawn, fed = max(0, used - solar), max(0, solar - used)
    matched = min(used, solar) // 4
    return {
        "supply_wh": fed + matched,
        "demand_wh": drawn + matched,
        "matched_wh": matched,
        "unallocated_wh": fed,
        "import_wh": drawn + matched,
        "export_wh": fed + matched,
        "solar_wh": solar,
        "used_wh": used,
    }


def ratios(fields: Mapping[str, int]) -> dict[str, int]:
    """What was used here of what was made, and made here of what was used."""
    here = fields["solar_wh"] - fields["export_wh"] + fields["matched_wh"]
    return {
        "self_consumption_permille": here * 1000 // fields["solar_wh"] if fields["solar_wh"] else 0,
        "self_sufficiency_permille": here * 1000 // fields["used_wh"],
    }


def loads(net_wh: int, place: str) -> dict[str, int]:
    """Power towards the homes and back, beside the rating where there is one."""
    load_w, reverse_w = max(0, net_wh) * 4, max(0, -net_wh) * 4
    rating_w = RATINGS_W.get(place)
    rated = rating_w and {
        "rating_w": rating_w,
        "load_permille": load_w * 1000 // rating_w,
        "reverse_permille": reverse_w * 1000 // rating_w,
    }
    return {"load_w": load_w, "reverse_w": reverse_w, **(rated or {})}


def _energy() -> Iterator[str]:
    for start_s in range(START_S, END_S, INTERVAL_S):
        at = datetime.fromtimestamp(start_s, ZONE)
        for level, place, tenths in places():
            fields = energies(solar_wh(at, tenths), used_wh(at, tenths))
            fields |= loads(fields["import_wh"] - fields["export_wh"], place) | ratios(fields) | _behind(tenths)
            yield line("energy_15m", {"level": level, "place": place}, fields, start_s)


def _behind(tenths: int) -> dict[str, int]:
    return {"sites": 6 * tenths - 1, "sites_expected": 6 * tenths, "completeness_permille": 980}


def _days() -> Iterator[str]:
    for day in DAYS:
        start_s, end_s = int(day.timestamp()), int((day + timedelta(days=1)).timestamp())
        times = [datetime.fromtimestamp(at_s, ZONE) for at_s in range(start_s, end_s, INTERVAL_S)]
        for level, place, tenths in places():
            parts = [energies(solar_wh(at, tenths), used_wh(at, tenths)) for at in times]
            fields = {name: sum(part[name] for part in parts) for name in parts[0]}
            load = max(
                (loads(part["import_wh"] - part["export_wh"], place) for part in parts), key=lambda row: row["load_w"]
            )
            told = {"intervals": len(times), "intervals_expected": len(times)}
            of_place = {"level": level, "place": place}
            yield line("energy_1d", of_place, fields | load | ratios(fields) | _behind(tenths) | told, start_s)
            impact = {
                "co2_avoided_g": fields["solar_wh"] * 50 // 1000,
                "co2_imported_g": fields["import_wh"] * 50 // 1000,
                "factor_ug_per_wh": 50_000,
                "hourly_permille": 1000,
                "participation_permille": 600,
                **ratios(fields),
                **{name: count for name, count in _behind(tenths).items() if name.startswith("sites")},
            }
            yield line("impact_1d", of_place, impact, start_s, texts={"factor_source": "RTE éCO2mix"})


def _sampled() -> Iterator[str]:
    """Counters grow by the same amount every sample; gauges stay."""
    for number, at_s in enumerate(range(START_S, END_S, SAMPLE_S)):
        yield from sample(number, at_s)


def sample(number: int, at_s: int) -> list[str]:
    """Everything that is sampled, as it is the nth time."""
    return [line(measurement, tags, fields, at_s) for measurement, tags, fields in _samples(number)]


def _samples(n: int) -> Iterator[tuple[str, dict[str, str], dict[str, int]]]:
    for unit, mc in (("energy", 900_000), ("euro", 200_000)):
        money = {"outstanding_mc": mc, "covered_mc": mc * 11 // 10, "coverage_permille": 1100}
        money |= {"coverage_permille_min": 1000} | ({"velocity_permille_min": 20} if unit == "energy" else {})
        yield (
            "money",
            {"unit": unit},
            money | {"turnover_mc": n * 100, "turnover_30d_mc": mc // 4, "velocity_permille": 250},
        )
    for reason, spans in (("backwards", 3), ("above-rating", 2)):
        yield "held", {"reason": reason}, {"spans": spans, "energy_wh": spans * 500}
    for reason in ("too-few-sites", "dominated", "differs-by-few"):
        yield "withheld", {"reason": reason}, {"figures": n * 2}
    yield (
        "ledger",
        {},
        {"log_size": 1000 + n, "checkpoint_size": 1000 + n, "checkpoint_age_s": 40, "outbox_runs": n % 2},
    )
    for witness, behind in (("townhall", 0), ("association", n % 5)):
        yield "witness", {"witness": witness}, {"cosigned_size": 1000, "behind_entries": behind, "cosigned_age_s": 60}
    for facet, names in {**FACETS, "firmware": ("1.4.0", "1.3.2")}.items():
        for place, name in enumerate(names):
            yield "fleet", {"facet": facet, "class": name}, {"devices": 110 >> 2 * place}
    for gateway in GATEWAYS:
        yield "gateway", {"gateway": gateway}, _gateway(n)
        volts = {"voltage_mv_min": 228_400, "voltage_mv_max": 241_700, "meters": 12}
        yield "grid", {"gateway": gateway}, volts | {"frequency_mhz_min": 49_970, "frequency_mhz_max": 50_020}
    for reason in ("unknown-device", "bad-signature"):
        yield "refused", {"reason": reason}, {"blocks": n}
    yield (
        "pipeline",
        {},
        {
            "batches_received": n * 50,
            "batches_dropped": 0,
            "blocks_received": n * 5000,
            "blocks_accepted": n * 4990,
            "blocks_duplicate": n * 8,
            "blocks_refused": n * 2,
            "readings": n * 80_000,
            "signatures_per_min": 120,
            "intervals_closed": n * 8,
            "windows_minted": n // 12,
            "frozen_devices": 0,
            "held": 5,
            "log_size": 1000 + n,
            "disk_free_bytes": 50 * 10**9,
        },
    )
    yield (
        "telemetry",
        {},
        {
            "points_written": n * 900,
            "points_waiting": 12,
            "points_aside": 1,
            "points_skipped": 0,
            "requests_retried": n // 10,
            "behind_s": 300,
            "up": 1,
        },
    )
    yield "telemetry_aside", {"reason": "field type conflict"}, {"points": 1}


def _gateway(n: int) -> dict[str, int]:
    return {
        "up": 1,
        "heard_age_s": 20,
        "spool_blocks": 30,
        "spool_waiting": 4,
        "spool_bytes": 30_000,
        "spool_bytes_max": 10**9,
        "spool_age_s": 90,
        "disk_free_bytes": 10**10,
        "blocks_received": n * 2500,
        "blocks_refused": 0,
        "batches_resent": 1,
        "clock_trusted": 1,
        "clock_jumps": 0,
        "clock_skew_ms": 40,
        "devices_online": 55,
        "devices_offline": 4,
        "meters_ok": 6,
        "meters_silent": 0,
        "meters_doubtful": 0,
    }


def _rare() -> Iterator[str]:
    for day in DAYS:
        end_s = int((day + timedelta(days=1)).timestamp())
        for source, policy, energy_wh in (("matched", "1", 40_000), ("shifting", "2", 5_000)):
            fields = {"energy_wh": energy_wh, "amount_mc": energy_wh * 9 // 10, "association_mc": energy_wh // 10}
            told = fields | {"total_mc": energy_wh, "mints": 50, "sites": 40}
            yield line("mint", {"source": source, "policy": policy}, told, end_s - 1)
    noon_s = int(DAYS[12].timestamp()) + 12 * 3600
    for number, kind in enumerate(("surplus", "peak")):
        start_s = noon_s + number * 7 * 3600
        asked = {
            "asked_s": start_s - 86_400,
            "start_s": start_s,
            "end_s": start_s + 7200,
            "notice_s": 86_400,
            "sites_asked": 60,
        }
        came = {"sites": 30, "expected_wh": 48_000, "used_wh": 60_000 if kind == "surplus" else 36_000}
        tags = {"request": str(700 + number), "kind": kind, "level": "commune", "place": COMMUNE}
        yield line("request", tags, asked | came | {"shifted_wh": 12_000, "reward_mc": 6_000}, start_s)
    for kind, text in (("policy", "policy 2 is in force"), ("firmware", 'firmware "1.4.0" is offered')):
        yield line("event", {"kind": kind}, {"count": 1}, noon_s, texts={"text": text})


def _home() -> Iterator[str]:
    """A home with a hundredth of the commune, in the same database: its measurements have names of their own."""
    for day in DAYS:
        start_s, end_s = int(day.timestamp()), int((day + timedelta(days=1)).timestamp())
        total: dict[str, int] = {}
        for at_s in range(start_s, end_s, INTERVAL_S):
            at = datetime.fromtimestamp(at_s, ZONE)
            all_told = energies(solar_wh(at, 1) // 10, used_wh(at, 1) // 10)
            fields = {
                name: all_told[name] for name in ("import_wh", "export_wh", "solar_wh", "used_wh", "matched_wh")
            }
            yield line("home_15m", {}, fields, at_s)
            total = {name: total.get(name, 0) + wh for name, wh in fields.items()}
        count = (end_s - start_s) // INTERVAL_S
        told = {"earned_mc": total["matched_wh"], "intervals": count, "intervals_expected": count}
        yield line("home_1d", {}, total | ratios(total) | told, start_s)


def line(
    measurement: str,
    tags: Mapping[str, str],
    fields: Mapping[str, int],
    at_s: int,
    texts: Mapping[str, str] | None = None,
) -> str:
    """A point in line protocol."""
    head = ",".join(
        [measurement, *(f"{name}={_escaped(text)}" for name, text in {"commune": COMMUNE, **tags}.items())]
    )
    quoted = {name: '"' + text.replace('"', '\\"') + '"' for name, text in (texts or {}).items()}
    body = ",".join([f"{name}={value}i" for name, value in fields.items()] + [f"{n}={t}" for n, t in quoted.items()])
    return f"{head} {body} {at_s}"


def _escaped(tag: str) -> str:
    return tag.replace("\\", "\\\\").replace(" ", "\\ ").replace(",", "\\,").replace("=", "\\=")
