"""Loading: ``model.yaml`` and the samples that it names become one frozen ``Model`` (contract.md, section 2)."""

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from engine.errors import DefinitionError, HandleError, NoTraitsError, Problem
from engine.files import list_folders, read_bytes
from engine.model import Aggregation, Brief, Effort, Model, Seed, Skipped, Trait, TraitType, check_handle, is_handle
from engine.sources import read_csv, read_jsonl
from engine.yamlfile import Document, Path, Value, parse_yaml

READ_SOURCES = ("jsonl", "csv")
SKIPPED_SOURCES = ("github_csv", "huggingface", "url", "file", "noise")
MODEL_FILE = "model.yaml"

# Where a spelling is near enough to be offered: difflib's own default for close matches.
NEAR = 0.6
# Where an unknown field is surely a slip: below this stand fields of others ("tags" is .6 like "traits").
SLIP = 0.75


def _as_texts(value: object) -> object:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else value


def _none_as_empty(value: object) -> object:
    return () if value is None else value


def _none_as_fields(value: object) -> object:
    return {} if value is None else value


Texts = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(_as_texts)]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)


class _TraitEntry(_Entry):
    type: TraitType
    key: str = Field(pattern=r"^[a-z0-9_-]+$", max_length=100)
    name: str | None = None
    description: str | None = None
    positive_label: str | None = None
    negative_label: str | None = None
    kind: Literal["extrinsic"] | None = None
    aggregation: Aggregation = "mean"
    positive_paraphrase: Texts = ()
    negative_paraphrase: Texts = ()


class _MappingEntry(_Entry):
    trait: str


class _SourceEntry(_Entry):
    type: Literal["jsonl", "csv", "github_csv", "huggingface", "url", "file", "noise"]
    path: str | None = None
    mapping: Annotated[dict[str, _MappingEntry], Field(min_length=1)] | None = None


def _keep_place(value: object) -> object:
    """Of a source that is not read here only what names it: its other fields are not ours to check."""
    if not isinstance(value, dict) or not _is_foreign(value):
        return value
    place = value.get("path") or value.get("url")
    return {"type": value["type"], "path": place if isinstance(place, str) else None}


class _BriefEntry(_Entry):
    intent: Texts = ()
    domain: Texts = ()
    exemplars_of_good: Texts = ()
    failure_modes: Texts = ()
    edge_cases: Texts = ()
    non_goals: Texts = ()


class _ModelEntry(_Entry):
    traits: Annotated[tuple[_TraitEntry, ...], Field(min_length=1)]
    description: str | None = None
    effort: Effort | None = None
    sources: Annotated[
        tuple[Annotated[_SourceEntry, BeforeValidator(_keep_place)], ...], BeforeValidator(_none_as_empty)
    ] = ()
    additional_terms: Texts = ()
    upstream_sources: Texts = ()
    brief: Annotated[_BriefEntry, BeforeValidator(_none_as_fields)] = Field(default_factory=_BriefEntry)


class _RestEntry(_ModelEntry):
    """What is left of a model once its wrong entries are taken out: perhaps no trait."""

    traits: tuple[_TraitEntry, ...] = ()


@dataclass(slots=True)
class _Findings:
    """What the reading of one definition gathers beside its values."""

    document: Document
    problems: list[Problem] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    origins: dict[str, list[int]] = field(default_factory=dict)

    def origin(self, section: str, index: int) -> Path:
        """Where an entry stands in the file, once wrong ones before it have been left out."""
        return (section, self.origins[section][index] if section in self.origins else index)

    def add(self, path: Path, found: str, allowed: str, suggestion: str | None = None) -> None:
        dotted = ".".join(str(part) for part in path) or "file"
        self.problems.append(Problem(self.document.name, self.document.line(path), dotted, found, allowed, suggestion))


