"""Examines models by their definitions, manifests and verdicts. What cannot be read is a finding of its model."""

import itertools
import json
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, get_args

from engine.axis.reference_axis import fit_reference_axes
from engine.catalogue.condition import Counts, Finding, LastRun, ModelCondition, TraitCondition
from engine.choosing.probe import MIN_AUC
from engine.definitions.lifecycle import read_lifecycle
from engine.definitions.loader import has_model, list_handles, load_model
from engine.definitions.repeated_seeds import settle_seeds
from engine.domain.model import POLES, Model, Pool, is_handle
from engine.errors import InputError, NoTraitsError, StoreError
from engine.store.layout import VERDICT
from engine.store.sample_set import read_manifest
from engine.store.store import UNREADABLE, StoredSet, is_altered, locate_pool, translate_errors
from engine.system.filesystem import list_folders, read_bytes
from engine.text.embedding import SentenceEncoder, Vectors
from engine.text.language import decide_language

# From this cosine on, 37° and less, two thirds of what one axis measures (the square) are what the other does. Traits
# of one model that were written to be two had .13 to .61.
ONE_THING = 0.8
VERIFY = "exemplars verify"
# Of fewer samples a pole in its set nothing is said of how they are told apart.
MIN_TEXTS = 8
# Sets that are named one by one.
MOST_SETS = 5


@dataclass(slots=True)
class _Found:
    """What was found of one model so far: its sets, oldest first, what their verdicts say, and what is broken."""

    handle: str
    sets: dict[Pool, list[StoredSet]] = field(default_factory=dict)
    verdicts: dict[str, dict[str, Any]] = field(default_factory=dict)
    faults: list[Finding] = field(default_factory=list)

    def choose(self, *pools: Pool, status: str = "attached") -> list[StoredSet]:
        return [item for pool in pools for item in self.sets[pool] if item.status == status]

    @contextmanager
    def noting(self, *commands: str) -> Iterator[None]:
        """Notes what cannot be read, with the commands that say more or mend it."""
        try:
            yield
        except (InputError, StoreError) as error:
            self.faults.append(Finding("broken", str(error), commands))


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
    found = _Found(handle)
    for pool in get_args(Pool):
        found.sets[pool] = list(_walk_sets(found, samples_uri, pool))
    model, state = _load(found, models_uri)
    every = [item for sets in found.sets.values() for item in sets]
    for item in every:
        # ``exemplars verify`` tells of one that cannot be read.
        with suppress(OSError, ValueError):
            verdict = json.loads(read_bytes(item.file(VERDICT))) if VERDICT in item.manifest.get("files", {}) else {}
            found.verdicts[item.run_id] = verdict if isinstance(verdict, dict) else {}
        if item.status == "attached" and is_altered(item):
            said = f"The samples of run {item.run_id} were altered since they were written"
            found.faults.append(Finding("broken", said, (VERIFY, f"exemplars detach {item.run_id}")))
    costs = [usd for item in found.verdicts.values() if (usd := (item.get("cost") or {}).get("usd")) is not None]
    return ModelCondition(
        handle=handle,
        state=state,
        traits=tuple(_list_traits(model, found)) if model else (),
        alike=tuple(_list_alike(model)) if model else (),
        last=_find_last(every, found),
        proposed=tuple(item.run_id for item in found.choose(*found.sets, status="proposed")),
        sets=len(found.choose(*found.sets)),
        cost_usd=math.fsum(costs) if costs else None,
        faults=tuple(found.faults),
    )


def count_samples(sets: Iterable[StoredSet]) -> dict[str, Counts]:
    """Counts the samples of some sets by trait key, by their manifests."""
    counts: dict[str, Counts] = {}
    for stored in sets:
        for trait, poles in stored.manifest.get("counts", {}).items():
            counts[trait] = counts.get(trait, Counts()) + Counts(*(int(poles.get(pole, 0)) for pole in POLES))
    return counts


