"""Builds a model's outline: what ``model.yaml`` says, before any of the files that hold its samples is read."""

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

# Read after all sources, without an entry in `sources`: what `exemplars add` writes, and what is added over HTTP.
LABELLED_FILE, ADDED_FILE = "labelled.jsonl", "added.jsonl"


@dataclass(frozen=True, slots=True)
class Outline(Model):
    """A model whose sources nobody has read; without traits and sources too while its traits are to be discovered.

    ``text_sources`` are those of the type ``texts``, which have no samples, and ``sources`` all others.
    """

    traits: tuple[Trait, ...] = ()
    sources: tuple[Source, ...] = ()
    text_sources: tuple[Source, ...] = ()

    def name_files(self) -> set[str]:
        """Names the files of the entries of ``sources``."""
        return {posixpath.normpath(source.path) for source in (*self.sources, *self.text_sources)}


def make_outline(handle: str, entry: ModelEntry, findings: Findings) -> Outline:
    """Builds an outline from fields of the right form, and adds the mistakes of meaning in them to ``findings``."""
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
        sources=tuple(source for source in sources if source.type != "texts"),
        text_sources=tuple(source for source in sources if source.type == "texts"),
        skipped=tuple(findings.skipped),
        additional_terms=entry.additional_terms,
        upstream_sources=entry.upstream_sources,
    )


def make_added_source(outline: Outline, file: str = ADDED_FILE) -> Source:
    """Makes the source of a file that holds added samples, whose fields are those of ``name_added_field``."""
    name = f"{outline.handle}/{file}"
    mapping = {name_added_field(trait.key): trait for trait in outline.traits}
    return Source("jsonl", file, name, mapping, (name, None, "file"))


def list_sources(outline: Outline, files: Collection[str]) -> tuple[Source, ...]:
    """The sources of a model in order; the last are the files of added samples, where there are any without an entry.

    The author's file is the last, so that the number of no other source changes when it is made: a cursor has that.

    Args:
        files: those in the model's folder, as ``list_sample_files`` has them.
    """
    if not outline.traits:
        return outline.sources
    added = [file for file in (ADDED_FILE, LABELLED_FILE) if file in files and file not in outline.name_files()]
    return (*outline.sources, *(make_added_source(outline, file) for file in added))


def name_added_field(trait: str) -> str:
    """Names the field that labels a trait in an added line: its key, unless the line has another field so named."""
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
            only = format_names([unicodedata.name(letter, ascii(letter)) for letter in letters])
            found = f"{format_value(negative)}{f', which differs by {only} alone' if only else ''}"
            allowed = "a label that a reader can tell from positive_label"
            findings.add(("traits", index, "negative_label"), found, allowed)
        derived = {"name": name, "positive_label": positive, "negative_label": negative}
        said = item.model_dump(exclude={"kind", *derived}, exclude_none=True)
        traits[item.key] = Trait(**said | derived)
    return traits


def _name_poles(item: TraitEntry, name: str) -> tuple[str, str]:
    """Returns the positive and the negative label; the opposite of a label is derived where it is not given."""
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
