"""Build a model's sources from the entries of ``sources`` in ``model.yaml``, and read them line by line."""

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

import pyarrow as pa
from pyarrow import fs

from engine.definitions import schema
from engine.definitions.mistakes import Findings, format_value
from engine.definitions.sources import unlabelled
from engine.definitions.sources.labelled_lines import Line, list_qualities, parse_quality, walk_labelled
from engine.definitions.sources.tables import CONTENT, Table
from engine.definitions.yaml_document import Path
from engine.domain.definition import Trait
from engine.domain.language_tag import find_code, name_tag
from engine.domain.model import Seed, Skipped
from engine.errors import DefinitionError, Problem, StoreError
from engine.system.filesystem import OutsideFolderError, locate_inside, open_folder

BUFFER_BYTES = 64 * 1024
# Modification time in nanoseconds and size in bytes (None for ordinary texts). A new version means new content.
Version = tuple[int | None, int | None]
_Location = tuple[fs.FileSystem, str]


@dataclass(frozen=True, slots=True)
class Source:
    """Authored samples: a file in the model's folder, or ordinary texts (``noise``), which come with the code.

    ``mapping`` gives each field's trait; None for a field with a trait that is reported as unknown. ``name`` is the
    file's name in messages; ``place`` is the file, line and field of ``model.yaml`` that names it. A ``file`` and
    ``noise`` have lines without fields: ``labels`` apply to all their texts, and ``mapping`` is empty. ``by_line`` is
    true for a ``file`` with a passage per line, ``drawn`` are the lines of ``noise``. ``texts`` are no samples and are
    read by ``text_files``; ``column`` names the text field.
    """

    type: Literal["jsonl", "csv", "file", "noise", "texts"]
    path: str
    name: str
    mapping: Mapping[str, Trait | None] = field(hash=False)
    place: tuple[str, int | None, str]
    labels: tuple[unlabelled.FixedLabel, ...] = ()
    by_line: bool = False
    drawn: tuple[Line, ...] = ()
    column: str = CONTENT

    @property
    def trait_keys(self) -> frozenset[str]:
        """Keys of the traits that its samples may label."""
        mapped = {trait.key for trait in self.mapping.values() if trait}
        return frozenset(mapped | {trait.key for trait, _ in self.labels})

    def locate(self, seed: Seed) -> str:
        """Return where to remove a sample: its line or, for an ordinary text, the entry of ``model.yaml``."""
        file, line, name = self.place
        return f"{file}:{line} ({name} draws {seed.place})" if self.type == "noise" else seed.place


def walk_source(folder: str, source: Source, start: int = 1) -> Iterator[Line]:
    """Yield the lines of a source from the line ``start``.

    Raises:
        DefinitionError: a line has a mistake, or the source does not exist.
        StoreError: the source cannot be read.
    """
    for line in walk_lines(folder, source, start):
        if line.problems:
            raise DefinitionError(source.name, line.problems)
        yield line


def walk_lines(folder: str, source: Source, start: int = 1, buffer_bytes: int = BUFFER_BYTES) -> Iterator[Line]:
    """Yield the lines of a source, with or without mistakes, from the line ``start``.

    Args:
        buffer_bytes: size of one read; in an object store each read is a request.

    Raises:
        DefinitionError, StoreError: the source does not exist, or cannot be read.
    """
    if source.type == "noise":
        yield from (line for line in source.drawn if line.number >= start)
        return
    with (
        locating(folder, source) as (filesystem, path),
        io.BufferedReader(filesystem.open_input_file(path), buffer_bytes) as stream,
    ):
        if source.type == "file":
            yield from unlabelled.walk_passages(source.name, stream, source.labels, source.by_line, start)
        else:
            table = Table(source.name, stream, "csv" if source.type == "csv" else "jsonl")
            yield from walk_labelled(table, source.mapping, start, text_field=source.column)


@contextmanager
def locating(folder: str, source: Source, below: str = "", or_folder: bool = False) -> Iterator[_Location]:
    """Yield the file system and path of a source, or of a file ``below`` it. A missing file is a mistake of its entry.

    Raises:
        DefinitionError, StoreError: as ``walk_source``; errors of reading in the block are translated too.
    """
    try:
        yield open_folder(locate_inside(folder, f"{source.path}{below}", or_folder))
    except (OutsideFolderError, FileNotFoundError) as error:
        is_outside = isinstance(error, OutsideFolderError)
        fault = f"{source.path!r}, {'a link to elsewhere' if is_outside else 'which is not there'}"
        problem = Problem(*source.place, fault, schema.INSIDE if is_outside else "a file in the model's folder")
        raise DefinitionError(problem.file, [problem]) from error
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"{source.name} cannot be read: {error}") from error


def read_version(folder: str, source: Source) -> Version:
    """Return the version of a source's file. Ordinary texts come with the code and have a single version.

    Raises:
        DefinitionError, StoreError: as ``walk_source``.
    """
    if source.type == "noise":
        return None, None
    with locating(folder, source) as (filesystem, path):
        info = filesystem.get_file_info(path)
    return info.mtime_ns, info.size


def make_sources(
    handle: str, entry: schema.ModelEntry, traits: Mapping[str, Trait], findings: Findings
) -> tuple[Source, ...]:
    """Return the sources to read; add their mistakes and skipped entries to ``findings``.

    Args:
        traits: the model's traits by key; empty while they are to be discovered.
    """
    language = entry.language or "en"
    numbered = enumerate(entry.sources)
    sources = (_Maker(handle, language, traits, findings, ("sources", index)).make(item) for index, item in numbered)
    return tuple(filter(None, sources))


