"""What a text of an embedded model costs: seconds, tokens, memory, and how many of its texts stand; HANDLES=a,b."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.definitions.effort import load_level
from engine.definitions.loader import load_model
from engine.domain.progress import LoggedProgress
from engine.gateway.budget import RunBudget
from engine.gateway.model_gateway import ModelGateway
from engine.llm.client import LitellmClient
from engine.llm.embedded_model import serve_embedded
from engine.llm.embedded_models import list_embedded_models
from engine.run.job import Job
from engine.run.pipeline import begin_rounds, walk_rounds
from engine.screening.voting_judge import VotingJudge
from engine.settings import SHIPPED_ROOT, RepliesPlace, read_settings
from engine.text.embedding import SentenceEncoder

HANDLES = os.environ.get("HANDLES", "u22a8.technical-writing,u22a8.support-reply").split(",")
DATA = SHIPPED_ROOT / "data"


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", list_embedded_models())
@pytest.mark.parametrize("handle", HANDLES)
async def test_cost_of_a_text(name: str, handle: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run at effort low, all its rounds, without Prefect, the gate and the store."""
    monkeypatch.delenv("EXEMPLARS_EMBEDDED_DIR", raising=False)
    place = read_settings().embedded_place
    if not list_embedded_models()[name].find(place.folder):
        pytest.skip(f"get it by 'exemplars models get {name}'")
    embedder, budget, progress = SentenceEncoder(), RunBudget(8), LoggedProgress()
    embedder.embed(["The first text takes the encoder's load."])
    job = Job(load_model(str(DATA / "models"), handle), "from_traits", load_level(str(DATA / "effort.yaml"), "low"))
    with serve_embedded(f"embedded/{name}", place) as endpoint, watch_server() as peaks:
        gateway = ModelGateway(LitellmClient(endpoint, 600), RepliesPlace(str(tmp_path)), progress, budget)
        begun = time.perf_counter()
        rounds = await begin_rounds(job, 0, gateway, embedder)
        async with gateway.keeping(rounds.plan.plan_id):
            await walk_rounds(rounds, gateway, VotingJudge(None, 0), progress)
        seconds = time.perf_counter() - begun
    kept, made = len(rounds.choice.chosen), len(rounds.exemplars)
    stand = sum(item.is_accepted for item in rounds.exemplars)
    print(
        f"\n{name:<20}{handle:<28}{seconds:6.1f} s, {rounds.round_no} rounds, {kept} kept of {made}: "
        f"{seconds / kept:5.2f} s a kept text, {budget.tokens / seconds:5.1f} tokens/s, "
        f"{stand / made:4.0%} stand, server's peak {max(peaks):,} MB"
    )

    assert rounds.choice.complete


@contextmanager
def watch_server() -> Iterator[list[int]]:
    """The peak memory, in MB, of this process's model servers, once the block has ended."""
    peaks: list[int] = []
    yield peaks
    for task in Path("/proc/self/task").iterdir():
        for child in (task / "children").read_text().split():
            if "embedded_server.py" in Path(f"/proc/{child}/cmdline").read_text():
                status = Path(f"/proc/{child}/status").read_text()
                peaks.append(int(status.split("VmHWM:")[1].split()[0]) // 1024)
