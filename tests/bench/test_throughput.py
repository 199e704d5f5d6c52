"""How long 10,000 exemplars take from the synth model's replies to the committed set, and how much memory."""

import asyncio
import itertools
import json
import random
import resource
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq
from fakes.builders import make_level, make_model, make_stamp, make_test_plan, make_trait
from fakes.client import Answer, FakeClient, HeardProgress
from fakes.word_vectors import WordVectors

from engine.definitions.scenario_packs import load_packs
from engine.domain.model import POLES
from engine.domain.samples import SAMPLE_SCHEMA, Exemplar, make_sample_table
from engine.gateway.budget import RunBudget
from engine.gateway.model_gateway import ModelGateway
from engine.generation.cells import generate_cell
from engine.llm.request import Reply, Request
from engine.planning.plan import Cell
from engine.planning.scenarios import choose_scenario_pool
from engine.quality.diversity import PoleVariety
from engine.quality.verdict import Verdict
from engine.report.summary import make_kept_rows, make_sample_set, make_whole_frame, measure_variety
from engine.screening.screener import Screener
from engine.selection.rounds import Rounds
from engine.settings import PROJECT_ROOT, RepliesPlace
from engine.store.layout import SAMPLES
from engine.store.store import StoredSet, write_set
from expectations.gate import check_rows

EXEMPLARS = 10_000
TRAITS = ("clarity", "warmth")
WANTED = EXEMPLARS // (len(TRAITS) * len(POLES))
CONCURRENCY = 32

# Enough words and frames that no two texts come near the threshold of .7.
WHO = (
    "Anna Bert Clara David Emma Farid Greta Henry Ingrid Jonas Karin Louis Maria Nadia Oscar Paula Quentin Rosa".split()
)
VERBS = "moved painted repaired lost sorted weighed counted wrapped cleaned sold borrowed hid photographed".split()
THINGS = (
    "the copper kettle,a garden chair,seven envelopes,the spare battery,our old ladder,a crate of apples,"
    "the brass lamp,two tickets,a woollen blanket,the rusty bicycle,her violin case,a jar of honey,"
    "the office printer,some floor tiles,a wooden spoon,the blue folder,three umbrellas,a chess board"
).split(",")
PLACES = (
    "behind the bakery,near the harbour,on the third floor,under the bridge,beside the school gate,in Leeds,"
    "at the night market,across the river,inside the chapel,by the tram stop,above the pharmacy,in the cellar"
).split(",")
TIMES = (
    "on Monday,before lunch,during the storm,last winter,at six in the morning,after the concert,in early June,"
    "while it snowed,the day before yesterday,between two meetings,towards midnight,once school was out"
).split(",")
ENDS = (
    "because nobody else would do it,although the weather was poor,and wrote it down afterwards,which took an hour,"
    "so that visitors could pass,without telling the neighbours,as the contract asked for,for the price of a coffee,"
    "to everyone's great surprise,and felt rather proud of it,since the lift was broken,with help from two friends"
).split(",")


@dataclass
class Table:
    """Seconds of each step and the process's memory after it."""

    rows: list[tuple[str, float, int]] = field(default_factory=list)

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        seconds = time.perf_counter() - start
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        self.rows.append((name, seconds, peak_mb))

    def show(self) -> str:
        lines = [f"\n{'step':<22}{'seconds':>9}{'exemplars/s':>13}{'peak MB':>9}"]
        lines += [
            f"{name:<22}{seconds:>9.2f}{EXEMPLARS / seconds:>13,.0f}{peak_mb:>9,}"
            for name, seconds, peak_mb in self.rows
        ]
        return "\n".join(lines)


def write_text(number: int) -> str:
    """Two sentences that are a function of a number."""
    rng = random.Random(number)
    who, other = rng.sample(WHO, 2)
    did, then = rng.sample(VERBS, 2)
    first, second, third = rng.sample(THINGS, 3)
    here, there = rng.sample(PLACES, 2)
    when, later = rng.sample(TIMES, 2)
    end = rng.choice(ENDS)
    return (
        f"{who} {did} {first} {here} {when}, {end}. {later.capitalize()} {other} {then} {second} and {third} {there}."
    )


