"""Rows of one direction are one group, whatever their order."""

import numpy as np

from engine.text.embedding import group_rows

AXES = np.eye(3)


def test_rows_of_one_direction_are_one_group() -> None:
    order = [0, 1, 2, 1, 0, 2, 2, *[2] * 50]
    owners, centres = group_rows(AXES[order], 3)
    fewer, _ = group_rows(AXES[order], 2)

    assert np.array_equal(AXES[order], centres[owners])
    assert 2 == len(set(fewer.tolist()))


def test_fewer_rows_than_groups_and_rows_without_direction_do_no_harm() -> None:
    owners, centres = group_rows(np.vstack([AXES[:1], np.zeros((1, 3))]), 5)

    assert (0, (2, 3)) == (owners[0], centres.shape)
