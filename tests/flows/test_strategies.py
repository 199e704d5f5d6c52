"""The strategies beside ``from_traits``, called for real: variations of seeds, and a pool that is held out."""

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from fakes.builders import make_exemplar
from fakes.provider import Behaviour, Provider, serve_provider
from fakes.workspace import (
    HANDLE,
    TRAITS,
    Workspace,
    count_poles,
    make_workspace,
    read_kept,
    read_manifest,
    read_rejected,
)

from engine.domain.model import POLES, Pool, digest_text
from engine.domain.samples import RunStamp, Scenario, make_row
from engine.errors import GateError
from engine.planning.seed_variations import AS_SEED
from engine.store.layout import CARD, REPORT, VERDICT
from engine.store.sample_set import SampleSet
from engine.store.store import list_sets, write_set
from engine.text.stylometry import find_drift

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


@dataclass(frozen=True)
class Run:
    workspace: Workspace
    provider: Provider

    @property
    def folder(self) -> Path:
        return self.workspace.list_sets()[-1]


def seed_both_traits(workspace: Workspace) -> Workspace:
    """Adds seeds for the trait that has none, one of them between the poles."""
    path = workspace.model / "samples.jsonl"
    lines = [json.dumps({"content": text, "safety": quality}) for text, quality in SAFETY_SEEDS]
    path.write_text("\n".join([path.read_text(), *lines]))
    return workspace


def read_seeds(workspace: Workspace) -> dict[str, str]:
    """The authored texts by their digest."""
    lines = (workspace.model / "samples.jsonl").read_text().splitlines()
    return {digest_text(json.loads(line)["content"]): json.loads(line)["content"] for line in lines}


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


