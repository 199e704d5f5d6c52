"""schemathesis against the surface in this process: what it did, and what it found.

It takes what agrees with the document's schema for a good request, and the contract refuses some of those all the same.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import schemathesis
from fakes.long import LONG
from fakes.surface import ADDRESS, Surface
from schemathesis.checks import CHECKS as KNOWN_CHECKS
from schemathesis.checks import load_all_checks
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema

from flows.api.schemas import HANDLE_EXAMPLE, RUN_ID_EXAMPLE

load_all_checks()
# All that it knows but this one, which is no property of the document.
CHECKS = set(KNOWN_CHECKS.get_all_names()) - {"max_response_time"}
# Once in CI: each value that the document names, and each boundary of it; chance has a say at length.
ALL_PHASES = ("examples", "coverage", "fuzzing", "stateful")
PHASES = ALL_PHASES if LONG else ALL_PHASES[:2]
ADDING = "POST /v1/models/{handle}/samples"


@schemathesis.hook
def filter_failure(context: Any, failure: Any, case: Any, response: Any) -> bool:
    """Takes out what the contract refuses though it agrees with the schema."""
    if type(failure).__name__ != "RejectedPositiveData" or response.status_code != 422:
        return True
    operation, error = case.operation.label, json.loads(response.content)["error"]
    code, details = error["code"], error["details"]
    if operation == ADDING and details.get("field") in {"trait", "content_sha256", "quality"} and "index" in details:
        # A trait that the model has not, a digest that is not the text's, a text with two qualities.
        return False
    # "422 for the model": what is wrong is the definition, of which the request says nothing.
    of_model = code in {"no_traits", "no_seed_samples"} or "model.yaml" in str(details.get("problems"))
    # "Cursors are opaque; one that the server did not issue is 422."
    return not of_model and not (operation.startswith("GET") and details.get("field") == "cursor")


@dataclass
class Fuzzed:
    """``phases`` are how each ended; ``requests`` counts what the HTTP API answered, by method and status."""

    phases: set[str] = field(default_factory=set)
    operations: set[str] = field(default_factory=set)
    said: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    requests: Counter[tuple[str, int]] = field(default_factory=Counter)


def read_document(surface: Surface, handles: Sequence[str], run_id: str) -> dict[str, Any]:
    text = surface.nobody.get("/openapi.json").text
    document: dict[str, Any] = json.loads(text.replace(HANDLE_EXAMPLE, handles[0]).replace(RUN_ID_EXAMPLE, run_id))
    operations = (operation for item in document["paths"].values() for operation in item.values())
    for parameter in (parameter for operation in operations for parameter in operation.get("parameters", ())):
        if parameter["name"] == "handle":
            parameter["schema"]["examples"] = list(handles)
    return document


def fuzz(surface: Surface, document: Mapping[str, Any], folder: Path, max_examples: int, seed: int) -> Fuzzed:
    """Runs it with all checks on, as the author; the stranger asks again for what the author was given."""
    clients = {"author": surface.author, "stranger": surface.stranger}
    keys = [
        {"name": name, "fixedHeaders": [{"name": "Authorization", "value": client.headers["Authorization"]}]}
        for name, client in clients.items()
    ]
    (folder / "keys.json").write_text(json.dumps({"auth": keys}))
    wfc = {"path": str(folder / "keys.json"), "user": "author", "peers": [*clients]}
    config = SchemathesisConfig.from_dict(
        {
            "base-url": ADDRESS,
            "seed": seed,
            "continue-on-failure": True,
            # On a busy machine drawing a body takes longer than Hypothesis likes.
            "suppress-health-check": ["too_slow"],
            "generation": {"max-examples": max_examples, "database": "none"},
            # A text over the limit may make a body over the limit: 413, which schemathesis does not expect.
            "checks": {name: {"enabled": True} for name in CHECKS}
            | {"negative_data_rejection": {"expected-statuses": ["4XX", "5XX"]}},
            "phases": {name: {"enabled": name in PHASES} for name in ALL_PHASES},
            "auth": {"wfc": wfc},
        }
    )
    schema = schemathesis.openapi.from_dict(dict(document), config=config)
    schema.app = surface.app
    found = Fuzzed()
    for event in from_schema(schema).execute():
        _take(found, event)
    return found


def _take(found: Fuzzed, event: object) -> None:
    if isinstance(event, events.PhaseFinished) and event.phase.is_enabled:
        found.phases.add(event.status.value)
    if isinstance(event, events.NonFatalError | events.FatalError):
        found.errors.append(str(getattr(event, "value", None) or getattr(event, "exception", None)))
    if not isinstance(event, events.ScenarioFinished):
        return
    recorder = event.recorder
    for case_id, interaction in recorder.interactions.items():
        if interaction.response is not None:
            found.requests[interaction.request.method, interaction.response.status_code] += 1
        label = recorder.cases[case_id].value.operation.label
        found.operations.add(label)
        for check in recorder.checks.get(case_id, ()):
            if check.failure_info is not None:
                found.said.append(f"{label}: {check.failure_info.failure}")
