"""The Dockerfile: it has all that the code reads and nothing else, and installs by the one script that CI runs too."""

import json
import re
import tomllib
from fnmatch import fnmatch

from fakes.workspace import ROOT

from flows.deploy.work_pool import POOL

DOCKERFILE = (ROOT / "Dockerfile").read_text()
STEPS = [line for line in re.sub(r"\\\n\s*", "", DOCKERFILE).splitlines() if line and not line.startswith("#")]
IGNORED = (ROOT / ".dockerignore").read_text().splitlines()


def test_all_that_is_needed_is_copied_and_let_through_and_what_a_run_leaves_and_keys_stay_outside() -> None:
    copied = list_copied()
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    left = [line for line in (ROOT / ".gitignore").read_text().splitlines() if line.startswith("data/")]
    kept_out = [line for line in IGNORED if line.startswith("data/")]

    assert [] == [name for name in copied if not (ROOT / name).exists()]
    assert sorted(copied) == sorted(line[1:] for line in IGNORED if line.startswith("!"))
    assert "*" in IGNORED
    assert {path.split("/")[0] for path in wheel["only-include"]} <= set(copied)
    assert [] == [name for name in left if not any(fnmatch(name.rstrip("/"), pattern) for pattern in kept_out)]


def test_packages_are_installed_by_the_script_of_make_before_the_code_is_copied_and_nobody_is_root() -> None:
    install = STEPS.index("RUN scripts/set-up .venv requirements.lock")
    code = next(number for number, step in enumerate(STEPS) if step.endswith(" engine engine"))

    assert "scripts/set-up $(VENV) requirements.lock" in (ROOT / "Makefile").read_text()
    assert STEPS.index("USER exemplars") < install < code
    assert [] == [step for step in STEPS if step.startswith("COPY") and "--chown=exemplars:exemplars" not in step]


def test_image_is_a_worker_by_default_and_takes_any_command() -> None:
    [command] = [json.loads(step.removeprefix("CMD ")) for step in STEPS if step.startswith("CMD ")]

    assert ["prefect", "worker", "start", "--pool", POOL] == command
    assert not any(step.startswith("ENTRYPOINT") for step in STEPS)


def test_make_run_installs_nothing_of_the_tools_for_agents_and_make_install_both() -> None:
    locks = [
        (ROOT / name).read_text() for name in ("requirements.lock", "requirements-mcp.lock", "requirements-dev.lock")
    ]
    run, tools, every = [set(re.findall(r"^([\w.-]+)==", lock, re.MULTILINE)) for lock in locks]

    assert run < tools < every
    assert {"fastmcp", "mcp"} <= tools - run
    assert len(run) <= 180


def list_copied() -> list[str]:
    copies = [step.split()[1:] for step in STEPS if step.startswith("COPY")]
    return [name for words in copies for name in [word for word in words if not word.startswith("--")][:-1]]
