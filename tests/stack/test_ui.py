"""Prefect's UI and the page of a review as a person meets them, in a real browser."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow.parquet as pq
import pytest
from fakes.stack import Stack
from fakes.waiting import wait_until
from playwright.sync_api import Browser, HttpCredentials, Page, expect, sync_playwright
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings

from engine.store.layout import PROPOSED, SAMPLES
from flows.deploy.deployments import offer_handles

CHROMIUM = shutil.which("chromium")
QUIET = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
# For a page that loads its parts one after another on a busy machine, and the words of a card last.
PAGE_MILLISECONDS = 60_000


@dataclass(frozen=True)
class Desk:
    stack: Stack
    browser: Browser
    page: Page

    @property
    def address(self) -> str:
        """The UI that Prefect shows by default."""
        return f"http://127.0.0.1:{self.stack.site.port}/v2"

    def open_form(self) -> None:
        deployment = self.stack.site.find_deployment("synthesize/on-demand")
        self.page.goto(f"{self.address}/deployments/deployment/{deployment['id']}")
        self.page.get_by_role("button", name="Run", exact=True).click()
        self.page.get_by_role("menuitem", name="Custom run").click()
        expect(self.page.get_by_role("tab", name="other handle")).to_be_visible()

    def choose(self, shown: str, value: str) -> None:
        """Picks a value of the dropdown that shows another, or the same."""
        self.page.get_by_role("button").filter(has_text=re.compile(f"^{shown}$")).click()
        self.page.get_by_role("option", name=value, exact=True).click()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("needs the Debian package chromium")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        expect.set_options(timeout=PAGE_MILLISECONDS)
        yield opened
        expect.set_options(timeout=None)
        opened.close()


@pytest.fixture
def desk(browser: Browser, stack: Stack) -> Iterator[Desk]:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(PAGE_MILLISECONDS)
    yield Desk(stack, browser, page)
    page.close()


def test_form_explains_its_fields_and_refuses_a_bad_handle_before_there_is_a_run(desk: Desk) -> None:
    desk.open_form()
    page = desk.page
    for words in (
        "The model, as namespace.name, in lower-case letters, digits and hyphens",
        "The purpose of the samples. from_traits: new texts from the traits' definitions.",
        "How many samples for each pole of each trait: low 8, medium 20",
    ):
        expect(page.get_by_text(words)).to_be_visible()
    tabs = page.get_by_role("tab").all_inner_texts()[:4]
    page.get_by_label("synth_type").click()
    expect(page.get_by_role("option")).to_have_text(["from_traits", "diversify", "enrich"])
    page.keyboard.press("Escape")
    # The file's own default is no model of this catalogue, so none is chosen.
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_text("'handle' is a required property").first).to_be_visible()
    page.get_by_role("tab", name="other handle").click()
    page.locator("textarea").fill("No Such Handle")
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_text("'No Such Handle' does not match").first).to_be_visible()

    assert ["listed handle", "other handle", "effort", "the model's own"] == tabs
    assert [] == desk.stack.list_runs("No Such Handle")


@pytest.mark.usefixtures("taken_here")
def test_run_of_the_form_ends_with_its_verdict_and_samples_to_read(desk: Desk, handle: str) -> None:
    stack, page = desk.stack, desk.page
    with temporary_settings({PREFECT_API_URL: stack.site.url}), get_client(sync_client=True) as client:
        offer_handles(client, stack.workspace.variables["EXEMPLARS_MODELS_URI"])
    desk.open_form()
    desk.choose("Select", handle)
    desk.choose("from_traits", "diversify")
    desk.choose("diversify", "from_traits")
    desk.choose("low", "low")
    page.get_by_role("button", name="Submit").click()
    # The page's note of the run goes after seconds, which a busy machine can miss.
    wait_until(lambda: stack.list_runs(handle), what="the run")
    [run_id] = stack.list_runs(handle)
    state, message = stack.wait_for_end(run_id)
    page.goto(f"{desk.address}/runs/flow-run/{run_id}?tab=Artifacts")
    card = page.get_by_test_id("flow-run-artifacts-grid").get_by_role("link").filter(has_text="16 attached")
    expect(card.get_by_role("heading", name="verdict")).to_be_visible()
    card.click()
    # The page draws the verdict anew when the facts of the run beside it have come.
    expect(page.get_by_text("State Message", exact=True)).to_be_visible()
    expect(page.get_by_role("heading", name="Kept", exact=True)).to_be_visible()
    text = page.inner_text("main")
    found: dict[str, Any] = {}
    exec(compile(page.locator("main pre").inner_text(), "page", "exec"), found)

    assert ("COMPLETED", "16 attached") == (state, message.partition(",")[0])
    assert f"{handle}: 16 attached" in text
    assert "\nNext\n" in text
    assert 16 == len(found["samples"])
    assert all(f"\n{title}" in text for title in ("Clarity, Clear: 4 of 4", "Safety, About safety: 4 of 4", "Cost: "))
    assert 4 == len(re.findall(r"^The \w+ \w+ .+\.$", text, re.MULTILINE))
    assert str(stack.workspace.find_set(run_id) / SAMPLES) in text.replace("\n", "")


@pytest.mark.usefixtures("taken_here")
def test_what_a_person_refuses_on_the_page_of_a_review_is_not_attached(desk: Desk, handle: str) -> None:
    stack = desk.stack
    run_id, folder = stack.suspend(handle)
    proposed = {row["id"]: row["text"] for row in pq.read_table(folder / PROPOSED).to_pylist()}
    key: HttpCredentials = {"username": "me", "password": stack.http_api.secret}
    context = desk.browser.new_context(http_credentials=key)
    context.set_default_timeout(PAGE_MILLISECONDS)
    page = context.new_page()
    page.goto(f"{stack.http_api.url}/runs/{run_id}/review")
    shown = page.locator("article").first.inner_text()
    page.keyboard.press("r")
    page.get_by_role("button", name="Attach remaining").click()
    expect(page.locator("#said")).to_contain_text("finishes the set")
    context.close()
    ended = stack.wait_for_end(run_id)
    attached = {row["id"] for row in pq.read_table(folder / SAMPLES).to_pylist()}

    assert "COMPLETED" == ended[0], ended
    [refused] = proposed.keys() - attached
    assert proposed[refused] in shown
