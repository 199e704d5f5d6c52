"""Load ``model.yaml`` and the samples that it names into one frozen ``Model`` (the platform's contract, section 2).

A *seed* (authored sample) given twice counts once; seeds with contradicting labels do not count.
"""

import difflib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from functools import lru_cache

import pyarrow as pa

from engine.definitions.mistakes import Findings, validate_document
from engine.definitions.outline import ADDED_FILE, LABELLED_FILE, Outline, list_sources, make_outline
from engine.definitions.schema import ModelEntry
from engine.definitions.sources.entries import Source, walk_lines
from engine.definitions.sources.labelled_lines import gather_lines
from engine.definitions.sources.text_files import read_unlabelled_texts
from engine.definitions.yaml_document import parse_yaml, read_authored
from engine.domain.model import Model, Seed, Skipped, check_handle, is_handle
from engine.domain.unlabelled_texts import MAX_READ
from engine.errors import NoTraitsError, StoreError, UnknownModelError
from engine.system.filesystem import WHOLE_BYTES, find_files, list_below, list_folders, open_folder
from engine.text.formatting import join_words, name_some
from engine.text.words import drop_unseen, normalise

MODEL_FILE = "model.yaml"
SAMPLE_EXTENSIONS = (".jsonl", ".csv")
# Handles at least this similar are suggested. The limit is high, since the handles of a team share their namespace.
NEAR_HANDLE_CUTOFF = 0.7
# Maximum number of lines or texts that a message names.
MAX_NAMED = 5
MIDDLE = 0.5


def load_model(models_uri: str, handle: str) -> Model:
    """Load a model by its handle, with deduplicated seeds, without the samples that earlier runs attached.

    Raises:
        HandleError: the handle is malformed; an UnknownModelError, with similar handles, if no model has it.
        NoTraitsError: ``traits`` is ``discover`` instead of a list.
        DefinitionError: there are mistakes in ``model.yaml`` or its sources; the error carries all of them.
        StoreError: the folder cannot be read.
    """
    content = _read_definition(models_uri, handle)
    folder = locate_model(models_uri, handle)
    files = list_sample_files(folder)
    outline, findings = _parse_outline(handle, content)
    check_traits(outline)
    seeds = tuple(seed for source in list_sources(outline, files) for seed in _read_source(folder, source, findings))
    if findings.problems:
        raise findings.make_error()
    texts = read_unlabelled_texts(folder, outline.text_sources)
    named, why = outline.name_files() | {LABELLED_FILE, ADDED_FILE}, "no entry of `sources` in model.yaml names it"
    skipped = [*findings.skipped, *(Skipped(f"{handle}/{name}", why) for name in files if name not in named)]
    if sum(file.texts for file in texts.files) == MAX_READ:
        skipped.append(Skipped("sources of the type texts", f"the first {MAX_READ:,} texts are read, and no more"))
    shared = {item.name: getattr(outline, item.name) for item in fields(Model) if item.init}
    return deduplicate_seeds(Model(**shared | {"seeds": seeds, "texts": texts, "skipped": tuple(skipped)}))


def load_outline(models_uri: str, handle: str, document: str | None = None) -> Outline:
    """Load a model's definition without reading its sources; the outline may have no traits.

    Args:
        document: text to read instead of its ``model.yaml``, such as an earlier version.

    Raises:
        HandleError, DefinitionError, StoreError: as ``load_model``.
    """
    return _read_outline(handle, document.encode() if document else _read_definition(models_uri, handle))


def check_traits(outline: Outline) -> None:
    """Check that a model has traits to synthesize from.

    Raises:
        NoTraitsError: ``traits`` is ``discover`` instead of a list.
    """
    if not outline.traits:
        raise NoTraitsError(
            f"{outline.handle}/{MODEL_FILE}: traits is 'discover', so there are no trait definitions to synthesize "
            "from. Write the traits as a list, each with type, key and description"
        )


def deduplicate_seeds(model: Model) -> Model:
    """Return the model with at most one seed per text and trait; all further ones are listed in ``skipped``.

    Seeds of one text and trait contradict each other if their qualities lie on both sides of the middle: it is unknown
    which is right, so they become ``conflicting_labels``. Otherwise the first one counts. A text for two traits is two
    seeds.
    Texts are equal if their normal forms are. For opposite labels, case and punctuation must be equal too,
    since the trait may be about them.
    """
    groups = _group(model.seeds)
    conflicting_labels = [group for group in groups.values() if _contradict(group)]
    doubled = [group for group in groups.values() if len(group) > 1 and not _contradict(group)]
    return replace(
        model,
        seeds=tuple(group[0] for group in groups.values() if not _contradict(group)),
        conflicting_labels=tuple(seed for group in conflicting_labels for seed in group),
        skipped=(
            *model.skipped,
            *_skip(conflicting_labels, "labelled for both poles, so it is not used"),
            *_skip(doubled, "listed more than once, so the first counts"),
        ),
    )


