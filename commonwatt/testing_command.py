"""Commands as people type them, run in the test's own process: a process of its own costs a second to start."""

import logging
import subprocess

from typer.testing import CliRunner

from commonwatt.cli import main
from commonwatt.errors import CommonwattError


def run(*words: object) -> "subprocess.CompletedProcess[str]":
    """`commonwatt …`: exit code, output and errors, as if it had been a process."""
    argv = [str(word) for word in words]
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        done = CliRunner().invoke(main.app, argv)
    finally:  # a service sets logging up for its process, and this one goes on
        root.handlers[:] = before
        root.setLevel(level)
    if isinstance(done.exception, CommonwattError):
        return subprocess.CompletedProcess(argv, done.exception.exit_code, done.stdout, str(done.exception))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return subprocess.CompletedProcess(argv, done.exit_code, done.stdout, done.stderr)
