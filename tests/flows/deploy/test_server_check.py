"""A server is looked at before it is set up: what is wrong with it is said, with what to do."""

import json
from importlib.metadata import version

import pytest
from fakes.receiver import open_receiver
from fakes.site import find_free_port
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings
from pydantic import SecretStr

from engine.errors import OrchestratorError
from flows.deploy.__main__ import check_server
from flows.deploy.alerts import ensure_alerts

OWN = version("prefect")


def test_server_of_the_same_version_will_do() -> None:
    assert OWN == ask(200, json.dumps(OWN))


@pytest.mark.parametrize("later", ["3.9.7", "3.10.0", "3.99.1"])
def test_later_server_will_do(later: str) -> None:
    assert later == ask(200, json.dumps(later))


@pytest.mark.parametrize("other", ["2.20.4", "3.8.8", "4.0.0"])
def test_server_of_another_version_is_refused_with_what_to_do(other: str) -> None:
    with pytest.raises(OrchestratorError, match=rf"has version {other}, but this code needs 3\.9 or a later 3.*pip"):
        ask(200, json.dumps(other))


@pytest.mark.parametrize("code", [401, 403])
def test_server_that_refuses_names_the_settings(code: int) -> None:
    with pytest.raises(OrchestratorError, match=rf"refuses access \({code}\)\. Set PREFECT_API_AUTH_STRING"):
        ask(code, "{}")


@pytest.mark.parametrize(("code", "body"), [(404, "{}"), (200, "<html>"), (200, '{"a": 1}'), (200, '"today"')])
def test_what_is_no_prefect_server_is_said_to_be_none(code: int, body: str) -> None:
    with pytest.raises(
        OrchestratorError, match=r"(is none: its version cannot be read|answers 404)\. .*PREFECT_API_URL is its address"
    ):
        ask(code, body)


def test_broken_server_is_said_to_be_broken() -> None:
    with pytest.raises(OrchestratorError, match=r"answers 500\. Check .*; its own logs may say more"):
        ask(500, "oh")


def test_block_that_the_server_cannot_decrypt_is_said_with_the_key_that_it_lacks() -> None:
    with (
        open_receiver(500, "{}") as receiver,
        temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{receiver.port}/api"}),
        get_client(sync_client=True) as client,
        pytest.raises(OrchestratorError, match=r"webhook/exemplars-alert\. .*PREFECT_SERVER_ENCRYPTION_KEY is not the"),
    ):
        ensure_alerts(client, SecretStr("http://127.0.0.1:9/hook"))


def test_nobody_there_is_said() -> None:
    with pytest.raises(OrchestratorError, match=r"does not answer: ConnectError .*Check that it runs, "):
        check(find_free_port())


def ask(code: int, body: str) -> str:
    with open_receiver(code, body) as receiver:
        return check(receiver.port)


def check(port: int) -> str:
    url = f"http://127.0.0.1:{port}/api"
    with temporary_settings({PREFECT_API_URL: url}), get_client(sync_client=True) as client:
        return check_server(client)
