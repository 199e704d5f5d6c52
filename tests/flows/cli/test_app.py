"""The command: every bad input is one message and an exit code, results go to stdout, nothing else is heard."""

import json
import logging
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest
from fakes.provider import Behaviour, serve_provider
from fakes.workspace import (
    HANDLE,
    MODEL,
    PROGRAM,
    ROOT,
    Workspace,
    count_poles,
    make_workspace,
    mount_disk,
    read_kept,
)

from flows.cli.app import main

EXEMPLARS = (str(ROOT / ".venv/bin/exemplars"), "synthesize", HANDLE, "--effort", "low")
LOW = ("synthesize", HANDLE, "--effort", "low")
PREFECT_LOG = re.compile(r"\| (?:INFO|WARNING|ERROR) +\| ")
# Less than one call may take: 120 s.
UNREACHABLE_SECONDS = 100.0
SILENT = "u22a8.silent"

Spoil = Callable[[Workspace], None]


@dataclass(frozen=True)
class Ended:
    """How a command ended and what it said."""

    code: int
    stdout: str
    stderr: str
    seconds: float = 0.0

    @property
    def message(self) -> str:
        """The one message; an AssertionError where there is another, or a traceback, or a result."""
        assert "Traceback" not in self.stderr
        assert "" == self.stdout
        begins = [match.start() for match in re.finditer(r"^exemplars: ", self.stderr, re.MULTILINE)]
        assert 1 == len(begins), self.stderr
        return self.stderr[begins[0] :]


class Command(Protocol):
    """Calls the command in this process."""

    def __call__(self, workspace: Workspace, *arguments: str) -> Ended:
        """How it ended."""


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """The command in this process, for what it refuses before it comes to Prefect."""
    before, terminate = set(os.environ), signal.getsignal(signal.SIGTERM)

    def call(workspace: Workspace, *arguments: str) -> Ended:
        workspace.enter(monkeypatch)
        code = main(arguments)
        said = capsys.readouterr()
        return Ended(code, said.out, said.err)

    yield call
    signal.signal(signal.SIGTERM, terminate)
    logging.captureWarnings(False)
    for name in set(os.environ) - before:
        del os.environ[name]


def keep(_: Workspace) -> None:
    """Spoils nothing."""


def write_model(text: str) -> Spoil:
    def spoil(workspace: Workspace) -> None:
        (workspace.model / "model.yaml").write_text(text)

    return spoil


def write_line(line: str) -> Spoil:
    def spoil(workspace: Workspace) -> None:
        with (workspace.model / "samples.jsonl").open("a") as stream:
            stream.write(f"\n{line}\n")

    return spoil


def write_effort(text: str) -> Spoil:
    def spoil(workspace: Workspace) -> None:
        (workspace.folder / "effort.yaml").write_text(text)

    return spoil


def set_effort(**fields: object) -> Spoil:
    return lambda workspace: workspace.write_effort(**fields)


def set_variable(name: str, value: str) -> Spoil:
    """Sets a variable; ``{folder}`` stands for the workspace's folder."""
    return lambda workspace: workspace.variables.update({name: value.format(folder=workspace.folder)})


def remove_model(workspace: Workspace) -> None:
    (workspace.model / "model.yaml").unlink()


def remove_effort(workspace: Workspace) -> None:
    (workspace.folder / "effort.yaml").unlink()


def name_a_text_as_model(workspace: Workspace) -> None:
    path = workspace.folder / "model.gguf"
    path.write_text("This is a letter and no language model.")
    workspace.variables["EXEMPLARS_SYNTH_MODEL"] = f"embedded/{path}"


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
TWO_OF_ONE_KEY = MODEL.replace("key: safety", "key: clarity")
WITHOUT_SEEDS = MODEL.replace("sources:\n  - {type: jsonl, path: samples.jsonl}\n", "")
NOT_A_HANDLE = "is not a handle. A handle is <namespace>.<name>"

