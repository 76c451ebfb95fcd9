"""Leaves in columns are the leaves of the plain encoder, byte for byte, and runs of them meet the same rules."""

import tempfile
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commonwatt.errors import FormatError
from commonwatt.units import INT64_MAX
from ledger import app, testing
from ledger.book import mint, mint_arrays, mint_bulk
from ledger.book.kinds import ISSUANCE
from ledger.book.line_arrays import LineArrays
from ledger.book.measures import Hold, Release
from ledger.book.mint import Line, Mint
from ledger.book.mint_arrays import MintArrays
from ledger.book.refusals import Refusal
from ledger.log import merkle
from ledger.log.note import Signer
from ledger.log.tiles import TileTree
from ledger.sequencer import Placed, Refused, Sequencer

NAMES = ("ana", "ben", "cem", "association")
LEAF = testing.earned("ana", 900, 100)
uints = st.one_of(*(st.integers(0, 2**bits - 1) for bits in (5, 8, 16, 32, 63)))
ids = st.binary(min_size=16, max_size=16)


@st.composite
def leaves_of_one_window(draw: Any) -> list[Mint]:
    """Well-formed leaves with integers of every width."""
    start_s = draw(st.integers(0, INT64_MAX - 1))
    end_s = draw(st.integers(start_s + 1, INT64_MAX))
    roots = st.binary(min_size=32, max_size=32)
    leaf = st.builds(Mint, ids, ids, st.integers(1, 2), st.just(start_s), st.just(end_s), *[uints] * 4, roots)
    return draw(st.lists(leaf, min_size=1, max_size=12))


signed_ints = st.one_of(uints, uints.map(lambda value: -value))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.lists(
        st.builds(Line, ids, ids, *[uints] * 3, signed_ints, signed_ints, st.binary(min_size=32, max_size=32)),
        min_size=1,
        max_size=8,
    )
)
def test_lines_when_encoded_in_columns(lines: list[Line]) -> None:
    """The hashes are those of the plain encoder, also of what takes something back."""
    columns = [[getattr(line, field.name) for line in lines] for field in fields(Line)]
    octets = {0: 16, 1: 16, 7: 32}
    arrays = LineArrays(
        *(
            np.frombuffer(b"".join(column), dtype=np.uint8).reshape(-1, octets[at])
            if at in octets
            else np.array(column, dtype=np.int64)
            for at, column in enumerate(columns)
        )
    )
    assert [arrays.line(row) for row in range(len(arrays))] == lines
    assert arrays.leaf_hashes() == [merkle.leaf_hash(line.encode()) for line in lines]


@settings(max_examples=150, deadline=None, derandomize=True)
@given(leaves_of_one_window())
def test_leaves_when_encoded_in_columns(leaves: list[Mint]) -> None:
    """Bytes, frames and leaf hashes are those of the plain encoder, and the columns are read back from them."""
    arrays = mint_arrays.from_leaves(leaves)
    plain = [leaf.encode() for leaf in leaves]
    encoded = arrays.encode()
    assert [encoded.leaf(row) for row in range(len(encoded))] == plain
    assert encoded.leaf_hashes() == [merkle.leaf_hash(data) for data in plain]
    tree = TileTree()
    tree.extend(encoded.framed, encoded.leaf_hashes())
    other = TileTree()
    for data in plain:
        other.append(data, merkle.leaf_hash(data))
    assert tree.partials() == other.partials()
    again = mint_arrays.parse(plain)
    assert again is not None
    assert [again.leaf(row) for row in range(len(again))] == leaves


@settings(max_examples=150, deadline=None, derandomize=True)
@given(leaves_of_one_window(), st.data())
def test_leaves_when_their_bytes_are_changed(leaves: list[Mint], data: Any) -> None:
    """Columns are read from exactly those bytes that the plain parser reads."""
    entries = [leaf.encode() for leaf in leaves]
    row = data.draw(st.integers(0, len(entries) - 1))
    changed = bytearray(entries[row])
    at = data.draw(st.integers(0, len(changed) - 1))
    match data.draw(st.sampled_from(["set", "cut", "insert", "end"])):
        case "set":
            changed[at] = data.draw(st.integers(0, 255))
        case "cut":
            del changed[at]
        case "insert":
            changed.insert(at, data.draw(st.integers(0, 255)))
        case "end":
            del changed[at:]
    entries[row] = bytes(changed)
    found = mint_arrays.parse(entries)
    try:
        expected = [mint.parse(entry) for entry in entries]
    except FormatError:
        assert found is None
        return
    if len({(leaf.window_start_s, leaf.window_end_s) for leaf in expected}) > 1:
        assert found is None
        return
    assert found is not None
    assert [found.leaf(row) for row in range(len(found))] == expected


