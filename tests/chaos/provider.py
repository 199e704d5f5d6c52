"""The provider: an OpenAI-compatible server in a process of its own, which plays a script and keeps a ledger.

It survives the kills of what is tested and shares no interpreter with what is measured. HTTP/1.1 by hand on asyncio's
protocols, since a framework takes as much CPU for a call as what is measured.
"""

import asyncio
import hashlib
import json
import os
import re
import socket
import struct
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaos.answers import Answer, make_answer, read_kind, write_response
from chaos.faults import FAULTLESS, Fault, Outage, Script, load_script
from chaos.ledger import ANSWERED, GONE, Entry, read_ledger

from engine.llm.prices import Price, find_price

ROOT = Path(__file__).parents[2]
MODEL = "openai/gpt-4.1-mini"
KEY = "test"
DRIP_SECONDS = 1.0
BACKLOG = 512
# How engine/generation/templates/words_only.jinja begins.
IN_WORDS = "\n\nAnswer with one JSON object and nothing else"
DOWN: Fault = "error_503"

_HEAD_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
# Closing with this option sends RST where else FIN would be sent.
_RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class ChaosProvider:
    """A provider that runs. ``url`` is the API base."""

    url: str
    script: Script
    ledger: Path
    bodies: Path
    process: "subprocess.Popen[str]"

    def read(self) -> list[Entry]:
        """The calls that have ended so far."""
        return read_ledger(self.ledger)

    def listens(self) -> bool:
        """Whether anybody listens at its port; nobody does during an outage."""
        with socket.socket() as caller:
            return caller.connect_ex(("127.0.0.1", int(self.url.split(":")[2].split("/")[0]))) == 0

    @property
    def variables(self) -> dict[str, str]:
        """What points a workspace at the provider."""
        return {
            "EXEMPLARS_SYNTH_MODEL": MODEL,
            "EXEMPLARS_SYNTH_API_BASE": self.url,
            "EXEMPLARS_SYNTH_API_KEY": KEY,
        }


@contextmanager
def serve_chaos(folder: Path, script: Script = FAULTLESS, keep_bodies: bool = False) -> Iterator[ChaosProvider]:
    """A provider on a free loopback port while the block runs; its ledger stays in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    ledger, bodies = folder / "ledger.jsonl", folder / "bodies.jsonl"
    command = [sys.executable, "-m", "chaos.provider", script.dump(), str(ledger), str(bodies) if keep_bodies else ""]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'tests'}{os.pathsep}{ROOT}"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        port = process.stdout.readline().strip()
        assert port, "the provider did not start"
        yield ChaosProvider(f"http://127.0.0.1:{port}/v1", script, ledger, bodies, process)
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def read_prompt(body: Mapping[str, Any]) -> str:
    """The prompt, such that its SHA-256 is a row's ``prompt_sha256``."""
    said = [str(message["content"]) for message in body["messages"]]
    return "\0".join(said if len(said) > 1 else ["", *said])


