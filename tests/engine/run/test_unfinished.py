"""An unfinished plan goes on with the embedded model that has begun it, or names the file that is missing."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from fakes.client import FakeClient, HeardProgress
from fakes.model_sources import CONTENT, FILE, make_model
from fakes.workspace import HANDLE, LEVEL, make_workspace

from engine.definitions.scenario_packs import SCENARIOS_FOLDER, load_packs
from engine.domain.run_request import RunRequest
from engine.errors import ModelNotFoundError
from engine.llm.client.request import Prompt, Reply, Request
from engine.llm.embedded import embedded_models
from engine.llm.embedded.embedded_models import list_embedded_models
from engine.llm.endpoints import describe_endpoint
from engine.llm.gateway.budget import RunBudget
from engine.llm.gateway.model_gateway import ModelGateway
from engine.run.job import Job, load_job, plan_job
from engine.settings import Settings
from engine.store.layout import MANIFEST
from engine.store.sample_set import seal
from engine.store.store import locate_set

SMOLLM2, STAND_IN = "embedded/smollm2-135m", "embedded/stand-in"


@dataclass(frozen=True)
class Machine:
    """A catalogue, a dial, a store and kept replies; ``stand-in`` comes before SmolLM2 in the list of models."""

    folder: Path
    settings: Settings

    @property
    def file(self) -> Path:
        return self.folder / "embedded" / FILE

    def name(self, *names: str) -> None:
        """Has the dial name these models."""
        models = {key: list(names) for key in ("small", "medium", "large")} | {"judge": "embedded"}
        (self.folder / "effort.yaml").write_text(json.dumps({"models": models, "levels": {"low": LEVEL}}))

    def load(self, **settings: str) -> Job:
        return load_job(self.settings.model_copy(update=settings), RunRequest(HANDLE, "from_traits", "low"))

    async def begin(self, **settings: str) -> str:
        """A run that ends after its first reply; the id of its plan."""
        job = self.load(**settings)
        plan_id = plan_job(job, load_packs(SCENARIOS_FOLDER), self.settings.seed).plan_id
        client = FakeClient(lambda _: Reply("a text", "stop"), describe_endpoint(self.settings, job.level))
        gateway = ModelGateway(client, self.settings.replies_place, HeardProgress(), RunBudget(1))
        async with gateway.record_replies(plan_id, HANDLE):
            await gateway.complete(Request(Prompt("Text:"), 10, 0.8))
        return plan_id


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    models = {"stand-in": make_model(), "smollm2-135m": list_embedded_models()["smollm2-135m"]}
    monkeypatch.setattr(embedded_models, "list_embedded_models", lambda: models)
    variables = make_workspace(tmp_path).variables
    settings = {name.removeprefix("EXEMPLARS_").lower(): value for name, value in variables.items()}
    made = Machine(tmp_path, Settings.model_validate(settings))
    made.file.parent.mkdir()
    return made


@pytest.mark.parametrize("named", [["embedded"], [STAND_IN, SMOLLM2]])
async def test_plan_goes_on_with_the_model_that_has_begun_it(machine: Machine, named: list[str]) -> None:
    machine.name(*named)
    await machine.begin()
    machine.file.write_bytes(CONTENT)
    job = machine.load()

    assert SMOLLM2 == job.level.synth_model
    assert job.note.startswith(f"Resumes with {SMOLLM2}, which began this plan. ")
    assert job.note.endswith(f"set EXEMPLARS_SYNTH_MODEL={STAND_IN}")


async def test_file_that_is_missing_is_named_with_what_to_do(machine: Machine) -> None:
    machine.name(STAND_IN, "embedded")
    machine.file.write_bytes(CONTENT)
    await machine.begin()
    machine.file.unlink()

    begun = f"An unfinished plan of {HANDLE} was begun with stand-in, whose file is not in {machine.file.parent}. "
    with pytest.raises(ModelNotFoundError, match=f"{begun}Get it: .*EXEMPLARS_SYNTH_MODEL={SMOLLM2}"):
        machine.load()
    job = machine.load(synth_model=SMOLLM2)
    assert (SMOLLM2, "") == (job.level.synth_model, job.note)


@pytest.mark.parametrize("happens", ["a set", "another plan", "the same plan by another model"])
async def test_plan_that_has_ended_or_is_another_asks_the_model_of_now(machine: Machine, happens: str) -> None:
    plan_id = await machine.begin()
    machine.file.write_bytes(CONTENT)
    if happens == "a set":
        manifest = Path(locate_set(str(machine.folder / "samples"), HANDLE, "train", "a-run")) / MANIFEST
        manifest.parent.mkdir(parents=True)
        manifest.write_bytes(seal({"status": "rejected", "plan_id": plan_id}))
    elif happens == "another plan":
        seed = '{"content": "Another seed.", "clarity": 1}'
        (machine.folder / "models" / HANDLE / "samples.jsonl").write_text(seed)
    else:
        await machine.begin(synth_model=STAND_IN)
    job = machine.load()

    assert (STAND_IN, "") == (job.level.synth_model, job.note)
