"""Fuzz one parser, or all of them, with atheris: python tests/fuzz/fuzz.py PARSER|all [libFuzzer's options].

    python tests/fuzz/fuzz.py note -runs=1000000
    python tests/fuzz/fuzz.py all -max_total_time=3600 corpus/

An input that breaks a parser is written to ./crash-…; give it as an argument to run it again. For `all` the first
byte of an input chooses the parser.
"""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["ledger", "commonwatt", "aggregator"]):
    from parsers import PARSERS, is_accepted

NAMES = sorted(PARSERS)


def run_one(data: bytes) -> None:
    """The parser that the command line names."""
    is_accepted(sys.argv[1], data)


def run_any(data: bytes) -> None:
    """The parser that the first byte names."""
    if data:
        is_accepted(NAMES[data[0] % len(NAMES)], data[1:])


def main() -> None:
    """Begin from the examples; libFuzzer never returns."""
    name, options = sys.argv[1], sys.argv[2:]
    is_all = name == "all"
    chosen = NAMES if is_all else [name]
    with tempfile.TemporaryDirectory() as folder:
        for number, parser in enumerate(chosen):
            for count, example in enumerate(PARSERS[parser].examples):
                prefix = bytes([number]) if is_all else b""
                (Path(folder) / f"{parser}-{count}").write_bytes(prefix + example)
        limits = ["-max_len=8192", "-timeout=10", "-rss_limit_mb=1024"]
        atheris.Setup([sys.argv[0], *limits, *options, folder], run_any if is_all else run_one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
