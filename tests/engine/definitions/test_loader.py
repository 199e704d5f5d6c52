"""A folder becomes one frozen model, or one error that names every mistake with its file and line."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from engine.definitions.loader import MAX_BYTES, has_model, list_handles, load_model, load_outline, parse_model
from engine.definitions.outline import Outline
from engine.definitions.source_kinds.entries import Source
from engine.domain.model import Brief, Length, Model, OwnScenarios, Seed, Skipped, Trait
from engine.errors import DefinitionError, HandleError, NoTraitsError, Problem, StoreError, UnknownModelError

HANDLE = "u22a8.test"
WHERE = "u22a8.test/model.yaml"
TRAIT_FIELDS = (
    "type, key, name, description, positive_label, negative_label, kind, aggregation, positive_paraphrase, "
    "negative_paraphrase"
)
MODEL_FIELDS = "traits, description, effort, sources, additional_terms, upstream_sources, brief, scenarios, language"
ONE_TRAIT = "traits:\n  - type: spectrum\n    key: clarity\n"
LENGTH = "{name: a, min_words: 1, max_words: 9}"
ONE_LINE = b'{"content": "One.", "clarity": 1}\n'

EVERYTHING = """\
description: Whether a reply is kind.
effort: medium
language: pt_br
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


def find_problems(text: str, files: Mapping[str, bytes] | None = None) -> tuple[Problem, ...]:
    with pytest.raises(DefinitionError) as caught:
        parse(text, files)
    return caught.value.problems


def write_folder(root: Path, handle: str, text: str = ONE_TRAIT) -> Path:
    folder = root / handle
    folder.mkdir(parents=True)
    (folder / "model.yaml").write_text(text)
    return folder


def test_every_field_is_read() -> None:
    warmth = Trait(
        key="warmth",
        name="Warmth of tone",
        type="spectrum",
        description="Whether the reply treats the customer as a person.",
        positive_label="Warm",
        negative_label="Cold",
        aggregation="max",
        positive_paraphrase=("Kind words.",),
        negative_paraphrase=("Curt words.", "No words."),
    )
    expected = Model(
        handle=HANDLE,
        description="Whether a reply is kind.",
        effort="medium",
        language="pt-BR",
        traits=(
            warmth,
            Trait("refund", "Refund", "topic", "", "About refund", "Not about refund", aggregation="none"),
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

    assert expected == parse(EVERYTHING, FILES)


def test_only_traits_are_required() -> None:
    clarity = Trait("clarity", "Clarity", "spectrum", "", "Clarity", "Not clarity", aggregation="mean")

    assert Model(handle=HANDLE, traits=(clarity,)) == parse(ONE_TRAIT)


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ("type: spectrum, positive_label: Plain", ("Income Tax", "Plain", "Not plain")),
        ("type: spectrum, negative_label: Obscure", ("Income Tax", "Not obscure", "Obscure")),
        ("type: spectrum, positive_label: Plain, negative_label: Dense", ("Income Tax", "Plain", "Dense")),
        ("type: spectrum, name: Duty", ("Duty", "Duty", "Not duty")),
        ("type: topic, positive_label: Taxes", ("Income Tax", "Taxes", "Not about income tax")),
        ("type: topic, positive_label: 1, negative_label: 0", ("Income Tax", "1", "0")),
        ("type: claim", ("Income Tax", "Agrees", "Contradicts")),
        ("type: claim, negative_label: Denied", ("Income Tax", "Agrees", "Denied")),
        ("type: outlier", ("Income Tax", "Unusual", "Typical")),
    ],
)
@pytest.mark.parametrize("key", ["income_tax", "income-tax"])
def test_name_and_poles_that_are_not_given_are_derived(key: str, fields: str, names: tuple[str, str, str]) -> None:
    [trait] = parse(f"traits: [{{key: {key}, {fields}}}]\n").traits

    assert names == (trait.name, trait.positive_label, trait.negative_label)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("commits", OwnScenarios(pack="commits")),
        ("", OwnScenarios()),
        ("{forms: }", OwnScenarios()),
        ("{subjects: [a pair of boots, 'a  kettle']}", OwnScenarios(subjects=("a pair of boots", "a kettle"))),
        (f"{{audiences: {200 * 'x'}, forms: a review}}", OwnScenarios(audiences=(200 * "x",), forms=("a review",))),
        (
            "{lengths: [{name: a, min_words: 1, max_words: 5000}, {name: b, min_words: 9, max_words: 9}]}",
            OwnScenarios(lengths=(Length("a", 1, 5000), Length("b", 9, 9))),
        ),
    ],
)
def test_scenarios_are_a_pack_the_models_own_or_nothing(text: str, expected: OwnScenarios) -> None:
    assert expected == parse(f"{ONE_TRAIT}scenarios: {text}\n").scenarios


