"""The dial: what each effort stands for, which effort a run works at, and what a broken file says."""

import itertools
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

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
    max_cost_usd: 1.0
"""
LEVEL_FIELDS = (
    "exemplars_per_pole, synth_model, thinking, judge_votes, top_up_rounds, over_generation, exemplars_per_call, "
    "temperature, replacement_rounds, max_cost_usd"
)


def load(folder: Path, content: str | bytes, effort: Effort = "low") -> Level:
    path = folder / "effort.yaml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return load_level(str(path), effort)


def find_problems(folder: Path, content: str | bytes, effort: Effort = "low") -> tuple[Problem, ...]:
    with pytest.raises(DefinitionError) as caught:
        load(folder, content, effort)
    assert str(caught.value).startswith("effort.yaml: ")
    return caught.value.problems


def change(old: str, new: str) -> str:
    assert 1 == DIAL.count(old)
    return DIAL.replace(old, new)


def test_level_names_the_models_of_its_size(tmp_path: Path) -> None:
    assert Level(
        effort="low",
        exemplars_per_pole=8,
        synth_model="openai/small",
        judge_model="openai/judge",
        thinking="none",
        judge_votes=0,
        top_up_rounds=4,
        over_generation=2.0,
        exemplars_per_call=1,
        temperature=0.8,
        max_cost_usd=1.0,
    ) == load(tmp_path, DIAL)


@pytest.mark.parametrize("size", ["small", "medium", "large"])
def test_synth_model_is_looked_up_by_size(tmp_path: Path, size: str) -> None:
    assert f"openai/{size}" == load(tmp_path, change("synth_model: small", f"synth_model: {size}")).synth_model


@pytest.mark.parametrize("content", [DIAL.replace("    max_cost_usd: 1.0\n", ""), DIAL.replace("usd: 1.0", "usd:")])
def test_level_without_a_cost_has_no_limit(tmp_path: Path, content: str) -> None:
    assert load(tmp_path, content).max_cost_usd is None


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

    assert (effort, exemplars, thinking, votes, rounds) == (
        level.effort,
        level.exemplars_per_pole,
        level.thinking,
        level.judge_votes,
        level.top_up_rounds,
    )
    assert size == written["synth_model"]
    assert level.over_generation >= 1
    assert level.max_cost_usd


def test_committed_dial_has_every_effort_and_needs_no_key() -> None:
    dial: dict[str, Any] = yaml.safe_load(Path(COMMITTED).read_text())

    assert list(EFFORTS) == list(dial["levels"])
    better = ["embedded/qwen2.5-coder-1.5b", "embedded"]
    assert {"small": "embedded", "medium": better, "large": better, "judge": "embedded"} == dial["models"]


def test_of_a_list_of_models_one_is_chosen(tmp_path: Path) -> None:
    path = tmp_path / "effort.yaml"
    path.write_text(change("  small: openai/small\n", "  small: [embedded/a, embedded/b, openai/c]\n"))
    level = load_level(str(path), "low", lambda names: names[1])

    assert "embedded/b" == level.synth_model
    assert "embedded/a" == load_level(str(path), "low").synth_model


@pytest.mark.parametrize("given", ["[]", "[embedded, '']", "{a: b}"])
def test_list_without_a_name_is_a_mistake(tmp_path: Path, given: str) -> None:
    (problem,) = find_problems(tmp_path, change("  small: openai/small\n", f"  small: {given}\n"))

    assert problem.field.startswith("models.small")


def test_committed_low_level_is_the_one_of_the_design_page() -> None:
    level = load_level(COMMITTED, "low")

    assert (2.0, 1, 0.8, 1.0) == (
        level.over_generation,
        level.exemplars_per_call,
        level.temperature,
        level.max_cost_usd,
    )


@pytest.mark.parametrize(
    ("asked", "own"), list(itertools.product([None, *get_args(Effort)], [None, *get_args(Effort)]))
)
def test_asked_effort_goes_before_the_models_own_and_that_before_high(asked: Effort | None, own: Effort | None) -> None:
    expected = next(effort for effort in (asked, own, "high") if effort is not None)

    assert expected == choose_effort(asked, own)


WHOLE = "a whole number"
WRONG_VALUES = [
    *(("exemplars_per_pole", 8, "8", value, f"{WHOLE} of at least 1") for value in ("0", "-1")),
    *(("exemplars_per_pole", 8, "8", value, WHOLE) for value in ("8.5", "many", "yes")),
    ("exemplars_per_pole", 8, "8", "1000001", f"{WHOLE} of at most 1000000"),
    *(("synth_model", 9, "small", value, "small, medium or large") for value in ("huge", "embedded", "judge")),
    *(("thinking", 10, "none", value, "none, low, medium or high") for value in ("deep", "1")),
    ("judge_votes", 11, "0", "-1", f"{WHOLE} of at least 0"),
    ("judge_votes", 11, "0", "0.5", WHOLE),
    ("judge_votes", 11, "0", "100", f"{WHOLE} of at most 99"),
    ("top_up_rounds", 12, "4", "-1", f"{WHOLE} of at least 0"),
    ("top_up_rounds", 12, "4", "1001", f"{WHOLE} of at most 1000"),
    ("top_up_rounds", 12, "4", "four", WHOLE),
    ("over_generation", 13, "2.0", "0.9", "a number of at least 1"),
    ("over_generation", 13, "2.0", "21", "a number of at most 20"),
    *(("over_generation", 13, "2.0", value, "a number") for value in ("nan", ".inf", "inf")),
    ("exemplars_per_call", 14, "1", "0", f"{WHOLE} of at least 1"),
    ("exemplars_per_call", 14, "1", "51", f"{WHOLE} of at most 50"),
    ("temperature", 15, "0.8", "-0.1", "a number of at least 0"),
    *(("temperature", 15, "0.8", value, "a number of at most 2") for value in ("2.1", "nan")),
    ("temperature", 15, "0.8", "warm", "a number"),
    *(("max_cost_usd", 16, "1.0", value, "a number above 0") for value in ("0", "-1")),
    *(("max_cost_usd", 16, "1.0", value, "a number of at most 1000000") for value in ("nan", "inf")),
    ("max_cost_usd", 16, "1.0", "free", "a number"),
]


@pytest.mark.parametrize(("field", "line", "old", "new", "allowed"), WRONG_VALUES)
def test_wrong_value_is_named_with_its_line_and_field(
    tmp_path: Path, field: str, line: int, old: str, new: str, allowed: str
) -> None:
    problems = find_problems(tmp_path, change(f"    {field}: {old}\n", f"    {field}: {new}\n"))

    assert (("effort.yaml", line, f"levels.low.{field}", f"'{new}'", allowed),) == tuple(
        (problem.file, problem.line, problem.field, problem.found, problem.allowed) for problem in problems
    )


# Each field of the dial that is a number: a new one without bounds fails here.
@pytest.mark.parametrize("value", ["inf", "-inf", "nan", "1e400", "-1", "1" + "0" * 12, "9" * 5000])
@pytest.mark.parametrize(
    "field", [name for name in LEVEL_FIELDS.split(", ") if name not in ("synth_model", "thinking")]
)
def test_number_of_the_dial_is_finite_and_bounded(tmp_path: Path, field: str, value: str) -> None:
    lines = [line for line in DIAL.splitlines() if not line.startswith(f"    {field}:")]
    (problem,) = find_problems(tmp_path, "\n".join([*lines, f"    {field}: {value}", ""]))

    assert f"levels.low.{field}" == problem.field
    assert len(str(problem)) < 300


@pytest.mark.parametrize("field", LEVEL_FIELDS.split(", ")[:-2])
def test_missing_field_of_a_level_is_named(tmp_path: Path, field: str) -> None:
    lines = [line for line in DIAL.splitlines() if not line.startswith(f"    {field}:")]

    assert (Problem("effort.yaml", 7, f"levels.low.{field}", "nothing", "this field is required"),) == find_problems(
        tmp_path, "\n".join(lines)
    )


@pytest.mark.parametrize("name", ["small", "medium", "large", "judge"])
def test_missing_or_empty_model_is_named(tmp_path: Path, name: str) -> None:
    line = f"  {name}: openai/{name}\n"
    missing = find_problems(tmp_path, change(line, ""))
    (empty,) = find_problems(tmp_path, change(line, f"  {name}: ''\n"))

    assert (Problem("effort.yaml", 1, f"models.{name}", "nothing", "this field is required"),) == missing
    assert (f"models.{name}", "''") == (empty.field, empty.found)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("    max_cost_usd", "    max_cost", (16, "levels.low.max_cost", LEVEL_FIELDS, "max_cost_usd")),
        ("  judge: openai/judge\n", "  judge: j\n  tiny: t\n", (6, "models.tiny", "small, medium, large, judge", None)),
        ("levels:\n", "defaults: 1\nlevels:\n", (6, "defaults", "models, levels", None)),
    ],
)
def test_unknown_field_is_named_with_those_that_there_are(
    tmp_path: Path, old: str, new: str, expected: tuple[int, str, str, str | None]
) -> None:
    line, field, known, near = expected
    name = field.rsplit(".", maxsplit=1)[-1]

    assert (Problem("effort.yaml", line, field, repr(name), f"one of {known}", near),) == find_problems(
        tmp_path, change(old, new)
    )


def test_unknown_effort_is_named(tmp_path: Path) -> None:
    (problem,) = find_problems(tmp_path, change("  low:\n", "  lwo:\n"))

    assert (7, "levels.lwo", "'lwo'") == (problem.line, problem.field, problem.found)
    assert ("low, medium, high, xhigh or max", "low") == (problem.allowed, problem.suggestion)


def test_effort_that_the_file_lacks_is_named(tmp_path: Path) -> None:
    expected = Problem("effort.yaml", 6, "levels", "no 'max'", "low, medium, high, xhigh, max")

    assert (expected,) == find_problems(tmp_path, DIAL, "max")


def test_every_mistake_of_the_file_is_named_at_once(tmp_path: Path) -> None:
    text = DIAL.replace("  judge: openai/judge\n", "").replace("votes: 0", "votes: x").replace("none", "some")

    assert [(1, "models.judge"), (9, "levels.low.thinking"), (10, "levels.low.judge_votes")] == [
        (problem.line, problem.field) for problem in find_problems(tmp_path, text)
    ]


@pytest.mark.parametrize(
    ("content", "line", "field", "found"),
    [
        ("", None, "file", "nothing"),
        ("- a\n", 1, "file", "a list of 1"),
        ("low\n", 1, "file", "'low'"),
        ("models:\n\tsmall: x\n", 2, "file", "a tab"),
        (b"models: \xff\n", None, "file", "a byte that is not UTF-8 at offset 8"),
        ("models: &a {}\nlevels: *a\n", 1, "file", "anchors and aliases are not read here"),
        (f"{DIAL}  low: {{}}\n", 17, "low", "a second time in one object"),
    ],
)
def test_file_that_is_no_dial_is_one_mistake(
    tmp_path: Path, content: str | bytes, line: int | None, field: str, found: str
) -> None:
    (problem,) = find_problems(tmp_path, content)

    assert ("effort.yaml", line, field, found) == (problem.file, problem.line, problem.field, problem.found)


def test_part_that_is_no_object_is_named(tmp_path: Path) -> None:
    assert (
        Problem("effort.yaml", 1, "levels", "'3'", "an object of fields"),
        Problem("effort.yaml", 2, "models", "a list of 1", "an object of fields: small, medium, large, judge"),
    ) == find_problems(tmp_path, "levels: 3\nmodels: [a]\n")


def test_file_that_is_not_there_is_named_by_its_whole_path(tmp_path: Path) -> None:
    path = str(tmp_path / "none.yaml")
    with pytest.raises(DefinitionError) as caught:
        load_level(path, "low")

    expected = Problem(path, None, "file", "No such file or directory", "a readable effort dial")
    assert (expected,) == caught.value.problems
    assert 2 == caught.value.exit_code


def test_folder_in_the_place_of_the_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="found Is a directory; allowed: a readable effort dial"):
        load_level(str(tmp_path), "low")
