"""The review of a proposed set over HTTP: the page, single decisions, and the word that ends it."""

import json
import re
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from fakes.stored import attach_set, attach_texts
from fakes.surface import ADDRESS, Surface, read_refusal
from fakes.workspace import HANDLE
from playwright.sync_api import Route, expect, sync_playwright

from engine.domain.finding import Finding, write_findings
from engine.domain.samples import make_id
from engine.review.page import render_review_page
from engine.store.layout import REVIEW_DATA, VERDICT
from engine.store.proposals import keep_decision, read_decisions, reject_proposal, sum_up
from engine.store.store import StoredSet
from engine.store.verify import StoreVerifier

CHROMIUM = shutil.which("chromium")
JSON, NO_JSON = {"Content-Type": "application/json"}, (b"", b"{", b"[" * 30_000)


def propose(store: Path, *replaces: str) -> tuple[StoredSet, list[int]]:
    """A proposal of four samples of a trait that is called by markup, and their ids."""
    run_id, until = str(uuid4()), (datetime.now(UTC) + timedelta(days=1)).isoformat()
    ids = [make_id(HANDLE, "clarity", f"{run_id} {number}") for number in range(4)]
    samples = {str(sample_id): {"position": 0.5, "side": None, "nearest": None} for sample_id in ids}
    traits = {"clarity": {"name": "<b>Clarity</b></script>", "positive": "Clear", "negative": "Obscure"}}
    shown = {REVIEW_DATA: json.dumps({"handle": HANDLE, "traits": traits, "samples": samples})}
    shown |= {
        VERDICT: json.dumps({"findings": write_findings((Finding("wrong_side", "warning", "<b>", trait="clarity"),))})
    }
    wait = {"until": until}
    stored = attach_set(
        store, run_id, status="proposed", handle=HANDLE, documents=shown, review=wait, replaces=replaces
    )
    return stored, ids


def test_decisions_are_kept_in_order_the_latest_counts_and_the_page_has_them_with_all_texts(tmp_path: Path) -> None:
    stored, ids = propose(tmp_path)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: keep_decision(stored, ids[number % 3], "refuse", f"key-{number}"), range(40)))
    keep_decision(stored, ids[0], "accept", "last")
    keep_decision(stored, ids[1], "undecided", "last")
    keep_decision(stored, ids[2], "refuse", "after")
    decisions, page = read_decisions(stored), render_review_page(stored)
    packed = json.loads(page.partition('id="data">')[2].partition("</script>")[0])

    assert 43 == len(decisions)
    assert {f"key-{number}" for number in range(40)} < {decision.key for decision in decisions}
    assert {ids[0]: "accept", ids[2]: "refuse"} == {number: item.said for number, item in sum_up(decisions).items()}
    assert {str(ids[0]): "accept", str(ids[2]): "refuse"} == packed["decisions"]
    assert [] == list(StoreVerifier(str(tmp_path)).find_faults())
    # No markup of theirs, and nothing from elsewhere.
    assert ([*map(str, ids)], 2) == ([row["id"] for row in packed["rows"]], page.count("</script>"))
    assert [] == [url for url in re.findall("https?://[a-z.0-9]*", page) if url != "http://www.w3.org"]


def test_page_is_the_owners(surface: Surface) -> None:
    stored, _ = propose(surface.samples)
    path = f"/runs/{stored.run_id}/review"
    page, challenge = surface.author.get(path), surface.nobody.get(path)
    others = [surface.stranger.get(path), surface.author.get(f"/runs/{uuid4()}/review")]
    reject_proposal(stored, "<b>over", True, "Ann")
    ended = [client.get(path) for client in (surface.author, surface.stranger)]

    assert (200, 401) == (page.status_code, challenge.status_code)
    assert [(404, "not_found")] * 3 == [read_refusal(answer) for answer in (*others, ended[1])]
    assert "<li>clarity: &lt;b&gt;.</li>" in page.text
    assert (200, "Rejected by Ann, 20") == (ended[0].status_code, ended[0].text.partition("<p>")[2][:19])
    assert " UTC: &lt;b&gt;over. The set of run " in ended[0].text
    assert "connect-src 'self'" in page.headers["content-security-policy"]
    assert "text/html" in page.headers["content-type"]


def test_decisions_need_scope_origin_and_a_sample_of_the_set(surface: Surface) -> None:
    (stored, ids), typed = propose(surface.samples), ("me", surface.secret)
    path, body = f"/runs/{stored.run_id}/review/decisions", {"sample_id": ids[0], "said": "refuse"}
    foreign, proxied = (
        {"Origin": origin} for origin in ("https://elsewhere.example", ADDRESS.replace("http", "https"))
    )
    kept = [
        surface.author.post(path, json=body),
        surface.author.post(path, json=body, headers=proxied),
        surface.nobody.post(path, json=body | {"sample_id": ids[1]}, auth=typed, headers={"Origin": ADDRESS}),
    ]
    refused = [
        (surface.reader.post(path, json=body), (403, "forbidden")),
        (surface.author.post(path, json=body, headers=foreign), (403, "forbidden")),
        (surface.nobody.post(path, json=body, auth=typed), (403, "forbidden")),
        (surface.stranger.post(path, json=body), (404, "not_found")),
        (surface.author.post(path, json=body | {"sample_id": 12}), (404, "sample_not_found")),
        *((surface.author.post(path, content=wrong, headers=JSON), (400, "invalid_json")) for wrong in NO_JSON),
    ]
    counted = {number: item.said for number, item in sum_up(read_decisions(stored)).items()}

    assert [200] * 3 == [answer.status_code for answer in kept]
    assert body == kept[0].json()
    assert [told for _, told in refused] == [read_refusal(answer) for answer, _ in refused]
    assert {ids[0]: "refuse", ids[1]: "refuse"} == counted


