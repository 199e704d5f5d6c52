"""The command ``validate``: all mistakes of all models, hints that are none, and exit codes for CI."""

import json
from pathlib import Path
from typing import get_args

import pytest
from fakes.commands import Command
from fakes.workspace import ROOT

from engine.authoring.hint import HintKind

GOOD = """\
traits:
  - type: spectrum
    key: warmth
    description: Whether the reply is kind.
    positive_label: Warm
    negative_label: Cold
sources: [{type: jsonl, path: s.jsonl}]
"""
WRONG = "descripton: x\ntraits:\n  - {type: spektrum, key: warmth}\n  - {type: topic, key: Big}\n"
WARM = ("Thank you so much for your patience!", "We are so sorry, and help at once.", "How kind of you to write to us!")
COLD = ("The claim is refused under rule 7.", "Forms are read in order of arrival.", "No exceptions are made.")
HINDI = GOOD.replace("Warm", "विनम्र").replace("Cold", "रूखा").replace("Whether the reply is kind", "क्या उत्तर विनम्र है")
HINDI_TEXTS = [("आपके धैर्य के लिए बहुत धन्यवाद, हम तुरंत मदद करेंगे।", 1), ("नियम सात के अनुसार आवेदन अस्वीकार है।", "रूखा")] * 4
MEANING = f"{GOOD}scenarios: moonshine\n"


def write_model(models: Path, handle: str, text: str = GOOD, samples: str | None = None) -> Path:
    folder = models / handle
    folder.mkdir(parents=True)
    (folder / "model.yaml").write_text(text)
    lines = [{"content": text, "warmth": label} for label, texts in ((1, WARM), (0, COLD)) for text in texts]
    (folder / "s.jsonl").write_text("\n".join(map(json.dumps, lines)) if samples is None else samples)
    return folder


def test_hints_are_no_mistakes_and_may_be_left_out(models: Path, run_command: Command) -> None:
    write_model(models, "acme.good")
    code, out, err = run_command("validate", "acme.good")
    hint = "  hint: acme.good/model.yaml:2: warmth: it has 3 samples labelled 'Warm' and 3 samples labelled 'Cold': "

    assert (0, "") == (code, err)
    assert [
        "acme.good: no mistakes, 6 samples, 2 hints",
        "1 model: no mistakes, 2 hints",
    ] == [line for line in out.splitlines() if not line.startswith("  ")]
    assert hint in out
    bare = run_command("validate", "--no-hints")
    assert (0, "acme.good: no mistakes, 6 samples\n1 model: no mistakes\n") == (bare.code, bare.out)


def test_every_mistake_comes_at_once_with_its_line(models: Path, run_command: Command) -> None:
    write_model(models, "acme.wrong", WRONG)
    code, out, _ = run_command("validate", "acme.wrong", "acme.wron", "no handle")
    lines = out.splitlines()

    assert 2 == code
    assert ("acme.wrong: 3 mistakes", "3 models: 3 with mistakes") == (lines[0], lines[-1])
    assert [
        "acme.wrong/model.yaml:1: descripton:",
        "acme.wrong/model.yaml:3: traits.0.type:",
        "acme.wrong/model.yaml:4: traits.1.key:",
    ] == [" ".join(line.split()[:2]) for line in lines[1:4]]
    assert "Did you mean 'spectrum'?" in out
    assert "acme.wron: No model 'acme.wron' in " in out
    assert "Did you mean acme.wrong?" in out
    assert "'no handle' is not a handle" in out


def test_all_models_are_checked_and_a_wrong_one_stops_none(models: Path, run_command: Command) -> None:
    write_model(models, "acme.a-good")
    write_model(models, "acme.b-form", WRONG)
    write_model(models, "acme.c-meaning", MEANING, '{"content": "A.", "warmth": 7}\n{"content": ""}\nno JSON\n')
    write_model(models, "acme.d-discover", "traits: discover\n")
    (write_model(models, "acme.e-state") / "lifecycle.json").write_text('{"state": "asleep"}')
    (models / "acme.old").mkdir()
    (models / "acme.old" / "model.yml").write_text(GOOD)
    (models / "Acme.Upper").mkdir()
    (models / ".git").mkdir()
    code, out, _ = run_command("validate", "--json")
    found = json.loads(out)
    good, form, meaning, discover, state = found["models"]

    assert (2, False) == (code, found["valid"])
    assert [True, False, False, False, False] == [model["valid"] for model in found["models"]]
    assert [6, 3] == [good["samples"], len(form["mistakes"])]
    assert [("acme.c-meaning/model.yaml", 8), *(("acme.c-meaning/s.jsonl", line) for line in (1, 2, 3))] == [
        (mistake["file"], mistake["line"]) for mistake in meaning["mistakes"]
    ]
    assert (2, [], None) == (len(good["hints"]), meaning["hints"], meaning["refusal"])
    assert "'discover'" in discover["refusal"]
    assert "acme.e-state/lifecycle.json" == state["mistakes"][0]["file"]
    assert [("Acme.Upper", "stray_folder"), ("acme.old", "stray_folder")] == [
        (stray["place"], stray["kind"]) for stray in found["strays"]
    ]
    assert "5 models: 4 with mistakes, 4 hints" == run_command("validate").out.splitlines()[-1]


