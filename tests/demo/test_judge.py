"""The judge lets honest books pass and names each falsification; its own imports show its independence."""

import ast
import hashlib
import sqlite3
import zlib
from pathlib import Path

import pytest

from commonwatt.demo import judge as package
from commonwatt.demo.judge.__main__ import main
from commonwatt.demo.judge.judge import judge
from commonwatt.testing_pages import page_of, rows_of

IN_TIME_S = 1_721_606_400 + 3600
"""The end of the last interval: what is received then is in time for its closing."""


def judged(directory):
    """The verdict, and all differences as one text."""
    report = judge(directory, directory / "registers.csv")
    return report, "\n".join(map(str, report.differences))


def execute(directory, statement, *values):
    with sqlite3.connect(directory / "aggregator.db") as database:
        assert database.execute(statement, values).rowcount == 1
    database.close()


def change_page(directory, table, before_wh, after_wh):
    """Let a claim or a line say another energy than before."""
    with sqlite3.connect(directory / "aggregator.db") as database:
        for rowid, data in database.execute(f"SELECT rowid, columns FROM {table}").fetchall():
            rows = rows_of(data)
            for row in rows:
                row["energy_wh"] = after_wh if row["energy_wh"] == before_wh else row["energy_wh"]
            again = page_of(list(rows[0]), [list(row.values()) for row in rows])
            database.execute(f"UPDATE {table} SET columns = ? WHERE rowid = ?", (again, rowid))
    database.close()


def test_judge_imports_nothing_of_what_it_judges():
    """It knows the registers, the units and how to speak French; nothing that reads blocks, entries or claims."""
    allowed = ("commonwatt.demo.judge", "commonwatt.demo.registers", "commonwatt.i18n", "commonwatt.units")
    for path in Path(package.__path__[0]).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            ours = [name for name in names if name.split(".")[0] in ("commonwatt", "aggregator", "ledger", "gateway")]
            assert all(name.startswith(allowed) for name in ours), (path.name, ours)


def test_books_settled_by_hand_balance(tiny, tmp_path):
    """A gap, a larger remainder and a transfer: the judge comes to the figures that were worked out on paper."""
    report, differences = judged(tiny.write(tmp_path))
    assert differences == ""
    assert report.balanced
    balances = {line.account: line.log_mc for line in report.balances}
    names = {
        name: hashlib.sha256(b"id " + name.encode()).digest()[:16] for name in ("sun", "a", "baker", "association")
    }
    assert {name: balances[account] for name, account in names.items()} == {
        "sun": 802,
        "a": 84,
        "baker": 1000,
        "association": 215,
    }
    assert balances[bytes(16)] == -2161
    assert (report.counts["missing blocks"], report.counts["gap intervals"]) == (1, 2)


def test_judge_names_a_claim_that_is_one_watt_hour_more(tiny, tmp_path):
    """In the aggregator's own table."""
    directory = tiny.write(tmp_path)
    change_page(directory, "claim_page", 303, 304)
    _, differences = judged(directory)
    assert "claim" in differences
    assert "expected 303 Wh" in differences
    assert "found 304 Wh" in differences


def test_judge_names_a_leaf_that_is_one_milli_credit_more(tiny, falsify, tmp_path):
    """Even when run, root, checkpoint and signatures all agree with the leaf."""
    falsify(tiny, 0, amount_mc=1803)
    _, differences = judged(tiny.write(tmp_path))
    assert "expected until" in differences
    assert "2503 Wh, 1802 mc" in differences
    assert "balance of" in differences


def test_judge_names_a_leaf_that_is_missing(tiny, tmp_path):
    """Somebody earned, and nobody minted."""
    tiny.mints.pop()
    _, differences = judged(tiny.write(tmp_path))
    assert "334 Wh, 60 mc and 6 mc to the association, 2 lines, found none" in differences


def test_judge_names_a_leaf_too_many(tiny, tmp_path):
    """The same mint twice."""
    tiny.mints.append(tiny.mints[0])
    report, differences = judged(tiny.write(tmp_path))
    assert "an id of their own" in differences
    assert "mints with a window, account and source of their own" in differences
    assert not report.balanced


def test_judge_names_a_wrong_association_share(tiny, falsify, tmp_path):
    """One milli-credit moved from the association to the member; the total is right."""
    falsify(tiny, 1, amount_mc=85, association_mc=8)
    _, differences = judged(tiny.write(tmp_path))
    assert "84 mc and 9 mc to the association" in differences
    assert "85 mc and 8 mc to the association" in differences


def test_judge_names_a_register_that_no_meter_showed(tiny, tmp_path):
    """The device signed something else than it measured."""
    tiny.registers["a-main", 1] = [100, 200, 300, 601, 800]
    _, differences = judged(tiny.write(tmp_path))
    assert "register of a-main at 1721609100: expected {1: 600}, found {1: 601}" in differences


