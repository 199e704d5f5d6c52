"""Reading: every field of the contract's answers, pages that skip and repeat nothing, what stays without Prefect."""

import base64
import json
import re
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fakes.builders import NEGATIVE_SEEDS, POSITIVE_SEEDS
from fakes.stored import attach_texts
from fakes.surface import (
    ARCHIVED,
    BARE,
    BROKEN,
    HANDLES,
    PRIVATE,
    PUBLIC,
    SEEDED,
    TRAINED,
    UNDISCOVERED,
    UNKNOWN,
    Surface,
    list_all,
    read_refusal,
)
from fakes.workspace import HANDLE
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.model import digest_text
from engine.domain.samples import make_id
from engine.store.sample_set import seal
from flows.api.errors import ApiError
from flows.api.routes.dependencies import read_cursor, write_cursor
from flows.api.routes.models import prefers_markdown

SEEDS = len(POSITIVE_SEEDS) + len(NEGATIVE_SEEDS)
MODEL = {
    "handle": HANDLE,
    "scoring_method": "balanced_cosine",
    "description": "Whether notes about the work in a shed are understood at once and speak of safety.",
    "state": "draft",
    "kind": "scoring",
    "traits": ["Clarity", "Safety"],
    "current_version_id": None,
    "version_no": None,
    "version_tags": [],
    "zero_data_retention": False,
    "last_operation": None,
}
QUEUED = {"kind": "synthesize", "status": "queued", "started_at": None, "progress": 0.0, "error": None}
CLARITY = {
    "key": "clarity",
    "name": "Clarity",
    "description": "How well it is understood.",
    "positive_label": "Clear",
    "negative_label": "Obscure",
    "sample_count": SEEDS,
    "positive_samples": len(POSITIVE_SEEDS),
    "negative_samples": len(NEGATIVE_SEEDS),
    "kind": "extrinsic",
    "discrimination": None,
    "explained_variance": None,
    "anchor_sample_ids": None,
}
SAMPLE = {
    "id": make_id(HANDLE, "clarity", POSITIVE_SEEDS[0]),
    "trait": "clarity",
    "text": POSITIVE_SEEDS[0],
    "quality": 1.0,
    "provenance": "authored",
    "source_url": None,
    "content_sha256": digest_text(POSITIVE_SEEDS[0]),
    "created_at": None,
}
SAMPLES = f"/models/{HANDLE}/samples"
AS_CARD = {"Accept": "text/markdown"}


def read_model(surface: Surface, handle: str = HANDLE) -> Any:
    return surface.author.get(f"/models/{handle}").json()


def test_model_has_the_platforms_fields(surface: Surface) -> None:
    trained = read_model(surface, TRAINED)

    assert [*MODEL.items()] == [*read_model(surface).items()]
    lifecycle = {"state": "ready", "current_version_id": 3, "version_no": 1, "version_tags": ["stable"]}
    assert lifecycle.items() <= trained.items()
    assert "archived" == read_model(surface, ARCHIVED)["state"]


def test_operation_goes_from_queued_to_its_end(surface: Surface) -> None:
    run_id = surface.synthesize(effort="low").json()["run_id"]
    seen = [read_model(surface)]
    surface.orchestrator.progress[run_id] = 0.375
    for state in ("RUNNING", "COMPLETED"):
        surface.orchestrator.set_state(run_id, state)
        seen.append(read_model(surface))
    operations = [model["last_operation"] for model in seen]

    assert QUEUED | {"run_id": run_id} == operations[0]
    assert operations[1]["started_at"].endswith("Z")
    assert ["busy", "busy", "draft"] == [model["state"] for model in seen]
    assert [("queued", 0.0), ("running", 0.375), ("succeeded", 1.0)] == [
        (operation["status"], operation["progress"]) for operation in operations
    ]


@pytest.mark.parametrize(
    ("ended", "handle", "state", "message", "error"),
    [
        ("FAILED", HANDLE, "failed", "Flow run encountered an exception: BudgetError: Spent.", "Spent."),
        ("CRASHED", HANDLE, "failed", "No room in /srv/x/y.db, see http://a/b", "No room in …/y.db, see http://a/b"),
        ("CANCELLED", HANDLE, "draft", None, "The run ended as cancelled."),
        ("FAILED", TRAINED, "ready", "One.\nThe rejected rows and the report are kept at /x.\nTwo.", "One.\nTwo."),
    ],
)
def test_run_that_did_not_complete_shows_in_the_state_without_folders_of_this_machine(
    surface: Surface, ended: str, handle: str, state: str, message: str | None, error: str
) -> None:
    surface.orchestrator.set_state(surface.orchestrator.add_run(handle=handle), ended, message)
    model = read_model(surface, handle)
    operation = model["last_operation"]

    assert (state, "cancelled" if ended == "CANCELLED" else "failed") == (model["state"], operation["status"])
    assert (error, None) == (operation["error"], operation["progress"])


