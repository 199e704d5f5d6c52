"""The door's log as JSON: one object a request, with what was asked and what came of it, and no key."""

import json
from pathlib import Path
from typing import Any

import pytest
from fakes.door import open_door
from fakes.site import clear_environment, find_free_port
from fakes.stored import HANDLE, write_model
from fakes.waiting import wait_until
from fakes.workspace import make_workspace

pytestmark = pytest.mark.slow


def test_each_request_is_one_object_with_its_id_status_and_seconds(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path / "site")
    write_model(tmp_path / "site" / "models")
    variables = {
        **clear_environment(),
        **workspace.variables,
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "PREFECT_API_URL": f"http://127.0.0.1:{find_free_port()}/api",
        "EXEMPLARS_LOG_FORMAT": "json",
    }
    with open_door(workspace, variables) as door:
        client = door.open_client()
        asked = [client.get(path) for path in (f"/models/{HANDLE}/samples?trait=x", "/health", "/nothing")]
        wait_until(lambda: door.read_log().count("\n") >= len(asked), 10, "all is logged")
        log = door.read_log()
    lines: list[dict[str, Any]] = [json.loads(line) for line in log.splitlines()]
    told = [line for line in lines if "path" in line]

    assert [
        (answer.headers["X-Request-Id"], answer.status_code, "GET", answer.request.url.path) for answer in asked
    ] == [(line["request_id"], line["status"], line["method"], line["path"]) for line in told]
    assert all(0 < line["seconds"] < 60 for line in told)
    assert {("INFO", "flows.api")} == {(line["level"], line["logger"]) for line in told}
    assert "trait=x" not in log
    assert door.secret not in log
