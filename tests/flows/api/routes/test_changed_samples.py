"""Samples are added all or none, nothing twice or lost, and each is deleted once."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from fakes.builders import POSITIVE_SEEDS
from fakes.stored import attach_texts, slip_in, wait_for_waiting
from fakes.surface import BARE, SEEDED, TRAINED, Surface, list_all, read_refusal
from fakes.workspace import HANDLE

from engine.domain.model import digest_text
from engine.domain.samples import make_id
from engine.errors import ExemplarsError, ModelBusyError, OrchestratorError
from engine.store.added_samples import MAX_TEXT_CHARACTERS
from engine.store.verify import StoreVerifier
from engine.store.writers import lock_model
from flows.api.routes.changes import WAIT_SECONDS

AUTHORED = 6
TEXTS = ["One.", "Two.", "Three."]
TAKEN = ModelBusyError("It is taken")


def make(text: str = "Press the button.", quality: object = 1.0, **fields: object) -> dict[str, object]:
    return {"trait": "clarity", "text": text, "quality": quality, **fields}


def add(client: httpx.Client, *samples: object, handle: str = HANDLE) -> httpx.Response:
    return client.post(f"/models/{handle}/samples", json={"samples": samples})


def delete(client: httpx.Client, sample_id: object, handle: str = HANDLE) -> httpx.Response:
    return client.delete(f"/models/{handle}/samples/{sample_id}")


def list_added(surface: Surface) -> list[dict[str, Any]]:
    """The samples after those that the workspace's author wrote."""
    return list_all(surface.author, f"/models/{HANDLE}/samples", limit=500)[AUTHORED:]


def list_ids(surface: Surface) -> list[int]:
    return [item["id"] for item in list_all(surface.author, f"/models/{HANDLE}/samples", limit=500)]


def test_samples_are_added_in_order_and_listed_after_the_authors(surface: Surface) -> None:
    url, text = "https://example.org/manual", "  Actuate the control.\n"
    whole = {"trait": "Safety", "text": text, "quality": 0.25, "source_url": url, "content_sha256": digest_text(text)}
    answer = add(surface.author, make(), whole)
    listed = list_added(surface)
    expected = [("clarity", "Press the button.", 1.0, None), ("safety", text.strip(), 0.25, url)]
    traits = surface.author.get(f"/models/{HANDLE}/traits").json()["traits"]

    assert (200, {"ids": [make_id(HANDLE, *row[:2]) for row in expected]}) == (answer.status_code, answer.json())
    assert answer.json()["ids"] == [item["id"] for item in listed]
    assert expected == [tuple(item[name] for name in ("trait", "text", "quality", "source_url")) for item in listed]
    assert {("authored", None)} == {(item["provenance"], item["created_at"]) for item in listed}
    assert [digest_text(item["text"]) for item in listed] == [item["content_sha256"] for item in listed]
    assert [AUTHORED + 1, 1] == [trait["sample_count"] for trait in traits]


def test_sample_that_is_there_answers_with_its_id(surface: Surface) -> None:
    attach_texts(surface.samples, SEEDED, ["Attached."])
    first = add(surface.author, make("Attached."), make(), make(), handle=SEEDED).json()["ids"]
    again = add(surface.author, make(), make("Attached."), handle=SEEDED).json()["ids"]
    attached, added = (make_id(SEEDED, "clarity", text) for text in ("Attached.", "Press the button."))
    authored = add(surface.author, make(POSITIVE_SEEDS[0])).json()["ids"]

    assert ([attached, added, added], [added, attached]) == (first, again)
    assert [make_id(HANDLE, "clarity", POSITIVE_SEEDS[0])] == authored
    assert [] == list_added(surface)


@pytest.mark.parametrize(
    ("sample", "field"),
    [
        (make("New.", 0.5), "quality"),
        (make(POSITIVE_SEEDS[0], 0.5), "quality"),
        *((make(quality=wrong), "quality") for wrong in (1.5, -0.1, True, "good", 10**400)),
        ({"trait": "clarity", "text": "x"}, "quality"),
        *((make(wrong), "text") for wrong in (" \n", "\x1c", "a\0b", "x" * (MAX_TEXT_CHARACTERS + 1))),
        ({"trait": "clarity", "quality": 1}, "text"),
        *((make(trait=wrong), "trait") for wrong in ("warmth", 7)),
        *((make(source_url=wrong), "source_url") for wrong in (" ", 7, "u" * 2049, "u\0")),
        *((make(content_sha256=wrong), "content_sha256") for wrong in (digest_text("y"), 7)),
        ("x", "samples"),
    ],
)
def test_one_bad_sample_refuses_all_with_its_index(surface: Surface, sample: object, field: str) -> None:
    answer = add(surface.author, make("One."), make("New."), sample)

    assert (422, "invalid_request") == read_refusal(answer)
    assert {"field": field, "index": 2} == answer.json()["error"]["details"]
    assert "Sample 2" in answer.json()["error"]["message"]
    assert [] == list_added(surface)


@pytest.mark.parametrize("samples", [None, [], [make()] * 501, {"0": make()}])
def test_number_of_samples_is_from_1_to_500(surface: Surface, samples: object) -> None:
    refused = surface.author.post(f"/models/{HANDLE}/samples", json={"samples": samples})

    assert (422, "invalid_request") == read_refusal(refused)


