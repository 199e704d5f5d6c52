"""Added samples: they are read wherever authored ones are, each stands once, and two writers lose nothing."""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fakes.s3 import S3
from fakes.stored import HANDLE, MODEL, attach_set, write_lines, write_model

from engine.definitions.added_samples import add_samples, remove_added
from engine.definitions.loader import load_model, load_outline
from engine.definitions.outline import ADDED_FILE
from engine.domain.model import Seed, digest_text
from engine.domain.samples import make_id
from engine.errors import DefinitionError, SampleConflictError, StoreError, UnknownModelError
from engine.listing.attached import find_attached
from engine.listing.page import SampleCount
from engine.listing.samples import count_samples, list_samples
from engine.planning.plan import digest_definition
from engine.system.filesystem import replace_file

ONE = Seed("clarity", "One.", 1.0)
TWO = Seed("safety", "Two.", 0.25, source_url="https://example.org/two")
THREE = Seed("clarity", 'Drei \u2028 "3".\nAnd a second line.', 0.0)


@pytest.fixture
def models(tmp_path: Path) -> str:
    """A catalogue with one model of one authored sample."""
    write_model(tmp_path / "models", ("own.jsonl", write_lines({"content": "Own.", "clarity": 1})))
    return str(tmp_path / "models")


def list_texts(models: str, samples: str = "/nowhere") -> list[tuple[str, str, float, str | None]]:
    page = list_samples(models, samples, load_outline(models, HANDLE))
    return [(sample.trait, sample.text, sample.quality, sample.source_url) for sample in page.samples]


def test_added_samples_are_read_last_wherever_authored_ones_are(models: str, tmp_path: Path) -> None:
    ids = add_samples(models, HANDLE, [ONE, TWO, THREE], {})
    model = load_model(models, HANDLE)

    assert [make_id(HANDLE, sample.trait, sample.text) for sample in (ONE, TWO, THREE)] == ids
    assert [
        ("clarity", "Own.", 1.0, None),
        ("clarity", ONE.text, 1.0, None),
        ("safety", TWO.text, 0.25, TWO.source_url),
        ("clarity", THREE.text, 0.0, None),
    ] == list_texts(models)
    assert ["Own.", ONE.text, TWO.text, THREE.text] == [seed.text for seed in model.seeds]
    assert f"{HANDLE}/{ADDED_FILE}:2" == model.seeds[2].place
    assert () == model.skipped
    counts = count_samples(models, str(tmp_path), load_outline(models, HANDLE))
    assert {"clarity": SampleCount(3, 2, 1), "safety": SampleCount(1, 0, 0)} == counts


def test_sample_that_is_there_is_not_added_again(models: str) -> None:
    own = Seed("clarity", "Own.", 1.0)
    attached = {make_id(HANDLE, "safety", "Attached."): {1.0}}
    first = add_samples(models, HANDLE, [ONE, own, ONE], {})
    before = Path(models, HANDLE, ADDED_FILE).read_bytes()
    again = add_samples(models, HANDLE, [own, ONE, Seed("safety", "Attached.", 1.0)], attached)

    assert [first[1], first[0], *attached] == again
    assert first[0] == first[2]
    assert 1 == before.count(b"\n")
    assert before == Path(models, HANDLE, ADDED_FILE).read_bytes()


@pytest.mark.parametrize(
    "samples",
    [
        [ONE, TWO, Seed("safety", "Two.", 0.5)],
        [ONE, TWO, Seed("clarity", "Own.", 0.0)],
        [ONE, TWO, Seed("clarity", "Added.", 0.0)],
        [ONE, TWO, Seed("clarity", "Attached.", 0.0)],
    ],
    ids=["in the request", "authored", "added", "attached"],
)
def test_another_quality_refuses_all_with_its_index(models: str, samples: Sequence[Seed]) -> None:
    add_samples(models, HANDLE, [Seed("clarity", "Added.", 1.0)], {})
    before = list_texts(models)
    with pytest.raises(SampleConflictError, match="Sample 2: ") as raised:
        add_samples(models, HANDLE, samples, {make_id(HANDLE, "clarity", "Attached."): {1.0}})

    assert 2 == raised.value.index
    assert before == list_texts(models)


def test_attached_samples_are_found_by_their_ids(tmp_path: Path) -> None:
    attach_set(tmp_path, "a")
    attach_set(tmp_path, "b", status="rejected")
    wanted = [make_id(HANDLE, "clarity", text) for text in ("a 0", "a 1", "b 0", "nothing")]
    found = find_attached(str(tmp_path), HANDLE, wanted)

    assert {wanted[0]: {1.0}, wanted[1]: {0.0}} == found


def test_line_of_a_person_without_its_end_is_not_glued_to(models: str) -> None:
    Path(models, HANDLE, ADDED_FILE).write_text(json.dumps({"content": "By hand.", "clarity": 0}))
    add_samples(models, HANDLE, [ONE], {})

    assert ["Own.", "By hand.", "One."] == [text for _, text, *_ in list_texts(models)]


def test_writers_at_once_lose_nothing(models: str) -> None:
    batches = [[Seed("clarity", f"Text {number} {part}.", 1.0) for part in range(5)] for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda batch: add_samples(models, HANDLE, batch, {}), batches))

    assert {text for batch in batches for text in (seed.text for seed in batch)} | {"Own."} == {
        seed.text for seed in load_model(models, HANDLE).seeds
    }