@pytest.mark.parametrize(
    ("text", "field", "allowed"),
    [
        ("{packs: bugs}", "packs", "one of pack, subjects, audiences, forms, lengths"),
        ("{forms: ' '}", "forms.0", "text that is not empty"),
        (f"{{subjects: {201 * 'x'}}}", "subjects.0", "at most 200 "),
        ("{lengths: [{name: a, min_words: 0, max_words: 9}]}", "lengths.0.min_words", "a whole number of at least 1"),
        ("{lengths: [{name: a, min_words: 1, max_words: 5001}]}", "lengths.0.max_words", "at most 5000"),
        (f"{{lengths: [{LENGTH}, {LENGTH}]}}", "lengths.1.name", "a name that no other length has"),
    ],
)
def test_wrong_scenarios_are_named(text: str, field: str, allowed: str) -> None:
    [problem] = find_problems(f"{ONE_TRAIT}scenarios: {text}\n")

    assert (4, f"scenarios.{field}") == (problem.line, problem.field)
    assert allowed in problem.allowed


@pytest.mark.parametrize(
    ("traits", "field"),
    [
        (('key: a, name: ""',), "0.name"),
        (('key: a, positive_label: " "',), "0.positive_label"),
        ((r'key: a, positive_paraphrase: "\u3164\u200f"',), "0.positive_paraphrase.0"),
        (("key: a, negative_label: ' '",), "0.negative_label"),
        (('key: "--_"',), "0.key"),
        (("key: a_B",), "0.key"),
        (('key: "a\\n"',), "0.key"),
        ((f"key: {101 * 'a'}",), "0.key"),
        (("key: a, positive_label: Warm, negative_label: ' WARM '",), "0.negative_label"),
        (("key: a, name: Warm", "key: b, name: Ｗａｒｍ"), "1.name"),
        (("key: a_b", "key: a-b"), "1.name"),
        (("key: a, positive_label: 0",), "0.positive_label"),
        (("key: a, positive_label: 0.5",), "0.positive_label"),
        (("key: a, negative_label: １",), "0.negative_label"),
    ],
)
def test_name_key_or_label_that_says_nothing_or_two_things_is_a_mistake(traits: tuple[str, ...], field: str) -> None:
    text = "traits:\n" + "".join(f"  - {{type: spectrum, {trait}}}\n" for trait in traits)

    assert [f"traits.{field}"] == [problem.field for problem in find_problems(text)]


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
  - {type: csv, path: s.csv, mapping: {}}
