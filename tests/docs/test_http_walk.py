"""The walk of docs/guides/http: in one shell, against ``make serve``, each block prints what stands below it."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from fakes.blocks import Block, find_blocks, run_blocks, settle
from fakes.database import lay_database
from fakes.provider import Behaviour, Provider, serve_provider
from fakes.site import clear_environment, find_free_port
from fakes.waiting import wait_until
from fakes.workspace import MARK, ROOT, Workspace, make_workspace

from flows.api.keys.keyring import issue_key

PROGRAM = "docs/synthesize.py"
PAGES = ("ask", "read", "program")
BLOCKS = [block for page in PAGES for block in find_blocks((ROOT / f"docs/guides/http/{page}.md").read_text())]
WALK = [block for block in BLOCKS if block.language == "sh"]
PREFECT, DOOR = "http://127.0.0.1:4200", "http://127.0.0.1:8000"
FOLLOWED = "u22a8.expense-note"
SERVED_SECONDS = 120.0

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@dataclass
class Served:
    """A ``make serve`` with the committed catalogue and dial, whose synth model is the provider."""

    workspace: Workspace
    prefect_port: int
    door_port: int
    process: "subprocess.Popen[str]"
    said: str = ""

    @property
    def door(self) -> str:
        """The address of the door."""
        return f"http://127.0.0.1:{self.door_port}"

    @property
    def variables(self) -> dict[str, str]:
        """The environment of who types the commands."""
        own = {"TMPDIR": str(self.workspace.folder), "PYTHONPATH": str(ROOT), MARK: str(self.workspace.folder)}
        return {**clear_environment(), **self.workspace.variables, **own}

    def adapt(self, text: str) -> str:
        """A command of the document, for this place."""
        return text.replace(DOOR, self.door).replace(".venv/bin/python", shlex.quote(sys.executable))

    def restore(self, printed: str) -> str:
        """What is printed here, as it is printed where nothing is set."""
        prefect = f"http://127.0.0.1:{self.prefect_port}"
        return printed.replace(self.door, DOOR).replace(prefect, PREFECT).replace(f"{self.workspace.folder}/", "data/")

    def open_client(self) -> httpx.Client:
        """A client with a key of its own, which is its ``headers["Authorization"]``."""
        path = Path(self.workspace.variables["EXEMPLARS_KEYS_FILE"])
        secret = issue_key(path, ["u22a8"], "authoring", datetime.now(UTC))[1]
        return httpx.Client(base_url=f"{self.door}/v1", headers={"Authorization": f"Bearer {secret}"}, timeout=60)

    def start_program(self, client: httpx.Client, handle: str) -> "subprocess.Popen[str]":
        """The program of the document, with the client's key."""
        secret = client.headers["Authorization"].removeprefix("Bearer ")
        return subprocess.Popen(
            [sys.executable, PROGRAM, handle],
            cwd=ROOT,
            env={**self.variables, "DOOR": f"{self.door}/v1", "KEY": secret},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def read_log(self) -> str:
        """What the door has logged: a line for each request."""
        return (self.workspace.folder / "logs" / "door.log").read_text()


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with serve_provider() as served:
        yield served


@pytest.fixture(scope="module")
def served(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("http")
    own = {"EXEMPLARS_KEYS_FILE": str(folder / "keys.json"), "EXEMPLARS_EFFORT_FILE": str(ROOT / "data/effort.yaml")}
    workspace = make_workspace(folder, provider, **own)
    shutil.copytree(ROOT / "data/models", folder / "models", dirs_exist_ok=True)
    ports = find_free_port(), find_free_port()
    lay_database(folder / "prefect")
    process = workspace.start(
        program=(sys.executable, "-m", "flows.serve"),
        warm=True,
        PREFECT_HOME=str(folder / "prefect"),
        PREFECT_SERVER_API_PORT=str(ports[0]),
        EXEMPLARS_API_PORT=str(ports[1]),
        PYTHONPATH=str(ROOT),
    )
    served = Served(workspace, *ports, process)
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        served.said = process.stderr.readline() + process.stdout.readline()
        yield served
    finally:
        for left in workspace.list_processes():
            os.kill(left, signal.SIGKILL)
        process.communicate(timeout=30)


@pytest.fixture(scope="module")
def printed(served: Served) -> dict[Block, str]:
    """What each block of the walk has printed."""
    texts = [served.adapt(block.text) for block in WALK]
    return dict(zip(WALK, map(served.restore, run_blocks(texts, ROOT, served.variables)), strict=True))


def name_block(block: Block) -> str:
    return block.text.splitlines()[0][:40]


def test_make_serve_says_where_all_of_it_is(served: Served) -> None:
    [start] = [block for block in BLOCKS if block.language == "console"]
    [recipe] = re.findall(r"^serve:.*\n\t@(.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)

    assert ("$ make serve\n", "$(BIN)/python -m flows.serve") == (start.text, recipe)
    assert settle(start.shown) == settle(served.restore(served.said))


@pytest.mark.parametrize("block", WALK, ids=name_block)
def test_block_prints_what_is_shown(block: Block, printed: dict[Block, str]) -> None:
    assert settle(block.shown) == settle(printed[block])


@pytest.mark.parametrize(("before", "attached"), [("from_traits", 1), ("diversify", 2)])
def test_program_follows_a_run_and_makes_its_own_only_after_another(
    served: Served, provider: Provider, before: str, attached: int
) -> None:
    provider.behaviour = Behaviour(hold_after=0)
    with served.open_client() as client:
        sets = len(served.workspace.list_sets())
        path = f"/models/{FOLLOWED}"
        run = client.post(f"{path}/samples/synthesize", json={"synth_type": before, "effort": "low"}).json()
        refusal = f"POST /v1{path}/samples/synthesize 409"
        count = served.read_log().count(refusal)
        program = served.start_program(client, FOLLOWED)
        wait_until(lambda: served.read_log().count(refusal) > count, 60, "the program is refused")
        provider.behaviour = Behaviour()
        told, said = program.communicate(timeout=180)
        last = client.get(path).json()["last_operation"]

    assert (0, "") == (program.returncode, said)
    assert "synthesized" in told
    assert attached == len(served.workspace.list_sets()) - sets
    assert (attached == 1) == (run["run_id"] == last["run_id"])


def test_program_waits_for_prefect(served: Served) -> None:
    with served.open_client() as client:
        processes = served.workspace.list_processes().items()
        [server] = [pid for pid, line in processes if "prefect server start" in line]
        # One that is killed would end all of make serve.
        os.kill(server, signal.SIGSTOP)
        program = served.start_program(client, FOLLOWED)
        wait_until(lambda: "/samples/synthesize 503" in served.read_log(), 120, "the program is put off")
        os.kill(server, signal.SIGCONT)
        told, said = program.communicate(timeout=240)

    assert (0, "") == (program.returncode, said)
    assert "synthesized" in told


def test_program_says_why_it_was_refused(served: Served) -> None:
    with served.open_client() as client:
        program = served.start_program(client, "u22a8.nothing-of-the-kind")

    assert ("", "There is no model u22a8.nothing-of-the-kind.\n") == program.communicate(timeout=60)
    assert 1 == program.returncode


def test_block_of_the_page_of_the_ui_asks_for_samples(served: Served, printed: dict[Block, str]) -> None:
    [block] = [block for block in find_blocks((ROOT / "docs/start/ui.md").read_text()) if "$ KEY=" in block.text]
    commands = served.adapt(block.text.replace("$ ", "", 1).replace("\n$ ", "\n"))
    [told] = run_blocks([commands], ROOT, served.variables)

    assert re.search(r'{"state":"busy","run_id":"[0-9a-f-]{36}"}', told), told
