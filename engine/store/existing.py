"""Read what the store holds for a model: its samples by pool, proposals, and the decisions of reviews."""

from collections.abc import Collection
from typing import get_args

from engine.domain.model import Existing, Pool
from engine.store.index.samples import open_samples
from engine.store.layout import PROPOSED
from engine.store.proposals import list_all, read_refused, read_reviewed
from engine.store.store import digest_sets


def read_existing(
    samples_uri: str, handle: str, reviews_teach: bool = True, replaces: Collection[str] = ()
) -> Existing:
    """Return the stored samples of a model: attached, held out and proposed ones, and the decisions of reviews.

    Args:
        reviews_teach: whether texts that a person accepted count.
        replaces: the run ids of sets that count as detached.

    Raises:
        StoreError: a set cannot be read.
    """
    sets = [item.as_detached() if item.run_id in replaces else item for item in list_all(samples_uri, handle)]
    train, held_out = (
        [item for item in sets if f"/pool={pool}/" in item.folder and item.status == "attached"]
        for pool in get_args(Pool)
    )
    proposed = [item for item in sets if item.status == "proposed"]
    return Existing(
        attached=open_samples(train),
        attached_digests=digest_sets(train),
        held_out=open_samples(held_out),
        held_out_digests=digest_sets(held_out),
        proposed=open_samples(proposed) if proposed else (),
        proposed_digests=tuple((item.run_id, item.manifest["files"][PROPOSED]["sha256"]) for item in proposed),
        refused=read_refused(sets),
        reviewed=read_reviewed(sets) if reviews_teach else (),
        stored_runs=tuple(item.run_id for item in (*train, *held_out)),
        replaces=tuple(replaces),
    )
