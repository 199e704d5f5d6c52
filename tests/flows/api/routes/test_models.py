"""Reading: every field of the contract's answers, pages that skip and repeat nothing, what stays without Prefect."""

import json
import shutil
from typing import Any
from urllib.parse import unquote
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

from engine.domain.model import digest_text
from engine.domain.samples import make_id
from engine.store.sample_set import seal
from flows.api.cursors import write_cursor

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
    "sample_count": len(POSITIVE_SEEDS) + len(NEGATIVE_SEEDS),
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
SEEDS = len(POSITIVE_SEEDS) + len(NEGATIVE_SEEDS)
SAMPLES = f"/models/{HANDLE}/samples"
AS_CARD = {"Accept": "text/markdown"}


def read_model(surface: Surface, handle: str = HANDLE) -> dict[str, Any]:
    model: dict[str, Any] = surface.author.get(f"/models/{handle}").json()
    return model


def test_model_has_the_platforms_fields(surface: Surface) -> None:
    trained = read_model(surface, TRAINED)

    assert [*MODEL.items()] == [*read_model(surface).items()]
    lifecycle = {"state": "ready", "current_version_id": 3, "version_no": 1, "version_tags": ["stable"]}
    assert lifecycle.items() <= trained.items()
    assert "archived" == read_model(surface, ARCHIVED)["state"]


def test_operation_goes_from_queued_to_its_end(surface: Surface) -> None:
    run_id = surface.synthesize(effort="low").json()["run_id"]
    queued = read_model(surface)
    surface.orchestrator.set_state(run_id, "RUNNING")
    surface.orchestrator.progress[run_id] = 0.375
    running = read_model(surface)
    surface.orchestrator.set_state(run_id, "COMPLETED")
    done = read_model(surface)

    assert QUEUED | {"run_id": run_id} == queued["last_operation"]
    assert running["last_operation"]["started_at"].endswith("Z")
    assert [("busy", "queued", 0.0), ("busy", "running", 0.375), ("draft", "succeeded", 1.0)] == [
        (model["state"], model["last_operation"]["status"], model["last_operation"]["progress"])
        for model in (queued, running, done)
    ]


@pytest.mark.parametrize(
    ("ended", "handle", "state", "status", "message", "error"),
    [
        ("FAILED", HANDLE, "failed", "failed", "Flow run encountered an exception: BudgetError: Spent.", "Spent."),
        (
            "CRASHED",
            HANDLE,
            "failed",
            "failed",
            "No room in /srv/x/y.db, see http://a.b/c",
            "No room in …/y.db, see {}",
        ),
        ("CANCELLED", HANDLE, "draft", "cancelled", None, "The run ended as cancelled."),
        (
            "FAILED",
            TRAINED,
            "ready",
            "failed",
            "One.\nThe rejected rows and the report are kept at /x.\nTwo.",
            "One.\nTwo.",
        ),
    ],
)
def test_run_that_did_not_complete_shows_in_the_state_without_folders_of_this_machine(
    surface: Surface, ended: str, handle: str, state: str, status: str, message: str | None, error: str
) -> None:
    surface.orchestrator.set_state(surface.orchestrator.add_run(handle=handle), ended, message)
    model = read_model(surface, handle)

    assert (state, status) == (model["state"], model["last_operation"]["status"])
    assert error.format("http://a.b/c") == model["last_operation"]["error"]
    assert None is model["last_operation"]["progress"]


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


def test_rare_state_is_looked_for_among_many_models(surface: Surface) -> None:
    many = [surface.find_model(f"bench.many-{number:03}") for number in range(120)]
    for folder in many:
        shutil.copytree(surface.find_model(BARE), folder)
    surface.orchestrator.add_run(handle=many[110].name)
    busy = surface.author.get("/models", params={"namespace": "bench", "state": "busy", "limit": 1}).json()
    for folder in many:
        shutil.rmtree(folder)

    assert [many[110].name] == [model["handle"] for model in busy["items"]]
    assert busy["next_cursor"]


@pytest.mark.parametrize(
    "path",
    [
        *(f"/models?limit={limit}" for limit in ("0", "251", "ten", "01", "+1", "1.0", "1_0", "٣")),
        *(f"/models?{other}" for other in ("state=sleeping", "kind=ranking", "cursor=bm90IG91cnM", "cursor=")),
        f"/models?cursor={write_cursor(('models', 'u22a8', ''), [1])}",
        *(f"{SAMPLES}?{other}" for other in ("limit=0", "limit=501", "cursor=AAAA")),
    ],
)
def test_parameters_of_a_listing_that_make_no_sense_are_422(surface: Surface, path: str) -> None:
    assert (422, "invalid_request") == read_refusal(surface.author.get(path))


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

    assert [*CLARITY.items()] == [*clarity.items()]
    assert (0, "About safety") == (safety["sample_count"], safety["positive_label"])
    assert [*SAMPLE.items()] == [*page["items"][0].items()]
    assert (["items", "next_cursor", "limit"], SEEDS) == (list(page), len(page["items"]))
    assert (None, 100) == (page["next_cursor"], page["limit"])
    assert 500 == surface.author.get(SAMPLES, params={"limit": 500}).json()["limit"]
    assert page["items"] == list_all(surface.author, SAMPLES, trait="clarity", limit=1)
    assert page["items"] == list_all(surface.author, SAMPLES, trait="Clarity")
    assert [] == list_all(surface.author, SAMPLES, trait="safety")
    assert (404, "trait_not_found") == read_refusal(surface.author.get(SAMPLES, params={"trait": "warmth"}))


