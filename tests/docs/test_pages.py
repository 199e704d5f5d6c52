"""Blocks of the pages are true: the model loads, the Python runs on a store, commands and targets are there."""

import json
import re
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from fakes.readers import TRAIN_ROWS, fill_store, stay_offline
from fakes.stored import HANDLE, attach_poles, attach_set, write_model

from engine.definitions.effort import load_level
from engine.definitions.loader import parse_model
from engine.definitions.schema import BriefEntry, LengthEntry, ModelEntry, ScenariosEntry, SourceEntry, TraitEntry
from engine.domain.model import TRAIT_TYPES, Pole
from engine.handover.export import export_samples
from engine.settings import PROJECT_ROOT
from flows.cli.app import app
from flows.tools_server.tools import TOOLS

DOCS = PROJECT_ROOT / "docs"
PAGES = [path for path in sorted(DOCS.rglob("*.md")) if path.parent.name != "decisions"]


def read(page: str) -> str:
    return (DOCS / page).read_text()


def find_blocks(page: str, language: str) -> list[str]:
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```$", read(page), re.MULTILINE | re.DOTALL)
    return [textwrap.dedent(block) for _, block in found]


def test_models_of_the_pages_load_and_have_every_field_and_every_type_of_trait() -> None:
    [definition], [line] = (find_blocks("start/author-a-model.md", language) for language in ("yaml", "json"))
    model = parse_model("u22a8.readme", definition.encode(), lambda _: line.encode())
    entries = (ModelEntry, TraitEntry, SourceEntry, BriefEntry, ScenariosEntry, LengthEntry)
    fields = {name for entry in entries for name in entry.model_fields}
    others = [
        parse_model("u22a8.page", text.encode(), lambda _: b"") for text in find_blocks("start/traits.md", "yaml")
    ]

    assert ["relevance"] == [trait.key for trait in model.traits]
    assert ([1.0], 2, ()) == ([seed.quality for seed in model.seeds], len(model.brief.failure_modes), model.skipped)
    assert set() == fields - set(re.findall(r"`(\w+)`", read("start/author-a-model.md")))
    assert list(TRAIT_TYPES) == [trait.type for other in others for trait in other.traits]


def test_dial_of_the_page_is_a_dial(tmp_path: Path) -> None:
    [block] = find_blocks("start/hosted-model.md", "yaml")
    levels = yaml.safe_load((PROJECT_ROOT / "data/effort.yaml").read_text())["levels"]
    (tmp_path / "effort.yaml").write_text(yaml.safe_dump(yaml.safe_load(block) | {"levels": levels}))

    assert "openai/gpt-4.1" == load_level(str(tmp_path / "effort.yaml"), "high").synth_model


def test_python_of_the_guide_reads_what_was_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stay_offline(monkeypatch, tmp_path)
    write_model(tmp_path / "models")
    attach_set(tmp_path / "samples", "one", TRAIN_ROWS)
    monkeypatch.chdir(tmp_path)
    loaded = []
    for format_name, to, block in zip(
        ("csv", "jsonl", "hub"),
        ("samples.csv", "samples.jsonl", "technical-writing"),
        find_blocks("guides/hand-sets-on.md", "python"),
        strict=True,
    ):
        export_samples("models", "samples", HANDLE, to, format_name)
        found: dict[str, Any] = {}
        exec(compile(block, "hand-sets-on.md", "exec"), found)
        loaded.append(len(found["samples"]["train"] if format_name == "hub" else found["samples"]))

    assert [TRAIN_ROWS] * 3 == loaded


def test_python_of_the_guide_judges_a_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On the model's own authored texts as the real ones."""
    handle, place = "u22a8.technical-writing", PROJECT_ROOT / "data/models/u22a8.technical-writing/samples.jsonl"
    entries = [json.loads(line) for line in place.read_text().splitlines()]
    authored = [entry for entry in entries if "clarity" in entry]
    poles: Mapping[Pole, float] = {"positive": 1.0, "negative": 0.0}
    texts = {
        pole: [item["content"] for item in authored if item["clarity"] == quality] for pole, quality in poles.items()
    }
    attach_poles(tmp_path / "data/samples", {"clarity": {pole: own[::2] for pole, own in texts.items()}}, handle)
    real = [{"text": text, "quality": poles[pole]} for pole, own in texts.items() for text in own[1::2]]
    (tmp_path / "real.jsonl").write_text("\n".join(map(json.dumps, real)))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wrong.txt").write_text(f"{texts['positive'][0]}\n")
    leave_out, judge = find_blocks("guides/judge-a-set.md", "python")
    found: dict[str, pd.DataFrame] = {}
    exec(compile(leave_out, "judge-a-set.md", "exec"), found)
    exec(compile(judge, "judge-a-set.md", "exec"), {})
    said = capsys.readouterr().out

    [auc] = re.findall(rf"^AUC (\d\.\d\d) on {len(real)} real texts$", said, re.MULTILINE)
    assert 0.8 <= float(auc) <= 1
    assert {*texts["positive"][2::2], *texts["negative"][::2]} == set(found["samples"]["text"])


@pytest.mark.parametrize(
    "block", find_blocks("guides/read-samples.md", "python"), ids=["pandas", "datasets", "duckdb", "polars"]
)
def test_python_of_the_page_reads_what_is_to_be_trained_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], block: str
) -> None:
    # Of a word such as "test" ``datasets`` makes the name of a split, where it is left to guess.
    handles = ("u22a8.test-notes", "u22a8.notes")
    fill_store(tmp_path / "data/samples", handles)
    stay_offline(monkeypatch, tmp_path)
    monkeypatch.chdir(tmp_path)
    found: dict[str, object] = {}
    exec(compile(block, "read-samples.md", "exec"), found)
    said = capsys.readouterr().out

    if "datasets" in block:
        assert f"{2 * TRAIN_ROWS}\n" == said
        return
    assert set(handles) == set(re.findall(r"u22a8\.[\w-]+", said))
    assert 2 * [("negative", "2")] + 2 * [("positive", "2")] == sorted(re.findall(r"(positive|negative)\W+(\d+)", said))


def test_commands_and_targets_of_the_pages_are_there() -> None:
    written = "\n".join(path.read_text() for path in PAGES)
    typed = r"^ *(?:\$ |as_exemplars )(?:[A-Z_]+=\S+ )*"
    named = set(re.findall(rf"{typed}\.venv/bin/exemplars ([\w-]+)", written, re.MULTILINE))
    every = {command.name for command in app.registered_commands} | {group.name for group in app.registered_groups}
    targets = set(re.findall(r"^ *(?:\$ |as_exemplars )make (\w+)", written, re.MULTILINE))
    makefile = (PROJECT_ROOT / "Makefile").read_text()

    assert {"plan", "verify", "detach", "cache"} <= named <= every
    assert {"run", "serve", "deploy"} <= targets <= set(re.findall(r"^(\w+):", makefile, re.MULTILINE))


def test_every_tool_stands_on_its_page_in_order() -> None:
    assert [entry.name for entry in TOOLS] == re.findall(r"^\| `(\w+)` \|", read("guides/agents.md"), re.MULTILINE)


def test_each_promise_names_a_test_that_there_is() -> None:
    tests = PROJECT_ROOT / "tests"
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", (tests / "README.md").read_text())

    assert 30 < len(named)
    assert [] == [name for file, name in named if f"def {name}(" not in (tests / file).read_text()]
