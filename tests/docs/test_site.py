"""The site is whole: it builds without a warning, its tables are those of the code, its pages are found."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import prefect.settings
import yaml
from fakes.blocks import find_blocks
from fakes.workspace import ROOT

from engine.definitions.sources import QUALITY_WORDS
from engine.domain.samples import SAMPLE_SCHEMA, Reason
from engine.settings import Settings
from flows.api.app import make_app
from flows.api.errors import Code

DOCS = ROOT / "docs"
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
RECORDS = [page for page in PAGES if re.match(r"decisions/\d", page)]
OTHERS = [page for page in PAGES if page not in RECORDS]
NOTEBOOK = "start/notebook.md"
# What makes a browser fetch something; a link that a person follows is not among them.
FETCHED = re.compile(r"""<(?:script|img|link|iframe|source)\b(?![^>]*rel="canonical")[^>]*?(?:src|href)=["']([^"']*)""")


def read(page: str) -> str:
    return (DOCS / page).read_text()


def list_nav(entry: object) -> Iterator[str]:
    if isinstance(entry, str):
        yield entry
    for below in entry if isinstance(entry, list) else entry.values() if isinstance(entry, dict) else ():
        yield from list_nav(below)


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


def test_every_page_is_in_the_navigation_and_every_decision_in_their_index_once() -> None:
    nav = list(list_nav(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]))
    linked = re.findall(r"\((\d{3}-[\w-]+\.md)\)", read("decisions/index.md"))

    assert OTHERS == sorted(nav)
    assert [record.removeprefix("decisions/") for record in RECORDS] == sorted(linked)


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
    assert {"postgres", "prefect", "deploy", "worker", "door", "nginx"} <= set(compose["services"])


def test_every_alarm_stands_on_its_page_and_asks_for_metrics_that_there_are() -> None:
    groups = yaml.safe_load((DOCS / "guides/operate/server/alerts.yaml").read_text())["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    asked = {name for rule in rules for name in re.findall(r"exemplars_\w+(?=[{\[ ])", f"{rule['expr']} ")}
    record = re.sub(r"[`.]", "_", read("decisions/025-seeing-what-goes-on.md"))
    bare = re.compile("(_total|_seconds_count|_seconds_bucket|_seconds|_USD_total)$")

    assert [rule["alert"] for rule in rules] == re.findall(
        r"^\| ([A-Z]\w+) \|", read("guides/operate/alert-rules.md"), re.M
    )
    assert {"exemplars_run_duration_seconds_count", "exemplars_workers_online"} <= asked
    assert [] == [name for name in asked if name not in record and bare.sub("", name) not in record]
    assert [] == [rule for rule in rules if not {"summary", "do"} <= set(rule["annotations"])]


def test_tables_of_the_reference_are_those_of_the_code() -> None:
    """``make docs`` writes them."""
    pages = [str(path) for path in sorted([*DOCS.glob("reference/*.md"), *DOCS.glob("guides/operate/*.md")])]
    pages.append(str(DOCS / NOTEBOOK))
    command = [sys.executable, "-m", "cogapp", "--check", "--diff", "-I", "scripts", "-p", "import reference", *pages]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert 0 == ended.returncode, f"Type 'make docs'.\n{ended.stdout}{ended.stderr}"


def test_tables_have_every_setting_reason_exit_code_column_quality_word_and_field_of_the_dial() -> None:
    named = re.findall(r"^\| `EXEMPLARS_(\w+)` \|", read("reference/settings.md"), re.MULTILINE)
    codes = re.findall(r"^\| (\d+) \|", read("reference/exit-codes.md").partition("[[[cog")[0], re.MULTILINE)
    errors = set(re.findall(r"^\| (\d+) \| `\w+Error`", read("reference/exit-codes.md"), re.MULTILINE))
    reasons = re.findall(r"^\| `(\w+)` \| \S", read("reference/reason-codes.md"), re.MULTILINE)
    columns = re.findall(r"^\| `(\w+)` \| `[^`]+` \| \S", read("reference/store.md"), re.MULTILINE)
    words = set(re.findall(r"`(\w+)`", read("start/traits.md").partition("## Quality words")[2].partition("\n## ")[0]))
    tables = read("reference/effort.md").split("[[[end]]]")[:2]
    described, levels = (re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) for table in tables)

    assert sorted(Settings.model_fields) == sorted(name.lower() for name in named)
    assert [] == [name for name, field in Settings.model_fields.items() if not field.description]
    assert ["reason", *get_args(Reason)] == reasons
    assert {"0"} | errors == set(codes)
    assert SAMPLE_SCHEMA.names == columns
    assert set(QUALITY_WORDS) <= words
    assert described == levels


def test_program_of_the_document_is_the_file() -> None:
    [block] = [block for block in find_blocks(read("guides/http/program.md")) if block.language == "python"]

    assert read("synthesize.py") == block.text
    assert block.text.count("\n") < 40


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
