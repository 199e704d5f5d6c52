"""Add an author's labelled texts to the authored samples of a model, as lines of one of its source files.

Additions over HTTP go to a file that programs maintain (``engine/store/added_samples.py``); this file is the author's.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

from engine.definitions.labelled_file import LabelledFile, check_mistakes
from engine.definitions.lifecycle import check_draft
from engine.definitions.loader import MODEL_FILE, load_model, load_outline, locate_model
from engine.definitions.outline import LABELLED_FILE, Outline, make_added_source
from engine.definitions.sources.entries import Source
from engine.definitions.yaml_document import read_authored
from engine.domain.definition import Trait
from engine.domain.model import Model, Seed
from engine.errors import InputError, Problem
from engine.store.added_samples import append_lines
from engine.system.filesystem import lock_folder, open_folder
from engine.text.formatting import count_noun
from engine.text.words import drop_unseen, normalise


@dataclass(frozen=True, slots=True, repr=False)
class Addition:
    """Result of an addition or of its dry run.

    Args:
        file: the file for the new labels; ``is_new_source`` is true if it is created for them.
        added: numbers of new labels by trait key, then by the label of a pole or the quality between the poles.
        known: number of labels that the model had already.
        unlabelled: number of texts without a label.
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
        """Number of new labels."""
        return sum(sum(labels.values()) for labels in self.added.values())

    def __repr__(self) -> str:
        """Return a summary of the addition in a few lines."""
        done, place = "would be added" if self.dry_run else "added", f" to {self.file}" if self.count else ""
        lines = [f"{self.handle}: {count_noun(self.count, 'label')} {done}{place}"]
        for trait, labels in self.added.items():
            lines.append(f"  {trait}: {', '.join(f'{count:,} × {label}' for label, count in labels.items())}")
        lines += [f"  {count_noun(self.known, 'label')} there already"] if self.known else []
        lines += [f"  {count_noun(self.unlabelled, 'text')} without a label"] if self.unlabelled else []
        return "\n".join(lines)


def add_labelled(models_uri: str, handle: str, labelled: LabelledFile, dry_run: bool = False) -> Addition:
    """Add all new labels to a model's authored samples, or none on an error; labels that it has already are skipped.

    They go to the first JSONL file of ``sources`` that may label all these traits, else to ``LABELLED_FILE``, which
    needs no entry there.

    Args:
        labelled: labels for traits of the model.

    Raises:
        DefinitionError: a text has another label in the model or in the file, or files of the model have mistakes.
        InputError: the model does not exist or is not a draft, or none of its files may hold these labels.
        StoreError: a file cannot be read or written; nothing was added.
    """
    outline = load_outline(models_uri, handle)
    check_draft(models_uri, handle, "Nothing was added")
    with lock_folder(*open_folder(locate_model(models_uri, handle))):
        new = _choose_new(load_model(models_uri, handle), labelled)
        target = _find_target(outline, {seed.trait for seed in new})
        is_new_source = read_authored(models_uri, handle, target.path) is None and bool(new)
        if not dry_run and new:
            lines = (list(labels) for _, labels in groupby(new, attrgetter("place")))
            append_lines(models_uri, handle, target, lines)
    names = {trait: [_name_label(trait, seed) for seed in new if seed.trait == trait.key] for trait in outline.traits}
    added = {trait.key: dict(Counter(labels)) for trait, labels in names.items() if labels}
    known = len(labelled.seeds) - len(new)
    return Addition(handle, target.name, added, known, labelled.unlabelled, is_new_source, dry_run)


def _choose_new(model: Model, labelled: LabelledFile) -> list[Seed]:
    """Return the distinct labels that the model lacks; raise ``DefinitionError`` if a text has another label."""
    existing: dict[tuple[str, str], list[Seed]] = defaultdict(list)
    for seed in model.authored:
        existing[seed.trait, normalise(seed.text)].append(seed)
    new, problems = [], []
    for seed in labelled.seeds:
        alike = existing[seed.trait, normalise(seed.text)]
        form = drop_unseen(seed.text)
        # The trait may be about case and punctuation.
        contrary = [other for other in alike if other.quality != seed.quality and drop_unseen(other.text) == form]
        if contrary:
            trait, (file, _, line) = model.trait(seed.trait), seed.place.rpartition(":")
            label, other = (_name_label(trait, item) for item in (seed, contrary[0]))
            fault = f"{label!r}, where {contrary[0].place} has {other!r} for the same text"
            allowed = "one label a text. Change one of the two, or take it out"
            problems.append(Problem(file, int(line), trait.key, fault, allowed))
        elif all(other.quality != seed.quality for other in alike):
            alike.append(seed)
            new.append(seed)
    check_mistakes(labelled.name, problems)
    return new


def _find_target(outline: Outline, traits: set[str]) -> Source:
    """Return the source for new labels of these traits.

    Raises:
        InputError: no source may label them all, and an entry gives ``LABELLED_FILE`` another content.
    """
    for source in outline.sources:
        if source.type == "jsonl" and traits <= source.trait_keys:
            return source
    if LABELLED_FILE in outline.name_files():
        raise InputError(
            f"{outline.handle}/{LABELLED_FILE} is a source that does not hold labels of all these traits. Give the "
            f"file another name, in {MODEL_FILE} too. Nothing was added"
        )
    return make_added_source(outline, LABELLED_FILE)


def _name_label(trait: Trait, seed: Seed) -> str:
    return trait.label(seed.pole) if seed.pole else f"{seed.quality:g}"