# What is spoiled, the arguments, the exit code, and what the message has to say.
BAD_INPUTS: dict[str, tuple[Spoil, tuple[str, ...], int, str]] = {
    "handle above the catalogue": (keep, ("synthesize", "../x"), 2, f"'../x' {NOT_A_HANDLE}"),
    "handle with a way up": (keep, ("synthesize", "a/../b"), 2, f"'a/../b' {NOT_A_HANDLE}"),
    "handle in upper case": (keep, ("synthesize", "U22A8.Toolshed"), 2, f"'U22A8.Toolshed' {NOT_A_HANDLE}"),
    "empty handle": (keep, ("synthesize", ""), 2, f"'' {NOT_A_HANDLE}"),
    "long handle": (keep, ("synthesize", "u22a8." + "x" * 294), 2, "… (300 characters)' is not a handle"),
    "handle of a backfill": (keep, ("backfill", HANDLE, "../x"), 2, f"'../x' {NOT_A_HANDLE}"),
    "unknown handle": (keep, ("synthesize", "u22a8.tolshed"), 2, "No model 'u22a8.tolshed' in"),
    "no handle": (keep, ("synthesize",), 2, "Missing argument 'handle'. 'exemplars --help' shows the commands"),
    "unknown option": (keep, (*LOW, "--pool", "eval"), 2, "No such option: --pool"),
    "unknown synth type": (keep, (*LOW, "--synth-type", "from_trait"), 2, "'from_trait' is not a synth type."),
    "nothing to vary": (
        write_model(WITHOUT_SEEDS),
        (*LOW, "--synth-type", "diversify"),
        2,
        f"{HANDLE} has no authored samples to vary. Name a source",
    ),
    "nothing to vary at a pole": (
        keep,
        (*LOW, "--synth-type", "diversify"),
        2,
        "to vary for safety, positive (About safety); safety, negative (Not about safety). Both poles of every trait",
    ),
    "unknown effort": (
        keep,
        ("synthesize", HANDLE, "--effort", "lo"),
        2,
        "'lo' is not an effort. There are: low, medium",
    ),
    "model missing": (remove_model, LOW, 2, "Its folder exists, but has no model.yaml"),
    "model empty": (write_model(""), LOW, 2, f"{HANDLE}/model.yaml: file: found nothing; allowed: an object of"),
    "model no YAML": (write_model("traits: [unclosed"), LOW, 2, f"{HANDLE}/model.yaml:1: file: found"),
    "model with tabs": (write_model("traits:\n\t- key: a\n"), LOW, 2, f"{HANDLE}/model.yaml:2: file: found a tab"),
    "two traits of one key": (
        write_model(TWO_OF_ONE_KEY),
        LOW,
        2,
        "traits.1.key: found 'clarity'; allowed: a key that no",
    ),
    "traits to be discovered": (write_model("traits: discover"), LOW, 2, "traits is 'discover', so there are no trait"),
    "YAML bomb": (
        write_model(BOMB),
        LOW,
        2,
        f"{HANDLE}/model.yaml:1: file: found anchors and aliases are not read here",
    ),
    "source above the folder": (
        write_model(MODEL.replace("samples.jsonl", "../../effort.yaml")),
        LOW,
        2,
        "sources.0.path: found '../../effort.yaml'; allowed: a path inside the model's own folder",
    ),
    "source elsewhere": (
        write_model(MODEL.replace("samples.jsonl", "/etc/passwd")),
        LOW,
        2,
        "sources.0.path: found '/etc/passwd'; allowed: a path inside the model's own folder",
    ),
    "source missing": (
        write_model(MODEL.replace("samples.jsonl", "seeds.jsonl")),
        LOW,
        2,
        "sources.0.path: found 'seeds.jsonl', which is not there",
    ),
    "line no JSON": (
        write_line("{'content': 1}"),
        LOW,
        2,
        "samples.jsonl:7: line: found \"{'content': 1}\" (expecting property name",
    ),
    "line without a label": (write_line('{"content": "A text.", "clarty": 1}'), LOW, 2, "Did you mean 'clarity'?"),
    "quality of 1.5": (
        write_line('{"content": "A text.", "clarity": 1.5}'),
        LOW,
        2,
        "samples.jsonl:7: clarity: found 1.5;",
    ),
    "quality of NaN": (
        write_line('{"content": "A text.", "clarity": NaN}'),
        LOW,
        2,
        "samples.jsonl:7: clarity: found nan;",
    ),
    "effort file missing": (remove_effort, LOW, 2, "effort.yaml: file: found No such file or directory"),
    "effort file no YAML": (write_effort("levels: {"), LOW, 2, "effort.yaml:1: file: found"),
    "effort file empty": (write_effort(""), LOW, 2, "effort.yaml"),
    "effort out of range": (set_effort(exemplars_per_pole=0), LOW, 2, "levels.low.exemplars_per_pole: found '0'"),
    "effort with a slip": (set_effort(topup_rounds=2), LOW, 2, "found 'topup_rounds'; allowed: one of "),
    "effort that is not in the file": (keep, ("synthesize", HANDLE, "--effort", "max"), 2, "levels: found no 'max'"),
    "variable out of range": (set_variable("EXEMPLARS_CONCURRENCY", "0"), LOW, 2, "EXEMPLARS_CONCURRENCY: found '0'"),
    "GGUF file missing": (
        set_variable("EXEMPLARS_SYNTH_MODEL", "embedded/nowhere.gguf"),
        LOW,
        3,
        "nowhere.gguf cannot be read (No such file or directory). Give one of embedded",
    ),
    "no GGUF file": (name_a_text_as_model, LOW, 3, "model.gguf is not a GGUF file, and llama.cpp reads no other"),
    "samples below a file": (
        set_variable("EXEMPLARS_SAMPLES_URI", "{folder}/effort.yaml/samples"),
        LOW,
        3,
        "effort.yaml/samples cannot be used: Not a directory. Free space or permit writing, or point",
    ),
    "samples in an unknown place": (
        set_variable("EXEMPLARS_SAMPLES_URI", "ftp://example.org/samples"),
        LOW,
        3,
        "ftp://example.org/samples cannot be opened",
    ),
}


