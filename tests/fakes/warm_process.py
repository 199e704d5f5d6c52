"""The process from which programs are forked (``fakes.warm``): it has imported what they import, and runs nothing.

A forked program has an id, an environment, a command line, a folder and a standard input and output of its own, like
one that was executed. What it starts itself is forked as well, where it is one of ``FORKED``, else executed.
"""

import atexit
import ctypes
import gc
import importlib
import json
import os
import pkgutil
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import threading
import traceback
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

# What reads nothing of the environment when it is imported, or is told of a new one (``_refresh``): our packages whole,
# but for the flows, which Prefect loads itself, and modules of others.
OURS = (
    "expectations",
    "flows.api",
    "flows.backfills",
    "flows.cli",
    "flows.deploy",
    "flows.runs",
    "flows.runtime",
    "flows.tools_server",
    "tasks",
)
OTHERS = (
    "great_expectations",
    "litellm",
    "prefect.cli",
    "prefect.cli.server",
    "prefect.cli.worker",
    "prefect.client.orchestration",
    "prefect.concurrency.asyncio",
    "prefect.flow_engine",
    "prefect.runner.runner",
    "prefect.server.api.server",
    "prefect.workers.process",
    "uvicorn",
)
# Room for another environment and another command line, over which those of a forked program are written.
ROOM = "ROOM_FOR_ANOTHER"
ROOM_BYTES = 60_000
STAT_ARGUMENTS = 47
TEXT = "The old harbour crane lifts its last container before the storm closes the quay for the night."
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
# What sets variables of Prefect's before it imports Prefect.
LATE = ("flows.api", "ipykernel_launcher")
RUNS = "prefect.runner._workspace_supervisor"
FORKED = frozenset(
    {
        RUNS,
        "engine.system.worker_process",
        "flows.api",
        "flows.deploy",
        "flows.serve",
        "prefect",
        "tests.fakes.supervised",
    }
)
SERVER = str(Path(__file__).parents[2] / "flows/cli/temporary_server_process.py")
LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Start:
    """What a program is started with; ``files`` are its standard input, output and error."""

    command: Sequence[str]
    folder: str
    environment: Mapping[str, str]
    session: bool
    files: Sequence[int]


def send_start(connection: socket.socket, start: Start) -> None:
    """Asks for a program."""
    told = json.dumps([list(start.command), start.folder, dict(start.environment), start.session]).encode()
    socket.send_fds(connection, [len(told).to_bytes(4)], list(start.files))
    connection.sendall(told)


def take_start(connection: socket.socket) -> Start | None:
    """What is asked for; None where nobody will ask any more."""
    head, files, _, _ = socket.recv_fds(connection, 4, 3)
    if len(head) < 4:
        return None
    with connection.makefile("rb") as stream:
        command, folder, environment, session = json.loads(stream.read(int.from_bytes(head)))
    return Start(command, folder, environment, session, files)


def serve(listener: socket.socket, parent: int) -> Start:
    """Forks whatever is asked for until nobody is there to ask; returns in the forked process alone.

    On each connection one program is asked for, and answered with its id, and with its status when it has ended.
    """
    waiting, forked = selectors.DefaultSelector(), dict[int, int]()
    waiting.register(listener, selectors.EVENT_READ)
    waiting.register(parent, selectors.EVENT_READ)
    while True:
        for key, _ in waiting.select():
            if key.fileobj == parent:
                _kill(forked.values())
            elif key.fileobj == listener:
                connection, _ = listener.accept()
                if (start := take_start(connection)) is None:
                    continue
                _load()
                if not (pid := _fork_program(start)):
                    return start
                for file in start.files:
                    os.close(file)
                connection.sendall(str(pid).encode())
                pidfd = os.pidfd_open(pid)
                forked[pidfd] = pid
                waiting.register(pidfd, selectors.EVENT_READ, connection)
            else:
                _, status = os.waitpid(forked.pop(key.fd), 0)
                waiting.unregister(key.fd)
                os.close(key.fd)
                # Who has asked may be gone.
                with suppress(OSError):
                    key.data.sendall(str(status).encode())
                key.data.close()


