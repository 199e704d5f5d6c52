"""Does it teach? Sets made by the embedded model, an axis fit on them, real texts that nobody here wrote: the table.

``make teaches``, or below ``tests/`` ``python -m bench.teaches.run`` (``--help`` has the options).
Everything is asked once: candidates are kept under ``--cache``, and every arm and effort of a draw is made from them.
The table's lines are added to ``--out`` as they come, so that a run that is stopped goes on.
"""

import argparse
import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from bench.teaches.measure import FEWER, Set, WordLlama, Yardstick
from bench.teaches.real_texts import READERS
from fakes.reply_tables import place_in

from engine.axis.pole_scores import list_pole_names
from engine.axis.reference_axis import fit_reference_axes
from engine.choosing.diversity import measure_texts
from engine.choosing.run_state import RunState, begin_state
from engine.definitions.effort import load_level
from engine.definitions.loader import load_model
from engine.definitions.scenario_packs import SCENARIOS_FOLDER, load_packs
from engine.domain.model import POLES, Effort, Model
from engine.domain.run_request import check_effort
from engine.domain.samples import Exemplar
from engine.estimate.forecast import RunForecast
from engine.llm.client.litellm_client import LitellmClient
from engine.llm.embedded.embedded_models import serve_embedded
from engine.llm.gateway.budget import RunBudget
from engine.llm.gateway.model_gateway import ModelGateway
from engine.run.gateways import LanguageModels
from engine.run.job import Job, plan_job
from engine.run.rounds import make_tools, run_rounds
from engine.settings import PROJECT_ROOT, read_settings
from engine.system.worker_process import run_here
from engine.text.embedding import SentenceEncoder
from expectations.own_suites import make_own_rules

HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", nargs="+", type=int, default=list(range(5)))
    parser.add_argument("--models", nargs="+", default=list(READERS))
    parser.add_argument("--efforts", nargs="+", type=check_effort, default=["low", "medium", "high", "xhigh"])
    parser.add_argument("--synth", default="embedded", help="the embedded model that writes")
    parser.add_argument("--bare", action="store_true", help="without the seeds")
    parser.add_argument("--cache", default=str(PROJECT_ROOT / "data" / "cache" / "teaches"))
    parser.add_argument("--out", default=str(PROJECT_ROOT / "data" / "cache" / "teaches.jsonl"))
    asked = parser.parse_args()
    Path(asked.out).parent.mkdir(parents=True, exist_ok=True)
    for draw in asked.draws:
        for handle in asked.models:
            asyncio.run(make_draw(handle, draw, asked))
    print_table([json.loads(line) for line in Path(asked.out).read_text().splitlines()])


async def make_draw(handle: str, draw: int, asked: argparse.Namespace) -> None:
    model = load_model(str(HERE / "models"), handle)
    real, embedder = READERS[handle](), SentenceEncoder()
    # The embedding that chooses nothing, and beside it the one that chooses.
    yardsticks = {"wordllama": Yardstick(real, WordLlama()), "use": Yardstick(real, embedder)}
    begun, [trait] = time.monotonic(), model.traits

    def tell(arm: str, texts: Set) -> None:
        rates = {name: round(yardstick.rate(texts), 4) for name, yardstick in yardsticks.items()}
        vendi = [measure_texts(its, embedder).vendi_of_eight for its in texts.values()]
        line = {"model": handle, "draw": draw, "arm": arm, "count": len(texts["positive"]), **rates, "vendi": vendi}
        with Path(asked.out).open("a") as stream:
            stream.write(json.dumps(line | {"seconds": round(time.monotonic() - begun)}) + "\n")
        print(line, flush=True)

    if asked.bare:
        model = replace(model, seeds=())
    else:
        # What needs no synth model.
        tell("pole names", {pole: list_pole_names(trait, pole) for pole in POLES})
        tell("seeds", {pole: [seed.text for seed in model.seeds_at(trait.key, pole)] for pole in POLES})
        tell("40 real texts", yardsticks["use"].draw_real(FEWER, 100 + draw))
    with serve_embedded(asked.synth, read_settings()) as endpoint:
        gateway = ModelGateway(
            LitellmClient(endpoint, 600), place_in(asked.cache), RunForecast(), RunBudget(endpoint.slots or 8)
        )
        async with gateway.record_replies(f"{handle}-{draw}"):
            for effort in asked.efforts:
                state = await make_set(model, effort, draw, gateway, embedder)
                name = f"{effort}, no seeds" if asked.bare else effort
                tell(name, take_texts(state.choice.chosen))
                if asked.bare:
                    first = [item for item in state.exemplars if item.round_no == 1 and item.is_accepted]
                    tell(f"{name}, first round alone", take_texts(first, state.plan.max_quota))


async def make_set(
    model: Model, effort: Effort, draw: int, gateway: ModelGateway, embedder: SentenceEncoder
) -> RunState:
    level = load_level(str(PROJECT_ROOT / "data" / "effort.yaml"), effort).ask_one_text()
    plan = plan_job(Job(model, "from_traits", level), load_packs(SCENARIOS_FOLDER), draw)
    plan = replace(plan, axes=fit_reference_axes(plan.model, embedder))
    state, models = begin_state(plan, only_clear=True), LanguageModels(gateway, None)
    tools = await make_tools(state, models, embedder, make_own_rules(plan, run_here), RunForecast())
    return await run_rounds(state, tools)


def take_texts(exemplars: Sequence[Exemplar], most: int | None = None) -> Set:
    return {pole: [item.text or "" for item in exemplars if item.pole == pole][:most] for pole in POLES}


def print_table(lines: Sequence[Mapping[str, Any]]) -> None:
    """The mean, the standard deviation between draws and their number, for each arm and model, as markdown."""
    rates: dict[tuple[str, str], dict[int, float]] = defaultdict(dict)
    for line in lines:
        rates[line["arm"], line["model"]][line["draw"]] = line["wordllama"]
    print("| arm | " + " | ".join(READERS) + " |\n|---|" + "---|" * len(READERS))
    for arm in dict.fromkeys(arm for arm, _ in rates):
        cells = ([*rates[arm, model].values()] for model in READERS)
        told = (
            f"{mean(cell):.2f} ± {stdev(cell) if len(cell) > 1 else 0:.2f} ({len(cell)})" if cell else ""
            for cell in cells
        )
        print(f"| {arm} | {' | '.join(told)} |")


if __name__ == "__main__":
    main()
