"""What the HTTP door adds: its answers a second and their times beside a bare route and beside Prefect's own."""

import itertools
import json
import math
import os
import re
import shutil
import statistics
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from fakes.bare import serve_bare
from fakes.load import Load, find_percentile, send_load, write_request
from fakes.postgres import serve_postgres
from fakes.stored import put_large_set
from fakes.surface import Surface, open_surface
from fakes.workspace import HANDLE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

CALLERS = (1, 8, 32)
# Blocks of each target, by turns with all others, so that whatever else the machine does meets them all alike.
ROUNDS = int(os.environ.get("ROUNDS", "3"))
BLOCK_SECONDS = float(os.environ.get("BLOCK_SECONDS", "0.6"))
POST_BLOCK_SECONDS = 1.0
MODELS_LISTED = 50
# More than can be asked for within a block.
MODELS_POSTED = 300
PAGES_WALKED, PAGE_SIZE = 20, 500
SMALL, LARGE = "u22a8.small", "u22a8.large"
ROWS = {SMALL: 1_000, LARGE: 1_000_000}


@dataclass(frozen=True)
class Target:
    """Something to ask; ``make_requests`` gives the requests of one block, ``clean`` takes away what came of them."""

    name: str
    url: str
    make_requests: Callable[[], Iterator[bytes]]
    status: int = 200
    seconds: float = BLOCK_SECONDS
    clean: Callable[[], None] = lambda: None


@dataclass
class Measured:
    """The blocks of each target and number of callers, and the table of them."""

    blocks: dict[tuple[str, int], list[Load]] = field(default_factory=lambda: defaultdict(list))

    def take(self, targets: Sequence[Target], callers: Sequence[int] = CALLERS, rounds: int = ROUNDS) -> None:
        """Asks all targets in turn, and again."""
        for _, count, target in itertools.product(range(rounds), callers, targets):
            load = send_load(target.url, target.make_requests(), count, target.seconds)
            target.clean()
            assert {target.status} >= set(load.statuses), (target.name, load.statuses)
            self.blocks[target.name, count].append(load)

    def show(self, *beside: str) -> str:
        """A line for each: the median of the blocks' rates, percentiles of all their answers, and ratios.

        A ratio says how many times longer an answer takes than that of a target of ``beside``, block by block.
        """
        heads = "".join(f"{'× ' + name:>22}" for name in beside)
        lines = [f"\n{'':<44}{'callers':>8}{'answers/s':>11}{'p50 ms':>9}{'p99 ms':>9}{heads}"]
        for (name, count), loads in self.blocks.items():
            times = [seconds * 1000 for load in loads for seconds in load.seconds] or [math.inf]
            ratios = [self._compare(loads, self.blocks[other, count]) for other in beside]
            lines.append(
                f"{name:<44}{count:>8}{statistics.median(load.rate for load in loads):>11,.0f}"
                f"{find_percentile(times, 50):>9.1f}{find_percentile(times, 99):>9.1f}"
                + "".join(f"{ratio:>22.1f}" for ratio in ratios)
            )
        return "\n".join([*lines, self._show_generator()])

    def _compare(self, loads: Sequence[Load], others: Sequence[Load]) -> float:
        pairs = zip(loads, others, strict=True)
        return statistics.median(other.rate / load.rate if load.rate else math.inf for load, other in pairs)

    def _show_generator(self) -> str:
        """What the callers themselves took: where that is near a whole core, the numbers are theirs."""
        loads = [load for found in self.blocks.values() for load in found]
        cost = sum(load.cpu_seconds for load in loads) / sum(len(load.seconds) for load in loads) * 1000
        share = max(load.cpu_seconds / load.lasted_seconds for load in loads)
        busy, unanswered = sum(load.busy for load in loads), sum(load.unanswered for load in loads)
        took = f"The callers took {cost:.2f} ms of CPU a request and at most {share:.0%} of a core"
        return f"{took}; 503 came {busy} times, and {unanswered} requests got nothing else in their block."


@pytest.fixture(scope="module")
def sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Surface]:
    """The surface on SQLite, with 50 models, two of which have many samples."""
    with open_filled(tmp_path_factory.mktemp("sqlite"), {}) as surface:
        for handle, rows in ROWS.items():
            put_large_set(surface.door.workspace.samples, rows, handle=handle)
        yield surface


@pytest.fixture(scope="module")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Surface]:
    """The same models, without those samples, on PostgreSQL, where it is installed."""
    folder = tmp_path_factory.mktemp("postgresql")
    with (
        serve_postgres(folder) as url,
        open_filled(folder, {"PREFECT_SERVER_DATABASE_CONNECTION_URL": url}) as surface,
    ):
        yield surface


@contextmanager
def open_filled(folder: Path, variables: dict[str, str]) -> Iterator[Surface]:
    with open_surface(folder / "surface", None, variables) as surface:
        models = surface.door.workspace.model.parent
        lacking = MODELS_LISTED - len(list(models.glob("u22a8.*"))) - len(ROWS)
        for handle in (*ROWS, *(f"u22a8.listed-{number}" for number in range(lacking)), *name_posted()):
            shutil.copytree(surface.door.workspace.model, models / handle)
        for handle in ROWS:
            (models / handle / "samples.jsonl").write_text("")
        yield surface


def test_reading(sqlite: Surface) -> None:
    assert 202 == sqlite.synthesize().status_code
    sqlite.end_runs()
    model, page = (sqlite.reader.get(path).text for path in (f"/models/{HANDLE}", f"/models/{SMALL}/samples"))
    with serve_bare(model, page) as bare:
        asked = measure_reading(sqlite, bare)

    assert (MODELS_LISTED, 100) == (len(sqlite.reader.get("/models").json()["items"]), len(json.loads(page)["items"]))
    print(f"\nReading, {ROUNDS} blocks of {BLOCK_SECONDS:g} s each{asked.show('bare model', 'Prefect, runs')}")


