"""The work of ``exemplars verify``: checks the sample store and prints its faults and a summary."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from engine.errors import ModelBusyError, StoreError
from engine.store.verify import Fault, StoreVerifier
from engine.text.formatting import count_noun

OLDER_READERS = (
    "Some readers of the whole store (`datasets`, DuckDB and polars by `**/*.parquet`) see their rejected rows or fail "
    "on them, until `exemplars verify --migrate` moves them"
)


def verify_store(samples_uri: str, as_json: bool = False, busy: Sequence[str] = ()) -> None:
    """Prints each fault as it is found, and a summary.

    Args:
        busy: a sentence for each model whose older sets could not be moved just now.

    Raises:
        StoreError: something is broken, or the store cannot be listed.
        ModelBusyError: nothing is broken, but sets of some models were not moved.
    """
    verifier = StoreVerifier(samples_uri)
    faults: list[Fault] = []
    for fault in verifier.find_faults():
        if as_json:
            faults.append(fault)
        else:
            print(f"{fault.where}: {fault.what}. {fault.remedy}")
    if as_json:
        summary = {
            "models": verifier.models,
            "sets": verifier.sets,
            "samples": verifier.samples,
            "bytes": verifier.size_bytes,
            "older": verifier.older_sets,
        }
        print(json.dumps({**summary, "broken": [asdict(fault) for fault in faults]}))
    else:
        for line in (*describe_older(verifier), *busy, summarise(verifier)):
            print(line)
    if verifier.broken:
        verb, noun = ("is", "thing") if verifier.broken == 1 else ("are", "things")
        raise StoreError(f"{verifier.broken} {noun} {verb} broken in {samples_uri}")
    if busy:
        raise ModelBusyError(f"Not all sets were moved, since runs work on {count_noun(len(busy), 'model')}")


def describe_older(verifier: StoreVerifier) -> list[str]:
    """A sentence on what is still in the older layout, if anything is."""
    older = [count_noun(verifier.older_sets, "set")] if verifier.older_sets else []
    older += ["the ledgers of backfills"] if verifier.has_older_ledgers else []
    return [f"In the older layout: {' and '.join(older)}. {OLDER_READERS}"] if older else []


def summarise(verifier: StoreVerifier) -> str:
    """What the store holds, in one line."""
    sets = ", ".join(f"{count} {status}" for status, count in verifier.sets.items())
    size = f"{verifier.size_bytes / 1e6:.1f} MB"
    said = "nothing is broken" if not verifier.broken else f"{verifier.broken} broken"
    models, samples = count_noun(verifier.models, "model"), count_noun(verifier.samples, "sample")
    return f"{verifier.samples_uri}: {models}, sets: {sets}; {samples}, {size}: {said}"
