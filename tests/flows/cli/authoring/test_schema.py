"""The command ``schema``: prints what is committed."""

import pytest
from fakes.commands import Command
from fakes.workspace import ROOT


@pytest.mark.parametrize(("arguments", "name"), [((), "model"), (("sample",), "sample")])
def test_committed_schema_is_printed_and_another_name_refused(
    run_command: Command, arguments: tuple[str, ...], name: str
) -> None:
    committed = (ROOT / f"docs/reference/schemas/{name}.schema.json").read_text(encoding="utf-8")
    refused = run_command("schema", "samples")

    assert (0, committed, "") == run_command("schema", *arguments)
    assert (2, True) == (refused.code, "'samples' has no schema. There are: model, sample." in refused.message)
