"""A model's own words say which kind of text it judges and for whom, whatever field it is of."""

import pytest
from fakes.builders import make_model, make_trait

from engine.domain.model import Brief, Model
from engine.planning.genre import (
    drop_kinds,
    is_one_line,
    is_same_kind,
    is_short,
    read_audiences,
    read_forms,
    shares_field,
)


def say(description: str = "", domain: str = "", intent: str = "", handle: str = "ns.x") -> Model:
    trait = make_trait(description="", positive_label="Helpful", negative_label="Toxic")
    brief = Brief(domain=(domain,) if domain else (), intent=(intent,) if intent else ())
    return make_model(trait, handle=handle, description=description, brief=brief)


@pytest.mark.parametrize(
    ("description", "forms"),
    [
        ("Whether a product review helps a shopper decide.", ("a product review",)),
        ("Whether the title of a commit message says what changes.", ("a title of a commit message",)),
        # Where a verb may follow, what the title is of is left out.
        ("Whether the title of a commit says what changes.", ("a title",)),
        ("Whether legal clauses favour the tenant", ("a legal clause",)),
        ("Whether a clause of a contract binds both sides.", ("a clause of a contract",)),
        ("Scores toxic comments under news articles.", ("a comment",)),
        ("How good answers to programming questions are.", ("an answer",)),
        ("Whether an FAQ entry answers its question", ("an FAQ entry",)),
        ("Whether an SMS from a bank is phishing", ("an SMS",)),
        ("Detects AI-written product descriptions", ("an AI-written product description",)),
        ("Tickets, mails and chat messages", ("a ticket", "a mail", "a chat message")),
        ("Whether technical documentation is understood.", ("technical documentation",)),
        ("Whether a user story is testable", ("a user story",)),
        ("Whether a text is good.", ()),
        ("Ob eine Produktbewertung hilft.", ()),
        ("", ()),
    ],
)
def test_form_is_the_kind_of_text_that_the_description_names(description: str, forms: tuple[str, ...]) -> None:
    assert forms == read_forms(say(description))


def test_handle_then_domain_then_intent_name_the_form_where_the_description_does_not() -> None:
    told = "Is it rude?"

    assert ("a cover letter",) == read_forms(say(told, "From all over the world", handle="ns.cover-letters"))
    assert ("an email", "a chat") == read_forms(say(told, "Emails and chats to a bank", "Sort reviews"))
    assert ("a review",) == read_forms(say(told, "From all over the world", "Sort reviews"))


def test_form_of_most_traits_is_the_last_resort() -> None:
    traits = [make_trait(key, description=f"Whether the letter is {key}.") for key in ("kind", "short", "clear")]

    assert ("a letter",) == read_forms(make_model(*traits, handle="ns.x"))
    assert () == read_forms(make_model(traits[0], make_trait("a"), make_trait("b"), handle="ns.x"))


def test_bare_kind_gives_way_to_one_that_says_more() -> None:
    assert ("a direct message",) == read_forms(say("How rude a message is.", "Direct messages of gamers"))
    assert ("a chat message",) == read_forms(say("How rude the message is.", handle="ns.chat-messages"))


def test_domain_adds_kinds_only_where_it_begins_with_them() -> None:
    said = "Whether a letter is clear."

    assert ("a letter", "a notice") == read_forms(say(said, "Letters and notices to citizens"))
    assert ("a letter",) == read_forms(say(said, "Subscriptions, invoices and refunds"))


@pytest.mark.parametrize(
    ("description", "domain", "audiences"),
    [
        ("Whether a review helps a shopper.", "", ("a shopper",)),
        ("", "Chat messages between colleagues and friends", ("a colleague", "a friend")),
        ("Whether an ad attracts applicants.", "Ads for nurses, written by hospitals", ("an applicant", "a nurse")),
        # Those who write the texts do not read them.
        ("", "Reviews by customers, posts from players, letters of tenants and student essays", ()),
        ("", "Poems for readers of a literary magazine.", ("a reader of a literary magazine",)),
        ("Whether a text is good.", "", ()),
    ],
)
def test_audience_is_whom_the_texts_are_for(description: str, domain: str, audiences: tuple[str, ...]) -> None:
    assert audiences == read_audiences(say(description, domain))


def test_kinds_are_the_same_whatever_their_number_and_order() -> None:
    assert is_same_kind("a product review", "reviews of products")
    assert not is_same_kind("a product review", "a review")
    assert not is_same_kind("a love letter", "letter")


def test_field_is_shared_by_what_stands_before_the_kind() -> None:
    assert shares_field("a commit title", "commit message")
    assert not shares_field("a chat message", "commit message")


def test_phrases_of_a_brief_become_subjects_without_their_kind_of_text() -> None:
    phrases = ["short poems about love", "job ads for nurses", "shoppers on a budget", "travel and hotel bookings"]

    assert ["love", "travel and hotel bookings"] == list(drop_kinds(phrases))


def test_titles_are_one_line_and_messages_short() -> None:
    assert [True, True, False] == [
        is_one_line(form) for form in ("a headline", "a title of a commit", "a chat message")
    ]
    assert [True, True, False] == [is_short(form) for form in ("a headline", "a chat message", "a product review")]
