"""The names of task runs on the run page, with their counts; Prefect asks for them with the parameters of the task."""

from collections.abc import Callable
from typing import Any

from engine.choosing.rounds import Rounds
from engine.domain.verdict import Verdict
from engine.run.job import Job
from engine.text.formatting import count_noun

Parameters = dict[str, Any]


def _named(name: Callable[[Parameters], str]) -> Any:
    """Prefect types such a function as a protocol with a class method that no function has."""
    return name


@_named
def name_load(parameters: Parameters) -> str:
    """“load u22a8.technical-writing”."""
    return f"load {parameters['handle']}"


@_named
def name_plan(parameters: Parameters) -> str:
    """“plan 40 for each pole of 2 traits”."""
    job: Job = parameters["job"]
    if job.lacking is not None:
        return f"plan {count_noun(sum(job.lacking.values()), 'lacking exemplar')}"
    return f"plan {job.level.exemplars_per_pole} for each pole of {count_noun(len(job.model.traits), 'trait')}"


@_named
def name_batch(parameters: Parameters) -> str:
    """“round 1: generate 50 cells, part 2 of 3”."""
    rounds: Rounds = parameters["rounds"]
    number, count = parameters["part"]
    said = f"round {rounds.round_no}: generate {count_noun(len(parameters['cells']), 'cell')}"
    return f"{said}, part {number} of {count}" if count > 1 else said


@_named
def name_screen(parameters: Parameters) -> str:
    """“round 1: screen 128 exemplars”."""
    rounds: Rounds = parameters["rounds"]
    return f"round {rounds.round_no}: screen {count_noun(len(parameters['exemplars']), 'exemplar')}"


@_named
def name_check(parameters: Parameters) -> str:
    """“check 32 exemplars”."""
    rounds: Rounds = parameters["rounds"]
    return f"check {count_noun(len(rounds.choice.chosen), 'exemplar')}"


@_named
def name_write(parameters: Parameters) -> str:
    """“write 32 exemplars”; where the set failed, that none of them are attached."""
    rounds: Rounds = parameters["rounds"]
    verdict: Verdict = parameters["verdict"]
    if verdict.success:
        return f"write {count_noun(len(rounds.choice.chosen), 'exemplar')}"
    return f"write {count_noun(len(rounds.exemplars), 'exemplar')}, none attached"