def write_suite(path: Path, kind: str) -> None:
    suite = {"name": path.stem, "expectations": [{"type": kind, "kwargs": {"column": "text"}}]}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(suite))


def test_authors_expectations_are_checked_those_of_all_models_once(
    models: Path, run_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = models.parent / "rules"
    monkeypatch.setenv("EXEMPLARS_EXPECTATIONS_URI", str(rules))
    write_suite(rules / "house.json", "expect_column_values_to_not_be_nul")
    for handle in ("acme.a", "acme.b"):
        write_model(models, handle)
    write_suite(models / "acme.a" / "expectations.json", "expect_column_values_to_not_be_null")
    write_suite(models / "acme.b" / "expectations.json", "expect_text_to_be_kind")
    code, out, _ = run_command("validate", "--no-hints")
    lines = out.splitlines()

    assert 2 == code
    assert 1 == out.count("rules/house.json: expectations.0.type: found 'expect_column_values_to_not_be_nul'")
    assert f"{rules}: 1 mistake" == lines[0]
    assert ["acme.a: no mistakes, 6 samples", "acme.b: 1 mistake"] == [line for line in lines if line[:5] == "acme."]
    assert "acme.b/expectations.json: expectations.0.type: found 'expect_text_to_be_kind'" in out
    assert "2 models: 1 with mistakes, mistakes in the catalogue's expectations" == lines[-1]
    (rules / "house.json").unlink()
    write_suite(rules / "expectations.json", "expect_column_values_to_not_be_null")
    found = json.loads(run_command("validate", "--json").out)

    assert (False, {"valid": True, "mistakes": [], "refusal": None}) == (found["valid"], found["expectations"])
    assert "two suites of the name" in found["models"][0]["refusal"]


def test_catalogue_without_models_is_bad_input(models: Path, run_command: Command) -> None:
    models.mkdir()
    refused = run_command("validate")

    assert 2 == refused.code
    assert f"There are no models in {models}. 'exemplars new HANDLE' begins one" in refused.message


def test_hints_are_those_for_the_model_that_would_write_and_for_the_language(
    models: Path, run_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [{"content": f"{text} {number}", "warmth": label} for number, (text, label) in enumerate(HINDI_TEXTS)]
    write_model(models, "acme.good")
    write_model(models, "acme.hindi", HINDI, "\n".join(map(json.dumps, lines)))

    def list_kinds(synth_model: str | None = None) -> list[set[str]]:
        if synth_model:
            monkeypatch.setenv("EXEMPLARS_SYNTH_MODEL", synth_model)
        found = run_command("validate", "--json").facts["models"]
        assert [(True, 6), (True, 8)] == [(model["valid"], model["samples"]) for model in found]
        return [{hint["kind"] for hint in model["hints"]} for model in found]

    few, always = {"few_seeds", "borrowed_subjects"}, {"not_looked_at", "near_duplicate"}
    assert [few, {"language_not_written", *always}] == list_kinds()
    # One whose languages are not known, and one that needs fewer samples and finds its own subjects.
    assert few == list_kinds("embedded/nowhere.gguf")[0]
    assert [set(), always] == list_kinds("openai/gpt-4.1-mini")


def test_models_of_the_catalogue_are_valid_and_get_few_hints(run_command: Command) -> None:
    found = run_command("validate", "--json").facts
    hints = [(model["handle"], hint["kind"]) for model in found["models"] for hint in model["hints"]]

    assert (True, 10) == (found["valid"], len(found["models"]))
    assert [("u22a8.meeting-notes", "few_seeds"), ("u22a8.plain-language", "weak_label")] == hints


def test_guide_explains_every_kind_of_hint() -> None:
    page = (ROOT / "docs/guides/validate.md").read_text(encoding="utf-8")

    assert [] == [kind for kind in get_args(HintKind) if f"`{kind}`" not in page]
