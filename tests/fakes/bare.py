"""Bare routes: what FastAPI and uvicorn cost by themselves, for answers of the door's own shape and size."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fakes.workspace import ROOT
from fastapi import FastAPI

from flows.api.schemas import ModelAnswer, SamplePage
from flows.api.server import open_listener, write_address


def make_app(model: ModelAnswer, page: SamplePage) -> FastAPI:
    """Two routes that give an object which is there already."""
    app = FastAPI()

    @app.get("/model")
    async def read_model() -> ModelAnswer:
        return model

    @app.get("/samples")
    async def list_samples() -> SamplePage:
        return page

    return app


@contextmanager
def serve_bare(model_json: str, page_json: str) -> Iterator[str]:
    """The address of the two routes, in a process of their own."""
    command = [sys.executable, "-m", "fakes.bare"]
    process = subprocess.Popen(
        command,
        cwd=ROOT / "tests",
        env={"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(f"{model_json}\n{page_json}\n")
        process.stdin.flush()
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def main() -> None:
    """Serves until it is killed; the two answers come as a line of JSON each."""
    model = ModelAnswer.model_validate_json(sys.stdin.readline())
    page = SamplePage.model_validate_json(sys.stdin.readline())
    with open_listener("127.0.0.1", 0) as listener:
        config = uvicorn.Config(
            make_app(model, page), http="h11", ws="none", loop="asyncio", access_log=False, log_level="warning"
        )
        print(write_address("127.0.0.1", listener.getsockname()[1]), flush=True)
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
