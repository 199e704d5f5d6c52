"""PostgreSQL of a test's own: a cluster in a scratch folder, on loopback, gone when the test is over."""

import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fakes.site import find_free_port

# Debian keeps the programs of each version apart and out of PATH; its package makes this user.
PROGRAMS = "/usr/lib/postgresql/*/bin"
USER = "postgres"
START_SECONDS = 60.0


@contextmanager
def serve_postgres(folder: Path) -> Iterator[str]:
    """The URL of an empty database, as Prefect takes it; skips where Debian's ``postgresql`` is not installed."""
    programs = find_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    data, port = folder / "cluster", find_free_port()
    data.mkdir(parents=True)
    user = hand_over(data)
    subprocess.run(
        [str(programs / "initdb"), "-D", str(data), "-U", USER, "-A", "trust", "--no-sync", "-E", "UTF8"],
        check=True,
        capture_output=True,
        cwd="/",
        user=user,
        group=user,
    )
    where = ["-D", str(data), "-k", str(data), "-h", "127.0.0.1", "-p", str(port)]
    with (folder / "postgres.log").open("wb") as log:
        server = subprocess.Popen(
            [str(programs / "postgres"), *where, "-c", "fsync=off", "-c", "max_connections=200"],
            stdout=log,
            stderr=log,
            cwd="/",
            user=user,
            group=user,
        )
    try:
        wait_ready(programs, port, server)
        yield f"postgresql+asyncpg://{USER}@127.0.0.1:{port}/postgres"
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def find_programs() -> Path | None:
    """The folder with ``postgres`` and ``initdb``, of the newest version that is installed."""
    folders = sorted(Path("/").glob(PROGRAMS.lstrip("/")), key=lambda path: float(path.parent.name))
    found = shutil.which("initdb")
    return folders[-1] if folders else Path(found).parent if found else None


def hand_over(data: Path) -> int | None:
    """PostgreSQL will not run as root: then the folder is given to its user, who has to get to it."""
    if os.geteuid() != 0:
        return None
    user = pwd.getpwnam(USER)
    os.chown(data, user.pw_uid, user.pw_gid)
    for parent in data.parents:
        if parent.stat().st_uid == 0 and not parent.stat().st_mode & 0o001:
            parent.chmod(parent.stat().st_mode | 0o011)
    return user.pw_uid


def wait_ready(programs: Path, port: int, server: "subprocess.Popen[bytes]") -> None:
    """Waits until connections are taken."""
    end = time.monotonic() + START_SECONDS
    asking = [str(programs / "pg_isready"), "-h", "127.0.0.1", "-p", str(port)]
    while subprocess.run(asking, check=False, capture_output=True).returncode:
        assert server.poll() is None, "PostgreSQL ended at once"
        assert time.monotonic() < end, "PostgreSQL did not come up"
        time.sleep(0.1)
