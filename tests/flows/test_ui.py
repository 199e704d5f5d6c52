"""The Prefect UI as a person meets it, in a real browser: the form, what it refuses, and the page of a run."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from fakes.postgres import serve_postgres
from fakes.provider import Behaviour, Provider, serve_provider
from fakes.site import Site, open_site
from fakes.waiting import wait_until
from fakes.workspace import HANDLE, make_workspace
from playwright.sync_api import Page, expect, sync_playwright

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

CHROMIUM = shutil.which("chromium")
QUIET = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
LATER = "u22a8.made-later"
ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
RUN_SECONDS = 120.0
# For a page that loads its parts one after another on a busy machine, and the words of a card last.
PAGE_SECONDS = 30


@dataclass(frozen=True)
class Desk:
    """A browser in front of a site with a worker, and the provider that its runs ask."""

    site: Site
    provider: Provider
    page: Page

    @property
    def address(self) -> str:
        """The UI that Prefect shows by default."""
        return f"http://127.0.0.1:{self.site.port}/v2"

    def open_form(self) -> None:
        """The deployment's page, and its button for a run with parameters."""
        deployment = self.site.ask("GET", "/deployments/name/synthesize/on-demand")
        self.page.goto(f"{self.address}/deployments/deployment/{deployment['id']}")
        self.page.get_by_role("button", name="Run", exact=True).click()
        self.page.get_by_role("menuitem", name="Custom run").click()
        expect(self.page.get_by_role("tab", name="another")).to_be_visible()

    def type_handle(self, handle: str) -> None:
        """Types a handle in place of choosing one."""
        self.page.get_by_role("tab", name="another").click()
        self.page.locator("textarea").fill(handle)

    def choose(self, shown: str, value: str) -> None:
        """Picks a value of the dropdown that shows another, or the same."""
        self.page.get_by_role("button").filter(has_text=re.compile(f"^{shown}$")).click()
        self.page.get_by_role("option", name=value, exact=True).click()

    def submit(self) -> None:
        """Presses the form's button; the page then says that there is a run."""
        self.page.get_by_role("button", name="Submit").click()
        expect(self.page.get_by_role("button", name="View run")).to_be_visible()

    def count_runs(self) -> int:
        """How many flow runs there are."""
        return int(self.site.ask("POST", "/flow_runs/count"))

    def wait_for_the_last_run(self) -> tuple[str, str, str]:
        """The id of the newest run, the type of the state that it ended in, and the message."""
        [run] = self.site.ask("POST", "/flow_runs/filter", sort="EXPECTED_START_TIME_DESC", limit=1)
        run_id = str(run["id"])
        wait_until(lambda: self.site.read_state(run_id)[0] in ENDED, RUN_SECONDS, "the run ends")
        return (run_id, *self.site.read_state(run_id))

    def open_first(self, run_id: str, says: str, handle: str = HANDLE) -> None:
        """Opens what stands first on a run page, the verdict with these words on its card."""
        self.page.goto(f"{self.address}/runs/flow-run/{run_id}?tab=Artifacts")
        card = self.page.get_by_test_id("flow-run-artifacts-grid").get_by_role("link").first
        expect(card.get_by_role("heading", name="verdict")).to_be_visible()
        expect(card).to_contain_text(says)
        card.click()
        expect(self.page.get_by_role("heading", name=handle)).to_be_visible()


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """One for all tests: a server, its deployments, a worker and a browser take half a minute.

    The server's database is PostgreSQL: on SQLite a writer may be sent away, and the form would not come again.
    """
    if CHROMIUM is None:
        pytest.skip("needs the Debian package chromium")
    folder = tmp_path_factory.mktemp("desk")
    with (
        serve_postgres() as database,
        serve_provider(Behaviour(seconds=0.05)) as provider,
        open_site(
            make_workspace(folder / "site", provider, PREFECT_SERVER_DATABASE_CONNECTION_URL=database),
        ) as site,
        sync_playwright() as playwright,
    ):
        site.start_server()
        site.deploy()
        site.start_worker()
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(PAGE_SECONDS * 1000)
        expect.set_options(timeout=PAGE_SECONDS * 1000)
        yield Desk(site, provider, page)
        browser.close()