def test_five_hundred_long_texts_and_values_at_their_limits_are_within_the_limit(surface: Surface) -> None:
    texts = ["x" * MAX_TEXT_CHARACTERS, *(f"{number} " + "word " * 3200 for number in range(499))]
    longest = make(texts[0], 0, source_url="u" * 2048)
    answer = add(surface.author, longest, *(make(text, source_url=None) for text in texts[1:]))

    assert 200 == answer.status_code, answer.text
    assert [text.strip() for text in texts] == [item["text"] for item in list_added(surface)]


def test_what_is_not_read_is_named(surface: Surface) -> None:
    path = f"/models/{HANDLE}/samples"
    answer = surface.author.post(path, json={"samples": [make(note=1)], "efort": 1})

    assert (200, "efort, samples.note") == (answer.status_code, answer.headers["X-Ignored-Fields"])


def test_slot_that_another_holds_is_waited_for_and_what_changed_meanwhile_counts(surface: Surface) -> None:
    lifecycle = surface.find_model() / "lifecycle.json"
    surface.orchestrator.slots[HANDLE] = TAKEN

    def free() -> None:
        lifecycle.write_text('{"state": "ready"}')
        del surface.orchestrator.slots[HANDLE]

    soon = threading.Timer(0.3, free)
    soon.start()
    answer = add(surface.author, make())
    soon.join()
    lifecycle.unlink()

    # Else it would be busy.
    assert (409, "model_not_draft") == read_refusal(answer)
    assert [] == list_added(surface)


@pytest.mark.parametrize(
    ("error", "callers", "status", "code", "holder"),
    [
        (TAKEN, 2, 409, "model_busy", None),
        (ModelBusyError("It is taken", "a-run"), 2, 409, "model_busy", "a-run"),
        (OrchestratorError("http://10.0.0.1:4200/api does not answer"), 1, 503, "orchestrator_unavailable", None),
    ],
)
def test_slot_that_does_not_come_free_in_time_is_told(
    surface: Surface, error: ExemplarsError, callers: int, status: int, code: str, holder: str | None
) -> None:
    surface.app.state.change_seconds = 0.1
    surface.orchestrator.slots[HANDLE] = error
    with ThreadPoolExecutor(callers) as pool:
        refused = list(pool.map(lambda number: add(surface.author, make(f"Text {number}.")), range(callers)))
    surface.app.state.change_seconds = WAIT_SECONDS

    assert {(status, code)} == {read_refusal(answer) for answer in refused}
    assert {holder} == {answer.headers.get("X-Run-Id") for answer in refused}
    assert "10.0.0.1" not in refused[0].text
    assert holder is not None or "Nothing was changed" in refused[0].text
    assert [] == list_added(surface)


def test_text_that_a_run_of_another_prefect_server_attaches_meanwhile_is_seen(surface: Surface) -> None:
    model = surface.samples / f"handle={BARE}"
    with ThreadPoolExecutor(1) as pool, lock_model(str(model)):
        waiting = pool.submit(add, surface.author, make("Attached at this moment.", 0.0), handle=BARE)
        wait_for_waiting(model, waiting)
        slip_in(surface.samples, {"clarity": {"positive": ["Attached at this moment."], "negative": []}}, BARE, "train")

    assert (422, "invalid_request") == read_refusal(waiting.result())


def test_requests_at_once_lose_nothing_and_add_nothing_twice(surface: Surface) -> None:
    batches = [[make(f"Text {number} of {start}.") for number in range(20)] for start in range(10)] * 2
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda batch: add(surface.author, *batch, handle=BARE), batches))
    listed = [item["text"] for item in surface.author.get(f"/models/{BARE}/samples?limit=500").json()["items"]]

    assert {200} == {answer.status_code for answer in answers}
    assert sorted({str(sample["text"]) for batch in batches for sample in batch}) == sorted(listed)


def test_attached_sample_is_gone_and_the_page_after_it_goes_on(surface: Surface) -> None:
    attach_texts(surface.samples, HANDLE, TEXTS)
    ids = [make_id(HANDLE, "clarity", text) for text in TEXTS]
    first = surface.author.get(f"/models/{HANDLE}/samples", params={"limit": str(list_ids(surface).index(ids[1]))})
    answer = delete(surface.author, ids[0])
    rest = surface.author.get(f"/models/{HANDLE}/samples", params={"cursor": first.json()["next_cursor"]}).json()

    assert (200, {"handle": HANDLE, "deleted": True}) == (answer.status_code, answer.json())
    assert ids[1:] == [item["id"] for item in rest["items"]]
    assert ids[0] not in list_ids(surface)
    assert (404, "sample_not_found") == read_refusal(delete(surface.author, ids[0]))
    assert [] == list(StoreVerifier(str(surface.samples)).find_faults())


def test_added_sample_is_gone_and_the_authors_own_is_named_with_its_file(surface: Surface) -> None:
    [added] = add(surface.author, make()).json()["ids"]
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
        *((wrong, 422, "invalid_request") for wrong in ("1.5", "one", "%20", "1" * 5000)),
        *((wrong, 404, "sample_not_found") for wrong in (0, -1, 2**53, 10**399, make_id(TRAINED, "clarity", "One."))),
    ],
)
def test_id_of_no_sample_of_the_model_is_refused(surface: Surface, sample_id: object, status: int, code: str) -> None:
    attach_texts(surface.samples, TRAINED, ["One."])

    assert (status, code) == read_refusal(delete(surface.author, sample_id))
    # Whether there is one comes before whether it may go.
    assert (404, "sample_not_found") == read_refusal(delete(surface.author, 1, TRAINED))
