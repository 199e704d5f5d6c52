"""The site is whole and its pages are true: models load, Python runs, and tables, commands and tests are there."""

import json
import re
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import prefect.settings
import pytest
import yaml
from fakes.definitions import load_definition
from fakes.readers import TRAIN_ROWS, fill_store, stay_offline
from fakes.stored import HANDLE, attach_poles, attach_set, write_model
from fakes.workspace import ROOT
from typer.main import get_group

from engine.definitions.effort import load_level
from engine.definitions.schema import OBJECTS, list_fields
from engine.definitions.sources.labelled_lines import QUALITY_WORDS
from engine.domain.definition import TRAIT_TYPES, Pole
from engine.domain.samples import SAMPLE_SCHEMA
from engine.export.formats import export_samples
from engine.settings import Settings
from flows.api.app import make_app
from flows.api.errors import Code
from flows.cli.app import app

DOCS = ROOT / "docs"
README = (ROOT / "README.md").read_text()
PACKAGES = ("engine", "exemplars", "expectations", "flows", "tasks", "tests")
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
RECORDS = [page for page in PAGES if re.match(r"decisions/\d", page)]
OTHERS = [page for page in PAGES if page not in RECORDS]
HTTP, WATCH = "guides/http.md", "guides/operate/watch.md"
NOTEBOOKS = ("start/notebook.md", "start/own-texts.md")
# What makes a browser fetch something; a link that a person follows is not among them.
FETCHED = re.compile(r"""<(?:script|img|link|iframe|source)\b(?![^>]*rel="canonical")[^>]*?(?:src|href)=["']([^"']*)""")


def read(page: str) -> str:
    return (DOCS / page).read_text()


