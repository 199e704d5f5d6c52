"""A set whose text its author has added meanwhile may not enter, whichever file has it; what is there is no fault."""

from pathlib import Path

import pytest
from fakes.builders import make_exemplar, make_stamp
from fakes.stored import HANDLE, write_lines, write_model

from engine.authoring.labelled_texts import add_labelled
from engine.definitions.labelled_file import LabelledFile
from engine.definitions.outline import LABELLED_FILE
from engine.domain.model import Seed
from engine.domain.samples import make_row
from engine.errors import ModelBusyError
from engine.run.outcome import make_entry_check
from engine.settings import Settings


@pytest.mark.parametrize("mapping", ["", ", mapping: {plain: {trait: clarity}, content: content}"])
def test_text_that_was_added_to_a_source_meanwhile_keeps_its_set_out(tmp_path: Path, mapping: str) -> None:
    folder = write_model(tmp_path)
    entry = f"sources: [{{type: jsonl, path: {LABELLED_FILE}{mapping}}}]\n"
    (folder / "model.yaml").open("a").write(entry)
    (folder / LABELLED_FILE).write_text(write_lines({"content": "Own.", "plain" if mapping else "clarity": 1}))
    row = make_row(make_exemplar("Press Save."), make_stamp(), None)
    settings = Settings(models_uri=str(tmp_path), samples_uri=str(tmp_path / "samples"))
    may_enter = make_entry_check(settings, HANDLE, "train", [row], None, [])

    assert may_enter()
    add_labelled(str(tmp_path), HANDLE, LabelledFile("t.csv", (Seed("clarity", "Press Save.", 1.0, "t.csv:2"),)))
    with pytest.raises(ModelBusyError, match=r"'Press Save\.' was added to its samples after the set was planned"):
        may_enter()
