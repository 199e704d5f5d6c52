"""Language tags are read as BCP 47 has them, and what is none is refused with what was perhaps meant."""

import pytest

from engine.domain.language_tag import are_close, find_code, find_script, name_script, name_tag, parse_tag


def test_tag_is_read_in_its_canonical_form() -> None:
    read = {"de": "de", "pt-br": "pt-BR", "zh-hant": "zh-Hant", "de_AT": "de-AT", "iw": "he", "no": "no"}

    assert read == {text: parse_tag(text) for text in read}


@pytest.mark.parametrize("text", ["", "xx", "x-mine", "und", "mul", "zxx", "de-", "en us", "123"])
def test_what_names_no_language_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^a language tag \(BCP 47\) such as de, pt-BR or zh-Hant$"):
        parse_tag(text)


@pytest.mark.parametrize(("name", "tag"), [("german", "de"), ("Deutsch", "de"), ("日本語", "ja")])
def test_name_of_a_language_is_answered_with_its_tag(name: str, tag: str) -> None:
    with pytest.raises(ValueError, match=f"; {name} is {tag}$"):
        parse_tag(name)


def test_tag_has_a_name_a_code_and_a_script() -> None:
    assert "Portuguese (Brazil)" == name_tag("pt-BR")
    assert ["zh", "zh", "no", "pt"] == [find_code(tag) for tag in ("zh-Hant", "cmn", "nb-NO", "pt-BR")]
    assert ["Deva", "Latn", "Hant"] == [find_script(tag) for tag in ("hi", "sr-Latn", "zh-TW")]
    assert ["Devanagari", "Hiragana"] == [name_script(script) for script in ("Deva", "Hiragana")]


def test_close_languages_are_those_that_readers_of_either_read() -> None:
    assert are_close("da", "no")
    assert are_close("cs", "sk")
    # Who reads Welsh reads English, and not the other way round.
    assert not are_close("cy", "en")
    assert not are_close("ru", "uk")