def find_blocks(page: str, language: str) -> list[str]:
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```$", read(page), re.MULTILINE | re.DOTALL)
    return [textwrap.dedent(block) for _, block in found]


def run(block: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    exec(compile(block, "a page", "exec"), found)
    return found


def test_site_builds_fetches_nothing_from_elsewhere_and_its_search_knows_the_words(tmp_path: Path) -> None:
    site = tmp_path / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", str(site)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert 0 == ended.returncode, ended.stderr
    fetched = {page.name: FETCHED.findall(page.read_text()) for page in site.rglob("*.html")}
    styles = "".join(path.read_text() for path in site.rglob("*.css"))
    # What the page loads from file://: the index as a script.
    index = json.loads((site / "search/search_index.js").read_text().removeprefix("var __index = ").rstrip(";\n "))
    found = {entry["location"].partition("#")[0] for entry in index["docs"] if "attached" in entry["text"].lower()}

    assert len(fetched) > len(OTHERS) / 2
    assert all(fetched.values())
    assert [] == [address for addresses in fetched.values() for address in addresses if "//" in address]
    assert [] == re.findall(r"(?:@import|url\()\s*[\"']?https?:[^)]*", styles)
    assert "reference/words.html" in found


def test_every_decision_is_in_their_index_once_and_what_the_code_names_is_one() -> None:
    linked = re.findall(r"\((\d{3}-[\w-]+\.md)\)", read("decisions/index.md"))
    code = [*(path for name in PACKAGES for path in (ROOT / name).rglob("*.py")), *ROOT.glob("*.md")]
    named = {page for path in code for page in re.findall(r"docs/(decisions/\d[\w.-]*)", path.read_text())}

    assert [record.removeprefix("decisions/") for record in RECORDS] == sorted(linked)
    assert set() == {page.rstrip(".").removesuffix(".md") for page in named} - {page[:-3] for page in RECORDS}


def test_services_of_the_guide_start_what_is_installed_with_settings_that_there_are() -> None:
    server = DOCS / "guides/operate/server"
    units = {path.name: path.read_text() for path in server.glob("*.service")}
    compose = yaml.safe_load((server / "compose.yaml").read_text())
    given = re.findall(r"^(\w+)=", (server / "exemplars.env").read_text(), re.MULTILINE)
    known = {f"EXEMPLARS_{name.upper()}" for name in Settings.model_fields}

    assert 3 == len(units)
    for unit in units.values():
        assert re.search(r"^ExecStart=/opt/exemplars/\.venv/bin/(prefect|python) ", unit, re.MULTILINE)
        assert "EnvironmentFile=/etc/exemplars/exemplars.env" in unit
    for names in (given, compose["x-exemplars"]["environment"]):
        assert set() == {name for name in names if name.startswith("EXEMPLARS_")} - known
        unknown = {name for name in names if name.startswith("PREFECT_") and not hasattr(prefect.settings, name)}
        # Prefect's server reads it past its settings.
        assert {"PREFECT_SERVER_ENCRYPTION_KEY"} == unknown
    assert {"postgres", "prefect", "deploy", "worker", "api", "nginx"} <= set(compose["services"])


def test_every_alarm_stands_on_its_page_and_asks_for_metrics_that_there_are() -> None:
    groups = yaml.safe_load((DOCS / "guides/operate/server/alerts.yaml").read_text())["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    asked = {name for rule in rules for name in re.findall(r"exemplars_\w+(?=[{\[ ])", f"{rule['expr']} ")}
    listed = re.findall(r"^\| ([A-Z]\w+) \|", read(WATCH), re.MULTILINE)

    assert [rule["alert"] for rule in rules] == listed
    assert {"exemplars_http_requests_total", "exemplars_workers_online"} <= asked
    assert [] == [name for name in asked if name not in read(WATCH)]
    assert [] == [rule for rule in rules if not {"summary", "do"} <= set(rule["annotations"])]


def test_tables_of_the_reference_are_those_of_the_code() -> None:
    """``make docs`` writes them."""
    pages = [str(path) for path in sorted([*DOCS.glob("reference/*.md"), *DOCS.glob("guides/operate/*.md")])]
    pages += [str(DOCS / name) for name in NOTEBOOKS]
    command = [sys.executable, "-m", "cogapp", "--check", "--diff", "-I", "scripts", "-p", "import reference", *pages]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert 0 == ended.returncode, f"Type 'make docs'.\n{ended.stdout}{ended.stderr}"
    # A marker that does not end its line, or a block without content: cog finds no fault in either.
    broken = re.compile(r"\]\]\] -->(?!\n)|\]\]\] -->\n<!-- \[\[\[end")
    assert [] == [page for page in pages if broken.search(Path(page).read_text())]


def test_tables_have_every_setting_exit_code_column_quality_word_and_field_of_the_dial() -> None:
    named = re.findall(r"^\| `EXEMPLARS_(\w+)` \|", read("reference/settings.md"), re.MULTILINE)
    codes = re.findall(r"^\| (\d+) \|", read("reference/exit-codes.md").partition("[[[cog")[0], re.MULTILINE)
    errors = set(re.findall(r"^\| (\d+) \| `\w+Error`", read("reference/exit-codes.md"), re.MULTILINE))
    columns = re.findall(r"^\| `(\w+)` \| `[^`]+` \| \S", read("reference/store.md"), re.MULTILINE)
    words = set(re.findall(r"`(\w+)`", read("start/traits.md").partition("## Quality words")[2].partition("\n## ")[0]))
    tables = read("reference/effort.md").split("[[[end]]]")[:2]
    described, levels = (re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) for table in tables)

    assert sorted(Settings.model_fields) == sorted(name.lower() for name in named)
    assert [] == [name for name, field in Settings.model_fields.items() if not field.description]
    assert {"0"} | errors == set(codes)
    assert SAMPLE_SCHEMA.names == columns
    assert set(QUALITY_WORDS) <= words
    assert described == levels


def test_program_of_the_document_is_the_file() -> None:
    assert [read("synthesize.py")] == find_blocks(HTTP, "python")


def test_statuses_and_codes_of_the_document_are_those_of_the_door() -> None:
    table = read("reference/http.md").split("| status |")[1].split("\n\n")[0]
    written = {(status, code) for status, code in re.findall(r"^\| (\d+) \| `(\w+)` \|", table, re.MULTILINE)}
    described = {
        (status, code)
        for path in make_app(Settings()).openapi()["paths"].values()
        for operation in path.values()
        for status, answer in operation["responses"].items()
        for code in re.findall(r"`(\w+)`", answer["description"].partition("Codes: ")[2])
    }

    assert set(get_args(Code)) == {code for _, code in written}
    assert set() == described - written


