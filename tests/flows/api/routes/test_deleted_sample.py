"""`DELETE /v1/models/{handle}/samples/{sample_id}`: each sample goes once."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from fakes.stored import attach_texts
from fakes.surface import TRAINED, Surface, list_all, read_refusal
from fakes.workspace import HANDLE

from engine.domain.samples import make_id
from engine.store.verify import StoreVerifier

TEXTS = ["One.", "Two.", "Three."]


def delete(client: httpx.Client, sample_id: object, handle: str = HANDLE) -> httpx.Response:
    return client.delete(f"/models/{handle}/samples/{sample_id}")


def attach(surface: Surface) -> list[int]:
    """The ids of three samples of a run."""
    attach_texts(surface.samples, HANDLE, TEXTS)
    return [make_id(HANDLE, "clarity", text) for text in TEXTS]


def list_ids(surface: Surface) -> list[int]:
    return [item["id"] for item in list_all(surface.author, f"/models/{HANDLE}/samples", limit=500)]


def test_attached_sample_is_gone_and_the_page_after_it_goes_on(surface: Surface) -> None:
    ids = attach(surface)
    first = surface.author.get(f"/models/{HANDLE}/samples", params={"limit": str(list_ids(surface).index(ids[1]))})
    answer = delete(surface.author, ids[0])
    rest = surface.author.get(f"/models/{HANDLE}/samples", params={"cursor": first.json()["next_cursor"]}).json()

    assert (200, {"handle": HANDLE, "deleted": True}) == (answer.status_code, answer.json())
    assert ids[1:] == [item["id"] for item in rest["items"]]
    assert ids[0] not in list_ids(surface)
    assert (404, "sample_not_found") == read_refusal(delete(surface.author, ids[0]))
    assert [] == list(StoreVerifier(str(surface.samples)).find_faults())


def test_added_sample_is_gone_and_the_authors_own_is_named_with_its_file(surface: Surface) -> None:
    sample = {"trait": "clarity", "text": "Press the button.", "quality": 1}
    [added] = surface.author.post(f"/models/{HANDLE}/samples", json={"samples": [sample]}).json()["ids"]
    own = list_ids(surface)[0]
    answers = [delete(surface.author, sample_id) for sample_id in (added, added, own)]

    assert [200, 404, 409] == [answer.status_code for answer in answers]
    assert (409, "sample_authored") == read_refusal(answers[2])
    assert "samples.jsonl:1" in answers[2].json()["error"]["message"]
    assert "X-Run-Id" not in answers[2].headers
    assert own == list_ids(surface)[0]


@pytest.mark.parametrize(
    ("sample_id", "status", "code"),
    [
        *((wrong, 422, "invalid_request") for wrong in ("1.0", "+1", "1_0", "%20", "1" * 401)),
        *((wrong, 404, "sample_not_found") for wrong in (0, -1, 2**53, 10**399, make_id(TRAINED, "clarity", "One."))),
    ],
)
def test_id_of_no_sample_of_the_model_is_refused(surface: Surface, sample_id: object, status: int, code: str) -> None:
    attach_texts(surface.samples, TRAINED, ["One."])

    assert (status, code) == read_refusal(delete(surface.author, sample_id))
    # Whether there is one comes before whether it may go.
    assert (404, "sample_not_found") == read_refusal(delete(surface.author, 1, TRAINED))


def test_requests_at_once_delete_each_sample_once(surface: Surface) -> None:
    ids = attach(surface)
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda sample_id: delete(surface.author, sample_id), [*ids, *ids]))

    for sample_id in range(3):
        assert [200, 404] == sorted(answer.status_code for answer in answers[sample_id::3])
    assert not set(ids) & set(list_ids(surface))
    assert [] == list(StoreVerifier(str(surface.samples)).find_faults())
