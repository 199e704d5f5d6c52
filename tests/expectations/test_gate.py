"""Every expectation of the gate fails the rows that it is for, and whatever goes wrong with the gate fails the run."""

import json
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from fakes.builders import make_exemplar, make_stamp
from fakes.word_vectors import WordVectors

from engine.asking.held_out import find_overlaps
from engine.choosing.diversity import measure_texts
from engine.domain.model import POLES
from engine.domain.samples import make_row, make_sample_table
from engine.domain.verdict import Diversity, ExpectationResult, PoleDiversity, Verdict
from engine.store.index.search import MemoryTexts
from engine.text.words import shingle
from expectations.gate import FOLDER, check_frames, make_parameters, run_suite
from expectations.results import join_outcomes

TRAITS = ("clarity", "tone")
WANTED = 3
RUN = "11111111-1111-1111-1111-111111111111"
TEXTS = (
    "The spare battery of the scanner lies in the second drawer.",
    "Ask the night porter for a key whenever doors are locked.",
    "Our shop in Leeds closes at noon on every other Friday.",
    "Two lamps in the hall were replaced last spring by Henry.",
    "Fresh paper goes into the lower tray of that old printer.",
    "Nobody waters the plants on our roof during winter, thankfully.",
    "Take tram nine to Harbour Street and walk up four flights.",
    "A blue folder holds all contracts signed before last June.",
    "Coffee for guests is found behind the glass cupboard door.",
    "Her office moved upstairs because the cellar floods each March.",
    "Please return borrowed bicycles with their tyres pumped up again.",
    "Lunch vouchers expire after ninety days unless they are stamped.",
)
SUITES: Mapping[str, list[dict[str, Any]]] = {
    name: json.loads((FOLDER / f"{name}.json").read_text())["expectations"] for name in ("run", "whole", "held_out")
}
Frame = pd.DataFrame
Spoil = Callable[[Frame], Frame]


def make_run() -> Frame:
    """What a run of two traits would attach: three rows at each pole."""
    stamp = make_stamp(RUN)
    cells = [(trait, index, pole) for trait in TRAITS for index in range(WANTED) for pole in POLES]
    exemplars = [
        make_exemplar(text, pole, index, trait) for text, (trait, index, pole) in zip(TEXTS, cells, strict=True)
    ]
    frame: Frame = make_sample_table([make_row(exemplar, stamp, None) for exemplar in exemplars]).to_pandas()
    return frame


def make_whole(run: Frame) -> Frame:
    """The run's rows after four authored and two attached ones."""
    old = [
        ("clarity", "Every ticket names the person who opened it.", 1.0, "authored"),
        ("clarity", "Ownership is indicated in the pertinent field.", 0.0, "authored"),
        ("clarity", "Some of it can be found near the entrance.", 0.5, "authored"),
        ("tone", "Dear all, the lift is out of order, sorry for that.", 1.0, "authored"),
        ("tone", "The lift is unavailable and complaints are futile.", 0.0, "attached"),
        ("tone", "You will find warm blankets under the window seat.", 1.0, "attached"),
    ]
    new = [(row.trait, row.text, row.quality, "run") for row in run.itertuples()]
    return pd.DataFrame([*old, *new], columns=["trait", "text", "quality", "origin"])


def make_sides(run: Frame, side: str = "eval") -> Frame:
    """The run's rows on one side, after two old ones of each side."""
    old = [
        ("Every ticket names the person who opened it, and the time of it too.", "", "train", "authored"),
        ("Dear all, the lift is out of order until Monday, sorry for that.", "a broken lift", "train", "attached"),
        ("Frost had drawn ferns upon all windows of the waiting room.", "a cold morning", "eval", "attached"),
        ("Seven geese crossed our yard and none of them looked at me.", "geese", "eval", "attached"),
    ]
    new = [(row.text, f"subject {row.Index}", side, "run") for row in run.itertuples()]
    return pd.DataFrame([*old, *new], columns=["text", "subject", "side", "origin"])


def search_whole(frame: Frame) -> Frame:
    """Adds what ``make_whole_frame`` says of near texts, here by comparing every pair."""
    near, similarity = [None] * len(frame), [0.0] * len(frame)
    rows = list(zip(frame["text"].fillna(""), frame["trait"], frame["origin"] == "run", strict=True))
    for number, (text, trait, is_new) in enumerate(rows):
        for other, its_trait, _ in rows[:number]:
            one, two = shingle(text), shingle(other)
            share = len(one & two) / max(1, len(one | two))
            if share >= 0.7 and (is_new or trait == its_trait):
                near[number], similarity[number] = other, share
    return frame.assign(near=pd.Series(near, frame.index), similarity=similarity)


