"""A load generator: callers with a connection each, who send their next request when they have their answer.

It writes bytes that were made before and reads no more of an answer than its status and its end: some 0.05 ms of CPU a
request, where httpx takes 1 ms and would measure itself.
"""

import asyncio
import json
import random
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

BUSY = 503
BUSY_WAIT_SECONDS = 0.05
DRAIN_SECONDS = 60.0

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_END = b"\r\n\r\n"


@dataclass
class Load:
    """What came of one block: the seconds of each answer, the statuses, how often a busy server said 503, and how many
    requests had none but those when the time was over.
    """

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    busy: int = 0
    unanswered: int = 0
    lasted_seconds: float = 0.0
    cpu_seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.seconds) / self.lasted_seconds


def write_request(method: str, url: str, body: object = None, headers: Mapping[str, str] = {}) -> bytes:
    """A request as it goes over the wire."""
    parts = urlsplit(url)
    content = b"" if body is None else json.dumps(body).encode()
    said = {"Host": parts.netloc, **headers}
    if content:
        said |= {"Content-Type": "application/json", "Content-Length": str(len(content))}
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {text}" for name, text in said.items())]
    return "\r\n".join(lines).encode() + _END + content


def send_load(url: str, requests: Iterator[bytes], callers: int, seconds: float) -> Load:
    """Sends requests from so many callers until the time is over or there are none left.

    A caller that is answered 503 asks again until it is not or the time is over; all of that is one answer's time.
    """
    load = Load()
    begun, cpu_begun = time.perf_counter(), time.process_time()
    asyncio.run(_send_all(urlsplit(url).port or 80, requests, callers, seconds, load))
    load.lasted_seconds = time.perf_counter() - begun
    load.cpu_seconds = time.process_time() - cpu_begun
    return load


def find_percentile(values: Sequence[float], percent: float) -> float:
    """The value that so many percent are not above (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


async def _send_all(port: int, requests: Iterator[bytes], callers: int, seconds: float, load: Load) -> None:
    end = asyncio.get_running_loop().time() + seconds
    made = [_Caller(port, requests, end, load) for _ in range(callers)]
    for caller in made:
        await caller.connect()
    async with asyncio.timeout(seconds + DRAIN_SECONDS):
        await asyncio.gather(*(caller.done for caller in made))


class _Caller(asyncio.Protocol):
    def __init__(self, port: int, requests: Iterator[bytes], end: float, load: Load) -> None:
        self._loop = asyncio.get_running_loop()
        self._port = port
        self._requests = requests
        self._end = end
        self._load = load
        self._sent = b""
        self._sent_at = 0.0
        self._sent_away = False
        self._received = bytearray()
        self.done = self._loop.create_future()

    async def connect(self) -> None:
        await self._loop.create_connection(lambda: self, "127.0.0.1", self._port)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if self._sent:
            transport.write(self._sent)
        else:
            self._send_next()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head = self._received.find(_END)
        if head < 0:
            return
        length = _LENGTH.search(self._received, 0, head)
        assert length is not None, bytes(self._received[:head])
        if len(self._received) >= head + len(_END) + int(length[1]):
            status = int(self._received[9:12])
            self._received.clear()
            self._take(status)

    def connection_lost(self, exc: Exception | None) -> None:
        """Prefect closes after a 503: the same request is sent anew, over another connection."""
        if not self._sent:
            return
        if not self._sent_away:
            self.done.set_exception(exc or ConnectionError("closed without an answer"))
        elif self._loop.time() > self._end:
            self._load.unanswered += 1
            self.done.set_result(None)
        else:
            self._sent_away = False
            wait_seconds = random.uniform(0, BUSY_WAIT_SECONDS)
            self._loop.call_later(wait_seconds, lambda: self._loop.create_task(self.connect()))

    def _take(self, status: int) -> None:
        if status == BUSY:
            self._load.busy += 1
            self._sent_away = True
            self._transport.close()
            return
        self._load.seconds.append(self._loop.time() - self._sent_at)
        self._load.statuses[status] += 1
        self._send_next()

    def _send_next(self) -> None:
        self._sent = next(self._requests, b"") if self._loop.time() < self._end else b""
        self._sent_at = self._loop.time()
        if self._sent:
            self._transport.write(self._sent)
        else:
            self._transport.close()
            self.done.set_result(None)
