"""Prompts say what a cell asks for, with the brief and authored texts, and never lead a positive astray."""

import importlib.util
import json
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from fakes.builders import (
    SCENARIO_POOL,
    make_cell,
    make_level,
    make_model,
    make_seeds,
    make_test_plan,
    make_trait,
)

from engine.definitions.effort import Level
from engine.definitions.loader import list_handles, load_model
from engine.definitions.scenario_packs import load_packs
from engine.domain.model import POLES, Brief, Length, Model, Pole, Seed, Trait, TraitType
from engine.generation.prompts import (
    CHAT_SHOTS,
    FOLDER,
    JUDGE_SHOTS_PER_POLE,
    PLAIN_SHOTS,
    make_proposal_schema,
    make_text_schema,
    prompts_version,
    write_chat_prompt,
    write_judge_prompt,
    write_plain_prompt,
    write_subjects_prompt,
    write_words_only,
)
from engine.generation.requests import PROPOSED
from engine.llm.request import Prompt
from engine.planning.plan import Cell, CellHints, Plan, RoundHistory, make_plan, plan_round
from engine.planning.scenarios import choose_scenario_pool
from engine.planning.subjects import name_subjects
from engine.settings import PROJECT_ROOT
from engine.text.words import count_words

MODELS = str(PROJECT_ROOT / "data" / "models")
PACKS = load_packs(PROJECT_ROOT / "data" / "scenarios")
TRAITS_OF_CATALOGUE = [
    (handle, trait.key) for handle in list_handles(MODELS) for trait in load_model(MODELS, handle).traits
]
TRAIT_TYPES: tuple[TraitType, ...] = ("spectrum", "topic", "claim", "outlier")
BRIEF = Brief(
    intent=("INTENT",),
    domain=("DOMAIN",),
    exemplars_of_good=("GOOD ONE", "GOOD TWO"),
    failure_modes=("FAILURE",),
    edge_cases=("EDGE",),
    non_goals=("NON-GOAL",),
)
OTHER: dict[Pole, Pole] = {"positive": "negative", "negative": "positive"}


def plan_catalogue(handle: str) -> Plan:
    model = load_model(MODELS, handle)
    return make_plan(model, "from_traits", make_level(12), choose_scenario_pool(model, PACKS), 0, prompts_version())


def list_cells(plan: Plan, trait: str, pole: Pole) -> list[Cell]:
    return list(plan_round(plan, 1, {(trait, pole): plan.wanted}, RoundHistory({})))


def ask(
    pole: Pole,
    trait: Trait | None = None,
    *,
    brief: Brief | None = None,
    seeds: tuple[Seed, ...] = (),
    level: Level | None = None,
    **cell: object,
) -> str:
    model = make_model(trait or make_trait(), brief=brief or Brief(), seeds=seeds)
    prompt = write_chat_prompt(
        make_test_plan(model, level),
        replace(make_cell(pole), **cell),  # type: ignore[arg-type]
        "English",
    )
    return read_whole(prompt)


def read_whole(prompt: Prompt) -> str:
    return "\n\n".join(text for _, text in prompt.messages)


def list_shots(prompt: Prompt) -> list[str]:
    return [json.loads(answer)["text"] for _, answer in prompt.turns]


def make_many_seeds(count: int) -> tuple[Seed, ...]:
    names = {"positive": 1.0, "negative": 0.0}
    return tuple(
        Seed("clarity", f"The {pole} text about matter{number} and thing{number}.", quality, f"s:{number}")
        for pole, quality in names.items()
        for number in range(count)
    )


def load_prompting(folder: Path) -> ModuleType:
    """The module as it is, with the templates of another folder."""
    shutil.copy(FOLDER.parent / "prompts.py", folder / "prompts.py")
    spec = importlib.util.spec_from_file_location("prompting_copy", folder / "prompts.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Its dataclasses look their own module up while they are made.
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "prompting_copy", module)
        spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("pole", POLES)
