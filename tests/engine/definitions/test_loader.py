"""A folder becomes one frozen model, or one error that names every mistake with its file and line."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from engine.definitions.loader import list_handles, load_model, load_outline, parse_model
from engine.definitions.outline import Outline
from engine.definitions.scenario_packs import list_pack_names
from engine.definitions.source_kinds.entries import Source
from engine.domain.model import Brief, Length, Model, OwnScenarios, Seed, Skipped, Trait
from engine.errors import DefinitionError, HandleError, NoTraitsError, StoreError, UnknownModelError

HANDLE = "u22a8.test"
WHERE = "u22a8.test/model.yaml"
TRAIT_FIELDS = (
    "type, key, name, description, positive_label, negative_label, kind, aggregation, positive_paraphrase, "
    "negative_paraphrase"
)
MODEL_FIELDS = "traits, description, effort, sources, additional_terms, upstream_sources, brief, scenarios, language"
BRIEF_FIELDS = "intent, domain, exemplars_of_good, failure_modes, edge_cases, non_goals"
A_LIST = "a list, each entry of which begins with '- '"
SOURCE_TYPES = "jsonl, csv, github_csv, huggingface, url, file or noise"

ONE_TRAIT = "traits:\n  - type: spectrum\n    key: clarity\n"

EVERYTHING = """\
description: Whether a reply is kind.
effort: medium
traits:
  - type: spectrum
    key: warmth
    name: Warmth of tone
    description: Whether the reply treats the customer as a person.
    positive_label: Warm
    negative_label: Cold
    kind: extrinsic
    aggregation: max
    positive_paraphrase: Kind words.
    negative_paraphrase: [Curt words., No words.]
  - {type: topic, key: refund, aggregation: none}
sources:
  - type: jsonl
    path: samples.jsonl
    mapping:
      tone: {trait: warmth}
      refund: {trait: refund}
  - type: csv
    path: more/seeds.csv
    mapping: {warm: {trait: warmth}}
additional_terms:
  - For support only.
upstream_sources: Written for this model.
brief:
  intent: Keep the kind replies.
  domain: [Shops., Repairs.]
  exemplars_of_good: [A name.]
  failure_modes: [Blame., Silence.]
  edge_cases: A kind refusal.
  non_goals: [Spelling.]
"""
FILES = {
    "samples.jsonl": b'{"content": "Dear you.", "tone": "warm", "refund": "no"}\n',
    "more/seeds.csv": b"content,warm\nCase closed.,0.0\n",
}


def parse(text: str, files: Mapping[str, bytes] | None = None) -> Model:
    given = files or {}

    def read(path: str) -> bytes:
        if path not in given:
            raise FileNotFoundError(path)
        return given[path]

    return parse_model(HANDLE, text.encode(), read)


def list_mistakes(text: str, files: Mapping[str, bytes] | None = None) -> list[str]:
    """The lines of the one error that a text must give."""
    with pytest.raises(DefinitionError) as caught:
        parse(text, files)
    head, *mistakes = str(caught.value).splitlines()
    noun = "mistake" if len(mistakes) == 1 else "mistakes"
    assert f"{WHERE}: {len(mistakes)} {noun}." == head
    return [mistake.removeprefix("  ") for mistake in mistakes]


def parse_trait(fields: str) -> Trait:
    (trait,) = parse(f"traits:\n  - {{{fields}}}\n").traits
    return trait


def write_folder(root: Path, handle: str, text: str = ONE_TRAIT) -> Path:
    folder = root / handle
    folder.mkdir(parents=True)
    (folder / "model.yaml").write_text(text)
    return folder


def test_every_field_is_read() -> None:
    model = parse(EVERYTHING, FILES)

    assert (
        Model(
            handle=HANDLE,
            description="Whether a reply is kind.",
            effort="medium",
            traits=(
                Trait(
                    key="warmth",
                    name="Warmth of tone",
                    type="spectrum",
                    description="Whether the reply treats the customer as a person.",
                    positive_label="Warm",
                    negative_label="Cold",
                    aggregation="max",
                    positive_paraphrase=("Kind words.",),
                    negative_paraphrase=("Curt words.", "No words."),
                ),
                Trait(
                    key="refund",
                    name="Refund",
                    type="topic",
                    positive_label="About refund",
                    negative_label="Not about refund",
                    aggregation="none",
                ),
            ),
            brief=Brief(
                intent=("Keep the kind replies.",),
                domain=("Shops.", "Repairs."),
                exemplars_of_good=("A name.",),
                failure_modes=("Blame.", "Silence."),
                edge_cases=("A kind refusal.",),
                non_goals=("Spelling.",),
            ),
            seeds=(
                Seed("warmth", "Dear you.", 1.0, "u22a8.test/samples.jsonl:1"),
                Seed("refund", "Dear you.", 0.0, "u22a8.test/samples.jsonl:1"),
                Seed("warmth", "Case closed.", 0.0, "u22a8.test/more/seeds.csv:2"),
            ),
            additional_terms=("For support only.",),
            upstream_sources=("Written for this model.",),
        )
        == model
    )


def test_only_traits_are_required() -> None:
    model = parse(ONE_TRAIT)

    assert (
        Model(handle=HANDLE, traits=(Trait("clarity", "Clarity", "spectrum", "", "Clarity", "Not clarity"),)) == model
    )


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("clarity", "Clarity"),
        ("explains_why", "Explains Why"),
        ("plain-language", "Plain Language"),
        ("a1_b-c", "A1 B C"),
    ],
)
def test_name_is_the_title_cased_key_where_none_is_given(key: str, name: str) -> None:
    assert name == parse_trait(f"type: topic, key: {key}").name


@pytest.mark.parametrize(
    ("fields", "labels"),
    [
        ("type: spectrum, positive_label: Plain", ("Plain", "Not plain")),
        ("type: spectrum, negative_label: Obscure", ("Not obscure", "Obscure")),
        ("type: spectrum, positive_label: Plain, negative_label: Dense", ("Plain", "Dense")),
        ("type: spectrum", ("Tax", "Not tax")),
        ("type: topic", ("About tax", "Not about tax")),
        ("type: topic, positive_label: Taxes", ("Taxes", "Not about tax")),
        ("type: claim", ("Agrees", "Contradicts")),
        ("type: claim, negative_label: Denied", ("Agrees", "Denied")),
        ("type: outlier", ("Unusual", "Typical")),
    ],
)
def test_pole_that_is_not_named_is_derived(fields: str, labels: tuple[str, str]) -> None:
    trait = parse_trait(f"key: tax, {fields}")

    assert labels == (trait.positive_label, trait.negative_label)


@pytest.mark.parametrize(("text", "aggregation"), [("", "mean"), *((f", aggregation: {a}", a) for a in ("max", "min"))])
def test_aggregation_is_mean_unless_told(text: str, aggregation: str) -> None:
    assert aggregation == parse_trait(f"type: topic, key: tax{text}").aggregation


@pytest.mark.parametrize("word", ["yes", "no", "1", "null-ish"])
def test_label_stays_the_word_that_was_written(word: str) -> None:
    assert word == parse_trait(f"type: topic, key: tax, positive_label: {word}").positive_label


@pytest.mark.parametrize("field", ["intent", "domain", "exemplars_of_good", "failure_modes", "edge_cases", "non_goals"])
def test_brief_takes_a_text_a_list_of_text_or_nothing(field: str) -> None:
    read = [getattr(parse(f"{ONE_TRAIT}brief:\n  {field}: {text}\n").brief, field) for text in ("a b", "[a, b]", "")]

    assert [("a b",), ("a", "b"), ()] == read


@pytest.mark.parametrize("text", ["scenarios: commits", "scenarios: {pack: commits}"])
def test_scenarios_may_name_a_pack(text: str) -> None:
    assert OwnScenarios(pack="commits") == parse(f"{ONE_TRAIT}\n{text}\n").scenarios


def test_scenarios_may_be_the_models_own() -> None:
    text = """
