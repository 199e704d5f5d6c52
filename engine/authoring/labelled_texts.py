"""Adds texts that an author has labelled to a model's own samples: lines of a file that its ``sources`` name.

What is added over HTTP goes to a file that programs keep (``engine/store/added_samples.py``); this one is the author's.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from engine.definitions.labelled_file import LabelledFile, check_mistakes
from engine.definitions.lifecycle import check_draft
from engine.definitions.loader import MODEL_FILE, load_model, load_outline, locate_model
from engine.definitions.outline import Outline
from engine.definitions.sources.labelled_lines import CONTENT, SOURCE_URL
from engine.definitions.yaml_document import append_entry, read_authored
from engine.domain.model import Model, Seed, Trait
from engine.errors import InputError, Problem, StoreError
from engine.system.filesystem import lock_folder, open_folder, read_inside, replace_file
from engine.text.formatting import count_noun
from engine.text.words import drop_unseen, normalise

LABELLED_FILE = "labelled.jsonl"


@dataclass(frozen=True, slots=True, repr=False)
class Addition:
    """What an addition has done, or would do.

    Args:
        file: the one that new labels go to; ``is_new_source`` if ``model.yaml`` has not named it before.
        added: how many new labels each trait has, by the label of a pole or the number between them.
        known: how many labels were there already.
        unlabelled: how many texts have none.
    """

    handle: str
    file: str
    added: Mapping[str, Mapping[str, int]]
    known: int = 0
    unlabelled: int = 0
    is_new_source: bool = False
    dry_run: bool = False

    @property
    def count(self) -> int:
        """How many labels are new."""
        return sum(sum(labels.values()) for labels in self.added.values())

    def __repr__(self) -> str:
        """What was done with the labels, in a few lines."""
        done, place = "would be added" if self.dry_run else "added", f" to {self.file}" if self.count else ""
        source = f", a new source of {MODEL_FILE}" if self.is_new_source else ""
        lines = [f"{self.handle}: {count_noun(self.count, 'label')} {done}{place}{source}"]
        for trait, labels in self.added.items():
            lines.append(f"  {trait}: {', '.join(f'{count:,} × {label}' for label, count in labels.items())}")
        lines += [f"  {count_noun(self.known, 'label')} there already"] if self.known else []
        lines += [f"  {count_noun(self.unlabelled, 'text')} without a label"] if self.unlabelled else []
        return "\n".join(lines)


def add_labelled(models_uri: str, handle: str, labelled: LabelledFile, dry_run: bool = False) -> Addition:
    """Adds labels to a model's own samples, all that are new or none; one that is there already is not added again.

    They go to the first file of ``sources`` that is JSONL and may label all these traits, else to ``LABELLED_FILE``,
    which then becomes a source.

    Args:
        labelled: labels for traits of the model.

    Raises:
        DefinitionError: a text has another label there, or twice in the file; or files of the model have mistakes.
        InputError: there is no such model, it is not a draft, or its ``model.yaml`` cannot be added to.
        StoreError: a file cannot be read or written; then nothing was added.
    """
    outline, folder = load_outline(models_uri, handle), locate_model(models_uri, handle)
    check_draft(models_uri, handle, "Nothing was added")
    with lock_folder(*open_folder(folder)):
        new = _choose_new(load_model(models_uri, handle), labelled)
        target = _find_target(outline, {seed.trait for seed in new})
        path, fields = target or (LABELLED_FILE, {trait.key: trait.key for trait in outline.traits})
        before = read_inside(folder, path) if target else b""
        definition = None if target or not new else _name_source(models_uri, outline)
        if not dry_run and new:
            gap = b"" if before.endswith(b"\n") or not before else b"\n"
            replace_file(f"{folder}/{path}", before + gap + "".join(_write_lines(new, fields)).encode())
            if definition is not None:
                _write_definition(folder, definition)
    return Addition(
        handle,
        f"{handle}/{path}",
        _count(outline.traits, new),
        len(labelled.seeds) - len(new),
        labelled.unlabelled,
        definition is not None,
        dry_run,
    )


def _choose_new(model: Model, labelled: LabelledFile) -> list[Seed]:
    """Chooses the labels that the model does not have yet, each once; texts are the same as in ``settle_seeds``.

    Raises:
        DefinitionError: a text has another label already.
    """
    standing: dict[tuple[str, str], list[Seed]] = defaultdict(list)
    for seed in model.authored:
        standing[seed.trait, normalise(seed.text)].append(seed)
    new, problems = [], []
    for seed in labelled.seeds:
        alike = standing[seed.trait, normalise(seed.text)]
        form = drop_unseen(seed.text)
        # Case and punctuation may be what the trait is about.
        contrary = [other for other in alike if other.quality != seed.quality and drop_unseen(other.text) == form]
        if contrary:
            problems.append(_explain_conflict(model.trait(seed.trait), seed, contrary[0]))
        elif all(other.quality != seed.quality for other in alike):
            alike.append(seed)
            new.append(seed)
    check_mistakes(labelled.name, problems)
    return new


def _explain_conflict(trait: Trait, seed: Seed, other: Seed) -> Problem:
    file, _, line = seed.place.rpartition(":")
    found = f"{_name_label(trait, seed)!r}, where {other.place} has {_name_label(trait, other)!r} for the same text"
    return Problem(file, int(line), trait.key, found, "one label a text. Change one of the two, or take it out")


def _find_target(outline: Outline, traits: set[str]) -> tuple[str, Mapping[str, str]] | None:
    """Finds the source that labels of these traits are written to: its path, and the field of each trait."""
    for source in outline.sources:
        if source.type == "jsonl" and traits <= source.trait_keys:
            return source.path, {trait.key: field for field, trait in source.mapping.items() if trait}
    return None


def _name_source(models_uri: str, outline: Outline) -> bytes:
    """Writes ``model.yaml`` with ``LABELLED_FILE`` as a further source.

    Raises:
        InputError: there is such a file already, or only the author can add an entry.
    """
    entry = {"type": "jsonl", "path": LABELLED_FILE}
    by_hand = f"Write '- {{type: jsonl, path: {LABELLED_FILE}}}' into its `sources` yourself"
    if read_authored(models_uri, outline.handle, LABELLED_FILE) is not None:
        raise InputError(
            f"{outline.handle}/{LABELLED_FILE} is there, but {MODEL_FILE} does not name it as a source of all these "
            f"traits. {by_hand}, or give the file another name. Nothing was added"
        )
    name, content = f"{outline.handle}/{MODEL_FILE}", read_authored(models_uri, outline.handle, MODEL_FILE)
    edited = append_entry(name, content or b"", "sources", entry)
    if edited is None:
        raise InputError(
            f"{name} is written so that no source can be added to it without changing more. {by_hand}, with an empty "
            f"file of that name beside it. Nothing was added"
        )
    return edited


def _write_definition(folder: str, definition: bytes) -> None:
    """Writes ``model.yaml`` after the file that it names, so that no reader meets a source without its file."""
    try:
        replace_file(f"{folder}/{MODEL_FILE}", definition)
    except StoreError:
        filesystem, path = open_folder(f"{folder}/{LABELLED_FILE}")
        filesystem.delete_file(path)
        raise


def _write_lines(seeds: Sequence[Seed], fields: Mapping[str, str]) -> Iterator[str]:
    """Writes the labels of one line of the table as one line of JSON."""
    lines: dict[str, dict[str, object]] = {}
    for seed in seeds:
        line = lines.setdefault(seed.place, {CONTENT: seed.text})
        if seed.source_url is not None:
            line[SOURCE_URL] = seed.source_url
        line[fields[seed.trait]] = seed.quality
    return (json.dumps(line, ensure_ascii=False) + "\n" for line in lines.values())


def _count(traits: Sequence[Trait], seeds: Sequence[Seed]) -> Mapping[str, Mapping[str, int]]:
    counts = {
        trait.key: Counter(_name_label(trait, seed) for seed in seeds if seed.trait == trait.key) for trait in traits
    }
    return {key: dict(labels) for key, labels in counts.items() if labels}


def _name_label(trait: Trait, seed: Seed) -> str:
    return trait.label(seed.pole) if seed.pole else f"{seed.quality:g}"