@pytest.mark.parametrize(("handle", "key"), TRAITS_OF_CATALOGUE)
def test_prompt_of_the_catalogue_says_all_that_it_asks_for(handle: str, key: str, pole: Pole) -> None:
    plan = plan_catalogue(handle)
    model, trait = plan.model, plan.model.trait(key)
    cell = list_cells(plan, key, pole)[0]
    prompt = write_chat_prompt(plan, cell, "English")
    length = plan.scenario_pool.length(cell.scenario.length)
    brief = model.brief
    own = [seed.text for seed in model.seeds_at(key, pole)]

    for said in (
        model.description,
        f'"{trait.name}"',
        trait.description,
        *trait.paraphrase(pole),
        *brief.intent,
        *brief.domain,
        *brief.exemplars_of_good,
        *brief.edge_cases,
        *brief.non_goals,
        "answer with that one text.",
    ):
        assert said in (prompt.system or "")
    for line in (
        f"Subject: {cell.scenario.subject}",
        f"Reader: {cell.scenario.audience}",
        f"Form: {cell.scenario.form}",
        f"Length: {cell.scenario.length}, {length.min_words} to {length.max_words} words",
        f"{trait.name}: {trait.label(pole)}",
    ):
        assert line in prompt.user.splitlines()
    assert min(CHAT_SHOTS, len(own)) == len(prompt.turns)
    assert set(list_shots(prompt)) <= set(own)
    assert "{" not in f"{prompt.system}{prompt.user}"


@pytest.mark.parametrize("pole", POLES)
@pytest.mark.parametrize(
    ("handle", "key"), [(handle, key) for handle, key in TRAITS_OF_CATALOGUE if handle == "u22a8.support-reply"]
)
def test_spectrum_prompt_of_the_catalogue_names_both_ends_and_asks_for_one(handle: str, key: str, pole: Pole) -> None:
    plan = plan_catalogue(handle)
    trait = plan.model.trait(key)
    system = write_chat_prompt(plan, list_cells(plan, key, pole)[0], "English").system or ""

    assert f'One end is "{trait.label("positive")}": {trait.paraphrase("positive")[0]}' in system
    assert f'The other end is "{trait.label("negative")}": {trait.paraphrase("negative")[0]}' in system
    assert f'Write at the very end "{trait.label(pole)}"' in system


@pytest.mark.parametrize(("handle", "key"), TRAITS_OF_CATALOGUE)
def test_no_prompt_for_a_positive_of_the_catalogue_names_a_failure_mode(handle: str, key: str) -> None:
    plan = plan_catalogue(handle)
    modes = plan.model.brief.failure_modes
    prompts = [write_chat_prompt(plan, cell, "English") for cell in list_cells(plan, key, "positive")]

    assert [] == [mode for mode in modes for prompt in prompts if mode in read_whole(prompt)]


@pytest.mark.parametrize("handle", ["u22a8.technical-writing", "u22a8.security-triage", "u22a8.expense-note"])
def test_each_negative_of_the_catalogue_names_exactly_its_own_failure_mode(handle: str) -> None:
    plan = plan_catalogue(handle)
    cells = list_cells(plan, plan.model.traits[0].key, "negative")
    modes = plan.model.brief.failure_modes

    assert set(modes) == {cell.failure_mode for cell in cells}
    for cell in cells:
        user = read_whole(write_chat_prompt(plan, cell, "English"))
        assert [cell.failure_mode] == [mode for mode in modes if mode in user]


@pytest.mark.parametrize("trait_type", TRAIT_TYPES)
def test_failure_mode_of_a_negative_cell_is_named(trait_type: TraitType) -> None:
    assert "FAILURE" in ask("negative", make_trait(type=trait_type), failure_mode="FAILURE")


@pytest.mark.parametrize("pole", POLES)
@pytest.mark.parametrize("trait_type", TRAIT_TYPES)
def test_every_part_of_the_brief_but_the_failure_modes_steers_every_prompt(trait_type: TraitType, pole: Pole) -> None:
    user = ask(pole, make_trait(type=trait_type), brief=BRIEF)

    assert "What the scores are for:\n- INTENT\n" in user
    assert "Where the texts come from:\n- DOMAIN\n" in user
    assert "What is good:\n- GOOD ONE\n- GOOD TWO\n" in user
    assert "Edge cases:\n- EDGE\n" in user
    assert "What does not count:\n- NON-GOAL\n" in user
    assert "FAILURE" not in user


def test_what_an_author_writes_is_no_template() -> None:
    written = "{{ 7 * 7 }} {% include 'vote.jinja' %} {0.__class__} {name} %s $HOME"
    user = ask("positive", make_trait(description=written), brief=replace(BRIEF, intent=(written,)))

    assert 2 == user.count(written)


