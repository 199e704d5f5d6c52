"""Ports for the servers of tests, on loopback."""

import itertools
import os
import socket

# Those of one process of xdist's.
PORTS = 1_000
_first_port = 12_000 + PORTS * int(os.environ.get("PYTEST_XDIST_WORKER", "gw9").removeprefix("gw"))
# Two sessions at once, such as of two checkouts, begin at different ones.
_ports = itertools.cycle(_first_port + (os.getpid() + number) % PORTS for number in range(PORTS))


def find_free_port() -> int:
    """A port of this machine that nobody listens on.

    It is below those that the kernel gives to outgoing connections, each once, and of this process of xdist's alone:
    some moments pass before a server takes it, and the clients of one that has ended still ask at its own.
    """
    for port in _ports:
        with socket.socket() as tried:
            try:
                tried.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("all ports are taken")