def test_judge_names_evidence_that_came_in_time_and_was_left_out(tiny, tmp_path):
    """The aggregator closed an interval without a block that it had."""
    directory = tiny.write(tmp_path)
    execute(directory, f"UPDATE closing SET evidence_id_max = 3 WHERE end_s = {IN_TIME_S}")
    _, differences = judged(directory)
    assert (
        f"evidence in time for closing {IN_TIME_S} that was left out: expected [], found [4, 5, 6, 7, 8]"
        in differences
    )


def test_judge_names_energy_that_is_missing_at_the_end(tiny, tmp_path):
    """The last block of a device never arrived."""
    directory = tiny.write(tmp_path)
    execute(directory, "DELETE FROM evidence_page WHERE page = 5")
    _, differences = judged(directory)
    assert "energy of b-main, quantity 1, from first to last reading: expected 901, found 100" in differences


def test_judge_names_a_broken_chain(tiny, tmp_path):
    """A block that names no block before it."""
    tiny.break_chain_of = "sun-main"
    _, differences = judged(tiny.write(tmp_path))
    assert "seq 1: prev" in differences


def test_judge_names_a_block_that_the_device_did_not_sign(tiny, tmp_path):
    """A flipped bit in the stored signature."""
    directory = tiny.write(tmp_path)
    with sqlite3.connect(directory / "aggregator.db") as database:
        (stored,) = database.execute("SELECT signed FROM evidence_page WHERE page = 1").fetchone()
        signed = zlib.decompress(stored)
        turned = zlib.compress(signed[:-1] + bytes([signed[-1] ^ 1]))
        database.execute("UPDATE evidence_page SET signed = ? WHERE page = 1", (turned,))
    database.close()
    _, differences = judged(directory)
    assert "evidence 1 of" in differences
    assert "signed by the admitted device: expected True, found False" in differences


def test_judge_names_another_unallocated_figure(tiny, tmp_path):
    """What a closing left for late blocks is judged too."""
    tiny.closings[2] = (400, 100, 100, 301)
    _, differences = judged(tiny.write(tmp_path))
    assert "closing (supply, demand, matched, unallocated) 1721608200" in differences


def test_judge_names_a_line_that_differs_from_its_claim(tiny, tmp_path):
    """The lines behind a mint are claims, and hash to the root in the leaf."""
    directory = tiny.write(tmp_path)
    change_page(directory, "line_page", 67, 68)
    _, differences = judged(directory)
    assert "root of its lines" in differences
    assert ": lines" in differences


def test_judge_names_an_entry_without_its_quorum(tiny, tmp_path):
    """The constitution asks for two roles; one signed."""
    tiny.quorum_signed = False
    _, differences = judged(tiny.write(tmp_path))
    assert "entry 1: signatures of the admit: expected sufficient, found by ['steward'] only" in differences


def test_judge_names_a_transfer_that_the_payer_did_not_sign(tiny, tmp_path):
    """The baker pays himself."""
    tiny.payment_signer = "baker"
    _, differences = judged(tiny.write(tmp_path))
    assert "signatures of the transfer: expected sufficient, found forged" in differences


def test_judge_names_another_policy(tiny, tmp_path):
    """The file is not the one whose hash the log has."""
    directory = tiny.write(tmp_path)
    (directory / "policy.toml").write_text((directory / "policy.toml").read_text() + "\n")
    _, differences = judged(directory)
    assert "policy.toml: hash in the log" in differences


@pytest.mark.parametrize("place", ["checkpoint", "tile/entries/000.p", "tile/0/000.p"])
def test_judge_names_a_flipped_byte_anywhere_in_the_log(tiny, tmp_path, place):
    """Every seventh byte of every file of the log, one at a time."""
    directory = tiny.write(tmp_path)
    path = directory / "log" / place
    path = next(path.iterdir()) if path.is_dir() else path
    whole = path.read_bytes()
    for at in range(0, len(whole), 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        report, differences = judged(directory)
        assert not report.balanced, at
        assert differences.startswith("log"), at


def test_judge_names_a_file_that_no_log_has(tiny, tmp_path):
    """Published means published as C2SP says."""
    directory = tiny.write(tmp_path)
    (directory / "log" / "extra.txt").write_text("hello")
    _, differences = judged(directory)
    assert "log: file extra.txt" in differences


def test_command_exits_0_for_balanced_books_and_1_for_others(tiny, tmp_path, capsys):
    """What the demo builds on."""
    directory = tiny.write(tmp_path)
    options = [str(directory), "--registers", str(directory / "registers.csv")]
    assert main(options) == 0
    assert "The books balance" in capsys.readouterr().out
    execute(directory, "DELETE FROM claim_page WHERE part = ?", [row[5] for row in tiny.claims].index(303))
    assert main([*options, "--brief"]) == 1
    assert "expected 303 Wh, 242 mc" in capsys.readouterr().out
