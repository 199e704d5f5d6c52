"""What prompts show and leave out, as rules; their words stand byte for byte in ``snapshots/``."""

import json
import re
import runpy
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.builders import SCENARIO_POOL, make_cell, make_model, make_seeds, make_test_plan, make_trait

from engine.asking.plan import Cell, CellHints
from engine.asking.prompts import (
    CHAT_SHOTS,
    FOLDER,
    JUDGE_SHOTS_PER_POLE,
    PLAIN_SHOTS,
    SHOT_SETS,
    SHOWN_TEXTS,
    SHOWN_WORDS,
    UNLABELLED_TEXTS,
    prompts_version,
    write_chat_prompt,
    write_judge_prompt,
    write_plain_prompt,
)
from engine.domain.definition import Brief, Length, Pole, Trait
from engine.domain.model import POLES, Model, Seed
from engine.domain.unlabelled_texts import OwnTexts
from engine.llm.client.request import Prompt


def write_chat(model: Model, cell: Cell) -> Prompt:
    return write_chat_prompt(make_test_plan(model), cell)


def write_plain(model: Model, cell: Cell) -> str:
    return write_plain_prompt(make_test_plan(model), cell).user


def read_whole(prompt: Prompt) -> str:
    return "\n\n".join(text for _, text in prompt.messages)


def make_many_seeds(count: int) -> tuple[Seed, ...]:
    return tuple(
        Seed("clarity", f"The {pole} text about matter{number} and thing{number}.", quality, f"s:{number}")
        for pole, quality in (("positive", 1.0), ("negative", 0.0))
        for number in range(count)
    )


def test_what_an_author_writes_is_no_template() -> None:
    written = "{{ 7 * 7 }} {% include 'vote.jinja' %} {0.__class__} {name} %s $HOME & <b>marks</b>"
    model = make_model(make_trait(description=written), brief=Brief(intent=(written,)))

    assert 2 == read_whole(write_chat(model, make_cell())).count(written)


def test_few_of_the_authors_own_texts_are_shown_to_a_chat_model_the_same_in_all_cells() -> None:
    texts = tuple(f"Письмо {number} из деревни. " + "слово " * 200 for number in range(50))
    model = make_model(seeds=make_seeds(), texts=OwnTexts(drawn=texts))
    one, other = (write_chat(model, make_cell(pole, 3)).system or "" for pole in POLES)
    shown = re.findall(r"<incoming>\n(.*)\n</incoming>", one)
    again = write_chat_prompt(make_test_plan(model, seed=1), make_cell()).system or ""

    assert SHOWN_TEXTS == len(shown) == len(set(shown))
    assert shown == re.findall(r"<incoming>\n(.*)\n</incoming>", other)
    assert shown != re.findall(r"<incoming>\n(.*)\n</incoming>", again)
    assert {SHOWN_WORDS} == {len(text.split()) for text in shown}
    assert "Письмо" not in write_plain(model, make_cell())
    assert "Письмо" not in read_whole(write_chat(model, replace(make_cell(), seed=model.seeds[0])))


def test_words_about_own_texts_change_no_version_of_a_model_without_any(tmp_path: Path) -> None:
    shutil.copy(FOLDER.parent / "prompts.py", tmp_path)
    shutil.copytree(FOLDER, tmp_path / "templates")
    (tmp_path / "templates" / UNLABELLED_TEXTS).write_text("Other words.")
    changed = runpy.run_path(str(tmp_path / "prompts.py"))["prompts_version"]

    assert prompts_version() == changed()
    assert prompts_version(True) != changed(True)


def test_variation_is_shown_by_two_pairs_at_most_the_nearest_last() -> None:
    seeds = make_many_seeds(9)
    plain = replace(seeds[1], text="The positive text about matter10 and thing10.")
    prompt = write_chat(make_model(seeds=(*seeds, plain)), replace(make_cell(), seed=seeds[0]))

    assert 2 == len(prompt.turns)
    assert 4 == len({seed.text for seed in seeds for asked, answer in prompt.turns if seed.text in asked + answer})


def test_all_but_the_last_message_stays_with_the_round() -> None:
    model = make_model(seeds=make_many_seeds(9))
    cells = [
        replace(make_cell("negative", index), round_no=round_no, failure_mode="Blame.")
        for round_no in (1, 2)
        for index in (0, 1)
    ]
    before = [write_chat(model, cell).messages[:-1] for cell in cells]
    shown = [json.loads(answer)["text"] for _, answer in write_chat(model, cells[0]).turns]

    assert before[0] == before[1] != before[2] == before[3]
    assert before[0][0] == before[2][0]
    assert CHAT_SHOTS == len({*shown} & {seed.text for seed in model.seeds_at("clarity", "negative")})