def make_answer() -> Answer:
    """Replies of a chat model, each with a text of its own and the pole that was asked for."""
    numbers = itertools.count()

    def answer(request: Request) -> Reply:
        negative = 'where its text came to stand: "negative"' in request.prompt.user
        item = {"text": write_text(next(numbers)), "pole": "negative" if negative else "positive"}
        return Reply(json.dumps({"exemplars": [item]}), "stop", 400, 40, 0.0001)

    return answer


def make_rounds() -> Rounds:
    """The rounds of a model of two traits with the committed lists of subjects, and a tenth more cells than wanted."""
    model = make_model(*(make_trait(trait, name=trait.title()) for trait in TRAITS))
    scenario_pool = choose_scenario_pool(model, load_packs(PROJECT_ROOT / "data" / "scenarios"))
    plan = make_test_plan(model, make_level(WANTED, over_generation=1.1), scenario_pool)
    return Rounds(plan, Screener(plan, use_lengths=False), 1, WordVectors(), strict=False)


async def generate_all(rounds: Rounds, cells: Sequence[Cell], gateway: ModelGateway) -> list[Exemplar]:
    async with asyncio.TaskGroup() as group:
        made = [group.create_task(generate_cell(rounds.plan, cell, gateway, rounds.language)) for cell in cells]
    return [exemplar for cell in made for exemplar in cell.result()]


async def test_ten_thousand_exemplars_from_replies_to_a_committed_set(tmp_path: Path) -> None:
    table = Table()
    client = FakeClient(make_answer())
    gateway = ModelGateway(client, RepliesPlace(str(tmp_path / "cache")), HeardProgress(), RunBudget(CONCURRENCY))
    with table.measure("plan"):
        rounds = make_rounds()
        cells = rounds.next_cells()
    async with gateway.keeping(rounds.plan.plan_id):
        with table.measure("generate"):
            exemplars = await generate_all(rounds, cells, gateway)
        with table.measure("generate, kept"):
            again = await generate_all(rounds, cells, gateway)
    with table.measure("screen"):
        screened = rounds.screen(exemplars)
    with table.measure("choose"):
        choice = rounds.take(screened)
    stamp = make_stamp()
    with table.measure("gate, first import"):
        check(make_rounds(), ())
    with table.measure("variety, no vectors"):
        variety = measure_variety(rounds, WordVectors())
    with table.measure("gate"):
        verdict = check(rounds, variety)
    with table.measure("render"):
        sample_set = make_sample_set(rounds, stamp, verdict, gateway)
    with table.measure("write"):
        stored = write_set(str(tmp_path / "samples"), sample_set)
    print(table.show())

    assert len(cells) == len(exemplars) == len(screened) == len(client.requests) == gateway.budget.calls
    assert exemplars == again
    assert CONCURRENCY == client.most_in_flight
    assert choice.complete
    assert EXEMPLARS == len(choice.chosen)
    assert len(cells) - EXEMPLARS == len(choice.rejected)
    assert (True, ()) == (verdict.success, verdict.failed)
    check_stored(stored)


def check(rounds: Rounds, variety: Sequence[PoleVariety]) -> Verdict:
    """What the task ``check`` does."""
    rows = make_kept_rows(rounds, make_stamp())
    run = make_sample_table(rows).to_pandas()
    whole = make_whole_frame(rounds.plan.model, rows)
    return check_rows(run, whole, TRAITS, WANTED, make_stamp().run_id, SAMPLE_SCHEMA.names, variety)


def check_stored(stored: StoredSet) -> None:
    assert stored.written
    assert {trait: dict.fromkeys(POLES, WANTED) for trait in TRAITS} == stored.manifest["counts"]
    rows = pq.ParquetFile(stored.file(SAMPLES)).read().to_pylist()
    assert EXEMPLARS == len(rows) == len({row["id"] for row in rows}) == len({row["text"] for row in rows})
