"""Added samples: they are read wherever authored ones are, each stands once, and two writers lose nothing."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fakes.s3 import S3
from fakes.stored import HANDLE, MODEL, attach_set, write_lines, write_model

from engine.asking.plan import digest_definition_and_samples
from engine.definitions.loader import load_model, load_outline
from engine.definitions.outline import ADDED_FILE
from engine.domain.model import Seed
from engine.domain.samples import make_id
from engine.errors import DefinitionError, SampleConflictError, StoreError, UnknownModelError
from engine.listing.samples import SampleCount, count_samples, list_samples
from engine.store.added_samples import add_samples, find_authored, remove_added
from engine.store.index.rows import read_matching
from engine.store.layout import DETACHED, SAMPLES
from engine.store.store import list_sets
from engine.system.filesystem import replace_file

NOWHERE = "/nowhere"
OWN = Seed("clarity", "Own.", 1.0)
ONE = Seed("clarity", "One.", 1.0)
TWO = Seed("safety", "Two.", 0.25, source_url="https://example.org/two")
THREE = Seed("clarity", 'Drei \u2028 "3".\nAnd a second line.', 0.0)


@pytest.fixture
def models(tmp_path: Path) -> str:
    """A catalogue with one model of one authored sample."""
    write_model(tmp_path / "models", ("own.jsonl", write_lines({"content": "Own.", "clarity": 1})))
    return str(tmp_path / "models")


def list_texts(models: str) -> list[tuple[str, str, float, str | None]]:
    page = list_samples(models, NOWHERE, load_outline(models, HANDLE))
    return [(sample.trait, sample.text, sample.quality, sample.source_url) for sample in page.samples]


def test_added_samples_are_read_last_wherever_authored_ones_are(models: str, tmp_path: Path) -> None:
    added, own_id = (ONE, TWO, THREE), make_id(HANDLE, "clarity", "Own.")
    ids = add_samples(models, NOWHERE, HANDLE, added)
    model = load_model(models, HANDLE)
    counts = count_samples(models, str(tmp_path), load_outline(models, HANDLE))

    assert [make_id(HANDLE, sample.trait, sample.text) for sample in added] == ids
    assert [(seed.trait, seed.text, seed.quality, seed.source_url) for seed in (OWN, *added)] == list_texts(models)
    assert ["Own.", *(sample.text for sample in added)] == [seed.text for seed in model.seeds]
    assert (f"{HANDLE}/{ADDED_FILE}:2", ()) == (model.seeds[2].place, model.skipped)
    assert {ids[0]: {1.0}, own_id: {1.0}} == find_authored(models, load_outline(models, HANDLE), [ids[0], own_id])
    assert {"clarity": SampleCount(3, 2, 1), "safety": SampleCount(1, 0, 0)} == counts


def test_sample_that_is_there_is_not_added_again(models: str, tmp_path: Path) -> None:
    attach_set(tmp_path / "samples", "a")
    first = add_samples(models, NOWHERE, HANDLE, [ONE, OWN, ONE])
    before = Path(models, HANDLE, ADDED_FILE).read_bytes()
    again = add_samples(models, str(tmp_path / "samples"), HANDLE, [OWN, ONE, Seed("clarity", "a 0", 1.0)])

    assert ([first[1], first[0], make_id(HANDLE, "clarity", "a 0")], first[0]) == (again, first[2])
    assert 1 == before.count(b"\n")
    assert before == Path(models, HANDLE, ADDED_FILE).read_bytes()


@pytest.mark.parametrize("other", ["safety: Two.", "clarity: Own.", "clarity: Added.", "clarity: a 0"])
def test_another_quality_refuses_all_with_its_index(models: str, tmp_path: Path, other: str) -> None:
    trait, text = other.split(": ")
    attach_set(tmp_path / "samples", "a")
    add_samples(models, NOWHERE, HANDLE, [Seed("clarity", "Added.", 1.0)])
    before = list_texts(models)
    with pytest.raises(SampleConflictError, match="Sample 2: ") as raised:
        add_samples(models, str(tmp_path / "samples"), HANDLE, [ONE, TWO, Seed(trait, text, 0.5)])

    assert (2, before) == (raised.value.index, list_texts(models))


def test_attached_samples_are_found_by_their_ids(tmp_path: Path) -> None:
    attach_set(tmp_path, "a")
    attach_set(tmp_path, "b", status="rejected")
    wanted = [make_id(HANDLE, "clarity", text) for text in ("a 0", "a 1", "b 0", "nothing")]

    [stored] = list_sets(str(tmp_path), HANDLE, "train")
    found = read_matching(stored, SAMPLES, "id", wanted)
    assert [(wanted[0], 1.0), (wanted[1], 0.0)] == [(row["id"], row["quality"]) for row in found]
    assert [] == read_matching(stored, SAMPLES, "id", []) + read_matching(stored, DETACHED, "id", wanted)


def test_writers_at_once_lose_nothing(models: str) -> None:
    batches = [[Seed("clarity", f"Text {number} {part}.", 1.0) for part in range(3)] for number in range(12)]
    texts = sorted(["Own.", *(seed.text for batch in batches for seed in batch)])
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda batch: add_samples(models, NOWHERE, HANDLE, [*batches[0], *batch]), batches))

    assert texts == sorted(seed.text for seed in load_model(models, HANDLE).seeds)


def test_file_that_a_person_left_without_its_last_newline_is_added_to(models: str) -> None:
    add_samples(models, NOWHERE, HANDLE, [ONE])
    added = Path(models, HANDLE, ADDED_FILE)
    added.write_text(added.read_text().removesuffix("\n"))
    add_samples(models, NOWHERE, HANDLE, [TWO])

    assert ["Own.", "One.", "Two."] == [text for _, text, *_ in list_texts(models)]


def test_file_that_somebody_deletes_is_missed_at_once(models: str) -> None:
    add_samples(models, NOWHERE, HANDLE, [ONE])
    Path(models, HANDLE, ADDED_FILE).unlink()
    for sample in (TWO, ONE):
        add_samples(models, NOWHERE, HANDLE, [sample])

    assert [OWN.text, TWO.text, ONE.text] == [text for _, text, *_ in list_texts(models)]


@pytest.mark.slow
def test_object_store_has_the_old_file_or_the_new_one(s3: S3, s3_uri: str) -> None:
    replace_file(f"{s3_uri}/{HANDLE}/model.yaml", MODEL.encode())
    add_samples(s3_uri, NOWHERE, HANDLE, [ONE])
    s3.changes_left = 0
    with pytest.raises(StoreError):
        add_samples(s3_uri, NOWHERE, HANDLE, [TWO])
    s3.heal()
    s3.changes = 0
    add_samples(s3_uri, NOWHERE, HANDLE, [THREE])

    assert 1 == s3.changes
    assert [ONE.text, THREE.text] == [text for _, text, *_ in list_texts(s3_uri)]


def test_removed_samples_are_gone_and_no_other_moves(models: str, tmp_path: Path) -> None:
    plan = digest_definition_and_samples(load_model(models, HANDLE))
    ids = add_samples(models, NOWHERE, HANDLE, [ONE, TWO, THREE])
    outline = load_outline(models, HANDLE)
    first = list_samples(models, str(tmp_path), outline, limit=3)

    assert plan != digest_definition_and_samples(load_model(models, HANDLE))
    assert frozenset(ids[:2]) == remove_added(models, HANDLE, [*ids[:2], make_id(HANDLE, "clarity", "Own."), 7])
    assert first.next_position is not None
    rest = list_samples(models, str(tmp_path), outline, None, first.next_position)
    assert [THREE.text] == [sample.text for sample in rest.samples]
    assert ["Own.", THREE.text] == [text for _, text, *_ in list_texts(models)]
    assert frozenset() == remove_added(models, HANDLE, ids[:2])
    remove_added(models, HANDLE, ids)
    assert plan == digest_definition_and_samples(load_model(models, HANDLE))


def test_trait_may_be_called_as_another_field(models: str) -> None:
    definition = MODEL + "  - {type: topic, key: content}\n  - {type: topic, key: source_url}\n"
    Path(models, HANDLE, "model.yaml").write_text(definition)
    samples = [Seed("content", "Text.", 1.0), Seed("source_url", "Text.", 0.0, source_url="https://example.org")]
    ids = add_samples(models, NOWHERE, HANDLE, samples)
    named = [("content", "Text.", 1.0, None), ("source_url", "Text.", 0.0, "https://example.org")]
    assert named == list_texts(models)[-2:]
    assert frozenset(ids) == remove_added(models, HANDLE, ids)


def test_sources_may_not_name_the_file(models: str) -> None:
    write_model(Path(models), (ADDED_FILE, write_lines({"content": "Own.", "clarity": 1})))

    with pytest.raises(DefinitionError, match="Rename it"):
        load_model(models, HANDLE)


def test_damaged_file_and_unknown_model_are_named(models: str) -> None:
    Path(models, HANDLE, ADDED_FILE).write_text("{}\n")
    with pytest.raises(DefinitionError, match=rf"{ADDED_FILE}:1: content"):
        add_samples(models, NOWHERE, HANDLE, [ONE])
    with pytest.raises(UnknownModelError):
        add_samples(models, NOWHERE, "u22a8.no", [ONE])
