"""Every field of ``model.yaml`` has an effect: another value changes a plan, a prompt, a rule or the dataset card."""

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from fakes.builders import make_exemplar, make_level, make_stamp

from engine.asking.cells import make_chat_request, make_plain_request, make_subjects_request
from engine.asking.plan import Plan, digest_definition, plan_round
from engine.asking.prompts import write_vote_prompt
from engine.definitions.loader import load_model
from engine.definitions.scenario_packs import SCENARIOS_FOLDER, load_packs
from engine.definitions.schema import ModelEntry, list_fields
from engine.domain.votes import Vote
from engine.report.dataset_card import render_card
from engine.run.job import Job, plan_job
from engine.screening.screener import Screener
from engine.screening.sense import find_objection

HANDLE = "u22a8.fields"
DEFINITION: dict[str, Any] = {
    "description": "Judges notes on releases.",
    "traits": [
        {
            "type": "spectrum",
            "key": "clarity",
            "name": "Clarity",
            "description": "Can a newcomer follow the note?",
            "positive_label": "Clear",
            "negative_label": "Obscure",
            "kind": "extrinsic",
            "aggregation": "mean",
            "positive_paraphrase": ["The note says plainly what changed."],
            "negative_paraphrase": ["The note hides what changed."],
        },
        {"type": "topic", "key": "security", "description": "Is the note about security?"},
    ],
    "sources": [
        {"type": "jsonl", "path": "one.jsonl", "mapping": {"note": "content", "clear": {"trait": "clarity"}}},
        {
            "type": "file",
            "path": "two.txt",
            "mapping": {"all": {"trait": "clarity", "quality": "0"}},
            "split": "paragraphs",
        },
        {"type": "noise", "without": ["cooking"]},
        {"type": "texts", "path": "three.csv", "field": "body"},
        {"type": "huggingface", "path": "a/b"},
    ],
    "additional_terms": ["Only for tests."],
    "upstream_sources": ["The release notes of 2026."],
    "brief": {
        "intent": ["To sort notes."],
        "domain": ["Notes of a small team."],
        "exemplars_of_good": ["Names the change first."],
        "failure_modes": ["Names only a ticket."],
        "edge_cases": ["A list of one item is clear."],
        "non_goals": ["Humour."],
    },
    "scenarios": {
        "pack": "releases",
        "subjects": ["a new login page", "a faster search"],
        "forms": ["a release note"],
        "lengths": [{"name": "short", "min_words": 8, "max_words": 30}],
    },
    "questions": [{"ask": "Does it name a version?", "expect": "no"}],
    "allow": ["truncated"],
    "language": "en",
    "effort": "low",
}
FILES = {
    "one.jsonl": '{"note": "The search is now faster than before.", "other": "An old note.", "clear": 1}\n',
    "other.jsonl": '{"note": "The login page has a new look today.", "clear": 1}\n',
    "one.csv": "content,clarity,security\nThe menu opens with one click now.,1,0\n",
    "two.txt": "The thing was done as discussed.\nIt is as it was.\n\nSee the ticket for all of the rest.\n",
    "other.txt": "The matter is closed, as everybody knows.\n",
    "three.csv": "body,title\nThe build takes ten minutes less now.,Builds\nThe logs are kept for a week now.,Logs\n",
    "other.csv": "body,title\nThe tests run on every change now.,Tests\n",
}
# The place in the definition, another value, and what it changes. `None` takes the field away.
CHANGES: dict[str, tuple[tuple[str | int, ...], object, str]] = {
    "description": (("description",), "Judges letters.", "prompts"),
    "effort": (("effort",), "high", "effort"),
    "additional_terms": (("additional_terms",), ["Not for sale."], "card"),
    "upstream_sources": (("upstream_sources",), ["The wiki."], "card"),
    "allow": (("allow",), ["placeholder"], "rules"),
    "language": (("language",), "de", "prompts"),
    "traits.type": (("traits", 0, "type"), "claim", "prompts"),
    "traits.key": (("traits", 1, "key"), "safety", "plan"),
    "traits.name": (("traits", 0, "name"), "Plainness", "prompts"),
    "traits.description": (("traits", 0, "description"), "Is the note plain?", "prompts"),
    "traits.positive_label": (("traits", 0, "positive_label"), "Plain", "prompts"),
    "traits.negative_label": (("traits", 0, "negative_label"), "Vague", "prompts"),
    # A platform reads it. Samples do not depend on it.
    "traits.aggregation": (("traits", 0, "aggregation"), "max", "traits"),
    "traits.positive_paraphrase": (("traits", 0, "positive_paraphrase"), "It is plain.", "prompts"),
    "traits.negative_paraphrase": (("traits", 0, "negative_paraphrase"), "It is vague.", "prompts"),
    "sources.type": (("sources", 0), {"type": "csv", "path": "one.csv"}, "seeds"),
    "sources.path": (("sources", 0, "path"), "other.jsonl", "seeds"),
    "sources.mapping": (("sources", 0, "mapping"), {"other": "content", "clear": {"trait": "clarity"}}, "seeds"),
    "sources.mapping.trait": (("sources", 1, "mapping", "all", "trait"), "security", "seeds"),
    "sources.mapping.quality": (("sources", 1, "mapping", "all", "quality"), "1", "seeds"),
    "sources.split": (("sources", 1, "split"), "lines", "seeds"),
    "sources.without": (("sources", 2, "without"), ["garden"], "seeds"),
    "sources.field": (("sources", 3, "field"), "title", "texts"),
    "brief.intent": (("brief", "intent"), ["To rank notes."], "prompts"),
    "brief.domain": (("brief", "domain"), ["Notes of a bank."], "prompts"),
    "brief.exemplars_of_good": (("brief", "exemplars_of_good"), ["Is short."], "prompts"),
    "brief.failure_modes": (("brief", "failure_modes"), ["Is long."], "prompts"),
    "brief.edge_cases": (("brief", "edge_cases"), ["A joke is obscure."], "prompts"),
    "brief.non_goals": (("brief", "non_goals"), ["Tone."], "prompts"),
    "scenarios.pack": (("scenarios", "pack"), "products", "plan"),
    "scenarios.subjects": (("scenarios", "subjects"), ["an old printer", "a lost key"], "prompts"),
    "scenarios.audiences": (("scenarios", "audiences"), ["a customer"], "prompts"),
    "scenarios.forms": (("scenarios", "forms"), ["a letter"], "prompts"),
    "scenarios.lengths.name": (("scenarios", "lengths", 0, "name"), "brief", "plan"),
    "scenarios.lengths.min_words": (("scenarios", "lengths", 0, "min_words"), 9, "prompts"),
    "scenarios.lengths.max_words": (("scenarios", "lengths", 0, "max_words"), 40, "prompts"),
    "questions.ask": (("questions", 0, "ask"), "Does it name a person?", "votes"),
    "questions.expect": (("questions", 0, "expect"), "yes", "answers"),
}
NO_DEFINITION = ("effort", "additional_terms", "upstream_sources")
# A text for each rule that a model can switch off.
FAULTY = (
    "I’m sorry, but I can’t help with that.",
    "Here's an example: the key is changed once a month.",
    "Dear [Your Name], the key was changed last night.",
    "The key of the server is changed once a month and",
    "Der Schlüssel wird einmal im Monat gewechselt und danach sicher abgelegt.",
)