def test_corrected_text_is_checked_and_kept_and_one_that_breaks_a_rule_loses_nothing(surface: Surface) -> None:
    text = "Press it now."
    # The set that has it now goes when this one comes.
    stored, ids = propose(surface.samples, attach_texts(surface.samples, HANDLE, [text]))
    path, body = f"/runs/{stored.run_id}/review/decisions", {"sample_id": ids[0], "said": "correct"}
    kept = surface.author.post(path, json=body | {"text": f" {text}\n"})
    refused = [surface.author.post(path, json=body | {"text": wrong}) for wrong in ("", "Short.", "As [name] said.")]
    foreign = surface.author.post(path, json=body | {"sample_id": 12, "text": text})
    page = surface.author.get(f"/runs/{stored.run_id}/review").text
    [counted] = sum_up(read_decisions(stored)).values()

    assert 200 == kept.status_code, kept.text
    assert "correct" == kept.json()["said"]
    assert [(422, "invalid_request")] * 3 == list(map(read_refusal, refused))
    assert all("stays as it was" in answer.json()["error"]["message"] for answer in refused)
    assert (404, "sample_not_found") == read_refusal(foreign)
    assert (ids[0], "accept", text) == (counted.sample_id, counted.said, counted.text)
    assert text in page
    assert f"/v1/runs/{stored.run_id}/report" in page


def test_word_on_the_whole_makes_a_run_that_finishes_the_set(surface: Surface) -> None:
    run_id, runs = propose(surface.samples)[0].run_id, surface.orchestrator
    path = f"/runs/{run_id}/review"
    runs.away = True
    away = surface.author.post(path, json={"decision": "reject"})
    runs.away = False
    refused = [client.post(path, json={"decision": "attach"}) for client in (surface.reader, surface.stranger)]
    answer = surface.author.post(path, json={"decision": "attach", "why": "so"})
    word = {
        "decision": "attach",
        "leave_out": [],
        "other_pole": [],
        "why": "so",
        "fill": False,
        "who": surface.secret.split("_")[1],
    }

    assert (503, "orchestrator_unavailable") == read_refusal(away)
    assert [(403, "forbidden"), (404, "not_found")] == [read_refusal(answer) for answer in refused]
    assert (202, "enqueued") == (answer.status_code, answer.json()["state"]), answer.text
    [(made, run)] = runs.runs.items()
    assert (made, {"run_id": run_id, **word}) == (answer.json()["run_id"], run["parameters"])


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs the Debian package chromium")
def test_decision_that_was_not_kept_stays_in_sight_and_bars_the_attaching(tmp_path: Path) -> None:
    stored, _ = propose(tmp_path)
    words, held = list[str](), list[Route]()

    def keep(route: Route) -> None:
        route.fulfill(json=json.loads(route.request.post_data or ""))

    def answer(route: Route) -> None:
        if route.request.method == "POST":
            words.append(json.loads(route.request.post_data or "")["decision"])
            route.fulfill(status=202, json={"message": "It goes on."})
        else:
            route.fulfill(body=render_review_page(stored), content_type="text/html")

    failures: dict[str, Callable[[Route], object]] = {
        "It is over.": lambda route: route.fulfill(status=409, json={"error": {"message": "It is over."}}),
        "the answer (200) is not the HTTP API's": lambda route: route.fulfill(status=200, body="<h1>Sign in</h1>"),
        "Failed to fetch": lambda route: route.abort(),
    }
    fates = iter([*failures.values(), *[keep] * len(failures), held.append])

    def decide(route: Route) -> None:
        next(fates)(route)

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 900, "height": 600})
        page.route("**/review", answer)
        page.route("**/decisions", decide)
        page.goto(f"http://door.test/v1/runs/{stored.run_id}/review")
        said, unkept = page.locator("#said"), page.locator("#unkept")
        attach = page.get_by_role("button", name="Attach remaining")
        for why in failures:
            page.keyboard.press("r")
            expect(unkept).to_contain_text(why)
            attach.click()
            expect(said).to_have_text("Not done: something that you decided was not kept.")
        page.locator("#show").select_option("not kept")
        page.locator("h1").click()
        for _ in failures:
            page.keyboard.press("r")
        expect(unkept).to_be_hidden()
        # What is on its way is waited for.
        page.locator("#show").select_option("all")
        page.locator("h1").click()
        page.keyboard.press("a")
        expect(page.locator("#counts")).to_contain_text(", 0 corrected, ")
        attach.click()
        expect(said).to_have_text("Waiting until what you decided is kept.")
        before = [*words]
        keep(held[0])
        expect(said).to_have_text("It goes on.")
        browser.close()

    assert ([], ["attach"]) == (before, words)
