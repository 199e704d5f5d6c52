"""Checks ports: whether one is free, which process uses it if not, and whether a server answers at an address."""

import errno
import socket
from pathlib import Path

import httpx

from engine.errors import InputError, OrchestratorError
from flows.serve.processes import describe_process

LISTENING = "0A"
ASK_SECONDS = 2.0


def check_port(host: str, port: int, variable: str) -> None:
    """Checks that a server can listen at an address; ``variable`` names the setting of the port, for the message.

    Raises:
        OrchestratorError: another process listens there.
        InputError: no process can, as with a host that is not of this machine or a port below 1024.
    """
    if port == 0:
        raise InputError(f"{variable}=0 is not possible here, since others are told the address: choose a port")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as listener:
            # As servers do: old connections of a server that has just ended may still be closing.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise InputError(f"{host}:{port} ({variable}): {error.strerror}. Choose another") from error
        raise OrchestratorError(
            f"port {port} is used by {find_holder(port)}. Stop it, or choose another port: {variable}={port + 1}"
        ) from error


def find_holder(port: int) -> str:
    """The process that listens on a port: its pid and command line, if they can be read."""
    sockets = {f"socket:[{number}]" for number in _list_listening(port)}
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            held = str(link.readlink()) in sockets
        except OSError:
            continue
        if held:
            pid = int(link.parts[2])
            return f"process {pid} ({describe_process(pid)})"
    return "another process, perhaps another user's"


def answers(url: str) -> bool:
    """Whether a GET of the address is answered with 200."""
    try:
        return httpx.get(url, timeout=ASK_SECONDS).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def _list_listening(port: int) -> set[str]:
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text(encoding="utf-8").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            _, local, _, state, *rest = line.split()
            if state == LISTENING and int(local.rpartition(":")[2], 16) == port:
                found.add(rest[5])
    return found