def search_sides(frame: Frame) -> Frame:
    """Adds what ``make_sides_frame`` says of overlaps."""
    texts, is_new = frame["text"].fillna(""), frame["origin"] == "run"
    overlaps: list[str | None] = []
    for text, side, new in zip(texts, frame["side"], is_new, strict=True):
        # Of two old texts it stands with the one for evaluation.
        others = texts[(frame["side"] != side) & (new or ~is_new)] if new or side == "eval" else ()
        found = find_overlaps([text], [MemoryTexts(list(others))]).get(text)
        overlaps.append(found.detail if found else None)
    return frame.assign(overlap=pd.Series(overlaps, frame.index))


SEARCHES: Mapping[str, Callable[[Frame], Frame]] = {
    "run": lambda run: run,
    "whole": search_whole,
    "held_out": search_sides,
}


def check(run: Frame | None = None, whole: Frame | None = None, folder: Path = FOLDER) -> Verdict:
    """The verdict on all frames of a run."""
    run = make_run() if run is None else run
    whole = search_whole(make_whole(make_run()) if whole is None else whole)
    sides = search_sides(make_sides(make_run()))
    parameters = make_parameters(TRAITS, WANTED, RUN, measure(run))
    return check_frames({"run": run, "whole": whole, "held_out": sides}, parameters, folder=folder)


MAKERS: Mapping[str, Callable[[Frame], Frame]] = {"run": lambda run: run, "whole": make_whole, "held_out": make_sides}


def check_one(suite: str, spoil: Spoil = lambda frame: frame, folder: Path = FOLDER, run_id: str = RUN) -> Verdict:
    """The verdict of one suite alone on its frame, which is spoiled."""
    return check_frame(suite, spoil(MAKERS[suite](make_run())), folder, run_id)


def check_frame(suite: str, frame: Frame, folder: Path = FOLDER, run_id: str = RUN) -> Verdict:
    parameters = make_parameters(TRAITS, WANTED, run_id, measure(frame))
    frame = SEARCHES[suite](frame)
    return join_outcomes([run_suite(folder / f"{suite}.json", frame, parameters)])


@pytest.fixture(scope="module")
def good() -> Verdict:
    return check()


def measure(run: Frame) -> list[PoleDiversity]:
    """The figures of the rows that there are, as far as their columns go."""
    if not {"trait", "pole", "text"} <= set(run.columns):
        return []
    texts = {
        (trait, pole): [str(text) for text in run["text"][(run["trait"] == trait) & (run["pole"] == pole)]]
        for trait in TRAITS
        for pole in POLES
    }
    return [PoleDiversity(trait, pole, measure_pole(its), None) for (trait, pole), its in texts.items()]


def measure_pole(texts: list[str]) -> Diversity:
    """As the run measures them; a text that begins with its full stop has no order of words."""
    order = float(not any(text.startswith(".") for text in texts))
    return replace(measure_texts(texts, WordVectors()), word_order=order)


def put(column: str, row: int, value: Any) -> Spoil:
    """Puts one value into one row."""

    def spoil(frame: Frame) -> Frame:
        frame[column] = frame[column].astype(object)
        frame.loc[row, column] = value
        return frame

    return spoil


def copy_text(of: int, to: int, change: Callable[[str], str] = str) -> Spoil:
    def spoil(frame: Frame) -> Frame:
        frame.loc[to, "text"] = change(str(frame.loc[of, "text"]))
        return frame

    return spoil


def copy_value(column: str) -> Spoil:
    return lambda frame: put(column, 1, frame.loc[0, column])(frame)


def drop_rows(*rows: int) -> Spoil:
    return lambda frame: frame.drop(index=list(rows)).reset_index(drop=True)


def lengthen_positives(frame: Frame) -> Frame:
    positive = frame["pole"] == "positive"
    frame.loc[positive, "text"] += [f" {' '.join(text.split()[::-1])}" for text in frame.loc[positive, "text"]]
    return frame


def make_near(text: str) -> str:
    return text.replace(".", " now.")


def make_echo(text: str) -> str:
    """The text with every fifth word replaced."""
    return " ".join("nowhere" if number % 5 == 4 else word for number, word in enumerate(text.split()))


