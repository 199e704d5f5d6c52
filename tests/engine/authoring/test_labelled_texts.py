"""Labelled texts become a model's own samples: all or none, each once, and no line of its author's is changed."""

import json
import shutil
from pathlib import Path

import pytest
from fakes.stored import HANDLE, read_files, write_lines, write_model

from engine.authoring.labelled_texts import Addition, add_labelled
from engine.definitions.labelled_file import LabelledFile
from engine.definitions.loader import list_handles, load_model
from engine.definitions.outline import ADDED_FILE, LABELLED_FILE
from engine.domain.model import Seed
from engine.errors import DefinitionError, FrozenModelError, InputError, UnknownModelError
from engine.settings import PROJECT_ROOT

OWN = write_lines({"content": "Press Save.", "clarity": 1}, {"content": "Persistence obtains.", "clarity": "poor"})
COMMITTED = PROJECT_ROOT / "data" / "models"


def label(*labels: tuple[str, str, float], unlabelled: int = 0) -> LabelledFile:
    """A table whose text of each label has a line of its own, but for one that the line before has too."""
    texts = list(dict.fromkeys(text for _, text, _ in labels))
    seeds = (Seed(trait, text, quality, f"t.csv:{texts.index(text) + 2}") for trait, text, quality in labels)
    return LabelledFile("t.csv", tuple(seeds), unlabelled)


def add(models: Path, labelled: LabelledFile, dry_run: bool = False) -> Addition:
    return add_labelled(str(models), HANDLE, labelled, dry_run)