def test_set_that_is_attached_between_two_pages_moves_no_sample_and_a_cursor_is_of_one_listing(
    surface: Surface,
) -> None:
    attach_texts(surface.samples, TRAINED, ["one of the first run", "two of the first run"])
    path = f"/models/{TRAINED}/samples"
    first = surface.author.get(path, params={"limit": SEEDS + 1}).json()
    attach_texts(surface.samples, TRAINED, ["one of the second run"])
    cursor = first["next_cursor"]
    rest = list_all(surface.author, path, cursor=cursor, limit=1)

    assert ["one of the first run", "two of the first run", "one of the second run"] == [
        item["text"] for item in [*first["items"], *rest][SEEDS:]
    ]
    assert {"synthesized"} == {item["provenance"] for item in rest}
    assert rest[0]["created_at"].endswith("Z")
    for other in (f"{path}?trait=clarity&cursor={cursor}", f"{SAMPLES}?cursor={cursor}"):
        assert (422, "invalid_request") == read_refusal(surface.author.get(other))


@pytest.mark.parametrize("path", ["", "/traits", "/samples"])
def test_model_is_read_by_who_may_and_a_handle_is_checked(surface: Surface, path: str) -> None:
    for handle in (PRIVATE, UNKNOWN):
        assert (404, "model_not_found") == read_refusal(surface.author.get(f"/models/{handle}{path}"))
    for line_break in ("%0A", "%0D%0a"):
        answer = surface.author.get(f"/models/{HANDLE}{line_break}{path}")
        assert (422, "invalid_handle") == read_refusal(answer)
        assert HANDLE + unquote(line_break) == answer.json()["error"]["details"]["handle"]
    assert (401, "unauthorized") == read_refusal(surface.nobody.get(f"/models/{HANDLE}{path}"))
    assert 200 == surface.reader.get(f"/models/{HANDLE}{path}").status_code
    # Samples are for who owns the namespace.
    assert (403 if path == "/samples" else 200) == surface.stranger.get(f"/models/{HANDLE}{path}").status_code


def test_card_is_markdown(surface: Surface) -> None:
    card = surface.author.get(f"/models/{HANDLE}", headers=AS_CARD)

    assert "text/markdown; charset=utf-8" == card.headers["Content-Type"]
    assert [] == [word for word in (HANDLE, "Clear") if word not in card.text]
    assert "Accept" == card.headers["Vary"] == surface.author.get(f"/models/{HANDLE}").headers["Vary"]


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

    assert (200, "<p>All is well</p>") == (page.status_code, page.text)
    assert page.headers["Content-Type"].startswith("text/html")
    assert page.text == surface.nobody.get(path, auth=("anybody", surface.secret)).text
    assert (401, True) == (asked.status_code, asked.headers["WWW-Authenticate"].startswith("Basic"))
    for wrong in ("Basic ???", "Basic YQ=="):
        assert 401 == surface.nobody.get(path, headers={"Authorization": wrong}).status_code
    assert 401 == surface.nobody.get("/models", auth=("anybody", surface.secret)).status_code
    for refused in (
        surface.stranger.get(path),
        surface.author.get(f"/runs/{uuid4()}/report"),
        surface.author.get("/runs/%2e%2e/report"),
    ):
        assert (404, "not_found") == read_refusal(refused)


def test_report_belongs_to_the_place_of_its_set(surface: Surface) -> None:
    run_id = attach_texts(surface.samples, PRIVATE, ["a sample of somebody else"], report="<p>secret</p>")
    [manifest] = surface.samples.glob(f"handle={PRIVATE}/*/run={run_id}/__run__/manifest.json")
    manifest.write_bytes(seal(json.loads(manifest.read_text().replace(PRIVATE, HANDLE))))
    other = attach_texts(surface.samples, TRAINED, ["a sample without a report"])
    [report] = surface.samples.glob(f"*/*/run={other}/__run__/report.html")
    report.unlink()
    without = surface.author.get(f"/runs/{other}/report")
    report.symlink_to("/etc/hostname")

    for refused in (without, *(surface.author.get(f"/runs/{each}/report") for each in (run_id, other))):
        assert (404, "not_found") == read_refusal(refused)
    assert 200 == surface.stranger.get(f"/runs/{run_id}/report").status_code


def test_without_prefect_what_needs_it_is_503_and_samples_are_read(surface: Surface) -> None:
    healthy = surface.nobody.get("/health")
    surface.orchestrator.away = True
    refused = [surface.author.get(path) for path in ("/health", "/models", f"/models/{HANDLE}")]
    read = [surface.author.get(f"/models/{HANDLE}/{name}").status_code for name in ("samples", "traits")]
    card = surface.author.get(f"/models/{HANDLE}", headers=AS_CARD).status_code

    assert (200, {"status": "ok"}) == (healthy.status_code, healthy.json())
    assert {(503, "orchestrator_unavailable")} == {read_refusal(answer) for answer in refused}
    assert {True} == {int(answer.headers["Retry-After"]) > 0 for answer in refused}
    assert [200, 200, 200] == [*read, card]
