"""A job is refused before anything is paid, and the judge is asked where its settings say, never with another's key."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes.builders import make_level
from fakes.client import HeardProgress
from fakes.stored import HANDLE as STORED_HANDLE
from fakes.stored import attach_set
from fakes.workspace import HANDLE, make_workspace

from engine.asking.plan import count_scenarios
from engine.domain.model import SynthType
from engine.domain.run_request import RunRequest
from engine.errors import (
    CredentialsError,
    FrozenModelError,
    InputError,
    ModelNotFoundError,
    NoSeedsError,
    ProviderError,
    UnpricedError,
)
from engine.llm.client.prices import Price, find_price
from engine.llm.endpoints import check_prices, describe_judge
from engine.llm.gateway.model_gateway import SharedModels
from engine.run.gateways import open_models
from engine.run.job import load_job
from engine.run.outcome import find_finished, read_result
from engine.settings import Settings
from engine.store.changes import detach_set
from engine.store.layout import REPORT, SAMPLES

HERE, THERE = "http://127.0.0.1:1/v1", "http://127.0.0.1:2/v1"
SAME, OTHER = "openai/test", "openai/judge"


def make_settings(**fields: str) -> Settings:
    return Settings(synth_api_base=HERE, synth_api_key="sk-synth", **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("model", "fields", "base", "key"),
    [
        (SAME, {}, HERE, "sk-synth"),
        (SAME, {"judge_api_base": THERE}, THERE, None),
        (SAME, {"judge_api_base": THERE, "judge_api_key": "sk-judge"}, THERE, "sk-judge"),
        (OTHER, {}, None, None),
        (OTHER, {"judge_api_base": THERE}, THERE, None),
    ],
)
def test_judge_shares_a_key_with_the_same_model_alone(
    model: str, fields: dict[str, str], base: str | None, key: str | None
) -> None:
    endpoint = describe_judge(make_settings(**fields), make_level(synth_model=SAME, judge_model=model, judge_votes=1))

    assert endpoint is not None
    assert (model, base, key) == (endpoint.name, endpoint.api_base, endpoint.api_key)
    assert "EXEMPLARS_JUDGE" == endpoint.settings


@pytest.mark.parametrize(
    ("model", "error", "said"),
    [
        ("nobody/judge", ModelNotFoundError, r"'nobody/judge' .* set EXEMPLARS_JUDGE_MODEL"),
        ("typesafe/jev-latest", CredentialsError, r"needs a key and none is set\. Set EXEMPLARS_JUDGE_API_KEY"),
        (OTHER, CredentialsError, r"needs a key and none is set\. Set EXEMPLARS_JUDGE_API_KEY"),
    ],
)
async def test_judge_that_cannot_be_asked_is_told_when_it_is_opened(
    model: str, error: type[ProviderError], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith(("OPENAI_", "GEMINI_", "GOOGLE_", "ANTHROPIC_"))]:
        monkeypatch.delenv(name)
    level = make_level(judge_votes=1, judge_model=model)
    with pytest.raises(error, match=said):
        async with open_models(make_settings(), level, HeardProgress(), SharedModels(4, 1.0)):
            raise AssertionError("it was opened")


# By the provider's own variable, another of it, and one that needs none.
@pytest.mark.parametrize(
    ("model", "variable"),
    [
        (OTHER, "OPENAI_API_KEY"),
        ("anthropic/claude-3-5-haiku-latest", "ANTHROPIC_FEDERATION_RULE_ID"),
        ("ollama/judge", "HOME"),
    ],
)
async def test_judge_may_sign_in_otherwise(model: str, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "known")
    level = make_level(judge_votes=1, judge_model=model)
    async with open_models(make_settings(), level, HeardProgress(), SharedModels(4, 1.0)) as models:
        assert models.voting_judge
        assert 1 == models.voting_judge.votes


FREE = {"synth_price": "0/0"}
VOTES = {"judge_votes": 1}


@pytest.mark.parametrize(
    ("fields", "votes", "named"),
    [
        ({}, 1, ["openai/test: correct its name", "openai/judge: correct its name, or set EXEMPLARS_JUDGE_PRICE="]),
        (FREE | {"judge_style": "decision"}, 1, ["set EXEMPLARS_JUDGE_PRICE=<in>/<out> or <price>/query"]),
    ],
)
def test_models_without_a_price_are_refused_under_a_limit(fields: dict[str, str], votes: int, named: list[str]) -> None:
    level = make_level(judge_model=OTHER, judge_votes=votes, max_cost_usd=1.0)
    with pytest.raises(UnpricedError, match="0/0 for a server of your own that costs nothing") as refusal:
        check_prices(make_settings(**fields), level)

    assert [] == [part for part in named if part not in str(refusal.value)]
    assert 2 == refusal.value.exit_code


@pytest.mark.parametrize(
    ("fields", "level"),
    [
        ({}, {"max_cost_usd": None}),
        ({}, {"synth_model": "embedded"}),
        ({"synth_price": "0.40/1.60"}, {}),
        (FREE, VOTES),
        (FREE, {"judge_votes": 0, "judge_model": OTHER}),
    ],
)
def test_run_without_a_limit_or_with_all_prices_goes_ahead(fields: dict[str, str], level: dict[str, Any]) -> None:
    check_prices(make_settings(**fields), make_level(**{"max_cost_usd": 1.0, **level}))


def test_job_of_a_model_without_a_price_is_refused_unless_it_is_only_tried(tmp_path: Path) -> None:
    settings = make_catalogue(tmp_path, synth_price=None)
    with pytest.raises(UnpricedError, match=r"openai/test: .*EXEMPLARS_SYNTH_PRICE"):
        load_job(settings, RunRequest(HANDLE, "from_traits", "low"))

    assert HANDLE == load_job(settings, RunRequest(HANDLE, "from_traits", "low"), dry=True).model.handle


# By the list: a mode of its own, a chat model that decides too, one that is on no list; and by the setting.
@pytest.mark.parametrize(
    ("model", "style", "decides", "price"),
    [
        ("baseten/decision-models/baseten-joey-2b-latest", None, True, Price(1e-8, 0.0)),
        ("parallel_ai/decision", None, True, Price(0.0, 0.0, call_usd=0.001)),
        ("openai/gpt-6-luna", "decision", True, Price(1e-7, 0.0, 1e-8, 1.25e-7)),
        ("openai/gpt-6-luna", None, False, find_price("openai/gpt-6-luna")),
        (OTHER, None, False, None),
        ("parallel_ai/decision", "chat", False, Price(0.0, 0.0)),
    ],
)
def test_decision_model_has_one_vote_and_its_own_price(
    tmp_path: Path, model: str, style: str | None, decides: bool, price: Price | None
) -> None:
    settings = make_catalogue(tmp_path, judge_model=model, judge_style=style)
    make_workspace(tmp_path / "dial").write_effort(judge_votes=3)
    settings = settings.model_copy(update={"effort_file": str(tmp_path / "dial" / "effort.yaml")})
    level = load_job(settings, RunRequest(HANDLE, "from_traits", "low"), dry=True).level
    judge = describe_judge(settings, level)

    assert judge is not None
    assert (decides, 1 if decides else 3, price) == (judge.decides, level.judge_votes, judge.price)
    assert not (decides and judge.thinks)


@pytest.mark.parametrize(("synth_model", "counts"), [("embedded", 1), (SAME, 4)])
def test_embedded_model_writes_one_text_a_call(tmp_path: Path, synth_model: str, counts: int) -> None:
    other = make_workspace(tmp_path / "dial")
    other.write_effort(exemplars_per_call=4)
    dial = other.variables["EXEMPLARS_EFFORT_FILE"]
    settings = make_catalogue(tmp_path, synth_model=synth_model, effort_file=dial)
    level = load_job(settings, RunRequest(HANDLE, "from_traits", "low")).level

    assert counts == level.exemplars_per_call
    assert (12 if counts == 1 else 2) == count_scenarios(level, 1, level.exemplars_per_pole)


def test_language_that_the_embedded_model_does_not_write_is_refused_before_the_first_call(tmp_path: Path) -> None:
    settings = make_catalogue(tmp_path, synth_model="embedded/smollm2-135m")
    with (tmp_path / "models" / HANDLE / "model.yaml").open("a") as definition:
        definition.write("\nlanguage: de\n")
    for dry in (True, False):
        with pytest.raises(InputError, match=r"in German \(model\.yaml says so\), .* writes English only\."):
            load_job(settings, RunRequest(HANDLE, "from_traits", "low"), dry=dry)

    # That of a file of one's own is one's own affair.
    own = tmp_path / "own.gguf"
    own.write_bytes(b"GGUF")
    other = settings.model_copy(update={"synth_model": f"embedded/{own}"})
    assert "de" == load_job(other, RunRequest(HANDLE, "from_traits", "low")).model.language


def make_catalogue(folder: Path, state: str = "draft", **fields: str | None) -> Settings:
    """The settings of a workspace whose model has been brought into a state."""
    workspace = make_workspace(folder)
    (workspace.model / "lifecycle.json").write_text(json.dumps({"state": state}))
    places = {name: str(folder / place) for name, place in (("models_uri", "models"), ("samples_uri", "samples"))}
    given = {**places, "effort_file": str(folder / "effort.yaml"), "synth_model": SAME, "synth_price": "0/0", **fields}
    return Settings(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("synth_type", "state", "dry"), [("from_traits", "ready", True), ("from_traits", "archived", False)]
)
def test_samples_of_a_model_that_is_no_draft_are_frozen(
    tmp_path: Path, synth_type: SynthType, state: str, dry: bool
) -> None:
    with pytest.raises(FrozenModelError, match=f"{HANDLE} is '{state}', not a draft"):
        load_job(make_catalogue(tmp_path, state), RunRequest(HANDLE, synth_type, "low"), dry)


@pytest.mark.parametrize(
    ("state", "synth_type"), [("draft", "from_traits"), ("failed", "from_traits"), ("ready", "enrich")]
)
def test_draft_takes_a_run_and_a_trained_model_an_evaluation(tmp_path: Path, state: str, synth_type: SynthType) -> None:
    assert synth_type == load_job(make_catalogue(tmp_path, state), RunRequest(HANDLE, synth_type, "low")).synth_type


def test_number_a_pole_takes_the_place_of_the_effort_s_alone(tmp_path: Path) -> None:
    settings = make_catalogue(tmp_path)
    own, other = (
        load_job(settings, RunRequest(HANDLE, "from_traits", "low", per_pole=count)).level for count in (None, 3)
    )
    assert replace(own, exemplars_per_pole=3, is_own_count=True) == other


def test_seeds_that_contradict_each_other_are_left_out_of_a_job_and_named(tmp_path: Path) -> None:
    settings, said = make_catalogue(tmp_path), "The saw stands still before anybody reaches for the blade."
    lines = [(said, 1), ("Text two is about the saw.", 0), (f" {said}", 0), ("Text two is about the saw.", 0)]
    content = "".join(f"{json.dumps({'content': text, 'safety': value})}\n" for text, value in lines)
    (tmp_path / "models" / HANDLE / "samples.jsonl").write_text(content)
    model = load_job(settings, RunRequest(HANDLE, "from_traits", "low")).model

    assert ["Text two is about the saw."] == [seed.text for seed in model.seeds]
    assert [1.0, 0.0] == [seed.quality for seed in model.conflicting_labels]
    conflicting_labels, doubled = model.skipped
    assert (True, True) == ("both poles" in conflicting_labels.why, "more than once" in doubled.why)
    with pytest.raises(NoSeedsError, match=rf"Texts labelled for both poles are not used: {HANDLE}/samples\.jsonl:1, "):
        load_job(settings, RunRequest(HANDLE, "diversify", "low"))


def test_attached_set_is_its_run_s_result_and_one_that_is_rejected_or_of_another_pool_is_not(tmp_path: Path) -> None:
    stored = attach_set(tmp_path, "one", 8, ("clarity", "safety"))
    attach_set(tmp_path, "rejected", status="rejected")
    attach_set(tmp_path, "held-out", pool="eval")
    finished, *others = (
        find_finished(Settings(samples_uri=str(tmp_path)), STORED_HANDLE, "from_traits", run_id)
        for run_id in ("one", "rejected", "held-out", "none")
    )

    assert finished is not None
    found = read_result(finished)
    assert ("one", "attached", 4, "8 attached") == (found.run_id, found.status, found.wanted, found.headline)
    assert (stored.file(SAMPLES), stored.file(REPORT)) == (found.samples, found.report)
    assert {("clarity", "positive"): 4, ("safety", "negative"): 4} == {cell: n for cell, n in found.kept.items() if n}
    assert 3 * [None] == others
    assert find_finished(Settings(samples_uri=str(tmp_path)), STORED_HANDLE, "enrich", "held-out") is not None
    detach_set(stored)
    with pytest.raises(InputError, match=r"was detached from u22a8\.test, and stays so\. Start a new run"):
        find_finished(Settings(samples_uri=str(tmp_path)), STORED_HANDLE, "from_traits", "one")
