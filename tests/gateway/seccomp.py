"""Runs a command under the system calls that a unit of systemd allows it: `seccomp.py UNIT COMMAND…`.

systemd itself is not needed: its table of groups comes from `systemd-analyze`, and the filter is made by libseccomp,
as systemd's is. Linux only.
"""

import ctypes
import os
import subprocess
import sys
from pathlib import Path

_ALLOW = 0x7FFF0000
_REFUSE_WITH_EPERM = 0x00050001
_PR_SET_MDWE, _REFUSE_EXEC_GAIN = 65, 1


def settings(unit: Path, name: str) -> list[str]:
    """The values of a repeated setting of a unit."""
    lines = unit.read_text().splitlines()
    return [line.partition("=")[2].strip() for line in lines if line.startswith(f"{name}=")]


def allowed(filters: list[str]) -> set[str]:
    """The system calls that `SystemCallFilter=` lines allow, read in their order as systemd.exec(5) says."""
    names = _expand("@default")
    for line in filters:
        group = {name for word in line.removeprefix("~").split() for name in _expand(word)}
        names = names - group if line.startswith("~") else names | group
    return names


def _expand(word: str) -> set[str]:
    if not word.startswith("@"):
        return {word}
    done = subprocess.run(["systemd-analyze", "syscall-filter", word], capture_output=True, text=True, check=True)
    members = [line.strip() for line in done.stdout.splitlines()[1:]]
    return {name for member in members if member and not member.startswith("#") for name in _expand(member)}


def load(names: set[str]) -> None:
    """From here on every other system call answers EPERM."""
    library = ctypes.CDLL("libseccomp.so.2")
    library.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(_REFUSE_WITH_EPERM)))
    for name in sorted(names):
        number = library.seccomp_syscall_resolve_name(name.encode())
        if number >= 0:  # others belong to other processors
            assert library.seccomp_rule_add_array(context, ctypes.c_uint32(_ALLOW), number, 0, None) == 0, name
    assert library.seccomp_load(context) == 0


if __name__ == "__main__":
    unit_file = Path(sys.argv[1])
    calls = allowed(settings(unit_file, "SystemCallFilter"))
    if settings(unit_file, "MemoryDenyWriteExecute") == ["yes"]:
        ctypes.CDLL(None).prctl(_PR_SET_MDWE, _REFUSE_EXEC_GAIN, 0, 0, 0)
    load(calls)
    os.execv(sys.argv[2], sys.argv[2:])
