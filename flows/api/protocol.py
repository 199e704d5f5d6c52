"""The HTTP door's connections: uvicorn's h11 protocol with a deadline, strict limits, and errors in our envelope."""

import asyncio
from typing import Any
from uuid import uuid4

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from flows.api.errors import ApiError, render_error

HEAD_SECONDS = 10.0
HEAD_LIMIT_BYTES = 16 * 1024
# Includes idle connections: each is an open file, and the process needs files for other things too.
MAX_CONNECTIONS = 768

# h11 checks its limit only on an incomplete head, so a head that arrives in one piece is fed to it in smaller pieces.
_PIECE_BYTES = 4 * 1024


class DoorProtocol(H11Protocol):
    """Based on h11, which is strict and pure Python. Adds a deadline for a request's head, which uvicorn lacks."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        head_seconds: float = HEAD_SECONDS,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._head_seconds = head_seconds
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accepts a connection, unless there are too many, and starts the deadline of its first request."""
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            transport.close()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called when either side has closed the connection."""
        self._cancel_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feeds the data to h11 in pieces, until the connection is closing."""
        for start in range(0, len(data), _PIECE_BYTES):
            if self.transport.is_closing():
                return
            super().data_received(data[start : start + _PIECE_BYTES])
        self._watch()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Called when the client will send no more; one that is waiting for its response still gets it."""
        if not self._is_answering() or self.cycle.more_body:
            return False
        self.cycle.keep_alive = False
        return True

    def on_response_complete(self) -> None:
        """Starts the deadline of the next request, unless that has already arrived."""
        super().on_response_complete()
        self._watch()

    def send_400_response(self, msg: str) -> None:
        """Answers malformed HTTP with our envelope, if a response can still be started, and closes the connection."""
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            response = render_error(ApiError(400, "invalid_request", msg), uuid4().hex)
            headers = [*response.raw_headers, (b"connection", b"close")]
            for event in (
                h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
                h11.Data(data=bytes(response.body)),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        if self._is_answering():
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.close()

    def _should_upgrade(self) -> bool:
        """Always False: a request to upgrade to a WebSocket is answered like any other, without uvicorn's warning."""
        return False

    def _is_answering(self) -> bool:
        # Typed as always there, but it is None until the first request.
        return bool(self.cycle) and not self.cycle.response_complete

    def _watch(self) -> None:
        """Starts the deadline while we wait for a request's head, or for the rest of a body that nobody reads."""
        if self._is_answering():
            self._cancel_deadline()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(self._head_seconds, self.transport.close)

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
