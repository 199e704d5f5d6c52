"""Validation goes through many models, and names few of what is there often."""

from pathlib import Path

import yaml
from fakes.word_vectors import WordVectors

from engine.authoring.validation import MOST_NAMED, Hinting, validate_models


def write_model(models: Path, handle: str, traits: int, samples: str = "") -> None:
    listed = [
        {"type": "spectrum", "key": f"k{number}", "positive_label": "A", "negative_label": "B"}
        for number in range(traits)
    ]
    (models / handle).mkdir(parents=True)
    source = {"type": "jsonl", "path": "s.jsonl", "mapping": {"label": {"trait": "k0"}}}
    (models / handle / "model.yaml").write_text(yaml.safe_dump({"traits": listed, "sources": [source], "tags": 1}))
    (models / handle / "s.jsonl").write_text(samples)


def test_of_many_hints_of_one_kind_the_first_are_named_and_the_rest_counted(tmp_path: Path) -> None:
    write_model(tmp_path, "acme.many", 9)
    [found] = validate_models(str(tmp_path), ["acme.many"], Hinting())
    messages = [hint.message for hint in found.hints if hint.kind == "no_description"]

    assert MOST_NAMED + 1 == len(messages)
    assert "from here on 4 more of the kind no_description" == messages[-1]


def test_encoder_is_loaded_once_for_all_models_and_only_where_there_are_samples(tmp_path: Path) -> None:
    loaded = []

    def load() -> WordVectors:
        loaded.append(1)
        return WordVectors()

    line = '{"content": "Good afternoon, and welcome to the house.", "label": 1}\n'
    for handle, samples in (("acme.a", ""), ("acme.b", line), ("acme.c", line), ("acme.d", "wrong")):
        write_model(tmp_path, handle, 1, samples)
    found = list(validate_models(str(tmp_path), ["acme.a", "acme.b", "acme.c", "acme.d"], Hinting(("en",), load)))
    list(validate_models(str(tmp_path), ["acme.a"], Hinting(("en",), load)))

    assert [1] == loaded
    assert [True, True, True, False] == [item.is_valid for item in found]
