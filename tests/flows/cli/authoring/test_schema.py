"""The command ``schema``: prints what is committed."""

from collections.abc import Callable

from fakes.workspace import ROOT

Command = Callable[..., tuple[int, str, str]]


def test_schema_of_the_definition_is_printed_and_of_a_sample_where_asked(run_command: Command) -> None:
    for arguments, name in (((), "model"), (("model",), "model"), (("sample",), "sample")):
        committed = (ROOT / f"docs/reference/schemas/{name}.schema.json").read_text(encoding="utf-8")

        assert (0, committed, "") == run_command("schema", *arguments)


def test_other_name_is_refused(run_command: Command) -> None:
    code, out, err = run_command("schema", "samples")

    assert (2, "") == (code, out)
    assert "'samples' has no schema. There are: model, sample. Did you mean 'sample'?" in err
