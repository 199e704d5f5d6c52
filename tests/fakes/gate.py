"""A gate before a server on TCP, which can be shut, or say nothing: the server itself goes on, on a port of its own."""

import socket
import threading
from contextlib import suppress


class Gate:
    """``refused`` counts the connections that were ended at once since it is shut."""

    def __init__(self, port: int) -> None:
        self.refused = 0
        self._upstream = port
        self._is_shut = False
        self._may_speak = threading.Event()
        self._may_speak.set()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def shut(self) -> None:
        """Ends all connections, and from now on each new one."""
        self._is_shut = True
        for side in list(self._open):
            with suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)

    def silence(self) -> None:
        """Takes connections, as a kernel does for a server that hangs, and passes nothing on."""
        self._may_speak.clear()

    def open(self) -> None:
        self._is_shut = False
        self._may_speak.set()

    def close(self) -> None:
        self.shut()
        self._may_speak.set()
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self._is_shut:
                    client.close()
                    self.refused += 1
                    continue
                server = socket.create_connection(("127.0.0.1", self._upstream))
                self._open |= {client, server}
                for source, target in ((client, server), (server, client)):
                    threading.Thread(target=self._pass_on, args=(source, target), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while content := source.recv(65_536):
                self._may_speak.wait()
                target.sendall(content)
        for side in (source, target):
            with suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