def test_models_of_the_pages_load_and_have_every_field_and_every_type_of_trait() -> None:
    [definition], [line] = (find_blocks("start/author-a-model.md", language) for language in ("yaml", "json"))
    model = load_definition("u22a8.readme", definition, line.encode())
    fields = {name for kind in OBJECTS.values() for name in list_fields(kind)}
    others = [load_definition("u22a8.page", text, b"") for text in find_blocks("start/traits.md", "yaml")]

    assert ["relevance"] == [trait.key for trait in model.traits]
    assert ([1.0], 2, ()) == ([seed.quality for seed in model.seeds], len(model.brief.failure_modes), model.skipped)
    assert set() == fields - set(re.findall(r"`(\w+)`", read("start/author-a-model.md")))
    assert list(TRAIT_TYPES) == [trait.type for other in others for trait in other.traits]


def test_dial_of_the_page_is_a_dial(tmp_path: Path) -> None:
    [block] = find_blocks("start/hosted-model.md", "yaml")
    levels = yaml.safe_load((ROOT / "data/effort.yaml").read_text())["levels"]
    (tmp_path / "effort.yaml").write_text(yaml.safe_dump(yaml.safe_load(block) | {"levels": levels}))

    assert "openai/gpt-4.1" == load_level(str(tmp_path / "effort.yaml"), "high").synth_model


def test_python_of_the_guide_reads_what_was_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stay_offline(monkeypatch, tmp_path)
    write_model(tmp_path / "models")
    attach_set(tmp_path / "samples", "one", TRAIN_ROWS)
    monkeypatch.chdir(tmp_path)
    settings = Settings(models_uri=str(tmp_path / "models"), samples_uri=str(tmp_path / "samples"))
    blocks, loaded = find_blocks("guides/hand-sets-on.md", "python"), []
    names = {"csv": "samples.csv", "jsonl": "samples.jsonl", "hub": "technical-writing"}
    for (format_name, to), block in zip(names.items(), blocks, strict=True):
        export_samples(settings, HANDLE, to, format_name)
        samples = run(block)["samples"]
        loaded.append(len(samples["train"] if format_name == "hub" else samples))

    assert [TRAIN_ROWS] * 3 == loaded


def test_python_of_the_guide_judges_a_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On the model's own authored texts as the real ones."""
    handle, place = "u22a8.technical-writing", ROOT / "data/models/u22a8.technical-writing/samples.jsonl"
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
    samples = run(leave_out)["samples"]
    run(judge)
    said = capsys.readouterr().out

    [auc] = re.findall(rf"^AUC (\d\.\d\d) on {len(real)} real texts$", said, re.MULTILINE)
    assert 0.8 <= float(auc) <= 1
    assert {*texts["positive"][2::2], *texts["negative"][::2]} == set(samples["text"])


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
    run(block)
    said = capsys.readouterr().out

    if "datasets" in block:
        assert f"{2 * TRAIN_ROWS}\n" == said
        return
    assert set(handles) == set(re.findall(r"u22a8\.[\w-]+", said))
    assert 2 * [("negative", "2")] + 2 * [("positive", "2")] == sorted(re.findall(r"(positive|negative)\W+(\d+)", said))


def test_commands_and_targets_of_the_pages_are_there() -> None:
    written = "\n".join(map(read, OTHERS))
    typed = r"^ *(?:\$ |as_exemplars )(?:[A-Z_]+=\S+ )*"
    named = set(re.findall(rf"{typed}exemplars ([\w-]+)", written, re.MULTILINE))
    every = {*get_group(app).commands}
    targets = set(re.findall(r"^ *(?:\$ |as_exemplars )make (\w+)", written, re.MULTILINE))
    makefile = (ROOT / "Makefile").read_text()

    assert {"plan", "verify", "detach", "prune"} <= named <= every
    # The program is typed in one way.
    assert [] == re.findall(r"(?<![\w/])\.venv/bin/(?:exemplars|python|prefect) .*", f"{written}\n{README}")
    assert {"run", "serve", "deploy"} <= targets <= set(re.findall(r"^(\w+):", makefile, re.MULTILINE))


def test_every_tool_stands_on_its_page_in_order() -> None:
    from flows.tools_server.server import TOOLS

    tools = {*TOOLS, "plan_synthesis", "get_run", "validate_model"}
    assert tools == {*re.findall(r"^\| `(\w+)` \|", read("guides/agents.md"), re.MULTILINE)}


def test_each_promise_names_a_test_that_there_is() -> None:
    tests = ROOT / "tests"
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", (tests / "README.md").read_text())

    assert 30 < len(named)
    assert [] == [name for file, name in named if f"def {name}(" not in (tests / file).read_text()]
