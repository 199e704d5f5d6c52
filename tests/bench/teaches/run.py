"""Does it teach? Sets made by the embedded model, an axis fit on them, real texts that nobody here wrote: the table.

``python tests/bench/teaches/run.py [--draws 0,1,…] [--models …] [--efforts …] [--bare]``, or ``make teaches``.
Everything is asked once: candidates are kept under ``--cache``, and every arm and effort of a draw is made from them.
The table's lines are added to ``--out`` as they come, so that a run that is stopped goes on.
"""

import argparse
import asyncio
import json
import sys
import time
from dataclasses import replace
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parents[2])]

from bench.teaches.arms import Set, list_parts, name_poles, take_chosen, take_seeds  # noqa: E402
from bench.teaches.measure import FEWER, Yardstick, make_yardsticks  # noqa: E402
from bench.teaches.real_texts import load_real_texts  # noqa: E402

from engine.asking import Asker  # noqa: E402
from engine.definition import load_model  # noqa: E402
from engine.effort import load_level  # noqa: E402
from engine.embedded import serve_embedded  # noqa: E402
from engine.embedding import SentenceEncoder  # noqa: E402
from engine.job import SCENARIOS_FOLDER, Job, plan_job  # noqa: E402
from engine.judge import judge_standing  # noqa: E402
from engine.jury import Jury  # noqa: E402
from engine.limits import Limits  # noqa: E402
from engine.llm import LitellmClient  # noqa: E402
from engine.model import Model  # noqa: E402
from engine.progress import LoggedProgress  # noqa: E402
from engine.rounds import Rounds  # noqa: E402
from engine.scenario import load_packs  # noqa: E402
from engine.screen import Screener  # noqa: E402
from engine.settings import PROJECT_ROOT  # noqa: E402
from engine.variety import measure_texts  # noqa: E402
from engine.walk import walk_rounds  # noqa: E402

MODELS = ("bench.health-posts", "bench.register", "bench.campaign-posts")
PARTS_AT = "high"


def main() -> None:
    """Makes what is missing of the table and prints all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=lambda text: [int(part) for part in text.split(",")], default=list(range(5)))
    parser.add_argument("--models", type=lambda text: text.split(","), default=list(MODELS))
    parser.add_argument("--efforts", type=lambda text: text.split(","), default=["low", "medium", "high", "xhigh"])
    parser.add_argument("--bare", action="store_true", help="without the seeds")
    parser.add_argument("--parts", action="store_true", help="each part of the engine alone, too")
    parser.add_argument("--cache", default=str(PROJECT_ROOT / "data" / "cache" / "teaches"))
    parser.add_argument("--out", default=str(PROJECT_ROOT / "data" / "cache" / "teaches.jsonl"))
    asked = parser.parse_args()
    Path(asked.out).parent.mkdir(parents=True, exist_ok=True)
    for draw in asked.draws:
        for handle in asked.models:
            asyncio.run(make_draw(handle, draw, asked))


async def make_draw(handle: str, draw: int, asked: argparse.Namespace) -> None:
    """All arms of one model and draw."""
    model = load_model(str(HERE / "models"), handle)
    yardsticks = make_yardsticks(load_real_texts(handle))
    embedder = SentenceEncoder()

    def tell(arm: str, texts: Set, seconds: float = 0.0) -> None:
        rates = {name: round(yardstick.rate(texts), 4) for name, yardstick in yardsticks.items()}
        vendi = [measure_texts(its, embedder).vendi_of_eight for its in texts.values()]
        line = {"model": handle, "draw": draw, "arm": arm, "count": len(texts["positive"]), **rates, "vendi": vendi}
        with Path(asked.out).open("a") as stream:
            stream.write(json.dumps(line | {"seconds": round(seconds)}) + "\n")
        print(line, flush=True)

    if not asked.bare:
        tell_references(model, draw, yardsticks, tell)
    with serve_embedded("embedded") as endpoint:
        asker = Asker(LitellmClient(endpoint, 120), asked.cache, LoggedProgress(), Limits(32))
        with asker.keeping(f"{handle}-{draw}"):
            for effort in asked.efforts:
                await make_effort(replace(model, seeds=()) if asked.bare else model, effort, draw, asker, asked, tell)


def tell_references(model: Model, draw: int, yardsticks: dict[str, Yardstick], tell) -> None:  # type: ignore[no-untyped-def]
    """What needs no synth model."""
    tell("pole names", name_poles(model))
    tell("seeds", take_seeds(model))
    tell("40 real texts", yardsticks["use"].draw_real(FEWER, 100 + draw))


async def make_effort(model: Model, effort: str, draw: int, asker: Asker, asked: argparse.Namespace, tell) -> None:  # type: ignore[no-untyped-def]
    """The walk of one effort, and the parts alone from its first round."""
    begun = time.monotonic()
    level = load_level(str(PROJECT_ROOT / "data" / "effort.yaml"), effort)  # type: ignore[arg-type]
    embedder = SentenceEncoder()
    plan = plan_job(Job(model, "from_traits", level), load_packs(SCENARIOS_FOLDER), draw, embedder)
    rounds = Rounds(plan, Screener(plan, use_lengths=False), asker.endpoint.draws, embedder, strict=True)
    progress = LoggedProgress()
    await walk_rounds(rounds, asker, Jury(None, 0), progress)
    bare = ", no seeds" if not model.seeds else ""
    tell(f"{effort}{bare}", take_chosen(rounds.choice.chosen), time.monotonic() - begun)
    if bare:
        first = [item for item in rounds.exemplars if item.round_no == 1 and item.stands]
        one = {
            pole: [item.text or "" for item in first if item.pole == pole][: plan.wanted]
            for pole in ("positive", "negative")
        }
        tell(f"{effort}{bare}, first round alone", one)
    if effort == PARTS_AT and asked.parts and not bare:
        first = [item for item in rounds.exemplars if item.round_no == 1]
        judged = await judge_standing(model, first, asker, draw, {trait.key for trait in model.traits})
        for arm, texts in list_parts(plan, first, judged, embedder).items():
            tell(arm, texts)
    print(handle_line(rounds), flush=True)


def handle_line(rounds: Rounds) -> str:
    """What the walk was like, for whoever watches."""
    review = rounds.review
    return (
        f"  rounds {rounds.round_no}, judge {dict(rounds.judge_aucs)}, probe {[item.auc for item in review.probes]}, "
        f"wrong side {len(review.wrong_side)}, shortcuts {[item.describe('') for item in review.shortcuts]}"
    )


if __name__ == "__main__":
    main()