@pytest.mark.parametrize("name", BAD_INPUTS)
def test_bad_input_is_one_message_and_nothing_is_written(tmp_path: Path, command: Command, name: str) -> None:
    spoil, arguments, code, said = BAD_INPUTS[name]
    workspace = make_workspace(tmp_path)
    spoil(workspace)
    before = sorted(tmp_path.rglob("*"))
    ended = command(workspace, *arguments)

    assert said in ended.message
    assert (code, before) == (ended.code, sorted(tmp_path.rglob("*")))


@pytest.mark.parametrize(
    ("handle", "nearest"), [("u22a8.tolshed", HANDLE), ("u22a9.toolshed", HANDLE), ("abc.toolshd", HANDLE)]
)
def test_unknown_handle_offers_the_nearest(tmp_path: Path, command: Command, handle: str, nearest: str) -> None:
    assert command(make_workspace(tmp_path), "synthesize", handle).message.endswith(f"Did you mean {nearest}?\n")


def test_every_mistake_of_form_is_in_one_message_and_then_every_mistake_of_meaning(
    tmp_path: Path, command: Command
) -> None:
    workspace = make_workspace(tmp_path)
    write_model(MODEL.replace("type: topic", "type: topc").replace("failure_modes", "failure_mode"))(workspace)
    write_line('{"content": "A text.", "clarity": "superb"}')(workspace)
    of_form = command(workspace, *LOW)
    write_model(MODEL)(workspace)
    of_meaning = command(workspace, *LOW)

    assert f"exemplars: {HANDLE}/model.yaml: 2 mistakes.\n" in of_form.message
    assert all(hint in of_form.message for hint in ("Did you mean 'topic'?", "Did you mean 'failure_modes'?"))
    assert "samples.jsonl:7: clarity: found 'superb'" in of_meaning.message


def test_full_disk_is_one_message(small_disk: Path, tmp_path: Path, command: Command) -> None:
    (small_disk / "ballast").write_bytes(b"\0" * 16 * 1024)
    ended = command(make_workspace(tmp_path / "work", EXEMPLARS_SAMPLES_URI=str(small_disk / "samples")), *LOW)

    assert f"{small_disk}/samples cannot be used: No space left on device. Free space" in ended.message
    assert 3 == ended.code


