"""Blocks of the pages are true: the model loads, the Python runs on a store, commands and targets are there."""

import re
import signal
from pathlib import Path

import pytest
from fakes.readers import TRAIN_ROWS, fill_store, stay_offline

from engine.definitions.loader import parse_model
from engine.settings import PROJECT_ROOT, Settings
from flows.cli.app import app, main

DOCS = PROJECT_ROOT / "docs"
PAGES = [path for path in sorted(DOCS.rglob("*.md")) if path.parent.name != "decisions"]


def read(page: str) -> str:
    return (DOCS / page).read_text()


def find_blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", read(page), re.MULTILINE | re.DOTALL)


def hide_numbers(line: str) -> str:
    """The numbers change with the prompts and the price list, the form does not."""
    return " ".join(re.sub(r"\d[\d,.]*", "#", line).split())


def test_model_of_the_page_loads_with_its_sample() -> None:
    [definition], [line] = (find_blocks("start/author-a-model.md", language) for language in ("yaml", "json"))
    model = parse_model("u22a8.readme", definition.encode(), lambda _: line.encode())

    assert ["relevance"] == [trait.key for trait in model.traits]
    assert [1.0] == [seed.quality for seed in model.seeds]
    assert 2 == len(model.brief.failure_modes)
    assert () == model.skipped


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


def test_settings_of_the_page_are_all_settings_and_no_others() -> None:
    table = read("reference/settings.md").split("| variable |")[1].split("\n\n")[0]
    named = {
        name.removeprefix("EXEMPLARS").strip("_").lower() for name in re.findall(r"`(?:EXEMPLARS)?(_[A-Z_]+)`", table)
    }

    assert set(Settings.model_fields) == named


def test_commands_of_the_pages_are_commands() -> None:
    written = "\n".join(path.read_text() for path in PAGES)
    named = set(re.findall(r"^\$ (?:[A-Z_]+=\S+ )*\.venv/bin/exemplars (\w+)", written, re.MULTILINE))

    every = {command.name for command in app.registered_commands} | {group.name for group in app.registered_groups}
    assert {"plan", "verify", "detach", "cache"} <= named <= every


def test_estimate_of_the_page_is_what_the_command_prints_but_for_its_numbers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EXEMPLARS_SYNTH_MODEL", "openai/gpt-4.1-mini")
    monkeypatch.setenv("EXEMPLARS_SAMPLES_URI", str(tmp_path / "samples"))
    monkeypatch.setenv("COLUMNS", "80")
    terminate = signal.getsignal(signal.SIGTERM)
    code = main(["plan", "u22a8.technical-writing", "--effort", "high"])
    signal.signal(signal.SIGTERM, terminate)
    [block] = [text for text in find_blocks("guides/dry-run.md", "text") if "supposed" in text]
    printed = {hide_numbers(line) for line in capsys.readouterr().out.splitlines()}

    assert 0 == code
    assert [] == [line for line in block.splitlines() if hide_numbers(line) not in printed]


def test_targets_of_the_pages_are_in_the_makefile() -> None:
    makefile = (PROJECT_ROOT / "Makefile").read_text()
    written = "\n".join(path.read_text() for path in PAGES)
    targets = set(re.findall(r"^\$ make (\w+)", written, re.MULTILINE))

    assert {"run", "serve", "deploy"} <= targets
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)
