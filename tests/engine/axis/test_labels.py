"""Which labels say nothing of what their poles are about."""

import pytest

from engine.axis.labels import find_label_fault, is_negation

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


@pytest.mark.parametrize(("fault", "pairs"), [("negated", NEGATED), ("bare", BARE), (None, NAMED)])
def test_label_that_negates_the_other_or_answers_or_grades_is_no_direction(fault: str | None, pairs: str) -> None:
    for line in pairs.strip("\n").splitlines():
        positive, negative = line.split(" | ")
        assert fault == find_label_fault(positive, negative) == find_label_fault(negative, positive), line


def test_paraphrase_may_negate_something_beside_what_it_says() -> None:
    assert is_negation("Insults the customer.", "Does not insult the customer.")
    assert not is_negation("Gives the reason for the change.", "Lists the edited files and gives no reason.")
