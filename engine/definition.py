"""Loading: ``model.yaml`` and the samples that it names become one frozen ``Model`` (contract, section 2)."""

import difflib
from collections.abc import Callable, Iterable
from pathlib import PurePosixPath

from engine.definition_file import (
    NEAR,
    SKIPPED_SOURCES,
    BriefEntry,
    Findings,
    ModelEntry,
    SourceEntry,
    TraitEntry,
    find_near,
    show_value,
    validate_entry,
)
from engine.errors import DefinitionError, HandleError, NoTraitsError, Problem
from engine.files import OutsideFolderError, list_folders, read_bytes, read_inside
from engine.model import Brief, Model, Seed, Skipped, Trait, check_handle, is_handle
from engine.sources import read_csv, read_jsonl
from engine.yamlfile import Path, parse_yaml

MODEL_FILE = "model.yaml"


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
    return parse_model(handle, content, lambda path: read_inside(folder, path))


def parse_model(handle: str, content: bytes, read: Callable[[str], bytes]) -> Model:
    """The model that ``model.yaml`` defines; ``read`` gives the bytes of a file in its folder.

    Raises:
        NoTraitsError, DefinitionError: as ``load_model``.
    """
    name = f"{handle}/{MODEL_FILE}"
    findings = Findings(parse_yaml(name, content))
    value = findings.document.value
    if not isinstance(value, dict):
        raise DefinitionError(
            name, [Problem(name, None, "file", show_value(value), "an object with the field 'traits'")]
        )
    if value.get("traits") == "discover":
        raise NoTraitsError(
            f"{name}: traits is 'discover', so there are no trait definitions to synthesize from. "
            "Write the traits as a list, each with type, key and description"
        )
    entry = validate_entry(value, findings)
    traits = _make_traits(entry, findings)
    seeds = tuple(_read_sources(entry, traits, findings, read))
    if findings.problems:
        raise DefinitionError(name, findings.problems)
    brief = entry.brief.model_dump(include=set(BriefEntry.model_fields))
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


def _make_traits(entry: ModelEntry, findings: Findings) -> tuple[Trait, ...]:
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


def _name_poles(item: TraitEntry, name: str) -> tuple[str, str]:
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
    entry: ModelEntry, traits: tuple[Trait, ...], findings: Findings, read: Callable[[str], bytes]
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
    source: SourceEntry, path: Path, by_key: dict[str, Trait], findings: Findings
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
            findings.add(place, repr(target.trait), allowed, find_near(target.trait, known))
    return {field_name: known.get(target.trait) for field_name, target in source.mapping.items()}


def _written_keys(findings: Findings) -> list[str]:
    """The keys of all traits as they are written, right or wrong; an empty text where there is none."""
    value = findings.document.value
    entries = value.get("traits") if isinstance(value, dict) else None
    if not isinstance(entries, list) or not entries:
        return [""]
    return [str(entry.get("key") or "") if isinstance(entry, dict) else "" for entry in entries]


def _read_source(source: SourceEntry, path: Path, findings: Findings, read: Callable[[str], bytes]) -> bytes | None:
    if not source.path:
        findings.add((*path, "path"), "nothing", "the path of a file in the model's folder")
        return None
    parts = PurePosixPath(source.path)
    if parts.is_absolute() or ".." in parts.parts or "\\" in source.path or "\0" in source.path:
        findings.add((*path, "path"), repr(source.path), "a path inside the model's own folder")
        return None
    try:
        return read(source.path)
    except OutsideFolderError:
        findings.add((*path, "path"), f"{source.path!r}, a link to elsewhere", "a path inside the model's own folder")
        return None
    except FileNotFoundError:
        findings.add((*path, "path"), f"{source.path!r}, which is not there", "a file in the model's folder")
        return None
