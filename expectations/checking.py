"""Prepares the gate's check of a run: the frames that it sees, packed so that another process can run it too."""

import threading
from collections.abc import Callable, Sequence
from functools import partial

from engine.asking.held_out import restrict_to_pool
from engine.asking.plan import nest_counts
from engine.choosing.diversity import measure_variety
from engine.choosing.rounds import Rounds
from engine.domain.model import Model, SynthType
from engine.domain.samples import Row, RunStamp, make_sample_table
from engine.domain.verdict import PoleVariety, Verdict
from engine.report.summary import make_kept_rows
from engine.text.embedding import encode
from expectations.frames import make_sides_frame, make_whole_frame
from expectations.gate import check_rows, import_gx


def warm_up() -> None:
    """Loads what takes seconds into the process that calls this: the encoder, and Great Expectations on a thread.

    The encoder is wanted first, for the subjects of a topic; the gate, which comes last, waits for the thread's import.
    """
    # This loads it, which takes .5 s.
    encode([""])
    begin_import()


def begin_import() -> None:
    """Imports Great Expectations on a thread of the process that calls this."""
    threading.Thread(target=import_gx, name="great-expectations", daemon=True).start()


def prepare_gate(rounds: Rounds, stamp: RunStamp, model: Model) -> Callable[[], Verdict]:
    """Prepares the gate's check of the run's rows and of everything in the store; calling the result runs it, here or
    in another process.

    Args:
        model: the model with the samples that are attached and held out now, which may be more than when the run was
            planned.
    """
    return partial(
        check_model,
        make_kept_rows(rounds, stamp),
        model,
        stamp.synth_type,
        run_id=stamp.run_id,
        wanted=rounds.plan.wanted if rounds.plan.lacking is None else nest_counts(rounds.plan.lacking),
        variety=measure_variety(rounds, rounds.embedder),
    )


def check_model(
    rows: Sequence[Row],
    model: Model,
    synth_type: SynthType,
    run_id: str,
    wanted: int | dict[str, dict[str, int]],
    variety: Sequence[PoleVariety],
) -> Verdict:
    """Runs the gate over a run's rows beside a model's samples; ``wanted`` and ``variety`` are as in ``check_rows``."""
    return check_rows(
        run=make_sample_table(rows).to_pandas(),
        whole=make_whole_frame(restrict_to_pool(model, synth_type), rows),
        sides=make_sides_frame(model, synth_type, rows),
        traits=[trait.key for trait in model.traits],
        wanted=wanted,
        run_id=run_id,
        variety=variety,
        beside=model.stored_runs,
        own_suites=model.own_suites,
    )
