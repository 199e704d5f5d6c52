"""PostgreSQL in a scratch folder, on loopback: one server for the whole session of tests."""

import os
import pwd
import secrets
import shutil
import subprocess
from pathlib import Path

import pytest
from fakes.ports import find_free_port
from fakes.shared import Told, share
from fakes.waiting import wait_until
from fakes.workspace import MARK

# Debian keeps the programs of each version apart and out of PATH; its package makes this user.
PROGRAMS = "/usr/lib/postgresql/*/bin"
USER = "postgres"
OPTIONS = ("-c", "fsync=off", "-c", "max_connections=200")


class Databases:
    def __init__(self, programs: Path, port: int) -> None:
        self.port = port
        self._programs = programs
        # Not root, as which PostgreSQL will not run; None is whoever is asking.
        self._user = pwd.getpwnam(USER).pw_uid if os.geteuid() == 0 else None

    def make_database(self, driver: str = "") -> str:
        """The address of a new database, for this driver of SQLAlchemy's if one is named, such as ``+asyncpg``."""
        name = f"test_{secrets.token_hex(6)}"
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", USER, name)
        return f"postgresql{driver}://{USER}@127.0.0.1:{self.port}/{name}"

    def start(self, folder: Path) -> Told:
        """Starts the server on a cluster of its own; it takes connections once this returns."""
        data = folder / "cluster"
        data.mkdir(parents=True)
        self._hand_over(data)
        self._run("initdb", "-D", str(data), "-U", USER, "-A", "trust", "--no-sync", "-E", "UTF8")
        where = ["-D", str(data), "-k", str(data), "-h", "127.0.0.1", "-p", str(self.port)]
        with (folder / "postgres.log").open("ab") as log:
            server = subprocess.Popen(
                [str(self._programs / "postgres"), *where, *OPTIONS],
                stdout=log,
                stderr=log,
                cwd="/",
                env={**os.environ, MARK: str(folder)},
                user=self._user,
                group=self._user,
                start_new_session=True,
            )
        asking = [str(self._programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        wait_until(lambda: not subprocess.run(asking, check=False).returncode, what="it is up", process=server)
        return {"port": self.port}

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), *arguments]
        subprocess.run(command, check=True, capture_output=True, cwd="/", user=self._user, group=self._user)

    def _hand_over(self, data: Path) -> None:
        """Gives the folder to the server's user, who has to get to it."""
        if self._user is None:
            return
        os.chown(data, self._user, pwd.getpwuid(self._user).pw_gid)
        for parent in data.parents:
            if parent.stat().st_uid == 0 and not parent.stat().st_mode & 0o001:
                parent.chmod(parent.stat().st_mode | 0o011)


def share_databases() -> Databases:
    """The server of the whole session of tests; skips where Debian's ``postgresql`` is not installed."""
    programs = find_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    told = share("postgresql", Databases(programs, find_free_port()).start)
    return Databases(programs, told["port"])


def find_programs() -> Path | None:
    """The folder with ``postgres`` and ``initdb``, of the newest version that is installed."""
    folders = sorted(Path("/").glob(PROGRAMS.lstrip("/")), key=lambda path: float(path.parent.name))
    found = shutil.which("initdb")
    return folders[-1] if folders else Path(found).parent if found else None
