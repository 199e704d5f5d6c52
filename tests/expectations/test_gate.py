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

from engine.domain.model import POLES
from engine.domain.samples import SAMPLE_SCHEMA, make_row, make_sample_table
from engine.quality.diversity import PoleVariety, Variety, measure_texts
from engine.quality.verdict import ExpectationResult, Verdict
from expectations.gate import FOLDER, check_rows, run_suite

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


def check(
    run: Frame | None = None, whole: Frame | None = None, folder: Path = FOLDER, sides: Frame | None = None
) -> Verdict:
    run = make_run() if run is None else run
    whole = make_whole(make_run()) if whole is None else whole
    sides = make_sides(make_run()) if sides is None else sides
    return check_rows(run, whole, TRAITS, WANTED, RUN, SAMPLE_SCHEMA.names, measure(run), folder, sides)


def measure(run: Frame) -> list[PoleVariety]:
    """The figures of the rows that there are, as far as their columns go."""
    if not {"trait", "pole", "text"} <= set(run.columns):
        return []
    texts = {
        (trait, pole): [str(text) for text in run["text"][(run["trait"] == trait) & (run["pole"] == pole)]]
        for trait in TRAITS
        for pole in POLES
    }
    return [PoleVariety(trait, pole, measure_pole(its), None, {}) for (trait, pole), its in texts.items()]


def measure_pole(texts: list[str]) -> Variety:
    """As the run measures them, but for the order of the words, which the word vectors do not see: a text that begins
    with its full stop has none.
    """
    order = float(not any(text.startswith(".") for text in texts))
    return replace(measure_texts(texts, WordVectors()), word_order=order)


def check_one(suite: str, spoil: Spoil, folder: Path = FOLDER) -> Verdict:
    """The verdict where the frame of one suite is spoiled."""
    frames = {"run": make_run(), "whole": make_whole(make_run()), "held_out": make_sides(make_run())}
    frames[suite] = spoil(frames[suite])
    return check(frames["run"], frames["whole"], folder, frames["held_out"])


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


def swap_columns(frame: Frame) -> Frame:
    return frame[[*frame.columns[1::-1], *frame.columns[2:]]]


def add_column(frame: Frame) -> Frame:
    return frame.assign(reason=None)


def drop_column(frame: Frame) -> Frame:
    return frame.drop(columns=["cost_usd"])


def lengthen_positives(frame: Frame) -> Frame:
    positive = frame["pole"] == "positive"
    frame.loc[positive, "text"] += [f" {' '.join(text.split()[::-1])}" for text in frame.loc[positive, "text"]]
    return frame


def write_one_sentence_with_the_noun_changed(frame: Frame) -> Frame:
    sentence = "The {} is kept for ten minutes, and after that the next visitor makes our server build a whole new one."
    return frame.assign(text=[sentence.format(text.split()[1]) for text in frame["text"]])


def turn_round_each_text(frame: Frame) -> Frame:
    return frame.assign(text=[text[::-1] for text in frame["text"]])


def move_a_row_to_the_other_pole(frame: Frame) -> Frame:
    return put("quality", 0, 0.0)(put("pole", 0, "negative")(frame))


def make_near(text: str) -> str:
    return text.replace(".", " now.")


def make_echo(text: str) -> str:
    """The text with every fifth word replaced."""
    return " ".join("nowhere" if number % 5 == 4 else word for number, word in enumerate(text.split()))


def quote_run(text: str) -> str:
    """Eight words of the text in a sentence of its own."""
    return (
        f"Somebody has written on the wall: {' '.join(text.split()[1:9])} and under it stands yesterday's date in red."
    )


def lean_to_the_positive_pole(frame: Frame) -> Frame:
    return frame.drop(index=frame.index[(frame["trait"] == "tone") & (frame["quality"] == 0.0)][:3])


