"""Call a language model through litellm; only this module and ``batch_client`` import litellm."""

import asyncio
import importlib
import inspect
import logging
import os
import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from engine.definitions.effort import Thinking
from engine.errors import ModelNotFoundError
from engine.llm.client.provider_errors import CONNECT_SECONDS, ErrorTranslator
from engine.llm.client.request import REFUSED, Endpoint, Reply, Request
from engine.llm.client.response import (
    OTHER_DECISION,
    OTHER_FORM,
    Usage,
    mend_unicode,
    read_choice,
    read_decision,
    read_odds,
    read_usage,
)
from engine.system.concurrency import cancel_once
from engine.system.importing import importing

if TYPE_CHECKING:
    from openai import AsyncOpenAI

LOGGER = logging.getLogger("exemplars.calls")
# The providers that accept only a key, or a token in a variable with their name.
KEYED = frozenset({"openai", "anthropic", "gemini", "mistral", "groq", "deepseek", "xai"})


class LitellmClient:
    """Client of one endpoint through litellm.

    Import and first call cost about 5 CPU-seconds (docs/decisions/000-measured.md). litellm shares its connections
    within an event loop, so closing the last client in use there closes them.
    """

    _in_use: ClassVar[set["LitellmClient"]] = set()

    def __init__(self, endpoint: Endpoint, timeout_seconds: float) -> None:
        self.endpoint = endpoint
        self._timeout_seconds = timeout_seconds
        self._litellm = import_litellm()
        self._errors = ErrorTranslator(endpoint, timeout_seconds, self._litellm.exceptions)
        self._name, self._provider, self._key, self._base = self._find_provider()
        # Other providers cache prompts automatically, or require a separate call for it (Gemini).
        self._marks_cached = "claude" in endpoint.model.lower()
        self._efforts = self._read_efforts() if endpoint.style == "chat" and not endpoint.decides else None
        self.endpoint = replace(endpoint, thinks=self._efforts is not None)
        # Without litellm's wrappers, which take a third of its CPU time: they feed callbacks and look up the price of
        # each reply, and we use neither (docs/decisions/008-replies.md).
        self._acompletion = inspect.unwrap(self._litellm.acompletion)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._plain: AsyncOpenAI | None = None
        self._is_warned = False
        # The model name in the last answer.
        self.answered_by: str | None = None

    async def complete(self, request: Request) -> Reply:
        """Make one call without retries and return its reply.

        Raises:
            RetryableProviderError: the same call may succeed later. MalformedAnswerError: its answer cannot be read.
            ContentRefusedError: the provider refuses this prompt.
            RequestRefusedError: the provider does not accept the request in this form.
            CredentialsError, ModelNotFoundError, ProviderError: a retry would fail too.
        """
        self._loop = asyncio.get_running_loop()
        self._in_use.add(self)
        try:
            # The HTTP client's timeout applies to each read: a reply that drips slowly would never reach it.
            async with asyncio.timeout(self._timeout_seconds + 1):
                response = await cancel_once(self._send(request))
        except Exception as error:
            if self.endpoint.decides and _is_misread(error):
                raise self._errors.make_malformed(*OTHER_DECISION) from error
            raise self._errors.translate(error) from error
        if self.endpoint.decides:
            self.answered_by = response.model
            return self._make_reply(*read_decision(response))
        return self._read(response, tells_odds=bool(request.logprobs))

    def check_key(self) -> None:
        """Check, without a call, that there is a key.

        Raises:
            CredentialsError: none is set.
        """
        key, prefix = self.endpoint.api_key, f"{self._provider.upper()}_"
        # A variable with this prefix may be another way to sign in.
        variables = [name for name in os.environ if name.startswith(prefix) and "BASE" not in name]
        if self.endpoint.decides:
            config = _find_decisions_config(self._name, self._provider)
            is_missing = config.api_key_required and not config.resolve_api_key(key)
        else:
            missing_keys = self._litellm.validate_environment(self.endpoint.model)["missing_keys"]
            is_missing = self._provider in KEYED and missing_keys
        if is_missing and not (key or self._key or variables):
            raise self._errors.make_keyless()

    async def close(self) -> None:
        """Close litellm's connections if no other client in this event loop is in use; it can be used again."""
        if self._plain is not None:
            await self._plain.close()
            self._plain = None
        self._in_use.discard(self)
        # Other threads may add clients meanwhile, and this client may never have made a call.
        loop = asyncio.get_running_loop()
        if any(client._loop is loop for client in list(self._in_use)):
            return
        # Removed from litellm's cache first, so that a call that begins during the close opens new connections.
        cache = self._litellm.in_memory_llm_clients_cache
        mark = cache.update_cache_key_with_event_loop("")
        for connections in [cache.cache_dict.pop(key) for key in list(cache.cache_dict) if key.endswith(mark)]:
            with suppress(Exception):
                await connections.close()

    async def _send(self, request: Request, **overrides: Any) -> Any:
        """Send a request and return litellm's response; ``overrides`` replace litellm's options."""
        import httpx

        endpoint = self.endpoint
        options: dict[str, Any] = {
            "api_base": endpoint.api_base,
            "api_key": endpoint.api_key,
            "timeout": httpx.Timeout(self._timeout_seconds, connect=min(CONNECT_SECONDS, self._timeout_seconds)),
        }
        if endpoint.decides:
            # litellm converts it into the provider's form: OpenAI's or System One's.
            decide = inspect.unwrap(self._litellm.adecisions)
            question = {"input": request.prompt.user, "questions": list(request.questions)}
            return await decide(model=endpoint.model, **question, **options)
        options |= {
            **self._write_options(request),
            # The gateway makes the retries: it counts, logs and limits them.
            "max_retries": 0,
            "num_retries": 0,
        }
        if endpoint.style == "plain":
            plain: dict[str, Any] = {"seed": request.seed, "stop": list(request.stop) or None}
            plain["logprobs"] = request.logprobs
            plain["extra_body"] = dict(request.sampler) if request.sampler else None
            options |= {name: value for name, value in plain.items() if value is not None}
            options["client"] = self._open_plain(options["timeout"])
            return await self._litellm.atext_completion(model=endpoint.model, prompt=request.prompt.user, **options)
        messages: list[dict[str, Any]] = [{"role": role, "content": text} for role, text in request.prompt.messages]
        if self._marks_cached and len(messages) > 1:
            # All but the last message is the same in many requests.
            text, mark = messages[-2]["content"], {"type": "ephemeral"}
            messages[-2]["content"] = [{"type": "text", "text": text, "cache_control": mark}]
        if request.logprobs:
            options |= {"logprobs": True, "top_logprobs": request.logprobs}
        if request.schema:
            json_schema = {"name": "reply", "strict": True, "schema": request.schema}
            options["response_format"] = {"type": "json_schema", "json_schema": json_schema}
        options |= {"model": endpoint.model, "messages": messages, "drop_params": True} | overrides
        return await self._acompletion(**options, litellm_logging_obj=self._make_record(messages))

    def _write_options(self, request: Request) -> dict[str, Any]:
        """Return the options that depend on thinking.

        With thinking on, no temperature is sent: Anthropic's models then accept only 1, and OpenAI's accept none.
        """
        options: dict[str, Any] = {"max_tokens": request.count_max_tokens(self.endpoint.thinks)}
        if self._efforts is None or request.thinking == "none":
            options["temperature"] = request.temperature
        if self._efforts and (effort := self._efforts[request.thinking]):
            options["reasoning_effort"] = effort
        return options

    def _make_record(self, messages: list[dict[str, Any]]) -> Any:
        """Return the log object that litellm's providers require; nothing reads it."""
        return self._litellm.Logging(
            model=self.endpoint.model,
            messages=messages,
            stream=False,
            call_type="acompletion",
            # Without a time zone, as in litellm, which subtracts such times.
            start_time=datetime.now(),
            litellm_call_id="",
            function_id="",
        )

    def _open_plain(self, timeout: Any) -> "AsyncOpenAI":
        """Return the shared client of plain-text calls: litellm would open one for each call and never close it."""
        if self._plain is None:
            from litellm.llms.openai.common_utils import BaseOpenAILLM
            from openai import AsyncOpenAI

            connections: Any = BaseOpenAILLM.get_async_http_client()
            self._plain = AsyncOpenAI(
                api_key=self.endpoint.api_key or "none",
                base_url=self.endpoint.api_base,
                timeout=timeout,
                max_retries=0,
                http_client=connections,
            )
        return self._plain

    def _read(self, response: Any, tells_odds: bool) -> Reply:
        choices = getattr(response, "choices", None)
        if not choices:
            raise self._errors.make_malformed(*OTHER_FORM)
        self.answered_by = getattr(response, "model", None)
        plain = self.endpoint.style == "plain"
        text, finish = (
            (choices[0].text or "", str(choices[0].finish_reason or "stop")) if plain else read_choice(choices[0])
        )
        usage = read_usage(getattr(response, "usage", None), bool(text) and finish != REFUSED)
        return self._make_reply(text, finish, usage, read_odds(choices[0]) if tells_odds else None)

    def _make_reply(self, text: str, finish: str, usage: Usage | None, odds: dict[str, float] | None = None) -> Reply:
        price = self.endpoint.price
        if usage is None:
            self._warn_of_usage()
            usage = Usage(0, 0)
        counts = usage.tokens_in, usage.tokens_out
        cost_usd = None if price is None else price.cost(*counts, usage.cached, usage.written)
        return Reply(mend_unicode(text), finish, *counts, cost_usd, odds, cached_tokens=usage.cached)

    def _warn_of_usage(self) -> None:
        if self._is_warned or (self.endpoint.price and self.endpoint.price.is_by_call):
            return
        self._is_warned = True
        effect = "" if self.endpoint.price is None else ", and each call counts at its maximum cost"
        LOGGER.warning(
            "%s does not report plausible token counts: they are not counted%s. To measure the cost of a run, use a "
            "server that reports its usage",
            self._errors.where,
            effect,
            extra={"model": self.endpoint.name},
        )

    def _read_efforts(self) -> Mapping[Thinking, str | None] | None:
        """Return litellm's ``reasoning_effort`` for each amount of thinking; None for a model that cannot think.

        For ``none`` it is the least effort that the model supports, or None, which sends no ``reasoning_effort``.
        """
        litellm, name, provider = self._litellm, self._name, self._provider
        parameters = litellm.get_supported_openai_params(model=name, custom_llm_provider=provider) or ()
        if "reasoning_effort" not in parameters or not litellm.supports_reasoning(name, provider):
            return None
        info = litellm.get_model_info(name, provider)
        least = [word for word in ("none", "minimal") if info.get(f"supports_{word}_reasoning_effort")]
        return {"none": least[0] if least else None, "low": "low", "medium": "medium", "high": "high"}

    def _find_provider(self) -> tuple[str, str, str | None, str | None]:
        """Return litellm's result: the model's name at its provider, the provider, a key and an address."""
        model, base, key = self.endpoint.model, self.endpoint.api_base, self.endpoint.api_key
        try:
            result: tuple[str, str, str | None, str | None]
            result = self._litellm.get_llm_provider(model, api_base=base, api_key=key)
            if self.endpoint.decides:
                _find_decisions_config(*result[:2])
            return result
        except self._litellm.exceptions.BadRequestError as error:
            verb = "asks for decisions" if self.endpoint.decides else "knows"
            raise ModelNotFoundError(
                f"{self.endpoint.name!r} names no provider that litellm {verb}. A name is <provider>/<model>, such as "
                f"openai/gpt-4.1-mini, or 'embedded'; set {self.endpoint.settings}_MODEL or data/effort.yaml"
            ) from error


