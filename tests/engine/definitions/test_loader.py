"""A folder becomes one frozen model, or one error that names every mistake with its file and line."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from types import MappingProxyType

import pytest
from fakes.definitions import load_definition

from engine.definitions.loader import has_model, list_handles, load_model, load_outline
from engine.definitions.outline import Outline
from engine.domain.characters import VALID
from engine.domain.definition import Brief, Length, OwnScenarios, Trait
from engine.domain.model import Model, Seed, Skipped
from engine.errors import DefinitionError, HandleError, NoTraitsError, Problem, StoreError, UnknownModelError

HANDLE = "u22a8.test"
WHERE = "u22a8.test/model.yaml"
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


def parse(text: str, files: Mapping[str, bytes] = MappingProxyType(FILES)) -> Model:
    return load_definition(HANDLE, text, files)


def find_problems(text: str, files: Mapping[str, bytes] = MappingProxyType(FILES)) -> tuple[Problem, ...]:
    with pytest.raises(DefinitionError) as caught:
        parse(text, files)
    return caught.value.problems


def write_folder(root: Path, handle: str, text: str = ONE_TRAIT) -> Path:
    folder = root / handle
    folder.mkdir(parents=True)
    (folder / "model.yaml").write_text(text)
    return folder


def test_every_field_is_read() -> None:
    asked = "Whether the reply treats the customer as a person."
    phrases = ("Kind words.",), ("Curt words.", "No words.")
    warmth = Trait("spectrum", "warmth", "Warmth of tone", asked, "Warm", "Cold", "extrinsic", "max", *phrases)
    refund = Trait("topic", "refund", "Refund", "", "About refund", "Not about refund", aggregation="none")
    brief = Brief(
        intent=("Keep the kind replies.",),
        domain=("Shops.", "Repairs."),
        exemplars_of_good=("A name.",),
        failure_modes=("Blame.", "Silence."),
        edge_cases=("A kind refusal.",),
        non_goals=("Spelling.",),
    )
    seeds = (
        Seed("warmth", "Dear you.", 1.0, "u22a8.test/samples.jsonl:1"),
        Seed("refund", "Dear you.", 0.0, "u22a8.test/samples.jsonl:1"),
        Seed("warmth", "Case closed.", 0.0, "u22a8.test/more/seeds.csv:2"),
    )
    expected = Model(
        HANDLE,
        (warmth, refund),
        "Whether a reply is kind.",
        "medium",
        "pt-BR",
        brief,
        seeds=seeds,
        additional_terms=("For support only.",),
        upstream_sources=("Written for this model.",),
    )
    clarity = Trait("spectrum", "clarity", "Clarity", "", "Clarity", "Not clarity", aggregation="mean")

    assert expected == parse(EVERYTHING)
    assert Model(handle=HANDLE, traits=(clarity,)) == parse(ONE_TRAIT)


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ("key: income_tax, type: spectrum, positive_label: Plain", ("Income Tax", "Plain", "Not plain")),
        ("key: tax, type: spectrum, positive_label: 1, negative_label: Dense", ("Tax", "1", "Dense")),
        ("key: income_tax, type: topic, positive_label: Taxes", ("Income Tax", "Taxes", "Not about income tax")),
        ("key: tax, type: claim", ("Tax", "Agrees", "Contradicts")),
        ("key: tax, type: outlier", ("Tax", "Unusual", "Typical")),
    ],
)
def test_name_and_poles_that_are_not_given_are_derived(fields: str, names: tuple[str, str, str]) -> None:
    [trait] = parse(f"traits: [{{{fields}}}]\n").traits

    assert names == (trait.name, trait.positive_label, trait.negative_label)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("commits", OwnScenarios(pack="commits")),
        ("{subjects: [a pair of boots, 'a  kettle']}", OwnScenarios(subjects=("a pair of boots", "a kettle"))),
        (f"{{audiences: {200 * 'x'}, forms: a review}}", OwnScenarios(audiences=(200 * "x",), forms=("a review",))),
        ("{lengths: [{name: a, min_words: 1, max_words: 5000}]}", OwnScenarios(lengths=(Length("a", 1, 5000),))),
        ("{lengths: [{name: b, min_words: 9, max_words: 9}]}", OwnScenarios(lengths=(Length("b", 9, 9),))),
    ],
)
def test_scenarios_are_a_pack_the_models_own_or_nothing(text: str, expected: OwnScenarios) -> None:
    assert expected == parse(f"{ONE_TRAIT}scenarios: {text}\n").scenarios


INSIDE = "a path inside the model's own folder"


@pytest.mark.parametrize(
    ("text", "field", "allowed"),
    [
        ("scenarios: {packs: bugs}", "packs", "one of pack, subjects, audiences, forms, lengths"),
        ("scenarios: {forms: ' '}", "forms.0", "text that is not empty"),
        (f"scenarios: {{subjects: {201 * 'x'}}}", "subjects.0", "at most 200 "),
        (
            "scenarios: {lengths: [{name: a, min_words: 0, max_words: 9}]}",
            "lengths.0.min_words",
            "number of at least 1",
        ),
        ("scenarios: {lengths: [{name: a, min_words: 1, max_words: 5001}]}", "lengths.0.max_words", "at most 5000"),
        (f"scenarios: {{lengths: [{LENGTH}, {LENGTH}]}}", "lengths.1.name", "a name that no other length has"),
        *(
            (f"sources: [{{type: jsonl, path: {path}}}]", "0.path", INSIDE)
            for path in ("../x", "a/../x", "/etc/passwd", "a\\b")
        ),
        ('sources: [{type: jsonl, path: "a\\0b"}]', "0.path", VALID),
    ],
)
def test_wrong_scenarios_and_sources_are_named(text: str, field: str, allowed: str) -> None:
    [problem] = find_problems(f"{ONE_TRAIT}{text}\n")

    assert (4, f"{text.partition(':')[0]}.{field}") == (problem.line, problem.field)
    assert allowed in problem.allowed


@pytest.mark.parametrize(
    ("traits", "field"),
    [
        (('key: a, name: ""',), "0.name"),
        (('key: "--_"',), "0.key"),
        ((f"key: {101 * 'a'}",), "0.key"),
        (("key: a, positive_label: Warm, negative_label: ' WARM '",), "0.negative_label"),
        (("key: a, positive_label: Clear, negative_label: \u0421lear",), "0.negative_label"),
        (("key: a, positive_label: \u0421\u041e\u0420, negative_label: Cop",), "0.negative_label"),
        (("key: a, positive_label: Résumé, negative_label: Ｒesume",), "0.negative_label"),
        (("key: a, positive_label: Well-known, negative_label: 'Well known.'",), "0.negative_label"),
        (("key: a, name: Warm", "key: b, name: Ｗａｒｍ"), "1.name"),
        (("key: a_b", "key: a-b"), "1.name"),
        (("key: a, negative_label: １",), "0.negative_label"),
    ],
)
def test_name_key_or_label_that_says_nothing_or_two_things_is_a_mistake(traits: tuple[str, ...], field: str) -> None:
    text = "traits:\n" + "".join(f"  - {{type: spectrum, {trait}}}\n" for trait in traits)

    assert [f"traits.{field}"] == [problem.field for problem in find_problems(text)]


def test_labels_that_look_alike_are_named_with_the_letters_that_differ() -> None:
    [problem] = find_problems(
        "traits:\n  - {type: spectrum, key: a, positive_label: Clear, negative_label: \u0421lear}\n"
    )

    assert (
        f"{WHERE}:2: traits.0.negative_label: found '\u0421lear', which differs by LATIN SMALL LETTER C, CYRILLIC "
        "SMALL LETTER ES alone; allowed: a label that a reader can tell from positive_label."
    ) == str(problem)


@pytest.mark.parametrize(
    "labels",
    [
        ("A+", "A-"),
        ("C", "C#"),
        ("★★★★★", "★"),
        ("👍", "👎"),
        (":)", ":("),
        ("!", "?"),
        ("v1.0", "v10"),
        ("ดี", "ด"),
        ("はく", "ばく"),
    ],
)
def test_labels_that_differ_by_a_sign_with_a_meaning_are_two(labels: tuple[str, str]) -> None:
    positive, negative = labels
    text = f"traits:\n  - {{type: spectrum, key: a, positive_label: '{positive}', negative_label: '{negative}'}}\n"

    assert labels == (parse(text).traits[0].positive_label, parse(text).traits[0].negative_label)


FORM = """\
description: [a, b]
effort: hihg
traits:
  - type: spectrun
    key: Clarity
  - type: claim
    key: warmth
    kind: intrinsic
