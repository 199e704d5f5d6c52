"""Ports that a server wants: free, held, or not to be had."""

import os
import socket

import pytest
from fakes.site import find_free_port

from engine.errors import InputError, OrchestratorError
from flows.serve.ports import check_port, find_holder


def test_free_port_is_free() -> None:
    check_port("127.0.0.1", find_free_port(), "PORT")


@pytest.mark.parametrize(("host", "family"), [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)])
def test_held_port_names_its_holder_and_the_variable(host: str, family: socket.AddressFamily) -> None:
    with socket.create_server((host, 0), family=family) as held:
        port = held.getsockname()[1]
        with pytest.raises(OrchestratorError) as refused:
            check_port(host, port, "EXEMPLARS_API_PORT")

    assert str(refused.value).startswith(f"port {port} is used by process {os.getpid()} (")
    assert str(refused.value).endswith(f"). Stop it, or choose another port: EXEMPLARS_API_PORT={port + 1}")


def test_holder_that_cannot_be_known_is_said_so() -> None:
    assert "another process, perhaps another user's" == find_holder(find_free_port())


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_host_that_is_not_ours_is_an_input_error(host: str) -> None:
    with pytest.raises(InputError, match=f"{host}:4200 .PORT.: .+. Choose another"):
        check_port(host, 4200, "PORT")


def test_port_zero_is_an_input_error() -> None:
    with pytest.raises(InputError, match="PORT=0 is not possible here"):
        check_port("127.0.0.1", 0, "PORT")
