"""A process that collects batches and is killed or held up at a step of a pass."""

import asyncio
import os
import random
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Collection, Iterable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal

from fakes.store_writers import CONTEXT, SECONDS
from fakes.waiting import wait_until
from pydantic import SecretStr

from engine.llm.batches.account import BatchAccount
from engine.llm.batches.collector import CollectResult, collect
from engine.llm.batches.ledger import PAGE
from engine.llm.batches.outbox import Outbox
from engine.llm.batches.provider import Answer, BatchProvider, Line, RemoteBatch
from engine.llm.batches.providers import open_provider
from engine.settings import DatabaseUrl

# What has just been done: noted in the database, or asked of the provider.
Step = Literal["intent", "upload", "try", "create", "created", "look", "read", "kept"]
STEPS: tuple[Step, ...] = ("intent", "upload", "try", "create", "created", "look", "read", "kept")
KEY = "sk-batches"
# Else litellm downloads its price list when it is imported, and each process would import it.
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")


class Wired:
    """A wire whose process gets a signal at a step, at once or within some milliseconds of it."""

    def __init__(self, wire: BatchProvider, step: Step | None, number: signal.Signals, within_seconds: float) -> None:
        self._wire, self._step, self._number, self._within = wire, step, number, within_seconds
        self._has_read = False

    async def upload(self, key: str, lines: Iterable[Line]) -> str | None:
        self._reach("intent")
        file_id = await self._wire.upload(key, lines)
        self._reach("upload")
        return file_id

    async def create(self, key: str, file_id: str | None, lines: Iterable[Line]) -> str:
        self._reach("try")
        remote_id = await self._wire.create(key, file_id, lines)
        self._reach("create")
        return remote_id

    async def find(self, key: str, tried_at: float, ids: Collection[str], taken: Collection[str]) -> str | None:
        return await self._wire.find(key, tried_at, ids, taken)

    async def look(self, remote_id: str) -> RemoteBatch:
        self._reach("created")
        found = await self._wire.look(remote_id)
        self._reach("look")
        return found

    async def read(self, remote_id: str) -> AsyncIterator[Answer]:
        number, self._has_read = 0, True
        async for answer in self._wire.read(remote_id):
            yield answer
            number += 1
            if number == PAGE + 1:
                self._reach("read")

    async def cancel(self, remote_id: str) -> None:
        await self._wire.cancel(remote_id)

    async def close(self) -> None:
        if self._has_read:
            self._reach("kept")
        await self._wire.close()

    def _reach(self, step: Step) -> None:
        if step != self._step:
            return
        if self._within:
            threading.Timer(random.uniform(0, self._within), os.kill, (os.getpid(), self._number)).start()
        else:
            os.kill(os.getpid(), self._number)


async def collect_once(place: DatabaseUrl, offset: float = 0.0) -> CollectResult:
    """One pass in this process, whose clock goes by so many seconds before."""
    with Outbox(place) as outbox:
        return await collect(outbox, lambda where: open_provider(where, KEY), lambda: time.time() + offset)


def work(
    place: DatabaseUrl,
    offset: float,
    step: Step | None,
    number: signal.Signals,
    within_seconds: float,
    passes: int,
    told: Connection,
) -> None:
    def open_killing(where: BatchAccount) -> Wired:
        return Wired(open_provider(where, KEY), step, number, within_seconds)

    with Outbox(place) as outbox:
        for _ in range(passes):
            told.send(asyncio.run(collect(outbox, open_killing, lambda: time.time() + offset)))


class Collecting:
    """The process of ``work``; it is killed at the end of the block."""

    def __init__(
        self,
        place: DatabaseUrl,
        offset: float = 0.0,
        step: Step | None = None,
        number: signal.Signals = signal.SIGKILL,
        within_seconds: float = 0.0,
        passes: int = 1,
    ) -> None:
        self._heard, told = CONTEXT.Pipe(duplex=False)
        self.process = CONTEXT.Process(target=work, args=(place, offset, step, number, within_seconds, passes, told))
        self.process.start()
        told.close()

    def __enter__(self) -> "Collecting":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.join()

    def wait_for_stop(self) -> None:
        """Returns when a signal has stopped it."""
        stat = Path(f"/proc/{self.process.pid}/stat")
        wait_until(lambda: "T" == stat.read_text().rpartition(")")[2].split()[0], what="it is stopped")

    def go_on(self) -> None:
        os.kill(int(self.process.pid or 0), signal.SIGCONT)

    def hear(self) -> list[CollectResult]:
        """What it has said of its passes."""
        said = []
        try:
            while self._heard.poll():
                said.append(self._heard.recv())
        except EOFError:
            pass
        return said

    def wait(self) -> int | None:
        """Its exit code, when it has ended."""
        self.process.join(SECONDS)
        return self.process.exitcode


def _main(url: str, offset: str) -> None:
    begun, cpu = time.monotonic(), time.process_time()
    told = asyncio.run(collect_once(SecretStr(url), float(offset)))
    seconds, cpu_seconds = time.monotonic() - begun, time.process_time() - cpu
    print(f"{told}, in {seconds:.1f} s, {cpu_seconds:.1f} CPU-s {' '.join(told.problems)}")


if __name__ == "__main__":
    _main(*sys.argv[1:])