def _walk_sets(found: _Found, samples_uri: str, pool: Pool) -> Iterator[StoredSet]:
    """The sets of a pool, each read by itself: one that cannot be read is broken, and the others count."""
    parent, read = locate_pool(samples_uri, found.handle, pool), list[StoredSet]()
    with found.noting(VERIFY), translate_errors(samples_uri, "Permit reading it"):
        for name in list_folders(parent):
            with found.noting(VERIFY):
                if name.startswith("run=") and (manifest := read_manifest(f"{parent}/{name}")) is not None:
                    read.append(StoredSet(f"{parent}/{name}", manifest, written=False))
    yield from sorted(read, key=lambda stored: (str(stored.manifest.get("created_at", "")), stored.folder))


def _load(found: _Found, models_uri: str) -> tuple[Model | None, str]:
    """Loads a model and its state; without a model, its fault says why."""
    handle, state = found.handle, "unknown"
    with found.noting(f"exemplars plan {handle}"):
        if not has_model(models_uri, handle):
            runs = [item.run_id for item in found.choose(*found.sets)]
            said = "The store has sets of it, and the catalogue no such model. Bring its folder back, or take them off"
            detach = tuple(f"exemplars detach {run}" for run in runs[:MOST_SETS])
            found.faults += [Finding("broken", said, detach)] if runs else []
            return None, state
        with found.noting(f"exemplars plan {handle}"):
            state = read_lifecycle(models_uri, handle).state
        try:
            return settle_seeds(load_model(models_uri, handle)), state
        except NoTraitsError as error:
            found.faults.append(Finding("empty", str(error), (f"exemplars plan {handle}",)))
    return None, state


def _list_traits(model: Model, found: _Found) -> Iterator[TraitCondition]:
    attached, held_out = count_samples(found.choose("train")), count_samples(found.choose("eval"))
    aucs: dict[str, float | None] = {}
    for stored in found.choose("train"):
        counts, probes = count_samples([stored]), found.verdicts.get(stored.run_id, {}).get("probe") or {}
        aucs |= {
            trait: probe.get("auc")
            for trait, probe in probes.items()
            if min(map(counts.get(trait, Counts()).at, POLES)) >= MIN_TEXTS
        }
    for trait in model.traits:
        poles = [[seed.pole for seed in model.seeds if seed.trait == trait.key].count(pole) for pole in POLES]
        yield TraitCondition(
            key=trait.key,
            name=trait.name,
            type=trait.type,
            labels={pole: trait.label(pole) for pole in POLES},
            authored=Counts(*poles),
            attached=attached.get(trait.key, Counts()),
            held_out=held_out.get(trait.key, Counts()),
            auc=aucs.get(trait.key),
        )


def _list_alike(model: Model) -> Iterator[tuple[str, str, float]]:
    """The names of traits whose axes, fit to their seeds, say one thing, and the cosine as of very many seeds.

    What pairs of seeds have in common is taken without those of a seed with itself, which few seeds have many of (the
    unbiased estimate of MMD² with a linear kernel: Gretton et al. 2012, lemma 6).
    """
    if len(model.traits) < 2 or not decide_language(model).encoder_has_say:
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


def _find_last(every: Iterable[StoredSet], found: _Found) -> LastRun | None:
    newest = max(every, key=lambda stored: str(stored.manifest.get("created_at", "")), default=None)
    if newest is None:
        return None
    failed = found.verdicts.get(newest.run_id, {}).get("failed") or [""]
    turned_down = newest.status == "rejected" and newest.manifest.get("review")
    return LastRun(
        run_id=newest.run_id,
        status="turned down" if turned_down else newest.status,
        at=_read_date(newest.manifest.get("created_at")),
        synth_type=str(newest.manifest.get("synth_type", "")),
        effort=newest.manifest.get("effort"),
        said=str(turned_down.get("why", "")) if turned_down else str(failed[0]),
    )


def _read_date(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text)).astimezone(UTC)
    except ValueError:
        return None