breif: {intent: x}
sources:
  - type: jsonl
    path: s.jsonl
    mapping: {a: {triat: warmth}}
  - {type: csv, path: s.csv, mapping: {}}
  - {type: jsnl, path: ../x.jsonl}
  - {type: jsonl, path: ../x.jsonl}
  - {path: x.jsonl}
language: german
"""
MEANING = """\
traits:
  - {type: topic, key: warmth}
  - {type: outlier, key: warmth}
  - {type: claim, key: truth, positive_label: Right, negative_label: right}
scenarios:
  pack: bug
  lengths: [{name: short, min_words: 9, max_words: 8}]
sources:
  - {type: noise}
  - {type: csv, path: missing.csv}
  - type: jsonl
    path: s.jsonl
    mapping:
      warm: {trait: wramth}
      true: {trait: truth}
  - {type: jsonl, path: t.jsonl}
"""


def test_every_mistake_of_form_is_named_at_once_in_the_order_of_the_lines() -> None:
    problems = find_problems(FORM)

    assert [
        (1, "description", "a list of 2", None),
        (2, "effort", "'hihg'", "high"),
        (4, "traits.0.type", "'spectrun'", "spectrum"),
        (5, "traits.0.key", "'Clarity'", None),
        (8, "traits.1.kind", "'intrinsic'", "extrinsic"),
        (9, "breif", "'breif'", "brief"),
        (13, "sources.0.mapping.a.triat", "'triat'", "trait"),
        (13, "sources.0.mapping.a.trait", "nothing", None),
        (14, "sources.1.mapping", "an object", None),
        (15, "sources.2.type", "'jsnl'", "jsonl"),
        (16, "sources.3.path", "'../x.jsonl'", None),
        (17, "sources.4.type", "nothing", None),
        (18, "language", "'german'", None),
    ] == [(item.line, item.field, item.found, item.suggestion) for item in problems]
    assert f"{WHERE}:2: effort: found 'hihg'; allowed: low, medium, high, xhigh or max. Did you mean 'high'?" == str(
        problems[1]
    )


def test_every_mistake_of_meaning_and_of_the_samples_is_named_at_once_where_none_is_of_form() -> None:
    files = {
        "s.jsonl": b'{"content": "One.", "warm": "tepid"}\n{"content": "Two.", "true": "wrogn"}',
        "t.jsonl": b'\n{"content": "One.", "warmth": "hgih"}',
    }

    assert [
        (WHERE, 3, "traits.1.key", "'warmth'", None),
        (WHERE, 4, "traits.2.negative_label", "'right'", None),
        (WHERE, 6, "scenarios.pack", "'bug'", "bugs"),
        (WHERE, 7, "scenarios.lengths.0.max_words", "'8'", None),
        (WHERE, 10, "sources.1.path", "'missing.csv', which is not there", None),
        (WHERE, 14, "sources.2.mapping.warm.trait", "'wramth'", "warmth"),
        ("u22a8.test/s.jsonl", 2, "true", "'wrogn'", None),
        ("u22a8.test/t.jsonl", 2, "warmth", "'hgih'", "high"),
    ] == [(item.file, item.line, item.field, item.found, item.suggestion) for item in find_problems(MEANING, files)]


@pytest.mark.parametrize(
    ("text", "line", "field", "found"),
    [
        ("traits: []\n", 1, "traits", "a list of 0"),
        ("# first\ntraits:\n", 2, "traits", "nothing"),
        ("traits: detect\n", 1, "traits", "'detect'"),
        ("", None, "file", "nothing"),
    ],
)
def test_file_without_traits_is_one_mistake(text: str, line: int | None, field: str, found: str) -> None:
    [problem] = find_problems(text)

    assert (WHERE, line, field, found) == (problem.file, problem.line, problem.field, problem.found)


def test_traits_still_to_be_discovered_are_an_error_that_says_what_to_do() -> None:
    with pytest.raises(NoTraitsError, match=f"{WHERE}: traits is 'discover'.* Write the traits as a list"):
        parse("traits: discover\neffort: low\nscenarios: nonsense\n")


def test_every_source_that_is_not_read_here_is_named_as_skipped() -> None:
    huggingface = "{type: huggingface, path: org/set, split: [train, test], mapping: {text: content}}"
    text = f"{ONE_TRAIT}sources: [{huggingface}, {{type: url, url: 'https://x.test/', pth: y}}]\n"

    assert ["huggingface source org/set", "url source https://x.test/"] == [item.what for item in parse(text).skipped]


def test_field_of_somebody_else_is_named_as_skipped_and_not_taken_for_a_slip() -> None:
    source = "{type: jsonl, path: s, license: MIT, mapping: {clarity: {trait: clarity, weight: 2}}}"
    text = f"tags: [a]\ntargets: 3\nkind: x\n{ONE_TRAIT}sources: [{source}]\nbrief: {{tone: dry}}\n"
    places = {"tags": 1, "targets": 2, "kind": 3, "license": 7, "weight": 7, "tone": 8}

    assert {
        Skipped(f"field {name!r} ({WHERE}:{line})", "not a field that is read here") for name, line in places.items()
    } == set(parse(text, {"s": b""}).skipped)


def test_model_is_loaded_from_its_folder_and_samples_that_no_source_names_are_told(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, HANDLE, f"{ONE_TRAIT}sources: [{{type: jsonl, path: ./s.jsonl}}]\n")
    for name in ("s.jsonl", "samples.jsonl", "old.csv", "notes.txt"):
        (folder / name).write_bytes(ONE_LINE)
    model = load_model(f"{tmp_path}/", HANDLE)

    why = "no entry of `sources` in model.yaml names it"
    assert (HANDLE, ["One."]) == (model.handle, [seed.text for seed in model.seeds])
    assert (Skipped(f"{HANDLE}/old.csv", why), Skipped(f"{HANDLE}/samples.jsonl", why)) == model.skipped


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("bench.comit-message", "^No model 'bench.comit-message' in .* Did you mean u22a8.commit-message?"),
        ("u22a8.nope", "Known models: u22a8.bug-report, u22a8.commit-message$"),
        ("u22a8.notes", r"Its folder exists, but has no model\.yaml$"),
    ],
)
def test_unknown_handle_offers_the_nearest_and_says_what_lies_there(tmp_path: Path, asked: str, told: str) -> None:
    for handle in ("u22a8.commit-message", "u22a8.bug-report"):
        write_folder(tmp_path, handle)
    (tmp_path / "u22a8.notes").mkdir()
    with pytest.raises(UnknownModelError, match=told):
        load_model(str(tmp_path), asked)
    with pytest.raises(HandleError, match="is not a handle"):
        load_model(str(tmp_path), f"../{tmp_path.name}/u22a8.bug-report")


def test_definition_that_is_no_yaml_or_a_link_to_elsewhere_is_named_by_its_file(tmp_path: Path) -> None:
    definition = write_folder(tmp_path, HANDLE, ONE_TRAIT) / "model.yaml"
    assert load_outline(str(tmp_path), HANDLE).traits
    definition.write_text("traits:\n\t- a\n")
    with pytest.raises(DefinitionError, match=rf"{WHERE}:2: file: found a tab;"):
        load_model(str(tmp_path), HANDLE)
    definition.rename(tmp_path / "elsewhere.yaml")
    definition.symlink_to(tmp_path / "elsewhere.yaml")
    with pytest.raises(DefinitionError, match="found a link to elsewhere"):
        load_outline(str(tmp_path), HANDLE)


def test_outline_is_the_model_without_a_look_into_its_sources(tmp_path: Path) -> None:
    write_folder(tmp_path, HANDLE, EVERYTHING)
    outline, model = load_outline(f"{tmp_path}/", HANDLE), parse(EVERYTHING)
    alike = [
        field.name for field in fields(Outline) if field.init and field.name not in ("sources", "text_sources", "seeds")
    ]

    assert {name: getattr(model, name) for name in alike} == {name: getattr(outline, name) for name in alike}
    assert [("csv", f"{HANDLE}/more/seeds.csv")] == [(source.type, source.name) for source in outline.sources[1:]]


def test_outline_has_no_traits_where_they_are_to_be_discovered(tmp_path: Path) -> None:
    skipped = (Skipped("jsonl source s.jsonl", "it labels nothing while the traits are to be discovered"),)
    definition = write_folder(tmp_path, HANDLE) / "model.yaml"
    definition.write_text("traits: discover\neffort: low\nsources: [{type: jsonl, path: s.jsonl}]\n")
    assert Outline(HANDLE, effort="low", skipped=skipped) == load_outline(str(tmp_path), HANDLE)

    definition.write_text("traits: discover\nsources: [{type: csv, path: x}]\neffort: nonsense\n")
    with pytest.raises(DefinitionError, match=r"1 mistake\.\n  .*:3: effort: "):
        load_outline(str(tmp_path), HANDLE)


def test_only_folders_that_are_named_like_a_handle_and_hold_a_definition_are_models(tmp_path: Path) -> None:
    for name in ("b.two", "a.one", "ab.one", ".ipynb_checkpoints", "notes", "U.Three", "a.b.c"):
        write_folder(tmp_path, name)
    (tmp_path / "a.file").write_text("")
    (tmp_path / "a.folder" / "model.yaml").mkdir(parents=True)

    assert ["a.one", "ab.one", "b.two"] == list_handles(str(tmp_path))
    assert ["a.one"] == list_handles(str(tmp_path), "a")
    assert (True, False) == (has_model(str(tmp_path), "a.one"), has_model(str(tmp_path), "a.folder"))
    with pytest.raises(StoreError, match=r"The models .* cannot be listed"):
        list_handles(str(tmp_path / "a.file"))


def test_source_is_a_file_or_a_link_to_one_in_the_same_folder(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, HANDLE, f"{ONE_TRAIT}sources: [{{type: jsonl, path: s.jsonl}}]\n")
    source = folder / "s.jsonl"
    for place in (folder / "a.jsonl", tmp_path / "secret.jsonl"):
        place.write_bytes(ONE_LINE)
    source.symlink_to("../secret.jsonl")
    with pytest.raises(DefinitionError, match="a link to elsewhere"):
        load_model(str(tmp_path), HANDLE)
    source.unlink()
    source.symlink_to("a.jsonl")
    assert 1 == len(load_model(str(tmp_path), HANDLE).seeds)
