"""What a real chat model makes of each kind of prompt: every reply, then a table. CALLS=n asks n times a kind."""

import itertools
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from engine.definitions.effort import Level, load_level
from engine.definitions.loader import load_model
from engine.definitions.scenario_packs import SCENARIOS_FOLDER, load_packs
from engine.domain.model import POLES, Pole, Seed, SynthType
from engine.domain.progress import LoggedProgress
from engine.domain.samples import Exemplar
from engine.domain.votes import Vote
from engine.errors import ModelNotFoundError
from engine.gateway.model_gateway import ModelGateway
from engine.generation.cells import generate_cell, propose_scenarios
from engine.generation.requests import PROPOSED
from engine.llm.embedded_models import find_embedded
from engine.planning.plan import Plan, RoundHistory, plan_round
from engine.planning.repeated_seeds import settle_seeds
from engine.run.gateways import open_gateway
from engine.run.job import Job, plan_job
from engine.screening.screener import Screener
from engine.screening.voting_judge import make_vote_request, read_ballot
from engine.settings import Settings
from engine.text.embedding import SentenceEncoder

MODEL = "embedded/qwen2.5-coder-1.5b"
CALLS = int(os.environ.get("CALLS", "4"))
SHOWN = 200
ECHOES = ("prompt_echo", "seed_copy", "label_leak", "meta_talk")
CLARITY, WARMTH = ("u22a8.technical-writing", "clarity"), ("u22a8.support-reply", "warmth")
VULNERABILITY, COMPATIBLE = ("u22a8.security-triage", "vulnerability"), ("u22a8.release-claims", "backward_compatible")
UNUSUAL = ("u22a8.expense-note", "unusual")
# By kind: model and trait, of which each has its part of the calls.
TRAITS = {
    "spectrum": (CLARITY, WARMTH),
    "bare": (CLARITY, ("u22a8.meeting-notes", "decisions")),
    "topic": (VULNERABILITY, ("u22a8.security-triage", "personal_data")),
    "claim": (COMPATIBLE, ("u22a8.release-claims", "faster")),
    "outlier": (UNUSUAL,),
    "diversify": (CLARITY, WARMTH),
    "subjects": (WARMTH, UNUSUAL, CLARITY, COMPATIBLE),
    "votes": (WARMTH, VULNERABILITY, COMPATIBLE, UNUSUAL),
}
WRITTEN = ("spectrum", "bare", "topic", "claim", "outlier", "diversify")


@dataclass(frozen=True)
class Row:
    """A line of the table: of so many replies, or phrases asked for, how many are of use, and how many echo."""

    kind: str
    replies: int
    good: int
    echoes: int
    first: int | None
    seconds: float

    def __str__(self) -> str:
        first = "" if self.first is None else f"{self.first}"
        return f"{self.kind:<10}{self.replies:>8}{self.good:>8}{self.echoes:>8}{first:>8}{self.seconds:>9.0f}"


@pytest.fixture(scope="module")
def rows() -> Iterator[list[Row]]:
    """The table's lines, printed after the last kind."""
    found: list[Row] = []
    yield found
    heads = f"\n{'kind':<10}{'replies':>8}{'good':>8}{'echoes':>8}{'first':>8}{'seconds':>9}"
    print("\n".join([heads, *map(str, found)]))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Those of a chat model whose file is in the user's own folder, which other tests must not see."""
    made = Settings(synth_style="chat", synth_model=MODEL, embedded_dir=None, cache_dir=str(tmp_path))
    try:
        find_embedded(MODEL, made.embedded_place)
    except ModelNotFoundError as error:
        pytest.skip(str(error))
    return made


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", WRITTEN)
async def test_texts_stand(kind: str, settings: Settings, rows: list[Row]) -> None:
    """``good`` are the texts that the rules let stand."""
    synth_type: SynthType = "diversify" if kind == "diversify" else "from_traits"
    plans = [make_plan(settings, handle, synth_type, kind == "bare") for handle, _ in TRAITS[kind]]
    each = CALLS // (2 * len(plans))
    async with open_kept(settings, plans[0].level) as gateway:
        begun = time.monotonic()
        made = [
            item
            for plan, (_, trait) in zip(plans, TRAITS[kind], strict=True)
            for item in await write(plan, trait, each, gateway)
        ]
        seconds = time.monotonic() - begun
    for item in made:
        show(kind, f"{item.trait}, {item.pole}, {item.scenario.subject}: {item.reason or 'stands'}", item.text or "")
        if item.reason:
            print(f"    {item.detail[:SHOWN]}")
    echoes = sum(item.reason in ECHOES for item in made)
    stand = sum(item.is_accepted for item in made)
    rows.append(Row(kind, len(made), stand, echoes, None, seconds))

    assert 2 * stand >= len(made) >= CALLS


