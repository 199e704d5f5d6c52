"""The dial: what each effort stands for, which effort a run works at, and what a broken file says."""

from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from fakes.builders import make_level

from engine.definitions.effort import Level, choose_effort, load_level, write_first_look
from engine.domain.model import Effort
from engine.errors import DefinitionError, Problem
from engine.settings import PROJECT_ROOT

COMMITTED = str(PROJECT_ROOT / "data" / "effort.yaml")
DIAL = """\
models:
  small: openai/small
  medium: openai/medium
  large: openai/large
  judge: openai/judge
levels:
  low:
    exemplars_per_pole: 8
    synth_model: small
    thinking: none
    judge_votes: 0
    top_up_rounds: 4
    over_generation: 2.0
    exemplars_per_call: 1
    temperature: 0.8
    replacement_rounds: 0
    max_cost_usd: 1.0
"""
LEVEL = make_level(8, synth_model="openai/small", judge_model="openai/judge", top_up_rounds=4, max_cost_usd=1.0)
REQUIRED, NINES = "this field is required", "9" * 5000


def load(folder: Path, content: str) -> Level:
    path = folder / "effort.yaml"
    path.write_text(content)
    return load_level(str(path), "low")


def find_problems(folder: Path, content: str) -> tuple[Problem, ...]:
    with pytest.raises(DefinitionError) as caught:
        load(folder, content)
    assert str(caught.value).startswith("effort.yaml: ")
    return caught.value.problems


def change(old: str, new: str) -> str:
    assert 1 == DIAL.count(old)
    return DIAL.replace(old, new)


def set_field(name: str, value: str) -> str:
    [line] = [line for line in DIAL.splitlines(keepends=True) if line.strip().startswith(f"{name}:")]
    return change(line, f"{line[: line.index(':')]}: {value}\n")


def test_level_is_what_the_dial_says_with_the_model_of_its_size(tmp_path: Path) -> None:
    assert LEVEL == load(tmp_path, DIAL) == load(tmp_path, change("    replacement_rounds: 0\n", ""))
    assert replace(LEVEL, max_cost_usd=None) == load(tmp_path, change("    max_cost_usd: 1.0\n", ""))
    for size in ("medium", "large"):
        assert replace(LEVEL, synth_model=f"openai/{size}") == load(tmp_path, set_field("synth_model", size))


def test_committed_dial_grows_with_the_effort_has_a_limit_everywhere_and_needs_no_key() -> None:
    dial: dict[str, Any] = yaml.safe_load(Path(COMMITTED).read_text())
    levels = [load_level(COMMITTED, effort) for effort in get_args(Effort)]

    assert [8, 20, 40, 80, 160] == [level.exemplars_per_pole for level in levels]
    assert [0, 1, 1, 3, 3] == [level.judge_votes for level in levels]
    assert {"embedded"} == {names if isinstance(names, str) else names[-1] for names in dial["models"].values()}
    assert all(level.max_cost_usd for level in levels)


def test_of_a_list_of_models_one_is_chosen(tmp_path: Path) -> None:
    listed = set_field("small", "[embedded/a, embedded/b, openai/c]")

    assert "embedded/a" == load(tmp_path, listed).synth_model
    assert "embedded/b" == load_level(str(tmp_path / "effort.yaml"), "low", lambda names: names[1]).synth_model


def test_asked_effort_goes_before_the_models_own_and_that_before_high() -> None:
    assert ("high", "low") == (choose_effort(None, None), choose_effort(None, "low"))
    assert ("max", "low") == (choose_effort("max", "low"), choose_effort("low", None))


@pytest.mark.parametrize(
    ("content", "line", "field", "found", "allowed", "near"),
    [
        (change("    thinking: none\n", ""), 7, "levels.low.thinking", "nothing", REQUIRED, None),
        (set_field("small", "''"), 2, "models.small.0", "''", "text that is not empty", None),
        (set_field("synth_model", "judge"), 9, "levels.low.synth_model", "'judge'", "small, medium or large", None),
        (set_field("over_generation", "0"), 13, "levels.low.over_generation", "'0'", "a number of at least 1", None),
        (set_field("max_cost_usd", "0"), 17, "levels.low.max_cost_usd", "'0'", "a number above 0", None),
        (set_field("judge_votes", NINES), 11, "levels.low.judge_votes", f"'{NINES[:78]}…", "a whole number", None),
        (change("max_cost_usd", "max_cost"), 17, "levels.low.max_cost", "'max_cost'", "no field of this name", None),
        (change("  low:\n", "  lwo:\n"), 7, "levels.lwo", "'lwo'", "low, medium, high, xhigh or max", "low"),
        (change("  low:\n", "  max:\n"), 6, "levels", "no 'low'", "low, medium, high, xhigh, max", None),
    ],
)
def test_mistake_of_form_is_named_with_its_line(
    tmp_path: Path, content: str, line: int, field: str, found: str, allowed: str | None, near: str | None
) -> None:
    [problem] = find_problems(tmp_path, content)

    assert (line, field, found, near) == (problem.line, problem.field, problem.found, problem.suggestion)
    assert allowed in (None, problem.allowed)


def test_file_that_cannot_be_read_is_named_by_its_whole_path(tmp_path: Path) -> None:
    for path, found in ((f"{tmp_path}/none.yaml", "No such file or directory"), (str(tmp_path), "Is a directory")):
        with pytest.raises(DefinitionError) as caught:
            load_level(path, "low")

        assert (Problem(path, None, "file", found, "a readable effort dial"),) == caught.value.problems
        assert 2 == caught.value.exit_code


def test_first_look_asks_for_just_the_texts_that_are_wanted(tmp_path: Path) -> None:
    look = load(tmp_path, write_first_look(COMMITTED))
    expected = replace(load_level(COMMITTED, "low"), over_generation=1.0, top_up_rounds=0)

    assert expected == look
    # A model that goes on with a document, too, which is asked for more otherwise.
    assert (1.0, 3.0) == (look.ask_one_text().texts_a_kept, load_level(COMMITTED, "low").ask_one_text().texts_a_kept)