def test_read_only_disk_is_one_message(tmp_path: Path, command: Command) -> None:
    with mount_disk(tmp_path / "disk", "ro,size=16k") as disk:
        ended = command(make_workspace(tmp_path / "work", EXEMPLARS_SAMPLES_URI=str(disk / "samples")), *LOW)

    assert f"{disk}/samples cannot be used: Read-only file system. Free space or permit writing" in ended.message
    assert 3 == ended.code


def finish(process: "subprocess.Popen[str]") -> Ended:
    started = time.monotonic()
    stdout, stderr = process.communicate(timeout=120)
    return Ended(process.returncode, stdout, stderr, time.monotonic() - started)


@dataclass(frozen=True)
class Failures:
    """The runs that fail once they have begun, by their name, each with its workspace."""

    ended: dict[str, Ended]
    workspaces: dict[str, Workspace]


@pytest.fixture(scope="module")
def failures(prefect_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Failures]:
    """Runs one after another, but for the one at a silent host, which does nothing but wait."""
    folder = tmp_path_factory.mktemp("failures")
    with ExitStack() as stack, ThreadPoolExecutor() as pool:
        lost = stack.enter_context(serve_provider(Behaviour(status=404)))
        locked = stack.enter_context(serve_provider(Behaviour(status=401)))
        german = stack.enter_context(serve_provider(Behaviour(style="german")))
        silent = stack.enter_context(serve_silence())
        garbage = folder / "garbage.gguf"
        garbage.write_bytes(b"GGUF" + bytes(1000))
        workspaces = {
            "silent host": make_workspace(folder / "silent", lost, EXEMPLARS_SYNTH_API_BASE=silent),
            "unknown model": make_workspace(folder / "lost", lost),
            "wrong key": make_workspace(folder / "locked", locked),
            "closed port": make_workspace(folder / "closed", lost, EXEMPLARS_SYNTH_API_BASE="http://127.0.0.1:9/v1"),
            "unknown provider": make_workspace(
                folder / "nobody", lost, EXEMPLARS_SYNTH_MODEL="nobody/test", EXEMPLARS_SYNTH_PRICE="0/0"
            ),
            "garbage for a model": make_workspace(folder / "garbage", EXEMPLARS_SYNTH_MODEL=f"embedded/{garbage}"),
            "quota not met": make_workspace(folder / "german", german),
        }
        workspaces["quota not met"].write_effort(exemplars_per_pole=2, top_up_rounds=1)
        ended: dict[str, Future[Ended]] = {}
        # Of one model's runs at once all but one would give way.
        model = workspaces["silent host"].model
        model.rename(model.with_name(SILENT))
        for name, workspace in workspaces.items():
            program = [SILENT if name == "silent host" and word == HANDLE else word for word in PROGRAM]
            ended[name] = pool.submit(
                finish, workspace.start(program=program, warm=True, PREFECT_API_URL=prefect_server)
            )
            if name != "silent host":
                ended[name].result()
        yield Failures({name: future.result() for name, future in ended.items()}, workspaces)


