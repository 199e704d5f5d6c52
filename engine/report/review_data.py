"""What a person is shown of each text of a proposed set: ``review.json``, beside the proposed rows."""

import json

import numpy as np

from engine.axis.pole_scores import measure_pole_positions
from engine.choosing.rounds import Rounds
from engine.domain.samples import make_id
from engine.text.embedding import Embedder


def write_review_data(rounds: Rounds, embedder: Embedder) -> str:
    """The traits with the words of their poles, and of each chosen exemplar, by its id, where it lies.

    ``position`` is that between the poles in [0, 1], 1 the positive one; ``side`` is how far the probe finds it on its
    own pole's side, the lower the more doubtful; ``nearest`` the id of the text that is most like it, with the cosine
    of both. Each is null where the encoder has no say.
    """
    handle, chosen = rounds.plan.model.handle, rounds.choice.chosen
    ids = [make_id(handle, item.trait, item.text or "") for item in chosen]
    positions = measure_pole_positions(rounds.plan.axes, chosen, embedder)
    sides: dict[str, float] = {}
    for probe in rounds.recheck.probes:
        own = [item for item in chosen if item.trait == probe.trait]
        for item, (positive, score) in zip(own, probe.scores, strict=False):
            sides[item.key] = round(score if positive else -score, 4)
    nearest = _find_nearest(rounds, embedder)
    data = {
        "handle": handle,
        "traits": {
            trait.key: {"name": trait.name, "positive": trait.label("positive"), "negative": trait.label("negative")}
            for trait in rounds.plan.model.traits
        },
        "samples": {
            str(sample_id): {
                "position": positions.get(item.key),
                "side": sides.get(item.key),
                "nearest": [ids[nearest[place][0]], nearest[place][1]] if nearest else None,
            }
            for place, (sample_id, item) in enumerate(zip(ids, chosen, strict=True))
        },
    }
    return json.dumps(data, ensure_ascii=False) + "\n"


def _find_nearest(rounds: Rounds, embedder: Embedder) -> list[tuple[int, float]]:
    """The place of the nearest other text, and the cosine, of each chosen exemplar; none for a lone one."""
    texts = [item.text or "" for item in rounds.choice.chosen]
    if not rounds.plan.language.encoder_has_say or len(texts) < 2:
        return []
    vectors = embedder.embed(texts)
    likeness = vectors @ vectors.T
    np.fill_diagonal(likeness, -1.0)
    places = likeness.argmax(axis=1)
    return [(int(place), round(float(likeness[row, place]), 3)) for row, place in enumerate(places)]