def test_form_explains_its_fields_and_refuses_a_bad_handle_before_there_is_a_run(desk: Desk) -> None:
    desk.open_form()
    page = desk.page
    form = page.inner_text("body")
    page.get_by_label("synth_type").click()
    synth_types = page.get_by_role("option").all_inner_texts()
    page.keyboard.press("Escape")
    # The file's own default is no model of this catalogue, so none is chosen.
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_text("'handle' is a required property").first).to_be_visible()
    page.get_by_role("button").filter(has_text="Select").click()
    handles = page.get_by_role("option").all_inner_texts()
    page.keyboard.press("Escape")
    desk.type_handle("No Such Handle")
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_text("'No Such Handle' does not match").first).to_be_visible()

    assert "The model, as namespace.name, in lower-case letters, digits and hyphens" in form
    assert "What the samples are for. from_traits: made from what the traits mean." in form
    assert "How many samples for each pole of each trait: low 8, medium 20" in form
    assert ["one of these", "another", "one of these", "the model's own"] == page.get_by_role("tab").all_inner_texts()[
        :4
    ]
    assert [HANDLE] == handles
    assert ["from_traits", "diversify", "enrich"] == synth_types
    assert 0 == desk.count_runs()


def test_run_of_the_form_ends_with_its_verdict_first_a_picture_and_samples_to_read(desk: Desk) -> None:
    desk.provider.behaviour = Behaviour(seconds=0.05)
    desk.open_form()
    desk.choose("Select", HANDLE)
    desk.choose("from_traits", "diversify")
    desk.choose("diversify", "from_traits")
    desk.choose("low", "low")
    desk.submit()
    run_id, state, message = desk.wait_for_the_last_run()
    desk.open_first(run_id, "16 attached")
    picture = desk.page.get_by_alt_text("Kept of wanted, and where samples lie between the poles")
    expect(picture).to_be_visible()
    drawn = picture.evaluate("image => image.decode().then(() => image.naturalWidth)")
    text = desk.page.inner_text("main")
    found: dict[str, Any] = {}
    exec(compile(desk.page.locator("main pre").inner_text(), "page", "exec"), found)
    [folder] = desk.site.workspace.list_sets()

    assert ("COMPLETED", "16 attached") == (state, message.partition(",")[0])
    assert f"{HANDLE}: 16 attached" in text
    assert "4 for each pole of 2 traits; " in text
    assert 720 == drawn
    assert text.index("\nNext\n") < text.index("Right of the middle")
    assert 16 == len(found["samples"])
    assert all(f"\n{title}\n" in text for title in ("Samples", "Clear", "About safety", "Files"))
    assert 4 * 3 == len(re.findall(r"^The \w+ \w+ .+\.$", text, re.MULTILINE))
    assert str(folder / "samples.parquet") in text.replace("\n", "")


def test_failed_gate_says_in_a_sentence_what_failed_and_what_to_do(desk: Desk) -> None:
    desk.provider.behaviour = Behaviour(style="same")
    desk.open_form()
    # It is in no list, since it was made after the deploy.
    shutil.copytree(desk.site.workspace.model, desk.site.workspace.model.with_name(LATER))
    desk.type_handle(LATER)
    desk.submit()
    run_id, state, message = desk.wait_for_the_last_run()
    desk.open_first(run_id, "Nothing attached", LATER)
    command = desk.page.locator("main pre").inner_text()
    first = desk.page.locator("main strong").first.inner_text()
    desk.page.goto(f"{desk.address}/runs/flow-run/{run_id}?tab=Details")
    expect(desk.page.get_by_text(message)).to_be_visible()

    assert "FAILED" == state
    assert re.fullmatch(
        r"\d+ of 16 exemplars are lacking after 5 rounds; \d+ rejected there, \d+ of them as "
        r"duplicate: the synth model repeats itself, so take a stronger one or a higher temperature "
        r"\(data/effort\.yaml\)\.",
        first,
    )
    assert f"{LATER}: nothing attached: {first}" == message
    assert f"exemplars synthesize {LATER} --synth-type from_traits --effort low" == command.strip()