@pytest.mark.timeout(1800)
async def test_subjects_are_distinct_phrases(settings: Settings, rows: list[Row]) -> None:
    """``replies`` are the phrases that were asked for, ``good`` the different ones that came."""
    plans = [make_plan(settings, handle) for handle, _ in TRAITS["subjects"][:CALLS]]
    async with open_kept(settings, plans[0].level) as gateway:
        begun = time.monotonic()
        proposals = [await propose_scenarios(plan, gateway) for plan in plans]
        seconds = time.monotonic() - begun
    asked, came, echoes = 0, 0, 0
    for plan, proposed in zip(plans, proposals, strict=True):
        for part, count in PROPOSED.items():
            phrases = list(dict.fromkeys(phrase.casefold() for phrase in getattr(proposed, part)))
            show("subjects", f"{plan.model.handle}, {len(phrases)} {part} of {count}", "; ".join(phrases), 3 * SHOWN)
            known = " ".join([plan.model.description, *plan.model.brief.domain]).casefold()
            echoes += sum(phrase in known for phrase in phrases)
            asked, came = asked + count, came + min(count, len(phrases))
    rows.append(Row("subjects", asked, came, echoes, None, seconds))

    assert came > echoes


@pytest.mark.timeout(1800)
async def test_votes_are_right(settings: Settings, rows: list[Row]) -> None:
    """``good`` are the votes for the pole that the author says, ``first`` those for what stands first."""
    plans = [make_plan(settings, handle) for handle, _ in TRAITS["votes"]]
    async with open_kept(settings, plans[0].level) as gateway:
        begun = time.monotonic()
        votes = [
            await vote(plan, seed, first, gateway)
            for plan, (_, trait) in zip(plans, TRAITS["votes"], strict=True)
            for first, pole in itertools.product(POLES, POLES)
            for seed in plan.model.seeds_at(trait, pole)[: max(1, CALLS // 4)]
        ]
        seconds = time.monotonic() - begun
    right, first = sum(good for good, _ in votes), sum(given.position == 0 for _, given in votes)
    rows.append(Row("votes", len(votes), right, 0, first, seconds))

    # Each text is asked about in both orders: whoever votes for a place is right in half of them.
    assert 2 * right > len(votes) >= 8


def make_plan(settings: Settings, handle: str, synth_type: SynthType = "from_traits", bare: bool = False) -> Plan:
    """The plan of a model of the catalogue, one cell for each exemplar that is wanted."""
    model = settle_seeds(load_model(settings.locate(settings.models_uri), handle))
    level = replace(load_level(settings.locate(settings.effort_file), "low"), synth_model=MODEL, over_generation=1.0)
    job = Job(replace(model, seeds=()) if bare else model, synth_type, level)
    return plan_job(job, load_packs(SCENARIOS_FOLDER), settings.seed, SentenceEncoder())


@asynccontextmanager
async def open_kept(settings: Settings, level: Level) -> AsyncIterator[ModelGateway]:
    """The way to the model that a run takes, inside the block."""
    async with open_gateway(settings, level, LoggedProgress()) as gateway, gateway.keeping("bench"):
        yield gateway


async def write(plan: Plan, trait: str, each: int, gateway: ModelGateway) -> list[Exemplar]:
    """So many texts a pole, screened. One call after the other: together, each would read the common part anew."""
    cells = plan_round(plan, 1, {(trait, pole): each for pole in POLES}, RoundHistory({}))
    cells = tuple(sorted(cells, key=lambda cell: POLES.index(cell.pole)))
    made = [item for cell in cells for item in await generate_cell(plan, cell, gateway, "English")]
    return Screener(plan, use_lengths=True).screen(made)


async def vote(plan: Plan, seed: Seed, first: Pole, gateway: ModelGateway) -> tuple[bool, Vote]:
    """A vote on an authored text with this pole first, and whether it is right."""
    request = make_vote_request(plan, seed.trait, seed.text, first)
    reply = await gateway.complete(replace(request, label=f"{seed.sha256}/{first}"))
    show("votes", f"{seed.trait}, {seed.pole}, {first} first: {seed.text[:60]}", reply.text)
    answer = read_ballot(reply, plan.model.trait(seed.trait)) or "invalid"
    return answer == seed.pole, Vote(MODEL, answer, first)


def show(kind: str, about: str, text: str, most: int = SHOWN) -> None:
    """Prints a reply."""
    print(f"\n  {kind}: {about}\n    {' '.join(text.split())[:most]}")