def test_model_without_a_brief_or_seeds_leaves_their_headings_out() -> None:
    user = ask("positive")

    for heading in ("What ", "Where ", "Edge cases"):
        assert heading not in user


@pytest.mark.parametrize("trait_type", TRAIT_TYPES)
def test_poles_are_asked_for_in_different_words(trait_type: TraitType) -> None:
    trait = make_trait(type=trait_type)

    assert ask("positive", trait) != ask("negative", trait)


@pytest.mark.parametrize(
    ("trait_type", "pole", "words"),
    [
        ("spectrum", "positive", 'Write at the very end "Clear"'),
        ("spectrum", "negative", 'Write at the very end "Obscure"'),
        ("topic", "positive", "must really be about this topic"),
        ("topic", "negative", "No text may be about this topic"),
        ("claim", "positive", "must agree with the claim"),
        ("claim", "negative", "must contradict the claim"),
        ("outlier", "positive", "Write what is unusual for this cohort"),
        ("outlier", "negative", "Write what is typical of this cohort"),
    ],
)
def test_each_type_asks_its_own_question(trait_type: TraitType, pole: Pole, words: str) -> None:
    trait = make_trait(type=trait_type)

    assert words in ask(pole, trait)
    assert words not in ask(OTHER[pole], trait)


def test_near_miss_of_a_topic_is_asked_for_in_other_words_than_ordinary_content() -> None:
    trait = make_trait(type="topic")
    near, far = ask("negative", trait, near_miss=True), ask("negative", trait, near_miss=False)

    assert "Come close to the topic" in near
    assert "a hasty reader might take it for\nthe topic" in near
    assert "Come close" not in far


def test_negative_of_a_claim_must_stay_on_the_claim() -> None:
    trait = make_trait(type="claim")

    assert "It must contradict the claim, by what it reports or argues, and stay on the claim" in ask("negative", trait)
    assert "merely\nneutral, is useless" in ask("negative", trait)
    for pole in POLES:
        assert "Every text must deal with this very claim." in ask(pole, trait)


def test_paraphrase_of_a_claims_negative_does_not_explain_what_is_useless() -> None:
    trait = make_trait(type="claim", negative_paraphrase=("It takes more time.",))

    assert "is useless: It takes more time." not in ask("negative", trait)


@pytest.mark.parametrize(
    ("trait_type", "pole"),
    [
        ("spectrum", "positive"),
        ("spectrum", "negative"),
        ("topic", "positive"),
        ("topic", "negative"),
        ("claim", "positive"),
        ("claim", "negative"),
        ("outlier", "positive"),
        ("outlier", "negative"),
    ],
)
def test_every_sentence_ends_also_without_paraphrases(trait_type: TraitType, pole: Pole) -> None:
    user = ask(pole, make_trait(type=trait_type), failure_mode="Blame." if pole == "negative" else None)

    assert [] == re.findall(r"[a-z] (?:It|Nobody|If|As|Bear|Let)\b", user)


@pytest.mark.parametrize("trait_type", TRAIT_TYPES)
@pytest.mark.parametrize("pole", POLES)
def test_all_paraphrases_of_the_pole_are_said(trait_type: TraitType, pole: Pole) -> None:
    trait = make_trait(
        type=trait_type, positive_paraphrase=("Good so.", "And so."), negative_paraphrase=("Bad so.", "Or so.")
    )

    assert " ".join(trait.paraphrase(pole)) in ask(pole, trait)


def test_shots_are_authored_texts_of_the_same_pole() -> None:
    seeds = make_many_seeds(9)
    prompt = write_chat_prompt(make_test_plan(make_model(seeds=seeds)), make_cell("negative"), "English")

    assert CHAT_SHOTS == len(set(list_shots(prompt)))
    assert set(list_shots(prompt)) <= {seed.text for seed in seeds if seed.pole == "negative"}


