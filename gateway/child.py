"""Becomes another program that is told to stop when its parent dies; run as a script.

Its arguments: the parent's pid, the program and its arguments. It is a process of its own, and not code between fork
and exec of the parent, because the parent has threads.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Replaces this process by the program; never returns."""
    parent, *command = arguments
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGTERM), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    if os.getppid() != int(parent):  # it died before it could be watched
        sys.exit(1)
    os.execv(command[0], command)  # noqa: S606 - becoming this program is the purpose


if __name__ == "__main__":
    main(sys.argv[1:])