language: german
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
    brief_fields = "intent, domain, exemplars_of_good, failure_modes, edge_cases, non_goals"
    source_types = "jsonl, csv, github_csv, huggingface, url, file or noise"

    assert [
        "1: description: found a list of 2; allowed: text.",
        "2: effort: found 'hihg'; allowed: low, medium, high, xhigh or max. Did you mean 'high'?",
        "4: traits.0.type: found 'spectrun'; allowed: spectrum, topic, claim or outlier. Did you mean 'spectrum'?",
        "5: traits.0.key: found 'Clarity'; allowed: lower-case letters and digits, '_' and '-' beside them.",
        f"8: traits.1.agregation: found 'agregation'; allowed: one of {TRAIT_FIELDS}. Did you mean 'aggregation'?",
        "11: traits.2.kind: found 'intrinsic'; allowed: extrinsic. Did you mean 'extrinsic'?",
        f"12: breif: found 'breif'; allowed: one of {MODEL_FIELDS}. Did you mean 'brief'?",
        f"15: brief.intnet: found 'intnet'; allowed: one of {brief_fields}. Did you mean 'intent'?",
        "16: brief.domain: found an object; allowed: a list, each entry of which begins with '- '.",
        "17: brief.edge_cases.1: found ''; allowed: text that is not empty.",
        f"21: sources.1.type: found 'jsonlines'; allowed: {source_types}. Did you mean 'jsonl'?",
        "26: sources.2.mapping.a.triat: found 'triat'; allowed: one of trait, quality. Did you mean 'trait'?",
        "26: sources.2.mapping.a.trait: found nothing; allowed: this field is required.",
        "27: sources.3.mapping: found an object; allowed: at least one entry.",
        "28: language: found 'german'; allowed: a language tag (BCP 47) such as de, pt-BR or zh-Hant; german is de.",
    ] == [str(problem).removeprefix(f"{WHERE}:") for problem in find_problems(FORM)]


def test_every_mistake_of_meaning_and_of_the_samples_is_named_at_once_where_none_is_of_form() -> None:
    files = {
        "s.jsonl": b'{"content": "One.", "warm": "tepid"}\n{"content": "Two.", "true": "wrogn"}',
        "t.jsonl": b'\n{"content": "One.", "warmth": "hgih"}',
    }
    problems = find_problems(MEANING, files)

    assert [
        (WHERE, 5, "traits.1.key", "'warmth'", None),
        (WHERE, 9, "traits.2.negative_label", "'right'", None),
        (WHERE, 11, "scenarios.pack", "'bug'", "bugs"),
        (WHERE, 13, "scenarios.lengths.0.max_words", "'8'", None),
        (WHERE, 16, "sources.0.path", "'../x.jsonl'", None),
        (WHERE, 17, "sources.1.path", "nothing", None),
        (WHERE, 19, "sources.2.path", "'missing.csv', which is not there", None),
        (WHERE, 23, "sources.3.mapping.warm.trait", "'wramth'", "warmth"),
        ("u22a8.test/s.jsonl", 2, "true", "'wrogn'", None),
        ("u22a8.test/t.jsonl", 2, "warmth", "'hgih'", "high"),
    ] == [(item.file, item.line, item.field, item.found, item.suggestion) for item in problems]
    assert "a trait of this model: warmth, truth" == problems[7].allowed


@pytest.mark.parametrize(
    ("text", "line", "field", "found", "allowed"),
    [
        ("traits: []\n", 1, "traits", "a list of 0", "at least one entry"),
        ("# first\ntraits:\n", 2, "traits", "nothing", "this field is required"),
        ("traits: detect\n", 1, "traits", "'detect'", "a list"),
        ("traits: {a: b}\n", 1, "traits", "an object", "a list, each entry of which begins with '- '"),
        ("", None, "file", "nothing", f"an object of fields: {MODEL_FIELDS}"),
        ("- a\n- b\n", 1, "file", "a list of 2", f"an object of fields: {MODEL_FIELDS}"),
    ],
)
def test_file_without_traits_is_one_mistake(text: str, line: int | None, field: str, found: str, allowed: str) -> None:
    assert (Problem(WHERE, line, field, found, allowed),) == find_problems(text)


def test_samples_are_not_read_while_the_form_is_wrong_nor_a_misspelt_trait_reported_where_it_is_used() -> None:
    text = (
        "traits: [{type: spectrum, kye: clarity}]\nsources: [{type: jsonl, path: s, mapping: {a: {trait: clarity}}}]\n"
    )

    assert [("traits.0.kye", "key"), ("traits.0.key", None)] == [
        (problem.field, problem.suggestion) for problem in find_problems(text, {"s": b"no JSON"})
    ]