@pytest.mark.parametrize("pole", POLES)
def test_variation_is_shown_by_other_authored_texts_of_the_pole(pole: Pole) -> None:
    plan = make_test_plan(make_model(seeds=(*make_seeds(), Seed("clarity", "In between, the tap is left open.", 0.5))))
    seeds = plan.model.seeds_at("clarity", pole)
    prompt = write_chat_prompt(plan, replace(make_cell(pole), seed=seeds[0]), "English")
    [(asked, answered)] = prompt.turns
    answer = json.loads(answered)["text"]

    assert {answer, *(seed.text for seed in seeds if seed.text in asked)} == {seed.text for seed in seeds[1:]}
    assert f"Length: {count_words(answer)} words" in asked
    assert f"Length: {count_words(seeds[0].text)} words" in prompt.user
    assert prompt.user.startswith(f"The text: {seeds[0].text}\n")


def test_variation_of_a_lone_seed_has_nothing_to_be_shown_by() -> None:
    seed = make_seeds()[0]
    prompt = write_chat_prompt(make_test_plan(make_model(seeds=(seed,))), replace(make_cell(), seed=seed), "English")

    assert () == prompt.turns


def test_all_but_the_last_message_stays_with_the_round() -> None:
    plan = make_test_plan(make_model(seeds=make_many_seeds(9)))
    cells = [
        replace(make_cell("negative", index), round_no=round_no, failure_mode="Blame.")
        for round_no in (1, 2)
        for index in (0, 1)
    ]
    before = [write_chat_prompt(plan, cell, "English").messages[:-1] for cell in cells]

    assert before[0] == before[1] != before[2] == before[3]
    assert before[0][0] == before[2][0]


def test_poles_have_all_but_the_pole_itself_in_common() -> None:
    common = {ask(pole, brief=BRIEF).partition("Write at the very end")[0] for pole in POLES}

    assert 1 == len(common)
    assert "NON-GOAL" in common.pop()


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (1, "answer with that one text."),
        (3, "answer with 3 texts, as different from one another as texts in one scenario can be."),
    ],
)
def test_count_of_texts_is_asked_for(count: int, words: str) -> None:
    assert words in ask("positive", level=make_level(exemplars_per_call=count))


def test_language_is_asked_for() -> None:
    assert "Every text is wholly in German" in read_whole(write_chat_prompt(make_test_plan(), make_cell(), "German"))


def test_braces_and_angle_brackets_of_a_model_stand_as_they_are_written() -> None:
    trait = make_trait(description="Uses {{ braces }}, {% tags %} & <b>marks</b>.")

    assert "Uses {{ braces }}, {% tags %} & <b>marks</b>." in ask("positive", trait)


@pytest.mark.parametrize("schema", [make_text_schema(1), make_text_schema(2), make_proposal_schema(PROPOSED)])
def test_words_only_variant_contains_the_schema_and_the_whole_prompt(schema: dict[str, object]) -> None:
    prompt = Prompt("Ask {{ this }}.", "A system.")
    words = write_words_only(prompt, schema)

    assert words.user.startswith("Ask {{ this }}.")
    assert words.user.endswith(json.dumps(schema))
    assert "one JSON object and nothing else" in words.user
    assert "A system." == words.system


def test_words_only_variant_begins_the_schema_in_a_paragraph_of_its_own() -> None:
    assert write_words_only(Prompt("Ask."), make_proposal_schema(PROPOSED)).user.startswith("Ask.\n\nAnswer with")


@pytest.mark.parametrize("pole", POLES)
def test_plain_prompt_shows_five_shots_of_the_same_pole_and_ends_where_the_text_begins(pole: Pole) -> None:
    seeds = make_many_seeds(9)
    cell = make_cell(pole)
    prompt = write_plain_prompt(make_test_plan(make_model(seeds=seeds)), cell)
    field = make_trait().label(pole)
    shown = [seed for seed in seeds if f"\n{field}: {seed.text}\n" in prompt.user]

    assert 5 == PLAIN_SHOTS == len(shown)
    assert {pole} == {seed.pole for seed in shown}
    assert prompt.user.endswith(f"\n\nTopic: {cell.scenario.subject}\n{field}:")
    assert 6 == prompt.user.count("Topic:") == prompt.user.count(f"\n{field}:")
    assert prompt.system is None


def test_plain_prompt_names_the_subject_of_each_shot() -> None:
    seeds = tuple(seed for seed in make_many_seeds(4) if seed.pole == "positive")
    user = write_plain_prompt(make_test_plan(make_model(seeds=seeds)), make_cell()).user

    for seed, subject in zip(seeds, name_subjects([seed.text for seed in seeds]), strict=True):
        assert f"Topic: {subject}\nClear: {seed.text}\n" in user


