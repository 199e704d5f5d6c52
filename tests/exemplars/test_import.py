"""``import exemplars`` costs nothing, has all public names, and says where another package stands in our way."""

import subprocess
import sys
from pathlib import Path

import pytest
from fakes.site import clear_environment
from fakes.workspace import ROOT

import engine.errors
import exemplars
import flows.synthesize
from engine.report.summary import RunResult

LOADED = """
import sys
import exemplars
large = {"pandas", "numpy", "pyarrow", "pydantic", "prefect", "litellm", "fastapi", "great_expectations"}
print(*large & {*sys.modules})
"""
USE = """
import exemplars
print(exemplars.list_models()[0].handle)
exemplars.synthesize
"""


def run(*command: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, *command],
        cwd=cwd,
        env={**clear_environment(), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_import_loads_no_large_package(tmp_path: Path) -> None:
    assert "\n" == run("-c", LOADED, cwd=tmp_path).stdout


def test_all_names_are_there_when_they_are_used() -> None:
    errors = {name for name, value in vars(engine.errors).items() if isinstance(value, type)}

    assert errors - {"Sequence"} <= set(exemplars.__all__) <= set(dir(exemplars))
    assert [] == [name for name in exemplars.__all__ if not hasattr(exemplars, name)]
    assert exemplars.synthesize is flows.synthesize.synthesize
    assert exemplars.RunResult is RunResult
    with pytest.raises(AttributeError, match="no attribute 'sythesize'"):
        print(exemplars.sythesize)  # type: ignore[attr-defined]


def test_package_of_somebody_else_is_named_where_ours_is_needed(tmp_path: Path) -> None:
    (tmp_path / "tasks.py").touch()
    (tmp_path / "use.py").write_text(USE)
    ended = run("use.py", cwd=tmp_path)

    assert "u22a8.bug-report\n" == ended.stdout
    assert "ImportError: Exemplars has a package 'tasks', and Python finds" in ended.stderr
    assert f"{tmp_path}/tasks.py. " in ended.stderr


def test_command_as_a_module_is_the_command() -> None:
    helped = run("-m", "exemplars", "--help", cwd=ROOT)

    assert (0, True) == (helped.returncode, "synthesize" in helped.stdout)
