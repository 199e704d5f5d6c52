"""A limit on cost is never passed, however many machines are lost on the way and whenever that happens."""

import random
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.long import choose, longer
from fakes.spender import CALL_USD, start_spender

from engine.settings import RepliesPlace

# Less than all calls cost.
CALLS, LIMIT_USD = 1000, 0.3
MACHINES = choose(once=1, at_length=3)


@longer
@pytest.mark.parametrize("seed", range(choose(once=1, at_length=20)))
def test_limit_holds_over_machines_that_are_lost_one_after_another(
    place: RepliesPlace, tmp_path: Path, seed: int
) -> None:
    rng, paid = random.Random(seed), 0
    for number in range(MACHINES + 1):
        # Another machine has nothing of the folder of the one before, but where the database itself is in it.
        own = replace(place, cache_dir=str(tmp_path / f"machine-{number}")) if place.url else place
        machine = start_spender(own, CALLS, LIMIT_USD)
        assert machine.stdout
        if number < MACHINES:
            paid += len(machine.stdout.read(rng.randrange(1, 150)))
            machine.kill()
        said, _ = machine.communicate()
        paid += len(said)
    print(f"${paid * CALL_USD:.3f} of ${LIMIT_USD:g} spent over {MACHINES} lost machines and one more")

    assert 3 == machine.returncode
    # Each lost machine takes along the bounds of what it had in flight; the rest is used.
    assert 0.5 * LIMIT_USD < paid * CALL_USD <= LIMIT_USD
