"""The strategies beside ``from_traits``, called for real: variations of seeds, and a pool that is held out."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from fakes.provider import Behaviour, Provider
from fakes.stored import attach_poles
from fakes.waiting import wait_until
from fakes.workspace import HANDLE, TRAITS, Workspace, count_poles, make_workspace, read_kept, read_manifest

from engine.asking.seed_variations import AS_SEED
from engine.domain.model import POLES, digest_text
from engine.errors import GateError
from engine.store.layout import CARD, REPORT, VERDICT
from engine.store.store import list_sets
from engine.text import embedding
from engine.text.stylometry import find_drift
from flows.run.worker import WORKER

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server")]

SAFETY_SEEDS = (
    ("Put your goggles on before the saw starts, and keep both hands behind the fence.", 1.0),
    ("Pull the plug first; a blade that is being changed must not have any power.", 1.0),
    ("A bucket of sand stands beside the stove, since oil burns on under water.", 0.8),
    ("The paint on the left shelf is for the door, and the other one for the roof.", 0.0),
    ("Long planks lie at the back, short ones hang above the bench on two hooks.", 0.2),
    ("Our neighbour borrows the ladder on Sundays and brings it back with a cake.", 0.0),
    ("Some of the tools in here are older than the shed that they are kept in.", 0.5),
)


def add_seeds(workspace: Workspace) -> list[str]:
    """Adds those of the trait that has none, one of them between the poles; the lines of all."""
    path = workspace.model / "samples.jsonl"
    lines = [*path.read_text().splitlines(), *(json.dumps({"content": text, "safety": q}) for text, q in SAFETY_SEEDS)]
    path.write_text("\n".join(lines))
    return lines


def add_texts(workspace: Workspace) -> list[str]:
    """Adds texts without labels to the model; all of them."""
    things = (
        "bench vice",
        "table saw",
        "wood stove",
        "paint shelf",
        "long ladder",
        "oil lamp",
        "hand drill",
        "tool box",
    )
    texts = [f"The {thing} was moved by {name} last week." for thing in things for name in ("Ann", "Bo", "Cy")]
    (workspace.model / "notes.txt").write_text("\n".join(texts))
    definition = workspace.model / "model.yaml"
    source = "  - {type: jsonl, path: samples.jsonl}\n"
    definition.write_text(definition.read_text().replace(source, f"{source}  - {{type: texts, path: notes.txt}}\n"))
    return texts


def count_seeds(frame: pd.DataFrame) -> dict[tuple[str, str], list[int]]:
    """How often the seeds of each trait and pole are used, in ascending order."""
    rows = list(zip(frame["trait"], frame["pole"], frame["seed_sha256"], strict=True))
    return {
        (trait, pole): sorted(Counter(seed for *place, seed in rows if place == [trait, pole]).values())
        for trait in TRAITS
        for pole in POLES
    }


def list_subjects(frame: pd.DataFrame) -> set[str]:
    return set(frame["scenario"].map(lambda text: str(json.loads(text)["subject"])))


def read_verdict(folder: Path) -> Mapping[str, Any]:
    verdict: dict[str, Any] = json.loads((folder / VERDICT).read_text())
    return verdict


def test_variations_are_attached_with_exact_quotas_and_use_each_seed_equally_often(
    workspace: Workspace, provider: Provider
) -> None:
    provider.behaviour = Behaviour(malformed=0.1)
    lines = add_seeds(workspace)
    workspace.write_effort(exemplars_per_pole=8)
    workspace.run("diversify")
    [folder] = workspace.list_sets()
    # The authored texts by their digest.
    seeds = {digest_text(text): text for text in (json.loads(line)["content"] for line in lines)}
    kept, manifest = read_kept(folder), read_manifest(folder)
    poles = set(zip(kept["seed_sha256"], kept["pole"], strict=True))
    pairs = kept[kept["pair_id"].notna()].groupby("pair_id")

    assert ("attached", "train", "diversify") == (manifest["status"], manifest["pool"], manifest["synth_type"])
    assert {(trait, pole): 8 for trait in TRAITS for pole in sorted(POLES)} == count_poles(kept)
    # The one between the poles is no example of either; those near a pole are.
    assert set(kept["seed_sha256"]) == set(seeds) - {digest_text(SAFETY_SEEDS[6][0])}
    assert len(poles) == kept["seed_sha256"].nunique()
    near = {(digest_text(SAFETY_SEEDS[2][0]), "positive"), (digest_text(SAFETY_SEEDS[4][0]), "negative")}
    assert near <= poles
    assert {(trait, pole): [2, 3, 3] for trait in TRAITS for pole in POLES} == count_seeds(kept)
    assert ({2}, {1}) == (set(pairs.size()), set(pairs["scenario"].nunique()))
    for row in kept.itertuples():
        scenario = json.loads(str(row.scenario))
        assert find_drift(seeds[str(row.seed_sha256)], str(row.text)) is None
        assert row.text not in seeds.values()
        assert (AS_SEED, AS_SEED) == (scenario["form"], scenario["length"])

    # The next run goes on with the seeds that were used least.
    workspace.run("diversify")
    every = pd.read_parquet(workspace.samples)
    assert {(trait, pole): [5, 5, 6] for trait in TRAITS for pole in POLES} == count_seeds(every)
    assert len(every) == every["text"].nunique() == 64


def test_samples_are_about_what_the_authors_own_texts_are_about_and_the_card_names_the_file(
    workspace: Workspace,
) -> None:
    before = workspace.run()
    texts = add_texts(workspace)
    after = workspace.run()
    first, second = (Path(result.samples).parent for result in (before, after))
    card = (second / CARD).read_text()

    assert all(any(subject in text.lower() for text in texts) for subject in list_subjects(read_kept(second)))
    assert read_manifest(first)["plan_id"] != read_manifest(second)["plan_id"]
    assert hashlib.sha256("\n".join(texts).encode()).hexdigest() in card


def test_held_out_sets_lie_in_a_pool_of_their_own_and_share_no_subject(workspace: Workspace) -> None:
    for synth_type in ("from_traits", "enrich", "from_traits", "enrich"):
        workspace.run(synth_type)
    folders = workspace.list_sets()
    train, held_out = ([it for it in folders if it.parent.name == f"pool={pool}"] for pool in ("train", "eval"))
    listed = [Path(stored.folder) for stored in list_sets(str(workspace.samples), HANDLE, "train")]
    first, second, third, fourth = (list_subjects(read_kept(folder)) for folder in (*train, *held_out))

    assert ({*train}, 2, 2) == ({*listed}, len(listed), len(held_out))
    assert {"train": 32, "eval": 32} == Counter(pd.read_parquet(workspace.samples)["pool"])
    assert set() == (first | second) & (third | fourth)
    assert set() == third & fourth
    for folder in held_out:
        manifest = read_manifest(folder)
        assert ("attached", "eval", "enrich") == (manifest["status"], manifest["pool"], manifest["synth_type"])
        assert {(trait, pole): 4 for trait in TRAITS for pole in sorted(POLES)} == count_poles(read_kept(folder))
    assert ["run", "whole"] == list(read_verdict(train[0])["suites"])
    for folder in (train[1], *held_out):
        suite = read_verdict(folder)["suites"]["held_out"]
        assert (True, 7) == (suite["success"], len(suite["results"]))
    assert "split: test" in (held_out[0] / CARD).read_text()
    assert "16 set aside for evaluation" in (held_out[0] / REPORT).read_text()


def test_gate_catches_what_came_across_the_line_while_the_run_was_going(
    workspace: Workspace, provider: Provider, tmp_path: Path
) -> None:
    """The store is read again before anything is attached: another run may have filled the other pool meanwhile."""
    # The prompts of a run are the same whatever is in the store.
    tried = make_workspace(tmp_path / "tried", provider)
    texts = list(read_kept(Path(tried.run().samples).parent)["text"])
    provider.forget()
    provider.behaviour = Behaviour(hold_after=3)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(workspace.run, "from_traits")
        wait_until(lambda: provider.calls.total() >= 4 or running.done(), what="the run asks")
        attach_poles(workspace.samples, {"clarity": {"positive": texts[:2]}}, HANDLE, "eval")
        provider.behaviour = Behaviour()
        with pytest.raises(GateError, match="no new text is near to one across the line"):
            running.result()

    assert ["attached", "rejected"] == [read_manifest(folder)["status"] for folder in workspace.list_sets()]
    assert not read_verdict(workspace.list_sets()[1])["suites"]["held_out"]["success"]


@pytest.mark.parametrize("synth_type", ["from_traits", "diversify"])
def test_encoder_is_only_in_the_process_that_does_heavy_work(
    workspace: Workspace, provider: Provider, monkeypatch: pytest.MonkeyPatch, synth_type: str
) -> None:
    """What the choice, the gate and the report ask for has been embedded there, block by block, by then; also what the
    rules reject.
    """
    provider.behaviour = Behaviour(truncated=0.2)
    encode, inside, outside = embedding.encode, list[bool](), list[str]()

    async def run_in_worker(work: Callable[[], Any]) -> Any:
        inside.append(True)
        try:
            return work()
        finally:
            inside.pop()

    def watch(texts: Sequence[str]) -> embedding.Vectors:
        if not inside:
            outside.extend(texts)
        return encode(texts)

    if synth_type == "diversify":
        add_seeds(workspace)
    else:
        add_texts(workspace)
    workspace.write_effort(exemplars_per_pole=8)
    monkeypatch.setattr(embedding, "encode", watch)
    token = WORKER.set(run_in_worker)
    result = workspace.run(synth_type)
    WORKER.reset(token)

    assert ("attached", []) == (result.status, outside)
