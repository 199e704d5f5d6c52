"""``exemplars show`` and its like in Python: from the row of a sample back to its prompt, its seeds and who decided."""

import getpass
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from fakes.builders import NEGATIVE_SEEDS, POSITIVE_SEEDS
from fakes.commands import Command
from fakes.stored import attach_set
from fakes.workspace import HANDLE, Workspace, read_kept, read_manifest, read_rejected

import exemplars
from engine.domain.model import Seed
from engine.domain.samples import make_id
from engine.lineage.lineage import BY_PERSON, NO_PROMPT, NO_REPLY
from engine.llm.client.request import Prompt
from engine.rules.rules import RULES_BY_CODE
from engine.settings import read_settings
from engine.store.added_samples import add_samples
from engine.store.layout import DEFINITION, PROMPTS, REPORT, SAMPLES
from engine.store.proposals import keep_decision
from engine.store.store import get_set
from flows.api.keys import issue_key, locate_keys

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server")]
FORGET = ("prune", "--replies", "all")
PLACES = {text: f"{HANDLE}/samples.jsonl:{line}" for line, text in enumerate((*POSITIVE_SEEDS, *NEGATIVE_SEEDS), 1)}
POLES = {"positive": POSITIVE_SEEDS, "negative": NEGATIVE_SEEDS}


@pytest.fixture
def shed(entered: Workspace) -> Workspace:
    """A workspace whose model has one trait, which can be varied too."""
    definition = entered.model / "model.yaml"
    definition.write_text("\n".join(line for line in definition.read_text().splitlines() if "key: safety" not in line))
    return entered


def read_prompts(folder: Path) -> pd.DataFrame:
    return pd.read_parquet(folder / PROMPTS)


def digest(asked: Mapping[str, Any]) -> str:
    """The digest of a prompt, from the messages that are shown of it."""
    (_, system), *turns, (_, user) = asked["messages"]
    said = [text for _, text in turns]
    return Prompt(user, system, tuple(zip(said[::2], said[1::2], strict=True))).sha256


def test_every_text_is_followed_back_to_its_prompt_its_reply_and_its_seeds(
    shed: Workspace, run_command: Command
) -> None:
    shed.run()
    [folder] = shed.list_sets()
    kept, rejected = read_kept(folder), read_rejected(folder)
    shown = {row.id: run_command("show", str(row.id), "--json").facts for row in kept.itertuples()}
    odd = rejected.to_dict("records")[0]
    bad = run_command("show", str(odd["id"]), "--handle", HANDLE, "--run", odd["run_id"], "--json").facts
    printed = run_command("show", str(kept["id"][0])).out

    for row in kept.itertuples():
        facts = shown[row.id]
        asked = facts["prompt"]
        assert ("", row.prompt_sha256, row.prompt_sha256) == (asked["said"], asked["sha256"], digest(asked))
        assert row.text in json.loads(asked["reply"])["text"]
        assert POLES[str(row.pole)] == tuple(sorted((seed["text"] for seed in facts["seeds"]), key=[*PLACES].index))
        assert all(PLACES[seed["text"]] == seed["place"] for seed in facts["seeds"])
        assert ("attached", HANDLE, "Clarity") == (facts["standing"], facts["handle"], facts["trait"])
        assert {"positive": "Clear", "negative": "Obscure"}[str(row.pole)] == facts["pole"]
        assert ["requested", "set attached"] == [event["what"] for event in facts["events"]]
    assert ("rejected", f"{odd['reason']}: {RULES_BY_CODE[odd['reason']].explanation}") == (bad["standing"], bad["why"])
    assert odd["text"] in json.loads(bad["prompt"]["reply"])["text"]
    for said in (kept["text"][0], shown[kept["id"][0]]["prompt"]["messages"][-1][1].splitlines()[0], str(folder)):
        assert said in printed


def test_prompt_stays_with_its_set_whatever_becomes_of_replies_and_definition(
    shed: Workspace, run_command: Command
) -> None:
    shed.run()
    shed.run("diversify")
    plain, varied = shed.list_sets()
    numbers = [str(read_kept(folder)["id"][0]) for folder in (plain, varied)]
    files = sorted(shed.folder.rglob("*"))
    sent = [run_command("show", number, "--json").facts for number in numbers]
    after = sorted(shed.folder.rglob("*"))
    assert 0 == run_command(*FORGET).code
    definition, samples = shed.model / "model.yaml", shed.model / "samples.jsonl"
    definition.write_text(definition.read_text().replace("understood at once", "liked"))
    lines = samples.read_text().splitlines()
    samples.write_text(json.dumps({"content": "A later seed is no part of it.", "clarity": 1}))
    left = [run_command("show", number, "--json").facts for number in numbers]
    named = {digest for folder in (plain, varied) for digest in read_prompts(folder)["prompt_sha256"]}
    rows = [frame for folder in (plain, varied) for frame in (read_kept(folder), read_rejected(folder))]

    # Nothing was written to say so, not even beside the kept replies.
    assert "replies.sqlite" in [path.name for path in files]
    assert files == after
    assert {digest for frame in rows for digest in frame["prompt_sha256"]} == named
    as_it_was = json.loads((plain / DEFINITION).read_text())
    assert "liked" not in as_it_was["model_yaml"]
    assert [*PLACES.values()] == [seed["place"] for seed in as_it_was["seeds"]]
    for first, second in zip(sent, left, strict=True):
        assert first["prompt"]["messages"] == second["prompt"]["messages"] != []
        assert (None, NO_REPLY) == (second["prompt"]["reply"], second["prompt"]["said"])
        assert first["row"] == second["row"]
    # Of a variation the first is what it varies, with its place when the text has gone.
    seed, gone = sent[1]["seeds"][0], left[1]["seeds"][0]
    assert lines[int(seed["place"].rpartition(":")[2]) - 1].count(json.dumps(seed["text"])[1:-1]) == 1
    assert ("", f"{seed['place']}, changed since (SHA-256 {left[1]['row']['seed_sha256']})") == (
        gone["text"],
        gone["place"],
    )
    assert [] == left[0]["seeds"]


