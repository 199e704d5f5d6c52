"""Run the gate: Great Expectations suites over the samples to attach. The gate fails if anything goes wrong."""

import json
import logging
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

# Imported first, because SQLAlchemy's `bindparam` raises on all threads while Great Expectations imports it.
import sqlalchemy.orm  # noqa: F401

from engine.asking.held_out import restrict_to_pool
from engine.definitions.effort import name_higher_effort
from engine.domain.model import EFFORTS, Model, OwnSuite, SynthType
from engine.domain.samples import SAMPLE_SCHEMA, Row, make_sample_table
from engine.domain.verdict import GATE_SUITES, PoleDiversity, Verdict
from engine.system.importing import importing, importing_when_used
from expectations.frames import make_sides_frame, make_whole_frame
from expectations.patterns import find_endless_pattern
from expectations.results import Outcome, join_outcomes, read_outcome

FOLDER = Path(__file__).parent
RUN_SUITE, WHOLE_SUITE, HELD_OUT_SUITE = GATE_SUITES
# The plan does not depend on the author's suites, so a second start requests the same texts, which are stored already.
OWN_REMEDY = (
    "A repeated start gets the same texts, because received replies are not requested again: say it in the brief of "
    "model.yaml, set another EXEMPLARS_SEED, or change the suite."
)
_PER_THREAD = threading.local()


def check_model(
    rows: Sequence[Row],
    model: Model,
    synth_type: SynthType,
    run_id: str,
    quotas: int | Mapping[str, Mapping[str, int]],
    diversity: Sequence[PoleDiversity],
) -> Verdict:
    """Run the gate over a run's rows and a model's samples, here or in another process.

    Args:
        model: with the samples that are attached and held out now, not when the run was planned.
        quotas, diversity: as in ``make_parameters``.
    """
    run, sides = make_sample_table(rows).to_pandas(), make_sides_frame(model, synth_type, rows)
    frames = {RUN_SUITE: run, WHOLE_SUITE: make_whole_frame(restrict_to_pool(model, synth_type), rows)}
    frames |= {} if sides is None else {HELD_OUT_SUITE: sides}
    parameters = make_parameters([trait.key for trait in model.traits], quotas, run_id, diversity)
    verdict = check_frames(frames, parameters, model.own_suites)
    return replace(verdict, diversity=tuple(diversity), checked_against=tuple(model.existing.stored_runs))


def check_frames(
    frames: Mapping[str, pd.DataFrame],
    parameters: Mapping[str, Any],
    own_suites: Sequence[OwnSuite] = (),
    folder: Path = FOLDER,
    pattern_seconds: float = 60.0,
) -> Verdict:
    """Check a run's rows, and all samples that the model would have with them.

    Args:
        frames: by the name of the suite that checks them: ``run`` has the run's rows with the columns of
            ``samples.parquet``; ``whole`` and, if anything is held out, ``held_out`` come from ``frames.py``.
        own_suites: the author's suites; each checks the run's rows.
        pattern_seconds: the processor time for the patterns of an author's suite.
    """
    outcomes = [run_suite(folder / f"{suite}.json", frame, parameters) for suite, frame in frames.items()]
    for own in own_suites:
        if endless := find_endless_pattern(own, frames[RUN_SUITE], pattern_seconds):
            message = f"The suite {own.name!r} was not run on the texts: {endless} {OWN_REMEDY}"
            outcomes.append(Outcome(own.name, (), (message,), {}))
        else:
            outcomes.append(run_suite(own, frames[RUN_SUITE], parameters))
    return join_outcomes(outcomes)


def make_parameters(
    traits: Sequence[str],
    quotas: int | Mapping[str, Mapping[str, int]],
    run_id: str,
    diversity: Sequence[PoleDiversity],
) -> dict[str, Any]:
    """Return the parameters that suites may name as ``{"$PARAMETER": name}``.

    Args:
        quotas: the quota of each trait and pole, or the quotas by trait and pole.
        diversity: the diversity figures of the run's rows, for every trait and pole.
    """
    rows = 2 * quotas * len(traits) if isinstance(quotas, int) else sum(sum(both.values()) for both in quotas.values())
    return {
        "traits": list(traits),
        "wanted": quotas,
        "row_floor": max(1, rows),
        "run_ids": [run_id],
        "columns": SAMPLE_SCHEMA.names,
        "diversity": {f"{item.trait}/{item.pole}": asdict(item.exemplars) for item in diversity},
    }


