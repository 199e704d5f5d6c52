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
        # Where a verb may follow, what the title is of is left out.
        ("Whether the title of a commit says what changes.", ("a title",)),
        ("Whether an SMS from a bank is phishing", ("an SMS",)),
        ("Tickets, mails and chat messages", ("a ticket", "a mail", "a chat message")),
        ("", ()),
    ],
)
def test_form_is_the_kind_of_text_that_the_description_names(description: str, forms: tuple[str, ...]) -> None:
    assert forms == read_forms(say(description))


@pytest.mark.parametrize(
    ("words", "forms"),
    [
        # Where the description names none: the handle, then the domain, then the intent.
        (("Is it rude?", "From all over", "", "ns.cover-letters"), ("a cover letter",)),
        (("Is it rude?", "Emails and chats to a bank", "Sort reviews"), ("an email", "a chat")),
        # A bare kind gives way to one that says more.
        (("How rude a message is.", "Direct messages of gamers"), ("a direct message",)),
        # The domain adds kinds only where it begins with them.
    ],
)
def test_form_is_that_of_description_handle_domain_and_intent(words: tuple[str, ...], forms: tuple[str, ...]) -> None:
    assert forms == read_forms(say(*words))


def test_form_of_most_traits_is_the_last_resort() -> None:
    traits = [make_trait(key, description=f"Whether the letter is {key}.") for key in ("kind", "short", "clear")]

    assert ("a letter",) == read_forms(make_model(*traits, handle="ns.x"))
    assert () == read_forms(make_model(traits[0], make_trait("a"), make_trait("b"), handle="ns.x"))


@pytest.mark.parametrize(
    ("description", "domain", "audiences"),
    [
        ("", "Chat messages between colleagues and friends", ("a colleague", "a friend")),
        ("Whether an ad attracts applicants.", "Ads for nurses, written by hospitals", ("an applicant", "a nurse")),
        # Those who write the texts do not read them.
        ("", "Reviews by customers, posts from players, letters of tenants and student essays", ()),
    ],
)
def test_audience_is_whom_the_texts_are_for(description: str, domain: str, audiences: tuple[str, ...]) -> None:
    assert audiences == read_audiences(say(description, domain))


def test_phrases_of_a_brief_become_subjects_without_their_kind_of_text() -> None:
    phrases = ["short poems about love", "job ads for nurses", "shoppers on a budget", "travel and hotel bookings"]

    assert ["love", "travel and hotel bookings"] == list(drop_kinds(phrases))


def test_kinds_are_held_against_each_other_by_their_words() -> None:
    assert is_same_kind("a product review", "reviews of products")
    assert not is_same_kind("a product review", "a review")
    assert not is_same_kind("a love letter", "letter")
    assert shares_field("a commit title", "commit message")
    assert not shares_field("a chat message", "commit message")


def test_titles_are_one_line_and_messages_short() -> None:
    forms = ("a headline", "a title of a commit", "a chat message", "a review")

    assert [True, True, False, False] == [is_one_line(form) for form in forms]
    assert [True, True, True, False] == [is_short(form) for form in forms]
