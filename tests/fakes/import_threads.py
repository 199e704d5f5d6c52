"""A program that plans, screens, chooses and checks as a run does, and prints which thread has imported which modules.

    python -m fakes.import_threads FOLDER [alone]

``alone`` has the process do the heavy work itself, without a worker. The modules are those of the process that does it.
"""

import asyncio
import json
import sys
import threading
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

IMPORTS: dict[str, list[str]] = defaultdict(list)


class Recorder:
    """A finder that Python asks first for each module that is not loaded yet: it notes who asks, and finds nothing."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: Any = None) -> None:
        IMPORTS[threading.current_thread().name].append(name)


def list_imports() -> dict[str, list[str]]:
    """A work: what this process has imported. Optional modules that are not installed are left out."""
    return {thread: [name for name in names if name in sys.modules] for thread, names in IMPORTS.items()}


async def work_through(folder: Path) -> None:
    from fakes.builders import make_level, make_stamp
    from fakes.client import FakeClient, HeardProgress
    from fakes.reply_tables import place_in
    from fakes.workspace import make_workspace
    from prefect.logging import disable_run_logger

    from engine.definitions.loader import load_model
    from engine.domain.model import Existing
    from engine.llm.client.request import Reply
    from engine.llm.gateway.budget import RunBudget
    from engine.llm.gateway.model_gateway import ModelGateway
    from engine.run.gateways import LanguageModels
    from engine.run.job import Job
    from engine.run.planning import begin_run
    from engine.run.rounds import make_tools, run_rounds
    from engine.text.embedding import SentenceEncoder
    from expectations.own_suites import make_own_rules
    from flows.run.worker import WORKER, run_without_worker
    from tasks.check import check

    run = WORKER.get() or run_without_worker
    workspace = make_workspace(folder)
    model = load_model(str(workspace.model.parent), workspace.model.name)
    client = FakeClient(lambda _: Reply(json.dumps({"text": "We keep seven backups of each night."}), "stop"))
    gateway = ModelGateway(client, place_in(folder), HeardProgress(), RunBudget(1))
    embedder = SentenceEncoder()
    state = await begin_run(Job(model, "from_traits", make_level(1)), 0, gateway, embedder, run)
    own_rules = make_own_rules(state.plan, run)
    tools = await make_tools(state, LanguageModels(gateway, None), embedder, own_rules, HeardProgress(), run)
    state = await run_rounds(state, tools)
    with disable_run_logger():
        verdict = await check.fn(state, make_stamp(), Existing(), embedder, run)
    assert verdict.results
    print(json.dumps(await run(list_imports)))


def main() -> None:
    sys.meta_path.insert(0, Recorder)
    from flows.run.worker import forking_worker

    if "alone" in sys.argv:
        # A process that has threads is not forked.
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    with forking_worker():
        asyncio.run(work_through(Path(sys.argv[1])))


if __name__ == "__main__":
    main()