@contextmanager
def serve_silence() -> Iterator[str]:
    """The base URL of a host that takes no connection and does not say so, as one behind a firewall does."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, ExitStack() as stack:
        # The first connection waits to be accepted, and there is no room for another.
        for _ in range(2):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        (
            "unknown model",
            3,
            "does not exist or you do not have access to it. Check EXEMPLARS_SYNTH_MODEL and EXEMPLARS_SYNTH_API_BASE",
        ),
        ("wrong key", 3, "refuses the key: Incorrect API key provided: sk-…test. Set EXEMPLARS_SYNTH_API_KEY"),
        (
            "closed port",
            3,
            "at http://127.0.0.1:9/v1 does not answer: Connection error. Check EXEMPLARS_SYNTH_API_BASE",
        ),
        ("silent host", 3, "does not answer: no connection in 6 s. Check EXEMPLARS_SYNTH_API_BASE and the network"),
        ("unknown provider", 3, "'nobody/test' names no provider that litellm knows. A name is <provider>/<model>"),
        ("garbage for a model", 3, "The embedded server did not start with"),
        ("quota not met", 1, "clarity, positive (Clear): 0 of 2, 2 lacking after 1 round. 4 rejected: "),
    ],
)
def test_run_that_fails_is_one_message_and_attaches_nothing(
    failures: Failures, name: str, code: int, said: str
) -> None:
    ended, workspace = failures.ended[name], failures.workspaces[name]

    assert said in ended.message
    assert code == ended.code
    assert None is PREFECT_LOG.search(ended.stderr)
    assert [] == [path for path in workspace.list_files() if path.suffix == ".parquet" and "__run__" not in path.parts]
    assert {} == workspace.wait_for_no_process(5)


@pytest.mark.slow
def test_provider_that_fails_leaves_the_store_empty(failures: Failures) -> None:
    others = [workspace for name, workspace in failures.workspaces.items() if name != "quota not met"]

    assert [] == [path for workspace in others for path in workspace.list_files()]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["closed port", "silent host"])
def test_unreachable_base_url_is_told_soon(failures: Failures, name: str) -> None:
    assert failures.ended[name].seconds < UNREACHABLE_SECONDS


@pytest.mark.slow
def test_failed_quota_names_the_report_that_is_kept(failures: Failures) -> None:
    [folder] = failures.workspaces["quota not met"].list_sets()

    assert failures.ended["quota not met"].message.endswith(
        f"The rejected rows and the report are kept: {folder}/__run__/report.html\n"
    )
    assert (folder / "__run__/report.html").is_file()


@pytest.mark.slow
def test_disk_that_fills_up_fails_the_run_and_keeps_no_half_of_a_set(
    prefect_server: str, small_disk: Path, tmp_path: Path
) -> None:
    with serve_provider() as provider:
        workspace = make_workspace(tmp_path / "work", provider, EXEMPLARS_SAMPLES_URI=str(small_disk / "samples"))
        ended = finish(workspace.start(warm=True, PREFECT_API_URL=prefect_server))

    assert "cannot be used: No space left on device. Free space" in ended.message
    assert "The kept replies are not lost: the next start continues from them" in ended.message
    assert (3, []) == (ended.code, [path for path in small_disk.rglob("*") if path.is_file()])


@dataclass(frozen=True)
class Successes:
    """Two runs in one workspace: the installed command with --json, and the module with -v."""

    workspace: Workspace
    as_json: Ended
    verbose: Ended


@pytest.fixture(scope="module")
def successes(prefect_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Successes]:
    with serve_provider() as provider:
        workspace = make_workspace(tmp_path_factory.mktemp("successes"), provider)
        as_json = finish(workspace.start("--json", program=EXEMPLARS, PREFECT_API_URL=prefect_server))
        verbose = finish(workspace.start("-v", warm=True, PREFECT_API_URL=prefect_server))
        yield Successes(workspace, as_json, verbose)


@pytest.mark.slow
def test_json_is_the_one_line_on_stdout(successes: Successes) -> None:
    first, _ = successes.workspace.list_sets()
    said = json.loads(successes.as_json.stdout)

    assert 0 == successes.as_json.code
    assert 1 == successes.as_json.stdout.count("\n")
    assert {
        "run_id": first.name.removeprefix("run="),
        "status": "attached",
        "samples": f"{first}/samples.parquet",
        "report": f"{first}/__run__/report.html",
    } == said


@pytest.mark.slow
def test_nothing_is_heard_of_the_libraries_unless_asked_for(successes: Successes) -> None:
    assert "" == successes.as_json.stderr
    assert None is not PREFECT_LOG.search(successes.verbose.stderr)


@pytest.mark.slow
def test_module_is_the_same_command(successes: Successes) -> None:
    first, second = successes.workspace.list_sets()
    said = successes.verbose.stdout

    assert 0 == successes.verbose.code
    assert count_poles(read_kept(first)) == count_poles(read_kept(second))
    assert "kept of 4: clarity/positive 4" in " ".join(said.split())
    assert [f"{second}/samples.parquet", f"{second}/__run__/report.html"] == [
        line.split()[-1] for line in said.splitlines()[-2:]
    ]
