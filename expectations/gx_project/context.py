"""Writes the files of a file context: its settings, suites, data sources, validation definitions and checkpoints.

They are plain YAML and JSON in the form that Great Expectations 1.24 writes, with ids that come from their names: the
same store gives the same files.
"""

import importlib.metadata
import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from expectations.gx_project.contents import Check, Contents, Frame, Spec, make_name
from expectations.results import COUNT, number_expectations

Files = Mapping[str, str]
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "exemplars/gx-context")
# The data source over the store, an asset a set, and the one over the frames that are several files.
SETS, MODELS = "samples", "models"
BATCH = "all"
# What is imported when the project is opened.
OPENED = "expectations.gx_project.opened"


def write_context(contents: Contents, store: Path) -> Files:
    """Writes all files of the context, by their path in its folder.

    Args:
        store: the absolute path of the sample store.
    """
    files = {"great_expectations.yml": yaml.safe_dump(_make_settings(contents, store), sort_keys=False)}
    files |= {f"expectations/{name}.json": _write_suite(spec) for name, spec in contents.suites.items()}
    for check in contents.checks:
        name = _name_validation(check)
        files[f"validation_definitions/{name}.json"] = _write(
            {
                "name": name,
                "id": _identify("validation", name),
                "suite": _refer("suite", check.suite),
                "data": {
                    "datasource": _refer("source", _find_source(check.frame)),
                    "asset": _refer("asset", check.frame.name),
                    "batch_definition": {"name": BATCH, "id": _identify("batch", check.frame.name)},
                },
            }
        )
    for checkpoint in contents.checkpoints:
        files[f"checkpoints/{checkpoint}.json"] = _write(
            {
                "name": checkpoint,
                "id": _identify("checkpoint", checkpoint),
                "validation_definitions": [
                    _refer("validation", _name_validation(check))
                    for check in contents.checks
                    if check.checkpoint == checkpoint
                ],
                "actions": [{"type": "update_data_docs", "name": "data docs", "site_names": []}],
                "result_format": "SUMMARY",
            }
        )
    return files


def _make_settings(contents: Contents, store: Path) -> dict[str, Any]:
    stores = {
        # Its import registers the gate's expectations.
        "expectations_store": _make_store("ExpectationsStore", "expectations/", module_name=OPENED),
        "validation_results_store": _make_store("ValidationResultsStore", "uncommitted/validations/"),
        "checkpoint_store": _make_store("CheckpointStore", "checkpoints/"),
        "validation_definition_store": _make_store("ValidationDefinitionStore", "validation_definitions/"),
    }
    frames = list({check.frame.name: check.frame for check in contents.checks}.values())
    sources = {
        SETS: {
            "type": "pandas_filesystem",
            "id": _identify("source", SETS),
            "base_directory": str(store),
            "assets": {frame.name: _make_set_asset(frame, store) for frame in frames if frame.is_set},
        },
        MODELS: {
            "type": "pandas",
            "id": _identify("source", MODELS),
            "assets": {
                frame.name: {**_make_asset(frame), "path": str(frame.path)} for frame in frames if not frame.is_set
            },
        },
    }
    return {
        "config_version": 4.0,
        "stores": stores,
        **{name: name.removesuffix("_name") for name in STORE_NAMES},
        "data_docs_sites": {
            "local_site": {
                "class_name": "SiteBuilder",
                "show_how_to_buttons": False,
                "store_backend": _make_backend("uncommitted/data_docs/local_site/"),
                "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
            }
        },
        "fluent_datasources": sources,
        "analytics_enabled": False,
        "data_context_id": _identify("context", str(store)),
    }


STORE_NAMES = ("expectations_store_name", "validation_results_store_name", "checkpoint_store_name")


def _make_store(class_name: str, folder: str, **more: str) -> dict[str, Any]:
    return {"class_name": class_name, **more, "store_backend": _make_backend(folder)}


def _make_backend(folder: str) -> dict[str, str]:
    return {"class_name": "TupleFilesystemStoreBackend", "base_directory": folder}


def _make_set_asset(frame: Frame, store: Path) -> dict[str, Any]:
    """One file, which the glob names: without it, all files of the store are looked through for each set."""
    asset = _make_asset(frame)
    asset["batch_definitions"][BATCH]["partitioner"] = {"regex": ".*", "param_names": [], "sort_ascending": True}
    return {**asset, "connect_options": {"glob_directive": frame.path.relative_to(store).as_posix()}}


def _make_asset(frame: Frame) -> dict[str, Any]:
    batch: dict[str, Any] = {"id": _identify("batch", frame.name)}
    return {"type": "parquet", "id": _identify("asset", frame.name), "batch_definitions": {BATCH: batch}}


def _write_suite(spec: Spec) -> str:
    name = spec["name"]
    numbered = number_expectations(spec)["expectations"]
    expectations = [
        {
            "id": _identify("expectation", f"{name} {number}"),
            "type": item["type"],
            "kwargs": item["kwargs"],
            "severity": item["severity"],
            "meta": item["meta"],
            **_describe(item),
        }
        for number, item in enumerate(numbered, start=1)
    ]
    version = importlib.metadata.version("great-expectations")
    meta = {"great_expectations_version": version, COUNT: len(expectations)}
    about = (spec.get("meta") or {}).get("about")
    return _write(
        {
            "name": name,
            "id": _identify("suite", name),
            "expectations": expectations,
            "meta": meta,
            **({"notes": about} if about else {}),
        }
    )


def _describe(item: Mapping[str, Any]) -> dict[str, str]:
    """What Data Docs show of an expectation: its clause, where it has one."""
    said = item.get("description") or item["meta"].get("says")
    return {"description": said} if said else {}


def _name_validation(check: Check) -> str:
    return make_name(f"{check.checkpoint},", check.frame.name)


def _find_source(frame: Frame) -> str:
    return SETS if frame.is_set else MODELS


def _refer(kind: str, name: str) -> dict[str, str]:
    return {"name": name, "id": _identify(kind, name)}


def _identify(kind: str, name: str) -> str:
    return str(uuid.uuid5(NAMESPACE, f"{kind} {name}"))


def _write(value: object) -> str:
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