def test_plain_prompt_puts_a_shot_on_one_line() -> None:
    seeds = (Seed("clarity", "One line.\n\nAnother\tline.", 1.0),)

    assert (
        "Clear: One line. Another line.\n"
        in write_plain_prompt(make_test_plan(make_model(seeds=seeds)), make_cell()).user
    )


def test_plain_prompt_is_headed_by_the_paraphrase_or_else_by_the_label() -> None:
    bare, told = make_trait(), make_trait(positive_paraphrase=("Plain sentences.", "More."))
    users = [write_plain_prompt(make_test_plan(make_model(trait)), make_cell()).user for trait in (bare, told)]

    assert ["Clarity: Clear. How well it is understood.", "Plain sentences."] == [
        user.splitlines()[0] for user in users
    ]


@pytest.mark.parametrize("label", ["Yes", ""])
def test_plain_prompt_calls_its_texts_texts_where_the_label_says_nothing(label: str) -> None:
    model = make_model(make_trait(positive_label=label))

    assert write_plain_prompt(make_test_plan(model), make_cell()).user.endswith("\nText:")


def test_plain_prompt_without_seeds_has_the_heading_and_the_subject() -> None:
    assert "Clarity: Obscure. How well it is understood.\n\nTopic: rotating a key\nObscure:" == (
        write_plain_prompt(make_test_plan(), make_cell("negative")).user
    )


def test_plain_shots_change_with_the_draw_and_the_round_and_not_with_the_scenario() -> None:
    plan = make_test_plan(make_model(seeds=make_many_seeds(9)))

    def head(cell: Cell) -> str:
        return write_plain_prompt(plan, cell).user.rsplit("Topic:", 1)[0]

    first = make_cell()
    assert head(first) == head(make_cell(index=3))
    assert 3 == len({head(first), head(make_cell(draw=1)), head(replace(first, round_no=2))})


@pytest.mark.parametrize(("handle", "key"), TRAITS_OF_CATALOGUE)
def test_judge_of_the_catalogue_learns_both_poles_in_mixed_order(handle: str, key: str) -> None:
    model = load_model(MODELS, handle)
    prompt = write_judge_prompt(model, model.trait(key), "The text to judge.", 0)
    if not model.seeds:
        assert prompt is None
        return

    assert prompt is not None
    words = [line.removeprefix("Verdict: ") for line in prompt.user.splitlines() if line.startswith("Verdict: ")]
    each = min(JUDGE_SHOTS_PER_POLE, len(model.seeds_at(key, "positive")))
    assert {"good": each, "bad": each} == {word: words.count(word) for word in set(words)}
    assert words not in (sorted(words), sorted(words, reverse=True))
    assert prompt.user.endswith("\n\nText: The text to judge.\nVerdict:")


def test_judge_shows_each_authored_text_with_the_word_of_its_pole() -> None:
    prompt = write_judge_prompt(make_model(seeds=make_seeds()), make_trait(), "This one.", 0)

    assert prompt is not None
    for seed in make_seeds():
        assert f"Text: {seed.text}\nVerdict: {'good' if seed.pole == 'positive' else 'bad'}\n" in prompt.user


def test_judge_shows_ten_texts_a_pole_at_most_and_none_between_the_poles() -> None:
    seeds = (*make_many_seeds(30), Seed("clarity", "Neither here nor there.", 0.5))
    prompt = write_judge_prompt(make_model(seeds=seeds), make_trait(), "This one.", 0)

    assert prompt is not None
    assert (10, 10) == (prompt.user.count("Verdict: good"), prompt.user.count("Verdict: bad"))
    assert "Neither here" not in prompt.user


@pytest.mark.parametrize("quality", [None, 0.0, 0.5, 1.0])
def test_without_seeds_of_both_poles_nobody_can_judge(quality: float | None) -> None:
    seeds = () if quality is None else (Seed("clarity", "One.", quality), Seed("warmth", "Two.", 1 - quality))
    model: Model = make_model(make_trait(), make_trait("warmth"), seeds=seeds)

    assert write_judge_prompt(model, model.traits[0], "This one.", 0) is None


