"""A process that keeps replies until it is killed, and says on stdout what it knows to be kept, as soon as it does."""

import asyncio
import itertools
import os
import random
import subprocess
import sys
from pathlib import Path

from pydantic import SecretStr

from engine.llm.client.request import Reply
from engine.llm.replies.replies import ReplyStore
from engine.settings import DatabaseUrl

PLAN = "plan-1"
WRITERS = 8
ROOT = Path(__file__).parents[2]
# Long enough that some take more than a page.
_LENGTHS = (10, 300, 900, 2_000, 9_000)


def make_reply(key: str) -> Reply:
    rng = random.Random(key)
    return Reply(f"{key}: " + "naïve “text” 🔑 " * (rng.choice(_LENGTHS) // 15), "stop", rng.randrange(999), 5, 0.001)


def start_writer(place: DatabaseUrl, prefix: str = "") -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "fakes.reply_writer", place.get_secret_value(), prefix],
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
        stdout=subprocess.PIPE,
        text=True,
    )


def kill_after(process: "subprocess.Popen[str]", lines: int) -> str:
    """What a process has said by the time that it is killed, somewhere after so many lines.

    ``communicate`` would lose the lines that were read ahead with those that were read before.
    """
    assert process.stdout
    said = [process.stdout.readline() for _ in range(lines)]
    process.kill()
    said.append(process.stdout.read())
    process.wait()
    return "".join(said)


def read_begun(said: str) -> list[str]:
    return [line.split()[1] for line in said.splitlines() if line.startswith("begun")]


def read_kept(said: str) -> list[str]:
    return [line.split()[1] for line in said.splitlines() if line.startswith("kept")]


async def _write(kept: ReplyStore, writer: int, prefix: str) -> None:
    for number in itertools.count(writer, WRITERS):
        key = f"{prefix}{number}"
        begun = await kept.begin(1.0)
        _say("begun", key)
        await asyncio.sleep(0.001)
        await kept.keep(key, make_reply(key), begun)
        _say("kept", key)


def _say(*words: str) -> None:
    os.write(1, (" ".join(words) + "\n").encode())


async def _main(url: str, prefix: str) -> None:
    with ReplyStore(SecretStr(url), PLAN) as kept:
        await asyncio.gather(*(_write(kept, writer, prefix) for writer in range(WRITERS)))


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
