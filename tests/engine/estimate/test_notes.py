"""Notes tell what was left out, and nothing where nothing was."""

from dataclasses import replace

import numpy as np
import pytest
from fakes.builders import SCENARIO_POOL, make_level, make_model, make_seeds, make_test_plan, make_trait
from fakes.client import CHAT, PLAIN

from engine.domain.model import POLES, Brief, OwnScenarios, Seed, Skipped, TraitType
from engine.estimate.notes import list_notes
from engine.llm.request import Endpoint
from engine.planning.plan import Plan
from engine.planning.scenarios import GIVE_SUBJECTS, TopicSubjects
from engine.quality.reference_axis import Basis, ReferenceAxis


def list_more(plan: Plan, endpoint: Endpoint = CHAT) -> tuple[str, ...]:
    """The notes after those on the language and on a small model, which every plan has that is about one."""
    return tuple(note for note in list_notes(plan, endpoint)[1:] if "is a small model" not in note)


def test_model_that_writes_nonsense_now_and_then_is_said_to() -> None:
    said = [
        [note for note in list_notes(make_test_plan(), endpoint) if "Read the texts first." in note]
        for endpoint in (PLAIN, CHAT)
    ]

    assert [1, 0] == list(map(len, said))


@pytest.mark.parametrize(
    ("language", "notes"),
    [
        (None, ["The texts are to be in English (en): the seeds are."]),
        ("pt-BR", ["The texts are to be in Portuguese (Brazil) (pt-BR): model.yaml says so."]),
        (
            "hi",
            [
                "The texts are to be in Hindi (hi): model.yaml says so.",
                "The sentence encoder does not know Hindi: the place between the poles, the probe, the subjects and "
                "the diversity of meanings have no say in choice and gate, so look at the texts before you train.",
            ],
        ),
    ],
)
def test_language_is_said_with_what_decided_it(language: str | None, notes: list[str]) -> None:
    plan = replace(make_test_plan(make_model(language=language, seeds=make_seeds())), axes={})

    assert notes == list(list_notes(plan, CHAT))


def test_nothing_left_out_is_no_note() -> None:
    assert () == list_more(make_test_plan(make_model(), make_level()))


@pytest.mark.parametrize(
    ("endpoint", "seen"),
    [(CHAT, ""), (PLAIN, " The synth model is shown the subjects, not the forms, audiences and lengths.")],
)
def test_scenarios_are_noted_with_their_reasons(endpoint: Endpoint, seen: str) -> None:
    reasons = {"subjects": "from the pack 'x', which fits", "audiences": "from the pack 'x', which fits"}
    reasons |= {"forms": "given in model.yaml", "lengths": "those of the seeds"}
    scenario_pool = replace(SCENARIO_POOL, forms=("a", "b", "c", "d", "e"), reasons=reasons)
    note = (
        "Scenarios: forms (“a”, “b”, “c” and 2 others) given in model.yaml; audiences and subjects from the pack 'x', "
        f"which fits; lengths (8 to 25 words, 14 to 40 words) those of the seeds.{seen} {GIVE_SUBJECTS}"
    )

    assert (note,) == list_more(make_test_plan(make_model(), make_level(), scenario_pool), endpoint)


@pytest.mark.parametrize(
    ("language", "scenarios", "why", "noted"),
    [
        ("de", OwnScenarios(), "from the pack 'x', because the model's own words point to no other", True),
        ("de", OwnScenarios(pack="x"), "from the pack 'x', which model.yaml names", False),
        ("de", OwnScenarios(), "proposed by the synth model", False),
        ("en", OwnScenarios(), "from the pack 'x', because the model's own words point to no other", False),
    ],
)
def test_pack_that_a_model_of_another_language_did_not_choose_is_noted(
    language: str, scenarios: OwnScenarios, why: str, noted: bool
) -> None:
    scenario_pool = replace(SCENARIO_POOL, reasons=dict.fromkeys(("subjects", "audiences", "forms", "lengths"), why))
    model = make_model(language=language, scenarios=scenarios)
    [note] = list_more(make_test_plan(model, make_level(), scenario_pool))

    assert noted == note.endswith(
        " Packs are in English and chosen by English words: for texts in German give `subjects` in model.yaml, or name "
        "the pack that fits."
    )


@pytest.mark.parametrize(
    ("kind", "subjects", "split", "noted"),
    [
        ("topic", ("a stone axe",), False, True),
        ("topic", ("a stone axe",), True, False),
        ("topic", (), False, False),
        ("spectrum", ("a stone axe",), False, False),
    ],
)
def test_topic_whose_poles_share_the_authors_subjects_is_noted(
    kind: TraitType, subjects: tuple[str, ...], split: bool, noted: bool
) -> None:
    topic_subjects = {"tools": TopicSubjects((subjects,), (("a walk",),))} if split else {}
    model = make_model(make_trait("tools", type=kind), scenarios=OwnScenarios(subjects=subjects))
    notes = list_more(make_test_plan(model, make_level(), replace(SCENARIO_POOL, topic_subjects=topic_subjects)))

    assert noted == any(
        note.startswith("Both texts of a pair on Tools have the same subject, because less than 75% of")
        for note in notes
    )


