"""Which labels say nothing of what their poles are about."""

import pytest

from engine.quality.labels import find_label_fault, has_negation, is_negation

NEGATED = """
Rude | Not rude
Formal | Informal
Yes, rude | No
Höflich | Unhöflich
Kibar | Kibar değil
丁寧 | 丁寧ではない
礼貌 | 不礼貌
친절함 | 친절하지 않음
 | Rude
"""
BARE = """
Yes | No
1 | 0
High risk | Low risk
5 stars | 1 star
Agrees | Contradicts
はい | いいえ
"""
NAMED = """
Rude | Polite
Urgent | Can wait
Easy to understand | Hard to understand
安全 | 危ない
"""


def split_pairs(text: str) -> list[list[str]]:
    return [line.split(" | ") for line in text.strip("\n").splitlines()]


@pytest.mark.parametrize(("positive", "negative"), split_pairs(NEGATED))
def test_label_that_negates_the_other_is_no_direction(positive: str, negative: str) -> None:
    assert "negated" == find_label_fault(positive, negative) == find_label_fault(negative, positive)


@pytest.mark.parametrize(("positive", "negative"), split_pairs(BARE))
def test_label_that_answers_or_grades_is_no_direction(positive: str, negative: str) -> None:
    assert "bare" == find_label_fault(positive, negative) == find_label_fault(negative, positive)


@pytest.mark.parametrize(("positive", "negative"), split_pairs(NAMED))
def test_opposite_that_names_something_may_be_a_direction(positive: str, negative: str) -> None:
    assert None is find_label_fault(positive, negative)


def test_paraphrase_may_negate_something_beside_what_it_says() -> None:
    assert is_negation("Insults the customer.", "Does not insult the customer.")
    assert not is_negation("Gives the reason for the change.", "Lists the edited files and gives no reason.")


@pytest.mark.parametrize(
    ("text", "negates"),
    [("Not rude", True), ("Unclear", False), ("ไม่ดี", True), ("丁寧ではない", True), ("विनम्र नहीं", True), ("", False)],
)
def test_word_that_negates_is_told_from_one_that_is_the_opposite(text: str, negates: bool) -> None:
    assert negates == has_negation(text)