def read_own(folder: Path, name: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


def test_new_labels_go_to_the_first_file_that_may_hold_them_and_known_ones_are_counted(tmp_path: Path) -> None:
    folder = write_model(tmp_path, ("a.csv", "content,clarity,safety\n"), ("b.jsonl", OWN.rstrip("\n")))
    given = label(
        ("clarity", "Größe: 設定を「保存」 👍", 1.0),
        ("safety", "Größe: 設定を「保存」 👍", 0.5),
        ("clarity", "press save", 1.0),
        ("clarity", "Persistence  obtains.", 0.0),
        ("clarity", "Twice.", 0.0),
        ("clarity", "twice!", 0.0),
        unlabelled=7,
    )
    before = read_files(folder)
    planned = add(tmp_path, given, dry_run=True)

    assert before == read_files(folder)
    added = add(tmp_path, given)
    assert [
        {"content": "Größe: 設定を「保存」 👍", "clarity": 1.0, "safety": 0.5},
        {"content": "Twice.", "clarity": 0.0},
    ] == read_own(folder, "b.jsonl")[2:]
    assert (folder / "b.jsonl").read_text().startswith(OWN)
    assert {"clarity": {"Clear": 1, "Obscure": 1}, "safety": {"0.5": 1}} == planned.added == added.added
    assert (3, 3, 7, f"{HANDLE}/b.jsonl", False) == (
        added.count,
        added.known,
        added.unlabelled,
        added.file,
        added.is_new_source,
    )
    assert "3 labels would be added" in repr(planned)
    assert f"{HANDLE}: 3 labels added to {HANDLE}/b.jsonl\n  clarity: 1 × Clear, 1 × Obscure\n" in repr(added)
    after = read_files(folder)
    assert (0, 6) == ((again := add(tmp_path, given)).count, again.known)
    assert after == read_files(folder)


def test_field_of_a_mapping_is_the_one_that_is_written(tmp_path: Path) -> None:
    folder = write_model(tmp_path)
    mapping = "mapping: {plain: {trait: clarity}, text: content}"
    (folder / "model.yaml").open("a").write(f"sources:\n  - {{type: jsonl, path: own.jsonl, {mapping}}}\n")
    (folder / "own.jsonl").touch()
    add(tmp_path, label(("clarity", "One.", 1.0)))

    assert [{"text": "One.", "plain": 1.0}] == read_own(folder, "own.jsonl")
    # It may not label the other trait.
    made = add(tmp_path, label(("safety", "One.", 1.0)))
    assert (f"{HANDLE}/{LABELLED_FILE}", True) == (made.file, made.is_new_source)
    assert not add(tmp_path, label(("safety", "Two.", 1.0))).is_new_source
    assert [("clarity", "own"), ("safety", "labelled"), ("safety", "labelled")] == [
        (seed.trait, seed.place.split("/")[1].split(".")[0]) for seed in load_model(str(tmp_path), HANDLE).seeds
    ]


@pytest.mark.parametrize("handle", list_handles(str(COMMITTED)))
def test_every_committed_model_takes_them_and_its_author_finds_its_definition_as_it_was(
    tmp_path: Path, handle: str
) -> None:
    folder = Path(shutil.copytree(COMMITTED / handle, tmp_path / handle))
    before, known = (folder / "model.yaml").read_bytes(), load_model(str(tmp_path), handle)
    seeds = [Seed(trait.key, "Ein Text, den es nicht gibt.", 1.0, "t.csv:2") for trait in known.traits]
    add_labelled(str(tmp_path), handle, LabelledFile("t.csv", tuple(seeds)))
    model = load_model(str(tmp_path), handle)

    assert before == (folder / "model.yaml").read_bytes()
    assert seeds == [
        Seed(seed.trait, seed.text, seed.quality, "t.csv:2") for seed in model.seeds if seed not in known.seeds
    ]
    assert known.skipped == model.skipped


def test_file_of_labels_is_read_after_what_came_over_http_and_once_where_an_entry_names_it(tmp_path: Path) -> None:
    folder = write_model(tmp_path, (LABELLED_FILE, write_lines({"content": "Ours.", "clarity": 1})))
    (folder / ADDED_FILE).write_text(write_lines({"content": "Theirs.", "clarity": 0}))
    assert [f"{HANDLE}/{LABELLED_FILE}:1", f"{HANDLE}/{ADDED_FILE}:1"] == [
        seed.place for seed in load_model(str(tmp_path), HANDLE).seeds
    ]
    definition = folder / "model.yaml"
    definition.write_text(definition.read_text().partition("sources:")[0])
    add(tmp_path, label(("safety", "Ours.", 1.0)))

    # Where no entry names it, it is the last.
    model = load_model(str(tmp_path), HANDLE)
    assert (["Theirs.", "Ours.", "Ours."], ()) == ([seed.text for seed in model.seeds], model.skipped)


def test_text_with_another_label_is_a_mistake_that_names_both_places_and_nothing_is_added(tmp_path: Path) -> None:
    folder = write_model(tmp_path, ("own.jsonl", OWN))
    before = read_files(folder)
    with pytest.raises(DefinitionError) as caught:
        add(
            tmp_path,
            label(
                ("clarity", "New.", 1.0),
                ("clarity", "Press Save.", 0.0),
                ("clarity", "Persistence obtains.", 0.25),
                ("safety", "New.", 0.0),
                ("clarity", "New. ", 0.0),
            ),
        )

    assert [
        f"t.csv:3: clarity: found 'Obscure', where {HANDLE}/own.jsonl:1 has 'Clear' for the same text; allowed: one "
        "label a text. Change one of the two, or take it out.",
        f"t.csv:4: clarity: found '0.25', where {HANDLE}/own.jsonl:2 has 'Obscure' for the same text; allowed: one "
        "label a text. Change one of the two, or take it out.",
        "t.csv:5: clarity: found 'Obscure', where t.csv:2 has 'Clear' for the same text; allowed: one label a text. "
        "Change one of the two, or take it out.",
    ] == list(map(str, caught.value.problems))
    assert before == read_files(folder)
    # Capitals may be what the trait is about.
    assert 1 == add(tmp_path, label(("clarity", "PRESS SAVE.", 0.0))).count


def test_models_that_take_none_are_named_with_a_remedy(tmp_path: Path) -> None:
    one = label(("clarity", "One.", 1.0))
    with pytest.raises(UnknownModelError, match="No model"):
        add(tmp_path, one)
    folder = write_model(tmp_path)
    definition = folder / "model.yaml"
    yaml = definition.read_text()
    definition.write_text(
        f"{yaml}sources: [{{type: jsonl, path: ./labelled.jsonl, mapping: {{a: {{trait: safety}}}}}}]\n"
    )
    (folder / LABELLED_FILE).touch()
    with pytest.raises(
        InputError, match=r"labelled\.jsonl is a source that does not hold labels of all these traits\. G"
    ):
        add(tmp_path, one)
    (folder / LABELLED_FILE).unlink()
    definition.write_text(yaml)
    (folder / "lifecycle.json").write_text('{"state": "ready"}')
    with pytest.raises(FrozenModelError, match=r"samples are frozen\. Nothing was added"):
        add(tmp_path, one)
    assert {"model.yaml", "lifecycle.json"} == {path.name for path in folder.iterdir()}
