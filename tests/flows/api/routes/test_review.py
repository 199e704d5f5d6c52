"""The review of a proposed set over HTTP: the page, single decisions, and the word that ends it."""

import base64
import json
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from fakes.builders import make_exemplar, make_level, make_stamp
from fakes.surface import Surface
from fakes.workspace import HANDLE
from playwright.sync_api import Page, Route, expect, sync_playwright

from engine.domain.model import POLES
from engine.domain.samples import make_row
from engine.errors import InputError
from engine.listing.review_page import render_review_page
from engine.store.decisions import Decision, closing_decisions, keep_decision, read_decisions, sum_up
from engine.store.layout import DECISIONS_FILE, REVIEW_DATA
from engine.store.proposals import reject_proposal
from engine.store.sample_set import SampleSet
from engine.store.store import StoredSet, write_set
from engine.store.verify import StoreVerifier

pytestmark = pytest.mark.slow
CHROMIUM = shutil.which("chromium")
TEXTS = ("Press the button and <b>the door</b> opens.", "We send you a mail.", "The job </script> runs.", "Wait.")


def propose(store: Path, handle: str = HANDLE, wanted: int = 2) -> tuple[StoredSet, list[int]]:
    """A proposal of four texts, and their ids."""
    stamp = replace(make_stamp(str(uuid4())), handle=handle)
    made = [make_exemplar(text, POLES[place % 2], place // 2) for place, text in enumerate(TEXTS)]
    rows = [make_row(item, stamp, f"plan/{item.pair_id}") for item in made]
    level = make_level(wanted)
    review = {
        "until": (datetime.now(UTC) + timedelta(days=1)).isoformat(),
        "number": 1,
        "history": {"scenarios": {}, "cells": 0},
    }
    samples = {str(row["id"]): {"position": 0.5, "side": None, "nearest": None} for row in rows}
    trait = {"name": "Clarity", "positive": "Clear", "negative": "Obscure"}
    data = json.dumps({"handle": handle, "traits": {"clarity": trait}, "samples": samples})
    inputs = {"level": {name: getattr(level, name) for name in level.__dataclass_fields__}, "seed": 0}
    made_set = SampleSet(stamp, "train", "proposed", "a" * 32, rows, [], {REVIEW_DATA: data}, {}, inputs, review)
    return write_set(str(store), made_set), [row["id"] for row in rows]


@pytest.fixture
def proposed(surface: Surface) -> Iterator[tuple[StoredSet, list[int]]]:
    found = propose(surface.site.workspace.samples)
    yield found
    if found[0].status == "proposed":
        reject_proposal(found[0], "over", False, {})


def test_decisions_are_kept_in_order_and_the_latest_counts(tmp_path: Path) -> None:
    stored, ids = propose(tmp_path)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: keep_decision(stored, ids[number % 3], "refuse", f"key-{number}"), range(40)))
    keep_decision(stored, ids[0], "accept", "last")
    keep_decision(stored, ids[1], "undecided", "last")
    with Path(f"{stored.folder}/{DECISIONS_FILE}").open("a") as file:
        file.write('{"sample_id": 1, "sa')
    keep_decision(stored, ids[2], "refuse", "after")
    decisions = read_decisions(stored)
    with closing_decisions(stored), pytest.raises(InputError, match="takes no more decisions"):
        keep_decision(stored, ids[0], "refuse", "late")

    assert 43 == len(decisions)
    assert {f"key-{number}" for number in range(40)} < {decision.key for decision in decisions}
    assert {ids[0]: "accept", ids[2]: "refuse"} == sum_up(decisions)
    assert [] == list(StoreVerifier(str(tmp_path)).find_faults())
    assert isinstance(decisions[0], Decision)