def load_model(models_uri: str, handle: str) -> Model:
    """The model of a handle, without what earlier runs attached.

    Raises:
        HandleError: the handle is malformed, or no model has it (the nearest ones are offered).
        NoTraitsError: the model's traits are still to be discovered.
        DefinitionError: every mistake in ``model.yaml`` and its sources.
        StoreError: the folder cannot be read.
    """
    check_handle(handle)
    folder = f"{models_uri.rstrip('/')}/{handle}"
    try:
        content = read_bytes(f"{folder}/{MODEL_FILE}")
    except FileNotFoundError:
        raise _miss_model(models_uri, handle) from None
    return parse_model(handle, content, lambda path: read_bytes(f"{folder}/{path}"))


def parse_model(handle: str, content: bytes, read: Callable[[str], bytes]) -> Model:
    """The model that ``model.yaml`` defines; ``read`` gives the bytes of a file in its folder.

    Raises:
        NoTraitsError, DefinitionError: as ``load_model``.
    """
    name = f"{handle}/{MODEL_FILE}"
    findings = _Findings(parse_yaml(name, content))
    value = findings.document.value
    if not isinstance(value, dict):
        raise DefinitionError(name, [Problem(name, None, "file", _show(value), "an object with the field 'traits'")])
    if value.get("traits") == "discover":
        raise NoTraitsError(
            f"{name}: traits is 'discover', so there are no trait definitions to synthesize from. "
            "Write the traits as a list, each with type, key and description"
        )
    entry = _validate(value, findings)
    traits = _make_traits(entry, findings)
    seeds = tuple(_read_sources(entry, traits, findings, read))
    if findings.problems:
        raise DefinitionError(name, findings.problems)
    brief = entry.brief.model_dump(include=set(_BriefEntry.model_fields))
    return Model(
        handle=handle,
        traits=traits,
        description=entry.description or "",
        effort=entry.effort,
        brief=Brief(**brief),
        seeds=seeds,
        skipped=tuple(findings.skipped),
        additional_terms=entry.additional_terms,
        upstream_sources=entry.upstream_sources,
    )


def list_handles(models_uri: str) -> list[str]:
    """The handles of the catalogue, sorted."""
    return [name for name in list_folders(models_uri) if is_handle(name)]


def _miss_model(models_uri: str, handle: str) -> Exception:
    known = list_handles(models_uri)
    if handle in known:
        name = f"{handle}/{MODEL_FILE}"
        return DefinitionError(handle, [Problem(name, None, "file", "no such file", f"a {MODEL_FILE} in the folder")])
    near = difflib.get_close_matches(handle, known, n=3, cutoff=0.5)
    names = {name.split(".", 1)[1]: name for name in known}
    near += [names[name] for name in difflib.get_close_matches(handle.split(".", 1)[1], names, n=3, cutoff=NEAR)]
    offered = list(dict.fromkeys(near))[:3]
    hint = f"Did you mean {' or '.join(offered)}?" if offered else f"There are: {', '.join(known) or 'none'}"
    return HandleError(f"No model {handle!r} in {models_uri}. {hint}")


def _validate(value: dict[str, Value], findings: _Findings) -> _ModelEntry:
    """The checked fields; where some are wrong, what is left without them, so that the rest is read too."""
    _note_unknown(value, findings)
    try:
        return _ModelEntry.model_validate(value)
    except ValidationError as error:
        # pydantic counts a list without its wrong entries: that it is too short then is no mistake of its own.
        items = [item for item in error.errors() if item["type"] != "too_short" or not item["input"]]
        for item in items:
            found = "nothing" if item["type"] == "missing" else _show(item["input"])
            allowed, choices = _say_allowed(item["type"], item.get("ctx", {}), item["msg"])
            findings.add(item["loc"], found, allowed, _nearest(str(item["input"]), choices))
        return _prune(value, {item["loc"][:2] for item in items}, findings)


def _prune(value: dict[str, Value], wrong: set[Path], findings: _Findings) -> _ModelEntry:
    kept: dict[str, Value] = {}
    for word, entry in value.items():
        if isinstance(entry, list) and word in ("traits", "sources"):
            right = [index for index in range(len(entry)) if (word, index) not in wrong]
            findings.origins[word] = right
            kept[word] = [entry[index] for index in right]
        elif not any(path[0] == word for path in wrong):
            kept[word] = entry
    return _RestEntry.model_validate(kept)


