"""Check a person's correction of a proposed text by the rules for all texts, and apply corrections."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from engine.asking.plan import Plan
from engine.asking.scenarios import ScenarioPool
from engine.definitions.effort import Level
from engine.domain.definition import Length, Pole
from engine.domain.model import Model
from engine.domain.samples import Exemplar, Row, Scenario
from engine.errors import InputError
from engine.rules.rules import RULES_BY_CODE
from engine.screening.screener import Screener
from engine.store.layout import PROPOSED
from engine.store.proposals import Decision, correct_rows, list_decided, read_decisions, read_rows, sum_up
from engine.store.store import StoredSet
from engine.text.formatting import join_words, name_reason
from engine.text.language import decide_language
from engine.text.words import count_words

# The gate's limit of a text.
MAX_CHARACTERS = 20_000


def explain_rejection(model: Model, stored: StoredSet, sample_id: int, text: str) -> str:
    """Explain why a text cannot replace a proposed one; empty if it can.

    As for a model's reply, the rules that call no model check the text, also against all other texts of the set. Its
    length must be within the lengths of the proposal. The gate checks it, with the author's own rules, when the set is
    attached. ``model`` has all samples that the store has now.

    Raises:
        InputError: the proposal has no such sample. StoreError: the proposal cannot be read.
    """
    rows, counted = read_rows(stored, PROPOSED), sum_up(read_decisions(stored))
    sample = next((row for row in rows if row["id"] == sample_id), None)
    if sample is None:
        raise InputError(f"The proposal of run {stored.run_id} has no sample {sample_id}. Its report shows the ids")
    unchanged = f"The text of sample {sample_id} stays as it was, since"
    if missing := {row["trait"] for row in rows} - {trait.key for trait in model.traits}:
        return (
            f"{unchanged} its model has no trait {join_words(sorted(missing))} any more. Put it back, or reject the set"
        )
    excluded = {*list_decided(counted, "refuse"), sample_id}
    others = correct_rows(stored.handle, [row for row in rows if row["id"] not in excluded], counted)
    words, manifest = [count_words(row["text"] or "") for row in rows], stored.manifest
    lengths = (Length("as proposed", min(words), max(words)),)
    pool, level = ScenarioPool("", (), (), model.scenarios.forms, lengths), Level(**manifest["inputs"]["level"])
    # Only the parts of the plan that the rules use; the proposal's other texts are ``others``.
    model = replace(model, existing=replace(model.existing, proposed=()))
    plan = Plan("", model, manifest["synth_type"], level, pool, 0, decide_language(model))
    screener = Screener(plan, use_lengths=False)
    items = [_make_exemplar(row, str(row["text"]), order) for order, row in enumerate(others)]
    checked = screener.apply_rules([_make_exemplar(sample, text, len(items))])
    [*_, result] = screener.compare([*items, *checked])
    if result.reason is None:
        return ""
    why = f"{name_reason(result.reason)}. {RULES_BY_CODE[result.reason].explanation} Found: {result.detail}"
    return f"{unchanged} the new one breaks a rule, {why}"


def apply_corrections(
    stored: StoredSet, remaining: Sequence[Row], decisions: Sequence[Decision]
) -> tuple[list[Row], dict[str, Any]]:
    """Return the remaining rows with their corrected texts, and the manifest's entry about corrections, empty if none.

    ``corrected`` has each new id and the proposed id (``was``); ``decisions`` contain the person, time and text.
    """
    rows = correct_rows(stored.handle, remaining, sum_up(decisions))
    changed = [
        {"id": row["id"], "was": was["id"]} for row, was in zip(rows, remaining, strict=True) if row["id"] != was["id"]
    ]
    return rows, {"corrected": changed} if changed else {}


def _make_exemplar(row: Row, text: str, order: int) -> Exemplar:
    pole: Pole = "positive" if row["pole"] == "positive" else "negative"
    scenario = Scenario(**json.loads(row["scenario"]))
    seed, name = row["seed_sha256"], str(row["id"])
    return Exemplar(name, 0, order, row["trait"], pole, scenario, row["pair_id"] or "", text, None, seed_sha256=seed)
