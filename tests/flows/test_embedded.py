"""The installed program and the embedded model: no key, no provider, no server, real texts."""

import json
import re
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from fakes.database import lay_database
from fakes.waiting import wait_until
from fakes.workspace import HANDLE, ROOT, Workspace, count_poles, make_workspace, read_kept

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

RUN = (str(Path(sys.executable).with_name("exemplars")), "synthesize", HANDLE, "--effort", "low")
MODEL = """
traits:
  - type: spectrum
    key: clarity
    description: Whether a competent reader understands every sentence on the first reading.
    positive_label: Clear
    negative_label: Obscure
    positive_paraphrase: Short, plain sentences that say who does what and are understood at once.
    negative_paraphrase: Long, tangled sentences full of abstract nouns and jargon that hide who does what.
sources:
  - {type: jsonl, path: samples.jsonl, mapping: {clarity: {trait: clarity}}}
"""
PREFECT_LOG = re.compile(r"\| (?:INFO|WARNING|ERROR) +\| ")
LISTENING = "0A"
LOOPBACK = "0100007F"


@pytest.fixture
def clear(tmp_path: Path) -> Workspace:
    """A model of one trait with the authored seeds of technical writing.

    Any seed will do; with this one a round is enough, which halves the time.
    """
    workspace = make_workspace(tmp_path, None, EXEMPLARS_SEED="2")
    (workspace.model / "model.yaml").write_text(MODEL)
    seeds = (ROOT / "data/models/u22a8.technical-writing/samples.jsonl").read_text().splitlines()
    (workspace.model / "samples.jsonl").write_text("\n".join(line for line in seeds if "clarity" in json.loads(line)))
    return workspace


def list_listening(workspace: Workspace) -> list[str]:
    """The local addresses, in the kernel's hexadecimal, of the sockets on which the embedded server listens."""
    found = []
    for number, words in workspace.list_processes().items():
        if "embedded_server.py" in words:
            with suppress(OSError):
                process = Path(f"/proc/{number}")
                links = [str(path.readlink()) for path in (process / "fd").iterdir()]
                files = [(process / "net" / name).read_text() for name in ("tcp", "tcp6")]
                rows = [row.split() for text in files for row in text.splitlines()[1:]]
                ours = [row for row in rows if row[3] == LISTENING and f"socket:[{row[9]}]" in links]
                found += [row[1].split(":")[0] for row in ours]
    return found


def test_newcomers_run_meets_its_quota_exactly_listens_on_loopback_only_and_leaves_no_process(clear: Workspace) -> None:
    clear.write_effort(exemplars_per_pole=1, top_up_rounds=6, over_generation=1.0)
    lay_database(clear.folder / "home")
    process = clear.start("--json", "-v", program=RUN, PREFECT_HOME=str(clear.folder / "home"))
    wait_until(lambda: list_listening(clear), 600, "the embedded server listens", process=process)
    listening = list_listening(clear)
    told, said = process.communicate()
    left = clear.wait_for_no_process(60)
    [folder] = clear.list_sets()
    frame = read_kept(folder)

    assert (0, [LOOPBACK], {}) == (process.returncode, listening, left), said
    assert PREFECT_LOG.search(said)
    assert ("attached", f"{folder}/samples.parquet") == tuple(json.loads(told)[name] for name in ("status", "samples"))
    assert {("clarity", "negative"): 1, ("clarity", "positive"): 1} == count_poles(frame)
    # An axis places each, so that no judge is asked, and each came in a pair.
    assert frame["judge_votes"].isna().all()
    assert {2} == {*frame["pair_id"].value_counts()}