# The clause of each expectation, and ways to break it.
RUN_FAULTS: Mapping[str, tuple[Spoil, ...]] = {
    "the columns are those of the sample store, in their order": (swap_columns, add_column, drop_column),
    "there are as many rows as the quotas add up to, and at least one": (
        drop_rows(0),
        drop_rows(*range(12)),
        lambda frame: pd.concat([frame, frame.tail(1)], ignore_index=True),
    ),
    "every trait has exactly its quota at both poles": (
        move_a_row_to_the_other_pole,
        put("trait", 0, "tone"),
        put("trait", 0, "another"),
        drop_rows(0),
    ),
    "every quality is 0 or 1": (put("quality", 0, 0.5), put("quality", 0, 1.1), put("quality", 0, -1.0)),
    "pole and quality agree": (put("quality", 0, 0.0), put("pole", 0, "negative"), put("pole", 0, "up")),
    "every row has a text": (put("text", 0, None), put("text", 0, float("nan"))),
    "every text has 10 to 20,000 characters": (
        put("text", 0, "Too short"),
        put("text", 0, ""),
        put("text", 0, "x" * 20_001),
    ),
    "no id occurs twice": (copy_value("id"),),
    "no text occurs twice": (copy_value("content_sha256"),),
    "no two texts are near duplicates (Jaccard of character 5-grams 0.7 and up)": (
        copy_text(0, 1),
        copy_text(0, 7, make_near),
        copy_text(0, 11, str.upper),
    ),
    "every row's provenance is synthesized": (put("provenance", 0, "authored"),),
    "every row belongs to this run": (put("run_id", 0, "22222222-2222-2222-2222-222222222222"),),
    "the number of words does not tell the poles of a trait apart (AUC 0.8 at most)": (lengthen_positives,),
    "the texts of each pole vary (eight count as 2.3 or more, 80 % of word pairs differ, few open alike)": (
        write_one_sentence_with_the_noun_changed,
        put("trait", 0, "another"),
    ),
    "the texts of each pole read as texts of the seeds' kind (word order 0.1 and up, likeness 55 % and up)": (
        turn_round_each_text,
    ),
}
WHOLE_FAULTS: Mapping[str, tuple[Spoil, ...]] = {
    "there are at least as many rows as the run adds": (drop_rows(*range(7)), drop_rows(*range(18))),
    "every quality lies in [0, 1]": (put("quality", 0, 1.5), put("quality", 17, -0.5)),
    "every sample has a text": (put("text", 0, None), put("text", 17, None)),
    "no new text is a duplicate or near duplicate of any sample": (
        copy_text(0, 17),
        copy_text(4, 6, make_near),
        copy_text(6, 17, str.upper),
        copy_text(2, 12, make_near),
    ),
    "the samples from before are no duplicates of one another": (
        copy_text(0, 2),
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
        copy_text(0, 15),
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
        copy_text(0, 2),
        copy_text(1, 3, make_echo),
        copy_text(2, 1, quote_run),
    ),
    "the subjects from before are on one side of the line only": (put("subject", 2, "a broken lift"),),
}
CASES = [
    *(("held_out", says, spoil) for says, spoils in HELD_OUT_FAULTS.items() for spoil in spoils),
    *(("run", says, spoil) for says, spoils in RUN_FAULTS.items() for spoil in spoils),
    *(("whole", says, spoil) for says, spoils in WHOLE_FAULTS.items() for spoil in spoils),
]


def find_result(verdict: Verdict, suite: str, says: str) -> ExpectationResult:
    [result] = [result for result in verdict.results if (result.suite, result.name) == (suite, says)]
    return result


def test_good_rows_meet_every_expectation() -> None:
    verdict = check()

    assert [] == [result for result in verdict.results if not result.success]
    assert (True, (), ()) == (verdict.success, verdict.failed, verdict.warnings)
    assert sum(map(len, SUITES.values())) == len(verdict.results)


def test_every_expectation_has_a_case_here() -> None:
    assert [item["meta"]["says"] for item in SUITES["run"]] == list(RUN_FAULTS)
    assert [item["meta"]["says"] for item in SUITES["whole"]] == list(WHOLE_FAULTS)
    assert [item["meta"]["says"] for item in SUITES["held_out"]] == list(HELD_OUT_FAULTS)