# pydantic's names of the mistakes, in the words of a person who writes YAML.
_ALLOWED = {
    "missing": "this field is required",
    "string_pattern_mismatch": "lower-case letters, digits, '_' and '-'",
    "string_type": "text",
    "string_too_short": "text that is not empty",
    "string_too_long": "text of at most 100 characters",
    "tuple_type": "a list",
    "too_short": "at least one entry",
    "model_type": "an object of fields",
    "dict_type": "an object of fields",
}


def _say_allowed(kind: str, context: Mapping[str, object], message: str) -> tuple[str, list[str]]:
    """What a field may hold, in words, and the choices to take a near spelling from."""
    if kind == "literal_error":
        expected = str(context["expected"]).replace("'", "")
        return expected, expected.replace(" or ", ", ").split(", ")
    return _ALLOWED.get(kind, message.lower()), []


_FIELDS: dict[str, Iterable[str]] = {
    "": _ModelEntry.model_fields,
    "traits": _TraitEntry.model_fields,
    "sources": _SourceEntry.model_fields,
    "mapping": _MappingEntry.model_fields,
    "brief": _BriefEntry.model_fields,
}


def _note_unknown(value: dict[str, Value], findings: _Findings) -> None:
    """A field that is nearly one of ours is a slip; any other is somebody else's and named as skipped."""
    for path, entry, section in _list_objects(value):
        known = list(_FIELDS[section])
        for word in entry:
            if word in known:
                continue
            if near := _find_slip(word, known):
                findings.add((*path, word), repr(word), "one of " + ", ".join(known), near)
            else:
                place = f"{findings.document.name}:{findings.document.line((*path, word))}"
                findings.skipped.append(Skipped(f"field {word!r} ({place})", "not a field that is read here"))


def _list_objects(value: dict[str, Value]) -> Iterator[tuple[Path, dict[str, Value], str]]:
    """Every object whose fields are ours to check, with its path and its section."""
    yield (), value, ""
    if isinstance(brief := value.get("brief"), dict):
        yield ("brief",), brief, "brief"
    for section in ("traits", "sources"):
        entries = value.get(section)
        for index, entry in enumerate(entries if isinstance(entries, list) else ()):
            if not isinstance(entry, dict) or (section == "sources" and _is_foreign(entry)):
                continue
            yield (section, index), entry, section
            mapping = entry.get("mapping") if section == "sources" else None
            for word, target in mapping.items() if isinstance(mapping, dict) else ():
                if isinstance(target, dict):
                    yield (section, index, "mapping", word), target, "mapping"


def _find_slip(word: str, known: Iterable[str]) -> str | None:
    """The field that was meant: its beginning, its letters in another order, or a near spelling."""
    for name in known:
        if name.startswith(f"{word}_") or sorted(name) == sorted(word):
            return name
    return _nearest(word, known, SLIP)


def _is_foreign(source: dict[str, Value]) -> bool:
    return source.get("type") in SKIPPED_SOURCES


def _make_traits(entry: _ModelEntry, findings: _Findings) -> tuple[Trait, ...]:
    traits: dict[str, Trait] = {}
    for index, item in enumerate(entry.traits):
        if item.key in traits:
            place = (*findings.origin("traits", index), "key")
            findings.add(place, repr(item.key), "a key that no other trait of the model has")
            continue
        name = item.name or item.key.replace("_", " ").replace("-", " ").title()
        positive, negative = _name_poles(item, name)
        if positive.casefold() == negative.casefold():
            place = (*findings.origin("traits", index), "negative_label")
            findings.add(place, repr(negative), "a label that differs from positive_label")
        traits[item.key] = Trait(
            key=item.key,
            name=name,
            type=item.type,
            description=item.description or "",
            positive_label=positive,
            negative_label=negative,
            aggregation=item.aggregation,
            positive_paraphrase=item.positive_paraphrase,
            negative_paraphrase=item.negative_paraphrase,
        )
    return tuple(traits.values())