@pytest.mark.parametrize("text", ["traits: discover\n", "traits: 'discover'\neffort: low\nscenarios: nonsense\n"])
def test_traits_still_to_be_discovered_are_an_error_that_says_what_to_do(text: str) -> None:
    with pytest.raises(NoTraitsError, match=f"{WHERE}: traits is 'discover'.* Write the traits as a list") as caught:
        parse(text)

    assert 2 == caught.value.exit_code


@pytest.mark.parametrize("kind", ["jsonl", "csv", "file", "noise"])
def test_mapping_names_each_trait_once(kind: str) -> None:
    text = f"traits: [{{type: topic, key: tax}}]\nsources:\n  - type: {kind}\n    path: s.x\n    mapping:\n"
    problems = find_problems(f"{text}      a: {{trait: tax}}\n      b: {{trait: tax}}\n", {"s.x": b"content,a\n"})

    assert (7, "sources.0.mapping.b.trait", "'tax'") in [(item.line, item.field, item.found) for item in problems]


@pytest.mark.parametrize("path", ["../x", "a/../x", "/etc/passwd", "a\\b", '"a\\0b"'])
def test_path_outside_the_folder_is_refused_and_not_read(path: str) -> None:
    asked: list[str] = []

    def read(name: str) -> bytes:
        asked.append(name)
        return b""

    with pytest.raises(DefinitionError) as caught:
        parse_model(HANDLE, f"{ONE_TRAIT}sources:\n  - type: jsonl\n    path: {path}\n".encode(), read)

    [problem] = caught.value.problems
    assert (6, "sources.0.path", "a path inside the model's own folder") == (
        problem.line,
        problem.field,
        problem.allowed,
    )
    assert [] == asked


@pytest.mark.parametrize("path", ["./more/s.jsonl", "s..jsonl", "..."])
def test_path_inside_the_folder_is_read_by_the_trait_keys_without_a_mapping(path: str) -> None:
    model = parse(f"{ONE_TRAIT}sources:\n  - type: jsonl\n    path: '{path}'\n", {path: ONE_LINE})

    assert (Seed("clarity", "One.", 1.0, f"{HANDLE}/{path}:1"),) == model.seeds


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


