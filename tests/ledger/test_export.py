"""Exports: what bean-check, hledger and the French tax office's eighteen fields ask for."""

import csv
import io
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from beancount import loader
from beancount.core.data import Transaction

from commonwatt.units import INT64_MAX
from ledger import testing
from ledger.audit import formats as export_formats
from ledger.audit.export import movements
from ledger.audit.formats import FEC_FIELDS, Books, Format
from ledger.book.accounts import Posting, is_balanced
from ledger.book.body import PaymentAnswer, PaymentRequest, Redeem, Reverse, TopUp
from ledger.book.entry import Entry
from ledger.book.kinds import ISSUANCE, Subject
from ledger.book.payments import Verdict
from ledger.book.state import State
from ledger.log.published import PublishedLog
from ledger.sequencer import Placed

NAMES = {testing.ident("ana"): 'Ana "la\tboulangère"; 1,5', testing.ident("ben"): "Ben\nRené"}


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Books:
    """A log with mints, shares and payments, over two hours."""
    directory = tmp_path_factory.mktemp("export")
    with testing.village(directory, "ana", "ben") as ledger:
        for window in range(2):
            leaves = [testing.earned(name, 900 + window, 101, window=window) for name in ("ana", "ben")]
            testing.mint(ledger, leaves, run=f"run {window}", window=window)
            ledger.submit([testing.pay("ana", "ben", 123, memo=str(window))])
        euros = testing.account("shop:euro")
        answers = ledger.submit(
            [
                testing.member("shop", Subject.MERCHANT),
                testing.pay("ana:hours", "ben:hours", 1500),
                testing.signed(TopUp(testing.account("ana:euro"), 20_000, 2000, ""), "steward"),
                testing.pay("ana:euro", "shop:euro", 12_000),
                testing.signed(Redeem(euros, 10_000, 960, ""), "shop", "steward"),
                testing.signed(PaymentRequest(testing.ident("ben"), testing.ident("ana"), 7, False, ""), "ben"),
            ]
        )
        request = ledger.state.requests.copy().popitem()[0]
        answers += ledger.submit([testing.signed(PaymentAnswer(request, Verdict.ACCEPT), "ana", entry_id="paid")])
        undo = Reverse(testing.entry_id("paid"), 7, "an error")
        answers += ledger.submit([testing.signed(undo, "steward", "townhall")])
        assert all(isinstance(answer, Placed) for answer in answers), answers
        ledger.publish()
    state = State()
    found = tuple(movements(PublishedLog(directory / "log").slots(), state))
    return Books(state, found, NAMES)


def text(books: Books, form: Format) -> str:
    return "".join(export_formats.write(books, form))


def test_movements_when_replayed(books: Books) -> None:
    """Every movement sums to zero in every unit, and together they are the balances."""
    further = ["transfer", "top-up", "transfer", "redeem", "payment-answer", "reverse"]
    assert [row.kind for row in books.movements] == ["mint-run", "transfer", "mint-run", "transfer", *further]
    total: dict[bytes, int] = {}
    for row in books.movements:
        assert is_balanced([Posting(*posting) for posting in row.postings])
        for account, amount_mc in row.postings:
            total[account] = total.get(account, 0) + amount_mc
    assert total == {account: books.state.book.balance_mc(account) for account in total}
    assert total[ISSUANCE] == -(900 + 901 + 202) * 2


def test_beancount_when_checked(books: Books, tmp_path: Path) -> None:
    """beancount (not ours) loads the journal, finds no error, and agrees with every balance assertion."""
    path = tmp_path / "books.beancount"
    path.write_text(text(books, Format.BEANCOUNT))
    entries, errors, _options = loader.load_file(str(path))
    assert errors == []
    assert len([row for row in entries if isinstance(row, Transaction)]) == len(books.movements)
    path.write_text(text(books, Format.BEANCOUNT).replace("-0.123 CREDIT", "-0.124 CREDIT", 1))
    assert loader.load_file(str(path))[1] != []


