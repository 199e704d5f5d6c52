"""Committed packs have lists to draw from, and a broken one is named with its field."""

import itertools
from collections import Counter
from pathlib import Path

import pytest

from engine.definitions.scenario_packs import SCENARIOS_FOLDER, Packs, list_pack_names, load_packs
from engine.errors import DefinitionError
from engine.text.words import count_words

PACK_NAMES = sorted(path.stem for path in SCENARIOS_FOLDER.glob("*.yaml") if path.stem != "lengths")
LENGTHS_TEXT = "- {name: short, min_words: 5, max_words: 20}\n"
PACK_TEXT = "words: [apple, pear]\nsubjects: [a tree]\naudiences: [a friend]\nforms: [a note]\n"


@pytest.fixture(scope="module")
def packs() -> Packs:
    return load_packs(SCENARIOS_FOLDER)


def test_committed_packs_have_lists_to_draw_from(packs: Packs) -> None:
    assert PACK_NAMES == sorted(packs.packs) == list_pack_names()
    assert len(PACK_NAMES) >= 11
    for name, pack in packs.packs.items():
        assert len(pack.subjects) >= 24, name
        assert len(pack.audiences) >= 8, name
        assert len(pack.forms) >= 7, name
        for values in (pack.words, pack.subjects, pack.audiences, pack.forms):
            assert [] == [value for value, times in Counter(map(str.casefold, values)).items() if times > 1]
        assert [] == [subject for subject in pack.subjects if not 1 <= count_words(subject) <= 8]
    assert ["everyday"] == [name for name, pack in packs.packs.items() if not pack.words]


def test_committed_lengths_grow(packs: Packs) -> None:
    assert len(packs.lengths) >= 4
    assert len(packs.lengths) == len({length.name for length in packs.lengths})
    for shorter, longer in itertools.pairwise(packs.lengths):
        assert shorter.min_words < longer.min_words
        assert shorter.max_words < longer.max_words
    assert [] == [length for length in packs.lengths if not 5 <= length.min_words < length.max_words]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (
            {"fruit": PACK_TEXT.replace("subjects: [a tree]", "subjects: []")},
            r"fruit\.yaml:2: subjects: found a list of 0; allowed: at least one entry",
        ),
        ({"fruit": PACK_TEXT.replace("forms: [a note]\n", "")}, r"fruit\.yaml:1: forms: found nothing"),
        ({"fruit": PACK_TEXT + "colour: red\n"}, r"fruit\.yaml:5: colour: found 'colour'; allowed: one of kinds, "),
        ({"lengths": "- {name: short, min_words: few, max_words: 3}\n"}, r"lengths\.yaml:1: 0\.min_words: found 'few'"),
        ({"lengths": "[]"}, r"allowed: lengths\.yaml and everyday\.yaml"),
        ({"lengths": None}, r"allowed: lengths\.yaml and everyday\.yaml"),
        ({"everyday": None}, r"allowed: lengths\.yaml and everyday\.yaml"),
    ],
)
def test_broken_or_missing_pack_is_named_with_its_field(
    tmp_path: Path, texts: dict[str, str | None], message: str
) -> None:
    whole = {"lengths": LENGTHS_TEXT, "everyday": PACK_TEXT.replace("apple, pear", "")}
    for name, text in (whole | texts).items():
        if text is not None:
            (tmp_path / f"{name}.yaml").write_text(text)
    with pytest.raises(DefinitionError, match=message):
        load_packs(tmp_path)