@pytest.mark.parametrize(("suite", "says", "spoil"), CASES, ids=[f"{suite}-{says[:40]}" for suite, says, _ in CASES])
def test_expectation_fails_the_rows_that_it_is_for(suite: str, says: str, spoil: Spoil) -> None:
    verdict = check_one(suite, spoil)
    result = find_result(verdict, suite, says)
    [severity] = [item["severity"] for item in SUITES[suite] if item["meta"]["says"] == says]

    assert not result.success
    assert severity == result.severity
    assert any(says in sentence for sentence in (verdict.failed if severity == "critical" else verdict.warnings))
    assert (severity != "critical") >= verdict.success


@pytest.mark.parametrize(
    ("suite", "spoil"),
    [
        ("run", lengthen_positives),
        ("whole", copy_text(0, 2)),
        ("whole", lean_to_the_positive_pole),
        ("held_out", copy_text(0, 2)),
        ("held_out", put("subject", 2, "a broken lift")),
    ],
)
def test_warning_alone_does_not_fail_the_verdict(suite: str, spoil: Spoil) -> None:
    verdict = check_one(suite, spoil)

    assert (True, ()) == (verdict.success, verdict.failed)
    [warning] = verdict.warnings
    assert warning.startswith("Expected that ")
    assert ["warning"] == [result.severity for result in verdict.results if not result.success]


def test_severities_are_those_of_the_design() -> None:
    warnings = {item["meta"]["says"] for items in SUITES.values() for item in items if item["severity"] != "critical"}

    assert {
        "the number of words does not tell the poles of a trait apart (AUC 0.8 at most)",
        "the texts of each pole vary (eight count as 2.3 or more, 80 % of word pairs differ, few open alike)",
        "the texts of each pole read as texts of the seeds' kind (word order 0.1 and up, likeness 55 % and up)",
        "the samples from before are no duplicates of one another",
        "each pole has at least 40 % of a trait's samples at the poles",
        "the texts from before are not near to one another across the line",
        "the subjects from before are on one side of the line only",
    } == warnings


def test_failure_says_what_was_found() -> None:
    failed = check(drop_rows(0)(make_run())).failed

    assert "Expected that every trait has exactly its quota at both poles: clarity/positive has 2 of 3." in failed
    assert "Expected that there are as many rows as the quotas add up to, and at least one: 11." in failed


def test_near_duplicates_are_shown_side_by_side() -> None:
    run = copy_text(0, 7, make_near)(make_run())
    result = find_result(check(run), "run", list(RUN_FAULTS)[9])

    [fault] = result.faults
    assert repr(TEXTS[0]) in fault
    assert repr(make_near(TEXTS[0])) in fault
    assert 0.7 <= float(fault.split(":")[0]) < 1.0


def test_qualities_between_the_poles_do_not_count_in_the_balance() -> None:
    whole = make_whole(make_run())
    between = pd.DataFrame(
        [("tone", f"Between {text.lower()}", 0.9, "authored") for text in TEXTS], columns=list(whole.columns)
    ).assign(text=lambda frame: [f"{number * 7919} {text[::-1]}" for number, text in enumerate(frame["text"])])

    assert () == check(whole=pd.concat([whole, between], ignore_index=True)).warnings


def test_one_line_may_label_several_traits() -> None:
    assert () == check(whole=copy_text(0, 3)(make_whole(make_run()))).warnings


@pytest.mark.parametrize("suite", list(SUITES))
def test_empty_frame_fails(suite: str) -> None:
    verdict = check_one(suite, lambda frame: frame.head(0))

    assert not verdict.success
    assert any("rows" in sentence for sentence in verdict.failed)


@pytest.mark.parametrize("column", ["trait", "text", "quality", "pole", "id", "content_sha256", "provenance", "run_id"])
def test_missing_column_of_the_run_fails(column: str) -> None:
    verdict = check(make_run().drop(columns=[column]))

    assert not verdict.success
    assert any("raised" in sentence or "could not be run" in sentence for sentence in verdict.failed)


@pytest.mark.parametrize("column", ["trait", "text", "quality", "origin"])
def test_missing_column_of_the_whole_fails(column: str) -> None:
    verdict = check(whole=make_whole(make_run()).drop(columns=[column]))

    assert not verdict.success