def test_hledger_when_it_is_installed(books: Books, tmp_path: Path) -> None:
    """hledger reads the journal, checks it strictly and has our balances (Debian package `hledger`)."""
    hledger = shutil.which("hledger")
    if hledger is None:
        pytest.skip("hledger is not installed: apt-get install hledger (it is not on PyPI)")
    path = tmp_path / "books.journal"
    path.write_text(text(books, Format.HLEDGER))
    subprocess.run([hledger, "-f", path, "check", "--strict"], check=True)
    command = [hledger, "-f", path, "balance", "--flat", "-N", "-O", "csv"]
    rows = csv.reader(io.StringIO(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    found = {row[0]: set(row[1].split(", ")) for row in rows if row[0] != "account"}
    assert found["Equity:Issuance"] == {"4.006 CREDIT", "10.000 EURO"}
    assert found["Assets:Reserve"] == {"10.400 EURO"}
    assert "1.500 HOUR" in found[f"Liabilities:Members:A{testing.ident('ana').hex()}"]


def test_hledger_when_read_line_by_line(books: Books) -> None:
    """Each transaction has a date, its place in the log, and postings that sum to zero."""
    blocks = text(books, Format.HLEDGER).split("\n\n")[1:]
    assert len(blocks) == len(books.movements)
    for block in blocks:
        head, *postings = block.strip().split("\n")
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \* \(\d+\) [a-z-]+  ; entry:[0-9a-f]{32}", head)
        amounts = [re.fullmatch(r"    \S+  (-?)(\d+)\.(\d{3}) ([A-Z]+)", line) for line in postings]
        assert all(amounts)
        for commodity in {m[4] for m in amounts if m}:
            assert sum(int(m[1] + m[2] + m[3]) for m in amounts if m and m[4] == commodity) == 0


def test_csv_when_names_are_awkward(books: Books) -> None:
    """Quotes, tabs and line ends in names come back as they were; one row per posting."""
    rows = list(csv.DictReader(io.StringIO(text(books, Format.CSV))))
    assert len(rows) == sum(len(row.postings) for row in books.movements)
    assert {row["name"] for row in rows} == {"", *NAMES.values()}
    assert {row["unit"] for row in rows} == {"energy", "euro", "hours"}
    for unit in ("energy", "euro", "hours"):
        assert sum(round(float(row["amount"]) * 1000) for row in rows if row["unit"] == unit) == 0


def test_fec_when_checked_field_by_field(books: Books) -> None:
    """Eighteen named fields, none empty that must not be, real dates, decimal commas, balanced, without gaps."""
    content = text(books, Format.FEC)
    assert content.endswith("\r\n")
    header, *lines = [line.split("\t") for line in content.removesuffix("\r\n").split("\r\n")]
    assert tuple(header) == FEC_FIELDS
    assert len(FEC_FIELDS) == 18
    optional = {"CompAuxNum", "CompAuxLib", "EcritureLet", "DateLet"}
    by_number: dict[int, int] = {}
    for line in lines:
        row = dict(zip(FEC_FIELDS, line, strict=True))
        assert all(value for name, value in row.items() if name not in optional), row
        for name in ("EcritureDate", "PieceDate", "ValidDate"):
            assert re.fullmatch(r"20\d\d(0\d|1[0-2])([0-2]\d|3[01])", row[name])
        assert re.fullmatch(r"\d{7}", row["CompteNum"])
        assert bool(row["CompAuxNum"]) == bool(row["CompAuxLib"])
        amounts = [row["Debit"], row["Credit"], row["Montantdevise"]]
        assert all(re.fullmatch(r"\d+,\d{3}", amount) for amount in amounts)
        debit, credit, _ = (int(amount.replace(",", "")) for amount in amounts)
        assert (debit == 0) != (credit == 0)
        number = int(row["EcritureNum"])
        by_number[number] = by_number.get(number, 0) + debit - credit
    assert by_number == dict.fromkeys(range(1, len(books.movements) + 1), 0)


def test_formats_when_nothing_moved(tmp_path: Path) -> None:
    """A ledger without a movement exports empty books in every format."""
    with testing.village(tmp_path, "ana") as ledger:
        ledger.publish()
    state = State()
    found = tuple(movements(PublishedLog(tmp_path / "log").slots(), state))
    for form in Format:
        assert found == ()
        assert text(Books(state, found, {}), form)


def test_formats_when_an_entry_is_dated_absurdly(tmp_path: Path) -> None:
    """Whoever signs a payment dates it; no date keeps the commune from its books."""
    body = testing.Transfer(testing.ident("ana"), testing.ident("ben"), 1, "")
    with testing.village(tmp_path, "ana", "ben") as ledger:
        testing.mint(ledger, [testing.earned("ana", 1000)])
        for time_s in (0, INT64_MAX):
            data = Entry(testing.entry_id(str(time_s)), time_s, body).sign(testing.key("ana"), testing.GENESIS_SHA256)
            assert isinstance(ledger.submit([data])[0], Placed)
        ledger.publish()
    state = State()
    found = tuple(movements(PublishedLog(tmp_path / "log").slots(), state))
    for form in Format:
        assert "9999" in text(Books(state, found, {}), form)
