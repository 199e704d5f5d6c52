"""All models have a row, those first that need a person most; one that is broken does not end the survey."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from fakes.conditions import NOON, make_last
from fakes.stored import HANDLE, attach_set, write_model
from fakes.word_vectors import WordVectors

from engine.catalogue.condition import LastRun
from engine.catalogue.examine import Places
from engine.catalogue.survey import Survey, choose_last, survey_catalogue
from engine.store.layout import CATALOGUE_PAGE

OTHER = "u22a8.other"
TEXT = "Each page stays in the cache for ten minutes, and then the server builds it again from its parts."


@pytest.fixture
def places(tmp_path: Path) -> Places:
    for handle in (HANDLE, OTHER):
        write_model(tmp_path / "models", handle=handle)
        attach_set(tmp_path / "samples", f"run-{handle}", 8, ("clarity", "clarity", "safety", "safety"), handle=handle)
    return Places(str(tmp_path / "models"), str(tmp_path / "samples"), tmp_path / "cache")


def survey(places: Places, runs: dict[str, LastRun] | None = None) -> Survey:
    return asyncio.run(survey_catalogue(places, NOON, runs, embedder=WordVectors(), processes=1))


def list_kinds(found: Survey) -> list[tuple[str, list[str]]]:
    return [(model.handle, [finding.kind for finding in model.findings]) for model in found.models]


def test_models_of_which_nothing_is_to_be_said_come_last_and_what_else_lies_there_is_no_model(places: Places) -> None:
    write_model(Path(places.models_uri), handle="u22a8.empty")
    (Path(places.models_uri) / OTHER / "model.yaml").write_text("traits: {")
    attach_set(places.samples_uri, "run-gone", handle="u22a8.gone")
    for name in (CATALOGUE_PAGE, "handle=Not A Handle/pool=train/x", "__backfills__/1.json"):
        path = Path(places.samples_uri) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    found = survey(places)

    assert [(OTHER, ["broken"]), ("u22a8.gone", ["orphaned"]), ("u22a8.empty", ["empty"]), (HANDLE, [])] == list_kinds(
        found
    )
    assert (2, NOON) == (found.needing, found.surveyed_at)
    assert () == survey(Places(f"{places.models_uri}/none", f"{places.samples_uri}/nothing")).models


def test_run_that_left_no_set_is_known_from_prefect_and_otherwise_the_newest_set_counts(places: Places) -> None:
    failed = make_last("failed", "run-9", at=NOON + timedelta(hours=1), said="no key")
    stored = make_last("attached", "run-1")

    assert (HANDLE, ["failed"]) == list_kinds(survey(places, runs={HANDLE: failed}))[0]
    assert stored == choose_last(stored, make_last("succeeded", "run-1"))
    assert stored == choose_last(stored, make_last("failed", "run-0", at=NOON - timedelta(hours=1)))