scenarios:
  subjects: [a pair of boots, 'a  kettle']
  forms: a product review
  lengths:
    - {name: one line, min_words: 3, max_words: 9}
    - {name: a few lines, min_words: 10, max_words: 40}
"""
    lengths = (Length("one line", 3, 9), Length("a few lines", 10, 40))

    assert (
        OwnScenarios(None, ("a pair of boots", "a kettle"), (), ("a product review",), lengths)
        == parse(ONE_TRAIT + text).scenarios
    )


@pytest.mark.parametrize("text", ["", "scenarios:\n", "scenarios: {}\n", "scenarios: {forms: }\n"])
def test_scenarios_that_say_nothing_leave_all_to_the_models_words(text: str) -> None:
    assert OwnScenarios() == parse(f"{ONE_TRAIT}\n{text}").scenarios


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("commit", ":{0}: scenarios.pack: found 'commit'; allowed: a scenario pack: arts-books, bugs, "),
        ("{packs: bugs}", ":{0}: scenarios.packs: found 'packs'; allowed: one of pack, subjects, audiences, forms, "),
        ("[bugs]", ":{0}: scenarios: found a list of 1; allowed: an object of fields"),
        ("{forms: ' '}", ":{0}: scenarios.forms.0: found ' '; allowed: text that is not empty"),
        ("{forms: [a: b]}", ":{0}: scenarios.forms.0: found an object; allowed: text"),
        ("{subjects: " + 201 * "x" + "}", ":{0}: scenarios.subjects.0: found 'xxxx"),
        (
            "\n  lengths:\n    - {name: a, min_words: few, max_words: 9}",
            ":{2}: scenarios.lengths.0.min_words: found 'few'; allowed: a whole number",
        ),
        (
            "\n  lengths:\n    - {name: a, min_words: 0, max_words: 9}",
            ":{2}: scenarios.lengths.0.min_words: found '0'; allowed: a whole number of at least 1",
        ),
        (
            "\n  lengths:\n    - {name: a, min_words: 10, max_words: 9}",
            ":{2}: scenarios.lengths.0.max_words: found '9'; allowed: at least min_words, 10",
        ),
        (
            "\n  lengths:\n    - {name: a, min_words: 1, max_words: 5001}",
            ":{2}: scenarios.lengths.0.max_words: found '5001'; allowed: a whole number of at most 5000",
        ),
        (
            "\n  lengths:\n    - {name: a, min_word: 1, max_words: 9}",
            ":{2}: scenarios.lengths.0.min_word: found 'min_word'; allowed: one of name, min_words, max_words",
        ),
        (
            "\n  lengths:\n    - {name: a, min_words: 1, max_words: 9}\n    - {name: a, min_words: 2, max_words: 9}",
            ":{3}: scenarios.lengths.1.name: found 'a'; allowed: a name that no other length has",
        ),
    ],
)
def test_wrong_scenarios_are_named_with_their_line(text: str, message: str) -> None:
    line = ONE_TRAIT.count("\n") + 2
    mistakes = list_mistakes(f"{ONE_TRAIT}\nscenarios: {text}\n")

    assert [mistake for mistake in mistakes if message.format(*range(line, line + 4)) in mistake] != [], mistakes


def test_pack_that_is_nearly_a_known_one_is_offered() -> None:
    (mistake,) = list_mistakes(f"{ONE_TRAIT}\nscenarios: comits\n")

    assert mistake.endswith(" travel. Did you mean 'commits'?")


@pytest.mark.parametrize("effort", ["low", "medium", "high", "xhigh", "max"])
def test_model_may_have_its_own_effort(effort: str) -> None:
    assert effort == parse(f"{ONE_TRAIT}effort: {effort}\n").effort


def test_source_without_a_mapping_uses_the_trait_keys() -> None:
    files = {"s.jsonl": b'{"content": "One.", "clarity": 1, "tone": 0}\n'}
    model = parse(f"{ONE_TRAIT}sources: [{{type: jsonl, path: s.jsonl}}]\n", files)

    assert (Seed("clarity", "One.", 1.0, "u22a8.test/s.jsonl:1"),) == model.seeds


def list_trait_mistakes(*traits: str) -> list[tuple[str, str]]:
    """The fields of the traits that are wrong, each with what is found there."""
    with pytest.raises(DefinitionError) as refusal:
        parse("traits:\n" + "".join(f"  - {{type: spectrum, {trait}}}\n" for trait in traits))
    assert [f"{WHERE}:{len(traits) + 1}"] * len(refusal.value.problems) == [
        f"{problem.file}:{problem.line}" for problem in refusal.value.problems
    ]
    return [(problem.field, problem.found) for problem in refusal.value.problems]


@pytest.mark.parametrize(
    "nothing", ['""', '" "', r'"\u200b"', r'"\u2800"', r'"\u3164\u200f"', r'"\t\u00a0"', r'"\u202e\u2066"']
)
@pytest.mark.parametrize("field", ["name", "positive_label", "negative_label", "positive_paraphrase"])
def test_name_or_label_of_nothing_is_a_mistake(field: str, nothing: str) -> None:
    (mistake,) = list_trait_mistakes(f"key: tax, {field}: {nothing}")

    assert f"traits.0.{field}" == mistake[0].removesuffix(".0")


@pytest.mark.parametrize("key", ["_", "-", "--_"])
def test_key_of_nothing_is_a_mistake(key: str) -> None:
    assert [("traits.0.key", repr(key))] == list_trait_mistakes(f'key: "{key}"')


@pytest.mark.parametrize(
    "same", ["warm", "WARM", " Warm ", "Ｗａｒｍ", r"W\u00adarm", r"\u200fWarm\u200e", r"War\u200bm", r"Warm\ufe0f"]
)
def test_labels_and_names_that_read_the_same_are_a_mistake(same: str) -> None:
    labels = list_trait_mistakes(f'key: tone, positive_label: Warm, negative_label: "{same}"')
    names = list_trait_mistakes("key: tone, name: Warm", f'key: other, name: "{same}"')

    assert ["traits.0.negative_label"] == [field for field, _ in labels]
    assert ["traits.1.name"] == [field for field, _ in names]


@pytest.mark.parametrize(
    "pair", [("İyi", "iyi"), ("Straße", "STRASSE"), ("δρόμος", "ΔΡΌΜΟΣ"), ("ガス", "ｶﾞｽ"), ("é", r"e\u0301")]
)
def test_labels_are_the_same_in_any_script(pair: tuple[str, str]) -> None:
    assert list_trait_mistakes('key: tone, positive_label: "{}", negative_label: "{}"'.format(*pair))


@pytest.mark.parametrize("keys", [("a_b", "a-b"), ("tone", "tone_")])
def test_names_made_of_keys_may_not_be_the_same_either(keys: tuple[str, str]) -> None:
    assert ["traits.1.name"] == [field for field, _ in list_trait_mistakes(*(f"key: {key}" for key in keys))]


@pytest.mark.parametrize("number", ["0", "0.5", "5", "1e3", "-1", "１０", "٣", "②", "nan"])
def test_label_that_reads_as_another_quality_is_a_mistake(number: str) -> None:
    assert [("traits.0.positive_label", repr(number))] == list_trait_mistakes(f"key: tone, positive_label: {number}")


@pytest.mark.parametrize("kind", ["jsonl", "csv", "file", "noise"])
def test_mapping_names_each_trait_once(kind: str) -> None:
    text = f"traits: [{{type: topic, key: tax}}]\nsources:\n  - type: {kind}\n    path: s.x\n    mapping:\n"
    with pytest.raises(DefinitionError) as refusal:
        parse(f"{text}      a: {{trait: tax}}\n      b: {{trait: tax}}\n", {"s.x": b"content,a\n"})

    assert (7, "sources.0.mapping.b.trait", "'tax'") in [
        (problem.line, problem.field, problem.found) for problem in refusal.value.problems
    ]


FORM = """\
description: [a, b]
effort: hihg
traits:
  - type: spectrun
    key: Clarity
  - key: warmth
    type: topic
    agregation: max
  - type: claim
    key: warmth
    kind: intrinsic
