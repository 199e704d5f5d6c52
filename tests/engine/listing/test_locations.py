"""Where a sample stands is told so that its author finds it: by file and line, or by the entry that draws it."""

from pathlib import Path

from fakes.stored import HANDLE, MODEL, write_model

from engine.definitions.sources.unlabelled import read_ordinary
from engine.domain.samples import make_id
from engine.listing.locations import find_in_model


def test_sample_of_a_text_file_and_an_ordinary_text_are_authored(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "models")
    source = "{type: file, path: a.txt, mapping: {x: {trait: safety}}}"
    (folder / "model.yaml").write_text(f"{MODEL}sources:\n  - {source}\n  - {{type: noise}}\n")
    (folder / "a.txt").write_text("One.\n\nTwo.\n")
    drawn = read_ordinary("en")[0]
    two, ordinary = (make_id(HANDLE, "safety", text) for text in ("Two.", drawn.text))
    places = find_in_model(str(tmp_path / "models"), str(tmp_path / "samples"), HANDLE, [two, ordinary])

    assert {
        two: f"{HANDLE}/a.txt:3",
        ordinary: f"{HANDLE}/model.yaml:7 (sources.1 draws data/noise/en.yaml:{drawn.line})",
    } == {place.number: place.where for place in places}
    assert not any(place.is_removable for place in places)