@dataclass(frozen=True, slots=True)
class _Maker:
    """Maker of the source for the entry at ``path`` of one model; ``language`` is the model's."""

    handle: str
    language: str
    traits: Mapping[str, Trait]
    findings: Findings
    path: tuple[str, int]

    def make(self, source: schema.SourceEntry) -> Source | None:
        if isinstance(source, schema.SkippedEntry):
            return self._skip(source.type, source.place, "legal on the platform, not read here")
        path = None if isinstance(source, schema.NoiseEntry) else source.path
        if isinstance(source, schema.OwnTextsEntry):
            name = f"{self.handle}/{source.path}"
            return Source("texts", source.path, name, {}, self._locate("path"), column=source.field)
        if not self.traits:
            return self._skip(source.type, path, "it labels nothing while the traits are to be discovered")
        if isinstance(source, schema.NoiseEntry):
            return self._make_noise(source)
        name, place = f"{self.handle}/{source.path}", self._locate("path")
        if isinstance(source, schema.TextEntry):
            labels = self._resolve_labels(source)
            return Source("file", source.path, name, {}, place, labels, by_line=source.split == "lines")
        mapping, column = self._resolve_mapping(source)
        return Source(source.type, source.path, name, mapping, place, column=column)

    def _make_noise(self, source: schema.NoiseEntry) -> Source | None:
        """Make the source of ordinary texts; None if the model has no topic, or its language has no ordinary texts."""
        labels = tuple((trait, 0.0) for trait in self.traits.values() if trait.type == "topic")
        if not labels:
            return self._skip("noise", None, "the model has no topic that ordinary texts could lie outside of")
        code, known = find_code(self.language), unlabelled.list_noise_languages()
        if code not in known:
            why = (
                f"there are no ordinary texts in {name_tag(self.language)} here, only in "
                f"{', '.join(map(name_tag, known))}. Write some into a text file, as a source of the type file with "
                "quality 0"
            )
            return self._skip("noise", None, why)
        texts = unlabelled.read_ordinary(code)
        subjects = list(dict.fromkeys(item.subject for item in texts))
        for number, subject in enumerate(source.without):
            if subject not in subjects:
                place = (*self.path, "without", number)
                self.findings.add_unknown(place, subject, "a subject of the ordinary texts", subjects)
        drawn, name = unlabelled.draw_ordinary(texts, source.without), unlabelled.name_noise_file(code)
        lines = tuple(unlabelled.label_texts(name, item.line, [item.text], labels) for item in drawn)
        return Source("noise", name, name, {}, self._locate(), labels, drawn=lines)

    def _skip(self, kind: str, named: str | None, why: str) -> Source | None:
        self.findings.skipped.append(Skipped(f"{kind} source {named or self.path[1] + 1}", why))
        return None

    def _locate(self, *field_name: str) -> tuple[str, int | None, str]:
        path: Path = (*self.path, *field_name)
        return self.findings.document.name, self.findings.document.line(path), ".".join(map(str, path))

    def _resolve_mapping(self, source: schema.LinesEntry) -> tuple[Mapping[str, Trait | None], str]:
        """Return the trait of each field of a line, and the text field. By default each trait's key is its field."""
        mapping = source.mapping or {}
        columns = [name for name, target in mapping.items() if target is None]
        for name in columns[1:]:
            self.findings.add((*self.path, "mapping", name), repr(CONTENT), "the text in one field alone")
        column = columns[0] if columns else CONTENT
        entries = {name: target for name, target in mapping.items() if target}
        targets = dict(self._walk_targets(entries))
        return ({name: targets.get(name) for name in entries} if entries else self.traits), column

    def _resolve_labels(self, source: schema.TextEntry) -> tuple[unlabelled.FixedLabel, ...]:
        """Return the qualities of all passages by trait; without a mapping 1 for the model's only trait."""
        mapping = source.mapping
        if mapping is None:
            if len(self.traits) > 1:
                allowed = f"the trait that its passages are samples of, as {{x: {{trait: {next(iter(self.traits))}}}}}"
                self.findings.add((*self.path, "mapping"), "nothing", allowed)
            mapping = {key: schema.TextMappingEntry(trait=key) for key in self.traits}
        labels = []
        for name, trait in self._walk_targets(mapping):
            given = mapping[name].quality
            quality = 1.0 if given is None else parse_quality(given, trait)
            if quality is None:
                place = (*self.path, "mapping", name, "quality")
                self.findings.add(place, format_value(given), list_qualities(trait))
            else:
                labels.append((trait, quality))
        return tuple(labels)

    def _walk_targets(self, mapping: Mapping[str, schema.MappingEntry]) -> Iterator[tuple[str, Trait]]:
        seen: set[str] = set()
        for name, target in mapping.items():
            place = (*self.path, "mapping", name, "trait")
            if target.trait in seen:
                self.findings.add(place, format_value(target.trait), "each trait once: a text has one quality for it")
            elif target.trait in self.traits:
                yield name, self.traits[target.trait]
            else:
                self.findings.add_unknown(place, target.trait, "a trait of this model", self.traits)
            seen.add(target.trait)
