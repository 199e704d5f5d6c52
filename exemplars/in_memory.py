"""Run a synthesis for a program or a notebook, without Prefect: the outcome is data frames, and nothing is attached."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import pandas as pd

from engine.definitions.loader import MODEL_FILE
from engine.domain.finding import Finding
from engine.domain.model import Effort, SynthType, is_handle
from engine.domain.run_request import RunRequest
from engine.domain.samples import RunStamp, make_rejected_table, make_sample_table
from engine.errors import InputError
from engine.estimate.forecast import RunForecast
from engine.llm.client.request import Client
from engine.llm.endpoints import check_prices, limit_cost
from engine.llm.gateway.budget import RunBudget
from engine.llm.gateway.model_gateway import ModelGateway, SharedModels
from engine.report.costs import describe_costs
from engine.report.summary import make_rejected_rows
from engine.report.wording import describe_verdict
from engine.run.gateways import LanguageModels, open_models
from engine.run.job import Job, load_job
from engine.run.planning import begin_run
from engine.run.rounds import make_tools, run_rounds
from engine.screening.voting_judge import VotingJudge
from engine.settings import Settings, read_settings
from engine.system.worker_process import run_here
from engine.text.embedding import SentenceEncoder
from expectations.own_suites import check_own_suites, make_own_rules
from expectations.verdict import reach_verdict

# The handle of a definition that is in no catalogue.
IN_MEMORY = "in-memory.model"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a run in memory.

    Args:
        passed: whether a run would have attached the chosen samples.
        headline: the outcome in a sentence.
        chosen: a row for each chosen sample, with the columns of the store (docs/reference/store.md).
        rejected: a row for each other text, with its ``reason``. The chosen ones are here too if the gate failed.
        findings: what the gate and the other checks found, most severe first for each check.
        usage: calls, tokens and cost, as ``cost`` in ``verdict.json``.
    """

    passed: bool
    headline: str
    chosen: pd.DataFrame
    rejected: pd.DataFrame
    findings: tuple[Finding, ...]
    usage: Mapping[str, Any]


async def synthesize_in_memory(
    definition: str,
    client: Client | None = None,
    *,
    synth_type: SynthType = "from_traits",
    effort: Effort | None = None,
    per_pole: int | None = None,
    judge: Client | None = None,
) -> Outcome:
    """Make labelled samples and check them, as ``synthesize`` does, but attach nothing and start no flow run.

    Replies are kept as in any run: the same call again costs nothing.

    Args:
        definition: the text of a ``model.yaml``, or the handle of a model in the catalogue. For a handle, the samples
            of the store count: no text is made twice.
        client: answers the requests for texts; None for the synth model of the settings, with its judge.
        effort, per_pole: as for ``plan``.
        judge: with ``client``, the client of the chat judge. Without one, nothing is voted on.

    Raises:
        InputError: an argument or the definition is wrong, or the definition has questions and there is no judge.
        ProviderError: no call can succeed. BudgetError: the limit on cost is reached.
        StoreError: the catalogue, the store or the kept replies cannot be used.
    """
    with TemporaryDirectory() as folder:
        settings, handle = read_settings(), definition
        named = {"synth_model": client, "judge_model": judge}
        settings = settings.model_copy(update={name: item.endpoint.name for name, item in named.items() if item})
        if not is_handle(definition):
            handle, model = IN_MEMORY, Path(folder) / "models" / IN_MEMORY
            model.mkdir(parents=True)
            (model / MODEL_FILE).write_text(definition, encoding="utf-8")
            places = {"models_uri": str(model.parent), "samples_uri": f"{folder}/samples"}
            settings = settings.model_copy(update=places)
        job = load_job(settings, RunRequest(handle, synth_type, effort, per_pole=per_pole), dry=True)
        if client and not judge and job.model.questions:
            raise InputError(f"{handle}: its questions are answered by a chat judge. Give one: judge=")
        if client is None:
            check_prices(settings, job.level)
        check_own_suites(job.model.own_suites)
        async with _open_models(settings, job, client, judge) as models:
            return await _run(settings, job, models)


async def _run(settings: Settings, job: Job, models: LanguageModels) -> Outcome:
    embedder, moment = SentenceEncoder(), datetime.now(UTC)
    stamp = RunStamp(str(uuid4()), job.model.handle, job.synth_type, job.level.effort, moment)
    state = await begin_run(job, settings.seed, models.gateway, embedder)
    own_rules = make_own_rules(state.plan, run_here)
    state = await run_rounds(state, await make_tools(state, models, embedder, own_rules, RunForecast()))
    verdict = await reach_verdict(state, stamp, job.model.existing, embedder)
    chosen = state.make_rows(stamp, state.choice.chosen) if verdict.success else []
    return Outcome(
        verdict.success,
        describe_verdict(state, verdict)[0],
        make_sample_table(chosen).to_pandas(),
        make_rejected_table(make_rejected_rows(state, stamp, verdict)).to_pandas(),
        verdict.findings,
        describe_costs(models.gateway.budget, len(chosen)),
    )


@asynccontextmanager
async def _open_models(
    settings: Settings, job: Job, client: Client | None, judge: Client | None
) -> AsyncIterator[LanguageModels]:
    progress = RunForecast()
    if client is None:
        with SharedModels(settings.concurrency, settings.patience_seconds) as shared:
            async with open_models(settings, job.level, progress, shared) as models:
                yield models
    else:
        budget = RunBudget(settings.concurrency, limit_cost(settings, job.level))
        open_gateway = partial(ModelGateway, place=settings.replies_place, progress=progress, budget=budget)
        votes = max(1, job.level.judge_votes)
        yield LanguageModels(open_gateway(client), VotingJudge(open_gateway(judge), votes) if judge else None)
