"""Add texts that an author has labelled to a model's own samples: lines of a file that is read as one of its sources.

What is added over HTTP goes to a file that programs keep (``engine/store/added_samples.py``); this one is the author's.
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
from engine.domain.model import Model, Seed, Trait
from engine.errors import InputError, Problem
from engine.store.added_samples import append_lines
from engine.system.filesystem import lock_folder, open_folder
from engine.text.formatting import count_noun
from engine.text.words import drop_unseen, normalise


@dataclass(frozen=True, slots=True, repr=False)
class Addition:
    """What an addition has done, or would do.

    Args:
        file: the one that new labels go to; ``is_new_source`` if it is made for them.
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
        lines = [f"{self.handle}: {count_noun(self.count, 'label')} {done}{place}"]
        for trait, labels in self.added.items():
            lines.append(f"  {trait}: {', '.join(f'{count:,} × {label}' for label, count in labels.items())}")
        lines += [f"  {count_noun(self.known, 'label')} there already"] if self.known else []
        lines += [f"  {count_noun(self.unlabelled, 'text')} without a label"] if self.unlabelled else []
        return "\n".join(lines)


def add_labelled(models_uri: str, handle: str, labelled: LabelledFile, dry_run: bool = False) -> Addition:
    """Add labels to a model's own samples, all that are new or none; one that is there already is not added again.

    They go to the first file of ``sources`` that is JSONL and may label all these traits, else to ``LABELLED_FILE``,
    which needs no entry there.

    Args:
        labelled: labels for traits of the model.

    Raises:
        DefinitionError: a text has another label there, or twice in the file; or files of the model have mistakes.
        InputError: there is no such model, it is not a draft, or no file of it may hold these labels.
        StoreError: a file cannot be read or written; then nothing was added.
    """
    outline = load_outline(models_uri, handle)
    check_draft(models_uri, handle, "Nothing was added")
    with lock_folder(*open_folder(locate_model(models_uri, handle))):
        new = _choose_new(load_model(models_uri, handle), labelled)
        target = _find_target(outline, {seed.trait for seed in new})
        is_made = read_authored(models_uri, handle, target.path) is None and bool(new)
        if not dry_run and new:
            lines = (list(labels) for _, labels in groupby(new, attrgetter("place")))
            append_lines(models_uri, handle, target, lines)
    own = {trait: [_name_label(trait, seed) for seed in new if seed.trait == trait.key] for trait in outline.traits}
    added = {trait.key: dict(Counter(labels)) for trait, labels in own.items() if labels}
    return Addition(handle, target.name, added, len(labelled.seeds) - len(new), labelled.unlabelled, is_made, dry_run)


def _choose_new(model: Model, labelled: LabelledFile) -> list[Seed]:
    """Choose the labels that the model does not have yet, each once; texts are the same as in ``deduplicate_seeds``.

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
            trait, (file, _, line) = model.trait(seed.trait), seed.place.rpartition(":")
            said, other = (_name_label(trait, item) for item in (seed, contrary[0]))
            found = f"{said!r}, where {contrary[0].place} has {other!r} for the same text"
            allowed = "one label a text. Change one of the two, or take it out"
            problems.append(Problem(file, int(line), trait.key, found, allowed))
        elif all(other.quality != seed.quality for other in alike):
            alike.append(seed)
            new.append(seed)
    check_mistakes(labelled.name, problems)
    return new


def _find_target(outline: Outline, traits: set[str]) -> Source:
    """Find the source that labels of these traits are written to.

    Raises:
        InputError: none may label them all, and an entry has said what else ``LABELLED_FILE`` holds.
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
