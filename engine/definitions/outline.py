"""Build a model's outline from ``model.yaml`` alone, before any file of samples is read."""

import posixpath
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass

from engine.definitions.mistakes import Findings, format_names, format_value
from engine.definitions.scenario_packs import list_pack_names
from engine.definitions.schema import ModelEntry, ScenariosEntry, TraitEntry
from engine.definitions.sources.entries import Source, make_sources
from engine.definitions.sources.labelled_lines import CONTENT, SOURCE_URL, parse_number
from engine.domain.model import Brief, Length, Model, OwnScenarios, Question, Trait
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
    traits = _make_traits(entry, findings)
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
        brief=Brief(**entry.brief.model_dump()),
        scenarios=_make_scenarios(entry.scenarios, findings),
        questions=tuple(Question(item.ask, item.expect == "yes") for item in entry.questions),
        allow=frozenset(entry.allow),
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


def _make_traits(entry: ModelEntry, findings: Findings) -> dict[str, Trait]:
    traits: dict[str, Trait] = {}
    names: set[str] = set()
    for index, item in enumerate(entry.traits):
        if item.key in traits:
            findings.add(("traits", index, "key"), repr(item.key), "a key that no other trait of the model has")
            continue
        name = item.name or item.key.replace("_", " ").replace("-", " ").title()
        if fold_name(name) in names:
            findings.add(("traits", index, "name"), format_value(name), "a name that no other trait of the model has")
        names.add(fold_name(name))
        positive, negative = _name_poles(item, name)
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
        derived = {"name": name, "positive_label": positive, "negative_label": negative}
        given = item.model_dump(exclude={"kind", *derived}, exclude_none=True)
        traits[item.key] = Trait(**given | derived)
    return traits


def _name_poles(item: TraitEntry, name: str) -> tuple[str, str]:
    """Return the positive and the negative label; a missing label is derived from its opposite, name or type."""
    positive, negative = item.positive_label, item.negative_label
    derived = {
        "spectrum": (f"Not {negative.lower()}" if negative else name, f"Not {(positive or name).lower()}"),
        "topic": (f"About {name.lower()}", f"Not about {name.lower()}"),
        "claim": ("Agrees", "Contradicts"),
        "outlier": ("Unusual", "Typical"),
    }[item.type]
    return positive or derived[0], negative or derived[1]


def _make_scenarios(entry: ScenariosEntry, findings: Findings) -> OwnScenarios:
    names = list_pack_names()
    if entry.pack is not None and entry.pack not in names:
        findings.add_unknown(("scenarios", "pack"), entry.pack, "a scenario pack", names)
    lengths: dict[str, Length] = {}
    for index, item in enumerate(entry.lengths):
        path = ("scenarios", "lengths", index)
        if item.name in lengths:
            findings.add((*path, "name"), format_value(item.name), "a name that no other length has")
        if item.max_words < item.min_words:
            allowed = f"at least min_words, {item.min_words}"
            findings.add((*path, "max_words"), repr(str(item.max_words)), allowed)
        lengths[item.name] = Length(**item.model_dump())
    return OwnScenarios(entry.pack, entry.subjects, entry.audiences, entry.forms, tuple(lengths.values()))