class Server:
    """What all connections of the provider share."""

    def __init__(self, script: Script, ledger: Path, bodies: Path | None) -> None:
        price = find_price(MODEL)
        assert price is not None
        self.script = script
        self.price: Price = price
        self.connections: set[Connection] = set()
        self.written: dict[str, str] = {}
        self.calls = 0
        self.loop = asyncio.get_running_loop()
        self._attempts: Counter[str] = Counter()
        self._away_until = 0.0
        self._outages = list(script.outages)
        self._ledger = os.open(ledger, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._bodies = os.open(bodies, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644) if bodies else None
        self._port = 0
        self._listening: asyncio.Server | None = None

    async def listen(self) -> int:
        """Listens on the port that it had, a free one at first, and returns it."""
        listener = socket.create_server(("127.0.0.1", self._port), backlog=BACKLOG)
        # asyncio does so only for sockets that it makes itself; without it every answer comes 40 ms late.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._port = int(listener.getsockname()[1])
        self._listening = await self.loop.create_server(lambda: Connection(self), sock=listener)
        return self._port

    def begin(self, content: bytes) -> "Call":
        """A call that has come in."""
        self.calls += 1
        for outage in [item for item in self._outages if self.calls >= item.first]:
            self._outages.remove(outage)
            self._go_away(outage)
        if self._bodies is not None:
            os.write(self._bodies, content + b"\n")
        body: dict[str, Any] = json.loads(content)
        prompt = read_prompt(body)
        sent, digest = (hashlib.sha256(text.encode()).hexdigest() for text in (prompt, prompt.split(IN_WORDS)[0]))
        self._attempts[digest] += 1
        fault = self.script.choose(digest, self._attempts[digest], self.calls)
        if time.time() < self._away_until:
            fault = DOWN
        return Call(self.calls, time.time(), digest, sent, self._attempts[digest], prompt, str(body["model"]), fault)

    def note(self, call: "Call", fate: str, answer: Answer) -> None:
        """Writes a call that has ended into the ledger: before its answer goes out, so that no paid one is missing."""
        billed = answer.whole and fate != GONE
        entry = Entry(
            number=call.number,
            begun=call.begun,
            ended=time.time(),
            digest=call.digest,
            sent=call.sent,
            kind=read_kind(call.prompt),
            attempt=call.attempt,
            fate=fate,
            billed=billed,
            prompt_tokens=answer.prompt_tokens if billed else 0,
            cached_tokens=answer.cached_tokens if billed else 0,
            completion_tokens=answer.completion_tokens if billed else 0,
            cost_usd=answer.cost(self.price) if billed else 0.0,
            text_sha256=answer.text_sha256 if billed else "",
        )
        os.write(self._ledger, entry.dump().encode())

    def _go_away(self, outage: Outage) -> None:
        if not outage.refused:
            self._away_until = time.time() + outage.seconds
            return
        assert self._listening is not None
        self._listening.close()
        for connection in list(self.connections):
            connection.reset()
        self.loop.call_later(outage.seconds, lambda: self.loop.create_task(self.listen()))


@dataclass(frozen=True, slots=True)
class Call:
    """One call that has come in."""

    number: int
    begun: float
    digest: str
    sent: str
    attempt: int
    prompt: str
    model: str
    fault: Fault | None


NOTHING = Answer(b"")


class Connection(asyncio.Protocol):
    """One keep-alive connection: a request at a time."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._received = bytearray()
        self._call: Call | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server.connections.add(self)

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(_HEAD_END)
        length = _LENGTH.search(self._received, 0, end + 2) if end >= 0 else None
        if end < 0 or (length and len(self._received) < end + len(_HEAD_END) + int(length[1])):
            return
        content = bytes(self._received[end + len(_HEAD_END) :])
        self._received.clear()
        if not content:
            self._transport.write(write_response(200, b"{}"))
            return
        call = self._server.begin(content)
        if self._transport.is_closing():
            self._server.note(call, GONE, NOTHING)
            return
        self._call = call
        seconds = self._server.script.choose_seconds(call.digest, call.attempt, call.fault)
        self._timer = self._server.loop.call_later(seconds, self._answer, call)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.connections.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        if self._call is not None:
            self._server.note(self._call, GONE, NOTHING)

    def reset(self) -> None:
        """Ends the connection with RST."""
        sock = self._transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._transport.abort()

    def _answer(self, call: Call) -> None:
        self._timer = None
        server = self._server
        answer = make_answer(call.fault, call.model, call.prompt, server.script, server.written, time.time())
        if answer.after == "hang":
            return
        if answer.after == "drip":
            self._drip(call, answer, 0)
            return
        self._call = None
        server.note(call, call.fault or ANSWERED, answer)
        if answer.data:
            self._transport.write(answer.data)
        if answer.after == "reset":
            # What was written has to leave before the reset overtakes it.
            server.loop.call_soon(self.reset)
        elif answer.after == "close":
            self._transport.close()

    def _drip(self, call: Call, answer: Answer, sent: int) -> None:
        """A byte a second, the head at once."""
        end = answer.data.find(_HEAD_END) + len(_HEAD_END) if sent == 0 else sent + 1
        self._transport.write(answer.data[sent:end])
        if end < len(answer.data):
            self._timer = self._server.loop.call_later(DRIP_SECONDS, self._drip, call, answer, end)
            return
        self._call = None
        self._server.note(call, call.fault or ANSWERED, answer)


async def _serve(script: Script, ledger: Path, bodies: Path | None) -> None:
    port = await Server(script, ledger, bodies).listen()
    print(port, flush=True)
    # The end of its standard input is that of whoever has started it.
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve(load_script(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]) if sys.argv[3] else None))
