"""Runs the gate: Great Expectations suites over what would be attached. The gate fails if anything goes wrong."""

import json
import logging
import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from engine.quality.diversity import PoleVariety
from engine.quality.verdict import ExpectationResult, Verdict
from engine.system.importing import importing

FOLDER = Path(__file__).parent
RUN_SUITE, WHOLE_SUITE, HELD_OUT_SUITE = "run", "whole", "held_out"
_PER_THREAD = threading.local()


def check_rows(
    run: pd.DataFrame,
    whole: pd.DataFrame,
    traits: Sequence[str],
    wanted: int | dict[str, dict[str, int]],
    run_id: str,
    columns: Sequence[str],
    variety: Sequence[PoleVariety],
    folder: Path = FOLDER,
    sides: pd.DataFrame | None = None,
    beside: Sequence[str] = (),
) -> Verdict:
    """Checks a run's rows, and all samples that the model would have with them.

    Args:
        run: the run's rows, with the columns of ``samples.parquet``.
        whole: all samples: ``trait``, ``text``, ``quality`` and ``origin`` (``authored``, ``attached`` or ``run``).
        traits: the keys of the traits that have a quota.
        wanted: the quota of each trait and pole, or the quotas by trait and pole.
        columns: the column names that ``run`` must have, in order.
        variety: the diversity figures of the run's rows, for every trait and pole.
        folder: the folder of the suites' JSON files.
        sides: ``text``, ``subject``, ``side`` and ``origin`` of all texts for training and for evaluation; None if
            nothing is held out.
        beside: the run ids of the stored sets whose samples are in the frames.
    """
    parameters = {
        "traits": list(traits),
        "wanted": wanted,
        "row_floor": max(1, _count_rows(wanted, traits)),
        "run_ids": [run_id],
        "columns": list(columns),
        "variety": {f"{item.trait}/{item.pole}": asdict(item.exemplars) for item in variety},
    }
    frames = {RUN_SUITE: run, WHOLE_SUITE: whole} | ({} if sides is None else {HELD_OUT_SUITE: sides})
    outcomes = [run_suite(folder / f"{suite}.json", frame, parameters) for suite, frame in frames.items()]
    return replace(join_outcomes(outcomes), variety=tuple(variety), beside=tuple(beside))


def _count_rows(wanted: int | dict[str, dict[str, int]], traits: Sequence[str]) -> int:
    """How many rows all quotas are together."""
    if isinstance(wanted, int):
        return 2 * wanted * len(traits)
    return sum(sum(poles.values()) for poles in wanted.values())


@dataclass(frozen=True, slots=True)
class Outcome:
    """One suite's results, GX's own result, and sentences on what is ``broken`` about the suite itself."""

    suite: str
    results: tuple[ExpectationResult, ...]
    broken: tuple[str, ...]
    result: Mapping[str, Any]


def join_outcomes(outcomes: Iterable[Outcome]) -> Verdict:
    """Joins the outcomes of suites into one verdict, which fails on any broken suite or critical failure."""
    outcomes = tuple(outcomes)
    results = tuple(result for outcome in outcomes for result in outcome.results)
    broken = [sentence for outcome in outcomes for sentence in outcome.broken]
    missed = [result for result in results if not result.success]
    failed = (*broken, *(_describe_result(result) for result in missed if result.severity == "critical"))
    warnings = tuple(_describe_result(result) for result in missed if result.severity != "critical")
    suites = {outcome.suite: outcome.result for outcome in outcomes}
    return Verdict(not failed, failed, warnings, results, suites)


def run_suite(path: Path, frame: pd.DataFrame, parameters: Mapping[str, Any]) -> Outcome:
    """Runs one suite over one frame; the results are in the file's order.

    Anything that keeps an expectation from being checked is a failure, never a pass: a file that is not a suite or has
    no expectations, an expectation that GX does not know (GX logs that and drops it), one that raises, or too few
    results.
    """
    name = path.stem
    try:
        spec = json.loads(path.read_text(encoding="utf-8"))
        wanted = list(spec["expectations"])
        if not wanted:
            raise ValueError("it names no expectations")
        result, dropped = _validate(spec, frame, parameters)
    except Exception as error:  # whatever goes wrong here, the gate has not passed
        return Outcome(name, (), (f"The suite {name!r} could not be run: {type(error).__name__}: {error}",), {})
    results = tuple(_read_result(name, item) for item in result["results"])
    broken = list(dropped)
    if len(results) != len(wanted):
        broken.append(f"The suite {name!r} gave {len(results)} results for {len(wanted)} expectations.")
    broken += [
        f"The expectation {item['expectation_config']['type']!r} of the suite {name!r} raised: {message}"
        for item in result["results"]
        if (message := _find_exception(item.get("exception_info")))
    ]
    return Outcome(name, results, tuple(broken), result)


