"""Whatever happens between two pages, no sample comes twice and none is left out; and a page costs what it shows."""

import json
import shutil
import tempfile
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from fakes.long import choose
from fakes.stored import HANDLE, MODEL, NOON, attach_set, put_large_set, write_lines, write_model
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.definitions.loader import load_model, load_outline
from engine.domain.model import digest_text
from engine.domain.samples import make_id
from engine.errors import DefinitionError, StoreError
from engine.listing.samples import (
    FIRST,
    ListedSample,
    Page,
    Position,
    SampleCount,
    count_samples,
    list_samples,
)
from engine.store.layout import MANIFEST, SAMPLES
from engine.store.sample_set import seal
from engine.store.store import locate_set

AUTHORED = (
    {"content": "One.", "clarity": 1, "safety": "no"},
    {"content": "Two.", "clarity": 0.5},
    {"content": "Three.", "safety": 1, "source_url": "https://example.org/three"},
)
AUTHORED_TEXTS = ["One.", "One.", "Two.", "Three."]


@dataclass(frozen=True)
class House:
    """A catalogue with one model and a store beside it."""

    folder: Path

    @property
    def samples(self) -> Path:
        return self.folder / "samples"

    @property
    def models(self) -> Path:
        return self.folder / "models"

    def page(self, position: Position = FIRST, limit: int = 100, trait: str | None = None) -> Page:
        outline = load_outline(str(self.models), HANDLE)
        return list_samples(str(self.models), str(self.samples), outline, trait, position, limit)

    def walk(self, limit: int = 100, trait: str | None = None, position: Position = FIRST) -> list[ListedSample]:
        found: list[ListedSample] = []
        while True:
            page = self.page(position, limit, trait)
            found += page.samples
            if page.next_position is None:
                return found
            assert limit == len(page.samples)
            position = page.next_position

    def count(self) -> dict[str, SampleCount]:
        return count_samples(str(self.models), str(self.samples), load_outline(str(self.models), HANDLE))

    def detach(self, run_id: str) -> None:
        shutil.rmtree(locate_set(str(self.samples), HANDLE, "train", run_id))


@pytest.fixture
def house(tmp_path: Path) -> House:
    """A model of three authored lines with four labels, and nothing attached."""
    write_model(tmp_path / "models", ("s.jsonl", write_lines(*AUTHORED)))
    return House(tmp_path)


def name_texts(samples: list[ListedSample] | tuple[ListedSample, ...]) -> list[str]:
    return [sample.text for sample in samples]


def name_rows(run_id: str, count: int = 4) -> list[str]:
    return [f"{run_id} {number}" for number in range(count)]


def test_samples_are_shown_as_the_contract_has_them(house: House) -> None:
    attach_set(house.samples, "run-1", 1)
    first, *_, last_authored, attached = house.page().samples
    sha = digest_text("One.")
    authored = ListedSample(make_id(HANDLE, "clarity", "One."), "clarity", "One.", 1.0, "authored", None, sha, None)

    assert authored == first
    assert ("safety", "https://example.org/three") == (last_authored.trait, last_authored.source_url)
    assert (make_id(HANDLE, "clarity", "run-1 0"), "synthesized", NOON) == (
        attached.id,
        attached.provenance,
        attached.created_at,
    )


def test_passages_of_a_text_file_and_ordinary_texts_are_listed_as_loading_reads_them(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "models")
    source = "{type: file, path: a.txt, mapping: {x: {trait: clarity}, y: {trait: safety, quality: 0}}}"
    (folder / "model.yaml").write_text(f"{MODEL}sources:\n  - {source}\n  - {{type: noise}}\n")
    (folder / "a.txt").write_text("Heading\n\nOne.\n\nTwo\nlines.\n\n" + "Many sentences. " * 100)
    house = House(tmp_path)
    loaded = load_model(str(house.models), HANDLE).seeds

    assert [(seed.trait, seed.text, seed.quality) for seed in loaded] == [
        (sample.trait, sample.text, sample.quality) for sample in house.walk(limit=1)
    ]
    assert [seed.text for seed in loaded if seed.trait == "clarity"] == name_texts(house.walk(1, "clarity"))
    assert {"clarity": SampleCount(4, 4, 0), "safety": SampleCount(16, 0, 16)} == house.count()


