"""Checks a text that a person has written in the place of a proposed one, by the rules that hold for all texts."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from engine.asking.plan import Plan
from engine.asking.scenarios import ScenarioPool
from engine.definitions.effort import Level
from engine.domain.model import Length, Model, Pole
from engine.domain.samples import Exemplar, Row, Scenario
from engine.errors import InputError
from engine.report.wording import EXPLANATIONS
from engine.screening.screener import Screener
from engine.store.layout import PROPOSED
from engine.store.proposals import Decision, correct_rows, list_decided, read_decisions, read_rows, sum_up
from engine.store.store import StoredSet
from engine.text.formatting import join_words, name_reason
from engine.text.language import decide_language
from engine.text.words import count_words

# As the gate has it.
MAX_CHARACTERS = 20_000


def explain_rejection(model: Model, stored: StoredSet, sample_id: int, text: str) -> str:
    """Explains why a text cannot take the place of a proposed one; empty where it can.

    It is held against the rules that ask no model, and all texts that it would stand beside, as a model's reply is. Its
    length is bound by those of the proposal. The gate, with the author's own rules, comes when the set is attached.
    ``model`` has all that the store has of it by now.

    Raises:
        InputError: the proposal has no such sample. StoreError: it cannot be read.
    """
    rows, counted = read_rows(stored, PROPOSED), sum_up(read_decisions(stored))
    own = next((row for row in rows if row["id"] == sample_id), None)
    if own is None:
        raise InputError(f"The proposal of run {stored.run_id} has no sample {sample_id}. Its report shows the ids")
    unchanged = f"The text of sample {sample_id} stays as it was, since"
    if gone := {row["trait"] for row in rows} - {trait.key for trait in model.traits}:
        return f"{unchanged} its model has no trait {join_words(sorted(gone))} any more. Put it back, or reject the set"
    outside = {*list_decided(counted, "refuse"), sample_id}
    beside = correct_rows(stored.handle, [row for row in rows if row["id"] not in outside], counted)
    words, manifest = [count_words(row["text"] or "") for row in rows], stored.manifest
    lengths = (Length("as proposed", min(words), max(words)),)
    pool, level = ScenarioPool("", (), (), model.scenarios.forms, lengths), Level(**manifest["inputs"]["level"])
    # As much of the plan as the rules look at; the proposal's own texts are those beside it.
    plan = Plan("", replace(model, proposed=()), manifest["synth_type"], level, pool, 0, decide_language(model))
    screener = Screener(plan, use_lengths=False)
    items = [_make_exemplar(row, str(row["text"]), order) for order, row in enumerate(beside)]
    ruled = screener.apply_rules([_make_exemplar(own, text, len(items))])
    [*_, found] = screener.compare([*items, *ruled])
    if found.reason is None:
        return ""
    why = f"{name_reason(found.reason)}. {EXPLANATIONS[found.reason]} Found: {found.detail}"
    return f"{unchanged} the new one breaks a rule, {why}"


def apply_corrections(
    stored: StoredSet, standing: Sequence[Row], decisions: Sequence[Decision]
) -> tuple[list[Row], dict[str, Any]]:
    """The rows that stand with their corrected texts, and what the manifest says of them, where there are any.

    ``corrected`` has the id of each, and the one that it ``was`` proposed under; ``decisions`` have who, when and text.
    """
    rows = correct_rows(stored.handle, standing, sum_up(decisions))
    changed = [
        {"id": row["id"], "was": was["id"]} for row, was in zip(rows, standing, strict=True) if row["id"] != was["id"]
    ]
    return rows, {"corrected": changed} if changed else {}


def _make_exemplar(row: Row, text: str, order: int) -> Exemplar:
    pole: Pole = "positive" if row["pole"] == "positive" else "negative"
    scenario = Scenario(**json.loads(row["scenario"]))
    seed, name = row["seed_sha256"], str(row["id"])
    return Exemplar(name, 0, order, row["trait"], pole, scenario, row["pair_id"] or "", text, None, seed_sha256=seed)
