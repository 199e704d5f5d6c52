"""Batch calls through litellm: write a request's body, read the reply in an answer, and open the provider's server."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import httpx

from engine.errors import MalformedAnswerError, ProviderError, RequestRefusedError
from engine.llm.client.litellm_client import LitellmClient
from engine.llm.client.request import Reply, Request
from engine.llm.client.response import OTHER_FORM

if TYPE_CHECKING:
    from openai import AsyncOpenAI

# Anthropic's header for beta features; in the body of a batch call it is a field of this name.
BETA = "anthropic-beta"
# The API key of a client with the real key in its headers.
NO_KEY = "none"


class BatchClient(LitellmClient):
    """A client that also writes the bodies of batch calls, reads their answers, and opens the provider's server."""

    async def write_body(self, request: Request) -> dict[str, Any]:
        """Return the body that ``complete`` would send, for a batch. Nothing is sent: a local transport ends the call.

        If Anthropic requires a beta header for the body, the header's value is added to it under ``BETA``.

        Raises:
            RequestRefusedError: litellm has no chat completion for this model, or for this request.
        """
        sent: list[httpx.Request] = []

        def capture(http_request: httpx.Request) -> httpx.Response:
            sent.append(http_request)
            return httpx.Response(200, json={})

        try:
            await self._send(request, client=self._open_unsent(httpx.MockTransport(capture)))
        except Exception as error:
            # The answer has nothing to read.
            if not sent:
                raise self._errors.translate(error) from error
        if not sent:
            raise RequestRefusedError(f"{self._errors.where} is not asked by chat completions: batches take no others")
        beta = sent[0].headers.get(BETA)
        body: dict[str, Any] = json.loads(sent[0].content)
        return {**body, BETA: beta} if beta else body

    def read_body(self, body: Mapping[str, Any]) -> Reply:
        """Return the reply in the body of one batch answer, as ``complete`` reads it, at the endpoint's price.

        Raises:
            MalformedAnswerError: it cannot be read.
        """
        from litellm.litellm_core_utils.llm_response_utils.convert_dict_to_response import (
            convert_to_model_response_object,
        )

        # The headers are not used, and tool calls, if there are any, are turned into text.
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

    def open_server(self, timeout: Any) -> "AsyncOpenAI":
        """Open openai's client for the endpoint's server, with litellm's address and key, and without retries.

        It also serves Anthropic, which has the same paths. Its connections are separate from those of live calls; the
        caller closes it.

        Raises:
            CredentialsError: there is no key.
        """
        try:
            opened = self._open_server()
        except Exception as error:
            raise self._errors.translate(error) from error
        from litellm.llms.custom_httpx.http_handler import get_ssl_configuration

        options: dict[str, Any] = {"verify": get_ssl_configuration(), "event_hooks": {"request": [_drop_bearer]}}
        http = httpx.AsyncClient(timeout=timeout, follow_redirects=True, **options)
        return cast("AsyncOpenAI", opened.with_options(max_retries=0, timeout=timeout, http_client=http))

    def translate(self, error: Exception) -> ProviderError:
        """Return the error for an exception of ``open_server``'s client, as a live call raises it."""
        try:
            mapped = self._litellm.exception_type(self.endpoint.model, error, "openai")
        except Exception as raised:
            raised.__cause__ = raised.__cause__ or error
            mapped = raised
        return self._errors.translate(mapped)

    def _open_unsent(self, transport: httpx.MockTransport) -> Any:
        from litellm.llms.custom_httpx.http_handler import AsyncHTTPHandler

        if self._provider == "anthropic":
            return AsyncHTTPHandler(transport=transport)
        return self._open_server().with_options(max_retries=0, http_client=httpx.AsyncClient(transport=transport))

    def _open_server(self) -> Any:
        from litellm.llms.anthropic.common_utils import AnthropicModelInfo
        from litellm.llms.azure.common_utils import BaseAzureLLM
        from litellm.llms.openai.openai import OpenAIChatCompletion
        from openai import AsyncOpenAI

        model, key, base = self.endpoint.model, self.endpoint.api_key, self.endpoint.api_base
        find = self._litellm.get_secret_str
        if self._provider == "anthropic":
            headers = self._litellm.AnthropicConfig().validate_environment({}, model, [], {}, {}, key, base)
            base = AnthropicModelInfo.resolve_anthropic_api_base(base).rstrip("/").removesuffix("/v1/messages")
            return AsyncOpenAI(api_key=NO_KEY, base_url=f"{base.removesuffix('/v1')}/v1", default_headers=headers)
        if self._provider == "azure":
            key = self._key or key or find("AZURE_OPENAI_API_KEY") or find("AZURE_API_KEY")
            base = (self._base or base or find("AZURE_API_BASE") or "").partition("/openai/")[0]
            options = None, {"max_retries": 0}, True, self._name
            return BaseAzureLLM().get_azure_openai_client(key, base, find("AZURE_API_VERSION"), *options)
        base = self._base or base or find("OPENAI_BASE_URL") or find("OPENAI_API_BASE")
        organization = find("OPENAI_ORGANIZATION")
        return OpenAIChatCompletion().get_openai_client(True, self._key or key, base, organization=organization)


async def _drop_bearer(request: httpx.Request) -> None:
    """Drop the key that openai's client always sends, if the request has Anthropic's key header, and so no token."""
    if "x-api-key" in request.headers:
        request.headers.pop("authorization", None)
