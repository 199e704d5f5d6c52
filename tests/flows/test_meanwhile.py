"""What comes in between a run's gate and its commit, from runs and callers that share no Prefect server with it."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fakes.provider import Behaviour, Provider, serve_provider, write_text
from fakes.stored import slip_in, wait_for_waiting
from fakes.waiting import wait_until
from fakes.workspace import HANDLE, TRAITS, Workspace, make_workspace, read_kept, read_manifest

from engine.domain.definition import Pole
from engine.domain.model import POLES, Pool, Seed
from engine.domain.verdict import RunResult
from engine.errors import ModelBusyError
from engine.store.added_samples import add_samples
from engine.store.verify import StoreVerifier
from engine.store.writers import lock_model

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server")]

Texts = Mapping[str, Mapping[Pole, list[str]]]
Others = Mapping[str, Texts]


@pytest.fixture(scope="module")
def others(prefect_server: str, tmp_path_factory: pytest.TempPathFactory) -> Others:
    """By what they are beside those that a workspace's first run makes: the same, near ones, others."""
    with serve_provider() as provider:
        made = read_kept(Path(make_workspace(tmp_path_factory.mktemp("twin"), provider).run().samples).parent)
    cells = {
        trait: {pole: made[(made["trait"] == trait) & (made["pole"] == pole)] for pole in POLES} for trait in TRAITS
    }
    changes: dict[str, Callable[[str], str]] = {
        "same": str,
        "near": lambda text: f"{text.rpartition(' ')[0]} lamp.",
        "other": lambda text: write_text(f"other {text}", 20, 24),
    }
    return {
        name: {
            trait: {pole: [change(text) for text in rows["text"]] for pole, rows in poles.items()}
            for trait, poles in cells.items()
        }
        for name, change in changes.items()
    }


def run(**asked: object) -> RunResult:
    """Runs the flow in this process."""
    from flows.synthesize import synthesize

    parameters: Any = {"handle": HANDLE, "effort": "low", **asked}
    result: RunResult = asyncio.run(synthesize(**parameters))
    return result


@contextmanager
def between_gate_and_commit(workspace: Workspace, provider: Provider, **asked: object) -> Iterator[Future[RunResult]]:
    """The block comes after the gate has passed the set of a run, and before its commit."""
    provider.forget()
    provider.behaviour = Behaviour(hold_after=0)
    model = workspace.samples / f"handle={HANDLE}"
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run, **asked)
        wait_until(lambda: provider.in_flight or running.done(), what="the run asks")
        model.mkdir(parents=True, exist_ok=True)
        with lock_model(str(model)):
            provider.behaviour = Behaviour()
            wait_for_waiting(model, running)
            yield running


@pytest.mark.parametrize(
    ("asked", "which", "pool", "said"),
    [
        ({}, "near", "train", "no new text is a duplicate or near duplicate"),
        ({}, "same", "eval", "no new text is near to one across the line"),
        ({"only_lacking": True}, "other", "train", "other runs have added the exemplars that were missing"),
    ],
)
def test_set_that_does_not_fit_beside_what_came_in_is_not_attached_and_the_next_start_makes_one_that_does(
    entered: Workspace, provider: Provider, others: Others, asked: dict[str, object], which: str, pool: Pool, said: str
) -> None:
    with between_gate_and_commit(entered, provider, **asked) as running:
        run_id = slip_in(entered.samples, others[which], HANDLE, pool)
    with pytest.raises(ModelBusyError, match=f"a set of run {run_id} was attached .*{said}.*Start again"):
        running.result()
    assert [run_id] == [read_manifest(folder)["run_id"] for folder in entered.list_sets()]
    again = run(**asked)

    assert ("not_needed" if "only_lacking" in asked else "attached") == again.status
    assert (0 if "only_lacking" in asked else 16) == sum(again.kept.values())
    assert [] == list(StoreVerifier(str(entered.samples)).find_faults())


def test_set_that_fits_beside_what_came_in_is_attached_and_says_beside_which_it_was_checked(
    entered: Workspace, provider: Provider, others: Others
) -> None:
    with between_gate_and_commit(entered, provider) as running:
        run_id = slip_in(entered.samples, others["other"], HANDLE, "train")
    result = running.result()

    inputs = read_manifest(Path(result.samples).parent)["inputs"]
    assert ("attached", [run_id]) == (result.status, inputs["checked_beside"])
    assert [] == list(StoreVerifier(str(entered.samples)).find_faults())


def test_set_with_a_text_that_was_added_meanwhile_is_not_attached(
    entered: Workspace, provider: Provider, others: Others
) -> None:
    text = others["same"]["clarity"]["positive"][0]
    with between_gate_and_commit(entered, provider) as running:
        models_uri, seed = entered.variables["EXEMPLARS_MODELS_URI"], Seed("clarity", text, 0.0, "")
        add_samples(models_uri, str(entered.samples), HANDLE, [seed])
    with pytest.raises(ModelBusyError, match="was added to its samples after the set was planned"):
        running.result()

    assert [] == entered.list_sets()
