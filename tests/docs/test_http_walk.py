"""``make serve`` as docs/guides/http.md and docs/start/ui.md have it, to Ctrl-C, and the program of the first.

``tests/stack/test_walk.py`` has the blocks between them.
"""

import os
import re
import runpy
import shutil
import signal
import socket
import sqlite3
import sys
from contextlib import closing
from functools import partial
from pathlib import Path

import httpx
import pytest
from fakes.blocks import find_blocks, run_blocks, settle
from fakes.database import NAME, lay_database
from fakes.ports import find_free_port
from fakes.provider import Behaviour, serve_provider
from fakes.site import open_site
from fakes.waiting import wait_until
from fakes.workspace import ROOT, make_workspace

from flows.deploy.unfinished_runs import GONE

PROGRAM = ROOT / "docs/synthesize.py"
BLOCKS = find_blocks((ROOT / "docs/guides/http.md").read_text())
[ASK_OF_UI] = [
    re.sub(r"^\$ ", "", block.text, flags=re.MULTILINE)
    for block in find_blocks((ROOT / "docs/start/ui.md").read_text())
    if "$ KEY=" in block.text
]
SHOWN = "u22a8.technical-writing"


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_start_says_what_is_shown_and_one_ctrl_c_ends_all_of_it_and_the_run(tmp_path: Path) -> None:
    [start] = [block for block in BLOCKS if block.language == "console"]
    [recipe] = re.findall(r"^serve:.*\n\t@(.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    own = {"EXEMPLARS_KEYS_FILE": str(tmp_path / "keys.json"), "EXEMPLARS_EFFORT_FILE": str(ROOT / "data/effort.yaml")}
    with (
        serve_provider(Behaviour(hold_after=0)) as provider,
        open_site(make_workspace(tmp_path, provider, **own)) as site,
    ):
        shutil.copytree(ROOT / "data/models" / SHOWN, tmp_path / "models" / SHOWN)
        lay_database(tmp_path / "prefect")
        port = str(find_free_port())
        process = site.workspace.start(
            program=(sys.executable, "-m", "flows.serve"),
            PREFECT_HOME=str(tmp_path / "prefect"),
            PREFECT_SERVER_API_PORT=str(site.port),
            EXEMPLARS_API_PORT=port,
            PYTHONPATH=str(ROOT),
        )
        assert process.stdout is not None
        assert process.stderr is not None
        ready = process.stderr.readline() + process.stdout.readline()
        for place, shown in {f":{port}": ":8000", f":{site.port}": ":4200", f"{tmp_path}/": "data/"}.items():
            ready = ready.replace(place, shown)
        api = httpx.get(f"http://127.0.0.1:{site.port}/ui-settings").json()["api_url"]
        # The worker tells the server of itself some seconds after it was started, and nothing waits for that.
        wait_until(site.list_workers, what="the worker is known", process=process)
        workers = site.list_workers()
        variables = {**site.variables, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        # Where nothing is set, nobody knows of a server.
        del variables["PREFECT_API_URL"]
        [asked] = run_blocks([ASK_OF_UI.replace(":8000", f":{port}")], ROOT, variables)
        begun = re.search(r'{"state":"busy","run_id":"([0-9a-f-]{36})"}', asked)
        assert begun, asked
        wait_until(lambda: provider.in_flight > 0, 120, "the run asks", process=process)
        os.killpg(process.pid, signal.SIGINT)
        left = site.workspace.wait_for_no_process(60)
        told, said = process.communicate(timeout=60)

    assert ("$ make serve\n", "$(BIN)/python -m flows.serve") == (start.text, recipe)
    assert settle(start.shown) == settle(ready)
    assert (site.url, [f"make serve on {socket.gethostname()}"]) == (api, workers)
    assert (0, "", "exemplars: everything is stopped\n", {}) == (process.returncode, told, said, left)
    logs = {path.name for path in (tmp_path / "logs").iterdir()}
    assert {"deploy.log", "api.log", "prefect.log", "worker.log"} == logs
    # What a server that is gone has written down of the run.
    query = "SELECT type, message FROM flow_run_state WHERE id = (SELECT state_id FROM flow_run WHERE id = ?)"
    with closing(sqlite3.connect(tmp_path / "prefect" / NAME)) as opened:
        assert ("CRASHED", GONE) == opened.execute(query, (begun[1],)).fetchone()


def refuse(status: int, code: str, **headers: str) -> httpx.Response:
    error = {"code": code, "message": f"It is {code}."}
    return httpx.Response(status, json={"error": error}, headers=headers)


def tell(status: str) -> httpx.Response:
    return httpx.Response(200, json={"last_operation": {"run_id": "r", "status": status, "error": "No quota."}})


ANOTHERS, OWN = (refuse(409, code, **{"X-Run-Id": "r"}) for code in ("model_busy", "already_running"))
AWAY = refuse(503, "orchestrator_unavailable", **{"Retry-After": "0"})
PAGES_OF_TWO = [
    httpx.Response(200, json={"items": [{"id": number}], "next_cursor": cursor})
    for number, cursor in ((1, "c"), (2, None))
]


@pytest.mark.parametrize(
    ("answers", "code", "told"),
    [
        ([AWAY, ANOTHERS, tell("failed"), OWN, tell("succeeded"), *PAGES_OF_TWO], None, '{"id": 1}\n{"id": 2}\n'),
        ([httpx.Response(202, json={"run_id": "r"}), tell("failed")], "Run r ended as failed: No quota.", ""),
        ([refuse(404, "model_not_found")], "It is model_not_found.", ""),
    ],
    ids=["put off, another's run first, then its own", "failed", "refused"],
)
def test_program_waits_follows_and_says_why_it_was_refused(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    answers: list[httpx.Response],
    code: str | None,
    told: str,
) -> None:
    left, asked, ended = [*answers], list[str](), None

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(f"{request.method} {request.url.path}?{request.url.query.decode()}")
        return left.pop(0)

    monkeypatch.setattr(httpx, "Client", partial(httpx.Client, transport=httpx.MockTransport(answer)))
    monkeypatch.setenv("API", "http://127.0.0.1:8000/v1")
    monkeypatch.setenv("KEY", "secret")
    monkeypatch.setattr(sys, "argv", [str(PROGRAM), "u22a8.x"])
    try:
        runpy.run_path(str(PROGRAM), run_name="__main__")
    except SystemExit as error:
        ended = error.code

    assert (code, [], told) == (ended, left, capsys.readouterr().out)
    assert "POST /v1/models/u22a8.x/samples/synthesize?" == asked[0]
    assert not told or asked[-1].startswith("GET /v1/models/u22a8.x/samples?limit=100")
