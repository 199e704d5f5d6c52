"""The model card tells what a model is, and no text of its author changes the page around it."""

from collections.abc import Callable

import pytest
from fakes.builders import make_trait
from markdown_it import MarkdownIt

from engine.definitions.outline import Outline
from engine.domain.model import Brief, Skipped
from engine.listing.model_card import render_model_card
from engine.listing.page import SampleCount
from engine.report.run_page import escape
from engine.text.markdown import as_cell, as_line

COUNTS = {"clarity": SampleCount(7, 4, 2), "safety": SampleCount()}
OUTLINE = Outline(
    handle="u22a8.test",
    traits=(
        make_trait(positive_paraphrase=("Short sentences.",)),
        make_trait("safety", name="Safety at work", description="", positive_label="Safe", negative_label="Not safe"),
    ),
    description="Whether notes are understood.",
    brief=Brief(intent=("Keep the clear ones.",), exemplars_of_good=("A name.", "A number.")),
    skipped=(Skipped("url source https://example.org", "legal on the platform, not read here"),),
    additional_terms=("Do not resell.",),
    upstream_sources=("Our own.",),
)


def list_blocks(text: str) -> list[str]:
    """The kinds of block on a page, as a reader of markdown sees them."""
    return [token.type for token in MarkdownIt("commonmark").enable("table").parse(text)]


def test_card_tells_all_that_the_definition_has() -> None:
    card = render_model_card(OUTLINE, COUNTS)

    assert card.startswith("# u22a8.test\n\nWhether notes are understood.\n\n## Traits\n")
    assert "| `clarity` | Clear | 4 | Obscure | 2 | 7 |\n| `safety` | Safe | 0 | Not safe | 0 | 0 |\n" in card
    for part in (
        "### Clarity\n\nHow well it is understood.\n\n- Type: `spectrum`\n- Positive: Clear\n  - Short sentences.\n",
        "### Safety at work\n\n- Type: `spectrum`\n- Positive: Safe\n- Negative: Not safe\n",
        "## Brief\n\n### Intent\n\n- Keep the clear ones.\n\n### Exemplars of good\n\n- A name.\n- A number.\n",
        "## Additional terms\n\n- Do not resell.\n",
        "## Upstream sources\n\n- Our own.\n",
        "## Not read here\n\n- url source https://example.org: legal on the platform, not read here\n",
    ):
        assert part in card


def test_card_of_a_bare_model_has_no_empty_parts() -> None:
    card = render_model_card(Outline("u22a8.bare"), {})

    assert "# u22a8.bare\n\n## Traits\n\nThe traits of this model are still to be discovered.\n" == card


HOSTILE = ("a\n\n# b\n- c", "---", "===", "> b", "- b", "+", "7. b", "7) b", "```", "~~~", "| a | b |", "<div>")


@pytest.mark.parametrize("text", [*HOSTILE, "    b", "[b]: c", "***"])
def test_no_text_opens_a_block_of_its_own(text: str) -> None:
    def render(said: str) -> str:
        trait = make_trait(name=said, description=said, positive_label=said, positive_paraphrase=(said,))
        outline = Outline(
            handle="u22a8.test",
            traits=(trait,),
            description=said,
            brief=Brief(intent=(said,)),
            additional_terms=(said,),
            upstream_sources=(said,),
            skipped=(Skipped(said, "not read"),),
        )
        return render_model_card(outline, COUNTS)

    assert list_blocks(render("plain")) == list_blocks(render(text))


@pytest.mark.parametrize(
    "text", ["A plain sentence.", "7 days", "#1 of all", "-5 degrees", "1.5 hours", "*so* kind", "a | b"]
)
def test_plain_text_stays_as_it_is(text: str) -> None:
    assert text == as_line(text)


LINK = "[x](http://e.test)"


@pytest.mark.parametrize("text", [rf"\\{LINK}", rf"!\{LINK}", r"![x\](http://e.test)", r"\<b>x</b>", r"a \| b", "x \\"])
@pytest.mark.parametrize("write", [as_line, as_cell, escape], ids=["line", "cell", "run page"])
def test_text_with_backslashes_reads_as_it_is(write: Callable[[str], str], text: str) -> None:
    page = f"- {write(text)}" if write is as_line else f"| a | b |\n|---|---|\n| x | {write(text)} |"
    *_, last = [token for token in MarkdownIt("commonmark").enable("table").parse(page) if token.type == "inline"]
    parts = last.children or []

    assert {part.type for part in parts} <= {"text", "text_special"}
    assert text == "".join(part.content for part in parts)


@pytest.mark.parametrize("text", [*HOSTILE, "[b]: c", "***"])
def test_text_on_the_run_page_is_one_item_of_its_list(text: str) -> None:
    assert list_blocks("- plain") == list_blocks(f"- {escape(text)}")


def test_cell_keeps_within_its_bars() -> None:
    assert "a \\| b c" == as_cell("a | b\nc")