def quote_run(text: str) -> str:
    """Eight words of the text in a sentence of its own."""
    return f"Somebody has written on the wall: {' '.join(text.split()[1:9])} and below it stands a date in red."


def lean_to_the_positive_pole(frame: Frame) -> Frame:
    return frame.drop(index=frame.index[(frame["trait"] == "tone") & (frame["quality"] == 0.0)][:3])


# The clause of each expectation, and ways to break it.
RUN_FAULTS: Mapping[str, tuple[Spoil, ...]] = {
    "the columns are those of the sample store, in their order": (
        lambda frame: frame[[*frame.columns[1::-1], *frame.columns[2:]]],
        lambda frame: frame.drop(columns=["cost_usd"]),
    ),
    "there are as many rows as the quotas add up to, and at least one": (
        drop_rows(*range(12)),
        lambda frame: pd.concat([frame, frame.tail(1)], ignore_index=True),
    ),
    "every trait has exactly its quota at both poles": (put("trait", 0, "tone"), put("trait", 0, "another")),
    "every quality is 0 or 1": (put("quality", 0, 0.5), put("quality", 0, 1.1), put("quality", 0, -1.0)),
    "pole and quality agree": (put("quality", 0, 0.0), put("pole", 0, "negative"), put("pole", 0, "up")),
    "every row has a text": (put("text", 0, None), put("text", 0, float("nan"))),
    "every text has 10 to 20,000 characters": (put("text", 0, "Too short"), put("text", 0, "x" * 20_001)),
    "no id occurs twice": (copy_value("id"),),
    "no text occurs twice": (copy_value("content_sha256"),),
    "no two texts are near duplicates (Jaccard of character 5-grams 0.7 and up)": (
        copy_text(0, 7, make_near),
        copy_text(0, 11, str.upper),
    ),
    "every row's provenance is synthesized": (put("provenance", 0, "authored"),),
    "every row belongs to this run": (put("run_id", 0, "22222222-2222-2222-2222-222222222222"),),
    "the number of words does not tell the poles of a trait apart (AUC 0.8 at most)": (lengthen_positives,),
    "the texts of each pole vary (eight count as 2.3 or more, few open alike)": (put("trait", 0, "another"),),
    "the texts of each pole read as texts of the seeds' kind (word order 0.1 and up, likeness 55 % and up)": (
        lambda frame: frame.assign(text=[text[::-1] for text in frame["text"]]),
    ),
}
WHOLE_FAULTS: Mapping[str, tuple[Spoil, ...]] = {
    "there are at least as many rows as the run adds": (drop_rows(*range(7)), drop_rows(*range(18))),
    "every quality lies in [0, 1]": (put("quality", 0, 1.5), put("quality", 17, -0.5)),
    "every sample has a text": (put("text", 0, None), put("text", 17, None)),
    "no new text is a duplicate or near duplicate of any sample": (
        copy_text(4, 6, make_near),
        copy_text(6, 17, str.upper),
        copy_text(2, 12, make_near),
    ),
    "the samples from before are no duplicates of one another": (
        copy_text(3, 5, make_near),
        copy_text(4, 5, str.upper),
    ),
    "each pole has at least 40 % of a trait's samples at the poles": (lean_to_the_positive_pole,),
}
HELD_OUT_FAULTS: Mapping[str, tuple[Spoil, ...]] = {
    "both sides together have at least as many rows as the run adds": (drop_rows(*range(5)), drop_rows(*range(16))),
    "every text is for training or for evaluation": (put("side", 0, "both"), put("side", 15, "")),
    "every row of both sides has a text": (put("text", 0, None), put("text", 15, None)),
    "no new text is near to one across the line (Jaccard 0.4 and up, or 8 words in a row)": (
        copy_text(1, 15, str.upper),
        copy_text(1, 15, make_echo),
        copy_text(1, 15, quote_run),
    ),
    "no new subject is one from across the line": (
        put("subject", 15, "A broken lift!"),
        put("subject", 15, ""),
        put("subject", 4, "a broken lift"),
    ),
    "the texts from before are not near to one another across the line": (
        copy_text(1, 3, make_echo),
        copy_text(2, 1, quote_run),
    ),
    "the subjects from before are on one side of the line only": (put("subject", 2, "a broken lift"),),
}
FAULTS = {"held_out": HELD_OUT_FAULTS, "run": RUN_FAULTS, "whole": WHOLE_FAULTS}
CASES = [
    (suite, says, spoil) for suite, faults in FAULTS.items() for says, spoils in faults.items() for spoil in spoils
]


