"""A provider of batches in memory, whose wire does what a test tells it."""

from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Literal

from engine.llm.batches.account import BatchAccount
from engine.llm.batches.provider import Answer, Line, RemoteBatch
from engine.llm.client.request import Reply

REPLY = Reply("one", "stop", prompt_tokens=7, completion_tokens=3, cost_usd=0.001)


@dataclass
class Remote:
    key: str
    lines: list[str]
    state: Literal["works", "no file", "ended", "refused"] = "works"
    cancelled: int = 0


@dataclass
class FakeProvider:
    """``errors`` are what the next requests of a step raise; a create that is ``lost`` raises after it was accepted.

    ``answer`` says what comes of a line, None for nothing; ``hides`` batches from the list.
    """

    answer: Callable[[str], Answer | None] = lambda line: Answer(line, REPLY)
    errors: dict[str, deque[Exception]] = field(default_factory=dict)
    lost: Exception | None = None
    hides: bool = False
    breaks_after: int | None = None
    remote: dict[str, Remote] = field(default_factory=dict)
    steps: list[str] = field(default_factory=list)
    closed: int = 0

    def fail(self, step: str, *errors: Exception) -> None:
        self.errors.setdefault(step, deque()).extend(errors)

    def end(self, state: Literal["no file", "ended", "refused"] = "ended") -> None:
        for remote in self.remote.values():
            remote.state = state

    @property
    def submitted(self) -> Counter[str]:
        return Counter(line for remote in self.remote.values() for line in remote.lines)

    def open(self, place: BatchAccount) -> "FakeWire":
        self.step("open")
        return FakeWire(self)

    def step(self, name: str) -> None:
        self.steps.append(name)
        if self.errors.get(name):
            raise self.errors[name].popleft()


class FakeWire:
    def __init__(self, provider: FakeProvider) -> None:
        self.provider = provider

    async def upload(self, key: str, lines: Iterable[Line]) -> str | None:
        self.provider.step("upload")
        return f"file-{key}"

    async def create(self, key: str, file_id: str | None, lines: Iterable[Line]) -> str:
        provider = self.provider
        provider.step("create")
        assert f"file-{key}" == file_id
        remote_id = f"batch-{len(provider.remote)}"
        provider.remote[remote_id] = Remote(key, [line.custom_id for line in lines])
        if provider.lost:
            error, provider.lost = provider.lost, None
            raise error
        return remote_id

    async def find(self, key: str, tried_at: float, ids: Collection[str], taken: Collection[str]) -> str | None:
        self.provider.step("find")
        found = [name for name, remote in self.provider.remote.items() if remote.key == key and name not in taken]
        return found[0] if found and not self.provider.hides else None

    async def look(self, remote_id: str) -> RemoteBatch:
        self.provider.step("look")
        state = self.provider.remote[remote_id].state
        return RemoteBatch(state, "too many lines" if state == "refused" else "none yet")

    async def read(self, remote_id: str) -> AsyncIterator[Answer]:
        self.provider.step("read")
        remote = self.provider.remote[remote_id]
        for number, line in enumerate(remote.lines if remote.state != "no file" else ()):
            if number == self.provider.breaks_after:
                self.provider.step("break")
            answer = self.provider.answer(line)
            if answer is not None:
                yield answer

    async def cancel(self, remote_id: str) -> None:
        self.provider.step("cancel")
        self.provider.remote[remote_id].cancelled += 1
        self.provider.remote[remote_id].state = "ended"

    async def close(self) -> None:
        self.provider.closed += 1