@pytest.mark.parametrize("limit", [1, 4, 13])
def test_walk_of_any_page_size_equals_one_big_page(house: House, limit: int) -> None:
    for run_id in ("c", "a", "b"):
        attach_set(house.samples, run_id, 3, ("clarity", "safety"))

    assert [*AUTHORED_TEXTS, *name_rows("c", 3), *name_rows("a", 3), *name_rows("b", 3)] == name_texts(
        house.walk(limit)
    )
    counts = house.count()
    for trait in ("clarity", "safety"):
        of_trait = [sample for sample in house.walk() if sample.trait == trait]
        assert of_trait == house.walk(limit, trait)
        poles = (sum(sample.quality == quality for sample in of_trait) for quality in (1.0, 0.0))
        assert SampleCount(len(of_trait), *poles) == counts[trait]


def test_rejected_and_held_out_and_half_written_sets_are_not_listed(house: House) -> None:
    attach_set(house.samples, "rejected", status="rejected")
    attach_set(house.samples, "held-out", pool="eval")
    half = attach_set(house.samples, "half").folder
    Path(half, MANIFEST).unlink()
    # What a writer that was killed has left, and then failed: its samples are there, but the manifest says no.
    failed = attach_set(house.samples, "failed").folder
    Path(failed, MANIFEST).write_bytes(seal({"status": "rejected", "counts": {}}))
    Path(half).with_name("notes").mkdir()
    Path(half).with_name("run=file").write_text("a file")

    assert AUTHORED_TEXTS == name_texts(house.walk())
    assert 2 == house.count()["clarity"].sample_count


def test_samples_of_one_trait_are_listed_without_a_look_into_sets_that_have_none(house: House) -> None:
    other = attach_set(house.samples, "other", traits=("clarity",))
    attach_set(house.samples, "mine", traits=("safety",))
    Path(other.file(SAMPLES)).write_bytes(b"no parquet")

    assert ["One.", "Three.", *name_rows("mine")] == name_texts(house.walk(limit=2, trait="safety"))
    assert [] == house.walk(trait="unknown")
    assert 6 == house.count()["clarity"].sample_count
    with pytest.raises(StoreError, match=r"samples of run other, attached to .*, cannot be read"):
        house.walk(trait="clarity")


def test_manifest_that_cannot_be_used_is_an_error(house: House) -> None:
    Path(attach_set(house.samples, "a").file(MANIFEST)).write_text('{"status": "attached"}')
    for read in (house.page, house.count):
        with pytest.raises(StoreError, match="run=a"):
            read()


def test_wrong_line_does_not_spoil_the_pages_before_it(tmp_path: Path) -> None:
    write_model(tmp_path / "models", ("s.jsonl", write_lines(*AUTHORED) + "broken\n"))
    house = House(tmp_path)

    assert AUTHORED_TEXTS[:3] == name_texts(house.page(limit=3).samples)
    with pytest.raises(DefinitionError, match=r"s\.jsonl:4: line: found 'broken'"):
        house.page(limit=4)


