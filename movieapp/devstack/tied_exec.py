"""Becomes another program, which the kernel will signal when our parent dies.

`python -I -S tied_exec.py PARENT SIGNAL USER ARGV…`. Run as a script, not imported: a fork hook in a process with
threads could deadlock, a fresh interpreter cannot.
USER is a user's name to become first (root only), or `-`.
"""

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1


def _become(user: str) -> None:
    import pwd

    entry = pwd.getpwnam(user)
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)


def main(parent: int, signum: int, user: str, argv: list[str]) -> None:
    """Never returns: becomes `argv`, or ends when the parent is gone already."""
    if user != "-":
        _become(user)
    if sys.platform.startswith("linux"):
        # After the change of user: that clears it.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signum)
        if os.getppid() != parent:
            sys.exit(1)
    os.execvp(argv[0], argv)  # noqa: S606 - that is the purpose


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:])