def test_models_are_listed_by_handle_narrowed_and_in_pages_that_join_to_the_whole(surface: Surface) -> None:
    page = surface.author.get("/models").json()
    expected = [read_model(surface, handle) for handle in HANDLES]
    surface.synthesize()

    def list_handles(client: httpx.Client, **parameters: Any) -> list[str]:
        return [model["handle"] for model in list_all(client, "/models", **parameters)]

    assert {"items": expected, "next_cursor": None, "limit": 50} == page
    for limit in (1, 2, len(HANDLES), 250):
        assert list(HANDLES) == list_handles(surface.author, limit=limit)
    assert [HANDLE] == list_handles(surface.author, state="busy")
    assert [TRAINED] == list_handles(surface.author, state="ready", kind="scoring")
    assert [TRAINED] == list_handles(surface.author, state="ready", limit=1)
    assert [PUBLIC] == list_handles(surface.author, namespace="live")
    assert [PRIVATE] == list_handles(surface.stranger, namespace="acme")
    assert [] == list_handles(surface.author, namespace="acme")


@pytest.mark.parametrize(
    "path",
    [
        *(f"/models?limit={limit}" for limit in ("0", "251", "many")),
        *(f"/models?cursor={cursor}" for cursor in ("", "AAAA")),
        *(f"{SAMPLES}?{other}" for other in ("limit=0", "limit=501", "cursor=AAAA")),
    ],
)
def test_parameters_of_a_listing_that_make_no_sense_are_422(surface: Surface, path: str) -> None:
    answer = surface.author.get(path)

    assert (422, "invalid_request") == read_refusal(answer)
    assert path.partition("?")[2].partition("=")[0] in str(answer.json()["error"]["details"])


LISTING = ("samples", "u22a8.toolshed", "clarity")
PARTS = st.lists(st.integers(0, 2**63) | st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=5)


@given(place=PARTS)
def test_cursor_comes_back_as_the_place_to_its_own_listing(place: list[str | int]) -> None:
    cursor = write_cursor(LISTING, place)

    assert place == read_cursor(LISTING, cursor)
    assert re.fullmatch("[A-Za-z0-9_-]+", cursor)
    for other in ((*LISTING[:2], ""), ("samples", "u22a8.other", "clarity")):
        with pytest.raises(ApiError, match="next_cursor") as refused:
            read_cursor(other, cursor)
        assert (422, {"field": "cursor"}) == (refused.value.status, refused.value.details)


@given(cursor=st.text() | st.binary().map(lambda raw: base64.urlsafe_b64encode(raw).decode()), data=st.data())
def test_made_up_or_changed_cursor_is_refused(cursor: str, data: st.DataObject) -> None:
    good = write_cursor(LISTING, ["a", 17, "9babac40-1978-4ae0-b765-f30fdb6eb7a4"])
    at = data.draw(st.integers(0, len(good) - 1))
    other = data.draw(st.sampled_from("ABCabc019-_=").filter(lambda letter: letter != good[at]))
    for wrong in (cursor, good[:at], good[:at] + other + good[at + 1 :], good + other):
        with pytest.raises(ApiError):
            read_cursor(LISTING, wrong)


def test_definition_that_cannot_be_read_or_is_to_be_discovered_fails_no_listing(surface: Surface) -> None:
    lifecycle = surface.find_model(BARE) / "lifecycle.json"
    lifecycle.mkdir()
    failed, listed = read_model(surface, BARE), surface.author.get("/models")
    lifecycle.rmdir()

    assert ("failed", 200) == (failed["state"], listed.status_code)
    for handle in (BROKEN, UNDISCOVERED):
        model = read_model(surface, handle)
        assert ([], "draft") == (model["traits"], model["state"])
    assert {"traits": []} == surface.author.get(f"/models/{UNDISCOVERED}/traits").json()
    assert (422, "invalid_request") == read_refusal(surface.author.get(f"/models/{BROKEN}/traits"))


def test_traits_and_samples_have_the_platforms_fields_and_are_listed_by_trait_key_or_name(surface: Surface) -> None:
    clarity, safety = surface.author.get(f"/models/{HANDLE}/traits").json()["traits"]
    page = surface.author.get(SAMPLES).json()
    items = page["items"]

    assert [*CLARITY.items()] == [*clarity.items()]
    assert (0, "About safety") == (safety["sample_count"], safety["positive_label"])
    assert [*SAMPLE.items()] == [*items[0].items()]
    assert (SEEDS, {"next_cursor": None, "limit": 100}) == (len(page.pop("items")), page)
    for trait, limit in (("clarity", 1), ("Clarity", 500)):
        assert items == list_all(surface.author, SAMPLES, trait=trait, limit=limit)
    assert [] == list_all(surface.author, SAMPLES, trait="safety")