def _name_poles(item: _TraitEntry, name: str) -> tuple[str, str]:
    """The two labels; an opposite that is not named is derived."""
    defaults = {
        "spectrum": (name, f"Not {name.lower()}"),
        "topic": (f"About {name.lower()}", f"Not about {name.lower()}"),
        "claim": ("Agrees", "Contradicts"),
        "outlier": ("Unusual", "Typical"),
    }
    positive, negative = item.positive_label, item.negative_label
    if item.type == "spectrum" and positive and not negative:
        return positive, f"Not {positive.lower()}"
    if item.type == "spectrum" and negative and not positive:
        return f"Not {negative.lower()}", negative
    return positive or defaults[item.type][0], negative or defaults[item.type][1]


def _read_sources(
    entry: _ModelEntry, traits: tuple[Trait, ...], findings: _Findings, read: Callable[[str], bytes]
) -> Iterable[Seed]:
    by_key = {trait.key: trait for trait in traits}
    for index, source in enumerate(entry.sources):
        path = findings.origin("sources", index)
        if source.type in SKIPPED_SOURCES:
            where = source.path or f"source {int(path[1]) + 1}"
            findings.skipped.append(Skipped(f"{source.type} source {where}", "legal on the platform, not read here"))
            continue
        mapping = _resolve_mapping(source, path, by_key, findings)
        content = _read_source(source, path, findings, read)
        if content is not None and mapping is not None:
            reader = read_jsonl if source.type == "jsonl" else read_csv
            seeds, problems = reader(f"{findings.document.name.rsplit('/', 1)[0]}/{source.path}", content, mapping)
            findings.problems += problems
            yield from seeds


def _resolve_mapping(
    source: _SourceEntry, path: Path, by_key: dict[str, Trait], findings: _Findings
) -> dict[str, Trait | None] | None:
    """Which field of a line feeds which trait; without a mapping, the field named like the trait.

    What refers to a trait that is reported as wrong is no second mistake: such a field feeds None. Where a wrong trait
    has no key to know it by, any field may be meant for it.
    """
    keys = _written_keys(findings)
    nameless = "" in keys
    known: dict[str, Trait | None] = {**dict.fromkeys(keys), **by_key}
    if source.mapping is None:
        return None if nameless else known
    for field_name, target in source.mapping.items():
        if target.trait not in known and not nameless:
            allowed = "a trait of this model: " + ", ".join(known)
            place = (*path, "mapping", field_name, "trait")
            findings.add(place, repr(target.trait), allowed, _nearest(target.trait, known))
    return {field_name: known.get(target.trait) for field_name, target in source.mapping.items()}


def _written_keys(findings: _Findings) -> list[str]:
    """The keys of all traits as they are written, right or wrong; an empty text where there is none."""
    value = findings.document.value
    entries = value.get("traits") if isinstance(value, dict) else None
    if not isinstance(entries, list) or not entries:
        return [""]
    return [str(entry.get("key") or "") if isinstance(entry, dict) else "" for entry in entries]


def _read_source(source: _SourceEntry, path: Path, findings: _Findings, read: Callable[[str], bytes]) -> bytes | None:
    if not source.path:
        findings.add((*path, "path"), "nothing", "the path of a file in the model's folder")
        return None
    parts = PurePosixPath(source.path)
    if parts.is_absolute() or ".." in parts.parts or "\\" in source.path or "\0" in source.path:
        findings.add((*path, "path"), repr(source.path), "a path inside the model's own folder")
        return None
    try:
        return read(source.path)
    except FileNotFoundError:
        findings.add((*path, "path"), f"{source.path!r}, which is not there", "a file in the model's folder")
        return None


def _nearest(word: str, choices: Iterable[str], cutoff: float = NEAR) -> str | None:
    near = difflib.get_close_matches(word.lower(), list(choices), n=1, cutoff=cutoff)
    return near[0] if near else None


def _show(value: object) -> str:
    if isinstance(value, dict | list | tuple):
        return "an object" if isinstance(value, dict) else f"a list of {len(value)}"
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"