breif:
  intent: x
brief:
  intnet: a
  domain: {a: b}
  edge_cases: [a, '']
sources:
  - type: jsonl
    path: ../x.jsonl
  - type: jsonlines
    path: x.jsonl
  - type: jsonl
    path: s.jsonl
    mapping:
      a: {triat: warmth}
"""
MEANING = """\
traits:
  - type: topic
    key: warmth
  - type: outlier
    key: warmth
  - type: claim
    key: truth
    positive_label: Right
    negative_label: right
scenarios:
  pack: bug
  lengths:
    - {name: short, min_words: 9, max_words: 8}
sources:
  - type: jsonl
    path: ../x.jsonl
  - type: csv
  - type: csv
    path: missing.csv
  - type: jsonl
    path: s.jsonl
    mapping:
      warm: {trait: wramth}
      true: {trait: truth}
  - type: jsonl
    path: t.jsonl
"""


def test_every_mistake_of_form_is_named_at_once_in_the_order_of_the_lines() -> None:
    assert [
        f"{WHERE}:1: description: found a list of 2; allowed: text.",
        f"{WHERE}:2: effort: found 'hihg'; allowed: low, medium, high, xhigh or max. Did you mean 'high'?",
        f"{WHERE}:4: traits.0.type: found 'spectrun'; allowed: spectrum, topic, claim or outlier. "
        "Did you mean 'spectrum'?",
        f"{WHERE}:5: traits.0.key: found 'Clarity'; allowed: lower-case letters and digits, '_' and '-' beside them.",
        f"{WHERE}:8: traits.1.agregation: found 'agregation'; allowed: one of {TRAIT_FIELDS}. "
        "Did you mean 'aggregation'?",
        f"{WHERE}:11: traits.2.kind: found 'intrinsic'; allowed: extrinsic. Did you mean 'extrinsic'?",
        f"{WHERE}:12: breif: found 'breif'; allowed: one of {MODEL_FIELDS}. Did you mean 'brief'?",
        f"{WHERE}:15: brief.intnet: found 'intnet'; allowed: one of {BRIEF_FIELDS}. Did you mean 'intent'?",
        f"{WHERE}:16: brief.domain: found an object; allowed: {A_LIST}.",
        f"{WHERE}:17: brief.edge_cases.1: found ''; allowed: text that is not empty.",
        f"{WHERE}:21: sources.1.type: found 'jsonlines'; allowed: {SOURCE_TYPES}. Did you mean 'jsonl'?",
        f"{WHERE}:26: sources.2.mapping.a.triat: found 'triat'; allowed: one of trait, quality. Did you mean 'trait'?",
        f"{WHERE}:26: sources.2.mapping.a.trait: found nothing; allowed: this field is required.",
    ] == list_mistakes(FORM)


def test_every_mistake_of_meaning_and_of_the_samples_is_named_at_once_where_none_is_of_form() -> None:
    files = {
        "s.jsonl": b'{"content": "One.", "warm": "tepid"}\n{"content": "Two.", "true": "wrogn"}',
        "t.jsonl": b'\n{"content": "One.", "warmth": "hgih"}',
    }
    rest = "a number in [0, 1], or a word like good, mixed or poor."
    packs = ", ".join(list_pack_names())

    assert [
        f"{WHERE}:5: traits.1.key: found 'warmth'; allowed: a key that no other trait of the model has.",
        f"{WHERE}:9: traits.2.negative_label: found 'right'; allowed: a label that differs from positive_label.",
        f"{WHERE}:11: scenarios.pack: found 'bug'; allowed: a scenario pack: {packs}. Did you mean 'bugs'?",
        f"{WHERE}:13: scenarios.lengths.0.max_words: found '8'; allowed: at least min_words, 9.",
        f"{WHERE}:16: sources.0.path: found '../x.jsonl'; allowed: a path inside the model's own folder.",
        f"{WHERE}:17: sources.1.path: found nothing; allowed: the path of a file in the model's folder.",
        f"{WHERE}:19: sources.2.path: found 'missing.csv', which is not there; allowed: a file in the model's folder.",
        f"{WHERE}:23: sources.3.mapping.warm.trait: found 'wramth'; allowed: a trait of this model: warmth, truth. "
        "Did you mean 'warmth'?",
        f"u22a8.test/s.jsonl:2: true: found 'wrogn'; allowed: 'Right', 'right', {rest}",
        f"u22a8.test/t.jsonl:2: warmth: found 'hgih'; allowed: 'About warmth', 'Not about warmth', {rest} "
        "Did you mean 'high'?",
    ] == list_mistakes(MEANING, files)


def test_samples_are_not_read_while_the_form_is_wrong() -> None:
    text = f"{ONE_TRAIT}effort: hihg\nsources:\n  - type: jsonl\n    path: s.jsonl\n"

    assert ["effort"] == [mistake.split(": ")[1] for mistake in list_mistakes(text, {"s.jsonl": b"no JSON"})]


def test_trait_whose_key_is_misspelt_is_not_reported_again_where_it_is_used() -> None:
    text = (
        "traits:\n  - type: spectrum\n    kye: clarity\n  - type: topic\n    key: warmth\n"
        "sources:\n  - type: jsonl\n    path: s.jsonl\n    mapping: {clarity: {trait: clarity}}\n"
    )

    assert [
        f"{WHERE}:2: traits.0.key: found nothing; allowed: this field is required.",
        f"{WHERE}:3: traits.0.kye: found 'kye'; allowed: one of {TRAIT_FIELDS}. Did you mean 'key'?",
    ] == list_mistakes(text, {"s.jsonl": b'{"content": "One.", "clarity": 1}\n'})


@pytest.mark.parametrize(
    ("text", "line", "found", "allowed"),
    [
        ("traits: []\n", 1, "a list of 0", "at least one entry"),
        ("# first\ntraits:\n", 2, "nothing", "this field is required"),
        ("traits: detect\n", 1, "'detect'", "a list"),
        ("traits: {type: topic, key: a}\n", 1, "an object", A_LIST),
        ("# first\ndescription: x\n", 2, "nothing", "this field is required"),
    ],
)
def test_traits_that_are_missing_or_no_list_are_named(text: str, line: int, found: str, allowed: str) -> None:
    assert [f"{WHERE}:{line}: traits: found {found}; allowed: {allowed}."] == list_mistakes(text)


@pytest.mark.parametrize(
    ("text", "line", "found"), [("", "", "nothing"), ("- a\n- b\n", ":1", "a list of 2"), ("word\n", ":1", "'word'")]
)
def test_file_that_is_no_object_is_named(text: str, line: str, found: str) -> None:
    assert [f"{WHERE}{line}: file: found {found}; allowed: an object of fields: {MODEL_FIELDS}."] == list_mistakes(text)


@pytest.mark.parametrize("text", ["traits: discover\n", "traits: 'discover'\neffort: low\nscenarios: nonsense\n"])
def test_traits_still_to_be_discovered_are_an_error_that_says_what_to_do(text: str) -> None:
    with pytest.raises(NoTraitsError) as caught:
        parse(text)

    assert (
        f"{WHERE}: traits is 'discover', so there are no trait definitions to synthesize from. "
        "Write the traits as a list, each with type, key and description"
    ) == str(caught.value)
    assert 2 == caught.value.exit_code


def test_two_traits_of_one_key_are_named_at_the_second() -> None:
    text = f"{ONE_TRAIT}  - type: topic\n    name: Other\n    key: clarity\n"

    assert [
        f"{WHERE}:6: traits.1.key: found 'clarity'; allowed: a key that no other trait of the model has."
    ] == list_mistakes(text)


@pytest.mark.parametrize("key", ["Clarity", "a b", "a.b", "ä", "a/b", "a\\n"])
def test_trait_key_of_other_characters_is_refused(key: str) -> None:
    (mistake,) = list_mistakes(f'traits:\n  - type: topic\n    key: "{key}"\n')

    assert mistake.startswith(f"{WHERE}:3: traits.0.key: found '")
    assert mistake.endswith("'; allowed: lower-case letters and digits, '_' and '-' beside them.")


@pytest.mark.parametrize(("field", "nearest"), [("type: spektrum", "spectrum"), ("aggregation: maximum", "max")])
def test_near_spelling_of_a_choice_is_offered(field: str, nearest: str) -> None:
    text = f"traits:\n  - key: a\n    {field}\n" + ("" if field.startswith("type") else "    type: topic\n")

    assert [f"Did you mean '{nearest}'?"] == [mistake[mistake.index("Did") :] for mistake in list_mistakes(text)]


@pytest.mark.parametrize(
    "path", ["../x", "a/../../x", "..", "/etc/passwd", "//x", "a\\b", "..\\x", "C:\\x", "x/..", '"a\\0b"']
)
def test_path_outside_the_folder_is_refused_and_not_read(path: str) -> None:
    asked: list[str] = []

    def read(name: str) -> bytes:
        asked.append(name)
        return b""

    with pytest.raises(DefinitionError) as caught:
        parse_model(HANDLE, f"{ONE_TRAIT}sources:\n  - type: jsonl\n    path: {path}\n".encode(), read)

    (problem,) = caught.value.problems
    assert (WHERE, 6, "sources.0.path") == (problem.file, problem.line, problem.field)
    assert "a path inside the model's own folder" == problem.allowed
    assert [] == asked


@pytest.mark.parametrize("path", ["s.jsonl", "./s.jsonl", "more/s.jsonl", "s..jsonl", "...", "a:b"])
def test_path_inside_the_folder_is_read(path: str) -> None:
    files = {path: b'{"content": "One.", "clarity": 1}\n'}

    assert 1 == len(parse(f"{ONE_TRAIT}sources:\n  - type: jsonl\n    path: '{path}'\n", files).seeds)


def test_missing_file_of_a_source_is_named() -> None:
    assert [
        f"{WHERE}:6: sources.0.path: found 'gone.csv', which is not there; allowed: a file in the model's folder."
    ] == list_mistakes(f"{ONE_TRAIT}sources:\n  - type: csv\n    path: gone.csv\n")


@pytest.mark.parametrize("path", ["", "    path:\n", "    path: ''\n"])
def test_source_without_a_path_is_named(path: str) -> None:
    (mistake,) = list_mistakes(f"{ONE_TRAIT}sources:\n  - type: csv\n{path}")

    assert mistake.endswith("sources.0.path: found nothing; allowed: the path of a file in the model's folder.")


def test_unknown_trait_in_a_mapping_offers_the_nearest() -> None:
    text = (
        f"{ONE_TRAIT}  - {{type: topic, key: warmth}}\n"
        "sources:\n  - type: jsonl\n    path: s.jsonl\n    mapping:\n      a: {trait: Warmht}\n      b: {trait: zzz}\n"
    )
    allowed = "allowed: a trait of this model: clarity, warmth."

    assert [
        f"{WHERE}:9: sources.0.mapping.a.trait: found 'Warmht'; {allowed} Did you mean 'warmth'?",
        f"{WHERE}:10: sources.0.mapping.b.trait: found 'zzz'; {allowed}",
    ] == list_mistakes(text, {"s.jsonl": b'{"content": "One.", "a": 1}\n'})


def test_mapping_of_nothing_is_named() -> None:
    text = f"{ONE_TRAIT}sources:\n  - {{type: jsonl, path: s.jsonl, mapping: {{}}}}\n"

    assert [f"{WHERE}:5: sources.0.mapping: found an object; allowed: at least one entry."] == list_mistakes(
        text, {"s.jsonl": b'{"content": "One.", "clarity": 1}\n'}
    )


def test_every_source_that_is_not_read_here_is_named_as_skipped() -> None:
    text = (
        f"{ONE_TRAIT}sources:\n"
        "  - {type: github_csv, path: org/repo/x.csv, mapping: {a: {trait: zzz}}}\n"
        "  - {type: huggingface, path: org/set, split: [train, test], mapping: {text: content}}\n"
        "  - {type: url, url: 'https://example.com/x', pth: y}\n"
    )

    why = "legal on the platform, not read here"
    assert (
        Skipped("github_csv source org/repo/x.csv", why),
        Skipped("huggingface source org/set", why),
        Skipped("url source https://example.com/x", why),
    ) == parse(text).skipped


def test_source_type_that_nobody_knows_is_a_mistake() -> None:
    assert [f"{WHERE}:5: sources.0.type: found 'parquet'; allowed: {SOURCE_TYPES}."] == list_mistakes(
        f"{ONE_TRAIT}sources:\n  - {{type: parquet, path: x}}\n"
    )


def test_field_of_somebody_else_is_named_as_skipped() -> None:
    text = """\
