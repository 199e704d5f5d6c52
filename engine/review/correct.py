"""Checks a text that a person has written in the place of a proposed one, by the rules that hold for all texts."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from engine.asking.plan import Plan
from engine.asking.scenarios import ScenarioPool
from engine.definitions.effort import Level
from engine.definitions.loader import load_model
from engine.domain.model import Length, Model, Pole
from engine.domain.samples import Exemplar, Row, Scenario
from engine.errors import InputError
from engine.report.wording import EXPLANATIONS
from engine.screening.screener import Screener
from engine.store.earlier.samples import open_samples
from engine.store.layout import PROPOSED
from engine.store.proposals import (
    Decision,
    correct_rows,
    list_all,
    list_corrections,
    list_decided,
    read_decisions,
    read_refused,
    read_rows,
    sum_up,
)
from engine.store.store import StoredSet
from engine.text.formatting import name_reason
from engine.text.language import decide_language
from engine.text.words import count_words

# As the gate has it.
MAX_CHARACTERS = 20_000


def explain_rejection(models_uri: str, samples_uri: str, stored: StoredSet, sample_id: int, text: str) -> str:
    """Explains why a text cannot take the place of a proposed one; empty where it can.

    It is held against the rules that ask no model, and all texts that it would stand beside, as a model's reply is. Its
    length is bound by those of the proposal. The gate comes when the set is attached.

    Raises:
        InputError: the proposal has no such sample. DefinitionError, StoreError: the model or a set cannot be read.
    """
    rows, decisions = read_rows(stored, PROPOSED), read_decisions(stored)
    own = next((row for row in rows if row["id"] == sample_id), None)
    if own is None:
        raise InputError(f"The proposal of run {stored.run_id} has no sample {sample_id}. Its report shows the ids")
    refused = list_decided(sum_up(decisions), "refuse")
    others = [row for row in rows if row["id"] not in (*refused, sample_id)]
    beside = correct_rows(stored.handle, others, list_corrections(decisions))
    screener = Screener(_make_plan(_load(models_uri, samples_uri, stored), stored, rows), use_lengths=False)
    items = [_make_exemplar(row, str(row["text"]), order) for order, row in enumerate(beside)]
    ruled = screener.rules.apply([_make_exemplar(own, text, len(items))])
    [*_, found] = screener.compare([*items, *ruled])
    if found.reason is None:
        return ""
    why = f"{name_reason(found.reason)}. {EXPLANATIONS[found.reason]} Found: {found.detail}"
    return f"The text of sample {sample_id} stays as it was, since the new one breaks a rule, {why}"


def apply_corrections(
    stored: StoredSet, standing: Sequence[Row], decisions: Sequence[Decision]
) -> tuple[list[Row], dict[str, Any]]:
    """The rows that stand with their corrected texts, and what the manifest says of them, where there are any.

    ``corrected`` has the id of each, and the one that it ``was`` proposed under; ``decisions`` have who, when and text.
    """
    rows = correct_rows(stored.handle, standing, list_corrections(decisions))
    changed = [
        {"id": row["id"], "was": was["id"]} for row, was in zip(rows, standing, strict=True) if row["id"] != was["id"]
    ]
    return rows, {"corrected": changed} if changed else {}


def _load(models_uri: str, samples_uri: str, stored: StoredSet) -> Model:
    """The model with all texts that a new one may not be like, but for the proposal's own."""
    sets = list_all(samples_uri, stored.handle)
    train, held_out = (
        [item for item in sets if f"/pool={pool}/" in item.folder and item.status == "attached"]
        for pool in ("train", "eval")
    )
    model = load_model(models_uri, stored.handle)
    attached, held = open_samples(train), open_samples(held_out)
    return replace(model, attached=attached, held_out=held, refused=read_refused(sets))


def _make_plan(model: Model, stored: StoredSet, rows: Sequence[Row]) -> Plan:
    """As much of the plan as the rules look at."""
    manifest = stored.manifest
    words = [count_words(row["text"] or "") for row in rows]
    lengths = (Length("as proposed", min(words), max(words)),)
    quotas: dict[tuple[str, Pole], int] = {
        (trait, pole): count for trait, poles in manifest["counts"].items() for pole, count in poles.items()
    }
    pool = ScenarioPool("", (), (), model.scenarios.forms, lengths)
    level = Level(**manifest["inputs"]["level"])
    return Plan("", model, manifest["synth_type"], level, pool, 0, decide_language(model), quotas)


def _make_exemplar(row: Row, text: str, order: int) -> Exemplar:
    pole: Pole = "positive" if row["pole"] == "positive" else "negative"
    scenario = Scenario(**json.loads(row["scenario"]))
    seed, name = row["seed_sha256"], str(row["id"])
    return Exemplar(name, 0, order, row["trait"], pole, scenario, row["pair_id"] or "", text, None, seed_sha256=seed)
