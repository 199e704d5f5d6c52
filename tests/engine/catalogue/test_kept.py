"""What was measured is read again as it was, and what was damaged or is another version's counts as nothing."""

from pathlib import Path

from fakes.conditions import make_drift, make_measure, make_measures

from engine.catalogue.condition import TraitAngle
from engine.catalogue.kept import FOLDER, Record, RunFacts, name_record, read_record, write_record

NAME = name_record("models", "samples", "u22a8.test")
MEASURES = make_measures(
    make_measure(drift=make_drift(0.9, None)),
    make_measure("safety", None, None),
    angles=(TraitAngle("clarity", "safety", -0.25, 0.125),),
)
RUNS = {"run-1": RunFacts("digest", None, ""), "run-2": RunFacts("other", 0.25, "3 exemplars are lacking")}
RECORD = Record("key", MEASURES, RUNS)


def test_record_is_read_as_it_was_written_and_one_that_was_altered_is_none(tmp_path: Path) -> None:
    write_record(tmp_path, NAME, RECORD)
    path = tmp_path / FOLDER / NAME
    assert RECORD == read_record(tmp_path, NAME)

    path.write_text(path.read_text().replace("-0.25", "0.75"))
    assert Record() == read_record(tmp_path, NAME)


def test_record_that_cannot_be_read_and_one_that_cannot_be_written_is_none(tmp_path: Path) -> None:
    (tmp_path / FOLDER).mkdir()
    for content in ("", '{"record": {"key": 1}}'):
        (tmp_path / FOLDER / NAME).write_text(content)
        assert Record() == read_record(tmp_path, NAME)
    (tmp_path / "other").write_text("a file")
    write_record(tmp_path / "other", NAME, RECORD)
    assert Record() == read_record(tmp_path / "other", NAME)