@pytest.mark.parametrize("path", ["", "/traits", "/samples"])
def test_model_is_read_by_who_may_and_a_handle_is_checked(surface: Surface, path: str) -> None:
    for handle in (PRIVATE, UNKNOWN):
        assert (404, "model_not_found") == read_refusal(surface.author.get(f"/models/{handle}{path}"))
    answer = surface.author.get(f"/models/{HANDLE}%0A{path}")
    assert (422, "invalid_handle") == read_refusal(answer)
    assert {"handle": f"{HANDLE}\n"} == answer.json()["error"]["details"]
    assert (401, "unauthorized") == read_refusal(surface.nobody.get(f"/models/{HANDLE}{path}"))
    assert 200 == surface.reader.get(f"/models/{HANDLE}{path}").status_code
    # Samples are for who owns the namespace.
    assert (403 if path == "/samples" else 200) == surface.stranger.get(f"/models/{HANDLE}{path}").status_code


@pytest.mark.parametrize(
    ("accept", "markdown"),
    [
        ("TEXT/Markdown; charset=utf-8", True),
        ("text/html, text/markdown;q=0.5", True),
        ("*/*", False),
        ("", False),
        ("application/json, text/markdown", False),
    ],
)
def test_markdown_is_for_who_prefers_it(accept: str, markdown: bool) -> None:
    assert markdown == prefers_markdown(accept)


def test_text_of_a_sample_is_not_told_to_who_may_not_list_it(surface: Surface) -> None:
    source = surface.find_model(SEEDED) / "samples.jsonl"
    before = source.read_text()
    source.write_text('{"content": "a private text", "clarity": "a private label"}\n')
    told, hidden = (client.get(f"/models/{SEEDED}/traits") for client in (surface.author, surface.stranger))
    card = surface.stranger.get(f"/models/{SEEDED}", headers=AS_CARD)
    source.write_text(before)

    assert [(422, "invalid_request")] * 3 == [read_refusal(answer) for answer in (told, hidden, card)]
    assert "a private label" in told.text
    assert "private" not in hidden.text + card.text
    assert "samples.jsonl:1" in hidden.text


def test_report_is_for_who_owns_the_namespace_and_for_a_browser(surface: Surface) -> None:
    run_id = attach_texts(surface.samples, TRAINED, ["a sample with a report"], report="<p>All is well</p>")
    path = f"/runs/{run_id}/report"
    page, asked = surface.author.get(path), surface.nobody.get(path)
    missing = surface.author.get(f"/runs/{uuid4()}/report")

    assert (200, "<p>All is well</p>") == (page.status_code, page.text)
    assert page.headers["Content-Type"].startswith("text/html")
    assert page.text == surface.nobody.get(path, auth=("anybody", surface.secret)).text
    assert (401, True) == (asked.status_code, asked.headers["WWW-Authenticate"].startswith("Basic"))
    for wrong in ("Basic ???", "Basic YQ=="):
        assert 401 == surface.nobody.get(path, headers={"Authorization": wrong}).status_code
    assert 401 == surface.nobody.get("/models", auth=("anybody", surface.secret)).status_code
    assert [(404, "not_found")] * 2 == [read_refusal(answer) for answer in (missing, surface.stranger.get(path))]
    assert (422, "invalid_request") == read_refusal(surface.author.get("/runs/%2e%2e/report"))


def test_report_belongs_to_the_place_of_its_set_and_is_no_link(surface: Surface) -> None:
    run_id = attach_texts(surface.samples, PRIVATE, ["a sample of somebody else"], report="<p>secret</p>")
    [manifest] = surface.samples.glob(f"handle={PRIVATE}/*/run={run_id}/__run__/manifest.json")
    manifest.write_bytes(seal(json.loads(manifest.read_text().replace(PRIVATE, HANDLE))))
    other = attach_texts(surface.samples, TRAINED, ["a sample without a report"])
    [report] = surface.samples.glob(f"*/*/run={other}/__run__/report.html")
    report.unlink()
    refused = [surface.author.get(f"/runs/{each}/report") for each in (run_id, other)]
    report.symlink_to("/etc/hostname")
    refused.append(surface.author.get(f"/runs/{other}/report"))

    assert [(404, "not_found")] * 3 == [read_refusal(answer) for answer in refused]
    assert 200 == surface.stranger.get(f"/runs/{run_id}/report").status_code


def test_without_prefect_what_needs_it_is_503_and_samples_are_read(surface: Surface) -> None:
    healthy = surface.nobody.get("/health")
    surface.orchestrator.away = True
    refused = [surface.author.get(path) for path in ("/health", "/models", f"/models/{HANDLE}")]
    read = [surface.author.get(f"/models/{HANDLE}/{name}").status_code for name in ("samples", "traits")]
    card = surface.author.get(f"/models/{HANDLE}", headers=AS_CARD)

    assert (200, {"status": "ok"}) == (healthy.status_code, healthy.json())
    assert {(503, "orchestrator_unavailable")} == {read_refusal(answer) for answer in refused}
    assert {True} == {int(answer.headers["Retry-After"]) > 0 for answer in refused}
    assert [200, 200, 200] == [*read, card.status_code]
    assert ("text/markdown; charset=utf-8", "Accept") == (card.headers["Content-Type"], card.headers["Vary"])
