"""Reading: every field of the contract's answers, pages that skip and repeat nothing, what stays without Prefect."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

import httpx
import pytest
from fakes.builders import NEGATIVE_SEEDS, POSITIVE_SEEDS
from fakes.door import open_door
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
)
from fakes.workspace import HANDLE, make_workspace

from engine.domain.model import digest_text
from engine.domain.samples import make_id
from engine.store.sample_set import seal

pytestmark = pytest.mark.slow

MODEL_FIELDS = (
    "handle scoring_method description state kind traits current_version_id version_no version_tags "
    "zero_data_retention last_operation"
).split()
TRAIT_FIELDS = (
    "key name description positive_label negative_label sample_count positive_samples negative_samples kind "
    "discrimination explained_variance anchor_sample_ids"
).split()
SAMPLE_FIELDS = "id trait text quality provenance source_url content_sha256 created_at".split()
SEEDS = len(POSITIVE_SEEDS) + len(NEGATIVE_SEEDS)


@pytest.fixture(autouse=True)
def nothing_runs(surface: Surface) -> Iterator[None]:
    """No run is known before, none is under way after."""
    surface.site.forget_runs()
    yield
    surface.end_runs()


def refuse(response: httpx.Response) -> tuple[int, str]:
    """Status and code of the envelope."""
    error = response.json()["error"]
    assert response.headers["X-Request-Id"] == error["request_id"]
    return response.status_code, error["code"]


def walk(client: httpx.Client, path: str, **parameters: Any) -> list[dict[str, Any]]:
    """All items of a listing, page by page."""
    items: list[dict[str, Any]] = []
    cursor = None
    while True:
        page = client.get(path, params={**parameters, **({"cursor": cursor} if cursor else {})}).json()
        items += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return items


def test_health_needs_no_key(surface: Surface) -> None:
    answer = surface.nobody.get("/health")

    assert (200, {"status": "ok"}) == (answer.status_code, answer.json())
    assert answer.headers["X-Request-Id"]


def test_model_has_the_platforms_fields(surface: Surface) -> None:
    answer = surface.author.get(f"/models/{HANDLE}").json()

    assert MODEL_FIELDS == list(answer)
    assert {
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
    } == answer


def test_trained_model_tells_its_version(surface: Surface) -> None:
    answer = surface.author.get(f"/models/{TRAINED}").json()

    assert ("ready", 3, 1, ["stable"]) == tuple(
        answer[name] for name in ("state", "current_version_id", "version_no", "version_tags")
    )
    assert "archived" == surface.author.get(f"/models/{ARCHIVED}").json()["state"]


def test_operation_goes_from_queued_to_its_end(surface: Surface) -> None:
    run_id = surface.synthesize(effort="low").json()["run_id"]
    queued = surface.author.get(f"/models/{HANDLE}").json()
    surface.set_state(run_id, "RUNNING")
    artifact = {"type": "progress", "data": 37.5, "flow_run_id": run_id}
    surface.site.ask("POST", "/artifacts/", **artifact)
    running = surface.author.get(f"/models/{HANDLE}").json()
    surface.set_state(run_id, "COMPLETED")
    done = surface.author.get(f"/models/{HANDLE}").json()

    assert ["kind", "run_id", "status", "started_at", "progress", "error"] == list(queued["last_operation"])
    assert "busy" == queued["state"]
    assert {
        "kind": "synthesize", "run_id": run_id, "status": "queued", "started_at": None, "progress": 0.0, "error": None,
    } == queued["last_operation"]  # fmt: skip
    assert ("busy", "running", 0.375) == (
        running["state"],
        running["last_operation"]["status"],
        running["last_operation"]["progress"],
    )
    assert running["last_operation"]["started_at"].endswith("Z")
    assert ("draft", "succeeded", 1.0) == (
        done["state"],
        done["last_operation"]["status"],
        done["last_operation"]["progress"],
    )


@pytest.mark.parametrize(
    ("ended", "state", "status"),
    [("FAILED", "failed", "failed"), ("CRASHED", "failed", "failed"), ("CANCELLED", "draft", "cancelled")],
)
def test_run_that_did_not_complete_shows_in_the_state(surface: Surface, ended: str, state: str, status: str) -> None:
    surface.synthesize()
    surface.end_runs(ended, "Flow run encountered an exception: BudgetError: the limit of $1 is reached.")
    answer = surface.author.get(f"/models/{HANDLE}").json()

    assert (state, status) == (answer["state"], answer["last_operation"]["status"])
    assert "the limit of $1 is reached." == answer["last_operation"]["error"]


def test_models_are_listed_by_handle_with_all_their_fields(surface: Surface) -> None:
    page = surface.author.get("/models").json()

    assert ["items", "next_cursor", "limit"] == list(page)
    assert (list(HANDLES), None, 50) == ([model["handle"] for model in page["items"]], page["next_cursor"], 50)
    assert {tuple(MODEL_FIELDS)} == {tuple(model) for model in page["items"]}
    assert [surface.author.get(f"/models/{handle}").json() for handle in HANDLES] == page["items"]


def test_pages_of_models_join_to_the_whole(surface: Surface) -> None:
    for limit in (1, 2, len(HANDLES)):
        assert list(HANDLES) == [model["handle"] for model in walk(surface.author, "/models", limit=limit)]


def test_models_are_narrowed_by_namespace_state_and_kind(surface: Surface) -> None:
    surface.synthesize()

    def list_handles(client: httpx.Client, **parameters: str) -> list[str]:
        return [model["handle"] for model in client.get("/models", params=parameters).json()["items"]]

    assert [HANDLE] == list_handles(surface.author, state="busy")
    assert [TRAINED] == list_handles(surface.author, state="ready", kind="scoring")
    assert [PUBLIC] == list_handles(surface.author, namespace="live")
    assert [PRIVATE] == list_handles(surface.stranger, namespace="acme")
    assert [] == list_handles(surface.author, namespace="acme")
    assert [] == list_handles(surface.author, namespace="nothing")
    assert [TRAINED] == [model["handle"] for model in walk(surface.author, "/models", state="ready", limit=1)]


@pytest.mark.parametrize(
    "parameters",
    [
        {"limit": "0"},
        {"limit": "251"},
        {"limit": "ten"},
        {"limit": "01"},
        {"limit": "+1"},
        {"limit": "1.0"},
        {"limit": "1_0"},
        {"limit": "٣"},
        {"state": "sleeping"},
        {"kind": "ranking"},
        {"cursor": "bm90IG91cnM"},
        {"cursor": ""},
    ],
)
def test_parameters_of_the_listing_that_make_no_sense_are_422(surface: Surface, parameters: dict[str, str]) -> None:
    assert (422, "invalid_request") == refuse(surface.author.get("/models", params=parameters))


def test_definition_that_is_broken_or_to_be_discovered_is_a_model_all_the_same(surface: Surface) -> None:
    for handle in (BROKEN, UNDISCOVERED):
        answer = surface.author.get(f"/models/{handle}").json()
        assert ([], "draft") == (answer["traits"], answer["state"])
    assert {"traits": []} == surface.author.get(f"/models/{UNDISCOVERED}/traits").json()
    assert (422, "invalid_request") == refuse(surface.author.get(f"/models/{BROKEN}/traits"))


def test_traits_have_the_platforms_fields_and_true_counts(surface: Surface) -> None:
    clarity, safety = surface.author.get(f"/models/{HANDLE}/traits").json()["traits"]

    assert TRAIT_FIELDS == list(clarity)
    assert {
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
    } == clarity
    assert (0, "About safety") == (safety["sample_count"], safety["positive_label"])


def test_sample_has_the_platforms_fields(surface: Surface) -> None:
    page = surface.author.get(f"/models/{HANDLE}/samples").json()
    text = POSITIVE_SEEDS[0]

    assert (["items", "next_cursor", "limit"], SEEDS, None, 100) == (
        list(page),
        len(page["items"]),
        page["next_cursor"],
        page["limit"],
    )
    assert SAMPLE_FIELDS == list(page["items"][0])
    assert {
        "id": make_id(HANDLE, "clarity", text),
        "trait": "clarity",
        "text": text,
        "quality": 1.0,
        "provenance": "authored",
        "source_url": None,
        "content_sha256": digest_text(text),
        "created_at": None,
    } == page["items"][0]


def test_samples_are_listed_by_trait_key_or_name(surface: Surface) -> None:
    path = f"/models/{HANDLE}/samples"

    assert SEEDS == len(walk(surface.author, path, trait="clarity", limit=1))
    assert SEEDS == len(walk(surface.author, path, trait="Clarity"))
    assert [] == walk(surface.author, path, trait="safety")
    assert (404, "trait_not_found") == refuse(surface.author.get(path, params={"trait": "warmth"}))


@pytest.mark.parametrize("parameters", [{"limit": "0"}, {"limit": "501"}, {"cursor": "AAAA"}])
def test_parameters_of_the_samples_that_make_no_sense_are_422(surface: Surface, parameters: dict[str, str]) -> None:
    assert (422, "invalid_request") == refuse(surface.author.get(f"/models/{HANDLE}/samples", params=parameters))


def test_cursor_of_another_trait_or_model_is_422(surface: Surface) -> None:
    cursor = surface.author.get(f"/models/{HANDLE}/samples", params={"limit": 1}).json()["next_cursor"]
    for handle, narrowed in ((HANDLE, {"trait": "clarity"}), (TRAINED, {})):
        answer = surface.author.get(f"/models/{handle}/samples", params={"cursor": cursor, **narrowed})
        assert (422, "invalid_request") == refuse(answer)


def test_set_that_is_attached_between_two_pages_moves_no_sample(surface: Surface) -> None:
    samples = surface.door.workspace.samples
    attach_texts(samples, TRAINED, ["one of the first run", "two of the first run"])
    path = f"/models/{TRAINED}/samples"
    first = surface.author.get(path, params={"limit": SEEDS + 1}).json()
    attach_texts(samples, TRAINED, ["one of the second run"])
    rest = walk(surface.author, path, cursor=first["next_cursor"], limit=1) if first["next_cursor"] else []
    texts = [item["text"] for item in [*first["items"], *rest]][SEEDS:]

    assert ["one of the first run", "two of the first run", "one of the second run"] == texts
    assert {"synthesized"} == {item["provenance"] for item in rest}
    assert rest[0]["created_at"].endswith("Z")


def test_samples_are_for_who_owns_the_namespace(surface: Surface) -> None:
    assert 200 == surface.reader.get(f"/models/{HANDLE}/samples").status_code
    assert 200 == surface.stranger.get(f"/models/{HANDLE}").status_code
    assert 200 == surface.stranger.get(f"/models/{HANDLE}/traits").status_code
    assert (403, "forbidden") == refuse(surface.stranger.get(f"/models/{HANDLE}/samples"))
    assert (404, "model_not_found") == refuse(surface.author.get(f"/models/{PRIVATE}/samples"))


@pytest.mark.parametrize("path", ["", "/traits", "/samples"])
def test_model_that_may_not_be_read_is_not_there(surface: Surface, path: str) -> None:
    for handle in (PRIVATE, UNKNOWN):
        assert (404, "model_not_found") == refuse(surface.author.get(f"/models/{handle}{path}"))
    assert (422, "invalid_handle") == refuse(surface.author.get(f"/models/Bad{path}"))
    assert (401, "unauthorized") == refuse(surface.nobody.get(f"/models/{HANDLE}{path}"))


@pytest.mark.parametrize("path", ["", "/traits", "/samples"])
@pytest.mark.parametrize("line_break", ["%0A", "%0a", "%0D", "%0D%0A", "%0A%0A"])
def test_handle_that_ends_in_a_line_break_is_malformed(surface: Surface, line_break: str, path: str) -> None:
    answer = surface.author.get(f"/models/{HANDLE}{line_break}{path}")

    assert (422, "invalid_handle") == refuse(answer)
    assert HANDLE + unquote(line_break) == answer.json()["error"]["details"]["handle"]


def test_line_break_after_the_last_word_of_a_path_is_404(surface: Surface) -> None:
    assert (404, "not_found") == refuse(surface.author.get(f"/models/{HANDLE}/traits%0A"))


def test_card_is_markdown(surface: Surface) -> None:
    card = surface.author.get(f"/models/{HANDLE}", headers={"Accept": "text/markdown"})

    assert "text/markdown; charset=utf-8" == card.headers["Content-Type"]
    assert HANDLE in card.text
    assert "Clear" in card.text
    assert "Accept" == card.headers["Vary"] == surface.author.get(f"/models/{HANDLE}").headers["Vary"]


def test_report_is_for_who_owns_the_namespace_and_for_a_browser(surface: Surface) -> None:
    run_id = attach_texts(
        surface.door.workspace.samples, TRAINED, ["a sample with a report"], report="<p>All is well</p>"
    )
    path = f"/runs/{run_id}/report"
    page = surface.author.get(path)
    browser = httpx.get(f"{surface.door.url}{path}", auth=("anybody", surface.door.secret))
    asked = surface.nobody.get(path)

    assert (200, "<p>All is well</p>") == (page.status_code, page.text)
    assert page.headers["Content-Type"].startswith("text/html")
    assert page.text == browser.text
    assert (401, True) == (asked.status_code, asked.headers["WWW-Authenticate"].startswith("Basic"))
    assert (404, "not_found") == refuse(surface.stranger.get(path))
    assert (404, "not_found") == refuse(surface.author.get(f"/runs/{uuid4()}/report"))
    assert (404, "not_found") == refuse(surface.author.get("/runs/%2e%2e/report"))
    assert 401 == httpx.get(f"{surface.door.url}/models", auth=("anybody", surface.door.secret)).status_code


@pytest.mark.parametrize("path", ["/nothing", "/models/", f"/models/{HANDLE}/", "/runs"])
def test_path_that_is_none_is_404_in_the_envelope(surface: Surface, path: str) -> None:
    assert (404, "not_found") == refuse(surface.author.get(path))


def test_openapi_is_3_1_and_open(surface: Surface) -> None:
    document = surface.nobody.get("/openapi.json").json()

    assert document["openapi"].startswith("3.1")
    assert [
        "/v1/health",
        "/v1/models",
        "/v1/models/{handle}",
        "/v1/models/{handle}/samples",
        "/v1/models/{handle}/samples/synthesize",
        "/v1/models/{handle}/samples/{sample_id}",
        "/v1/models/{handle}/traits",
        "/v1/runs/{run_id}/report",
        "/v1/runs/{run_id}/review",
        "/v1/runs/{run_id}/review/decisions",
    ] == sorted(document["paths"])
    assert {"type": "http", "scheme": "bearer"}.items() <= document["components"]["securitySchemes"]["bearer"].items()


def test_without_prefect_what_needs_it_is_503_and_samples_are_read(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path / "alone")
    variables = {**dict(workspace.variables), "PREFECT_API_URL": "http://127.0.0.1:9/api", "PATH": "/usr/bin"}
    with open_door(workspace, variables) as door:
        client = door.open_client()
        posted = client.post(f"/models/{HANDLE}/samples/synthesize", json={})
        refused = [client.get("/health"), client.get("/models"), client.get(f"/models/{HANDLE}"), posted]
        read = [client.get(f"/models/{HANDLE}/{name}").status_code for name in ("samples", "traits")]
        card = client.get(f"/models/{HANDLE}", headers={"Accept": "text/markdown"}).status_code

    assert {(503, "orchestrator_unavailable")} == {refuse(answer) for answer in refused}
    assert {True} == {int(answer.headers["Retry-After"]) > 0 for answer in refused}
    assert "Nothing was enqueued" in posted.json()["error"]["message"]
    assert [200, 200, 200] == [*read, card]


def test_conflict_comes_before_unavailable(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path / "alone")
    (workspace.model / "lifecycle.json").write_text(json.dumps({"state": "ready"}))
    variables = {**dict(workspace.variables), "PREFECT_API_URL": "http://127.0.0.1:9/api"}
    with open_door(workspace, variables) as door:
        answer = door.open_client().post(f"/models/{HANDLE}/samples/synthesize", json={})

    assert (409, "model_not_draft") == refuse(answer)
    assert BARE not in answer.text


def test_page_of_many_models_is_listed_with_their_operations(surface: Surface) -> None:
    models = surface.door.workspace.model.parent
    for number in range(150):
        shutil.copytree(models / BARE, models / f"bench.many-{number:03}")
    surface.site.ask("POST", "/flow_runs/filter")
    many = surface.author.get("/models", params={"namespace": "bench", "limit": 250}).json()
    for number in range(150):
        shutil.rmtree(models / f"bench.many-{number:03}")

    assert 150 == len(many["items"])
    assert {None} == {model["last_operation"] for model in many["items"]}


def test_text_of_a_sample_is_not_told_to_who_may_not_list_it(surface: Surface) -> None:
    source = surface.door.workspace.model.with_name(SEEDED) / "samples.jsonl"
    before = source.read_text()
    source.write_text('{"content": "a private text", "clarity": "a private label"}\n')
    told = surface.author.get(f"/models/{SEEDED}/traits")
    hidden = surface.stranger.get(f"/models/{SEEDED}/traits")
    card = surface.stranger.get(f"/models/{SEEDED}", headers={"Accept": "text/markdown"})
    source.write_text(before)

    assert [(422, "invalid_request")] * 3 == [refuse(told), refuse(hidden), refuse(card)]
    assert "a private label" in told.text
    assert "private" not in hidden.text + card.text
    assert "samples.jsonl:1" in hidden.text


def test_report_belongs_to_the_place_of_its_set(surface: Surface) -> None:
    samples = surface.door.workspace.samples
    run_id = attach_texts(samples, PRIVATE, ["a sample of somebody else"], report="<p>secret</p>")
    [manifest] = samples.glob(f"handle={PRIVATE}/*/run={run_id}/__run__/manifest.json")
    manifest.write_bytes(seal(json.loads(manifest.read_text().replace(PRIVATE, HANDLE))))
    other = attach_texts(samples, TRAINED, ["a sample without a report"])
    [report] = samples.glob(f"*/*/run={other}/__run__/report.html")
    report.unlink()

    assert (404, "not_found") == refuse(surface.author.get(f"/runs/{run_id}/report"))
    assert 200 == surface.stranger.get(f"/runs/{run_id}/report").status_code
    assert (404, "not_found") == refuse(surface.author.get(f"/runs/{other}/report"))
    report.symlink_to("/etc/hostname")
    assert (404, "not_found") == refuse(surface.author.get(f"/runs/{other}/report"))


def test_files_that_cannot_be_read_fail_no_listing(surface: Surface) -> None:
    lifecycle = surface.door.workspace.model.with_name(BARE) / "lifecycle.json"
    lifecycle.mkdir()
    answer = surface.author.get(f"/models/{BARE}").json()
    listed = surface.author.get("/models").status_code
    lifecycle.rmdir()

    assert ("failed", 200) == (answer["state"], listed)


def test_what_anybody_may_write_in_prefect_breaks_no_answer(surface: Surface) -> None:
    run_id = surface.synthesize().json()["run_id"]
    surface.set_state(run_id, "RUNNING")
    labels = {"exemplars.leased_at": "yesterday", "exemplars.lease": "x"}
    surface.site.ask("PATCH", f"/flow_runs/{run_id}/labels", **labels)
    for share in (-5, 400, 37.5):
        surface.site.ask("POST", "/artifacts/", type="progress", data=share, flow_run_id=run_id)
    answer = surface.author.get(f"/models/{HANDLE}").json()

    assert ("busy", 0.375) == (answer["state"], answer["last_operation"]["progress"])