@pytest.mark.parametrize(
    ("endpoint", "brief", "noted"),
    [(PLAIN, Brief(failure_modes=("Digits.",)), True), (PLAIN, Brief(), False), (CHAT, Brief(intent=("A.",)), False)],
)
def test_brief_that_the_synth_model_is_not_shown_is_noted(endpoint: Endpoint, brief: Brief, noted: bool) -> None:
    notes = list_more(make_test_plan(make_model(brief=brief), make_level()), endpoint)

    assert noted == any(note.startswith("The synth model is not shown the brief.") for note in notes)


def test_skipped_parts_of_the_definition_are_noted() -> None:
    model = make_model(skipped=(Skipped("web source 2", "not read here"),))

    assert ("Skipped: web source 2 (not read here).",) == list_more(make_test_plan(model, make_level()))


def test_rule_that_does_not_hold_for_a_model_is_noted_with_the_line_that_has_it() -> None:
    seed = Seed("clarity", "Answer: yes, two of them fit.", 1.0, "u22a8.test/samples.jsonl:3")
    note = "The rule against 'answer' before a text does not hold here: u22a8.test/samples.jsonl:3 has 'Answer:'."

    assert note == list_more(make_test_plan(make_model(seeds=(seed,)), make_level()))[0]


def test_exemplars_a_call_that_do_not_count_are_noted() -> None:
    level = make_level(exemplars_per_call=4).ask_one_text()

    assert (f"The effort asks for 4 exemplars a call; {CHAT.name} writes one, so it counts as 1.",) == list_more(
        make_test_plan(level=level)
    )


@pytest.mark.parametrize(
    ("thinking", "thinks", "notes"),
    [
        ("none", False, ()),
        ("none", True, ()),
        ("low", True, ()),
        ("low", False, ("The effort asks for low thinking; openai/test has none, so it was left out.",)),
    ],
)
def test_thinking_that_the_model_has_not_is_noted(thinking: str, thinks: bool, notes: tuple[str, ...]) -> None:
    assert notes == list_more(make_test_plan(make_model(), make_level(thinking=thinking)), replace(CHAT, thinks=thinks))


@pytest.mark.parametrize(
    ("votes", "judge", "noted"),
    [(0, "embedded", False), (1, "openai/judge", False), (1, "embedded", True), (3, "embedded/other.gguf", True)],
)
def test_votes_that_nobody_casts_are_noted(votes: int, judge: str, noted: bool) -> None:
    notes = list_more(make_test_plan(make_model(), make_level(judge_votes=votes, judge_model=judge)))

    assert noted == bool(notes)
    for note in notes:
        assert f"The effort asks for {votes} judge vote" in note
        assert f"but the judge model ({judge}) casts none. Name one that does in EXEMPLARS_JUDGE_MODEL." in note


@pytest.mark.parametrize(
    ("labels", "why"),
    [
        (("Rude", "Not rude"), "of Rude and Not rude one only negates the other"),
        (("Yes", "No"), "Yes and No say nothing by themselves"),
        (("Rude", "Polite"), "Rude and Polite alone are no measure"),
    ],
)
def test_trait_that_nothing_places_is_noted_with_what_to_add(labels: tuple[str, str], why: str) -> None:
    model = make_model(make_trait("tone", positive_label=labels[0], negative_label=labels[1]))
    plan = replace(make_test_plan(model), axes={"tone": ReferenceAxis("nothing", np.zeros(512))})

    assert (
        f"Nothing known places the texts of Tone between its poles ({why}), so its pairs are chosen without an axis. "
        "Give each pole 4 examples or more, or two paraphrases.",
    ) == list_more(plan)


def test_seeds_that_do_not_place_each_other_are_noted_with_their_auc() -> None:
    seeds = tuple(
        Seed("clarity", f"text {pole} {number}", float(pole == "positive")) for pole in POLES for number in "1234"
    )
    axes = {"clarity": ReferenceAxis("nothing", np.zeros(512), seeds_auc=0.22)}
    [note] = list_more(replace(make_test_plan(make_model(seeds=seeds)), axes=axes))

    assert "(placed by one another, its seeds have an AUC of 0.22)" in note
    assert "Add four examples" not in note


@pytest.mark.parametrize("basis", ["seeds", "paraphrases", "exemplars"])
def test_trait_that_is_placed_is_no_note(basis: Basis) -> None:
    axes = {"clarity": ReferenceAxis(basis, np.zeros(512))}

    assert () == list_more(replace(make_test_plan(make_model(seeds=make_seeds())), axes=axes))


def test_seeds_that_are_not_embedded_are_noted() -> None:
    seeds = tuple(Seed("clarity", f"text {number}", 1.0) for number in range(2_001))
    plan = replace(make_test_plan(), model=make_model(seeds=seeds))

    assert ("Of the 2,001 seeds of Clarity at Clear, 2,000 are embedded, drawn by their SHA-256.",) == list_more(plan)


def test_sets_that_were_altered_are_named_with_the_command_that_makes_them_again() -> None:
    model = replace(make_model(seeds=make_seeds()), altered_runs=("a-run",))
    [note] = list_more(replace(make_test_plan(model), axes={}))

    assert note.startswith("The samples of run a-run were altered since they were written, and count as they are now.")
    assert "`exemplars detach a-run`" in note
