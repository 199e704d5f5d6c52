"""A provider that echoes the key of who asks wherever it can: in replies, refusals, errors, headers, proxies' pages."""

import json
from typing import Any
from urllib.parse import quote

from fakes.provider import Behaviour, Provider, draw
from fastapi import Response
from fastapi.responses import HTMLResponse, JSONResponse


def spell(key: str) -> tuple[str, ...]:
    """A key in every spelling that a provider may use; the last is how JSON may hold it."""
    return (key, quote(key, safe=""), key.replace("/", "\\/"), "".join(f"\\u{ord(character):04x}" for character in key))


class EchoingProvider(Provider):
    """Of the prompts one in ten each fails at first with 500 and with 502, and is refused, in the words of the key; of
    the texts that it writes one in three has it. ``echoes`` counts them all."""

    def __init__(self, behaviour: Behaviour, key: str) -> None:
        super().__init__(behaviour)
        self.key = key
        self.echoes = 0
        self.pages: set[str] = set()

    async def complete(self, body: dict[str, Any]) -> Response:
        prompt = "\0".join(message["content"] for message in body["messages"])
        share, first = draw(prompt, "echo"), self.calls[prompt] == 0
        response = await super().complete(body)
        self.echoes += 1
        said = f"Key {self.key} ({spell(self.key)[1]}), sent as Bearer {self.key}: {self.key[:14]}****{self.key[-4:]}"
        if response.status_code != 200:
            return self._refuse(response.status_code, said, json.loads(bytes(response.body))["error"]["code"])
        if share < 0.1 and first:
            return self._refuse(500, said)
        if share < 0.2 and first:
            return HTMLResponse(f"<html><h1>502 Bad Gateway</h1>\n<pre>{said}</pre></html>", 502)
        if share < 0.3:
            return self._refuse(400, said, "content_policy_violation")
        return self._answer(prompt, json.loads(bytes(response.body)))

    def _refuse(self, status: int, said: str, code: str | None = None) -> Response:
        error = {"message": said, "type": said, "param": said, "code": code or said}
        return JSONResponse({"error": error}, status, {"x-your-key": self.key, "www-authenticate": said})

    def _answer(self, prompt: str, body: dict[str, Any]) -> Response:
        choice = body["choices"][0]
        text: str = choice["message"]["content"]
        if '"text": "The' in text and draw(prompt, "text") < 1 / 3:
            spelt = spell(self.key)[int(draw(prompt, "spelling") * len(spell(self.key)))]
            choice["message"]["content"] = text.replace('"text": "The', f'"text": "The key {spelt} opens the', 1)
        body |= {"id": self.key, "system_fingerprint": self.key, "service_tier": self.key}
        return JSONResponse(body, headers={"x-your-key": self.key, "x-request-id": self.key})
