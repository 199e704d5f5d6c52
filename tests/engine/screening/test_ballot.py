"""A judge's reply is a vote where exactly one of the answers that it was given is named and stands alone."""

import pytest

from engine.llm.client.request import REFUSED, Reply
from engine.screening.voting_judge import read_answer

CLEAR = ("Clear", "Obscure", "neither")
SCHEMA = '{"properties": {"answer": {"type": "string", "enum": ["Clear", "Obscure", "neither"]}}}'
VOTES = """
1. Clear
Ｃｌｅａｒ
Cl\u200bear
I would say the text is "Clear".
\\boxed{Clear}
Clear — it says what to do.
It is Clear because nothing is hidden.
<think>Obscure?</think>Clear
{"ANSWER": ["**clear**"]}
{"answer": "Clear: plain at once"}
{"result": {"answer": "Clear"}}
{"vote": "Clear", "why": "it says what to do"}
"""
LONG_VOTES = (
    "Clear\n\nIt does not beat about the bush.",
    'I choose:\n```JSON\n{"answer": " clear", "why": "it is not Obscure {at all}"}\n```',
    f'{SCHEMA}\n{{"answer": "Clear"}}',
    '{"answer": "Obscure"}\nOn second thoughts:\n{"answer": "Clear"}',
)
NO_VOTES = """
Unclear
non-Clear
Not: Clear
Clear?
less Clear
Clear, not Obscure
neither Clear nor Obscure
{"answer": null, "note": "Clear"}
{"Clear": 0.9, "Obscure": 0.1}
{"answer": "Clear
<think>Clear
"""


@pytest.mark.parametrize("text", [*VOTES.strip().splitlines(), *LONG_VOTES])
def test_label_that_stands_alone_is_a_vote(text: str) -> None:
    assert "Clear" == read_answer(Reply(text, "stop"), CLEAR)


@pytest.mark.parametrize(
    "text", [*NO_VOTES.strip().splitlines(), "", SCHEMA, "- Clear\n- Obscure", '{"answer": "Clear"}\n{"answer": "Obsc']
)
def test_what_names_none_or_two_or_turns_one_round_is_no_vote(text: str) -> None:
    assert None is read_answer(Reply(text, "stop"), CLEAR)


@pytest.mark.parametrize(
    ("answers", "text", "said"),
    [
        (("明確", "不明確"), "不明確。", "不明確"),
        (("Polite", "Impolite"), "The text is polite", "Polite"),
        (("Formal", "Very formal"), "**very  formal**", "Very formal"),
        (("About safety", "Not about safety"), "Not about safety.", "Not about safety"),
        (("C", "C++"), "C++", "C++"),
        (("👍", "👎"), "👍\ufe0f", "👍"),
    ],
)
def test_answers_that_contain_others_and_other_scripts_are_told_apart(
    answers: tuple[str, str], text: str, said: str | None
) -> None:
    assert said == read_answer(Reply(text, "stop"), (*answers, "neither"))


@pytest.mark.parametrize(("text", "finish"), [("Clear", REFUSED), ("Clear", "length"), ('{"answer": 1', "length")])
def test_reply_that_was_refused_or_cut_is_no_vote(text: str, finish: str) -> None:
    assert None is read_answer(Reply(text, finish), CLEAR)