def run(start: Start) -> NoReturn:
    """The program, in this process, which was forked for it."""
    for number, file in enumerate(start.files):
        os.dup2(file, number)
    os.closerange(3, 4096)
    os.chdir(start.folder)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    _become(start.command, start.environment)
    words = list(start.command[1:])
    if words[0] == "-m" and words[1] in LATE:
        os.environ.__class__ = _Environ
    if words[:2] == ["-m", RUNS]:
        words = _prepare_run(words)
    if not {"server", "flows.api", SERVER, "engine.system.worker_process"} & set(words):
        _fork_what_it_starts()
    _end(_run(words))


def _kill(forked: Collection[int]) -> NoReturn:
    """Nothing is left behind, whatever it was at."""
    for pid in forked:
        os.kill(pid, signal.SIGKILL)
    for pid in forked:
        os.waitpid(pid, 0)
    os._exit(0)


def _load() -> None:
    """Imports, once."""
    if gc.get_freeze_count():
        return
    # Else litellm asks the network for its price list.
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    from engine.text.embedding import SentenceEncoder
    from engine.text.language import find_other_language

    for name in (*OTHERS, *list_ours()):
        importlib.import_module(name)
    # Both are loaded by every run.
    SentenceEncoder().embed([TEXT])
    find_other_language(TEXT, "en")
    assert 1 == threading.active_count(), threading.enumerate()
    gc.collect()
    gc.freeze()