def test_field_of_somebody_else_is_named_as_skipped_and_not_taken_for_a_slip() -> None:
    text = """\
tags: [a]
targets: 3
kind: x
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
    places = {"tags": 1, "targets": 2, "kind": 3, "tone": 15, "id": 7, "discrimination": 8, "license": 12, "weight": 13}

    assert {
        Skipped(f"field {name!r} ({WHERE}:{line})", "not a field that is read here") for name, line in places.items()
    } == set(parse(text, {"s.jsonl": b""}).skipped)


@pytest.mark.parametrize(
    ("field", "meant"),
    [
        ("trait", "traits"),
        ("Traits", "traits"),
        ("additional", "additional_terms"),
        ("    positive", "positive_label"),
        ("    tpye", "type"),
    ],
)
def test_field_that_is_nearly_one_of_ours_is_a_mistake(field: str, meant: str) -> None:
    [problem] = find_problems(f"{ONE_TRAIT}{field}: x\n")

    assert (4, meant) == (problem.line, problem.suggestion)


def test_model_is_loaded_from_its_folder_and_samples_that_no_source_names_are_told(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, HANDLE, f"{ONE_TRAIT}sources: [{{type: jsonl, path: ./s.jsonl}}]\n")
    for name in ("s.jsonl", "samples.jsonl", "old.csv", "notes.txt"):
        (folder / name).write_bytes(ONE_LINE)
    model = load_model(f"{tmp_path}/", HANDLE)

    why = "no entry of `sources` in model.yaml names it"
    assert (HANDLE, ["One."]) == (model.handle, [seed.text for seed in model.seeds])
    assert (Skipped(f"{HANDLE}/old.csv", why), Skipped(f"{HANDLE}/samples.jsonl", why)) == model.skipped


@pytest.mark.parametrize("handle", ["x", "../x", "U.Three"])
def test_malformed_handle_is_refused_before_anything_is_read(tmp_path: Path, handle: str) -> None:
    with pytest.raises(HandleError, match="is not a handle") as malformed:
        load_model(str(tmp_path / "sub"), handle)

    assert not isinstance(malformed.value, UnknownModelError)


@pytest.mark.parametrize(
    ("asked", "offered"),
    [
        ("bench.comit-message", "Did you mean u22a8.commit-message?"),
        ("u22a8.bug", "Did you mean u22a8.bug-report?"),
        ("a-namespace-of-quite-other-people.bug-reports", "Did you mean u22a8.bug-report?"),
        ("u22a8.nope", "There are: u22a8.bug-report, u22a8.commit-message"),
    ],
)
def test_unknown_handle_offers_the_nearest(tmp_path: Path, asked: str, offered: str) -> None:
    for handle in ("u22a8.commit-message", "u22a8.bug-report"):
        write_folder(tmp_path, handle)
    with pytest.raises(UnknownModelError) as caught:
        load_model(str(tmp_path), asked)

    assert f"No model '{asked}' in {tmp_path}. {offered}" == str(caught.value)


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("", r"There are: none$"),
        (HANDLE, r"There are: none$"),
        (f"{HANDLE}/notes.txt", r"Its folder exists, but has no model\.yaml$"),
        (f"{HANDLE}/model.yml", r"has no model\.yaml: rename its model\.yml to model\.yaml$"),
    ],
)
def test_what_lies_where_a_model_should_is_told(tmp_path: Path, place: str, told: str) -> None:
    if place:
        (tmp_path / "models" / place).parent.mkdir(parents=True)
        (tmp_path / "models" / place).write_text("")
    with pytest.raises(UnknownModelError, match=told):
        load_outline(str(tmp_path / "models"), HANDLE)

    assert not has_model(str(tmp_path / "models"), HANDLE)


def test_definition_that_is_no_yaml_too_large_or_a_link_to_elsewhere_is_named_by_its_file(tmp_path: Path) -> None:
    definition = write_folder(tmp_path, HANDLE) / "model.yaml"
    definition.write_text("traits:\n\t- a\n")
    with pytest.raises(DefinitionError, match=rf"{WHERE}:2: file: found a tab;"):
        load_model(str(tmp_path), HANDLE)
    definition.write_text(ONE_TRAIT + "#" * (MAX_BYTES - len(ONE_TRAIT)))
    assert load_outline(str(tmp_path), HANDLE).traits
    definition.write_text(ONE_TRAIT + "#" * (MAX_BYTES - len(ONE_TRAIT) + 1))
    with pytest.raises(DefinitionError, match=f"found 262,145 bytes; allowed: {MAX_BYTES:,} bytes at most"):
        load_outline(str(tmp_path), HANDLE)
    definition.rename(tmp_path / "elsewhere.yaml")
    definition.symlink_to(tmp_path / "elsewhere.yaml")
    with pytest.raises(DefinitionError, match="found a link to elsewhere"):
        load_outline(str(tmp_path), HANDLE)


def test_outline_is_the_model_without_a_look_into_its_sources(tmp_path: Path) -> None:
    write_folder(tmp_path, HANDLE, EVERYTHING)
    outline, model = load_outline(f"{tmp_path}/", HANDLE), parse(EVERYTHING, FILES)
    warmth, refund = model.traits
    alike = (
        *("handle", "traits", "description", "effort", "language", "brief", "scenarios", "skipped"),
        *("additional_terms", "upstream_sources"),
    )
    mapping: dict[str, Trait | None] = {"tone": warmth, "refund": refund}

    assert {name: getattr(model, name) for name in alike} == {name: getattr(outline, name) for name in alike}
    assert (
        Source("jsonl", "samples.jsonl", f"{HANDLE}/samples.jsonl", mapping, (WHERE, 18, "sources.0.path")),
        Source("csv", "more/seeds.csv", f"{HANDLE}/more/seeds.csv", {"warm": warmth}, (WHERE, 23, "sources.1.path")),
    ) == outline.sources


def test_outline_is_that_of_the_file_as_it_stands_and_has_no_traits_where_they_are_to_be_discovered(
    tmp_path: Path,
) -> None:
    sources = "[{type: jsonl, path: s.jsonl, mapping: {a: {trait: b}}}, {type: url, url: 'https://example.org'}]"
    skipped = (
        Skipped("jsonl source s.jsonl", "it labels nothing while the traits are to be discovered"),
        Skipped("url source https://example.org", "legal on the platform, not read here"),
    )
    definition = write_folder(tmp_path, HANDLE) / "model.yaml"
    for words in ("One.", "Two.", "One."):
        definition.write_text(f"traits: discover\ndescription: {words}\neffort: low\nsources: {sources}\n")
        expected = Outline(HANDLE, description=words, effort="low", skipped=skipped)
        assert expected == load_outline(str(tmp_path), HANDLE)
    definition.write_text("traits: discover\nsources: [{type: csv, path: ../x}]\neffort: nonsense\n")
    with pytest.raises(DefinitionError, match=r"yaml: 1 mistake\.\n  .*:3: effort: "):
        load_outline(str(tmp_path), HANDLE)
    definition.write_text(f"{ONE_TRAIT}sources: [{{type: csv, path: ../x}}]\n")
    with pytest.raises(DefinitionError, match=r":4: sources\.0\.path: "):
        load_outline(str(tmp_path), HANDLE)


def test_only_folders_that_are_named_like_a_handle_and_hold_a_definition_are_models(tmp_path: Path) -> None:
    for name in ("b.two", "a.one", "ab.one", ".ipynb_checkpoints", "notes", "U.Three", "a.b.c"):
        write_folder(tmp_path, name)
    (tmp_path / "a.file").write_text("")
    (tmp_path / "a.empty").mkdir()
    (tmp_path / "a.folder" / "model.yaml").mkdir(parents=True)

    assert ["a.one", "ab.one", "b.two"] == list_handles(str(tmp_path))
    assert ["a.one"] == list_handles(str(tmp_path), "a")
    assert [] == list_handles(str(tmp_path), "c")
    assert (True, False) == (has_model(str(tmp_path), "a.one"), has_model(str(tmp_path), "a.folder"))


def test_catalogue_that_cannot_be_listed_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file")
    with pytest.raises(StoreError, match=r"The models .* cannot be listed"):
        list_handles(str(tmp_path / "models"))


@pytest.mark.parametrize(
    ("path", "told"),
    [("out.jsonl", "a link to elsewhere"), ("folder", "which is not there"), ("in.jsonl", None)],
)
def test_source_is_a_file_or_a_link_to_one_in_the_same_folder(tmp_path: Path, path: str, told: str | None) -> None:
    folder = write_folder(tmp_path, HANDLE, f"{ONE_TRAIT}sources: [{{type: jsonl, path: {path}}}]\n")
    (folder / "folder").mkdir()
    (folder / "a.jsonl").write_bytes(ONE_LINE)
    (folder / "in.jsonl").symlink_to("a.jsonl")
    (tmp_path / "secret.jsonl").write_bytes(ONE_LINE)
    (folder / "out.jsonl").symlink_to(tmp_path / "secret.jsonl")
    if told is None:
        assert 1 == len(load_model(str(tmp_path), HANDLE).seeds)
        return
    with pytest.raises(DefinitionError, match=told):
        load_model(str(tmp_path), HANDLE)