def list_handles(models_uri: str, namespace: str | None = None) -> list[str]:
    """Return the sorted handles of a catalogue or of one namespace: folders with a ``model.yaml``.

    Raises:
        StoreError: the catalogue cannot be read.
    """
    try:
        handles = [name for name in list_folders(models_uri) if is_handle(name)]
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"The models {models_uri} cannot be listed: {error}") from error
    requested = [name for name in handles if namespace is None or name.split(".", 1)[0] == namespace]
    return [path.partition("/")[0] for path in find_files(models_uri, [f"{name}/{MODEL_FILE}" for name in requested])]


def has_model(models_uri: str, handle: str) -> bool:
    """Return whether a model with that handle exists, even if its definition has mistakes.

    Raises:
        StoreError: the catalogue cannot be read.
    """
    return bool(find_files(models_uri, [f"{handle}/{MODEL_FILE}"]))


def locate_model(models_uri: str, handle: str) -> str:
    """Return the folder of a model."""
    return f"{models_uri.rstrip('/')}/{handle}"


def list_sample_files(folder_uri: str) -> list[str]:
    """Return the sorted names of files directly in a model's folder that may hold authored samples.

    Raises:
        StoreError: the folder cannot be read.
    """
    try:
        infos = list_below(*open_folder(folder_uri))
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"{folder_uri} cannot be listed: {error}") from error
    return sorted(info.base_name for info in infos if info.is_file and info.base_name.endswith(SAMPLE_EXTENSIONS))


def _read_definition(models_uri: str, handle: str) -> bytes:
    check_handle(handle)
    content = read_authored(models_uri, handle, MODEL_FILE)
    if content is None:
        known = list_handles(models_uri)
        similar = difflib.get_close_matches(handle, known, cutoff=NEAR_HANDLE_CUTOFF)
        hint = f"Did you mean {' or '.join(similar)}?" if similar else f"Known models: {name_some(known) or 'none'}"
        if handle in list_folders(models_uri):
            hint = f"Its folder exists, but has no {MODEL_FILE}"
        raise UnknownModelError(f"No model {handle!r} in {models_uri}. {hint}")
    return content


# Cached by content: reading a definition takes a hundredth of the time of parsing it.
@lru_cache(maxsize=1024)
def _read_outline(handle: str, content: bytes) -> Outline:
    outline, findings = _parse_outline(handle, content)
    if findings.problems:
        raise findings.make_error()
    return outline


def _parse_outline(handle: str, content: bytes) -> tuple[Outline, Findings]:
    """Parse an outline and collect its mistakes of meaning; raise ``DefinitionError`` with all mistakes of form."""
    entry, findings = validate_document(parse_yaml(f"{handle}/{MODEL_FILE}", content), ModelEntry)
    return replace(make_outline(handle, entry, findings), document=content.decode()), findings


def _read_source(folder: str, source: Source, findings: Findings) -> list[Seed]:
    seeds, problems, empty = gather_lines(walk_lines(folder, source, buffer_bytes=WHOLE_BYTES))
    findings.problems += problems
    findings.skipped += _list_skipped_lines(source, empty)
    return seeds


def _list_skipped_lines(source: Source, lines: Sequence[int]) -> Iterator[Skipped]:
    if source.type == "file" and lines:
        more = f" and {len(lines) - MAX_NAMED:,} more" if len(lines) > MAX_NAMED else ""
        numbers = f"{'line' if len(lines) == 1 else 'lines'} {', '.join(map(str, lines[:MAX_NAMED]))}{more}"
        why = "headings and lines without letters are skipped; with `split: lines` every line is one"
        yield Skipped(f"{source.name}, {numbers}", why)


def _group(seeds: Sequence[Seed]) -> dict[tuple[str, ...], list[Seed]]:
    alike: dict[tuple[str, ...], list[Seed]] = defaultdict(list)
    for seed in seeds:
        alike[seed.trait, normalise(seed.text)].append(seed)
    groups: dict[tuple[str, ...], list[Seed]] = defaultdict(list)
    for seed in seeds:
        key: tuple[str, ...] = (seed.trait, normalise(seed.text))
        groups[(*key, drop_unseen(seed.text)) if _contradict(alike[key]) else key].append(seed)
    return groups


def _contradict(group: Sequence[Seed]) -> bool:
    qualities = [seed.quality for seed in group]
    return min(qualities) < MIDDLE < max(qualities)


def _skip(groups: Sequence[Sequence[Seed]], why: str) -> Iterator[Skipped]:
    for group in groups[:MAX_NAMED]:
        places = join_words([f"{seed.place or repr(seed.text[:40])} (quality {seed.quality:g})" for seed in group])
        yield Skipped(f"seed for {group[0].trait}", f"the same text is {why}: {places}")
    if len(groups) > MAX_NAMED:
        yield Skipped(f"{len(groups) - MAX_NAMED:,} more seeds", f"each is {why}")
