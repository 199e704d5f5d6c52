"""A way to a door on which, at chosen requests, the door is killed or whoever asks."""

import http.client
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

# Before the door has the request, while it works on it, or when its answer is on the way.
Moment = Literal["before", "within", "after"]
MOMENTS: Sequence[Moment] = ("before", "within", "after")
WITHIN_SECONDS = 0.08
HOP_BY_HOP = {"connection", "transfer-encoding", "content-length", "keep-alive", "host"}


@dataclass(frozen=True)
class Kill:
    """``gap`` is how many requests come before it."""

    victim: Literal["door", "push"]
    moment: Moment
    gap: int


def draw_kills(seed: int, count: int, most_requests_between: int) -> list[Kill]:
    """Half of them of the door and half of the push, in any order and at any moment."""
    drawn = random.Random(seed)
    victims = ["door", "push"] * count
    chosen = drawn.sample(victims[:count], count)
    return [
        Kill("door" if victim == "door" else "push", drawn.choice(MOMENTS), drawn.randrange(most_requests_between))
        for victim in chosen
    ]


@dataclass
class Way:
    """``kill`` is called with what is due, and says whether there was something to kill; else it is due once more.

    ``done`` has the kills that were made, with the request each was at.
    """

    port: int
    kill: Callable[[Kill], bool]
    kills: list[Kill] = field(default_factory=list)
    done: list[tuple[str, str, str]] = field(default_factory=list)
    requests: int = 0
    url: str = ""
    _gap: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self) -> Kill | None:
        """The kill that is due at this request."""
        with self._lock:
            self.requests += 1
            if not self.kills or self._gap < self.kills[0].gap:
                self._gap += 1
                return None
            self._gap = 0
            return self.kills.pop(0)

    def pass_on(self, request: BaseHTTPRequestHandler) -> tuple[int, list[tuple[str, str]], bytes] | None:
        """The door's answer; None where it is lost."""
        body = request.rfile.read(int(request.headers.get("Content-Length", "0")))
        due = self.take()
        if due is not None and due.moment == "before":
            self._kill(due, request.command)
            return None
        within = threading.Timer(random.random() * WITHIN_SECONDS, self._kill, [due, request.command])
        if due is not None and due.moment == "within":
            within.start()
        headers = {name: text for name, text in request.headers.items() if name.lower() not in HOP_BY_HOP}
        door = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            door.request(request.command, request.path, body, headers)
            answer = door.getresponse()
            found = answer.status, answer.getheaders(), answer.read()
        except (OSError, http.client.HTTPException):
            if due is not None and due.moment == "after":
                self.kills.append(due)
            return None
        finally:
            door.close()
            if within.ident is not None:
                within.join()
        if due is not None and due.moment == "after":
            self._kill(due, request.command)
            return None
        return found

    def _kill(self, due: Kill, method: str) -> None:
        if self.kill(due):
            self.done.append((due.victim, due.moment, method))
        else:
            self.kills.append(due)


@contextmanager
def serve_way(way: Way) -> Iterator[Way]:
    """A way that is open while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            found = way.pass_on(self)
            if found is None:
                self.close_connection = True
                return
            status, headers, content = found
            with suppress(OSError):
                self.send_response_only(status)
                for name, text in headers:
                    if name.lower() not in HOP_BY_HOP:
                        self.send_header(name, text)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def handle_one_request(self) -> None:
            with suppress(ConnectionError):
                super().handle_one_request()
                return
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    way.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield way
    finally:
        server.shutdown()
        server.server_close()
