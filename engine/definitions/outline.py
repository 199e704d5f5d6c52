"""Build a model's outline from ``model.yaml`` alone, before any file of samples is read."""

import posixpath
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from engine.definitions.mistakes import Findings, format_names, format_value
from engine.definitions.scenario_packs import list_pack_names
from engine.definitions.schema import ModelEntry
from engine.definitions.sources.entries import Source, make_sources
from engine.definitions.sources.labelled_lines import parse_number
from engine.definitions.sources.tables import CONTENT, SOURCE_URL
from engine.domain.definition import OwnScenarios, Trait
from engine.domain.model import Model
from engine.errors import Problem
from engine.text.words import fold, fold_look, fold_name

# Files written by `exemplars add` and by additions over HTTP. They are read last and need no entry in `sources`.
LABELLED_FILE, ADDED_FILE = "labelled.jsonl", "added.jsonl"


@dataclass(frozen=True, slots=True)
class Outline(Model):
    """A model without the content of its sources. Traits and sources are empty while the traits are to be discovered.

    ``text_sources`` are the sources of the type ``texts``, which have no samples; ``sources`` are all others.
    """

    traits: tuple[Trait, ...] = ()
    sources: tuple[Source, ...] = ()
    text_sources: tuple[Source, ...] = ()

    def name_files(self) -> set[str]:
        """Return the normalized paths of the files that ``sources`` names."""
        return {posixpath.normpath(source.path) for source in (*self.sources, *self.text_sources)}


def make_outline(handle: str, entry: ModelEntry, findings: Findings) -> Outline:
    """Build an outline from validated fields, and add their mistakes of meaning to ``findings``."""
    traits = _check_traits(entry.traits, findings)
    _check_scenarios(entry.scenarios, findings)
    sources = make_sources(handle, entry, traits, findings)
    for source in sources:
        if posixpath.normpath(source.path) == ADDED_FILE:
            allowed = f"a file of your own: {ADDED_FILE} is kept for samples that are added over HTTP. Rename it"
            findings.problems.append(Problem(*source.place, repr(source.path), allowed))
    return Outline(
        handle=handle,
        traits=tuple(traits.values()),
        description=entry.description or "",
        effort=entry.effort,
        language=entry.language,
        brief=entry.brief,
        scenarios=entry.scenarios,
        questions=entry.questions,
        allow=entry.allow,
        sources=tuple(source for source in sources if source.type != "texts"),
        text_sources=tuple(source for source in sources if source.type == "texts"),
        skipped=tuple(findings.skipped),
        additional_terms=entry.additional_terms,
        upstream_sources=entry.upstream_sources,
    )


def make_added_source(outline: Outline, file: str = ADDED_FILE) -> Source:
    """Return the source for a file of added samples; ``name_added_field`` names its fields."""
    name = f"{outline.handle}/{file}"
    mapping = {name_added_field(trait.key): trait for trait in outline.traits}
    return Source("jsonl", file, name, mapping, (name, None, "file"))


def list_sources(outline: Outline, files: Collection[str]) -> tuple[Source, ...]:
    """Return the sources of a model in order, followed by existing files of added samples that have no entry.

    The author's file is last, so that creating it does not renumber other sources: cursors contain these numbers.

    Args:
        files: files in the model's folder, from ``list_sample_files``.
    """
    if not outline.traits:
        return outline.sources
    added = [file for file in (ADDED_FILE, LABELLED_FILE) if file in files and file not in outline.name_files()]
    return (*outline.sources, *(make_added_source(outline, file) for file in added))


def name_added_field(trait: str) -> str:
    """Return the field for a trait's label in an added line: its key, prefixed if the line uses that name already."""
    return f"trait {trait}" if trait in (CONTENT, SOURCE_URL) else trait


def _check_traits(authored: Sequence[Trait], findings: Findings) -> dict[str, Trait]:
    """Return the traits by key, and add the mistakes in their names and labels to ``findings``."""
    traits: dict[str, Trait] = {}
    names: set[str] = set()
    for index, item in enumerate(authored):
        if item.key in traits:
            findings.add(("traits", index, "key"), repr(item.key), "a key that no other trait of the model has")
            continue
        if fold_name(item.name) in names:
            allowed = "a name that no other trait of the model has"
            findings.add(("traits", index, "name"), format_value(item.name), allowed)
        names.add(fold_name(item.name))
        positive, negative = item.positive_label, item.negative_label
        for field_name, label, quality in (("positive_label", positive, 1.0), ("negative_label", negative, 0.0)):
            if parse_number(label) not in (None, quality):
                allowed = f"a label in words, since a number reads as a quality, which is {quality:g} here"
                findings.add(("traits", index, field_name), format_value(label), allowed)
        if fold_look(positive) == fold_look(negative):
            letters = sorted(set(fold(positive)) ^ set(fold(negative)))
            names_of_letters = format_names([unicodedata.name(letter, ascii(letter)) for letter in letters])
            difference = f", which differs by {names_of_letters} alone" if names_of_letters else ""
            allowed = "a label that a reader can tell from positive_label"
            findings.add(("traits", index, "negative_label"), format_value(negative) + difference, allowed)
        traits[item.key] = item
    return traits


def _check_scenarios(scenarios: OwnScenarios, findings: Findings) -> None:
    names = list_pack_names()
    if scenarios.pack is not None and scenarios.pack not in names:
        findings.add_unknown(("scenarios", "pack"), scenarios.pack, "a scenario pack", names)
    known: set[str] = set()
    for index, item in enumerate(scenarios.lengths):
        path = ("scenarios", "lengths", index)
        if item.name in known:
            findings.add((*path, "name"), format_value(item.name), "a name that no other length has")
        known.add(item.name)
        if item.max_words < item.min_words:
            allowed = f"at least min_words, {item.min_words}"
            findings.add((*path, "max_words"), repr(str(item.max_words)), allowed)