@pytest.mark.parametrize("pole", POLES)
def test_plain_prompt_shows_five_shots_of_the_same_pole_and_ends_where_the_text_begins(pole: Pole) -> None:
    seeds, cell, field = make_many_seeds(9), make_cell(pole), make_trait().label(pole)
    user = write_plain(make_model(seeds=seeds), cell)
    shown = [seed for seed in seeds if f"\n{field}: {seed.text}\n" in user]

    assert 5 == PLAIN_SHOTS == len(shown)
    assert {pole} == {seed.pole for seed in shown}
    assert user.endswith(f"\n\nTopic: {cell.scenario.subject}\n{field}:")
    assert 6 == user.count("Topic:") == user.count(f"\n{field}:")


@pytest.mark.parametrize(
    ("trait", "document", "field"),
    [
        (make_trait(), "Clarity: Clear. How well it is understood.", "Clear text"),
        (make_trait(positive_paraphrase=("Plain.", "More.")), "Plain.", "Clear text"),
        (make_trait(positive_label="Yes"), "Clarity: Yes. How well it is understood.", "Text"),
    ],
    ids=["label", "paraphrase", "label that says nothing"],
)
def test_plain_prompt_without_seeds_has_the_heading_and_the_subject(trait: Trait, document: str, field: str) -> None:
    begun = "Excerpts from test, each one sentence long.\n\n"
    assert f"{begun}{document}\n\nTopic: rotating a key\n{field}:" == write_plain(make_model(trait), make_cell())


def test_plain_shots_are_a_few_sets_in_turn_and_others_in_the_next_round() -> None:
    model, first = make_model(seeds=make_many_seeds(9)), make_cell()
    cells = [first, make_cell(index=SHOT_SETS), make_cell(index=1), replace(first, round_no=2)]
    heads = [write_plain(model, cell).rsplit("Topic:", 1)[0] for cell in cells]

    assert heads[0] == heads[1]
    assert 3 == len({*heads})


def write_judge(model: Model, text: str = "This one.") -> str | None:
    prompt = write_judge_prompt(model, model.traits[0], text, 0)
    return prompt.user if prompt else None


def test_judge_shows_texts_with_the_word_of_their_pole_in_mixed_order_the_same_for_every_text() -> None:
    seeds = (*make_many_seeds(30), Seed("clarity", "Neither here nor there.", 0.5))
    one, other = (write_judge(make_model(seeds=seeds), text) or "" for text in ("One.", "Two."))
    head, _, asked = one.rpartition("Text: ")
    words = re.findall("Verdict: (.+)", head)

    assert other.startswith(head)
    assert "One.\nVerdict:" == asked
    assert 10 == JUDGE_SHOTS_PER_POLE == words.count("good") == words.count("bad")
    assert words not in (sorted(words), sorted(words, reverse=True))
    assert "Neither here" not in one
    few = write_judge(make_model(seeds=make_seeds())) or ""
    for seed in make_seeds():
        assert f"Text: {seed.text}\nVerdict: {'good' if seed.pole == 'positive' else 'bad'}\n" in few


def test_without_authored_texts_the_best_of_the_other_end_is_shown() -> None:
    cell = replace(make_cell("positive"), hints=CellHints(contrast="Pursuant to the regime."))

    assert "by the trait alone: Pursuant to the regime." in write_chat(make_model(), cell).user
    assert "by the trait alone" not in write_chat(make_model(), make_cell()).user
    # The poles of a topic differ in their subjects too.
    assert "Pursuant" not in write_chat(make_model(make_trait(type="topic")), cell).user


@pytest.mark.parametrize(
    ("language", "name", "words", "said"),
    [
        ("en", "a note", None, "Length: a note, 10 to 20 words"),
        ("en", "10 to 20 words", None, "Length: 10 to 20 words"),
        ("en", "a note", (14, 16), "Length: a note, 13 to 17 words, no fewer and no more"),
        ("en", "10 to 20 words", (14, 16), "Length: 13 to 17 words, no fewer and no more"),
        ("ja", "a note", None, "Length: a note, 10 to 20 words, which is 17 to 34 characters"),
    ],
)
def test_length_is_said_once(language: str, name: str, words: tuple[int, int] | None, said: str) -> None:
    pool = replace(SCENARIO_POOL, lengths=(Length(name=name, min_words=10, max_words=20),))
    cell = make_cell()
    cell = replace(cell, scenario=replace(cell.scenario, length=name), hints=CellHints(words=words))
    plan = make_test_plan(make_model(language=language), scenario_pool=pool)

    assert said in write_chat_prompt(plan, cell).user.splitlines()


def read_version(folder: Path) -> str:
    """The version by a copy of the module with templates of its own."""
    return str(runpy.run_path(str(folder / "prompts.py"))["prompts_version"](True))


def test_version_changes_with_every_template_and_its_name(tmp_path: Path) -> None:
    shutil.copy(FOLDER.parent / "prompts.py", tmp_path)
    folder = Path(shutil.copytree(FOLDER, tmp_path / "templates"))
    versions = [read_version(tmp_path)]
    for template in sorted(folder.iterdir()):
        template.write_text(template.read_text().replace("e", "E", 1))
        versions.append(read_version(tmp_path))
    (folder / "claim.jinja").rename(folder / "claims.jinja")

    assert prompts_version(True) == versions[0]
    assert len([*FOLDER.iterdir()]) + 2 == len({*versions, read_version(tmp_path)})
