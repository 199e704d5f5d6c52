"""The judge is asked where its settings say, and never with a key that was given for another model."""

import pytest
from fakes.builders import make_level
from fakes.client import HeardProgress

from engine.errors import ModelNotFoundError
from engine.job import call_jury, describe_judge
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
def test_hosted_judge_casts_the_levels_votes_and_the_embedded_one_none(votes: int, judge: str, cast: int) -> None:
    limits = Limits(4)
    jury = call_jury(make_settings(), make_level(judge_votes=votes, judge_model=judge), HeardProgress(), limits)

    assert (cast, cast > 0) == (jury.votes, jury.asker is not None)
    assert None is jury.asker or limits is jury.asker.limits


def test_judge_of_an_unknown_provider_is_refused_by_its_setting() -> None:
    with pytest.raises(ModelNotFoundError, match=r"'nobody/judge' .* set EXEMPLARS_JUDGE_MODEL"):
        call_jury(make_settings(), make_level(judge_votes=1, judge_model="nobody/judge"), HeardProgress(), Limits(4))
