"""The command ``validate``: all mistakes of all models, hints that are none, and exit codes for CI."""

import json
from pathlib import Path

import pytest
from fakes.commands import Command

GOOD = """\
traits:
  - type: spectrum
    key: warmth
    description: Whether the reply is kind.
    positive_label: Warm
    negative_label: Cold
sources: [{type: jsonl, path: s.jsonl}]
"""
WARM = ("Thank you so much for your patience!", "We are so sorry, and help at once.", "How kind of you to write to us!")
COLD = ("The claim is refused under rule 7.", "Forms are read in order of arrival.", "No exceptions are made.")
MEANING = f"{GOOD}scenarios: moonshine\n"


def write_model(models: Path, handle: str, text: str = GOOD, samples: str | None = None) -> Path:
    folder = models / handle
    folder.mkdir(parents=True)
    (folder / "model.yaml").write_text(text)
    lines = [{"content": text, "warmth": label} for label, texts in ((1, WARM), (0, COLD)) for text in texts]
    (folder / "s.jsonl").write_text("\n".join(map(json.dumps, lines)) if samples is None else samples)
    return folder


def test_hints_and_what_is_skipped_are_no_mistakes_and_hints_may_be_left_out(
    models: Path, run_command: Command
) -> None:
    folder = write_model(models, "acme.good")
    code, out, err = run_command("validate", "acme.good")
    bare = run_command("validate", "--no-hints")
    with (folder / "s.jsonl").open("a") as stream:
        stream.write(f"\n{json.dumps({'content': COLD[0], 'warmth': 0})}\n")
    skipped = run_command("validate", "--no-hints").out
    (folder / "labelled.jsonl").write_text(json.dumps({"content": "I see.", "warmth": 0}) + "\n")
    unnamed = run_command("validate", "--no-hints").out

    assert (0, "") == (code, err)
    assert ["acme.good: no mistakes, 6 samples, 2 hints", "1 model: no mistakes, 2 hints"] == [
        line for line in out.splitlines() if not line.startswith("  ")
    ]
    assert "  hint: acme.good/model.yaml:2: warmth: it has 3 samples labelled 'Warm' and 3 samples " in out
    assert (0, "acme.good: no mistakes, 6 samples\n1 model: no mistakes\n") == (bare.code, bare.out)
    assert "acme.good: no mistakes, 7 samples (1 of labelled.jsonl, which needs no entry)\n" in unnamed
    assert "  skipped: seed for warmth (the same text is listed more than once, so the first counts: acme." in skipped


def test_texts_without_labels_are_counted_and_a_wrong_file_is_one_message_with_its_line(
    models: Path, run_command: Command
) -> None:
    folder = write_model(models, "acme.good", GOOD.replace("[{", "[{type: texts, path: mails.csv, field: mail}, {"))
    (folder / "mails.csv").write_text("mail,day\nWhere is it?,1\n,2\nThanks!,3\n")
    right = run_command("validate", "--no-hints").out
    [facts] = run_command("validate", "--no-hints", "--json").facts["models"]
    (folder / "mails.csv").write_text("male,day\nWhere is it?,1\n")
    wrong = run_command("validate", "--no-hints")

    assert "acme.good: no mistakes, 6 samples, 2 unlabelled texts\n" in right
    assert (6, 2) == (facts["samples"], facts["texts"])
    said = "  acme.good/mails.csv:1: header: found male, day; allowed: a column 'mail'."
    assert (2, [f"{said} Did you mean 'male'?"]) == (wrong.code, wrong.out.splitlines()[1:-1])


def test_all_models_are_checked_with_every_mistake_and_a_wrong_one_stops_none(
    models: Path, run_command: Command
) -> None:
    write_model(models, "acme.a-good")
    write_model(models, "acme.c-meaning", MEANING, '{"content": "A.", "warmth": 7}\n{"content": ""}\nno JSON\n')
    write_model(models, "acme.d-discover", "traits: discover\n")
    (write_model(models, "acme.e-state") / "lifecycle.json").write_text('{"state": "asleep"}')
    (models / "acme.old").mkdir()
    (models / "acme.old" / "model.yml").write_text(GOOD)
    code, out, _ = run_command("validate", "--json")
    found = json.loads(out)
    good, meaning, discover, state = found["models"]
    named = run_command("validate", "acme.c-meaning", "acme.wron", "no handle")

    assert (2, False) == (code, found["valid"])
    assert [True, False, False, False] == [model["valid"] for model in found["models"]]
    assert [("acme.c-meaning/model.yaml", 8), *(("acme.c-meaning/s.jsonl", line) for line in (1, 2, 3))] == [
        (mistake["file"], mistake["line"]) for mistake in meaning["mistakes"]
    ]
    assert (6, 2, [], None) == (good["samples"], len(good["hints"]), meaning["hints"], meaning["refusal"])
    assert "'discover'" in discover["refusal"]
    assert "acme.e-state/lifecycle.json" == state["mistakes"][0]["file"]
    assert [("acme.old", "stray_folder")] == [(stray["place"], stray["kind"]) for stray in found["strays"]]
    lines = named.out.splitlines()
    assert (2, "acme.c-meaning: 4 mistakes", "3 models: 3 with mistakes") == (named.code, lines[0], lines[-1])
    assert "acme.wron: No model 'acme.wron' in " in named.out
    assert "'no handle' is not a handle" in named.out


def write_suite(path: Path, kind: str) -> None:
    suite = {"name": path.stem, "expectations": [{"type": kind, "kwargs": {"column": "text"}}]}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(suite))


def test_authors_expectations_are_checked_those_for_all_models_too(
    models: Path, run_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = models.parent / "rules"
    monkeypatch.setenv("EXEMPLARS_EXPECTATIONS_URI", str(rules))
    write_suite(rules / "house.json", "expect_column_values_to_not_be_nul")
    for handle in ("acme.a", "acme.b"):
        write_model(models, handle)
    write_suite(models / "acme.b" / "expectations.json", "expect_text_to_be_kind")
    code, out, _ = run_command("validate", "--no-hints")

    assert 2 == code
    assert 2 == out.count("rules/house.json: expectations.0.type: found 'expect_column_values_to_not_be_nul'")
    assert ["acme.a: 1 mistake", "acme.b: 2 mistakes"] == [
        line for line in out.splitlines() if line.startswith(("acme.a: ", "acme.b: "))
    ]
    assert "acme.b/expectations.json: expectations.0.type: found 'expect_text_to_be_kind'" in out
    assert out.endswith("\n2 models: 2 with mistakes\n")


def test_models_of_the_catalogue_are_valid_and_get_few_hints_and_an_empty_one_is_refused(
    models: Path, run_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    models.mkdir()
    refused = run_command("validate")
    monkeypatch.delenv("EXEMPLARS_MODELS_URI")
    found = run_command("validate", "--json").facts
    hints = {(model["handle"], hint["kind"]) for model in found["models"] for hint in model["hints"]}

    assert (True, 10) == (found["valid"], len(found["models"]))
    assert {("u22a8.meeting-notes", "few_seeds")} == hints
    assert (2, True) == (refused.code, f"There are no models in {models}. 'exemplars new ac" in refused.message)
