"""The dial: what each effort stands for, which effort a run works at, and what a broken file says."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from fakes.builders import make_level

from engine.definitions.effort import Level, choose_effort, load_level
from engine.domain.model import EFFORTS, Effort
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
LEVEL_FIELDS = (
    "exemplars_per_pole, synth_model, thinking, judge_votes, top_up_rounds, over_generation, exemplars_per_call, "
    "temperature, replacement_rounds, max_cost_usd"
)
REQUIRED = "this field is required"


def load(folder: Path, content: str, effort: Effort = "low") -> Level:
    path = folder / "effort.yaml"
    path.write_text(content)
    return load_level(str(path), effort)


def find_problems(folder: Path, content: str, effort: Effort = "low") -> tuple[Problem, ...]:
    with pytest.raises(DefinitionError) as caught:
        load(folder, content, effort)
    assert str(caught.value).startswith("effort.yaml: ")
    return caught.value.problems


def change(old: str, new: str) -> str:
    assert 1 == DIAL.count(old)
    return DIAL.replace(old, new)


def set_field(name: str, value: str) -> str:
    """The dial with another value in the one field of that name."""
    [line] = [line for line in DIAL.splitlines(keepends=True) if line.strip().startswith(f"{name}:")]
    return change(line, f"{line[: line.index(':')]}: {value}\n")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (DIAL, LEVEL),
        (change("    max_cost_usd: 1.0\n", ""), replace(LEVEL, max_cost_usd=None)),
        (set_field("max_cost_usd", ""), replace(LEVEL, max_cost_usd=None)),
        (change("    replacement_rounds: 0\n", ""), LEVEL),
        (set_field("synth_model", "medium"), replace(LEVEL, synth_model="openai/medium")),
        (set_field("synth_model", "large"), replace(LEVEL, synth_model="openai/large")),
    ],
)
def test_level_is_what_the_dial_says_with_the_model_of_its_size(tmp_path: Path, content: str, expected: Level) -> None:
    assert expected == load(tmp_path, content)


# The dial as it is published.
@pytest.mark.parametrize(
    ("effort", "exemplars", "size", "thinking", "votes", "rounds"),
    [
        ("low", 8, "small", "none", 0, 4),
        ("medium", 20, "small", "none", 1, 5),
        ("high", 40, "medium", "low", 1, 6),
        ("xhigh", 80, "large", "medium", 3, 8),
        ("max", 160, "large", "high", 3, 10),
    ],
)
def test_committed_dial_is_the_one_that_was_designed(
    effort: Effort, exemplars: int, size: str, thinking: str, votes: int, rounds: int
) -> None:
    level = load_level(COMMITTED, effort)
    written: dict[str, Any] = yaml.safe_load(Path(COMMITTED).read_text())["levels"][effort]

    assert (effort, exemplars, thinking) == (level.effort, level.exemplars_per_pole, level.thinking)
    assert (votes, rounds, size) == (level.judge_votes, level.top_up_rounds, written["synth_model"])
    assert level.max_cost_usd


def test_committed_dial_has_every_effort_and_needs_no_key() -> None:
    dial: dict[str, Any] = yaml.safe_load(Path(COMMITTED).read_text())
    low = load_level(COMMITTED, "low")

    assert list(EFFORTS) == list(dial["levels"])
    better = ["embedded/qwen2.5-coder-1.5b", "embedded"]
    assert {"small": "embedded", "medium": better, "large": better, "judge": "embedded"} == dial["models"]
    assert (2.0, 1, 0.8, 1.0) == (low.over_generation, low.exemplars_per_call, low.temperature, low.max_cost_usd)


def test_of_a_list_of_models_one_is_chosen(tmp_path: Path) -> None:
    path = tmp_path / "effort.yaml"
    path.write_text(set_field("small", "[embedded/a, embedded/b, openai/c]"))

    assert "embedded/b" == load_level(str(path), "low", lambda names: names[1]).synth_model
    assert "embedded/a" == load_level(str(path), "low").synth_model


def test_model_that_writes_one_text_a_call_is_asked_for_no_more() -> None:
    several = replace(LEVEL, exemplars_per_call=3)

    assert replace(LEVEL, ignored_per_call=3) == several.ask_one_text()
    assert LEVEL == LEVEL.ask_one_text()


@pytest.mark.parametrize(
    ("asked", "own", "expected"),
    [(None, None, "high"), (None, "low", "low"), ("max", "low", "max"), ("low", None, "low")],
)
def test_asked_effort_goes_before_the_models_own_and_that_before_high(
    asked: Effort | None, own: Effort | None, expected: Effort
) -> None:
    assert expected == choose_effort(asked, own)


# The bounds of each field: what lies on one is read, what lies beyond it is refused.
@pytest.mark.parametrize(
    ("field", "right", "wrong", "allowed"),
    [
        ("exemplars_per_pole", "1", "0", "a whole number of at least 1"),
        ("exemplars_per_pole", "1000000", "1000001", "a whole number of at most 1000000"),
        ("exemplars_per_pole", "8", "8.5", "a whole number"),
        ("exemplars_per_pole", "8", "9" * 5000, "a whole number"),
        ("synth_model", "small", "judge", "small, medium or large"),
        ("thinking", "low", "deep", "none, low, medium or high"),
        ("judge_votes", "0", "-1", "a whole number of at least 0"),
        ("judge_votes", "99", "100", "a whole number of at most 99"),
        ("top_up_rounds", "0", "-1", "a whole number of at least 0"),
        ("top_up_rounds", "1000", "1001", "a whole number of at most 1000"),
        ("over_generation", "1", "0.9", "a number of at least 1"),
        ("over_generation", "20", "20.1", "a number of at most 20"),
        ("over_generation", "2", "nan", "a number"),
        ("over_generation", "2", "inf", "a number"),
        ("exemplars_per_call", "1", "0", "a whole number of at least 1"),
        ("exemplars_per_call", "50", "51", "a whole number of at most 50"),
        ("temperature", "0", "-0.1", "a number of at least 0"),
        ("temperature", "2", "2.1", "a number of at most 2"),
        ("temperature", "2", "nan", "a number of at most 2"),
        ("temperature", "1", "warm", "a number"),
        ("replacement_rounds", "0", "-1", "a whole number of at least 0"),
        ("replacement_rounds", "100", "101", "a whole number of at most 100"),
        ("max_cost_usd", "0.01", "0", "a number above 0"),
        ("max_cost_usd", "1000000", "1000000.1", "a number of at most 1000000"),
        ("max_cost_usd", "1000000", "inf", "a number of at most 1000000"),
    ],
)
def test_value_beyond_its_bound_is_named_and_one_on_it_is_read(
    tmp_path: Path, field: str, right: str, wrong: str, allowed: str
) -> None:
    load(tmp_path, set_field(field, right))
    [problem] = find_problems(tmp_path, set_field(field, wrong))

    assert (f"levels.low.{field}", allowed) == (problem.field, problem.allowed)
    assert len(problem.found) <= 80


# A new number without bounds fails here.
@pytest.mark.parametrize("value", ["inf", "-inf", "1e400"])
@pytest.mark.parametrize("field", [name for name in LEVEL_FIELDS.split(", ") if not name.endswith(("model", "ing"))])
def test_number_of_the_dial_is_finite(tmp_path: Path, field: str, value: str) -> None:
    [problem] = find_problems(tmp_path, set_field(field, value))

    assert f"levels.low.{field}" == problem.field


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (change("    thinking: none\n", ""), (7, "levels.low.thinking", "nothing", REQUIRED, None)),
        (change("  judge: openai/judge\n", ""), (1, "models.judge", "nothing", REQUIRED, None)),
        (set_field("small", "''"), (2, "models.small", "''", "text that is not empty", None)),
        (set_field("small", "[]"), (2, "models.small", "a list of 0", "at least one entry", None)),
        (set_field("small", "[embedded, '']"), (2, "models.small.1", "''", "text that is not empty", None)),
        (
            change("    max_cost_usd", "    max_cost"),
            (17, "levels.low.max_cost", "'max_cost'", f"one of {LEVEL_FIELDS}", "max_cost_usd"),
        ),
        (change("levels:\n", "defaults: 1\nlevels:\n"), (6, "defaults", "'defaults'", "one of models, levels", None)),
        (change("  low:\n", "  lwo:\n"), (7, "levels.lwo", "'lwo'", "low, medium, high, xhigh or max", "low")),
    ],
)
def test_mistake_of_form_is_named_with_its_line(
    tmp_path: Path, content: str, expected: tuple[int | None, str, str, str, str | None]
) -> None:
    assert (Problem("effort.yaml", *expected),) == find_problems(tmp_path, content)


def test_effort_that_the_file_lacks_is_named(tmp_path: Path) -> None:
    expected = Problem("effort.yaml", 6, "levels", "no 'max'", "low, medium, high, xhigh, max")

    assert (expected,) == find_problems(tmp_path, DIAL, "max")


def test_every_mistake_of_the_file_is_named_at_once(tmp_path: Path) -> None:
    text = DIAL.replace("  judge: openai/judge\n", "").replace("votes: 0", "votes: x").replace("none", "some")

    assert [(1, "models.judge"), (9, "levels.low.thinking"), (10, "levels.low.judge_votes")] == [
        (problem.line, problem.field) for problem in find_problems(tmp_path, text)
    ]
    assert (
        Problem("effort.yaml", 1, "levels", "'3'", "an object of fields"),
        Problem("effort.yaml", 2, "models", "a list of 1", "an object of fields: small, medium, large, judge"),
    ) == find_problems(tmp_path, "levels: 3\nmodels: [a]\n")


@pytest.mark.parametrize(("name", "found"), [("none.yaml", "No such file or directory"), ("", "Is a directory")])
def test_file_that_cannot_be_read_is_named_by_its_whole_path(tmp_path: Path, name: str, found: str) -> None:
    path = str(tmp_path / name)
    with pytest.raises(DefinitionError) as caught:
        load_level(path, "low")

    assert (Problem(path, None, "file", found, "a readable effort dial"),) == caught.value.problems
    assert 2 == caught.value.exit_code
