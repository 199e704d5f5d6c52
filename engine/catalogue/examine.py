"""Examines models by their definitions, manifests and verdicts. What cannot be read is a finding of its model."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

from engine.asking.existing_sets import list_outdated
from engine.axis.reference_axis import fit_reference_axes
from engine.catalogue.condition import Finding, ModelCondition, PastRun, TraitCondition
from engine.choosing.probe import MIN_AUC
from engine.definitions.lifecycle import read_lifecycle
from engine.definitions.loader import has_model, list_handles, load_model
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

# From this cosine on, 37° and less, two thirds of what one axis measures (the square) are what the other does. Traits
# of one model that were written to be two had .13 to .61.
ONE_THING = 0.8
VERIFY = "exemplars verify"
# Sets that are named one by one.
MOST_SETS = 5

Verdicts = Mapping[str, Mapping[str, Any]]


def list_all_handles(models_uri: str, samples_uri: str) -> list[str]:
    """The handles of the catalogue, and those of which only the store has sets, sorted.

    Raises:
        StoreError: one of the two cannot be listed.
    """
    with translate_errors(samples_uri, UNREADABLE):
        stored = [name.removeprefix("handle=") for name in list_folders(samples_uri) if "handle=" in name]
    return sorted({*list_handles(models_uri), *filter(is_handle, stored)})


def examine_model(models_uri: str, samples_uri: str, handle: str) -> ModelCondition:
    """Examines one model; what is wrong with it becomes a finding, and raises nothing that was foreseen."""
    faults: list[Finding] = []
    sets: list[StoredSet] = []
    with _noting(faults, VERIFY):
        sets = list_all(samples_uri, handle)
    attached = [item for item in sets if item.status == "attached"]
    train = [item for item in attached if item.manifest["pool"] == "train"]
    verdicts = {item.run_id: _read_verdict(item) for item in sets}
    model, state = _load(models_uri, handle, [item.run_id for item in attached], faults)
    for item in filter(is_altered, attached):
        said = f"The samples of run {item.run_id} were altered since they were written"
        faults.append(Finding("broken", said, (VERIFY, f"exemplars detach {item.run_id}")))
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
def _noting(faults: list[Finding], *commands: str) -> Iterator[None]:
    """Notes what cannot be read, with the commands that say more or mend it."""
    try:
        yield
    except (InputError, StoreError) as error:
        faults.append(Finding("broken", str(error), commands))


def _read_verdict(stored: StoredSet) -> Mapping[str, Any]:
    with suppress(OSError, ValueError, StoreError):
        return read_document(stored, VERDICT)
    return {}


def _load(models_uri: str, handle: str, runs: Sequence[str], faults: list[Finding]) -> tuple[Model | None, str]:
    """Loads a model and its state; without a model, a fault says why. ``runs`` are those of its attached sets."""
    state, plan = "unknown", f"exemplars plan {handle}"
    with _noting(faults, plan):
        if not has_model(models_uri, handle):
            said = "The store has sets of it, and the catalogue no such model. Bring its folder back, or take them off"
            detach = tuple(f"exemplars detach {run}" for run in runs[:MOST_SETS])
            faults += [Finding("broken", said, detach)] if runs else []
            return None, state
        with _noting(faults, plan):
            state = read_lifecycle(models_uri, handle).state
        try:
            return load_model(models_uri, handle), state
        except NoTraitsError as error:
            faults.append(Finding("empty", str(error), (plan,)))
    return None, state


def _list_traits(model: Model, train: Sequence[StoredSet], verdicts: Verdicts) -> Iterator[TraitCondition]:
    counts = [stored.manifest.get("counts", {}) for stored in train]
    for trait in model.traits:
        authored = [seed.pole for seed in model.seeds if seed.trait == trait.key]
        probes = [(verdicts[item.run_id].get("probe") or {}).get(trait.key) or {} for item in train]
        last: Mapping[str, Any] = next(
            (probe for probe in reversed(probes) if probe.get("inseparable") or probe.get("auc") is not None), {}
        )
        yield TraitCondition(
            key=trait.key,
            name=trait.name,
            labels={pole: trait.label(pole) for pole in POLES},
            authored={pole: authored.count(pole) for pole in POLES},
            attached={pole: sum(int(each.get(trait.key, {}).get(pole, 0)) for each in counts) for pole in POLES},
            auc=last.get("auc"),
            inseparable=last.get("inseparable", ""),
        )


def _list_alike(model: Model) -> Iterator[tuple[str, str, float]]:
    """The names of traits whose axes, fit to their seeds, say one thing, and the cosine as of very many seeds.

    What pairs of seeds have in common is taken without those of a seed with itself, which few seeds have many of (the
    unbiased estimate of MMD² with a linear kernel: Gretton et al. 2012, lemma 6).
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
    for (one, near), (other, beside) in itertools.combinations(sides.items(), 2):
        squares = [_square_apart(above, below) for above, below in (near, beside)]
        if min(squares) > 0:
            apart = [above.mean(axis=0) - below.mean(axis=0) for above, below in (near, beside)]
            cosine = max(-1.0, min(1.0, float(apart[0] @ apart[1]) / math.sqrt(math.prod(squares))))
            if abs(cosine) >= ONE_THING:
                yield model.trait(one).name, model.trait(other).name, round(cosine, 2)


def _square_apart(above: Vectors, below: Vectors) -> float:
    """The square of how far the means of two groups lie apart, without chance."""
    own = 0.0
    for group in (above, below):
        total = group.sum(axis=0)
        own += (float(total @ total) - len(group)) / (len(group) * (len(group) - 1))
    return own - 2 * float(above.mean(axis=0) @ below.mean(axis=0))


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
        said=str(turned_down.get("why", "")) if turned_down else str(failed[0]),
        written_at=written,
        attached_at=attached if stored.status == "attached" else None,
        samples=count_stored([stored]),
        cost_usd=(verdict.get("cost") or {}).get("usd"),
    )
