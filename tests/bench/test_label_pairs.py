"""What places texts between two labels, before and after labels had to show their worth: a table."""

import pytest
from bench.label_pairs import FILES, KNOWN, list_label_pairs, measure_worth


@pytest.mark.parametrize("file", FILES)
def test_worth_of_label_pairs(file: str) -> None:
    """AUC on the texts that are not seeds, before > after; "-" where no axis is used."""
    heads = [f"{paraphrases} paraphrases, {seeds} seeds" for paraphrases, seeds in KNOWN]
    print(f"\n{file}\n| language, trait | labels | " + " | ".join(heads) + " |")
    print("|---|---|" + "---|" * len(KNOWN))
    used, below = 0, 0
    for pair in list_label_pairs(file):
        cells = []
        for paraphrases, seeds in KNOWN:
            worth = measure_worth(pair, paraphrases, seeds)
            after = "-" if worth.after is None else f"{worth.after:.2f} ({worth.basis})"
            cells.append(f"{worth.before:.2f} > {after}")
            used += worth.after is not None
            below += worth.after is not None and worth.after < 0.6
        print(f"| {pair.language}, {pair.name} | {' / '.join(pair.labels)} | " + " | ".join(cells) + " |")
    print(f"{used} axes are used, {below} of them stand below .6")

    assert used
