"""Stand-ins that are run as ``make serve`` runs its services, in a process that is forked after the imports."""

import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from io import TextIOBase
from multiprocessing.connection import Connection, Pipe
from pathlib import Path

from fakes.ports import find_free_port
from fakes.store_writers import CONTEXT
from fakes.workspace import MARK, Workspace

from engine.errors import ExemplarsError
from flows.serve import Service, answers, run_services

STAND_IN = Path(__file__).with_name("stand_in.py")
READY, OVER = "all is up", "over"
SECONDS = 60.0


@dataclass(frozen=True)
class StandIn:
    name: str
    arguments: Sequence[str] = ()
    is_step: bool = False
    port: int = field(default_factory=find_free_port)


class House:
    """The stand-ins of some stages; ``said`` has the lines so far, the last of which says how it ended."""

    def __init__(self, folder: Path, *stages: Sequence[StandIn], start_seconds: float = SECONDS) -> None:
        self.workspace = Workspace(folder)
        self.logs = folder / "logs"
        self.said: list[str] = []
        # Not a child of this process's: what runs the services kills whatever it has for a child.
        stdin, self._stdin = Pipe(duplex=False)
        self._lines, lines = Pipe(duplex=False)
        told = (folder, stages, start_seconds, stdin, lines)
        self.process = CONTEXT.Process(target=_serve, args=told, daemon=True)
        self.process.start()
        stdin.close()
        lines.close()

    def read_until(self, line: str) -> list[str]:
        """All that it has said when it has said this line, or is over."""
        while line not in self.said:
            assert self._lines.poll(SECONDS), self.said
            try:
                self.said.append(self._lines.recv())
            except EOFError:
                break
        return self.said

    def close(self) -> list[str]:
        """Closes its standard input, and returns what it says from then on, until it is over."""
        before = len(self.said)
        self._stdin.close()
        return self.wait()[before:]

    def wait(self) -> list[str]:
        self.read_until("")
        self.process.join(SECONDS)
        return self.said

    def find(self, stand_in: StandIn) -> list[int]:
        mark = f"stand_in.py {stand_in.port}"
        return [pid for pid, line in self.workspace.list_processes().items() if mark in line]


class _Speaker(TextIOBase):
    def __init__(self, lines: Connection) -> None:
        self._lines = lines

    def write(self, text: str) -> int:
        if text.strip():
            self._lines.send(text)
        return len(text)


def _serve(
    folder: Path,
    stages: Sequence[Sequence[StandIn]],
    start_seconds: float,
    stdin: Connection,
    lines: Connection,
) -> None:
    sys.stdin = os.fdopen(os.dup(stdin.fileno()))
    stdin.close()
    environment = {**os.environ, MARK: str(folder)}

    def make(told: StandIn) -> Service:
        url = f"http://127.0.0.1:{told.port}/"
        arguments = (str(STAND_IN), str(told.port), *told.arguments)
        is_ready = None if told.is_step else lambda: answers(url)
        return Service(told.name, arguments, environment, is_ready, lambda: lines.send(f"settled {told.name}"))

    services = [[make(told) for told in stage] for stage in stages]
    with redirect_stdout(_Speaker(lines)):
        try:
            run_services(services, folder / "logs", READY, start_seconds)
            lines.send(OVER)
        except ExemplarsError as error:
            lines.send(f"{error.exit_code}: {error}")