tags: [a]
version: 3
traits:
  - type: topic
    key: clarity
    id: 7
    discrimination: 0.4
sources:
  - type: jsonl
    path: s.jsonl
    license: MIT
    mapping: {clarity: {trait: clarity, weight: 2}}
brief:
  tone: dry
"""
    places = {"tags": 1, "version": 2, "tone": 14, "id": 6, "discrimination": 7, "license": 11, "weight": 12}

    assert {
        Skipped(f"field {name!r} ({WHERE}:{line})", "not a field that is read here") for name, line in places.items()
    } == set(parse(text, {"s.jsonl": b""}).skipped)


def test_language_is_read_in_its_canonical_form() -> None:
    assert "pt-BR" == parse(f"{ONE_TRAIT}language: pt_br\n").language
    assert None is parse(ONE_TRAIT).language


@pytest.mark.parametrize(
    ("written", "found", "more"),
    [("german", "'german'", "; german is de"), ("xx", "'xx'", ""), ("[de]", "a list of 1", None)],
)
def test_wrong_language_is_a_mistake(written: str, found: str, more: str | None) -> None:
    allowed = "text" if more is None else f"a language tag (BCP 47) such as de, pt-BR or zh-Hant{more}"

    assert [f"{WHERE}:4: language: found {found}; allowed: {allowed}."] == list_mistakes(
        f"{ONE_TRAIT}language: {written}\n"
    )


@pytest.mark.parametrize("field", ["tags", "status", "details", "targets", "name", "license", "id", "kind", "owner"])
def test_field_of_somebody_else_is_not_taken_for_a_slip(field: str) -> None:
    assert 1 == len(parse(f"{ONE_TRAIT}{field}: x\n").skipped)


@pytest.mark.parametrize(
    ("field", "meant"),
    [
        *(("trait", "traits"), ("Traits", "traits"), ("descripton", "description"), ("source", "sources")),
        *(("efort", "effort"), ("additional", "additional_terms"), ("breif", "brief"), ("Brief", "brief")),
    ],
)
def test_field_that_is_nearly_one_of_ours_is_a_mistake(field: str, meant: str) -> None:
    assert [
        f"{WHERE}:4: {field}: found '{field}'; allowed: one of {MODEL_FIELDS}. Did you mean '{meant}'?"
    ] == list_mistakes(f"{ONE_TRAIT}{field}: x\n")


@pytest.mark.parametrize(
    ("field", "meant"),
    [("positive", "positive_label"), ("negativ_label", "negative_label"), ("nmae", "name"), ("tpye", "type")],
)
def test_trait_field_that_is_nearly_one_of_ours_is_a_mistake(field: str, meant: str) -> None:
    assert [
        f"{WHERE}:4: traits.0.{field}: found '{field}'; allowed: one of {TRAIT_FIELDS}. Did you mean '{meant}'?"
    ] == list_mistakes(f"{ONE_TRAIT}    {field}: x\n")


def test_model_is_loaded_from_its_folder(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, HANDLE, f"{ONE_TRAIT}sources: [{{type: jsonl, path: s.jsonl}}]\n")
    (folder / "s.jsonl").write_text('{"content": "One.", "clarity": "good"}\n')

    model = load_model(f"{tmp_path}/", HANDLE)
    assert (HANDLE, (Seed("clarity", "One.", 1.0, "u22a8.test/s.jsonl:1"),)) == (model.handle, model.seeds)


def test_file_of_samples_that_no_source_names_is_told_as_skipped(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, HANDLE, f"{ONE_TRAIT}sources: [{{type: jsonl, path: ./s.jsonl}}]\n")
    for name in ("s.jsonl", "samples.jsonl", "old.csv", "notes.txt"):
        (folder / name).write_text("")

    why = "no entry of `sources` in model.yaml names it"
    assert (Skipped(f"{HANDLE}/old.csv", why), Skipped(f"{HANDLE}/samples.jsonl", why)) == load_model(
        str(tmp_path), HANDLE
    ).skipped


def test_malformed_handle_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    write_folder(tmp_path, "x")

    with pytest.raises(HandleError, match="is not a handle"):
        load_model(str(tmp_path / "sub"), "../x")


@pytest.mark.parametrize(
    ("asked", "offered"),
    [
        ("u22a8.comit-message", "Did you mean u22a8.commit-message?"),
        ("bench.commit-message", "Did you mean u22a8.commit-message?"),
        ("u22a8.bug", "Did you mean u22a8.bug-report?"),
        ("a-namespace-of-quite-other-people.bug-reports", "Did you mean u22a8.bug-report?"),
        ("zz.qq", "There are: u22a8.bug-report, u22a8.commit-message"),
        ("u22a8.nope", "There are: u22a8.bug-report, u22a8.commit-message"),
    ],
)
def test_unknown_handle_offers_the_nearest(tmp_path: Path, asked: str, offered: str) -> None:
    for handle in ("u22a8.commit-message", "u22a8.bug-report"):
        write_folder(tmp_path, handle)
    with pytest.raises(UnknownModelError) as caught:
        load_model(str(tmp_path), asked)

    assert f"No model '{asked}' in {tmp_path}. {offered}" == str(caught.value)


def test_catalogue_that_is_not_there_has_no_models(tmp_path: Path) -> None:
    with pytest.raises(HandleError, match=r"There are: none$"):
        load_model(str(tmp_path / "none"), HANDLE)


@pytest.mark.parametrize("load", [load_model, load_outline])
def test_folder_without_a_definition_is_no_model_and_told(
    tmp_path: Path, load: Callable[[str, str], Model | Outline]
) -> None:
    (tmp_path / HANDLE).mkdir()
    with pytest.raises(UnknownModelError) as caught:
        load(str(tmp_path), HANDLE)

    assert f"No model {HANDLE!r} in {tmp_path}. Its folder exists, but has no model.yaml" == str(caught.value)


def test_definition_with_another_ending_is_told_with_the_name_that_it_needs(tmp_path: Path) -> None:
    write_folder(tmp_path, HANDLE).joinpath("model.yaml").rename(tmp_path / HANDLE / "model.yml")
    with pytest.raises(UnknownModelError, match=r"has no model\.yaml: rename its model\.yml to model\.yaml$"):
        load_model(str(tmp_path), HANDLE)


def test_file_that_is_named_like_a_handle_is_no_model(tmp_path: Path) -> None:
    (tmp_path / HANDLE).write_text("")
    with pytest.raises(UnknownModelError, match="There are: none"):
        load_outline(str(tmp_path), HANDLE)


def test_definition_that_is_no_yaml_is_named_by_its_file(tmp_path: Path) -> None:
    write_folder(tmp_path, HANDLE, "traits:\n\t- a\n")
    with pytest.raises(DefinitionError, match=r"u22a8\.test/model\.yaml:2: file: found a tab;"):
        load_model(str(tmp_path), HANDLE)


def test_outline_is_the_model_without_a_look_into_its_sources(tmp_path: Path) -> None:
    write_folder(tmp_path, HANDLE, EVERYTHING)
    outline, model = load_outline(f"{tmp_path}/", HANDLE), parse(EVERYTHING, FILES)
    alike = ("handle", "traits", "description", "effort", "brief", "skipped", "additional_terms", "upstream_sources")

    assert {name: getattr(model, name) for name in alike} == {name: getattr(outline, name) for name in alike}
    warmth, refund = model.traits
    assert (
        Source(
            "jsonl",
            "samples.jsonl",
            f"{HANDLE}/samples.jsonl",
            {"tone": warmth, "refund": refund},
            (WHERE, 17, "sources.0.path"),
        ),
        Source("csv", "more/seeds.csv", f"{HANDLE}/more/seeds.csv", {"warm": warmth}, (WHERE, 22, "sources.1.path")),
    ) == outline.sources


def test_outline_names_every_mistake_of_form(tmp_path: Path) -> None:
    write_folder(tmp_path, HANDLE, "effort: nonsense\ntraits: []\nsources: [{type: jsonl, path: ../x}]\n")
    with pytest.raises(DefinitionError) as caught:
        load_outline(str(tmp_path), HANDLE)

    assert ["effort", "traits"] == [problem.field for problem in caught.value.problems]


def test_outline_names_every_mistake_of_meaning(tmp_path: Path) -> None:
    write_folder(
        tmp_path, HANDLE, f"{ONE_TRAIT}  - {{type: topic, key: clarity}}\nsources: [{{type: csv, path: ../x}}]\n"
    )
    with pytest.raises(DefinitionError) as caught:
        load_outline(str(tmp_path), HANDLE)

    assert ["traits.1.key", "sources.0.path"] == [problem.field for problem in caught.value.problems]


def test_outline_is_that_of_the_file_as_it_stands(tmp_path: Path) -> None:
    loaded = []
    folder = write_folder(tmp_path, HANDLE)
    for words in ("One.", "Two.", "One."):
        (folder / "model.yaml").write_text(f"traits: discover\ndescription: {words}\n")
        loaded.append(load_outline(str(tmp_path), HANDLE).description)

    assert ["One.", "Two.", "One."] == loaded


@pytest.mark.parametrize("text", ["traits: [\n", "- a\n", ""])
def test_outline_of_a_file_that_is_no_definition_is_an_error(tmp_path: Path, text: str) -> None:
    write_folder(tmp_path, HANDLE, text)
    with pytest.raises(DefinitionError, match=WHERE):
        load_outline(str(tmp_path), HANDLE)


def test_outline_of_a_model_whose_traits_are_to_be_discovered_has_none(tmp_path: Path) -> None:
    sources = "[{type: jsonl, path: s.jsonl, mapping: {a: {trait: b}}}, {type: url, url: 'https://example.org'}]"
    write_folder(tmp_path, HANDLE, f"traits: discover\ndescription: To be seen.\neffort: low\nsources: {sources}\n")
    skipped = (
        Skipped("jsonl source s.jsonl", "it labels nothing while the traits are to be discovered"),
        Skipped("url source https://example.org", "legal on the platform, not read here"),
    )

    assert Outline(HANDLE, description="To be seen.", effort="low", skipped=skipped) == load_outline(
        str(tmp_path), HANDLE
    )


def test_mistake_beside_traits_that_are_to_be_discovered_is_named(tmp_path: Path) -> None:
    write_folder(tmp_path, HANDLE, "traits: discover\neffort: nonsense\n")
    with pytest.raises(DefinitionError) as caught:
        load_outline(str(tmp_path), HANDLE)

    assert [("effort", 2)] == [(problem.field, problem.line) for problem in caught.value.problems]


@pytest.mark.parametrize("handle", ["x", "../x", "U.Three"])
def test_malformed_handle_is_told_from_one_that_no_model_has(tmp_path: Path, handle: str) -> None:
    with pytest.raises(HandleError) as malformed:
        load_outline(str(tmp_path), handle)
    with pytest.raises(UnknownModelError):
        load_outline(str(tmp_path), HANDLE)

    assert not isinstance(malformed.value, UnknownModelError)


def test_only_folders_that_are_named_like_a_handle_and_hold_a_definition_are_models(tmp_path: Path) -> None:
    for name in ("b.two", "a.one", ".ipynb_checkpoints", "notes", "U.Three", "a.b.c"):
        write_folder(tmp_path, name)
    (tmp_path / "a.file").write_text("")
    (tmp_path / "a.empty").mkdir()
    (tmp_path / "a.folder" / "model.yaml").mkdir(parents=True)

    assert ["a.one", "b.two"] == list_handles(str(tmp_path))


def test_models_of_one_namespace_are_listed_alone(tmp_path: Path) -> None:
    for name in ("a.two", "a.one", "ab.one", "b.one"):
        write_folder(tmp_path, name)

    assert ["a.one", "a.two"] == list_handles(str(tmp_path), "a")
    assert [] == list_handles(str(tmp_path), "c")


def test_catalogue_that_cannot_be_listed_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file")
    with pytest.raises(StoreError, match=r"The models .* cannot be listed"):
        list_handles(str(tmp_path / "models"))


@pytest.mark.parametrize(("target", "told"), [("secret.txt", "a link to elsewhere"), ("folder", "which is not there")])
def test_source_that_is_a_link_out_of_the_folder_or_a_folder_is_not_read(
    tmp_path: Path, target: str, told: str
) -> None:
    model = tmp_path / "models" / "u22a8.linked"
    (model / "folder").mkdir(parents=True)
    (tmp_path / "secret.txt").write_text("root:x:0:0")
    if target == "secret.txt":
        (model / target).symlink_to(tmp_path / target)
    (model / "model.yaml").write_text(f"{ONE_TRAIT}sources:\n  - {{type: jsonl, path: {target}}}\n")
    with pytest.raises(DefinitionError) as caught:
        load_model(str(tmp_path / "models"), "u22a8.linked")

    assert told in str(caught.value)
    assert "root:x" not in str(caught.value)


def test_link_within_the_folder_is_read(tmp_path: Path) -> None:
    model = tmp_path / "u22a8.linked"
    model.mkdir()
    (model / "a.jsonl").write_text('{"content": "A text of five words.", "clarity": 1}')
    (model / "b.jsonl").symlink_to("a.jsonl")
    (model / "model.yaml").write_text(
        "traits: [{type: topic, key: clarity}]\nsources: [{type: jsonl, path: b.jsonl}]\n"
    )

    assert 1 == len(load_model(str(tmp_path), "u22a8.linked").seeds)