LINES = [json.dumps({"content": text, "clarity": 1}, ensure_ascii=False) for text in ("Naïve.", "Two\u2028lines.", "3")]
ROWS = ["content,clarity,safety", '"Naïve, ""so"" to\nspeak.",1,', "Two\u2028lines.,1,", '"3\r\n\r\nlines.",,1']


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("s.jsonl", "\ufeff" + "\r\n\r\n\n".join(LINES)),
        ("s.csv", "\ufeff" + "\r\n\r\n\n".join(ROWS) + "\r\n"),
        ("s.csv", "content,clarity,safety\rOne.,1,\r\rTwo.,,0\rThree.,,1\r"),
    ],
)
def test_page_begins_right_whatever_the_lines_end_with(tmp_path: Path, name: str, content: str) -> None:
    write_model(tmp_path / "models", (name, content))
    seeds = load_model(str(tmp_path / "models"), HANDLE).seeds

    assert 3 == len(seeds)
    assert [(seed.trait, seed.text) for seed in seeds] == [
        (sample.trait, sample.text) for sample in House(tmp_path).walk(limit=1)
    ]


def test_page_of_a_file_that_was_changed_meanwhile_goes_on_by_the_number_of_the_line(tmp_path: Path) -> None:
    def write(*texts: str) -> None:
        lines = write_lines(*({"content": text, "clarity": 1} for text in texts))
        write_model(tmp_path / "models", ("s.jsonl", lines))

    house = House(tmp_path)
    write("One.", "Two.", "Three.", "Four.")
    position = house.page(limit=2).next_position
    assert position is not None
    write("One, but longer.", "Two.", "Three.", "Four.")

    assert ["Three.", "Four."] == name_texts(house.walk(limit=1, position=position))
    write("One.")
    assert [] == house.walk(position=position)


Steps = st.lists(
    st.one_of(
        st.tuples(st.just("page"), st.integers(1, 7)),
        st.tuples(st.just("attach"), st.integers(1, 5)),
        st.tuples(st.just("detach"), st.integers(0, 9)),
    ),
    max_size=12,
)


@given(Steps, st.sampled_from([None, "clarity", "safety"]))
@settings(max_examples=choose(once=15, at_length=200))
def test_whatever_comes_and_goes_between_pages_no_sample_is_repeated_or_skipped(
    steps: list[tuple[str, int]], trait: str | None
) -> None:
    with tempfile.TemporaryDirectory() as name:
        write_model(Path(name) / "models", ("s.jsonl", write_lines(*AUTHORED)))
        house = House(Path(name))
        attach_set(house.samples, "run-0", 3, ("clarity", "safety"))
        standing, made = ["run-0"], 1
        page = house.page(limit=1, trait=trait)
        seen = list(page.samples)
        for step, number in steps:
            if step == "attach":
                # Neither the run id nor the day that the run was due goes with the order.
                run_id = f"{number}-{made}"
                attach_set(house.samples, run_id, number, ("clarity", "safety"), timedelta(days=number * made % 7))
                standing, made = [*standing, run_id], made + 1
            elif step == "detach" and standing:
                house.detach(standing.pop(number % len(standing)))
            elif step == "page" and page.next_position:
                page = house.page(page.next_position, number, trait)
                seen += page.samples
        ended = page.next_position is None
        if page.next_position:
            seen += house.walk(2, trait, page.next_position)
        left = house.walk(trait=trait)

        assert len(seen) == len({(sample.trait, sample.text) for sample in seen})
        if not ended:
            assert left == [sample for sample in seen if sample in left]


def test_page_of_a_large_set_is_read_without_the_rest_of_it(house: House) -> None:
    put_large_set(house.samples, 100_000)
    before = pa.default_memory_pool()
    pool = pa.proxy_memory_pool(before)
    pa.set_memory_pool(pool)
    try:
        page = house.page(("s", 0, "", 0), limit=500)
        assert page.next_position is not None
        last = house.page(("s", page.next_position[1], str(page.next_position[2]), 99_500), limit=500)
    finally:
        pa.set_memory_pool(before)

    assert ([500, 500], None) == ([len(page.samples), len(last.samples)], last.next_position)
    # At most a page of 1 MiB of each column is decoded at a time; the texts and digests alone have 12 MiB.
    assert pool.max_memory() < 4 * 1024 * 1024
