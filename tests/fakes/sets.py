"""Sets in a store that no run has made: as many rows as a test needs."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from engine.sample_set import CARD, REPORT, VERDICT, SampleSet
from engine.samples import Exemplar, RunStamp, Scenario, make_row
from engine.store import write_set


def attach_set(samples: Path, handle: str, texts: Sequence[str], trait: str = "clarity", report: str = "") -> str:
    """Attaches the texts in a set of their own, each at the positive pole, and returns its run id."""
    stamp = RunStamp(str(uuid4()), handle, "from_traits", "low", datetime.now(UTC))
    scenario = Scenario("a shed", "gardeners", "a note", "one sentence")
    exemplars = [
        Exemplar(f"cell-{number}", 0, number, trait, "positive", scenario, f"pair-{number}", text, None)
        for number, text in enumerate(texts)
    ]
    rows = [make_row(exemplar, stamp, exemplar.pair_id) for exemplar in exemplars]
    documents = {VERDICT: "{}", REPORT: report, CARD: ""}
    write_set(str(samples), SampleSet(stamp, "train", "attached", "plan", rows, [], documents, {}))
    return stamp.run_id