def measure_reading(surface: Surface, bare: str) -> Measured:
    runs = {"flows": {"name": {"any_": ["synthesize"]}}, "flow_runs": {"tags": {"any_": [f"model:{HANDLE}"]}}}
    prefect = write_request("POST", f"{surface.site.url}/flow_runs/filter", runs)
    measured = Measured()
    measured.take(
        [
            ask_same("bare model", bare, write_request("GET", f"{bare}/model")),
            ask_same("bare page of 100 samples", bare, write_request("GET", f"{bare}/samples")),
            ask_same("Prefect, runs", surface.site.url, prefect),
            get(surface, f"/models/{HANDLE}", "GET model"),
            get(surface, f"/models/{HANDLE}/traits", "GET traits"),
            get(surface, f"/models/{SMALL}/samples", "GET samples, 100 of 1,000"),
            get(surface, f"/models/{LARGE}/samples", "GET samples, 100 of 1,000,000"),
            get(surface, "/models", "GET models, 50"),
        ]
    )
    return measured


def test_memory_of_a_walk(sqlite: Surface) -> None:
    """Twenty pages of 500; where a model has fewer it is begun anew."""
    print("\nThe door's memory, MB: before, after 20 pages of 500")
    for handle in (SMALL, LARGE, SMALL, LARGE):
        before = read_memory_mb(sqlite)
        shown = walk_pages(sqlite.reader, handle)
        print(f"  {ROWS[handle]:>9,} samples {before:>7.1f} {read_memory_mb(sqlite):>7.1f}")
        assert PAGES_WALKED * PAGE_SIZE == shown


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_enqueuing(database: str, request: pytest.FixtureRequest) -> None:
    surface: Surface = request.getfixturevalue(database)
    asked = measure_enqueuing(surface)
    table = asked.show("Prefect, with a key", "Prefect, without")
    print(f"\nEnqueuing on {database}, {ROUNDS} blocks of {POST_BLOCK_SECONDS:g} s each{table}")

    assert all(sum(load.statuses[202] for load in asked.blocks["POST, 202", count]) for count in CALLERS)


def measure_enqueuing(surface: Surface) -> Measured:
    secret = surface.door.issue("u22a8", "bench")
    deployment = surface.site.ask("GET", "/deployments/name/synthesize/on-demand")["id"]
    create = f"{surface.site.url}/deployments/{deployment}/create_flow_run"

    def forget() -> None:
        """Deletes the runs that the block has made, so that the next one meets what this one met."""
        made = {"state": {"type": {"any_": ["SCHEDULED"]}}}
        while surface.site.ask("POST", "/flow_runs/bulk_delete", flow_runs=made)["deleted"]:
            pass

    def create_runs(with_key: bool) -> Iterator[bytes]:
        for handle in name_posted():
            key = {"idempotency_key": str(uuid.uuid4())} if with_key else {}
            parameters = {"handle": handle, "synth_type": "from_traits", "effort": "low"}
            yield write_request("POST", create, {"parameters": parameters, "tags": [f"model:{handle}"], **key})

    def post() -> Iterator[bytes]:
        return (write_post(surface, handle, secret) for handle in name_posted())

    surface.set_state(surface.synthesize().json()["run_id"], "PENDING")
    measured = Measured()
    prefect, door, seconds = surface.site.url, surface.door.url, POST_BLOCK_SECONDS
    busy = itertools.repeat(write_post(surface, HANDLE, secret))
    measured.take(
        [
            Target("Prefect, without", prefect, lambda: create_runs(with_key=False), 201, seconds, forget),
            Target("Prefect, with a key", prefect, lambda: create_runs(with_key=True), 201, seconds, forget),
            Target("POST, 202", door, post, 202, seconds, forget),
            Target("POST, 409", door, lambda: busy, 409, BLOCK_SECONDS),
        ]
    )
    surface.end_runs()
    return measured


def get(surface: Surface, path: str, name: str) -> Target:
    return ask_same(name, surface.door.url, write_request("GET", f"{surface.door.url}{path}", headers=bear(surface)))


def ask_same(name: str, url: str, request: bytes) -> Target:
    return Target(name, url, lambda: itertools.repeat(request))


def write_post(surface: Surface, handle: str, secret: str) -> bytes:
    url = f"{surface.door.url}/models/{handle}/samples/synthesize"
    return write_request("POST", url, {"effort": "low"}, bear(surface, secret))


def bear(surface: Surface, secret: str | None = None) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret or surface.door.secret}"}


def name_posted() -> list[str]:
    return [f"bench.posted-{number}" for number in range(MODELS_POSTED)]


def walk_pages(client: httpx.Client, handle: str) -> int:
    """Reads so many pages and returns how many samples were shown."""
    shown, cursor = 0, None
    for _ in range(PAGES_WALKED):
        query = {"limit": PAGE_SIZE} | ({"cursor": cursor} if cursor else {})
        page = client.get(f"/models/{handle}/samples", params=query).json()
        shown, cursor = shown + len(page["items"]), page["next_cursor"]
    return shown


def read_memory_mb(surface: Surface) -> float:
    """The door's resident memory."""
    assert surface.door.process is not None
    status = Path(f"/proc/{surface.door.process.pid}/status").read_text()
    [kilobytes] = re.findall(r"VmRSS:\s+(\d+) kB", status)
    return int(kilobytes) / 1024
