"""Many seeds, and vectors for them that cost nothing to compute."""

from engine.domain.model import POLES, Seed


def make_crowd(count: int) -> tuple[Seed, ...]:
    """So many seeds a pole of the trait clarity."""
    return tuple(
        Seed("clarity", f"{pole} text {index}", float(pole == "positive")) for pole in POLES for index in range(count)
    )
