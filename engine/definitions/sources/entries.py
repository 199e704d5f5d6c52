"""Reads the entries of ``sources`` in ``model.yaml``: which files of samples there are, and which traits they label."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Literal

from engine.definitions.mistakes import Findings, find_near_spelling, format_names, format_value
from engine.definitions.schema import DEFAULT_NOISE, SKIPPED_SOURCES, MappingEntry, ModelEntry, SourceEntry
from engine.definitions.sources.labelled_lines import list_qualities, parse_quality
from engine.definitions.sources.ordinary import (
    OrdinaryText,
    draw_ordinary,
    list_noise_languages,
    name_noise_file,
    read_ordinary,
)
from engine.definitions.sources.passages import FixedLabel
from engine.definitions.yaml_document import Path
from engine.domain.language_tag import find_code, name_tag
from engine.domain.model import Seed, Skipped, Trait
from engine.errors import Problem
from engine.system.filesystem import OutsideFolderError

INSIDE = "a path inside the model's own folder"
# Files whose lines have labels of their own, by their ending.
_LABELLED = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv"}
# The fields of a source that count for some types only.
_READ_BY = {
    "path": ("jsonl", "csv", "file"),
    "split": ("file",),
    **dict.fromkeys(("count", "without", "language"), ("noise",)),
}


@dataclass(frozen=True, slots=True)
class Source:
    """Authored samples: a file of them, or ordinary texts (``noise``), which are no file of the model's.

    ``mapping`` says which field of a line feeds which trait; a field whose trait is reported as unknown feeds None.
    ``name`` is what messages call the file; ``place`` is the file, line and field of ``model.yaml`` that names it. Of a
    ``file`` and of ``noise``, whose lines have no fields, ``labels`` are those of all texts and ``mapping`` is empty.
    ``by_line`` is how a ``file`` is split, ``texts`` what was drawn for ``noise``.
    """

    type: Literal["jsonl", "csv", "file", "noise"]
    path: str
    name: str
    mapping: Mapping[str, Trait | None] = field(hash=False)
    place: tuple[str, int | None, str]
    labels: tuple[FixedLabel, ...] = ()
    by_line: bool = False
    texts: tuple[OrdinaryText, ...] = ()

    @property
    def trait_keys(self) -> frozenset[str]:
        """The keys of the traits that its samples may be for."""
        mapped = {trait.key for trait in self.mapping.values() if trait}
        return frozenset(mapped | {label.trait.key for label in self.labels})

    def locate(self, seed: Seed) -> str:
        """Says where an author takes a sample out: its line or, of an ordinary text, the entry of ``model.yaml``."""
        file, line, name = self.place
        return f"{file}:{line} ({name} draws {seed.place})" if self.type == "noise" else seed.place

    def explain(self, error: OutsideFolderError | FileNotFoundError) -> Problem:
        """Reports a file that cannot be found as a mistake in ``model.yaml``."""
        away = isinstance(error, OutsideFolderError)
        found = "a link to elsewhere" if away else "which is not there"
        return Problem(*self.place, f"{self.path!r}, {found}", INSIDE if away else "a file in the model's folder")


def make_sources(handle: str, entry: ModelEntry, traits: Mapping[str, Trait], findings: Findings) -> tuple[Source, ...]:
    """Makes the sources that are read, and adds mistakes in them and what is skipped to ``findings``.

    Args:
        traits: those of the model by their keys; none while they are to be discovered.
    """
    sources = []
    for index, source in enumerate(entry.sources):
        if why := _skip_source(source, traits):
            findings.skipped.append(Skipped(f"{source.type} source {source.path or index + 1}", why))
            continue
        _note_unread(source, ("sources", index), findings)
        if source.type == "noise":
            made = _make_noise(source, index, entry.language, traits, findings)
        else:
            made = _make_file(handle, source, index, traits, findings)
        sources += [made] if made else []
    return tuple(sources)


def _skip_source(source: SourceEntry, traits: Mapping[str, Trait]) -> str | None:
    """Says why a source is not read; None if it is read."""
    if source.type in SKIPPED_SOURCES:
        return "legal on the platform, not read here"
    if not traits:
        return "it labels nothing while the traits are to be discovered"
    if source.type == "noise" and not any(trait.type == "topic" for trait in traits.values()):
        return "the model has no topic that ordinary texts could lie outside of"
    return None


def _note_unread(source: SourceEntry, path: Path, findings: Findings) -> None:
    """Notes as skipped what is given of a source and counts for other types of source only."""
    unread = [(*path, name) for name, types in _READ_BY.items() if getattr(source, name) and source.type not in types]
    if source.type != "file":
        mapping = source.mapping or {}
        unread += [(*path, "mapping", name, "quality") for name in mapping if mapping[name].quality is not None]
    for place in unread:
        line = f"{findings.document.name}:{findings.document.line(place)}"
        findings.skipped.append(Skipped(f"field {place[-1]!r} ({line})", f"not a field of a {source.type} source"))


def _make_file(
    handle: str, source: SourceEntry, index: int, traits: Mapping[str, Trait], findings: Findings
) -> Source | None:
    """Makes the source of a file in the model's folder; None if its path is wrong."""
    path: Path = ("sources", index)
    is_text = source.type == "file"
    labels = _resolve_labels(source, path, traits, findings) if is_text else ()
    mapping = {} if is_text else _resolve_mapping(source, path, traits, findings)
    named = _check_path(source, path, findings)
    if not named:
        return None
    kind: Literal["jsonl", "csv", "file"] = "file" if is_text else "csv" if source.type == "csv" else "jsonl"
    place = (findings.document.name, findings.document.line((*path, "path")), f"sources.{index}.path")
    return Source(kind, named, f"{handle}/{named}", mapping, place, labels, by_line=source.split == "lines")