@pytest.mark.parametrize("column", ["text", "subject", "side", "origin"])
def test_missing_column_of_the_sides_fails(column: str) -> None:
    assert not check(sides=make_sides(make_run()).drop(columns=[column])).success


@pytest.mark.parametrize("side", ["train", "eval"])
@pytest.mark.parametrize("row", [0, 1, 2, 3])
def test_overlap_is_found_whichever_side_the_run_is_on(side: str, row: int) -> None:
    sides = copy_text(row, 15)(make_sides(make_run(), side))
    across = sides.loc[row, "side"] != side

    assert across == (not check(sides=sides).success)


@pytest.mark.parametrize(("row", "side"), [(1, "train"), (2, "eval")])
def test_subject_is_found_whichever_side_the_run_is_on(row: int, side: str) -> None:
    for own in ("train", "eval"):
        sides = make_sides(make_run(), own)
        sides = put("subject", 15, list(sides["subject"])[row])(sides)

        assert (own != side) == (not check(sides=sides).success)


def test_suite_for_held_out_texts_is_left_out_where_there_are_none() -> None:
    run = make_run()
    verdict = check_rows(run, make_whole(run), TRAITS, WANTED, RUN, SAMPLE_SCHEMA.names, measure(run))

    assert (True, ["run", "whole"]) == (verdict.success, list(verdict.suites))
    assert ["run", "whole", "held_out"] == list(check().suites)


def copy_suites(folder: Path) -> Path:
    for path in FOLDER.glob("*.json"):
        shutil.copy(path, folder)
    return folder


def change_suite(folder: Path, name: str, change: Callable[[dict[str, Any]], object]) -> Path:
    """A copy of the suites in which one is changed."""
    path = copy_suites(folder) / f"{name}.json"
    spec = json.loads(path.read_text())
    change(spec)
    path.write_text(json.dumps(spec))
    return folder


def test_copy_of_the_suites_passes_like_themselves(tmp_path: Path) -> None:
    assert check().results == check(folder=copy_suites(tmp_path)).results


@pytest.mark.parametrize("name", list(SUITES))
@pytest.mark.parametrize("position", [0, 2, -1])
def test_unknown_expectation_fails_and_is_named(tmp_path: Path, name: str, position: int) -> None:
    def rename(spec: dict[str, Any]) -> None:
        spec["expectations"][position]["type"] = "expect_nothing_in_particular"

    verdict = check(folder=change_suite(tmp_path, name, rename))

    assert not verdict.success
    named = [sentence for sentence in verdict.failed if "'expect_nothing_in_particular'" in sentence]
    assert any(f"{name!r}" in sentence for sentence in named)
    assert any("with only" in sentence or "results for" in sentence for sentence in verdict.failed)


@pytest.mark.parametrize("name", list(SUITES))
@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "{}",
        '"run"',
        '{"name": "run"}',
        '{"expectations": []}',
        '{"name": "run", "expectations": []}',
        '{"name": "run", "expectations": {}}',
        '{"name": "run", "expectations": "none"}',
        '{"name": "run", "expectations": [{}]}',
    ],
)
def test_file_that_is_no_suite_fails(tmp_path: Path, name: str, content: str) -> None:
    (copy_suites(tmp_path) / f"{name}.json").write_text(content)
    verdict = check(folder=tmp_path)

    assert not verdict.success
    [sentence] = verdict.failed
    assert sentence.startswith(f"The suite {name!r} could not be run: ")


@pytest.mark.parametrize("name", list(SUITES))
def test_missing_suite_fails(tmp_path: Path, name: str) -> None:
    (copy_suites(tmp_path) / f"{name}.json").unlink()
    verdict = check(folder=tmp_path)

    assert not verdict.success
    [sentence] = verdict.failed
    assert f"The suite {name!r} could not be run: FileNotFoundError" in sentence


def rename_column(spec: dict[str, Any]) -> None:
    spec["expectations"][3]["kwargs"]["column"] = "nowhere"


def rename_parameter(spec: dict[str, Any]) -> None:
    spec["expectations"][1]["kwargs"]["min_value"] = {"$PARAMETER": "nothing"}