def find_result(verdict: Verdict, suite: str, says: str) -> ExpectationResult:
    [result] = [result for result in verdict.results if (result.suite, result.name) == (suite, says)]
    return result


def test_good_rows_meet_every_expectation(good: Verdict) -> None:
    assert [] == [result for result in good.results if not result.success]
    assert (True, (), ()) == (good.success, good.failed, good.warnings)
    assert list(SUITES) == list(good.suites)


@pytest.mark.parametrize(
    ("effort", "remedy"),
    [
        ("low", ": run at effort medium or higher, or give the effort more replacement_rounds"),
        ("medium", ": run at effort high or higher, or give the effort more replacement_rounds"),
        ("max", ": give the effort more replacement_rounds"),
    ],
)
def test_remedy_against_lengths_names_a_higher_effort_or_none(effort: str, remedy: str) -> None:
    [warning] = check_one("run", lambda frame: lengthen_positives(frame).assign(effort=effort)).warnings

    assert f"A classifier may learn the length instead of the trait{remedy} (data/effort.yaml)" in warning
    assert warning.endswith("; else add seeds of equal length.")


def test_finding_has_the_type_suite_severity_and_numbers_of_its_expectation(tmp_path: Path) -> None:
    kwargs = {"column": "text", "regex": "never"}
    expectation = {"type": "expect_column_values_to_match_regex", "kwargs": kwargs, "severity": "warning"}
    (tmp_path / "house.json").write_text(json.dumps({"name": "house", "expectations": [expectation]}))
    verdict = join_outcomes([run_suite(tmp_path / "house.json", pd.DataFrame({"text": ["a", "b"]}), {})])
    [finding] = verdict.findings

    assert ("expect_column_values_to_match_regex", "house", "warning") == (
        finding.code,
        finding.suite,
        finding.severity,
    )
    assert {"unexpected": 2, "rows": 2} == finding.numbers
    assert verdict.success


@pytest.mark.parametrize(("suite", "says", "spoil"), CASES, ids=[f"{suite}-{says[:40]}" for suite, says, _ in CASES])
def test_expectation_fails_the_rows_that_it_is_for(suite: str, says: str, spoil: Spoil) -> None:
    verdict = check_one(suite, spoil)
    result = find_result(verdict, suite, says)
    [severity] = [item["severity"] for item in SUITES[suite] if item["meta"]["says"] == says]

    assert not result.success
    assert severity == result.severity
    assert any(says in sentence for sentence in (verdict.failed if severity == "critical" else verdict.warnings))
    # A warning alone does not fail the verdict.
    assert verdict.success == all(item.severity == "warning" for item in verdict.results if not item.success)


def test_seven_expectations_are_warnings_and_results_stand_in_the_order_of_the_file(good: Verdict) -> None:
    warnings = {name: [item["severity"] for item in items].count("warning") for name, items in SUITES.items()}

    assert {"run": 3, "whole": 2, "held_out": 2} == warnings
    for name, items in SUITES.items():
        own = [result.name for result in good.results if result.suite == name]
        assert list(FAULTS[name]) == [item["meta"]["says"] for item in items] == own
        found = good.suites[name]["results"]
        assert [item["type"] for item in items] == [result["expectation_config"]["type"] for result in found]


def test_failure_says_what_was_found() -> None:
    failed = check_one("run", drop_rows(0)).failed
    near = find_result(check_one("run", copy_text(0, 7, make_near)), "run", list(RUN_FAULTS)[9])

    assert "Expected that every trait has exactly its quota at both poles: clarity/positive has 2 of 3." in failed
    assert "Expected that there are as many rows as the quotas add up to, and at least one: 11." in failed
    [fault] = near.faults
    assert repr(TEXTS[0]) in fault
    assert repr(make_near(TEXTS[0])) in fault
    assert 0.7 <= float(fault.split(":")[0]) < 1.0


def add_to_tone(*qualities: float) -> Spoil:
    """Adds authored samples to the five positive and four negative ones of a trait."""
    added = [
        ("tone", f"{number * 7919} {text[::-1]}", quality, "authored")
        for number, (text, quality) in enumerate(zip(TEXTS, qualities, strict=False))
    ]
    return lambda whole: pd.concat([whole, pd.DataFrame(added, columns=list(whole.columns))], ignore_index=True)