def run_suite(
    suite: Path | OwnSuite, frame: pd.DataFrame, parameters: Mapping[str, Any], result_format: str = "SUMMARY"
) -> Outcome:
    """Run a suite over one frame; the results are in the suite's order. A path names a suite of the gate.

    Everything that prevents the check of an expectation is a failure, never a pass: a file that is not a suite or has
    no expectations, an expectation that GX does not know (GX logs that and drops it), an expectation that raises, or
    too few results.
    """
    name, remedy = (suite.name, OWN_REMEDY) if isinstance(suite, OwnSuite) else (suite.stem, "")
    try:
        effort = next(iter(frame.get("effort", ())), EFFORTS[-1])
        content = suite.content if isinstance(suite, OwnSuite) else suite.read_text(encoding="utf-8")
        spec = json.loads(content if isinstance(suite, OwnSuite) else name_higher_effort(content, effort))
        if not spec["expectations"]:
            raise ValueError("it names no expectations")
        result, unknown = _validate(spec, frame, parameters, result_format)
        return read_outcome(name, len(spec["expectations"]), result, unknown, remedy)
    except Exception as error:  # after any error here, the gate has not passed
        return Outcome(name, (), (f"The suite {name!r} could not be run: {type(error).__name__}: {error}",), {})


def _validate(
    spec: Mapping[str, Any], frame: pd.DataFrame, parameters: Mapping[str, Any], result_format: str
) -> tuple[dict[str, Any], list[str]]:
    gx = import_gx()
    from great_expectations.expectations.registry import list_registered_expectation_implementations

    known = list_registered_expectation_implementations()
    unknown = [
        f"The suite {spec['name']!r} names the unknown expectation {item['type']!r}."
        for item in spec["expectations"]
        if item["type"] not in known
    ]
    # GX returns results in another order.
    numbered = [
        {**item, "meta": {**(item.get("meta") or {}), "position": position}}
        for position, item in enumerate(spec["expectations"], start=1)
    ]
    suite = gx.ExpectationSuite(**{**spec, "expectations": numbered})
    used = {name: value for name, value in parameters.items() if f'"{name}"' in json.dumps(spec)}
    result = (
        _find_batches(gx)
        .get_batch({"dataframe": frame})
        .validate(suite, result_format=result_format, expectation_parameters=used)
    )
    document: dict[str, Any] = result.to_json_dict()
    # GX's further metadata contain the time and the frame's memory address: the same rows must give the same verdict,
    # byte for byte.
    document["meta"] = {"great_expectations_version": document["meta"]["great_expectations_version"]}
    document["results"].sort(key=lambda item: item["expectation_config"]["meta"]["position"])
    return document, unknown


def _find_batches(gx: Any) -> Any:
    """Return this thread's batch definition.

    A shared one validates the wrong frame (docs/decisions/000-measured.md). It is cached, because creating it takes a
    fifth of the time of a run's gate.
    """
    if not hasattr(_PER_THREAD, "batches"):
        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False}
        asset = context.data_sources.add_pandas("frames").add_dataframe_asset("rows")
        _PER_THREAD.batches = asset.add_batch_definition_whole_dataframe("all")
    return _PER_THREAD.batches


@cache
def import_gx() -> Any:
    """Import Great Expectations and register our expectations; a function, because this takes 1.7 CPU-seconds.

    Modules that our suites do not use are imported when they are used: they take .8 CPU-seconds and 80 MB more.
    """
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    with importing(), importing_when_used("scipy.stats", "altair"):
        import great_expectations as gx

        import expectations.classes

    # This logger sets its own level when it is imported, and logs each temporary folder.
    logging.getLogger("great_expectations.data_context.types.base").setLevel(logging.WARNING)

    assert expectations.classes.FEW_TEXTS
    return gx
