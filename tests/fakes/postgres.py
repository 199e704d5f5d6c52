"""PostgreSQL in a scratch folder, on loopback: one for the whole session of tests, or one of a test's own."""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fakes.shared import share
from fakes.site import find_free_port
from fakes.waiting import wait_until
from fakes.workspace import MARK

# Debian keeps the programs of each version apart and out of PATH; its package makes this user.
PROGRAMS = "/usr/lib/postgresql/*/bin"
USER = "postgres"


class Databases:
    """A server that takes connections at a port, where a test makes databases."""

    def __init__(self, programs: Path, port: int, user: int | None) -> None:
        self.port = port
        self._programs = programs
        self._user = user

    def make_database(self) -> str:
        name = f"test_{secrets.token_hex(6)}"
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", USER, name)
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{name}"

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), *arguments]
        subprocess.run(command, check=True, capture_output=True, cwd="/", user=self._user, group=self._user)


class Postgres(Databases):
    """A server on a cluster of its own, which takes connections once it is made."""

    def __init__(self, folder: Path, programs: Path, *settings: str) -> None:
        data = folder / "cluster"
        data.mkdir(parents=True)
        super().__init__(programs, find_free_port(), hand_over(data))
        self._run("initdb", "-D", str(data), "-U", USER, "-A", "trust", "--no-sync", "-E", "UTF8")
        where = ["-D", str(data), "-k", str(data), "-h", "127.0.0.1", "-p", str(self.port)]
        options = ("fsync=off", "max_connections=200", *settings)
        command = [str(programs / "postgres"), *where, *(part for name in options for part in ("-c", name))]
        with (folder / "postgres.log").open("ab") as log:
            self._server = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                cwd="/",
                env={**os.environ, MARK: str(folder)},
                user=self._user,
                group=self._user,
                start_new_session=True,
            )
        asking = [str(programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        wait_until(lambda: not subprocess.run(asking, check=False).returncode, what="it is up", process=self._server)

    def end(self) -> None:
        """Ends the server, when its connections are closed or after a while."""
        self._server.send_signal(signal.SIGTERM)
        try:
            self._server.wait(10)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()


def share_databases() -> Databases:
    """The server of the whole session of tests; skips where Debian's ``postgresql`` is not installed."""
    programs = _require_programs()
    told = share("postgresql", lambda folder: {"port": Postgres(folder, programs).port})
    return Databases(programs, told["port"], _find_user())


@contextmanager
def open_postgres(*settings: str) -> Iterator[Postgres]:
    """A server inside the block; skips where Debian's ``postgresql`` is not installed."""
    programs = _require_programs()
    # Not in pytest's own folder, which the server's user may not enter.
    with tempfile.TemporaryDirectory(prefix="exemplars-postgresql-", ignore_cleanup_errors=True) as folder:
        server = Postgres(Path(folder), programs, *settings)
        try:
            yield server
        finally:
            server.end()


@contextmanager
def serve_postgres() -> Iterator[str]:
    with open_postgres() as server:
        yield f"postgresql+asyncpg://{USER}@127.0.0.1:{server.port}/postgres"


def find_programs() -> Path | None:
    """The folder with ``postgres`` and ``initdb``, of the newest version that is installed."""
    folders = sorted(Path("/").glob(PROGRAMS.lstrip("/")), key=lambda path: float(path.parent.name))
    found = shutil.which("initdb")
    return folders[-1] if folders else Path(found).parent if found else None


def _require_programs() -> Path:
    programs = find_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    return programs


def _find_user() -> int | None:
    """Who the server runs as: not root, as which PostgreSQL will not run; None for whoever is asking."""
    return pwd.getpwnam(USER).pw_uid if os.geteuid() == 0 else None


def hand_over(data: Path) -> int | None:
    """Gives the folder to the server's user, who has to get to it, and returns the user."""
    user = _find_user()
    if user is None:
        return None
    os.chown(data, user, pwd.getpwuid(user).pw_gid)
    for parent in data.parents:
        if parent.stat().st_uid == 0 and not parent.stat().st_mode & 0o001:
            parent.chmod(parent.stat().st_mode | 0o011)
    return user