def _fork() -> int:
    """The new process's id, and 0 in that one. What threads there are belong to C libraries, which know of forks."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _fork_program(start: Start) -> int:
    """Does the same for a program; it is in its own session, where it is to have one, before its id is given."""
    if not start.session:
        return _fork()
    reading, writing = os.pipe()
    pid = _fork()
    if not pid:
        os.setsid()
    os.close(writing)
    os.read(reading, 1)
    os.close(reading)
    return pid


def _become(command: Sequence[str], environment: Mapping[str, str]) -> None:
    """Takes on an environment and a command line, for itself and for who looks at /proc."""
    for name in list(os.environ):
        del os.environ[name]
    os.environ.update(environment)
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    first, last, begin, end = map(int, fields[STAT_ARGUMENTS - 2 : STAT_ARGUMENTS + 2])
    title = " ".join(command).encode()[: last - first - 2]
    # A command line that ends otherwise than with a zero is read up to the first one.
    ctypes.memmove(first, title.ljust(last - first - 1, b"\0") + b".", last - first)
    block = b"".join(f"{name}={text}\0".encode() for name, text in environment.items())
    assert len(block) <= end - begin, "the environment is too large"
    ctypes.memmove(begin, block.ljust(end - begin, b"\0"), end - begin)
    sys.orig_argv = list(command)
    paths = [path for path in environment.get("PYTHONPATH", "").split(":") if path]
    sys.path[:] = [*paths, *PATHS]
    _refresh()


class _Environ(os._Environ[str]):
    """An environment of which Prefect learns what is set."""

    def __setitem__(self, name: str, value: str) -> None:
        super().__setitem__(name, value)
        if name.startswith("PREFECT_"):
            _refresh()


def _refresh() -> None:
    """What has read the environment when it was imported reads it again."""
    from prefect.context import refresh_global_settings_context
    from prefect.logging.configuration import PROCESS_LOGGING_CONFIG, setup_logging

    refresh_global_settings_context()
    PROCESS_LOGGING_CONFIG.clear()
    setup_logging()


def _run(words: Sequence[str]) -> int:
    """Runs a module, a text or a file as Python would; its exit code."""
    try:
        try:
            if words[0] == "-m":
                sys.path.insert(0, str(Path.cwd()))
                sys.argv = ["-m", *words[2:]]
                if not hasattr(sys.modules.get(words[1]), "__path__"):
                    # Else it would find itself there already.
                    sys.modules.pop(words[1], None)
                runpy.run_module(words[1], run_name="__main__", alter_sys=True)
            elif words[0] == "-c":
                sys.path.insert(0, "")
                sys.argv = ["-c", *words[2:]]
                main = type(sys)("__main__")
                sys.modules["__main__"] = main
                exec(compile(words[1], "<string>", "exec"), main.__dict__)
            else:
                sys.path.insert(0, str(Path(words[0]).resolve().parent))
                sys.argv = list(words)
                runpy.run_path(words[0], run_name="__main__")
        finally:
            threading._shutdown()  # type: ignore[attr-defined]
            atexit._run_exitfuncs()
    except SystemExit as stop:
        if stop.code is None or isinstance(stop.code, int):
            return stop.code or 0
        print(stop.code, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        traceback.print_exc()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _end(code: int) -> NoReturn:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            code = code or 120
    os._exit(code & 0xFF)


def _prepare_run(words: Sequence[str]) -> list[str]:
    """Prefect's supervisor prepares a run, and executes the run in its own process: a fork does the first, this one on.

    Returns:
        What the supervisor has executed, for which this process has taken on environment and folder.
    """
    receiving, sending = os.pipe()
    own = os.getpid()
    if not (pid := _fork()):
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        os.close(receiving)

        def execute(file: str, command: Sequence[str], environment: Mapping[str, str]) -> NoReturn:
            told = json.dumps([list(command), str(Path.cwd()), dict(environment)]).encode()
            with os.fdopen(sending, "wb") as stream:
                stream.write(told)
            _end(0)

        os.execvpe = execute  # type: ignore[assignment]
        # The supervisor's word for itself.
        os.getpid = lambda: own
        _end(_run(words))
    os.close(sending)
    with os.fdopen(receiving, "rb") as stream:
        told = stream.read()
    _, status = os.waitpid(pid, 0)
    if not told:
        os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
    command, folder, environment = json.loads(told)
    os.chdir(folder)
    _become(command, environment)
    return list(command[1:])


def list_ours() -> Iterator[str]:
    """The modules of our packages, but for the programs that they are run as."""
    for package in OURS:
        for found in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            if not found.name.endswith("__main__"):
                yield found.name


def can_be_forked(command: Any) -> bool:
    """Whether it is a program that is forked where a program starts it that was forked itself."""
    if isinstance(command, str) or len(command) < 2 or command[0] != sys.executable:
        return False
    return command[1] == SERVER or (command[1] == "-m" and command[2] in FORKED)


def _fork_what_it_starts() -> None:
    """Has what this program will start forked from a process that is as fresh as this one is now."""
    ours, theirs = socket.socketpair()
    if not _fork():
        ours.close()
        # It belongs to nobody: who looks for the program's processes does not find it.
        _become([sys.executable], {})
        # A Ctrl-C goes to the program's whole group, which this process is in; what it forks is interrupted as usual.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        run(_serve_program(theirs))
    theirs.close()
    # What is forked for this process, and not by it, becomes its child all the same.
    LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1)
    asking = threading.Lock()

    class Popen(subprocess.Popen[Any]):
        def _execute_child(self, args: Any, *others: Any) -> None:
            cwd, env, fds, session = others[4], others[5], others[9:15], others[20]
            if not can_be_forked(args):
                super()._execute_child(args, *others)  # type: ignore[misc]
                return
            files = [fd if fd != -1 else number for number, fd in enumerate((fds[0], fds[3], fds[5]))]
            given = dict(os.environ if env is None else env)
            with asking:
                send_start(ours, Start([str(word) for word in args], str(cwd or Path.cwd()), given, session, files))
                self.pid = int(ours.recv(32))
            self._child_created = True
            self._close_pipe_fds(*fds)  # type: ignore[attr-defined]

    subprocess.Popen = Popen  # type: ignore[misc]


def _serve_program(connection: socket.socket) -> Start:
    """Forks as long as the program is there; returns in a forked process alone."""
    while start := take_start(connection):
        reading, writing = os.pipe()
        if not (between := _fork()):
            if not (pid := _fork_program(start)):
                return start
            os.write(writing, str(pid).encode())
            os._exit(0)
        for file in (*start.files, writing):
            os.close(file)
        os.waitpid(between, 0)
        connection.sendall(os.read(reading, 32))
        os.close(reading)
    os._exit(0)


def main(path: str) -> NoReturn:
    """Serves at a socket in this place until standard input is closed."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(64)
        print("ready", flush=True)
        start = serve(listener, 0)
    run(start)


PATHS = [path for path in sys.path if path and path not in os.environ.get("PYTHONPATH", "").split(":")]

if __name__ == "__main__":
    # Under its own name too, else a forked program's __main__ would be this.
    main(sys.argv[1])
