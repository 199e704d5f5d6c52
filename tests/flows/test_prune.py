"""What looks after the store at night: pruning, whose dry run tells all of it and does nothing, and the catalogue."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from fakes.reply_tables import age_plan, place_in
from fakes.stored import HANDLE, age_files, attach_set
from fakes.workspace import HANDLE as TOOLSHED
from fakes.workspace import Workspace, read_manifest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
from prefect.client.schemas.objects import State
from prefect.client.schemas.sorting import ArtifactSort
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Cancelled, Failed, Running, Scheduled, Suspended

from engine.catalogue.daily_summary import DAY
from engine.errors import StoreError
from engine.llm.replies.admin import list_cache
from engine.llm.replies.replies import ReplyStore
from engine.store.layout import SAMPLES
from flows.catalogue.flow import catalogue, list_troubled
from flows.cli.app import main
from flows.prune import prune
from flows.run.labels import PART, STOPPED_AT_LIMIT, name_tag
from flows.run.lease.slot import Slot

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server")]

OLD = timedelta(days=100)
Site = tuple[Workspace, Path, Path]


@pytest.fixture
def site(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A workspace with an old rejected set, an old attached one, and a plan that was not used for as long."""
    workspace.enter(monkeypatch)
    rejected = Path(attach_set(workspace.samples, "rejected", age=OLD, status="rejected").folder)
    attached = Path(attach_set(workspace.samples, "attached", age=OLD).folder)
    place = place_in(workspace.folder / "cache")
    ReplyStore(place, "plan-a", HANDLE).close()
    age_plan(place, "plan-a", datetime.now(UTC) - OLD)
    for folder in (rejected, attached):
        age_files(folder, OLD)
    return workspace, rejected, attached


@pytest.fixture
def client() -> Iterator[SyncPrefectClient]:
    with get_client(sync_client=True) as opened:
        yield opened


def list_plans(site: Site) -> list[str]:
    return [plan.plan_id for plan in list_cache(place_in(site[0].folder / "cache"))]


def read_page(client: SyncPrefectClient, key: str = "pruned") -> str:
    """The artifact of the last run."""
    [page] = client.read_artifacts(
        artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=[key])), sort=ArtifactSort.CREATED_DESC, limit=1
    )
    return str(page.data)


def test_dry_run_is_the_default_and_shows_what_pruning_takes_away(site: Site, client: SyncPrefectClient) -> None:
    asyncio.run(prune(rejected_days=101))
    too_young = read_page(client)
    asyncio.run(prune())
    page = read_page(client)
    there = site[1].exists(), list_plans(site)
    asyncio.run(prune(dry_run=False))
    pruned = read_page(client)

    assert "rejected set of" not in too_young
    assert page.startswith("# Dry run: nothing was removed")
    assert "Would be removed: 1 rejected or unfinished set" in page
    assert f"kept replies of {HANDLE}, plan plan-a: unused for 100 days" in page
    assert "run attached" not in page
    assert pruned.startswith("# Pruned\n\nRemoved: 1 rejected or unfinished set")
    assert all(f"rejected set of {HANDLE}, run rejected: written " in text for text in (page, pruned))
    assert (True, ["plan-a"]) == there
    assert (False, True, []) == (site[1].exists(), (site[2] / SAMPLES).exists(), list_plans(site))


def test_model_with_a_run_keeps_its_sets_until_the_next_time(site: Site, client: SyncPrefectClient) -> None:
    slot = Slot(client, name_tag(HANDLE), uuid4())
    assert slot.take()
    try:
        asyncio.run(prune(dry_run=False))
    finally:
        slot.release()

    assert site[1].exists()
    assert "Its rejected sets stay" in read_page(client)


def test_store_that_cannot_be_listed_fails_the_run_and_stops_nothing_else(site: Site) -> None:
    site[0].samples.rename(site[0].folder / "moved")
    site[0].samples.write_text("no folder")
    with pytest.raises(StoreError, match=r"Some things could not be removed\. Run it again to retry"):
        asyncio.run(prune(dry_run=False))

    assert [] == list_plans(site)


