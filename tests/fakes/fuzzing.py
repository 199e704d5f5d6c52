"""schemathesis in a process of its own, against a door that is open: what it did, and what it found."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fakes import contradictions
from fakes.surface import Surface

from flows.api.schemas import HANDLE_EXAMPLE, RUN_ID_EXAMPLE

# All that it knows but `max_response_time`, which is no property of the document.
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "positive_data_acceptance",
    "missing_required_header",
    "unsupported_method",
    "allow_header_conformance",
    "use_after_free",
    "ensure_resource_availability",
    "ignored_auth",
    "object_level_authorization",
)
PHASES = ("examples", "coverage", "fuzzing", "stateful")


@dataclass(frozen=True)
class Fuzzed:
    """``report`` is the tool's own; ``requests`` counts what the door answered, by method and status."""

    exit_code: int
    output: str
    report: Mapping[str, Any]
    requests: Counter[tuple[str, int]]


def read_document(surface: Surface, handles: Sequence[str], run_id: str) -> dict[str, Any]:
    """The door's own document, its examples about models and a run that are there."""
    text = surface.nobody.get("/openapi.json").text
    document: dict[str, Any] = json.loads(text.replace(HANDLE_EXAMPLE, handles[0]).replace(RUN_ID_EXAMPLE, run_id))
    operations = (operation for item in document["paths"].values() for operation in item.values())
    for parameter in (parameter for operation in operations for parameter in operation.get("parameters", ())):
        if parameter["name"] == "handle":
            parameter["schema"]["examples"] = list(handles)
    return document


def fuzz(
    surface: Surface,
    document: Mapping[str, Any],
    folder: Path,
    max_examples: int,
    seed: int = 1,
    phases: Sequence[str] = PHASES,
) -> Fuzzed:
    """Runs it with all checks on, as the author; the stranger asks again for what the author was given."""
    folder.mkdir()
    (folder / "openapi.json").write_text(json.dumps(document))
    (folder / "keys.json").write_text(json.dumps({"auth": _list_keys(surface)}))
    (folder / "schemathesis.toml").write_text(_write_config(surface))
    before = len(surface.door.read_log())
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        *("--no-color", "--config-file", "schemathesis.toml", "run", "openapi.json"),
        *("--checks", ",".join(CHECKS), "--phases", ",".join(phases)),
        *("--seed", str(seed), "--max-examples", str(max_examples), "--generation-database", "none"),
        # On a busy machine drawing a body takes longer than Hypothesis likes.
        *("--suppress-health-check", "too_slow"),
        *("--continue-on-failure", "--report", "json", "--report-json-path", "report.json"),
    ]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    report = json.loads((folder / "report.json").read_text())
    return Fuzzed(ended.returncode, ended.stdout + ended.stderr, report, _count(surface.door.read_log()[before:]))


def _list_keys(surface: Surface) -> list[dict[str, Any]]:
    clients = {"author": surface.author, "stranger": surface.stranger}
    return [
        {"name": name, "fixedHeaders": [{"name": "Authorization", "value": client.headers["Authorization"]}]}
        for name, client in clients.items()
    ]


def _write_config(surface: Surface) -> str:
    return f"""
hooks = {json.dumps(contradictions.__file__)}
base-url = {json.dumps(surface.door.url.removesuffix("/v1"))}
[auth.wfc]
path = "keys.json"
user = "author"
peers = ["author", "stranger"]
"""


def _count(log: str) -> Counter[tuple[str, int]]:
    """The door writes one line for a request: date, time, level, method, path, status and more."""
    lines = (line.split() for line in log.splitlines())
    return Counter((line[3], int(line[5])) for line in lines if line[2:3] == ["INFO"] and line[5].isdigit())