def test_many_batches_stand_once_each_also_where_a_person_edits_between(models: str) -> None:
    batches = [[Seed("clarity", f"Text {number} {part}.", 1.0) for part in range(3)] for number in range(6)]
    for batch in batches:
        add_samples(models, HANDLE, [*batches[0], *batch], {})
    added = Path(models, HANDLE, ADDED_FILE)
    added.write_text("".join(line for line in added.read_text().splitlines(keepends=True) if "2." not in line))
    for batch in batches:
        add_samples(models, HANDLE, batch, {})
    with pytest.raises(SampleConflictError):
        add_samples(models, HANDLE, [Seed("clarity", "Text 5 2.", 0.0)], {})
    texts = [text for _, text, *_ in list_texts(models)]

    assert sorted(["Own.", *(seed.text for batch in batches for seed in batch)]) == sorted(texts)


def test_model_without_added_samples_has_the_same_plan(models: str) -> None:
    before = digest_definition(load_model(models, HANDLE))
    [added] = add_samples(models, HANDLE, [ONE], {})
    beside = digest_definition(load_model(models, HANDLE))
    remove_added(models, HANDLE, [added])

    assert before != beside
    assert before == digest_definition(load_model(models, HANDLE))


def test_removed_samples_are_gone_and_no_other_moves(models: str, tmp_path: Path) -> None:
    ids = add_samples(models, HANDLE, [ONE, TWO, THREE], {})
    outline = load_outline(models, HANDLE)
    first = list_samples(models, str(tmp_path), outline, limit=3)
    before = count_samples(models, str(tmp_path), outline)

    own = make_id(HANDLE, "clarity", "Own.")
    assert frozenset(ids[:2]) == remove_added(models, HANDLE, [*ids[:2], own, 7])
    assert [THREE.text] == [
        sample.text for sample in list_samples(models, str(tmp_path), outline, None, first.next_position).samples
    ]
    assert ["Own.", THREE.text] == [text for _, text, *_ in list_texts(models)]
    assert before["clarity"].sample_count - 1 == count_samples(models, str(tmp_path), outline)["clarity"].sample_count
    assert frozenset() == remove_added(models, HANDLE, ids[:2])
    assert ids == add_samples(models, HANDLE, [ONE, TWO, THREE], {})


def test_line_with_two_labels_loses_one(models: str) -> None:
    line = {"content": "Both.", "clarity": 1, "safety": 0, "source_url": "https://example.org"}
    Path(models, HANDLE, ADDED_FILE).write_text(write_lines(line))
    remove_added(models, HANDLE, [make_id(HANDLE, "clarity", "Both.")])

    assert ("safety", "Both.", 0.0, "https://example.org") == list_texts(models)[-1]


def test_trait_may_be_called_as_another_field_of_the_line(models: str) -> None:
    definition = MODEL + "  - {type: topic, key: content}\n  - {type: topic, key: source_url}\n"
    Path(models, HANDLE, "model.yaml").write_text(definition)
    samples = [Seed("content", "Text.", 1.0), Seed("source_url", "Text.", 0.0, source_url="https://example.org")]
    ids = add_samples(models, HANDLE, samples, {})

    assert [("content", "Text.", 1.0, None), ("source_url", "Text.", 0.0, "https://example.org")] == list_texts(models)
    assert frozenset(ids) == remove_added(models, HANDLE, ids)


def test_file_that_sources_name_is_left_to_its_author(models: str) -> None:
    write_model(Path(models), (ADDED_FILE, write_lines({"content": "Own.", "clarity": 1})))

    assert [("clarity", "Own.", 1.0, None)] == list_texts(models)
    with pytest.raises(DefinitionError, match="Rename it"):
        add_samples(models, HANDLE, [ONE], {})
    assert frozenset() == remove_added(models, HANDLE, [make_id(HANDLE, "clarity", "Own.")])
    assert 1 == len(load_model(models, HANDLE).seeds)


def test_damaged_file_is_told_with_its_line_and_kept(models: str) -> None:
    damaged = Path(models, HANDLE, ADDED_FILE)
    damaged.write_text("{}\n")
    for change in (lambda: add_samples(models, HANDLE, [ONE], {}), lambda: remove_added(models, HANDLE, [1])):
        with pytest.raises(DefinitionError, match=rf"{ADDED_FILE}:1: content"):
            change()

    assert "{}\n" == damaged.read_text()


def test_unknown_model_is_named(models: str) -> None:
    for change in (lambda: add_samples(models, "u22a8.no", [ONE], {}), lambda: remove_added(models, "u22a8.no", [1])):
        with pytest.raises(UnknownModelError):
            change()


@pytest.mark.slow
def test_object_store_has_the_old_file_or_the_new_one(s3: S3, s3_uri: str) -> None:
    replace_file(f"{s3_uri}/{HANDLE}/model.yaml", MODEL.encode())
    add_samples(s3_uri, HANDLE, [ONE], {})
    s3.break_after(0)
    with pytest.raises(StoreError):
        add_samples(s3_uri, HANDLE, [TWO], {})
    s3.heal()
    assert ["One."] == [seed.text for seed in load_model(s3_uri, HANDLE).seeds]

    s3.changes = 0
    add_samples(s3_uri, HANDLE, [TWO, THREE], {})
    assert 1 == s3.changes
    assert [digest_text(seed.text) for seed in (ONE, TWO, THREE)] == [
        seed.sha256 for seed in load_model(s3_uri, HANDLE).seeds
    ]
    assert 1 == len(remove_added(s3_uri, HANDLE, [make_id(HANDLE, TWO.trait, TWO.text)]))
    assert [ONE.text, THREE.text] == [text for _, text, *_ in list_texts(s3_uri)]
