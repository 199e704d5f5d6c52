"""A workspace: a catalogue, an effort dial, a store and a cache in a folder of their own, and runs of them."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from fakes.builders import NEGATIVE_SEEDS, POSITIVE_SEEDS
from fakes.provider import Provider

from engine.domain.verdict import RunResult
from engine.store.layout import MANIFEST, REJECTED, SAMPLES
from engine.store.store import find_set

ROOT = Path(__file__).parents[2]
HANDLE = "u22a8.toolshed"
MODEL = """
description: Whether notes about the work in a shed are understood at once and speak of safety.
traits:
  - type: spectrum
    key: clarity
    description: How well it is understood.
    positive_label: Clear
    negative_label: Obscure
  - {type: topic, key: safety, description: How people keep from being hurt at work.}
sources:
  - {type: jsonl, path: samples.jsonl}
brief:
  failure_modes: [Verbs turned into nouns., Words that only the author's team knows.]
"""
TRAITS = ("clarity", "safety")
LEVEL = {
    "exemplars_per_pole": 4,
    "synth_model": "small",
    "thinking": "none",
    "judge_votes": 0,
    "top_up_rounds": 4,
    "over_generation": 2.0,
    "exemplars_per_call": 1,
    "temperature": 0.8,
    "max_cost_usd": 1.0,
}
PROGRAM = (sys.executable, "-m", "flows.synthesize", HANDLE, "--effort", "low")
MARK = "EXEMPLARS_TEST_MARK"


@dataclass(frozen=True)
class Workspace:
    """``variables`` are the environment that points a run at the folder."""

    folder: Path
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def samples(self) -> Path:
        return Path(self.variables["EXEMPLARS_SAMPLES_URI"])

    @property
    def model(self) -> Path:
        return self.folder / "models" / HANDLE

    def write_effort(self, **fields: object) -> None:
        models = dict.fromkeys(("small", "medium", "large", "judge"), "embedded")
        dial = {"models": models, "levels": {"low": LEVEL | fields}}
        (self.folder / "effort.yaml").write_text(json.dumps(dial))

    def run(self, synth_type: str = "from_traits") -> RunResult:
        from flows.synthesize import synthesize

        parameters: Any = {"handle": HANDLE, "synth_type": synth_type, "effort": "low"}
        with pytest.MonkeyPatch.context() as patch:
            self.enter(patch)
            result: RunResult = asyncio.run(synthesize(**parameters))
        return result

    def enter(self, patch: pytest.MonkeyPatch) -> None:
        for name in [name for name in os.environ if name.startswith("EXEMPLARS_")]:
            patch.delenv(name)
        for name, value in self.variables.items():
            patch.setenv(name, value)

    def start(self, *arguments: str, program: Sequence[str] = PROGRAM, **prefect: str) -> "subprocess.Popen[str]":
        """Starts the command in a process group of its own, one that may be interrupted.

        ``prefect`` has Prefect's own variables; the workspace's MARK is handed down to all that the command starts.
        """
        ours = {name: text for name, text in os.environ.items() if not name.startswith(("PREFECT_", "EXEMPLARS_"))}
        # What a shell runs in the background ignores SIGINT, and so would all that is started from there.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            return subprocess.Popen(
                [*program, *arguments],
                cwd=ROOT,
                env={**ours, **self.variables, **prefect, MARK: str(self.folder)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        finally:
            signal.signal(signal.SIGINT, before)

    def find_set(self, run_id: str) -> Path:
        stored = find_set(str(self.samples), run_id)
        assert stored is not None
        return Path(stored.folder)

    def list_sets(self) -> list[Path]:
        folders = [path.parents[1] for path in self.samples.rglob(MANIFEST)]
        return sorted(folders, key=lambda folder: str(read_manifest(folder)["created_at"]))

    def list_files(self) -> list[Path]:
        """All files in the store, and what a writer has left beside it."""
        if not self.samples.is_dir():
            return []
        staging = list(self.samples.parent.glob(f".{self.samples.name}-staging-*"))
        return [path for path in (*self.samples.rglob("*"), *staging) if path.is_file() or path in staging]

    def list_processes(self) -> dict[int, str]:
        return list_marked(self.folder)

    def wait_for_no_process(self, seconds: float) -> dict[int, str]:
        """The processes that are still there after so many seconds, none where all have ended."""
        end = time.monotonic() + seconds
        while (left := self.list_processes()) and time.monotonic() < end:
            time.sleep(0.05)
        return left


def make_workspace(folder: Path, provider: Provider | None = None, **variables: str) -> Workspace:
    """A workspace with the model ``HANDLE``, whose runs ask the provider where there is one."""
    given = {
        "EXEMPLARS_MODELS_URI": str(folder / "models"),
        "EXEMPLARS_SAMPLES_URI": str(folder / "samples"),
        "EXEMPLARS_CACHE_DIR": str(folder / "cache"),
        "EXEMPLARS_EMBEDDED_DIR": str(folder / "embedded"),
        "EXEMPLARS_EFFORT_FILE": str(folder / "effort.yaml"),
    }
    if provider is not None:
        given |= {
            "EXEMPLARS_SYNTH_MODEL": provider.model,
            "EXEMPLARS_SYNTH_API_BASE": provider.url,
            "EXEMPLARS_SYNTH_API_KEY": "sk-test",
        }
        # The dial has a limit on cost, which a model without a price is refused under.
        if (given | variables)["EXEMPLARS_SYNTH_MODEL"] == Provider.model:
            given["EXEMPLARS_SYNTH_PRICE"] = "0/0"
    workspace = Workspace(folder, given | variables)
    workspace.model.mkdir(parents=True)
    (workspace.model / "model.yaml").write_text(MODEL)
    seeds = [(text, 1.0) for text in POSITIVE_SEEDS] + [(text, 0.0) for text in NEGATIVE_SEEDS]
    lines = [json.dumps({"content": text, "clarity": quality}) for text, quality in seeds]
    (workspace.model / "samples.jsonl").write_text("\n".join(lines))
    workspace.write_effort()
    return workspace


@contextmanager
def mount_disk(folder: Path, options: str) -> Iterator[Path]:
    """A disk of its own in memory, such as one of ``size=16k`` that is soon full; skips where mounting is forbidden."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip(f"mount is not permitted here: {mounted.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def list_marked(folder: Path) -> dict[int, str]:
    """The command lines of all processes whose mark is this folder, or one in it."""
    marked = f"\0{MARK}={folder}".encode()
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            _, mark, rest = (b"\0" + (process / "environ").read_bytes()).partition(marked)
            words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if mark and rest[:1] in (b"\0", b"/") and words:
            found[int(process.name)] = words
    return found


def kill_marked(folder: Path) -> None:
    """Kills all of these processes at one instant, and those that they start meanwhile."""
    while doomed := list_marked(folder):
        for pid in doomed:
            # It may end by itself meanwhile.
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def read_manifest(folder: Path) -> Mapping[str, Any]:
    manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
    return manifest


def read_kept(folder: Path) -> pd.DataFrame:
    return pd.read_parquet(folder / SAMPLES, partitioning=None)


def read_rejected(folder: Path) -> pd.DataFrame:
    return pd.read_parquet(folder / REJECTED, partitioning=None)


def count_poles(frame: pd.DataFrame) -> dict[tuple[str, str], int]:
    pairs = list(zip(frame["trait"], frame["pole"], strict=True))
    return {pair: pairs.count(pair) for pair in sorted(set(pairs))}


def find_gone_process() -> str:
    """The name of a process of this host that has ended, as ``name_process`` would have given it."""
    from flows.run.lease.holders import name_process

    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        begin = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[19]
    return f"{name_process().rsplit('/', 2)[0]}/{process.pid}/{begin}"
