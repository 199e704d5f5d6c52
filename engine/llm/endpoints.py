"""Derive from settings and effort which models a run calls, at which address and price, and its cost limit."""

from dataclasses import replace

from pydantic import SecretStr

from engine.definitions.effort import Level
from engine.errors import UnpricedError
from engine.llm.client.prices import find_price, is_decision_model, may_think, parse_price
from engine.llm.client.redaction import redact_credentials
from engine.llm.client.request import Endpoint
from engine.llm.embedded.embedded_models import describe_embedded, is_embedded
from engine.settings import Settings


def describe_endpoint(settings: Settings, level: Level) -> Endpoint:
    """Return the endpoint of a level's synth model, with the facts known before any server or call is started.

    Raises:
        ModelNotFoundError: the embedded model's file is missing.
    """
    if is_embedded(level.synth_model):
        return describe_embedded(level.synth_model, settings)
    return _make_endpoint(level.synth_model, settings.synth_api_base, settings.synth_api_key, settings.synth_price)


def describe_judge(settings: Settings, level: Level) -> Endpoint | None:
    """Return the endpoint of the chat judge; None if the effort has no votes, or if the embedded model judges.

    If the judge is the same model as the synth model and has no address of its own, it uses the synth model's address
    and key. Another model never gets them: it may be at another provider, which must not see the key.
    """
    if not level.judge_votes or is_embedded(level.judge_model):
        return None
    shared = level.judge_model == level.synth_model and settings.judge_api_base is None
    base = settings.synth_api_base if shared else settings.judge_api_base
    key = settings.judge_api_key or (settings.synth_api_key if shared else None)
    price = settings.judge_price or (settings.synth_price if shared else None)
    decides = asks_decisions(settings, level.judge_model)
    return replace(_make_endpoint(level.judge_model, base, key, price, decides), settings="EXEMPLARS_JUDGE")


def asks_decisions(settings: Settings, judge_model: str) -> bool:
    """Return whether a judge is called for decisions: by the setting or, if it is unset, by litellm's list."""
    return is_decision_model(judge_model) if settings.judge_style is None else settings.judge_style == "decision"


def limit_cost(settings: Settings, level: Level) -> float | None:
    """Return the cost limit of a run in USD: the lower of the setting's and the effort's; None without a limit."""
    return min((cost for cost in (settings.max_cost_usd, level.max_cost_usd) if cost is not None), default=None)


def check_prices(settings: Settings, level: Level) -> None:
    """Check that a cost limit, if there is one, can be enforced for every model that the run may call.

    Raises:
        UnpricedError: a model has no price; the message names each such model.
    """
    limit = limit_cost(settings, level)
    if limit is None:
        return
    endpoints = [describe_endpoint(settings, level), describe_judge(settings, level)]
    remedies = {
        endpoint.name: f"correct its name, or set {write_price_setting(endpoint)}"
        for endpoint in reversed(endpoints)
        if endpoint and endpoint.price is None
    }
    if remedies:
        advice = ". ".join(f"{name}: {remedy}" for name, remedy in remedies.items())
        effort = f"max_cost_usd of effort {level.effort} in {settings.get_written('effort_file')}"
        source = "EXEMPLARS_MAX_COST_USD" if settings.max_cost_usd == limit else effort
        raise UnpricedError(
            f"The limit of ${limit:g} on the cost of a run ({source}) cannot be kept without "
            f"the price of each model. {advice}. Prices are in USD for a million tokens, 0/0 for a server of your own "
            "that costs nothing. Or remove the limit"
        )


def write_price_setting(endpoint: Endpoint) -> str:
    """Return the setting of an endpoint's price, with the allowed forms of its value."""
    return f"{endpoint.settings}_PRICE=<in>/<out>{' or <price>/query' if endpoint.decides else ''}"


def _make_endpoint(
    model: str, base: str | None, key: SecretStr | None, price: str | None, decides: bool = False
) -> Endpoint:
    return Endpoint(
        name=model,
        model=model,
        identity=f"{model}@{redact_credentials(base or '')}",
        api_base=base,
        api_key=key.get_secret_value() if key else None,
        price=parse_price(price) if price else find_price(model, decides),
        thinks=not decides and may_think(model),
        decides=decides,
    )