def import_litellm() -> Any:
    """Import litellm, which takes 2 CPU-seconds, and configure it to work offline and to log only errors."""
    # Without this setting litellm downloads its price list at import.
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    # Seconds. Servers close an idle connection after 5 s and more (uvicorn, so vLLM). A busy event loop notices too
    # late: a request that it sends then never arrives, but counts as possibly billed.
    os.environ.setdefault("AIOHTTP_KEEPALIVE_TIMEOUT", "4")
    with importing():
        import litellm

        with suppress(ImportError):
            # Otherwise the first call imports it.
            importlib.import_module("litellm.proxy.openai_files_endpoints.common_utils")

    # openai's client warns on stderr of fields with a wrong type, and the warning contains the reply.
    warnings.filterwarnings("ignore", message="Pydantic serializer warnings", category=UserWarning)
    litellm.suppress_debug_info = True
    litellm.telemetry = False
    # At DEBUG level, which OPENAI_LOG and LITELLM_LOG set, these log headers and bodies.
    for name in ("litellm", "httpx", "httpcore", "openai"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # litellm's logging worker, which we do not use, logs a traceback when it has to wait for 20 s.
    logging.getLogger("LiteLLM").setLevel(logging.CRITICAL)
    return litellm


def _find_decisions_config(name: str, provider: str) -> Any:
    from litellm.decisions.call import get_decisions_provider_config

    return get_decisions_provider_config(name, provider)


def _is_misread(error: Exception) -> bool:
    """Return whether a decision was answered in a form that litellm cannot read, which it reports as a server error."""
    from litellm.llms.base_llm.decisions.transformation import DecisionsResponseValidationError

    return isinstance(error.__cause__, DecisionsResponseValidationError)
