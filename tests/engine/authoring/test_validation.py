"""Validation names few of what is there often."""

from pathlib import Path

import yaml

from engine.authoring.validation import MOST_NAMED, Hinting, validate_models


def test_of_many_hints_of_one_kind_the_first_are_named_and_the_rest_counted(tmp_path: Path) -> None:
    traits = [{"type": "spectrum", "key": f"k{number}"} for number in range(9)]
    (tmp_path / "acme.many").mkdir()
    (tmp_path / "acme.many" / "model.yaml").write_text(yaml.safe_dump({"traits": traits}))
    [found] = validate_models(str(tmp_path), ["acme.many"], Hinting())
    messages = [hint.message for hint in found.hints if hint.kind == "no_description"]

    assert MOST_NAMED + 1 == len(messages)
    assert "from here on 4 more of the kind no_description" == messages[-1]