def test_page_has_all_texts_and_no_markup_of_theirs(tmp_path: Path) -> None:
    stored, ids = propose(tmp_path)
    keep_decision(stored, ids[0], "refuse", "key")
    page = render_review_page(stored)
    packed = json.loads(page.partition('id="data">')[2].partition("</script>")[0])

    assert [*TEXTS] == [row["text"] for row in packed["rows"]]
    assert {str(ids[0]): "refuse"} == packed["decisions"]
    assert 2 == page.count("</script>")
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page


def test_page_is_the_owners_in_a_browser(surface: Surface, proposed: tuple[StoredSet, list[int]]) -> None:
    stored, _ = proposed
    path = f"/runs/{stored.run_id}/review"
    page, other = surface.author.get(path), surface.stranger.get(path)
    challenge = surface.nobody.get(path)
    password = base64.b64encode(f"me:{surface.author.headers['authorization'].split()[1]}".encode()).decode()
    by_dialog = surface.nobody.get(path, headers={"Authorization": f"Basic {password}"})
    gone = surface.author.get(f"/runs/{uuid4()}/review")

    assert (200, 404, 401, 200, 404) == tuple(item.status_code for item in (page, other, challenge, by_dialog, gone))
    assert "connect-src 'self'" in page.headers["content-security-policy"]
    assert challenge.headers["www-authenticate"].startswith("Basic")
    assert "text/html" in page.headers["content-type"]


def test_decisions_need_scope_origin_and_a_sample_of_the_set(
    surface: Surface, proposed: tuple[StoredSet, list[int]]
) -> None:
    stored, ids = proposed
    path, body = f"/runs/{stored.run_id}/review/decisions", {"sample_id": ids[0], "said": "refuse"}
    password = base64.b64encode(f"me:{surface.author.headers['authorization'].split()[1]}".encode()).decode()
    basic = {"Authorization": f"Basic {password}"}
    own = str(surface.author.base_url).removesuffix("/").removesuffix("/v1")
    kept = surface.author.post(path, json=body)
    behind_proxy = surface.author.post(path, json=body, headers={"Origin": own.replace("http://", "https://")})
    by_browser = surface.nobody.post(path, json={**body, "sample_id": ids[1]}, headers={**basic, "Origin": own})
    refused = [
        surface.reader.post(path, json=body),
        surface.stranger.post(path, json=body),
        surface.author.post(path, json=body, headers={"Origin": "https://elsewhere.example"}),
        surface.nobody.post(path, json=body, headers=basic),
        surface.author.post(path, json={**body, "sample_id": 12}),
        surface.author.post(path, json={**body, "said": "perhaps"}),
        surface.author.post(path, content=b"{", headers={"Content-Type": "application/json"}),
    ]

    assert [200] * 3 == [item.status_code for item in (kept, by_browser, behind_proxy)], by_browser.text
    assert {"sample_id": ids[0], "said": "refuse"} == kept.json()
    assert [403, 404, 403, 403, 404, 422] == [answer.status_code for answer in refused[:6]]
    assert refused[6].status_code in (400, 422)
    assert {ids[0]: "refuse", ids[1]: "refuse"} == sum_up(read_decisions(stored))


def test_word_on_the_whole_is_a_run_of_the_deployment_where_none_is_suspended(
    surface: Surface, proposed: tuple[StoredSet, list[int]]
) -> None:
    stored, ids = proposed
    surface.author.post(f"/runs/{stored.run_id}/review/decisions", json={"sample_id": ids[2], "said": "other_pole"})
    empty = [surface.author.post(f"/runs/{stored.run_id}/review", json=body) for body in ({}, {"why": "so"})]
    answer = surface.author.post(f"/runs/{stored.run_id}/review", json={"decision": "attach", "why": "so"})
    made = surface.site.ask("GET", f"/flow_runs/{answer.json()['run_id']}")
    surface.end_runs()

    assert [422, 422] == [item.status_code for item in empty]
    assert (202, "enqueued") == (answer.status_code, answer.json()["state"]), answer.text
    wanted = {"run_id": stored.run_id, "decision": "attach", "leave_out": [], "other_pole": [], "why": "so"}
    assert wanted == {name: made["parameters"][name] for name in wanted}


