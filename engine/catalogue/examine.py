"""Examine models by their definitions, manifests and verdicts. A file that cannot be read becomes a finding."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from engine.asking.existing_sets import list_outdated
from engine.axis.reference_axis import fit_reference_axes
from engine.catalogue.condition import ModelCondition, ModelFinding, PastRun, TraitCondition
from engine.choosing.probe import MIN_AUC
from engine.definitions.lifecycle import read_lifecycle
from engine.definitions.loader import has_model, list_handles, load_model
from engine.domain.finding import read_findings
from engine.domain.model import POLES, Model, is_handle
from engine.errors import InputError, NoTraitsError, StoreError
from engine.store.changes import is_altered
from engine.store.layout import VERDICT
from engine.store.proposals import list_all
from engine.store.sample_set import ATTACHED_NS, WRITTEN_NS
from engine.store.store import UNREADABLE, StoredSet, count_stored, read_document, translate_errors
from engine.system.filesystem import list_folders
from engine.text.embedding import SentenceEncoder, Vectors
from engine.text.language import decide_language

# From this cosine (an angle of 37° or less), two axes share two thirds (its square) of what they measure. Traits of one
# model that were written to differ had .13 to .61.
SAME_AXIS = 0.8
VERIFY = "exemplars verify"
# Maximum number of sets that a finding names.
MAX_SETS = 5

Verdicts = Mapping[str, Mapping[str, Any]]


def list_all_handles(models_uri: str, samples_uri: str) -> list[str]:
    """Return the handles of the catalogue, and the handles that only the store has sets of, sorted.

    Raises:
        StoreError: the catalogue or the store cannot be listed.
    """
    with translate_errors(samples_uri, UNREADABLE):
        stored = [name.removeprefix("handle=") for name in list_folders(samples_uri) if "handle=" in name]
    return sorted({*list_handles(models_uri), *filter(is_handle, stored)})


def examine_model(models_uri: str, samples_uri: str, handle: str) -> ModelCondition:
    """Examine one model. Its mistakes and damaged files become findings and raise no error."""
    faults: list[ModelFinding] = []
    sets: list[StoredSet] = []
    with _collect_faults(faults, VERIFY):
        sets = list_all(samples_uri, handle)
    attached = [item for item in sets if item.status == "attached"]
    train = [item for item in attached if item.manifest["pool"] == "train"]
    verdicts = {item.run_id: _read_verdict(item) for item in sets}
    model, state = _load(models_uri, handle, [item.run_id for item in attached], faults)
    for item in filter(is_altered, attached):
        message = f"The samples of run {item.run_id} were altered since they were written"
        faults.append(ModelFinding("broken", message, (VERIFY, f"exemplars detach {item.run_id}")))
    return ModelCondition(
        handle=handle,
        state=state,
        traits=tuple(_list_traits(model, train, verdicts)) if model else (),
        alike=tuple(_list_alike(model)) if model else (),
        proposed=tuple(item.run_id for item in sets if item.status == "proposed"),
        sets=len(train),
        set_aside=count_stored([item for item in attached if item.manifest["pool"] != "train"]),
        older_samples=count_stored(list_outdated(train, model)) if model else 0,
        runs=tuple(_describe_run(item, verdicts[item.run_id]) for item in sets),
        faults=tuple(faults),
    )


@contextmanager
def _collect_faults(faults: list[ModelFinding], *commands: str) -> Iterator[None]:
    """Add an error to ``faults``, with commands that explain or fix it."""
    try:
        yield
    except (InputError, StoreError) as error:
        faults.append(ModelFinding("broken", str(error), commands))


def _read_verdict(stored: StoredSet) -> Mapping[str, Any]:
    with suppress(OSError, ValueError, StoreError):
        return read_document(stored, VERDICT)
    return {}


def _load(models_uri: str, handle: str, runs: Sequence[str], faults: list[ModelFinding]) -> tuple[Model | None, str]:
    """Load a model and its state. If there is no model, add a fault. ``runs`` are the runs of its attached sets."""
    state, plan = "unknown", f"exemplars plan {handle}"
    with _collect_faults(faults, plan):
        if not has_model(models_uri, handle):
            message = "The store has sets of a model that the catalogue lacks. Restore its folder, or detach the sets"
            detach = tuple(f"exemplars detach {run}" for run in runs[:MAX_SETS])
            faults += [ModelFinding("broken", message, detach)] if runs else []
            return None, state
        with _collect_faults(faults, plan):
            state = read_lifecycle(models_uri, handle).state
        try:
            return load_model(models_uri, handle), state
        except NoTraitsError as error:
            faults.append(ModelFinding("empty", str(error), (plan,)))
    return None, state


def _list_traits(model: Model, train: Sequence[StoredSet], verdicts: Verdicts) -> Iterator[TraitCondition]:
    counts = [stored.manifest.get("counts", {}) for stored in train]
    for trait in model.traits:
        authored = [seed.pole for seed in model.seeds if seed.trait == trait.key]
        probes = [_read_probe(verdicts[item.run_id], trait.key) for item in reversed(train)]
        auc, inseparable = next((probe for probe in probes if probe != (None, "")), (None, ""))
        yield TraitCondition(
            key=trait.key,
            name=trait.name,
            labels={pole: trait.label(pole) for pole in POLES},
            authored={pole: authored.count(pole) for pole in POLES},
            attached={pole: sum(int(each.get(trait.key, {}).get(pole, 0)) for each in counts) for pole in POLES},
            auc=auc,
            inseparable=inseparable,
        )


def _read_probe(verdict: Mapping[str, Any], trait: str) -> tuple[float | None, str]:
    """Return the AUC of a trait in a set, and the finding that its poles are hardly or not separated."""
    codes = ("inseparable", "hardly_separated")
    findings = [item for item in read_findings(verdict) if item.code in codes and item.trait == trait]
    sentences = str(replace(findings[0], trait=None)) if findings else ""
    return ((verdict.get("probe") or {}).get(trait) or {}).get("auc"), sentences


def _list_alike(model: Model) -> Iterator[tuple[str, str, float]]:
    """Yield the names of two traits with axes, fit to their seeds, that measure the same, and the axes' cosine.

    The cosine estimates that of very many seeds: it leaves out the product of each seed with itself, which weighs much
    if there are few seeds (the unbiased estimate of MMD² with a linear kernel: Gretton et al. 2012, lemma 6).
    """
    if len(model.traits) < 2 or not decide_language(model).encoder_supports_language:
        return
    embedder = SentenceEncoder()
    axes = fit_reference_axes(model, embedder)
    sides = {
        trait.key: [embedder.embed([seed.text for seed in model.seeds_at(trait.key, pole)]) for pole in POLES]
        for trait in model.traits
        if axes[trait.key].basis == "seeds" and (axes[trait.key].auc or 0.0) >= MIN_AUC
    }
    for (one, poles), (other, other_poles) in itertools.combinations(sides.items(), 2):
        squares = [_squared_distance(positive, negative) for positive, negative in (poles, other_poles)]
        if min(squares) > 0:
            directions = [positive.mean(axis=0) - negative.mean(axis=0) for positive, negative in (poles, other_poles)]
            cosine = max(-1.0, min(1.0, float(directions[0] @ directions[1]) / math.sqrt(math.prod(squares))))
            if abs(cosine) >= SAME_AXIS:
                yield model.trait(one).name, model.trait(other).name, round(cosine, 2)


def _squared_distance(positive: Vectors, negative: Vectors) -> float:
    """Return the unbiased estimate of the squared distance between the means of two groups."""
    within = 0.0
    for group in (positive, negative):
        total = group.sum(axis=0)
        within += (float(total @ total) - len(group)) / (len(group) * (len(group) - 1))
    return within - 2 * float(positive.mean(axis=0) @ negative.mean(axis=0))


def _describe_run(stored: StoredSet, verdict: Mapping[str, Any]) -> PastRun:
    manifest = stored.manifest
    written, attached = (datetime.fromtimestamp(manifest.get(name, 0) / 1e9, UTC) for name in (WRITTEN_NS, ATTACHED_NS))
    failed = verdict.get("failed") or [""]
    turned_down = stored.status == "rejected" and manifest.get("review")
    return PastRun(
        run_id=stored.run_id,
        status="turned down" if turned_down else stored.status,
        created_at=str(manifest.get("created_at", "")),
        synth_type=str(manifest.get("synth_type", "")),
        effort=manifest.get("effort"),
        message=str(turned_down.get("why", "")) if turned_down else str(failed[0]),
        written_at=written,
        attached_at=attached if stored.status == "attached" else None,
        samples=count_stored([stored]),
        cost_usd=(verdict.get("cost") or {}).get("usd"),
    )
