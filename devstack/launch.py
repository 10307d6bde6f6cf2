"""Becomes another program, that dies with its parent and is another user if asked.

Its arguments: the parent's pid, the signal at the parent's death, a user or `-`, the program and its arguments.
It runs as a script of its own, and not between fork and exec of the parent, because the parent has threads. Only the
standard library is at hand: it starts in 20 ms.
"""

import ctypes
import os
import pwd
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_KEEPCAPS = 8
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CAP_DAC_OVERRIDE = 1
_CAP_DAC_READ_SEARCH = 2
_CAPABILITY_VERSION_3 = 0x20080522


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Data(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def main(arguments: list[str]) -> None:
    """Replaces this process by the program; never returns."""
    parent, death_signal, user, *command = arguments
    if user != "-":
        _become(user, [command[0], str(Path.cwd())])
    # After the change of user, which would clear it.
    _prctl(_PR_SET_PDEATHSIG, int(death_signal))
    if os.getppid() != int(parent):  # it died before it could be watched
        sys.exit(1)
    os.execv(command[0], command)  # noqa: S606 - becoming this program is the purpose


def _become(user: str, needed: list[str]) -> None:
    """Changes to the user for good.

    Root's own folders (a checkout under /root, say) are closed to others. Rather than opening them to everybody on the
    machine, the one process keeps the right to pass through.
    """
    entry = pwd.getpwnam(user)
    capabilities = _permitted()
    _prctl(_PR_SET_KEEPCAPS, 1)
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
    os.environ.update(HOME=entry.pw_dir, USER=user, LOGNAME=user)
    reachable = all(os.access(path, os.X_OK) for path in needed)
    passing = 0 if reachable else _first_of(capabilities, (_CAP_DAC_READ_SEARCH, _CAP_DAC_OVERRIDE))
    if not reachable and not passing:
        sys.exit(f"user {user} cannot reach {' or '.join(needed)}: open the folders above, or run as an ordinary user")
    _keep_only(passing)


def _permitted() -> int:
    with Path("/proc/self/status").open(encoding="ascii") as status:
        return next(int(line.split()[1], 16) for line in status if line.startswith("CapPrm:"))


def _first_of(capabilities: int, wanted: tuple[int, ...]) -> int:
    return next((one for one in wanted if capabilities >> one & 1), 0)


def _keep_only(capability: int) -> None:
    bits = 1 << capability if capability else 0
    data = (_Data * 2)(_Data(bits, bits, bits), _Data(0, 0, 0))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.capset(ctypes.byref(_Header(_CAPABILITY_VERSION_3, 0)), data) != 0:
        raise OSError(ctypes.get_errno(), "capset")
    if capability:
        _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability)


def _prctl(option: int, first: int, second: int = 0) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, ctypes.c_ulong(first), ctypes.c_ulong(second), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl {option}")


if __name__ == "__main__":
    main(sys.argv[1:])