class Door:
    """A browser on the page of a proposal, and a door that takes decisions only as it is told to."""

    def __init__(self, page: Page, stored: StoredSet) -> None:
        self.page = page
        self.decided: list[tuple[int, str]] = []
        self.words: list[str] = []
        self.answers: list[Callable[[Route], None]] = []
        self.held: list[Route] = []
        page.route("**/review", self._answer_page(render_review_page(stored)))
        page.route("**/decisions", self._decide)
        page.goto(f"http://door.test/v1/runs/{stored.run_id}/review")

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def _answer_page(self, html: str) -> Callable[[Route], None]:
        def answer(route: Route) -> None:
            if route.request.method == "POST":
                self.words.append(json.loads(route.request.post_data or "")["decision"])
                route.fulfill(status=202, json={"message": "It goes on."})
            else:
                route.fulfill(body=html, content_type="text/html")

        return answer

    def _decide(self, route: Route) -> None:
        if self.answers:
            self.answers.pop(0)(route)
            return
        self.keep(route)

    def keep(self, route: Route) -> None:
        said = json.loads(route.request.post_data or "")
        self.decided.append((said["sample_id"], said["said"]))
        route.fulfill(json=said)


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    if CHROMIUM is None:
        pytest.skip("needs the Debian package chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield Door(browser.new_page(viewport={"width": 900, "height": 600}), propose(tmp_path)[0])
        browser.close()


@pytest.mark.parametrize(
    ("fail", "why"),
    [
        (lambda route: route.fulfill(status=409, json={"error": {"message": "It is over."}}), "It is over."),
        (lambda route: route.fulfill(status=502, body="<h1>Bad gateway</h1>"), "the answer (502) is not the door's"),
        (lambda route: route.fulfill(status=200, body="<h1>Sign in</h1>"), "the answer (200) is not the door's"),
        (lambda route: route.abort(), "Failed to fetch"),
    ],
    ids=["refused", "gateway", "sign-in", "away"],
)
def test_decision_that_was_not_kept_stays_in_sight_and_bars_the_attaching(
    door: Door, fail: Callable[[Route], None], why: str
) -> None:
    said, attach = door.page.locator("#unkept"), door.page.get_by_role("button", name="Attach what stands")
    door.answers.append(fail)
    door.press("r", "a", "a")
    expect(said).to_contain_text(
        f"Not kept: what you decided on one text (Show: not kept). Decide again before you attach. {why}"
    )
    attach.click()
    expect(door.page.locator("#said")).to_have_text("Not done: something that you decided was not kept.")
    expect(said).to_be_in_viewport()
    attach.scroll_into_view_if_needed()
    expect(said).to_be_in_viewport()
    barred = [*door.words]
    door.page.locator("#show").select_option("not kept")
    expect(door.page.locator("article h2")).to_contain_text("1 of 1not decided")
    door.page.locator("h1").click()
    door.press("r")
    expect(said).to_be_hidden()
    attach.click()
    expect(door.page.locator("#said")).to_have_text("It goes on.")

    assert ([], ["attach"]) == (barred, door.words)
    assert ["accept", "accept", "refuse"] == [word for _, word in door.decided]


def test_refusal_on_its_way_is_waited_for_and_none_comes_after_the_word(door: Door) -> None:
    door.answers.append(door.held.append)
    door.press("r")
    door.page.get_by_role("button", name="Attach what stands").click()
    expect(door.page.locator("#said")).to_have_text("Waiting until what you decided is kept.")
    door.press("a", "a")
    before = [*door.words]
    door.keep(door.held[0])
    expect(door.page.locator("#said")).to_have_text("It goes on.")

    assert ([], ["attach"], ["refuse"]) == (before, door.words, [word for _, word in door.decided])
