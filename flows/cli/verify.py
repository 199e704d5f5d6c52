"""The walk over the sample store as a person or a program sees it: a line for each fault, then what there is."""

import json
from dataclasses import asdict

from engine.errors import StoreError
from engine.store.verify import Fault, Walk


def verify_store(samples_uri: str, as_json: bool = False) -> None:
    """Prints what is broken while it is found, and a summary.

    Raises:
        StoreError: something is broken, or the store cannot be listed.
    """
    walk = Walk(samples_uri)
    faults: list[Fault] = []
    for fault in walk.faults():
        if as_json:
            faults.append(fault)
        else:
            print(f"{fault.where}: {fault.what}. {fault.remedy}")
    if as_json:
        summary = {"models": walk.models, "sets": walk.sets, "samples": walk.samples, "bytes": walk.size_bytes}
        print(json.dumps({**summary, "broken": [asdict(fault) for fault in faults]}, ensure_ascii=False))
    else:
        print(summarise(walk))
    if walk.broken:
        verb, noun = ("is", "thing") if walk.broken == 1 else ("are", "things")
        raise StoreError(f"{walk.broken} {noun} {verb} broken in {samples_uri}")


def summarise(walk: Walk) -> str:
    """What the store holds, in one line."""
    sets = ", ".join(f"{count} {status}" for status, count in walk.sets.items())
    size = f"{walk.size_bytes / 1e6:.1f} MB"
    said = "nothing is broken" if not walk.broken else f"{walk.broken} broken"
    return f"{walk.samples_uri}: {walk.models} models, sets: {sets}; {walk.samples} samples, {size}: {said}"