def test_command_says_each_thing_and_the_sums_and_does_without_its_server_what_it_can(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    refused = main(["prune", "--rejected-days", "0"])
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:1/api"}):
        away = main(["prune"])
    told_away, stayed, plans = capsys.readouterr().err, site[1].exists(), list_plans(site)
    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        dry = main(["prune", "--dry-run"])
        said = capsys.readouterr().out
        done = main(["prune", "--json"])
        told = json.loads(capsys.readouterr().out)

    assert ((2, 3, 0, 0), True, []) == ((refused, away, dry, done), stayed, plans)
    assert "Its rejected sets stay" in told_away
    assert "Would be removed: 1 rejected or unfinished set" in said
    assert (False, 1, [], []) == tuple(told[name] for name in ("dry_run", "sets", "busy", "failed"))
    assert not site[1].exists()


def test_proposal_whose_time_is_over_is_rejected_with_its_run_and_a_dry_run_says_so(
    site: Site, client: SyncPrefectClient, capsys: pytest.CaptureFixture[str]
) -> None:
    late, soon = ({"until": (datetime.now(UTC) + timedelta(days=days)).isoformat(), "number": 1} for days in (-1, 1))
    suspended = client.create_flow_run(prune, state=Suspended()).id
    at_work = client.create_flow_run(prune, state=Running()).id
    told_late = ((suspended, late), (at_work, late), (uuid4(), soon))
    sets = [attach_set(site[0].samples, str(run), status="proposed", review=review) for run, review in told_late]
    assert 0 == main(["prune", "--dry-run", "--json"])
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    before = read_manifest(Path(sets[0].folder))["status"]
    assert 0 == main(["prune"])
    ended = client.read_flow_run(suspended).state

    assert (2, "proposed") == (told["proposals"], before)
    assert "1 proposal rejected" in capsys.readouterr().out
    # Somebody has decided on the second, whose run goes on.
    assert ["rejected", *["proposed"] * 2] == [read_manifest(Path(item.folder))["status"] for item in sets]
    assert ended is not None
    assert ended.is_cancelled()
    assert "The proposal was rejected: nobody reviewed it in time. Nothing was attached" == ended.message


def test_catalogue_is_a_table_of_all_models(
    site: Site, client: SyncPrefectClient, caplog: pytest.LogCaptureFixture
) -> None:
    asyncio.run(catalogue())
    page = read_page(client, "catalogue")

    assert page.startswith("# 1 of 2 models needs a person")
    assert f"| {TOOLSHED} | draft | no samples yet |" in page
    assert "The forms offer nothing, since the deployments are not on this server" in caplog.text


def test_morning_tells_of_runs_that_ended_badly_in_the_day_whenever_they_were_due_and_of_those_never_begun(
    client: SyncPrefectClient,
) -> None:
    due = datetime.now(UTC) - timedelta(hours=1)
    limit: State[None] = Cancelled(name=STOPPED_AT_LIMIT)
    made: dict[UUID, str] = {}
    sets = {name_tag("a.made"): datetime.now(UTC) + DAY, name_tag("a.not"): due}

    def make(name: str, due: datetime, end: State | None = None, *tags: str) -> None:
        run = client.create_flow_run(prune, name=name, state=Scheduled(scheduled_time=due), tags=tags)
        if end is not None:
            client.set_flow_run_state(run.id, end, force=True)
        made[run.id] = name

    make("long", due - 3 * DAY, Failed(message="The key is refused"))
    make("at its limit", due, limit)
    make("stopped by a person", due, Cancelled())
    make("a part", due, limit, PART)
    make("has a set since", due, Failed(), name_tag("a.made"))
    make("has an old set", due, Failed(), name_tag("a.not"))
    make("late", due)
    make("to come", due + DAY)
    now = datetime.now(UTC)
    found, later = (
        [run for run in list_troubled(client, at, sets) if UUID(run.run_id) in made] for at in (now, now + DAY)
    )

    assert {
        ("long", "Failed"),
        ("has an old set", "Failed"),
        ("at its limit", STOPPED_AT_LIMIT),
        ("late", "not begun"),
    } == {(run.name, run.state) for run in found}
    assert ["to come"] == [run.name for run in later]
