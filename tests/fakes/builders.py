"""Small values for the tests, each with defaults for what a test does not speak of."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import fields as fields_of
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from fakes.word_vectors import WordVectors

from engine.asking.fields import Field
from engine.asking.plan import Cell, Plan, make_plan
from engine.asking.scenarios import ScenarioPool
from engine.axis.reference_axis import fit_reference_axes
from engine.choosing.run_state import RunState, begin_state
from engine.definitions.effort import Level
from engine.domain.definition import Brief, Length, Pole, Trait
from engine.domain.model import POLES, Existing, Model, Seed
from engine.domain.samples import Exemplar, Reason, RunStamp, Scenario
from engine.llm.client.request import Reply
from engine.llm.gateway.budget import RunBudget
from engine.run.rounds import add_exemplars, adopt_decision, plan_next_round

SUBJECTS = ("rotating a key", "moving a database", "sharing a folder", "closing a ticket", "renewing a domain")
AUDIENCES = ("a new colleague", "an administrator")
FORMS = ("a note", "a paragraph of a guide")
LENGTHS = (Length(name="one sentence", min_words=8, max_words=25), Length(name="two", min_words=14, max_words=40))
SCENARIO_POOL = ScenarioPool("everyday", (Field("work", (SUBJECTS,)),), AUDIENCES, FORMS, LENGTHS)

POSITIVE_SEEDS = (
    "Each page stays in the cache for ten minutes, and then the server builds it again.",
    "A reset link works once and lasts for one hour after we have sent it.",
    "Backups run every night at two, and we keep seven of them.",
)
NEGATIVE_SEEDS = (
    "Retention of artefacts within the caching tier is governed by a validity window of limited duration.",
    "Non-utilisation of recovery links inside the envelope occasions invalidation of the issuance workflow.",
    "Pursuant to the snapshotting regime a tiered retention topology is maintained throughout.",
)


def make_trait(key: str = "clarity", **fields: object) -> Trait:
    given: dict[str, object] = {"name": key.title(), "type": "spectrum", "description": "How well it is understood."}
    given |= {"positive_label": "Clear", "negative_label": "Obscure"}
    return Trait(key=key, **(given | fields))  # type: ignore[arg-type]


def make_seeds(trait: str = "clarity") -> tuple[Seed, ...]:
    positive = [Seed(trait, text, 1.0, f"samples.jsonl:{line}") for line, text in enumerate(POSITIVE_SEEDS, 1)]
    negative = [Seed(trait, text, 0.0, f"samples.jsonl:{line}") for line, text in enumerate(NEGATIVE_SEEDS, 4)]
    return (*positive, *negative)


def make_model(*traits: Trait, seeds: tuple[Seed, ...] = (), **fields: object) -> Model:
    """A model of one spectrum, without seeds. Fields of ``Existing`` are those of its existing samples."""
    stored = {field.name: fields.pop(field.name) for field in fields_of(Existing) if field.name in fields}
    given: dict[str, object] = {"handle": "u22a8.test", "brief": Brief(), "existing": Existing(**stored)}  # type: ignore[arg-type]
    return Model(traits=traits or (make_trait(),), seeds=seeds, **(given | fields))  # type: ignore[arg-type]


def make_level(wanted: int = 4, **fields: object) -> Level:
    given: dict[str, object] = {
        "effort": "low",
        "synth_model": "openai/test",
        "judge_model": "openai/test",
        "thinking": "none",
        "judge_votes": 0,
        "top_up_rounds": 3,
        "over_generation": 2.0,
        "exemplars_per_call": 1,
        "temperature": 0.8,
    }
    return Level(exemplars_per_pole=wanted, **(given | fields))  # type: ignore[arg-type]


def make_test_plan(
    model: Model | None = None, level: Level | None = None, scenario_pool: ScenarioPool = SCENARIO_POOL, seed: int = 0
) -> Plan:
    """A plan of a small model, with axes if the model has seeds."""
    plan = make_plan(model or make_model(), "from_traits", level or make_level(), scenario_pool, seed, "prompts-1")
    return replace(plan, axes=fit_reference_axes(plan.model, WordVectors()) if plan.model.seeds else {})


def make_cell(pole: Pole = "positive", index: int = 0, trait: str = "clarity", draw: int = 0, order: int = 0) -> Cell:
    return Cell(
        id=f"{trait}/{index:05d}/{pole}/{draw}",
        order=order,
        trait=trait,
        pole=pole,
        scenario=Scenario(SUBJECTS[index % len(SUBJECTS)], AUDIENCES[0], FORMS[0], LENGTHS[0].name),
        pair_id=f"{trait}/{index:05d}",
        round_no=1,
        index=index,
    )


def make_exemplar(
    text: str | None,
    pole: Pole = "positive",
    index: int = 0,
    trait: str = "clarity",
    reason: Reason | None = None,
    order: int | None = None,
    draw: int = 0,
    odds: float | None = None,
) -> Exemplar:
    """What came back for ``make_cell`` of the same arguments."""
    cell = make_cell(pole, index, trait, draw)
    return Exemplar(
        cell_id=cell.id,
        number=0,
        order=2 * index + (pole == "negative") if order is None else order,
        trait=trait,
        pole=pole,
        scenario=cell.scenario,
        pair_id=cell.pair_id,
        text=text,
        reason=reason,
        synth_model="openai/test",
        prompt_sha256="0" * 64,
        odds=odds,
    )


def make_pair(index: int = 0, trait: str = "clarity") -> list[Exemplar]:
    """What came back for both poles of a scenario, each with a text of its own."""
    return [make_exemplar(f"Text {index} is {pole}.", pole, index, trait) for pole in POLES]


def add_and_choose(state: RunState, exemplars: Sequence[Exemplar]) -> RunState:
    """Adds a round's screened and judged exemplars, and chooses again among all exemplars so far."""
    state, choose = add_exemplars(state, exemplars, WordVectors())
    return adopt_decision(state, choose())


def make_state(plan: Plan | None = None, *made: Exemplar, only_clear: bool = False, planned: bool = False) -> RunState:
    """The state of a run with these exemplars, before its first round or after it was planned."""
    state = begin_state(plan or make_test_plan(), only_clear)
    state = plan_next_round(state)[0] if planned else state
    return add_and_choose(state, made) if made else state


def make_stamp(run_id: str = "11111111-1111-1111-1111-111111111111") -> RunStamp:
    return RunStamp(run_id, "u22a8.test", "from_traits", "low", datetime(2026, 11, 25, 12, tzinfo=UTC))


def make_budget(usd: float | None = None, limit_usd: float | None = None, **counts: object) -> RunBudget:
    """A budget of which one reply has spent so much; with these counts, whatever that reply has counted."""
    budget = RunBudget(1, limit_usd)
    budget.count(Reply("", "stop", cost_usd=usd), reused=False)
    vars(budget).update(counts)
    return budget


def make_parquet(columns: Mapping[str, Any]) -> bytes:
    """Return a Parquet file of these columns."""
    file = io.BytesIO()
    pq.write_table(pa.table(dict(columns)), file)
    return file.getvalue()