def test_entries_when_they_are_no_leaves() -> None:
    """Anything else has no columns."""
    for entries in ([], [b""], [b"x" * 100], [LEAF.encode(), testing.GENESIS], [b"\x8c" * 91]):
        assert mint_arrays.parse(entries) is None


amounts_mc = st.sampled_from([0, 1, 7, 1000, 2**40, INT64_MAX])
runs = st.lists(
    st.tuples(
        st.integers(0, 3),  # the window
        st.lists(
            st.tuples(st.sampled_from([*NAMES, "nobody"]), amounts_mc, amounts_mc, st.integers(1, 2)),
            min_size=1,
            max_size=5,
        ),
        st.sampled_from(["aggregator"] * 5 + ["steward"]),
        st.sampled_from([testing.POLICY.sha256] * 5 + [bytes(32)]),
        st.integers(0, 6),  # the run's id
    ),
    max_size=6,
)


def submit(ledger: Sequencer, run: Any, *, in_columns: bool) -> Placed | Refused:
    """Submit one run through one of the doors."""
    window, rows, signer, policy_sha256, number = run
    leaves = [testing.earned(name, *amounts, window=window, source=source) for name, *amounts, source in rows]
    common = {"policy_sha256": policy_sha256, "time_s": testing.TIME_S, "key": testing.key(signer)}
    if in_columns:
        return ledger.mint_arrays(testing.ident(f"run {number}"), mint_arrays.from_leaves(leaves), **common)
    start_s = testing.TIME_S + window * testing.WINDOW_S
    times = {"window_start_s": start_s, "window_end_s": start_s + testing.WINDOW_S}
    return ledger.mint(testing.ident(f"run {number}"), leaves, **common, **times)


@settings(max_examples=12, deadline=None, derandomize=True)
@given(runs)
def test_runs_when_in_columns(story: list[Any]) -> None:
    """Both doors give the same answers, the same log, the same balances and the same published files."""
    with tempfile.TemporaryDirectory() as folder:
        plain = testing.village(Path(folder) / "plain", *NAMES[:3])
        columns = testing.village(Path(folder) / "columns", *NAMES[:3])
        with plain, columns:
            for run in story:
                answers = [submit(ledger, run, in_columns=ledger is columns) for ledger in (plain, columns)]
                assert answers[0] == answers[1]
                assert plain.state.digest() == columns.state.digest()
            assert plain.publish() == columns.publish()
        files = [
            {path.relative_to(log): path.read_bytes() for path in log.rglob("*") if path.is_file()}
            for log in (Path(folder) / "plain" / "log", Path(folder) / "columns" / "log")
        ]
        assert files[0] == files[1]


def test_run_when_some_of_it_is_held(tmp_path: Path) -> None:
    """A hold elsewhere stops no column; the held leaf is named, left out, and minted after its release."""
    digests = []
    for in_columns in (False, True):
        with testing.village(tmp_path / str(in_columns), *NAMES[:3]) as ledger:
            window = (testing.TIME_S, testing.TIME_S + testing.WINDOW_S)
            hold = Hold(testing.ident("ana"), 1, *window, 5, "odd")
            ledger.submit([testing.signed(hold, "steward", entry_id="hold")])
            leaves = mint_arrays.from_leaves([testing.earned(name, 5) for name in ("ben", "ana", "cem")])
            other_window = mint_arrays.from_leaves([testing.earned("ana", 5, window=1)])
            other_source = mint_arrays.from_leaves([testing.earned("ana", 5, source=2)])
            assert ledger.are_held(leaves).tolist() == [False, True, False]
            assert not ledger.are_held(other_window).any()
            assert not ledger.are_held(other_source).any()
            assert mint_bulk.credits_of(ledger.state, leaves) is None
            assert submit_arrays(ledger, leaves, 1, in_columns=in_columns) == Refused(Refusal.CLAIM_HELD, leaf=1)
            free = leaves.kept(~ledger.are_held(leaves))
            assert mint_bulk.credits_of(ledger.state, free) is not None
            assert isinstance(submit_arrays(ledger, free, 2, in_columns=in_columns), Placed)
            assert isinstance(submit_arrays(ledger, other_window, 3, in_columns=in_columns), Placed)
            ledger.submit([testing.signed(Release(testing.entry_id("hold"), True, "seen"), "steward")])
            assert not ledger.are_held(leaves).any()
            late = leaves.kept(np.array([False, True, False]))
            assert mint_bulk.credits_of(ledger.state, late) is None  # a window after later ones: one by one
            assert isinstance(submit_arrays(ledger, late, 4, in_columns=in_columns), Placed)
            digests.append(ledger.state.digest())
    assert digests[0] == digests[1]