def drop_field(spec: dict[str, Any]) -> None:
    del spec["expectations"][2]["kwargs"]["wanted"]


def break_kind(spec: dict[str, Any]) -> None:
    spec["expectations"][9]["kwargs"]["min_jaccard"] = "much"


def break_severity(spec: dict[str, Any]) -> None:
    spec["expectations"][0]["severity"] = "whatever"


@pytest.mark.parametrize("change", [rename_column, rename_parameter, drop_field, break_kind, break_severity])
def test_expectation_that_cannot_be_held_against_the_rows_fails(
    tmp_path: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    verdict = check(folder=change_suite(tmp_path, "run", change))

    assert not verdict.success
    assert any("'run'" in sentence for sentence in verdict.failed)


def test_warning_that_raises_fails_closed(tmp_path: Path) -> None:
    """Whatever its severity, an expectation that was not held against the rows has not been met."""

    def change(spec: dict[str, Any]) -> None:
        spec["expectations"][3]["severity"] = "warning"
        rename_column(spec)

    assert not check(folder=change_suite(tmp_path, "run", change)).success


def test_committed_suites_name_known_expectations_only() -> None:
    from great_expectations.expectations.registry import list_registered_expectation_implementations

    import expectations.classes

    assert expectations.classes.ROWS
    known = set(list_registered_expectation_implementations())
    assert [] == [item["type"] for items in SUITES.values() for item in items if item["type"] not in known]


def test_results_stand_in_the_order_of_the_file() -> None:
    verdict = check()

    for name, items in SUITES.items():
        assert [item["meta"]["says"] for item in items] == [
            result.name for result in verdict.results if result.suite == name
        ]
        found = verdict.suites[name]["results"]
        assert [item["type"] for item in items] == [result["expectation_config"]["type"] for result in found]


def test_results_are_plain_json() -> None:
    verdict = check(copy_text(0, 1)(make_run()))

    assert verdict.suites == json.loads(json.dumps(verdict.suites))
    assert (False, True) == (verdict.suites["run"]["success"], verdict.suites["whole"]["success"])


def test_frames_are_left_as_they_are() -> None:
    run, whole = make_run(), make_whole(make_run())
    check(run, whole)

    pd.testing.assert_frame_equal(make_run(), run)
    pd.testing.assert_frame_equal(make_whole(make_run()), whole)


def test_order_of_the_rows_does_not_matter() -> None:
    bad = copy_text(4, 6, make_near)(make_whole(make_run()))

    assert check().success
    assert check(whole=make_whole(make_run()).iloc[::-1]).success
    assert not check(whole=bad).success
    assert not check(whole=bad.iloc[::-1]).success


def test_threads_at_once_each_get_the_verdict_on_their_own_rows() -> None:
    spoils: list[Spoil | None] = [None, drop_rows(0), None, put("quality", 0, 0.5), None, copy_text(0, 1), None, None]
    asked = [(number, spoils[number % len(spoils)]) for number in range(40)]

    def check_one(case: tuple[int, Spoil | None]) -> tuple[bool, tuple[str, ...]]:
        number, spoil = case
        run_id = f"{number:08d}"
        run = make_run().assign(run_id=run_id)
        frame = run if spoil is None else spoil(run)
        verdict = check_rows(frame, make_whole(make_run()), TRAITS, WANTED, run_id, SAMPLE_SCHEMA.names, measure(frame))
        return verdict.success, verdict.failed

    expected = [check_one(case) for case in asked[: len(spoils)]]
    assert [spoil is None for spoil in spoils] == [success for success, _ in expected]
    with ThreadPoolExecutor(8) as pool:
        assert expected * 5 == list(pool.map(check_one, asked))


def test_suite_says_what_became_of_it() -> None:
    parameters = {"row_floor": 3}
    outcome = run_suite(FOLDER / "whole.json", make_whole(make_run()), parameters)
    lacking = run_suite(FOLDER / "whole.json", make_whole(make_run()), {})

    assert ("whole", ()) == (outcome.suite, outcome.broken)
    assert len(SUITES["whole"]) == len(outcome.results)
    assert lacking.broken
    assert replace(outcome, broken=lacking.broken) != outcome
