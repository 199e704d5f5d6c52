"""The strategies beside ``from_traits``, called for real: variations of seeds, and a pool that is held out."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
from fakes.provider import Behaviour, Provider, serve_provider
from fakes.workspace import TRAITS, Workspace, count_poles, make_workspace, read_kept, read_manifest

from engine.model import POLES, digest_text
from engine.variation import AS_SEED
from engine.voice import find_drift

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
