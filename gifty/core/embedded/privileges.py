"""PostgreSQL refuses to run as root, so root's children become somebody else before they start."""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_SECUREBITS: Final = 28
_SECBIT_NO_SETUID_FIXUP: Final = 1 << 2
_PR_CAP_AMBIENT: Final = 47
_PR_CAP_AMBIENT_RAISE: Final = 2
_CAP_DAC_READ_SEARCH: Final = 2
_CAPABILITY_VERSION_3: Final = 0x20080522


class Owner(NamedTuple):
    """The user and group that the server runs as and that its files belong to."""

    uid: int
    gid: int


def server_owner(home: Path) -> Owner:
    """Ourselves; as root, the owner of `home`, or `nobody` where that is root too."""
    if os.geteuid() != 0:
        return Owner(os.geteuid(), os.getegid())
    status = home.stat()
    if status.st_uid != 0:
        return Owner(status.st_uid, status.st_gid)
    nobody = pwd.getpwnam("nobody")
    return Owner(nobody.pw_uid, nobody.pw_gid)


class _CapHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapData(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def becoming(owner: Owner) -> Callable[[], None]:
    """What a forked child runs before exec: it becomes `owner` and gets SIGINT (a fast stop) when its parent dies.

    Coming from root it keeps the one capability to walk through folders such as `/root`, so that no folder's mode has
    to be widened for it.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    dropping = os.geteuid() == 0 and owner.uid != 0

    def prepare() -> None:
        if dropping:
            # Keeps the capability across setuid, and in access(2), which initdb asks about its own programs.
            libc.prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP, 0, 0, 0)
            os.setgroups([])
            os.setresgid(owner.gid, owner.gid, owner.gid)
            os.setresuid(owner.uid, owner.uid, owner.uid)
            mask = 1 << _CAP_DAC_READ_SEARCH
            header = _CapHeader(_CAPABILITY_VERSION_3, 0)
            data = (_CapData * 2)(_CapData(mask, mask, mask), _CapData(0, 0, 0))
            if libc.capset(ctypes.byref(header), data) == 0:
                libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_READ_SEARCH, 0, 0)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0)

    return prepare