def _validate(
    spec: Mapping[str, Any], frame: pd.DataFrame, parameters: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    gx = import_gx()
    dropped = [
        f"The suite {spec['name']!r} names the unknown expectation {item['type']!r}."
        for item in spec["expectations"]
        if not _is_known(item["type"])
    ]
    batch = _find_batches(gx).get_batch({"dataframe": frame})
    suite = gx.ExpectationSuite(**_number_expectations(spec))
    if len(suite.expectations) != len(spec["expectations"]):
        dropped.append(f"The suite {spec['name']!r} was loaded with only {len(suite.expectations)} expectations.")
    used = {name: value for name, value in parameters.items() if f'"{name}"' in json.dumps(spec)}
    result = batch.validate(suite, result_format="SUMMARY", expectation_parameters=used)
    found: dict[str, Any] = result.to_json_dict()
    # GX's other metadata say when it saw the frame and where in memory: the same rows must give the same verdict, byte
    # for byte.
    found["meta"] = {"great_expectations_version": found["meta"]["great_expectations_version"]}
    found["results"].sort(key=lambda item: item["expectation_config"]["meta"]["position"])
    return found, dropped


def _find_batches(gx: Any) -> Any:
    """Returns this thread's own batch definition: a shared one validates the wrong frame (docs/decisions/000).

    It is kept, since making one takes a fifth of the time of a run's gate.
    """
    if not hasattr(_PER_THREAD, "batches"):
        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False}
        asset = context.data_sources.add_pandas("frames").add_dataframe_asset("rows")
        _PER_THREAD.batches = asset.add_batch_definition_whole_dataframe("all")
    return _PER_THREAD.batches


def _number_expectations(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Adds to each expectation its position in the file, since GX returns results in an order of its own."""
    numbered = [
        {**item, "meta": {**item.get("meta", {}), "position": position}}
        for position, item in enumerate(spec["expectations"], start=1)
    ]
    return {**spec, "expectations": numbered}


def import_gx() -> Any:
    """Imports Great Expectations and registers our expectations; in a function, since it takes 2 CPU-seconds."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    with importing():
        import great_expectations as gx

        import expectations.classes
        import expectations.variety

    # This logger sets its own level when it is imported, and logs each temporary folder.
    logging.getLogger("great_expectations.data_context.types.base").setLevel(logging.WARNING)

    assert expectations.classes.ROWS
    assert expectations.variety.FEW_TEXTS
    return gx


def _is_known(kind: str) -> bool:
    from great_expectations.exceptions.exceptions import ExpectationNotFoundError
    from great_expectations.expectations.registry import get_expectation_impl

    try:
        get_expectation_impl(kind)
    except ExpectationNotFoundError:
        return False
    return True


def _read_result(suite: str, item: Mapping[str, Any]) -> ExpectationResult:
    config, result = item["expectation_config"], item.get("result") or {}
    observed = result.get("observed_value")
    if observed is None and "unexpected_count" in result:
        observed = f"{result['unexpected_count']} of {result.get('element_count', '?')} rows unexpected"
    raised = _find_exception(item.get("exception_info"))
    return ExpectationResult(
        suite=suite,
        name=str((config.get("meta") or {}).get("says") or config["type"]),
        success=bool(item["success"]) and raised is None,
        severity=str(config.get("severity") or "critical"),
        observed=raised or _shorten(observed),
        faults=tuple((result.get("details") or {}).get("faults", ())),
        remedy=str((config.get("meta") or {}).get("do") or ""),
    )


def _find_exception(info: Any) -> str | None:
    """Finds the message of an exception in either form of GX's ``exception_info``: flat, or one for each metric."""
    if not isinstance(info, Mapping):
        return None
    if info.get("raised_exception"):
        return str(info.get("exception_message") or "an exception without a message")
    return next((message for value in info.values() if (message := _find_exception(value))), None)


def _describe_result(result: ExpectationResult) -> str:
    faults = "; ".join(result.faults[:5]) or result.observed
    return f"Expected that {result.name}: {faults}. {result.remedy}".rstrip()


def _shorten(value: Any) -> str:
    if isinstance(value, Mapping):
        text = ", ".join(f"{name} {item}" for name, item in value.items())
    elif isinstance(value, list):
        text = f"{len(value)} of them"
    else:
        text = "" if value is None else str(value)
    return text if len(text) <= 200 else f"{text[:199]}…"
