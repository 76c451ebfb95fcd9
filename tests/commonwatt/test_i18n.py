"""French: complete, with the same placeholders, compiled, and spoken by the real command."""

import gettext
import importlib.util
import os
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from string import Formatter

import pytest

ROOT = Path(__file__).parents[2]
COMMONWATT = str(Path(sys.executable).with_name("commonwatt"))
POLICY = str(ROOT / "aggregator" / "policies" / "default.toml")
NEUTRAL = {key: value for key, value in os.environ.items() if not key.startswith(("LC_", "LANG"))} | {
    "PYTHONUTF8": "1",
    "COLUMNS": "200",
}
ENGLISH = {"LANG": "C.UTF-8"}
FRENCH = ({"LC_ALL": "fr_FR.UTF-8"}, {"LANG": "C.UTF-8", "LANGUAGE": "fr"})

_spec = importlib.util.spec_from_file_location("make_locale", ROOT / "commonwatt" / "locale" / "make_locale.py")
assert _spec is not None
assert _spec.loader is not None
make_locale = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(make_locale)


def commonwatt(environment: dict[str, str], *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [COMMONWATT, *words],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        stdin=subprocess.DEVNULL,
        env=NEUTRAL | environment,
    )


def placeholders(text: str) -> set[tuple[str, str | None, str | None]]:
    """Each placeholder with its conversion and format: `{name!r}` is ("name", "r", "")."""
    return {(name, conversion, spec) for _, name, spec, conversion in Formatter().parse(text) if name is not None}


def test_messages_when_compared_with_the_code() -> None:
    """Every sentence of the code has a French text; one left over does no harm, `make locale` drops it."""
    missing = make_locale.missing(make_locale.merged())
    assert not missing, f"run `make locale` and translate {missing}"


def test_placeholders_when_translated() -> None:
    """The French text takes what the English text takes, in any order."""
    for message in make_locale.translated():
        if message.id:
            assert placeholders(message.string) == placeholders(message.id), message.id


def test_compiled_file_when_compared_with_its_source() -> None:
    """The .mo is what the .po compiles to: nobody edited one without the other."""
    kept = gettext.GNUTranslations(BytesIO(make_locale.MO.read_bytes()))
    made = gettext.GNUTranslations(BytesIO(make_locale.compiled(make_locale.translated())))
    texts = [message.id for message in make_locale.translated() if message.id]
    assert [kept.gettext(text) for text in texts] == [made.gettext(text) for text in texts], "run `make locale`"


def test_make_locale_when_a_text_is_missing() -> None:
    """A message without a French text is named."""
    french = make_locale.translated()
    french.add("a sentence that was never translated")
    assert make_locale.missing(french) == ["a sentence that was never translated"]


@pytest.mark.parametrize("environment", FRENCH)
def test_command_when_the_environment_asks_for_french(environment: dict[str, str]) -> None:
    """By the locale, or by the languages that gettext is told; the first that is set decides."""
    assert "Vérifier, régler et émettre." in commonwatt(environment, "--help").stdout


@pytest.mark.parametrize(
    ("words", "code", "french", "english"),
    [
        (("--help",), 0, "Vérifier, régler et émettre.", "Verify, settle and mint."),
        (("policy", "explain", POLICY), 0, "crédits par kilowattheure.", "credits a kilowatt-hour."),
        (("demo", "--days", "9"), 2, "la semaine mesurée a de 1 à 7 jours", "the measured week has 1 to 7 days"),
        (("ledger", "verify", "."), 2, "sans la clé du journal", "without the log's key"),
    ],
)
def test_command_when_the_locale_is_french(words: tuple[str, ...], code: int, french: str, english: str) -> None:
    """Help, explanations and mistakes are French in a French locale and English in any other."""
    for locale, said, unsaid in ((FRENCH[0], french, english), (ENGLISH, english, french)):
        done = commonwatt(locale, *words)
        assert done.returncode == code, done.stderr
        assert said in done.stdout + done.stderr
        assert unsaid not in done.stdout + done.stderr


def test_ledger_verify_when_the_locale_is_french(tmp_path: Path) -> None:
    """The founder of a commune and the verifier of its log read French, and the verdict stays the same."""
    commune = tmp_path / "commune"
    founded = commonwatt(FRENCH[0], "init", str(commune), "--name", "Essai")
    assert founded.returncode == 0, founded.stderr
    assert "est fondée dans" in founded.stdout
    log = ("ledger", "verify", str(commune / "log"), "--vkey", str(commune / "log.vkey"))
    french, english = commonwatt(FRENCH[0], *log), commonwatt(ENGLISH, *log)
    assert (french.returncode, english.returncode) == (0, 0)
    assert "écritures, racine" in french.stdout
    assert "entries, root" in english.stdout


def test_spaces_when_french_is_compiled() -> None:
    """No line of a page begins with a colon: the spaces before high marks and inside quotation marks do not break."""
    said = make_locale.spaced("« Oui », dit-elle : 5 % ! http://x:1 {time:%H} ? :)")
    assert said == "«\u00a0Oui\u00a0», dit-elle\u00a0: 5\u00a0%\u00a0! http://x:1 {time:%H}\u00a0? :)"
