"""A server is looked at before it is set up: what is wrong with it is said, with what to do."""

import json
from importlib.metadata import version

import pytest
from fakes.receiver import open_receiver
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings

from engine.errors import OrchestratorError
from flows.deploy.__main__ import check_server


@pytest.mark.parametrize("found", [version("prefect"), "3.9.7", "3.10.0"])
def test_server_of_this_version_or_a_later_one_will_do(found: str) -> None:
    assert found == ask(200, json.dumps(found))


@pytest.mark.parametrize(
    ("code", "body", "said"),
    [
        (200, '"2.20.4"', r"has version 2\.20\.4, but this code needs 3\.9 or a later 3.*pip"),
        (200, '"3.8.8"', r"has version 3\.8\.8, but"),
        (200, '"4.0.0"', r"has version 4\.0\.0, but"),
        (401, "{}", r"(?s)401.*PREFECT_API_AUTH_STRING"),
        (200, "<html>", r"does not tell its version: .*PREFECT_API_URL is its address"),
        (200, '"today"', "does not tell its version"),
    ],
)
def test_server_that_will_not_do_is_refused_with_what_to_do(code: int, body: str, said: str) -> None:
    with pytest.raises(OrchestratorError, match=said):
        ask(code, body)


def ask(code: int, body: str) -> str:
    with (
        open_receiver(code, body) as receiver,
        temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{receiver.port}/api"}),
        get_client(sync_client=True) as client,
    ):
        return check_server(client)
