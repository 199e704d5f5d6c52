"""The model card tells what a model is, and no text of its author changes the page around it."""

from collections.abc import Callable

import pytest
from fakes.builders import make_trait
from markdown_it import MarkdownIt

from engine.definitions.outline import Outline
from engine.domain.definition import Brief
from engine.domain.model import Skipped
from engine.listing.samples import SampleCount, render_model_card
from engine.report.run_page import escape
from engine.text.formatting import as_cell, as_line

COUNTS = {"clarity": SampleCount(7, 4, 2), "safety": SampleCount()}
PARSER = MarkdownIt("commonmark").enable("table")
OPENERS = ("a\n\n# b\n- c", "---", "> b", "- b", "7. b", "7) b", "```", "| a | b |", "<div>", "    b", "[b]: c", "***")


def make_outline(said: str) -> Outline:
    return Outline(
        handle="u22a8.test",
        traits=(
            make_trait(name=said, description=said, positive_label="Clear", positive_paraphrase=(said,)),
            make_trait("safety", name="Safety at work", description="", positive_label=said, negative_label="Not safe"),
        ),
        description=said,
        brief=Brief(intent=(said,), exemplars_of_good=("A name.", said)),
        additional_terms=(said,),
        upstream_sources=(said,),
        skipped=(Skipped(said, "not read"),),
    )


def list_blocks(text: str) -> list[str]:
    """The kinds of block on a page, as a reader of markdown sees them."""
    return [token.type for token in PARSER.parse(text)]


def test_card_tells_all_that_the_definition_has_and_that_of_a_bare_model_has_no_empty_parts() -> None:
    card = render_model_card(make_outline("Plain."), COUNTS)
    bare = render_model_card(Outline("u22a8.bare"), {})

    assert card.startswith("# u22a8.test\n\nPlain.\n\n## Traits\n")
    assert "| `clarity` | Clear | 4 | Obscure | 2 | 7 |\n| `safety` | Plain. | 0 | Not safe | 0 | 0 |\n" in card
    assert "### Plain.\n\nPlain.\n\n- Type: `spectrum`\n- Positive: Clear\n  - Plain.\n" in card
    assert "## Brief\n\n### Intent\n\n- Plain.\n\n### Exemplars of good\n\n- A name.\n- Plain.\n" in card
    for title in ("Additional terms", "Upstream sources", "Not read here"):
        assert f"## {title}\n\n- Plain." in card
    assert (
        "# u22a8.bare\n\n## Traits\n\nThis model has no traits yet: they are to be discovered from its texts.\n" == bare
    )


@pytest.mark.parametrize("text", OPENERS)
def test_no_text_opens_a_block_of_its_own(text: str) -> None:
    plain, hostile = (render_model_card(make_outline(said), COUNTS) for said in ("plain", text))

    assert list_blocks(plain) == list_blocks(hostile)
    assert list_blocks("- plain") == list_blocks(f"- {escape(text)}")


def test_plain_text_stays_as_it_is_and_a_cell_within_its_bars() -> None:
    for text in ("A plain sentence.", "7 days", "#1 of all", "-5 degrees", "*so* kind", "a | b"):
        assert text == as_line(text)
    assert "a \\| b c" == as_cell("a | b\nc")


@pytest.mark.parametrize("text", [r"\\[x](http://e.test)", r"!\[x](http://e.test)", r"\<b>x</b>", r"a \| b", "x \\"])
@pytest.mark.parametrize("write", [as_line, as_cell, escape], ids=["line", "cell", "run page"])
def test_text_with_backslashes_reads_as_it_is(write: Callable[[str], str], text: str) -> None:
    page = f"- {write(text)}" if write is as_line else f"| a | b |\n|---|---|\n| x | {write(text)} |"
    *_, last = [token for token in PARSER.parse(page) if token.type == "inline"]
    parts = last.children or []

    assert {part.type for part in parts} <= {"text", "text_special"}
    assert text == "".join(part.content for part in parts)