def test_judge_learns_the_same_for_every_text_of_a_trait() -> None:
    model = make_model(seeds=make_many_seeds(30))
    heads = {
        prompt.user.rsplit("Text:", 1)[0]
        for text in ("One.", "Two.")
        if (prompt := write_judge_prompt(model, make_trait(), text, 0))
    }

    assert 1 == len(heads)


def test_subjects_prompt_speaks_of_the_model_and_names_no_failure_mode() -> None:
    model = make_model(make_trait(), make_trait("warmth"), description="Whether it helps.", brief=BRIEF)
    prompt = write_subjects_prompt(model, {"subjects": 40})

    for said in ('"u22a8.test"', "It judges: Whether it helps.", "- Clarity: ", "- Warmth: ", "Propose 40 subjects"):
        assert said in prompt.user
    assert "- DOMAIN\n" in prompt.user
    assert "FAILURE" not in prompt.user


def test_subjects_prompt_shows_what_the_texts_are_like_and_asks_for_what_is_open() -> None:
    model = make_model(seeds=make_many_seeds(2))
    prompt = write_subjects_prompt(model, {"forms": 3, "audiences": 2})

    assert [] == [seed.text for seed in model.seeds if f"- {seed.text}\n" not in prompt.user]
    assert ["Propose 3 forms", "Propose 2 audiences"] == re.findall(r"Propose \d+ \w+", prompt.user)


def test_digest_of_a_prompt_is_of_all_its_parts() -> None:
    prompts = (Prompt("a"), Prompt("b"), Prompt("a", "b"), Prompt("b", "a"), Prompt("a", "b", (("c", "d"),)))

    assert 5 == len({prompt.sha256 for prompt in prompts})
    assert Prompt("a", "b").sha256 == Prompt("a", "b").sha256


def test_version_is_twelve_hexadecimal_digits() -> None:
    assert 12 == len(prompts_version())
    assert 0 <= int(prompts_version(), 16)


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.glob("*.jinja")))
def test_version_changes_with_every_template(tmp_path: Path, name: str) -> None:
    shutil.copytree(FOLDER, tmp_path / "templates")
    assert prompts_version() == load_prompting(tmp_path).prompts_version()

    template = tmp_path / "templates" / name
    template.write_text(template.read_text().replace("e", "E", 1))
    assert prompts_version() != load_prompting(tmp_path).prompts_version()


def test_version_changes_with_the_name_of_a_template(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "templates")
    (tmp_path / "templates" / "claim.jinja").rename(tmp_path / "templates" / "claims.jinja")

    assert prompts_version() != load_prompting(tmp_path).prompts_version()


def test_cells_of_the_plan_find_their_length() -> None:
    plan = make_test_plan(level=make_level(10))

    for cell in list_cells(plan, "clarity", "positive"):
        length = SCENARIO_POOL.length(cell.scenario.length)
        assert f"{length.min_words} to {length.max_words} words" in write_chat_prompt(plan, cell, "English").user


def test_without_authored_texts_the_best_of_the_other_end_is_shown() -> None:
    cell = replace(make_cell("positive"), hints=CellHints(contrast="Pursuant to the regime."))

    assert "by the trait alone: Pursuant to the regime." in write_chat_prompt(make_test_plan(), cell, "English").user
    assert "by the trait alone" not in write_chat_prompt(make_test_plan(), make_cell(), "English").user
    # The poles of a topic differ in their subjects too.
    topic = make_test_plan(make_model(make_trait(type="topic")))
    assert "Pursuant" not in write_chat_prompt(topic, cell, "English").user


@pytest.mark.parametrize(
    ("name", "words", "said"),
    [
        ("a note", None, "Length: a note, 10 to 20 words"),
        ("10 to 20 words", None, "Length: 10 to 20 words"),
        ("a note", (14, 16), "Length: a note, 13 to 17 words, no fewer and no more"),
        ("10 to 20 words", (14, 16), "Length: 13 to 17 words, no fewer and no more"),
    ],
)
def test_length_is_said_once(name: str, words: tuple[int, int] | None, said: str) -> None:
    pool = replace(SCENARIO_POOL, lengths=(Length(name=name, min_words=10, max_words=20),))
    cell = make_cell()
    cell = replace(cell, scenario=replace(cell.scenario, length=name), hints=CellHints(words=words))

    assert said in write_chat_prompt(make_test_plan(scenario_pool=pool), cell, "English").user.splitlines()