def test_rows_when_they_are_taken_out() -> None:
    """Some of them, in order; a slice may reach past the end."""
    leaves = [testing.earned(name, 5) for name in NAMES]
    arrays = mint_arrays.from_leaves(leaves)

    def rows(part: MintArrays) -> list[Mint]:
        return [part.leaf(row) for row in range(len(part))]

    assert rows(arrays.slice(1, 3)) == leaves[1:3]
    assert rows(arrays.slice(2, 100)) == leaves[2:]
    assert rows(arrays.slice(0, 0)) == []
    assert rows(arrays.kept(np.array([True, False, False, True]))) == [leaves[0], leaves[3]]


def submit_arrays(ledger: Sequencer, leaves: MintArrays, number: int, *, in_columns: bool) -> Placed | Refused:
    """Submit a run through one of the doors."""
    common: Any = {"policy_sha256": testing.POLICY.sha256, "time_s": 0, "key": testing.key("aggregator")}
    if in_columns:
        return ledger.mint_arrays(testing.ident(f"run {number}"), leaves, **common)
    times = {"window_start_s": leaves.window_start_s, "window_end_s": leaves.window_end_s}
    return ledger.mint(
        testing.ident(f"run {number}"), [leaves.leaf(n) for n in range(len(leaves))], **common, **times
    )


def arrays_with(**columns: Any) -> MintArrays:
    """Three leaves of ana, ben and cem with some columns replaced."""
    return replace(mint_arrays.from_leaves([testing.earned(name, 5, 1) for name in NAMES[:3]]), **columns)


def column(*values: int) -> mint_arrays.Integers:
    return np.array(values, dtype=np.int64)


ISSUER = mint_arrays.octets([testing.ident("ana"), ISSUANCE, testing.ident("cem")], 16)
TWICE = mint_arrays.octets([testing.ident("ana"), testing.ident("ben"), testing.ident("ana")], 16)


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({"sources": column(1, 7, 1)}, Refused(Refusal.MALFORMED, leaf=1)),
        ({"energy_wh": column(1, 1, -1)}, Refused(Refusal.MALFORMED, leaf=2)),
        ({"window_end_s": testing.TIME_S}, Refused(Refusal.MALFORMED, leaf=0)),
        ({"account_ids": ISSUER}, Refused(Refusal.UNKNOWN_ACCOUNT, leaf=1)),
        ({"account_ids": TWICE}, Refused(Refusal.WINDOW_MINTED, leaf=2)),
        ({"amount_mc": column(1, 1, INT64_MAX)}, Refused(Refusal.OVERFLOW, leaf=2)),
        ({"energy_wh": column(INT64_MAX, 1, 1)}, Refused(Refusal.OVERFLOW, leaf=1)),
        ({"amount_mc": column(0, 0, 0), "association_mc": column(1, 1, 0)}, Refused(Refusal.AMOUNT_ZERO, leaf=2)),
    ],
)
def test_run_when_a_row_is_refused(tmp_path: Path, changes: dict[str, Any], refused: Refused) -> None:
    """The answer names the leaf and the refusal as the plain door does, and nothing is changed."""
    with testing.village(tmp_path, *NAMES[:3]) as ledger:
        before, size = ledger.state.digest(), ledger.size
        answer = ledger.mint_arrays(
            testing.ident("run"),
            arrays_with(**changes),
            policy_sha256=testing.POLICY.sha256,
            time_s=testing.TIME_S,
            key=testing.key("aggregator"),
        )
        assert answer == refused
        assert (ledger.state.digest(), ledger.size) == (before, size)


