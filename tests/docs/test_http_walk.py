"""The walk of docs/guides/http.md, from ``make serve`` to Ctrl-C: each block prints what stands below it."""

import os
import re
import runpy
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import pytest
from fakes.blocks import find_blocks, run_blocks, settle
from fakes.database import NAME, lay_database
from fakes.ports import find_free_port
from fakes.provider import Behaviour, Provider, serve_provider
from fakes.site import Site, open_site
from fakes.waiting import wait_until
from fakes.workspace import ROOT, make_workspace

from flows.deploy.unfinished_runs import GONE

PROGRAM = ROOT / "docs/synthesize.py"
BLOCKS = find_blocks((ROOT / "docs/guides/http.md").read_text())
WALK = [block for block in BLOCKS if block.language == "sh"]
[ASK_OF_UI] = [block for block in find_blocks((ROOT / "docs/start/ui.md").read_text()) if "$ KEY=" in block.text]
API = "http://127.0.0.1:8000"


@dataclass
class Served:
    """A ``make serve`` with the committed catalogue and dial, whose synth model is a provider."""

    site: Site
    provider: Provider
    api_port: int
    process: "subprocess.Popen[str]"
    said: str

    def run_blocks(self, *texts: str) -> list[str]:
        """What each command of the documents prints, as it is printed where nothing is set."""
        adapted = [text.replace(API, f"http://127.0.0.1:{self.api_port}") for text in texts]
        variables = {**self.site.variables, "TMPDIR": str(self.site.workspace.folder)}
        variables["PATH"] = f"{Path(sys.executable).parent}:{variables['PATH']}"
        # Where nothing is set, nobody knows of a server.
        del variables["PREFECT_API_URL"]
        return [self.restore(printed) for printed in run_blocks(adapted, ROOT, variables)]

    def restore(self, printed: str) -> str:
        printed = printed.replace(f":{self.api_port}", ":8000").replace(f":{self.site.port}", ":4200")
        return printed.replace(f"{self.site.workspace.folder}/", "data/")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    own = {"EXEMPLARS_KEYS_FILE": str(tmp_path / "keys.json"), "EXEMPLARS_EFFORT_FILE": str(ROOT / "data/effort.yaml")}
    with serve_provider() as provider, open_site(make_workspace(tmp_path, provider, **own)) as site:
        shutil.copytree(ROOT / "data/models", tmp_path / "models", dirs_exist_ok=True)
        lay_database(tmp_path / "prefect")
        api_port = find_free_port()
        process = site.workspace.start(
            program=(sys.executable, "-m", "flows.serve"),
            PREFECT_HOME=str(tmp_path / "prefect"),
            PREFECT_SERVER_API_PORT=str(site.port),
            EXEMPLARS_API_PORT=str(api_port),
            PYTHONPATH=str(ROOT),
        )
        assert process.stdout is not None
        assert process.stderr is not None
        said = process.stderr.readline() + process.stdout.readline()
        yield Served(site, provider, api_port, process, said)
        site.end()
        process.communicate()


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_every_block_prints_what_is_shown_and_one_ctrl_c_ends_all_of_it(served: Served) -> None:
    [start] = [block for block in BLOCKS if block.language == "console"]
    [recipe] = re.findall(r"^serve:.*\n\t@(.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    site, workspace = served.site, served.site.workspace

    assert ("$ make serve\n", "$(BIN)/python -m flows.serve") == (start.text, recipe)
    assert settle(start.shown) == settle(served.restore(served.said))
    assert site.url == httpx.get(f"http://127.0.0.1:{site.port}/ui-settings").json()["api_url"]
    # The worker tells the server of itself some seconds after it was started, and nothing waits for that.
    wait_until(site.list_workers, what="the worker is known", process=served.process)
    assert [f"make serve on {socket.gethostname()}"] == site.list_workers()
    for block, told in zip(WALK, served.run_blocks(*(block.text for block in WALK)), strict=True):
        assert settle(block.shown) == settle(told), block.text

    served.provider.behaviour = Behaviour(hold_after=0)
    [asked] = served.run_blocks(ASK_OF_UI.text.replace("$ ", "", 1).replace("\n$ ", "\n"))
    begun = re.search(r'{"state":"busy","run_id":"([0-9a-f-]{36})"}', asked)
    assert begun, asked
    wait_until(lambda: served.provider.in_flight > 0, 120, "the run asks", process=served.process)
    os.killpg(served.process.pid, signal.SIGINT)
    left = workspace.wait_for_no_process(60)
    told, said = served.process.communicate(timeout=60)

    assert (0, "", "exemplars: everything is stopped\n", {}) == (served.process.returncode, told, said, left)
    logs = {path.name for path in (workspace.folder / "logs").iterdir()}
    assert {"deploy.log", "api.log", "prefect.log", "worker.log"} == logs
    # What a server that is gone has written down of the run.
    query = "SELECT type, message FROM flow_run_state WHERE id = (SELECT state_id FROM flow_run WHERE id = ?)"
    with closing(sqlite3.connect(workspace.folder / "prefect" / NAME)) as opened:
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
    monkeypatch.setenv("API", f"{API}/v1")
    monkeypatch.setenv("KEY", "secret")
    monkeypatch.setattr(sys, "argv", [str(PROGRAM), "u22a8.x"])
    try:
        runpy.run_path(str(PROGRAM), run_name="__main__")
    except SystemExit as error:
        ended = error.code

    assert (code, [], told) == (ended, left, capsys.readouterr().out)
    assert "POST /v1/models/u22a8.x/samples/synthesize?" == asked[0]
    assert not told or asked[-1].startswith("GET /v1/models/u22a8.x/samples?limit=100")
