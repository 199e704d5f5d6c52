"""PostgreSQL in a scratch folder, on loopback: one for the whole session of tests, or one of a test's own."""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from fakes.shared import share
from fakes.site import find_free_port
from fakes.workspace import MARK

# Debian keeps the programs of each version apart and out of PATH; its package makes this user.
PROGRAMS = "/usr/lib/postgresql/*/bin"
USER = "postgres"
START_SECONDS = 60.0


class Databases:
    """A server that takes connections at a port, where a test makes databases."""

    def __init__(self, programs: Path, port: int, user: int | None) -> None:
        self.port = port
        self._programs = programs
        self._user = user

    def make_database(self) -> str:
        """The URL of a new and empty database, as SQLAlchemy takes it."""
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
        wait_ready(self._programs, self.port, self._server)

    def end(self) -> None:
        """Ends the server, when its connections are closed or after a while."""
        self._server.send_signal(signal.SIGTERM)
        try:
            self._server.wait(10)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()

    def read_cpu(self) -> float:
        """Seconds of the processor that the server and all its connections have used by now."""
        listed = subprocess.run(["pgrep", "-P", str(self._server.pid)], capture_output=True, text=True, check=False)
        ticks = sum(_read_ticks(self._server.pid, ended_children=True))
        for pid in map(int, listed.stdout.split()):
            with suppress(OSError):
                ticks += sum(_read_ticks(pid))
        return ticks / os.sysconf("SC_CLK_TCK")


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
    """The URL of an empty database, as Prefect takes it."""
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


def _read_ticks(pid: int, ended_children: bool = False) -> list[int]:
    """What a process has used of the processor, and its children that have ended (proc(5), fields 14 to 17 of stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return [int(field) for field in fields[11 : 15 if ended_children else 13]]


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


def wait_ready(programs: Path, port: int, server: "subprocess.Popen[bytes]") -> None:
    """Waits until connections are taken."""
    end = time.monotonic() + START_SECONDS
    asking = [str(programs / "pg_isready"), "-h", "127.0.0.1", "-p", str(port)]
    while subprocess.run(asking, check=False, capture_output=True).returncode:
        assert server.poll() is None, "PostgreSQL ended at once"
        assert time.monotonic() < end, "PostgreSQL did not come up"
        time.sleep(0.1)
