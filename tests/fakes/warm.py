"""Programs that are started warm: forked from a process that has imported what they import, at a tenth of the cost.

For what a program does once it runs. Where its start, its entry point, or what it imports is tested, execute it.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fakes.warm_process import ROOM, ROOM_BYTES, Start, send_start

ROOT = Path(__file__).parents[2]
SIDE = ("-m", "engine.system.worker_process")
LINE_BYTES = 32
SOCKET = "WARM_PROCESS_SOCKET"
_opened: list[Any] = []


class WarmPopen(subprocess.Popen[Any]):
    """A Python program in a forked process; in all else ``subprocess.Popen``."""

    _told: socket.socket | None = None

    def _is_warm(self, command: Any) -> bool:
        return bool(command[0] == sys.executable)

    def _execute_child(self, args: Any, *others: Any) -> None:
        if not self._is_warm(args):
            super()._execute_child(args, *others)  # type: ignore[misc]
            return
        cwd, env, fds, session = others[4], others[5], others[9:15], others[20]
        files = [fd if fd != -1 else number for number, fd in enumerate((fds[0], fds[3], fds[5]))]
        given = dict(os.environ if env is None else env)
        self._told = socket.socket(socket.AF_UNIX)
        self._told.connect(find_socket())
        send_start(self._told, Start([str(word) for word in args], str(cwd or Path.cwd()), given, session, files))
        self.pid = int(self._told.recv(LINE_BYTES))
        self._child_created = True
        self._close_pipe_fds(*fds)  # type: ignore[attr-defined]

    def _try_wait(self, flags: int) -> tuple[int, int]:
        if self._told is None:
            waited: tuple[int, int] = super()._try_wait(flags)  # type: ignore[misc]
            return waited
        try:
            self._told.setblocking(not flags & os.WNOHANG)
            line = self._told.recv(LINE_BYTES)
        except BlockingIOError:
            return 0, 0
        except OSError:
            # Collected by Python, which may close the socket first: nobody waits for the process any more.
            line = b""
        self._told.close()
        # Where the process that forks is gone, so is all that it has forked.
        return self.pid, int(line or signal.SIGKILL)

    def _internal_poll(self, _deadstate: int | None = None, **others: Any) -> int | None:
        if self._told is None:
            return super()._internal_poll(_deadstate, **others)  # type: ignore[misc, no-any-return]
        if self.returncode is None and self._waitpid_lock.acquire(False):  # type: ignore[attr-defined]
            try:
                if self.returncode is None:
                    pid, status = self._try_wait(os.WNOHANG)
                    if pid == self.pid:
                        self._handle_exitstatus(status)  # type: ignore[attr-defined]
            finally:
                self._waitpid_lock.release()  # type: ignore[attr-defined]
        return self.returncode


class _SidePopen(WarmPopen):
    """Forks the process beside a flow, and executes all else."""

    def _is_warm(self, command: Any) -> bool:
        return super()._is_warm(command) and SIDE == tuple(command[1:])


@contextmanager
def forking_side_processes() -> Iterator[None]:
    """Inside the block flows of this process fork what they have beside them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess, "Popen", _SidePopen)
        yield


def find_socket() -> str:
    """Where the process listens that forks: the one of this session of tests, else one of this process."""
    if SOCKET not in os.environ:
        opening = serve_warm()
        _opened.append(opening)
        os.environ[SOCKET] = opening.__enter__()
    return os.environ[SOCKET]


@contextmanager
def serve_warm() -> Iterator[str]:
    """The socket of a process that forks; it imports when it is first asked, and ends with this process."""
    with tempfile.TemporaryDirectory(prefix="warm-") as folder:
        path = f"{folder}/socket"
        clean = {name: text for name, text in os.environ.items() if not name.startswith(("PREFECT_", "EXEMPLARS_"))}
        process = subprocess.Popen(
            [sys.executable, "-m", "fakes.warm_process", path, "-" * ROOM_BYTES],
            cwd=ROOT,
            env={**clean, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", ROOM: "-" * ROOM_BYTES},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert process.stdout is not None
        assert b"ready\n" == process.stdout.readline()
        with process:
            yield path
