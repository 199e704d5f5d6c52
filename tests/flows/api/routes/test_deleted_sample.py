"""`DELETE /v1/models/{handle}/samples/{sample_id}`: each row of the contract, in its order; each goes once."""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import httpx
import pytest
from fakes.set_events import read_set_events
from fakes.stored import attach_texts
from fakes.surface import ARCHIVED, BROKEN, PRIVATE, PUBLIC, TRAINED, UNKNOWN, Surface
from fakes.workspace import HANDLE
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings

from engine.definitions.outline import ADDED_FILE
from engine.domain.samples import make_id
from engine.store.store import find_set
from engine.store.verify import StoreVerifier
from flows.runs.labels import name_tag
from flows.runs.slot import Slot

pytestmark = pytest.mark.slow

TEXTS = ["One.", "Two.", "Three."]
AUTHORED = 6


@pytest.fixture(autouse=True)
def nothing_is_left(surface: Surface) -> Iterator[None]:
    """No run is under way, and what was attached and added is gone again."""
    samples = surface.door.workspace.samples
    before = {*samples.rglob("run=*")}
    yield
    surface.end_runs()
    for folder in {*samples.rglob("run=*")} - before:
        shutil.rmtree(folder)
    for added in surface.door.workspace.folder.rglob(ADDED_FILE):
        added.unlink()


def delete(client: httpx.Client, sample_id: object, handle: str = HANDLE) -> httpx.Response:
    return client.delete(f"/models/{handle}/samples/{sample_id}")


def attach(surface: Surface, handle: str = HANDLE) -> list[int]:
    """The ids of three samples of a run of their own."""
    texts = [f"{text} {uuid4()}" for text in TEXTS]
    attach_texts(surface.door.workspace.samples, handle, texts)
    return [make_id(handle, "clarity", text) for text in texts]


def list_ids(surface: Surface) -> list[int]:
    page = surface.author.get(f"/models/{HANDLE}/samples", params={"limit": "500"}).json()
    return [item["id"] for item in page["items"]]


def read_refusal(answer: httpx.Response) -> tuple[int, str]:
    error = answer.json()["error"]
    assert answer.headers["X-Request-Id"] == error["request_id"]
    return answer.status_code, error["code"]


def test_attached_sample_is_gone_and_the_page_after_it_goes_on(surface: Surface) -> None:
    ids = attach(surface)
    first = surface.author.get(f"/models/{HANDLE}/samples", params={"limit": str(list_ids(surface).index(ids[1]))})
    answer = delete(surface.author, ids[0])
    rest = surface.author.get(f"/models/{HANDLE}/samples", params={"cursor": first.json()["next_cursor"]}).json()
    told = read_set_events(surface.site.url, surface.door.workspace.samples, 1)

    assert (200, {"handle": HANDLE, "deleted": True}) == (answer.status_code, answer.json())
    assert ids[1:] == [item["id"] for item in rest["items"]][:2]
    assert ids[0] not in list_ids(surface)
    assert (404, "sample_not_found") == read_refusal(delete(surface.author, ids[0]))
    assert ("exemplars.set.removed", 1) in [(event["event"], event["payload"]["removed"]) for event in told]
    assert [] == list(StoreVerifier(str(surface.door.workspace.samples)).find_faults())


def test_added_sample_is_gone_and_the_authors_own_is_named_with_its_file(surface: Surface) -> None:
    sample = {"trait": "clarity", "text": "Press the button.", "quality": 1}
    [added] = surface.author.post(f"/models/{HANDLE}/samples", json={"samples": [sample]}).json()["ids"]
    own = list_ids(surface)[0]
    refused = delete(surface.author, own)

    assert 200 == delete(surface.author, added).status_code
    assert (404, "sample_not_found") == read_refusal(delete(surface.author, added))
    assert (409, "sample_authored") == read_refusal(refused)
    assert "samples.jsonl:1" in refused.json()["error"]["message"]
    assert "X-Run-Id" not in refused.headers
    assert own == list_ids(surface)[0]


def test_refusals_come_in_the_order_of_the_contract(surface: Surface) -> None:
    [one, *_] = attach(surface)
    trained = {handle: attach(surface, handle)[0] for handle in (TRAINED, ARCHIVED, PRIVATE, PUBLIC)}
    author = surface.author

    assert (401, "unauthorized") == read_refusal(delete(surface.nobody, "x", "Bad"))
    assert (422, "invalid_handle") == read_refusal(delete(author, "x", "Bad"))
    assert (404, "model_not_found") == read_refusal(delete(author, "x", UNKNOWN))
    assert (404, "model_not_found") == read_refusal(delete(author, trained[PRIVATE], PRIVATE))
    assert (403, "forbidden") == read_refusal(delete(surface.reader, "x"))
    assert (403, "forbidden") == read_refusal(delete(surface.stranger, one))
    assert (403, "forbidden") == read_refusal(delete(author, trained[PUBLIC], PUBLIC))
    for wrong in ("x", "1.0", "+1", "1_0", "%20", "0x1", "1" * 401):
        assert (422, "invalid_request") == read_refusal(delete(author, wrong)), wrong
    for nowhere in (0, -1, 2**53, 10**30, trained[TRAINED]):
        assert (404, "sample_not_found") == read_refusal(delete(author, nowhere)), nowhere
    assert (422, "invalid_request") == read_refusal(delete(author, 1, BROKEN))
    for handle in (TRAINED, ARCHIVED):
        assert (404, "sample_not_found") == read_refusal(delete(author, 1, handle))
        assert (409, "model_not_draft") == read_refusal(delete(author, trained[handle], handle))
    assert one in list_ids(surface)


def test_endpoint_beside_the_samples_is_no_sample(surface: Surface) -> None:
    for method in ("DELETE", "PATCH"):
        answer = surface.author.request(method, f"/models/{HANDLE}/samples/synthesize")
        assert (405, "method_not_allowed") == read_refusal(answer)
        assert "POST" == answer.headers["Allow"]


def test_run_at_work_is_named_and_a_slot_that_is_held_is_told(surface: Surface) -> None:
    [one, *_] = attach(surface)
    run_id = surface.synthesize(effort="low").json()["run_id"]
    busy = delete(surface.author, one)
    surface.end_runs()

    assert (409, "model_busy") == read_refusal(busy)
    assert run_id == busy.headers["X-Run-Id"] == busy.json()["error"]["details"]["run_id"]
    with (
        temporary_settings({PREFECT_API_URL: surface.site.url}),
        get_client(sync_client=True) as client,
    ):
        slot = Slot(client, name_tag(HANDLE), uuid4())
        assert slot.take()
        try:
            assert (409, "model_busy") == read_refusal(delete(surface.author, one))
        finally:
            slot.release()
    assert 200 == delete(surface.author, one).status_code


def test_requests_at_once_delete_each_sample_once(surface: Surface) -> None:
    ids = attach(surface)
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda sample_id: delete(surface.author, sample_id), [*ids, *ids]))

    for sample_id in range(3):
        assert [200, 404] == sorted(answer.status_code for answer in answers[sample_id::3])
    assert not set(ids) & set(list_ids(surface))
    sets = list((surface.door.workspace.samples / f"handle={HANDLE}/pool=train").glob("run=*"))
    for stored in (find_set(str(surface.door.workspace.samples), path.name.removeprefix("run=")) for path in sets):
        assert stored is not None
        assert "attached" == stored.status
