"""The work of ``exemplars verify``: checks the sample store and prints its faults and a summary."""

import json
from dataclasses import asdict

from engine.errors import StoreError
from engine.store.upkeep.verify import Fault, StoreVerifier
from engine.text.formatting import count_noun


def verify_store(samples_uri: str, as_json: bool = False) -> None:
    """Prints each fault as it is found, and a summary.

    Raises:
        StoreError: something is broken, or the store cannot be listed.
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
        }
        print(json.dumps({**summary, "broken": [asdict(fault) for fault in faults]}))
    else:
        print(summarise(verifier))
    if verifier.broken:
        verb, noun = ("is", "thing") if verifier.broken == 1 else ("are", "things")
        raise StoreError(f"{verifier.broken} {noun} {verb} broken in {samples_uri}")


def summarise(verifier: StoreVerifier) -> str:
    """What the store holds, in one line."""
    sets = ", ".join(f"{count} {status}" for status, count in verifier.sets.items())
    size = f"{verifier.size_bytes / 1e6:.1f} MB"
    said = "nothing is broken" if not verifier.broken else f"{verifier.broken} broken"
    models, samples = count_noun(verifier.models, "model"), count_noun(verifier.samples, "sample")
    return f"{verifier.samples_uri}: {models}, sets: {sets}; {samples}, {size}: {said}"
