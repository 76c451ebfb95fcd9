"""`commonwatt ledger enter`: every further kind from words and key files."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from commonwatt.errors import UserError
from commonwatt.identity import save_key
from ledger import cli, enter, testing
from ledger.book.kinds import Subject
from ledger.log.note import Signer
from ledger.log.published import PublishedLog
from ledger.sequencer import Placed

ANA, BEN = testing.ident("ana").hex(), testing.ident("ben").hex()
CLERK = testing.ident("clerk")
WINDOW = "window_start_s=1721001600 window_end_s=1721005200"
NEW = testing.key("ana2").public_key.hex()


@pytest.fixture(scope="module")
def commune(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A commune with a shop, and the key files of those who sign."""
    directory = tmp_path_factory.mktemp("enter")
    with testing.village(directory, "ana", "ben") as ledger:
        answers = ledger.submit([testing.member("shop", Subject.MERCHANT)])
        assert isinstance(answers[0], Placed)
        ledger.publish()
    for name in ("steward", "townhall", "ana", "ana2", "ben", "shop"):
        save_key(directory / "keys" / f"{name}.key", testing.key(name))
    save_key(directory / "keys" / "log.key", testing.LOG_KEY)
    vkey = Signer(testing.ORIGIN, testing.LOG_KEY).verifier
    (directory / "commune.toml").write_text(
        f'name = "testville"\norigin = "{testing.ORIGIN}"\ngenesis_sha256 = "{testing.GENESIS_SHA256.hex()}"\n'
        f'log_vkey = "{vkey}"\ntrial = true\nassociation = "{testing.ident("association").hex()}"\n'
    )
    return directory


def run(commune: Path, line: str) -> Any:
    """A line as typed, the keys' names after `by`."""
    words, _, signers = line.partition(" by ")
    keys = [part for name in signers.split() for part in ("--key", str(commune / "keys" / f"{name}.key"))]
    command = ["enter", str(commune), *words.split(), *keys]
    return CliRunner().invoke(cli.app, command, catch_exceptions=False, standalone_mode=False)


def test_entries_when_typed(commune: Path) -> None:
    """Each is placed where the command says, and a soft limit that was passed is said."""
    shop = testing.ident("shop").hex()
    lines = [
        f"top-up account={ANA}02 amount_mc=1000 paid_cents=100 reference=bank/1 by steward",
        f"transfer payer={ANA}02 payee={shop}02 amount_mc=600 memo= by ana",
        f"redeem account={shop}02 amount_mc=500 paid_cents=48 reference=bank/2 by shop steward",
        f"credit-limit account={ANA}03 soft_mc=5 hard_mc=500 by steward",
        f"transfer payer={ANA}03 payee={BEN}03 amount_mc=6 memo= by ana",
        f"payment-request payee={BEN} payer={ANA} amount_mc=1 is_escrow=true memo=jam by ben",
        f"hold account={ANA} source=1 {WINDOW} amount_mc=5 reason=odd by steward",
        f"guard account={ANA} k=1 public_keys={testing.key('phone').public_key.hex()} by ana",
        f"rotate subject=member id={ANA} public_key={NEW} by ana ana2",
        f"status subject=member id={ANA} status=suspended reason=asked by steward",
        f"admit-role id={CLERK.hex()} role=steward public_key={testing.key('clerk').public_key.hex()}"
        " by steward townhall",
    ]
    size = PublishedLog(commune / "log").unverified_checkpoint().size
    for number, line in enumerate(lines):
        result = run(commune, line)
        assert f"entry {size + number} of the log" in result.output, line
        assert ("past its soft limit" in result.output) == (number == 4), line


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("mint account=00 by steward", "no entry is called"),
        (f"top-up account={ANA}02 by steward", "needs each of these once"),
        (f"hold account={ANA} source=7 {WINDOW} amount_mc=5 reason=odd by steward", "source"),
        (f"hold account={ANA} source=x {WINDOW} amount_mc=5 reason=odd by steward", "invalid literal"),
        (f"hold account=zz source=1 {WINDOW} amount_mc=5 reason=odd by steward", "non-hexadecimal"),
        (f"rotate subject=king id={ANA} public_key={NEW} by ana", "subject is one of member"),
        (f"release hold={ANA} is_granted=yes reason=odd by steward", "true or false"),
        (f"top-up account={ANA} amount_mc=1 paid_cents=1 reference=x by steward", "wrong-unit"),
        (f"reverse entry={ANA} amount_mc=1 reason=odd by steward", "quorum-not-reached"),
    ],
)
def test_entry_when_it_cannot_be(commune: Path, line: str, why: str) -> None:
    """What is wrong is named, and nothing is placed."""
    before = PublishedLog(commune / "log").unverified_checkpoint().size
    with pytest.raises(UserError, match=why):
        run(commune, line)
    assert PublishedLog(commune / "log").unverified_checkpoint().size == before


def test_names_when_listed() -> None:
    """Everything that can be entered has a name, and carry-forwards have a command of their own."""
    assert len(enter.BODIES) == 15
