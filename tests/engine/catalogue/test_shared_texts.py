"""Texts that another model has too are found, however many models have them, and those of one model alone are not."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from fakes.stored import attach_texts

from engine.catalogue.examine import SignedSet
from engine.catalogue.shared_texts import find_shared_texts
from engine.domain.samples import make_id
from engine.store.layout import SAMPLES
from engine.store.store import locate_set
from engine.text.signatures import NEAR, sign

A, B, C = "u22a8.a", "u22a8.b", "u22a8.c"
TEXT = "Each page stays in the cache for ten minutes, and then the server builds it again from its parts."
NEAR_TEXT = "Each page stays in the cache for ten minutes, and then the server builds it again from its pieces."
OTHERS = (
    "A reset link works once and lasts for one hour after we have sent it.",
    "Backups run every night at two, and we keep seven of them.",
)


def attach(samples: Path, texts: Mapping[str, Sequence[str]]) -> list[SignedSet]:
    return [
        SignedSet(handle, "train", attach_texts(samples, handle, own), sign(own, NEAR.nearness.permutations))
        for handle, own in texts.items()
    ]


def test_near_duplicate_of_another_model_is_found_with_its_id(tmp_path: Path) -> None:
    signed = attach(tmp_path, {A: [TEXT, OTHERS[0]], B: [OTHERS[1], NEAR_TEXT]})
    [found] = find_shared_texts(str(tmp_path), signed).values()

    assert (B, {A: 1}, (make_id(B, "clarity", NEAR_TEXT),)) == (found.handle, found.others, found.ids)
    assert (NEAR_TEXT, A, TEXT) == (found.text, found.other, found.other_text)
    assert 0.7 < found.similarity < 1
    # A set that is gone meanwhile shares nothing.
    (Path(locate_set(str(tmp_path), A, "train", signed[0].run_id)) / SAMPLES).unlink()
    assert {} == find_shared_texts(str(tmp_path), signed)
