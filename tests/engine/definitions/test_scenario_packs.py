"""Committed packs have lists to draw from, and a broken one is named with its field."""

import itertools
from pathlib import Path

import pytest

from engine.definitions.scenario_packs import SCENARIOS_FOLDER, list_pack_names, load_packs
from engine.errors import DefinitionError, StoreError
from engine.text.words import count_words

PACK_TEXT = "words: [apple, pear]\nsubjects: [a tree]\naudiences: [a friend]\nforms: [a note]\n"
WHOLE = {
    "lengths": "- {name: short, min_words: 5, max_words: 20}\n",
    "everyday": PACK_TEXT.replace("apple, pear", ""),
}


def test_committed_packs_have_lists_to_draw_from_and_lengths_grow() -> None:
    packs = load_packs(SCENARIOS_FOLDER)

    assert sorted(packs.packs) == list_pack_names()
    for name, pack in packs.packs.items():
        assert (True, True, True) == (len(pack.subjects) >= 24, len(pack.audiences) >= 8, len(pack.forms) >= 7), name
        for values in (pack.words, pack.subjects, pack.audiences, pack.forms):
            assert len(values) == len({value.casefold() for value in values}), name
        assert [] == [subject for subject in pack.subjects if not 1 <= count_words(subject) <= 8]
    assert ["everyday"] == [name for name, pack in packs.packs.items() if not pack.words]
    for shorter, longer in itertools.pairwise(packs.lengths):
        assert 5 <= shorter.min_words < longer.min_words < longer.max_words > shorter.max_words


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("fruit", PACK_TEXT.replace("a tree", ""), r"fruit\.yaml:2: subjects: found a list of 0; "),
        ("fruit", PACK_TEXT + "colour: red\n", r"fruit\.yaml:5: colour: found 'colour'; allowed: no field of "),
        ("lengths", "- {name: short, min_words: few, max_words: 3}\n", r"lengths\.yaml:1: 0\.min_words: found 'few'"),
        ("fruit", "words: [caf\udce9]\n", r"/fruit\.yaml: file: found a byte that is not UTF-8 at offset 11"),
        ("fruit", "words: [a\nx: {", r"/fruit\.yaml:2: file: found expected ',' or '\]'"),
        ("lengths", None, r"allowed: lengths\.yaml and everyday\.yaml"),
    ],
)
def test_broken_or_missing_pack_is_named(tmp_path: Path, name: str, text: str | None, message: str) -> None:
    for pack, content in (WHOLE | {name: text}).items():
        if content is not None:
            (tmp_path / f"{pack}.yaml").write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(DefinitionError, match=message):
        load_packs(tmp_path)


def test_pack_that_cannot_be_read_is_named_with_the_reason_and_the_remedy(tmp_path: Path) -> None:
    for pack, content in WHOLE.items():
        (tmp_path / f"{pack}.yaml").write_text(content)
    # To the superuser, whom no permission stops, it is unreadable all the same.
    (tmp_path / "fruit.yaml").mkdir()

    with pytest.raises(
        StoreError, match=r"/fruit\.yaml cannot be read: Is a directory\. Make it a file that this user"
    ):
        load_packs(tmp_path)
