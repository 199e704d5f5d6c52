"""How litellm puts a call that goes in a batch: its body, the reply in an answer's, addresses, keys and errors."""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import httpx

from engine.errors import MalformedAnswerError, ProviderError, RequestRefusedError
from engine.llm.client.litellm_client import LitellmClient
from engine.llm.client.request import Reply, Request
from engine.llm.client.response import OTHER_FORM

if TYPE_CHECKING:
    from openai import AsyncOpenAI

# The header by which Anthropic is asked for what is new; a body of a batch carries it under this name.
BETA = "anthropic-beta"
# A key for calls that are written and not sent.
NO_KEY = "none"
# An answer that litellm can read, in OpenAI's form and in Anthropic's.
EMPTY_ANSWER: Mapping[str, Any] = {
    "id": "",
    "object": "chat.completion",
    "created": 0,
    "model": "",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "."}, "finish_reason": "stop"}],
    "content": [{"type": "text", "text": "."}],
    "stop_reason": "end_turn",
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "input_tokens": 1, "output_tokens": 1},
}


class BatchClient(LitellmClient):
    """A client that also writes the bodies of calls for a batch, reads its answers, and opens what a batch needs."""

    async def write_body(self, request: Request) -> dict[str, Any]:
        """The body that ``complete`` would send, for a batch. Nothing is sent: the call ends at a transport of its own.

        What of it Anthropic takes only under a header has that header's value beside it, under ``BETA``.

        Raises:
            RequestRefusedError: litellm has no chat completion for this model, or for this request.
        """
        written: list[httpx.Request] = []

        def take(asked: httpx.Request) -> httpx.Response:
            written.append(asked)
            return httpx.Response(200, json=EMPTY_ANSWER)

        try:
            await self._send(request, client=self._open_unsent(httpx.MockTransport(take)), api_key=NO_KEY)
        except Exception as error:
            raise self._errors.translate(error) from error
        if not written:
            raise RequestRefusedError(f"{self._errors.where} is not asked by chat completions: batches take no others")
        beta = written[0].headers.get(BETA)
        body: dict[str, Any] = json.loads(written[0].content)
        return {**body, BETA: beta} if beta else body

    def read_body(self, body: Mapping[str, Any]) -> Reply:
        """The reply in the body of one answer of a batch, as ``complete`` reads it, at the endpoint's price.

        Raises:
            MalformedAnswerError: it cannot be read.
        """
        from litellm.litellm_core_utils.llm_response_utils.convert_dict_to_response import (
            convert_to_model_response_object,
        )

        # Nobody hears of the headers, and an answer without a tool's call has none to turn into text.
        empty, whole = self._litellm.ModelResponse(), {**body}
        try:
            if self._provider == "anthropic":
                config, headers = self._litellm.AnthropicConfig(), httpx.Response(200)
                response = config.transform_parsed_response(whole, headers, empty, json_mode=True)
            else:
                response = convert_to_model_response_object(whole, empty, convert_tool_call_to_json_mode=True)
            return self._read(response, tells_odds=True)
        except MalformedAnswerError:
            raise
        except Exception as error:
            raise self._errors.make_malformed(*OTHER_FORM) from error

    def open_files(self, timeout: Any) -> "AsyncOpenAI":
        """openai's client as litellm makes it for this endpoint, but for retries; its caller closes it.

        Raises:
            CredentialsError: there is no key.
        """
        from litellm.llms.azure.common_utils import BaseAzureLLM
        from litellm.llms.openai.openai import OpenAIChatCompletion

        name, _, key, base = self._litellm.get_llm_provider(
            self.endpoint.model, api_base=self.endpoint.api_base, api_key=self.endpoint.api_key
        )
        find = self._litellm.get_secret_str
        opened: Any
        try:
            if self._provider == "azure":
                key = key or self.endpoint.api_key or find("AZURE_OPENAI_API_KEY") or find("AZURE_API_KEY")
                base = (base or self.endpoint.api_base or find("AZURE_API_BASE") or "").partition("/openai/")[0]
                opened = BaseAzureLLM().get_azure_openai_client(
                    key, base, find("AZURE_API_VERSION"), None, {"max_retries": 0}, True, name
                )
            else:
                key = key or self.endpoint.api_key
                base = base or self.endpoint.api_base or find("OPENAI_BASE_URL") or find("OPENAI_API_BASE")
                organization = find("OPENAI_ORGANIZATION")
                opened = OpenAIChatCompletion().get_openai_client(True, key, base, organization=organization)
        except Exception as error:
            raise self._errors.translate(error) from error
        opened = opened.with_options(max_retries=0, timeout=timeout, http_client=self.open_http(timeout))
        return cast("AsyncOpenAI", opened)

    def open_http(self, timeout: Any) -> httpx.AsyncClient:
        """Connections that ask nothing a second time, and are not closed with those of live calls, as litellm's are."""
        from litellm.llms.custom_httpx.http_handler import get_ssl_configuration

        return httpx.AsyncClient(verify=get_ssl_configuration(), timeout=timeout, follow_redirects=True)

    def find_messages(self) -> tuple[str, dict[str, str]]:
        """The address of Anthropic's messages for this endpoint, and the headers of a request.

        Raises:
            CredentialsError: there is no key.
        """
        from litellm.litellm_core_utils.url_utils import ensure_api_route
        from litellm.llms.anthropic.common_utils import AnthropicModelInfo

        endpoint = self.endpoint
        try:
            headers = self._litellm.AnthropicConfig().validate_environment(
                {}, endpoint.model, [], {}, {}, endpoint.api_key, endpoint.api_base
            )
        except Exception as error:
            raise self._errors.translate(error) from error
        base = AnthropicModelInfo.resolve_anthropic_api_base(endpoint.api_base)
        return ensure_api_route(base, "v1/messages"), headers

    def translate(self, error: Exception) -> ProviderError:
        """The error for an exception of openai's client or of httpx, as a live call raises it."""
        mapped: Exception = error
        if isinstance(error, httpx.HTTPStatusError):
            came = error.response
            said = came.text
            with suppress(ValueError, LookupError, TypeError):
                said = str(came.json()["error"]["message"])
            mapped = self._litellm.AnthropicConfig().get_error_class(said, came.status_code, came.headers)
            mapped.__cause__ = error
        try:
            mapped = self._litellm.exception_type(self.endpoint.model, mapped, self._provider)
        except Exception as raised:
            raised.__cause__ = raised.__cause__ or mapped
            mapped = raised
        return self._errors.translate(mapped)

    def translate_answer(self, status: int, body: Any) -> ProviderError:
        """The error for an answer of a batch whose status is no success, as a live call of that answer raises it."""
        import openai

        came: Any = httpx.Response(status, json=body, request=httpx.Request("POST", "http://batch"))
        if self._provider == "anthropic":
            return self.translate(httpx.HTTPStatusError("", request=came.request, response=came))
        inner = body.get("error", body) if isinstance(body, dict) else body
        said = inner.get("message") if isinstance(inner, dict) else None
        kind = {429: openai.RateLimitError, 400: openai.BadRequestError}.get(status, openai.APIStatusError)
        return self.translate(kind(str(said or inner), response=came, body=inner))

    def _open_unsent(self, transport: Any) -> Any:
        """A client for one call that ends at a transport."""
        from litellm.llms.custom_httpx.http_handler import AsyncHTTPHandler
        from openai import AsyncAzureOpenAI, AsyncOpenAI

        if self._provider == "anthropic":
            return AsyncHTTPHandler(transport=transport)
        options: dict[str, Any] = {"api_key": NO_KEY, "http_client": httpx.AsyncClient(transport=transport)}
        if self._provider == "azure":
            # No version changes the body.
            version = self._litellm.AZURE_DEFAULT_API_VERSION
            return AsyncAzureOpenAI(azure_endpoint="http://batch", api_version=version, **options)
        return AsyncOpenAI(base_url="http://batch", **options)
