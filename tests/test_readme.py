"""What the README shows of a run is what a run prints."""

import os
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from engine.domain.run_request import RunRequest
from engine.estimate.estimate import format_estimate
from engine.llm.embedded.embedded_models import list_embedded_models
from engine.settings import PROJECT_ROOT, read_settings
from flows.cli.plan import plan_run

TRACK, ANALYTICS = "DO_NOT_TRACK", "PREFECT_SERVER_ANALYTICS_ENABLED"
README = (PROJECT_ROOT / "README.md").read_text()


def test_estimate_of_the_readme_is_what_the_run_prints_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EXEMPLARS_SAMPLES_URI", str(tmp_path))
    monkeypatch.setenv("EXEMPLARS_EMBEDDED_DIR", str(tmp_path))
    # Else a run that was interrupted here would be gone on with.
    monkeypatch.setenv("EXEMPLARS_CACHE_DIR", str(tmp_path / "cache"))
    # The README's run is by the 0.5B. A file of its size is enough to plan with, and takes no room.
    default = next(iter(list_embedded_models().values()))
    with (tmp_path / default.file).open("wb") as file:
        file.truncate(default.bytes)
    planned = plan_run(read_settings(), RunRequest("u22a8.technical-writing", "from_traits", "low"))

    # How long it takes depends on the machine.
    assert format_estimate(replace(planned.estimate, seconds=120.0)) in README.splitlines()


def test_links_and_targets_of_the_readme_lead_somewhere() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", README)
    targets = set(re.findall(r"(?:^\$ |`)make (\w+)", README, re.MULTILINE))
    makefile = (PROJECT_ROOT / "Makefile").read_text()

    assert len(links) > 20
    assert [] == [link for link in links if not (PROJECT_ROOT / link).is_file()]
    assert {"run", "serve"} <= targets <= set(re.findall(r"^(\w+):", makefile, re.MULTILINE))


def test_make_run_gets_and_asks_the_model_that_was_named() -> None:
    default, asked = "qwen2.5-coder-0.5b", 'EXEMPLARS_SYNTH_MODEL="embedded/qwen2.5-coder-1.5b"'
    clean = {name: text for name, text in os.environ.items() if not name.startswith(("EXEMPLARS_", "MAKE", "MFLAGS"))}
    for argument, environment, gets, asks in (
        ("", {}, [default], []),
        ("", {"EXEMPLARS_SYNTH_MODEL": "openai/x"}, [], []),
        ("MODEL=qwen2.5-coder-1.5b", {}, ['"qwen2.5-coder-1.5b"'], [asked]),
        ("", {"MODEL": "of-another-program"}, [default], []),
    ):
        command = ["make", "-n", "run", "VENV=nowhere", *argument.split()]
        ended = subprocess.run(
            command, cwd=PROJECT_ROOT, env=clean | environment, capture_output=True, text=True, check=True
        )
        assert gets == re.findall(r"exemplars models get ([^>]*?) ?(?:>|$)", ended.stdout, re.MULTILINE)
        assert asks == re.findall(r'EXEMPLARS_SYNTH_MODEL="[^"]*"', ended.stdout)


def test_how_the_program_is_found_is_said_where_it_is_not_found() -> None:
    def say(path: str) -> str:
        command = ["make", "--no-print-directory", "path"]
        environment = {**os.environ, "PATH": path}
        return subprocess.run(
            command, cwd=PROJECT_ROOT, env=environment, capture_output=True, text=True, check=True
        ).stdout

    elsewhere = "/usr/local/bin:/usr/bin:/bin"
    said = say(elsewhere)

    assert 2 == said.count("\n")
    assert said in README
    assert "" == say(f"{PROJECT_ROOT}/.venv/bin:{elsewhere}")
    # It can be copied as it stands.
    copied = f"{said.splitlines()[1]}; make --no-print-directory path; echo $PATH"
    ended = subprocess.run(["sh", "-c", copied], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout.startswith(f"{PROJECT_ROOT}/.venv/bin:")


def test_prefect_is_told_to_collect_nothing_under_make() -> None:
    """It would say on a terminal that it does."""
    # Below another make, this one would say which folder it enters.
    dropped = (TRACK, ANALYTICS, "MAKELEVEL", "MAKEFLAGS")
    clean = {name: text for name, text in os.environ.items() if name not in dropped}
    for own, told in (({}, "1 false\n"), ({TRACK: "0", ANALYTICS: "true"}, "0 true\n")):
        command = ["make", "--eval", f"told: ; @echo $${TRACK} $${ANALYTICS}", "told"]
        ended = subprocess.run(command, cwd=PROJECT_ROOT, env=clean | own, capture_output=True, text=True, check=True)
        assert told == ended.stdout


def test_make_run_tries_again_for_a_model_that_did_not_come(tmp_path: Path) -> None:
    venv, said = tmp_path / "venv", tmp_path / "said"
    (venv / "bin").mkdir(parents=True)
    (venv / ".run").touch()
    program = venv / "bin" / "exemplars"
    program.write_text(f'#!/bin/sh\necho "$@" >> {said}\n[ "$1" != models ] || [ -e {tmp_path}/network ]\n')
    program.chmod(0o755)

    def run() -> list[str]:
        said.unlink(missing_ok=True)
        subprocess.run(["make", "run", f"VENV={venv}"], cwd=PROJECT_ROOT, check=True)
        return said.read_text().splitlines()[:-1]

    first, second = run(), run()
    (tmp_path / "network").touch()

    get = ["models get qwen2.5-coder-0.5b"]
    assert [get, get, get, []] == [first, second, run(), run()]
