"""A job is refused before anything is paid, and the judge is asked where its settings say, never with another's key."""

import json
from pathlib import Path

import pytest
from fakes.builders import make_level
from fakes.client import HeardProgress
from fakes.workspace import HANDLE, make_workspace

from engine.errors import FrozenModelError, ModelNotFoundError, NoSeedsError, UnknownModelError
from engine.job import describe_judge, load_job, open_jury
from engine.limits import Limits
from engine.settings import Settings

HERE, THERE = "http://127.0.0.1:1/v1", "http://127.0.0.1:2/v1"
SAME, OTHER = "openai/test", "openai/judge"


def make_settings(**fields: str) -> Settings:
    return Settings(synth_api_base=HERE, synth_api_key="sk-synth", **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("model", "fields", "base", "key"),
    [
        (SAME, {}, HERE, "sk-synth"),
        (SAME, {"judge_api_key": "sk-judge"}, HERE, "sk-judge"),
        (SAME, {"judge_api_base": THERE}, THERE, None),
        (SAME, {"judge_api_base": THERE, "judge_api_key": "sk-judge"}, THERE, "sk-judge"),
        (OTHER, {}, None, None),
        (OTHER, {"judge_api_base": THERE}, THERE, None),
        (OTHER, {"judge_api_key": "sk-judge"}, None, "sk-judge"),
    ],
)
def test_judge_has_the_synth_models_address_and_key_only_where_it_is_the_same(
    model: str, fields: dict[str, str], base: str | None, key: str | None
) -> None:
    endpoint = describe_judge(make_settings(**fields), make_level(synth_model=SAME, judge_model=model, judge_votes=1))

    assert endpoint is not None
    assert (model, base, key) == (endpoint.name, endpoint.api_base, endpoint.api_key)
    assert "EXEMPLARS_JUDGE" == endpoint.settings


@pytest.mark.parametrize(
    ("votes", "judge", "cast"),
    [(0, OTHER, 0), (3, "embedded", 0), (3, "embedded/other.gguf", 0), (1, OTHER, 1), (3, SAME, 3)],
)
async def test_hosted_judge_casts_the_levels_votes_and_the_embedded_one_none(votes: int, judge: str, cast: int) -> None:
    limits, level = Limits(4), make_level(judge_votes=votes, judge_model=judge)
    async with open_jury(make_settings(), level, HeardProgress(), limits) as jury:
        assert (cast, cast > 0) == (jury.votes, jury.asker is not None)
        assert None is jury.asker or limits is jury.asker.limits


async def test_judge_of_an_unknown_provider_is_refused_by_its_setting() -> None:
    level = make_level(judge_votes=1, judge_model="nobody/judge")
    with pytest.raises(ModelNotFoundError, match=r"'nobody/judge' .* set EXEMPLARS_JUDGE_MODEL"):
        async with open_jury(make_settings(), level, HeardProgress(), Limits(4)):
            raise AssertionError("it was opened")


def make_catalogue(folder: Path, state: str) -> Settings:
    """The settings of a workspace whose model has been brought into a state."""
    workspace = make_workspace(folder)
    (workspace.model / "lifecycle.json").write_text(json.dumps({"state": state}))
    return Settings(
        models_uri=str(folder / "models"),
        samples_uri=str(folder / "samples"),
        effort_file=str(folder / "effort.yaml"),
        synth_model="openai/test",
    )


@pytest.mark.parametrize("dry", [False, True])
@pytest.mark.parametrize("state", ["busy", "ready", "archived"])
@pytest.mark.parametrize("synth_type", ["from_traits", "diversify"])
def test_samples_of_a_model_that_is_no_draft_are_frozen(tmp_path: Path, synth_type: str, state: str, dry: bool) -> None:
    settings = make_catalogue(tmp_path, state)
    seeds = [json.dumps({"content": f"Text {number} is about the saw.", "safety": number % 2}) for number in range(4)]
    with (tmp_path / "models" / HANDLE / "samples.jsonl").open("a") as file:
        file.write("\n" + "\n".join(seeds))
    with pytest.raises(FrozenModelError, match=f"{HANDLE} is '{state}', not a draft"):
        load_job(settings, HANDLE, synth_type, "low", dry)

    assert not (tmp_path / "samples").exists()


@pytest.mark.parametrize("state", ["draft", "failed"])
def test_draft_and_failed_model_take_a_run(tmp_path: Path, state: str) -> None:
    assert HANDLE == load_job(make_catalogue(tmp_path, state), HANDLE, "from_traits", "low").model.handle


def test_trained_model_may_be_evaluated_and_a_set_of_it_made_again(tmp_path: Path) -> None:
    settings = make_catalogue(tmp_path, "ready")

    assert "enrich" == load_job(settings, HANDLE, "enrich", "low").synth_type
    assert "from_traits" == load_job(settings, HANDLE, "from_traits", "low", dry=True, runs=[]).synth_type


def test_what_is_wrong_with_the_model_is_told_before_that_it_is_frozen(tmp_path: Path) -> None:
    settings = make_catalogue(tmp_path, "ready")
    with pytest.raises(UnknownModelError):
        load_job(settings, "u22a8.other", "from_traits", "low")
    (tmp_path / "models" / HANDLE / "samples.jsonl").write_text("")
    with pytest.raises(NoSeedsError):
        load_job(settings, HANDLE, "diversify", "low")
