"""Whole runs in four languages: right texts are attached, wrong ones are rejected, each with its reason."""

import json
from collections import Counter
from collections.abc import Sequence

import pandas as pd
import pytest
from fakes.languages import ENGLISH, GERMAN, HINDI, SPOKEN, Spoken
from fakes.provider import Behaviour, Provider
from fakes.workspace import Workspace, read_kept, read_rejected

from engine.domain.model import POLES
from engine.errors import QuotaError
from engine.store.layout import VERDICT
from engine.text.words import ends_sentence

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server")]

WANTED = 8


def bring(workspace: Workspace, spoken: Spoken) -> None:
    """Gives the workspace's model its definition and its seeds in the language."""
    (workspace.model / "model.yaml").write_text(spoken.model, encoding="utf-8")
    lines = [
        json.dumps({"content": text, spoken.trait: float(pole == "positive")}, ensure_ascii=False)
        for pole in POLES
        for text in spoken.seeds[pole]
    ]
    (workspace.model / "samples.jsonl").write_text("\n".join(lines), encoding="utf-8")


def is_right(spoken: Spoken, pole: str, text: str) -> bool:
    """Whether a text is made of the sentences of its pole and of nothing else."""
    for sentence in spoken.sentences["positive" if pole == "positive" else "negative"]:
        text = text.replace(sentence, "")
    return not text.strip()


def show(spoken: Spoken, notes: Sequence[str], kept: pd.DataFrame, rejected: pd.DataFrame) -> None:
    print(f"\n{spoken.tag}", *notes, f"rejected: {dict(Counter(rejected['reason']))}", sep="\n  ")
    for pole in POLES:
        print(f"  {pole}", *kept[kept["pole"] == pole]["text"].head(4), sep="\n    ")


@pytest.mark.parametrize("tag", list(SPOKEN))
def test_right_texts_are_attached_and_wrong_ones_rejected_with_their_reason(
    workspace: Workspace, provider: Provider, tag: str
) -> None:
    spoken = SPOKEN[tag]
    bring(workspace, spoken)
    provider.behaviour = Behaviour(language=tag, strayed=0.35)
    workspace.write_effort(exemplars_per_pole=WANTED)
    workspace.run()
    (folder,) = workspace.list_sets()
    kept, rejected = read_kept(folder), read_rejected(folder)
    verdict = json.loads((folder / VERDICT).read_text(encoding="utf-8"))
    wrong = {reason: list(rows["text"]) for reason, rows in rejected.groupby("reason")}
    show(spoken, verdict["notes"], kept, rejected)

    assert dict.fromkeys(POLES, WANTED) == Counter(kept["pole"])
    assert [] == [row.text for row in kept.itertuples() if not is_right(spoken, str(row.pole), str(row.text))]
    assert set(wrong["wrong_language"]) <= set(ENGLISH)
    assert all(text.startswith(spoken.labels) for text in wrong["label_leak"])
    assert not any(ends_sentence(text) for text in wrong["truncated"])
    assert set(wrong["seed_copy"]) <= {text for texts in spoken.seeds.values() for text in texts}
    others = {"surplus", "near_duplicate", "duplicate"}
    assert {"wrong_language", "label_leak", "truncated", "seed_copy"} == set(wrong) - others
    assert verdict["notes"][0].endswith(f" ({tag}): the seeds are.")
    # The encoder has a say in its own languages only.
    measured = [verdict["variety"][spoken.trait][pole]["mean_cosine"] for pole in POLES]
    said = f"The sentence encoder does not know {spoken.name}: "
    unknown = any(note.startswith(said) for note in verdict["notes"])
    assert [tag == HINDI.tag] * 4 == [
        *(figure is None for figure in (*measured, verdict["probe"][spoken.trait]["auc"])),
        unknown,
    ]
    subjects, *exemplars = [list(body["messages"]) for body in provider.bodies]
    assert f"The texts will be in {spoken.name}" in subjects[-1]["content"]
    assert all(f"wholly in {spoken.name}" in system["content"] for system, *_ in exemplars)


def test_run_that_is_answered_in_another_language_ends_after_its_first_round(
    workspace: Workspace, provider: Provider
) -> None:
    bring(workspace, GERMAN)
    workspace.write_effort(exemplars_per_pole=WANTED, top_up_rounds=4)
    with pytest.raises(QuotaError, match=r"field 'language' of model\.yaml") as failure:
        workspace.run()
    print(failure.value)

    # The subjects, and two texts for each exemplar of either pole.
    assert 1 + 2 * 2 * WANTED == len(provider.calls)