def walk_fields(kind: type, prefix: str = "") -> Iterator[str]:
    """Return the dotted names of all fields that hold no objects."""
    for name, field in list_fields(kind).items():
        nested = list(list_objects(field.annotation))
        for entry in nested:
            yield from walk_fields(entry, f"{prefix}{name}.")
        if not nested or name == "mapping":
            yield f"{prefix}{name}"


def list_objects(annotation: object) -> Iterator[type]:
    if isinstance(annotation, type) and hasattr(annotation, "__pydantic_fields__"):
        yield annotation
    for argument in get_args(annotation):
        yield from list_objects(argument)


def observe(folder: Path, definition: dict[str, Any]) -> dict[str, object]:
    """Return what a run makes of a definition."""
    place = folder / HANDLE
    place.mkdir(parents=True)
    (place / "model.yaml").write_text(yaml.safe_dump(definition, allow_unicode=True), encoding="utf-8")
    for name, content in FILES.items():
        (place / name).write_text(content, encoding="utf-8")
    model = load_model(str(folder), HANDLE)
    plan = plan_job(Job(model, "from_traits", make_level(4)), load_packs(SCENARIOS_FOLDER), 0)
    return {
        "plan": plan.plan_id,
        "definition": digest_definition(model),
        "prompts": list_prompts(plan),
        "votes": [write_vote_prompt(model, trait, "A text.", "positive", asks_sense=True) for trait in model.traits],
        "rules": list_reasons(plan),
        "card": render_card(model, make_stamp(), [], "a model", plan.language, "passed"),
        "traits": model.traits,
        "seeds": [(seed.trait, seed.text, seed.quality) for seed in model.seeds],
        "texts": model.texts.drawn,
        "effort": model.effort,
        "answers": find_objection([Vote("judge", "positive", "positive", answers=(("", True),))], model.questions),
    }


def list_prompts(plan: Plan) -> list[str]:
    cells = plan_round(plan, 1, plan.quotas)
    requests = [make(plan, cell) for cell in cells for make in (make_chat_request, make_plain_request)]
    return [repr(request.prompt) for request in (*requests, make_subjects_request(plan))]


def list_reasons(plan: Plan) -> list[str | None]:
    screener = Screener(plan, use_lengths=False)
    exemplars = [make_exemplar(text, index=index, trait=plan.model.traits[0].key) for index, text in enumerate(FAULTY)]
    return [item.reason for item in screener.screen(exemplars)]


def change(path: tuple[str | int, ...], value: object) -> dict[str, Any]:
    definition = deepcopy(DEFINITION)
    *parents, last = path
    place: Any = definition
    for part in parents:
        place = place[part]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return definition


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    return observe(tmp_path_factory.mktemp("usual"), DEFINITION)


def test_list_of_changes_is_whole() -> None:
    # The platform's term for an author's trait has one value only.
    assert set(walk_fields(ModelEntry)) - {"traits.kind"} == set(CHANGES)


@pytest.mark.parametrize("field", CHANGES)
def test_field_has_an_effect(tmp_path: Path, usual: dict[str, object], field: str) -> None:
    path, value, effect = CHANGES[field]
    result = observe(tmp_path, change(path, value))

    changed = [name for name, seen in result.items() if seen != usual[name]]
    assert effect in changed
    # So ``--refresh`` replaces the sets of the earlier definition.
    assert field.startswith("sources") or (field not in NO_DEFINITION) == ("definition" in changed)