@pytest.mark.parametrize(
    "changes",
    [
        {"amount_mc": np.array([1.5, 1.0, 1.0])},
        {"amount_mc": np.array([1, 1, 2**63], dtype=np.uint64)},
        {"amount_mc": np.array([1, 1, 1], dtype=np.int32)},
        {"amount_mc": np.array([1, 1, 1], dtype=">i8")},
        {"amount_mc": column(1, 1)},
        {"energy_wh": column(1, 1, 1, 1)},
        {"lines": column(1, 1, 1)[:, None]},
        {"nonces": np.zeros((2, 16), dtype=np.uint8)},
        {"account_ids": np.zeros((3, 15), dtype=np.uint8)},
        {"lines_roots": np.zeros((3, 32), dtype=np.int8)},
    ],
)
def test_run_when_a_column_is_none(tmp_path: Path, changes: dict[str, Any]) -> None:
    """A fraction is not cut off, a number does not wrap and a row is not left out: the run is refused as a whole."""
    with testing.village(tmp_path, *NAMES[:3]) as ledger:
        before, size = ledger.state.digest(), ledger.size
        answer = ledger.mint_arrays(
            testing.ident("run"),
            arrays_with(**changes),
            policy_sha256=testing.POLICY.sha256,
            time_s=testing.TIME_S,
            key=testing.key("aggregator"),
        )
        assert answer == Refused(Refusal.MALFORMED)
        assert (ledger.state.digest(), ledger.size) == (before, size)


def test_run_when_at_the_edge_of_a_tile(tmp_path: Path) -> None:
    """Runs of no, one, 255, 256 and 257 leaves, one after the other, are those of the plain door."""
    names = [f"member {number}" for number in range(257)]
    found = []
    for door in ("plain", "columns"):
        with testing.village(tmp_path / door, *names) as ledger:
            answers: list[Placed | Refused] = []
            for window, count in enumerate((1, 255, 256, 257)):
                rows = [(name, 2**63 - 1 >> 20, window, 2) for name in names[:count]]
                run = (window, rows, "aggregator", testing.POLICY.sha256, window)
                answers.append(submit(ledger, run, in_columns=door == "columns"))
            found.append((answers, ledger.state.digest(), ledger.publish()))
            empty = replace(arrays_with(), **{name: value[:0] for name, value in columns_of(arrays_with()).items()})
            nothing = ledger.mint_arrays(
                testing.ident("none"),
                empty,
                policy_sha256=testing.POLICY.sha256,
                time_s=testing.TIME_S,
                key=testing.key("aggregator"),
            )
            assert nothing == Refused(Refusal.RUN_RANGE)
            assert ledger.state.digest() == found[-1][1]
        with app.open_parts(tmp_path / door, Signer(testing.ORIGIN, testing.LOG_KEY)) as ledger:
            assert ledger.state.digest() == found[-1][1]
    assert found[0] == found[1]
    assert [answer.place for answer in found[0][0] if isinstance(answer, Placed)] == [261, 517, 774, 1032]


def columns_of(arrays: MintArrays) -> dict[str, Any]:
    """Those of its fields that have a row for each leaf."""
    rows = {field.name: getattr(arrays, field.name) for field in fields(arrays)}
    return {name: value for name, value in rows.items() if isinstance(value, np.ndarray)}


def test_run_when_larger_than_a_tile(tmp_path: Path) -> None:
    """A run of several tiles is in the log as the plain door would write it, also after a restart."""
    names = [f"member {number}" for number in range(600)]
    digests, checkpoints = [], []
    for door in ("plain", "columns"):
        with testing.village(tmp_path / door, *names) as ledger:
            rows = [(name, 10 + number * 37, number, 1) for number, name in enumerate(names)]
            answer = submit(ledger, (0, rows, "aggregator", testing.POLICY.sha256, 1), in_columns=door == "columns")
            assert answer == Placed(603 + 600)
            digests.append(ledger.state.digest())
            checkpoints.append(ledger.publish())
    assert digests[0] == digests[1]
    assert checkpoints[0] == checkpoints[1]