# Between the poles, 60 % and 40 % of them positive, and a line that labels two traits.
@pytest.mark.parametrize(
    "spoil", [add_to_tone(*[0.9] * 12), add_to_tone(1.0), add_to_tone(1.0, *[0.0] * 5), copy_text(0, 3)]
)
def test_authored_rows_that_are_as_they_may_be_are_no_warning(spoil: Spoil) -> None:
    assert () == check_one("whole", spoil).warnings


@pytest.mark.parametrize("side", ["train", "eval"])
def test_text_and_subject_across_the_line_are_found_whichever_side_the_run_is_on(side: str) -> None:
    sides = make_sides(make_run(), side)
    for row in range(4):
        across = sides.loc[row, "side"] != side
        near = copy_text(row, 15)(sides.copy())
        about_the_same = put("subject", 15, sides.loc[row, "subject"])(sides.copy())

        assert across == (not check_frame("held_out", near).success)
        # A row without a subject fails whatever is across.
        assert (across or row == 0) == (not check_frame("held_out", about_the_same).success)


def change_suite(folder: Path, name: str, change: Callable[[dict[str, Any]], object]) -> Path:
    """A copy of the suites in which one is changed."""
    for path in FOLDER.glob("*.json"):
        shutil.copy(path, folder)
    spec = json.loads((folder / f"{name}.json").read_text())
    change(spec)
    (folder / f"{name}.json").write_text(json.dumps(spec))
    return folder


@pytest.mark.parametrize(("name", "position"), [("run", 0), ("whole", 2), ("held_out", -1)])
def test_unknown_expectation_fails_and_is_named(tmp_path: Path, name: str, position: int) -> None:
    def rename(spec: dict[str, Any]) -> None:
        spec["expectations"][position]["type"] = "expect_nothing_in_particular"

    verdict = check(folder=change_suite(tmp_path, name, rename))

    assert not verdict.success
    named = [sentence for sentence in verdict.failed if "'expect_nothing_in_particular'" in sentence]
    assert any(f"{name!r}" in sentence for sentence in named)
    assert any("with only" in sentence or "results for" in sentence for sentence in verdict.failed)


@pytest.mark.parametrize(
    "content", [None, "{", "[]", *(f'{{"name": "run", "expectations": {given}}}' for given in ("[]", "{}", "[{}]"))]
)
def test_file_that_is_missing_or_no_suite_fails(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "run.json").write_text(content)
    verdict = check_one("run", folder=tmp_path)

    [sentence] = verdict.failed
    assert sentence.startswith("The suite 'run' could not be run: ")
    assert (content is None) == ("FileNotFoundError" in sentence)


def set_kwarg(number: int, name: str, value: Any) -> Callable[[dict[str, Any]], object]:
    return lambda spec: spec["expectations"][number]["kwargs"].update({name: value})


def break_a_warning(spec: dict[str, Any]) -> None:
    spec["expectations"][3]["severity"] = "warning"
    set_kwarg(3, "column", "nowhere")(spec)


@pytest.mark.parametrize(
    "change",
    [
        set_kwarg(3, "column", "nowhere"),
        set_kwarg(1, "min_value", {"$PARAMETER": "nothing"}),
        lambda spec: spec["expectations"][2]["kwargs"].pop("wanted"),
        set_kwarg(9, "min_jaccard", "much"),
        lambda spec: spec["expectations"][0].update(severity="whatever"),
        break_a_warning,
    ],
)
def test_expectation_that_cannot_be_held_against_the_rows_fails(
    tmp_path: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    verdict = check_one("run", folder=change_suite(tmp_path, "run", change))

    assert not verdict.success
    assert any("'run'" in sentence for sentence in verdict.failed)


def test_threads_at_once_each_get_the_verdict_on_their_own_rows() -> None:
    spoils: list[Spoil] = [lambda run: run, drop_rows(0), put("quality", 0, 0.5), copy_text(0, 1)]

    def check_own(number: int) -> tuple[str, ...]:
        run_id, spoil = f"{number:08d}", spoils[number % len(spoils)]
        return check_one("run", lambda run: spoil(run.assign(run_id=run_id)), run_id=run_id).failed

    expected = [check_own(number) for number in range(len(spoils))]
    assert [True, False, False, False] == [failed == () for failed in expected]
    with ThreadPoolExecutor(8) as pool:
        assert expected * 2 == list(pool.map(check_own, range(8)))