def test_set_without_prompts_says_so_and_damage_elsewhere_stops_nothing(shed: Workspace, run_command: Command) -> None:
    set_up = attach_set(shed.samples, "old", 2, handle="u22a8.other")
    number = pd.read_parquet(set_up.file(SAMPLES))["id"][0]
    Path(attach_set(shed.samples, "damaged", 2, handle="u22a8.broken").folder, SAMPLES).write_bytes(b"PAR1")
    before = {path for path in shed.folder.rglob("*") if path.is_file()}
    old = run_command("show", str(number), "--json").facts
    nowhere = run_command("show", "12")

    assert [] == old["prompt"]["messages"]
    assert f"{NO_PROMPT}; {NO_REPLY}" == old["prompt"]["said"]
    assert 2 != nowhere.code
    assert "exemplars detach damaged" in nowhere.message
    assert before == {path for path in shed.folder.rglob("*") if path.is_file()}


def test_what_became_of_a_text_says_who_did_it(
    shed: Workspace, run_command: Command, caplog: pytest.LogCaptureFixture
) -> None:
    key, _ = issue_key(locate_keys(read_settings()), ["u22a8"], "authoring", datetime.now(UTC), "Ann's")
    run_id = run_command("synthesize", HANDLE, "--effort", "low", "--review", "--json").facts["run_id"]
    folder = shed.find_set(run_id)
    rows = pd.read_parquet(folder / "__run__/proposed.pq").to_dict("records")
    left_out, removed, stays, was = (int(row["id"]) for row in rows[:4])
    better = f"{rows[3]['text']} That is all."
    assert 0 == run_command("review", run_id, "--correct", str(was), better).code
    keep_decision(get_set(str(shed.samples), run_id), left_out, "refuse", key.id)
    waits = exemplars.show(stays)
    report = (folder / REPORT).read_text()
    assert 0 == run_command("review", run_id, "--attach", "--why", "fine").code
    assert 0 == run_command("remove", HANDLE, str(removed), "--why", "dull").code
    gone = [exemplars.show(number, HANDLE) for number in (left_out, removed)]
    assert 0 == run_command("detach", run_id).code
    off = exemplars.show(stays, run_id=run_id)
    number = make_id(HANDLE, rows[3]["trait"], better)
    corrected, replaced = exemplars.show(number), exemplars.show(was)
    printed = run_command("show", str(number)).out
    add_samples(str(shed.folder / "models"), str(shed.samples), HANDLE, [Seed("clarity", "Added.", 0.0)])
    own = exemplars.show(make_id(HANDLE, "clarity", "Added."))
    unknown = run_command("show", "12")

    me = getpass.getuser()
    assert "proposed" == waits.standing
    assert ("left out", "removed") == (gone[0].standing, gone[1].standing)
    assert [("reviewed: refuse", f"Ann's ({key.id})", ""), ("set attached, this text left out", me, "fine")] == [
        (event.what, event.who, event.why) for event in gone[0].events[1:]
    ]
    assert ("removed", me, "dull") == (gone[1].events[-1].what, gone[1].events[-1].who, gone[1].events[-1].why)
    # A removed text keeps its prompt.
    assert all(origin.prompt and origin.prompt.messages and origin.prompt.reply for origin in gone)
    assert "it was proposed, and a person left it out" == gone[0].why
    assert ("detached", "set detached", me) == (off.standing, off.events[-1].what, off.events[-1].who)
    assert ("detached", better) == (corrected.standing, corrected.row["text"])
    assert ("reviewed: correct", me) == (corrected.events[1].what, corrected.events[1].who)
    assert corrected.prompt is not None
    assert (was, BY_PERSON) == (corrected.replaces, corrected.prompt.said)
    assert f"a person wrote it in a review to replace sample {was}; its set passed the gate" == corrected.why
    assert f"a person, in the place of sample {was}, which was made by openai/test" in printed
    assert ("replaced", f", sample {number}") == (replaced.standing, replaced.why[-len(f", sample {number}") :])
    # A proposal is never called attached.
    assert "proposed" in report.partition("<title>")[2].partition("</title>")[0]
    ended = [record.args for record in caplog.records if record.name == "exemplars.runs"]
    assert ["proposed", "attached"] == [args[0] for args in ended if isinstance(args, tuple)]
    assert me == read_manifest(folder)["review"]["who"]
    assert ("authored", f"{HANDLE}/added.jsonl:1", "Obscure", None) == (own.standing, own.where, own.pole, own.prompt)
    assert (2, True) == (unknown.code, "There is no sample 12 in " in unknown.message)