@pytest.fixture(scope="module")
def varied(prefect_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Two traits diversified with eight variations a pole, by a provider of which a tenth is malformed."""
    with serve_provider(Behaviour(malformed=0.1)) as provider:
        workspace = seed_both_traits(make_workspace(tmp_path_factory.mktemp("varied"), provider))
        workspace.write_effort(exemplars_per_pole=8)
        workspace.run("diversify")
        yield Run(workspace, provider)


def test_variations_are_attached_with_exact_quotas(varied: Run) -> None:
    manifest = read_manifest(varied.folder)

    assert ("attached", "train", "diversify") == (manifest["status"], manifest["pool"], manifest["synth_type"])
    assert {(trait, pole): 8 for trait in TRAITS for pole in sorted(POLES)} == count_poles(read_kept(varied.folder))


def test_each_variation_points_at_a_seed_of_its_trait_and_pole(varied: Run) -> None:
    seeds, kept = read_seeds(varied.workspace), read_kept(varied.folder)
    near_positive, near_negative = digest_text(SAFETY_SEEDS[2][0]), digest_text(SAFETY_SEEDS[4][0])
    poles = set(zip(kept["seed_sha256"], kept["pole"], strict=True))

    assert set(kept["seed_sha256"]) == set(seeds) - {digest_text(SAFETY_SEEDS[6][0])}
    assert len(poles) == kept["seed_sha256"].nunique()
    assert {(near_positive, "positive"), (near_negative, "negative")} <= poles


def test_seeds_of_each_trait_and_pole_are_used_equally_often(varied: Run) -> None:
    assert {(trait, pole): [2, 3, 3] for trait in TRAITS for pole in POLES} == count_seeds(read_kept(varied.folder))


def test_variations_keep_the_voice_and_change_the_subject(varied: Run) -> None:
    seeds = read_seeds(varied.workspace)
    for row in read_kept(varied.folder).itertuples():
        scenario = json.loads(str(row.scenario))

        assert find_drift(seeds[str(row.seed_sha256)], str(row.text)) is None
        assert row.text not in seeds.values()
        assert (AS_SEED, AS_SEED) == (scenario["form"], scenario["length"])


def test_two_of_a_pair_share_their_subject(varied: Run) -> None:
    kept = read_kept(varied.folder)
    pairs = kept[kept["pair_id"].notna()].groupby("pair_id")

    assert {2} == set(pairs.size())
    assert {1} == set(pairs["scenario"].nunique())


def test_second_run_goes_on_with_the_seeds_that_were_used_least(varied: Run) -> None:
    varied.workspace.run("diversify")
    every = pd.read_parquet(varied.workspace.samples)

    assert {(trait, pole): [5, 5, 6] for trait in TRAITS for pole in POLES} == count_seeds(every)
    assert len(every) == every["text"].nunique() == 64


def list_folders(workspace: Workspace, pool: str) -> list[Path]:
    return [folder for folder in workspace.list_sets() if folder.parent.name == f"pool={pool}"]


def read_verdict(folder: Path) -> Mapping[str, Any]:
    verdict: dict[str, Any] = json.loads((folder / VERDICT).read_text())
    return verdict


def spoil_text(text: str) -> str:
    """A text with every fifth word replaced: no near duplicate, but near enough to give the answer away."""
    return " ".join("nowhere" if number % 5 == 4 else word for number, word in enumerate(text.split()))


def plant(workspace: Workspace, pool: Pool, texts: Sequence[str], subject: str = "a planted subject") -> None:
    """Puts a set of these texts into a pool of the store."""
    stamp = RunStamp(f"planted-{pool}-{len(texts)}", HANDLE, "from_traits", "low", datetime(2026, 1, 1, tzinfo=UTC))
    scenario = Scenario(subject, "somebody", "a note", "two")
    exemplars = [replace(make_exemplar(text, index=number), scenario=scenario) for number, text in enumerate(texts)]
    rows = [make_row(exemplar, stamp, None) for exemplar in exemplars]
    write_set(str(workspace.samples), SampleSet(stamp, pool, "attached", "planted", rows, (), {}, {}))


def across(synth_type: str) -> Pool:
    """The pool on the other side of the line."""
    return "train" if synth_type == "enrich" else "eval"


@pytest.fixture(scope="module")
def held(prefect_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A set from traits, a held-out set, another set from traits, and another held-out set of one model."""
    with serve_provider() as provider:
        workspace = make_workspace(tmp_path_factory.mktemp("held"), provider)
        for synth_type in ("from_traits", "enrich", "from_traits", "enrich"):
            workspace.run(synth_type)
        yield Run(workspace, provider)


def test_held_out_sets_lie_in_their_own_pool_with_exact_quotas(held: Run) -> None:
    train, held_out = (list_folders(held.workspace, pool) for pool in ("train", "eval"))

    assert (2, 2) == (len(train), len(held_out))
    for folder in held_out:
        manifest = read_manifest(folder)
        assert ("attached", "eval", "enrich") == (manifest["status"], manifest["pool"], manifest["synth_type"])
        assert {(trait, pole): 4 for trait in TRAITS for pole in sorted(POLES)} == count_poles(read_kept(folder))


def test_held_out_sets_are_never_listed_as_samples(held: Run) -> None:
    listed = [Path(stored.folder) for stored in list_sets(str(held.workspace.samples), HANDLE, "train")]
    every = pd.read_parquet(held.workspace.samples)

    assert sorted(list_folders(held.workspace, "train")) == sorted(listed)
    assert {"train": 32, "eval": 32} == Counter(every["pool"])


def test_no_subject_is_on_both_sides_nor_in_two_held_out_sets(held: Run) -> None:
    first, second, third, fourth = (
        list_subjects(read_kept(folder)) for pool in ("train", "eval") for folder in list_folders(held.workspace, pool)
    )

    assert set() == (first | second) & (third | fourth)
    assert set() == third & fourth


def test_disjointness_is_in_the_verdict_where_something_is_held_out(held: Run) -> None:
    train, held_out = (list_folders(held.workspace, pool) for pool in ("train", "eval"))

    assert ["run", "whole"] == list(read_verdict(train[0])["suites"])
    for folder in (train[1], *held_out):
        suite = read_verdict(folder)["suites"]["held_out"]
        assert (True, 7) == (suite["success"], len(suite["results"]))


def test_page_and_card_say_that_the_set_is_set_aside(held: Run) -> None:
    [train, _], [held_out, _] = (list_folders(held.workspace, pool) for pool in ("train", "eval"))

    assert "split: test" in (held_out / CARD).read_text()
    assert "set aside for evaluation" in (held_out / CARD).read_text()
    assert "split: train" in (train / CARD).read_text()
    assert "set aside" not in (train / CARD).read_text()
    assert "16 set aside for evaluation" in (held_out / REPORT).read_text()


@pytest.fixture(scope="module")
def tried(prefect_server: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What a run of each strategy keeps where nothing is in the store.

    The prompts, and so the provider's texts, are the same whatever is in there.
    """
    kept = {}
    with serve_provider() as provider:
        for synth_type in ("from_traits", "diversify", "enrich"):
            workspace = seed_both_traits(make_workspace(tmp_path_factory.mktemp(synth_type), provider))
            workspace.run(synth_type)
            kept[synth_type] = list(read_kept(workspace.list_sets()[0])["text"])
    return kept


@pytest.mark.parametrize("synth_type", ["from_traits", "diversify", "enrich"])
def test_planted_overlap_is_rejected_in_both_directions(
    workspace: Workspace, tried: dict[str, list[str]], synth_type: str
) -> None:
    """What a run would make, or something near it, stands across the line before: it takes other texts."""
    seed_both_traits(workspace)
    planted = tried[synth_type][:6]
    plant(workspace, across(synth_type), [*planted[:3], *map(spoil_text, planted[3:])])
    workspace.run(synth_type)
    _, made = workspace.list_sets()
    rejected = read_rejected(made)

    assert set(planted) <= set(rejected[rejected["reason"] == "held_out_overlap"]["text"])
    assert set() == set(planted) & set(read_kept(made)["text"])
    assert 16 == len(read_kept(made))


@pytest.mark.parametrize("synth_type", ["from_traits", "enrich"])
def test_gate_catches_what_came_across_the_line_while_the_run_was_going(
    workspace: Workspace, provider: Provider, tried: dict[str, list[str]], synth_type: str
) -> None:
    """The store is read again before anything is attached: another run may have filled the other pool meanwhile."""
    seed_both_traits(workspace)
    provider.behaviour = Behaviour(hold_after=3)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(workspace.run, synth_type)
        while provider.calls.total() < 4:
            time.sleep(0.05)
        plant(workspace, across(synth_type), tried[synth_type][:2])
        provider.behaviour = Behaviour()
        with pytest.raises(GateError, match="no new text is near to one across the line"):
            running.result()

    assert ["attached", "rejected"] == [read_manifest(folder)["status"] for folder in workspace.list_sets()]
    assert not read_verdict(workspace.list_sets()[1])["suites"]["held_out"]["success"]