def _resolve_mapping(
    source: SourceEntry, path: Path, traits: Mapping[str, Trait], findings: Findings
) -> Mapping[str, Trait | None]:
    """Resolves which field of a line feeds which trait; without a mapping, each trait's own key is the field."""
    if source.mapping is None:
        return traits
    targets = dict(_walk_targets(source.mapping, path, traits, findings))
    return {field_name: targets.get(field_name) for field_name in source.mapping}


def _walk_targets(
    mapping: Mapping[str, MappingEntry], path: Path, traits: Mapping[str, Trait], findings: Findings
) -> Iterator[tuple[str, Trait]]:
    """Yields the fields of a mapping with their traits; an unknown trait, and one that stands twice, is a mistake."""
    seen: set[str] = set()
    for name, target in mapping.items():
        place: Path = (*path, "mapping", name, "trait")
        if target.trait in seen:
            findings.add(place, format_value(target.trait), "each trait once: a text has one quality for it")
        elif target.trait in traits:
            yield name, traits[target.trait]
        else:
            allowed = f"a trait of this model: {format_names(traits)}"
            findings.add(place, format_value(target.trait), allowed, find_near_spelling(target.trait, traits))
        seen.add(target.trait)


def _resolve_labels(
    source: SourceEntry, path: Path, traits: Mapping[str, Trait], findings: Findings
) -> tuple[FixedLabel, ...]:
    """Resolves the qualities that all passages of a file have; without a mapping 1 for the model's only trait."""
    if source.mapping is None:
        if len(traits) > 1:
            allowed = f"the trait that its passages are samples of, as {{x: {{trait: {next(iter(traits))}}}}}"
            findings.add((*path, "mapping"), "nothing", allowed)
            return ()
        return tuple(FixedLabel(trait, 1.0) for trait in traits.values())
    labels = []
    for name, trait in _walk_targets(source.mapping, path, traits, findings):
        said = source.mapping[name].quality
        quality = 1.0 if said is None else parse_quality(said, trait)
        if quality is None:
            findings.add((*path, "mapping", name, "quality"), format_value(said), list_qualities(trait))
        else:
            labels.append(FixedLabel(trait, quality))
    return tuple(labels)


def _check_path(source: SourceEntry, path: Path, findings: Findings) -> str | None:
    if not source.path:
        findings.add((*path, "path"), "nothing", "the path of a file in the model's folder")
        return None
    parts = PurePosixPath(source.path)
    if parts.is_absolute() or ".." in parts.parts or "\\" in source.path or "\0" in source.path:
        findings.add((*path, "path"), format_value(source.path), INSIDE)
        return None
    if source.type == "file" and (labelled := _LABELLED.get(parts.suffix.lower())):
        allowed = f"{labelled} for {source.path}, whose lines have labels of their own"
        findings.add((*path, "type"), "'file'", allowed)
        return None
    return source.path


def _make_noise(
    source: SourceEntry, index: int, language: str | None, traits: Mapping[str, Trait], findings: Findings
) -> Source | None:
    """Makes the source of ordinary texts; None if there are none in the language."""
    path: Path = ("sources", index)
    labels = _resolve_topics(source, path, traits, findings)
    tag = source.language or language or "en"
    code, known = find_code(tag), list_noise_languages()
    if code not in known:
        why = (
            f"there are no ordinary texts in {name_tag(tag)} here, only in {', '.join(map(name_tag, known))}. Write "
            "some into a text file, as a source of the type file with quality 0"
        )
        findings.skipped.append(Skipped(f"noise source {index + 1}", why))
        return None
    texts = read_ordinary(code)
    subjects = list(dict.fromkeys(item.subject for item in texts))
    for number, subject in enumerate(source.without):
        if subject not in subjects:
            allowed = f"a subject of the ordinary texts: {format_names(subjects)}"
            near = find_near_spelling(subject, subjects)
            findings.add((*path, "without", number), format_value(subject), allowed, near)
    left = [item for item in texts if item.subject not in source.without]
    count = DEFAULT_NOISE if source.count is None else source.count
    if source.count is not None and count > len(left):
        findings.add((*path, "count"), repr(str(count)), f"at most {len(left)}: so many there are in {name_tag(tag)}")
    place = (findings.document.name, findings.document.line(path), f"sources.{index}")
    name = name_noise_file(code)
    return Source("noise", name, name, {}, place, labels, texts=draw_ordinary(left, count))


def _resolve_topics(
    source: SourceEntry, path: Path, traits: Mapping[str, Trait], findings: Findings
) -> tuple[FixedLabel, ...]:
    """Resolves the topics that ordinary texts lie outside of: all of the model's, or those that the mapping names."""
    if source.mapping is None:
        return tuple(FixedLabel(trait, 0.0) for trait in traits.values() if trait.type == "topic")
    labels = []
    for _, trait in _walk_targets(source.mapping, path, traits, findings):
        if trait.type == "topic":
            labels.append(FixedLabel(trait, 0.0))
        else:
            why = f"texts outside of a topic say nothing of a {trait.type}"
            findings.skipped.append(Skipped(f"noise for {trait.key}", why))
    return tuple(labels)
