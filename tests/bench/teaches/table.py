"""The table of the yardstick: the mean and the spread over the draws, for each arm and model, as markdown."""

import json
import statistics
from collections import defaultdict

from engine.settings import PROJECT_ROOT


def main() -> None:
    """Prints the table of what ``run.py`` has written."""
    rates: dict[tuple[str, str], dict[int, float]] = defaultdict(dict)
    for text in (PROJECT_ROOT / "data/cache/teaches.jsonl").read_text().splitlines():
        line = json.loads(text)
        rates[line["arm"], line["model"]][line["draw"]] = line["wordllama"]
    models = sorted({model for _, model in rates})
    print("| arm | " + " | ".join(models) + " |\n|---|" + "---|" * len(models))
    for arm in dict.fromkeys(arm for arm, _ in rates):
        print(f"| {arm} | " + " | ".join(_tell(list(rates[arm, model].values())) for model in models) + " |")


def _tell(values: list[float]) -> str:
    """The mean, the standard deviation between draws, and how many there were."""
    if not values:
        return ""
    mean = f"{statistics.mean(values):.2f}"
    return f"{mean} ± {statistics.stdev(values):.2f} ({len(values)})" if len(set(values)) > 1 else mean


if __name__ == "__main__":
    main()
