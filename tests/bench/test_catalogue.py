"""What `exemplars catalogue` takes for 1,000 models with 200,000 samples: the first time, with a tenth changed, again.

``EXEMPLARS_BENCH_MODELS`` says how many models there are (1,000), each with 200 samples in two sets, and
``EXEMPLARS_BENCH_STORE`` a folder that keeps them for the next time, which makes them in minutes. Seconds, CPU seconds
and memory are those of the command and all its processes.
"""

import json
import os
import random
import shutil
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path

import pytest
import yaml
from bench.process_tree import Measured, measure_command
from bench.test_process import EXEMPLARS, list_variables
from fakes.builders import make_exemplar, make_stamp
from fakes.workspace import ROOT, make_workspace

from engine.definitions.loader import list_handles, load_model
from engine.domain.model import POLES, Model, Pole
from engine.domain.samples import make_row
from engine.planning.plan import digest_definition
from engine.planning.repeated_seeds import settle_seeds
from engine.store.layout import VERDICT
from engine.store.sample_set import SampleSet
from engine.store.store import write_set

MODELS = int(os.environ.get("EXEMPLARS_BENCH_MODELS", "1000"))
STORE = os.environ.get("EXEMPLARS_BENCH_STORE")
CATALOGUE = str(ROOT / "data/models")
# Of each trait and pole, in each of two sets.
TEXTS = 25
# One text in so many is another model's, but for its last word.
COPIED = 500
# As large as that of a run.
VERDICT_BYTES = 20_000


def name_model(number: int) -> str:
    return f"bench.model-{number:04d}"


@cache
def list_templates() -> tuple[Model, ...]:
    """The models of the catalogue that have two traits with authored samples, by which the others are made."""
    models = [settle_seeds(load_model(CATALOGUE, handle)) for handle in list_handles(CATALOGUE)]
    return tuple(model for model in models if len(model.traits) == 2 and model.seeds)


@cache
def list_words(template: int, trait: str, pole: Pole) -> tuple[list[str], tuple[int, ...]]:
    """The words of the authored samples of a pole, as often as they stand there, and how many words each has."""
    texts = [seed.text.split() for seed in list_templates()[template].seeds_at(trait, pole)]
    return [word for words in texts for word in words], tuple(map(len, texts))


def write_text(template: int, trait: str, pole: Pole, rng: random.Random) -> str:
    """A text of the words of authored ones, in any order: no two are near duplicates by chance."""
    words, lengths = list_words(template, trait, pole)
    return " ".join(rng.choices(words, k=rng.choice(lengths)))


def write_catalogue(folder: Path) -> None:
    """So many models, each like one of the catalogue, with two sets."""
    for number in range(MODELS):
        template = number % len(list_templates())
        source = Path(CATALOGUE) / list_templates()[template].handle
        place = folder / "models" / name_model(number)
        shutil.copytree(source, place)
        content = yaml.safe_load((place / "model.yaml").read_text())
        (place / "model.yaml").write_text(yaml.safe_dump({**content, "description": f"Model {number} of the bench."}))
        for run in range(2):
            attach(folder, number, run)


def attach(folder: Path, number: int, run: int) -> None:
    """Attaches a set to a model, as a run would have left it."""
    template, rng = number % len(list_templates()), random.Random(f"{number}/{run}")
    handle, stamp = name_model(number), make_stamp(f"{number:08d}-{run:04d}")
    stamp = replace(stamp, handle=handle, created_at=stamp.created_at + timedelta(days=run))
    model = settle_seeds(load_model(str(folder / "models"), handle))
    rows = []
    for trait in model.traits:
        for pole in POLES:
            for index in range(TEXTS):
                text = write_text(template, trait.key, pole, rng)
                if number >= len(list_templates()) and rng.randrange(COPIED) == 0:
                    other = random.Random(f"{template}/{run}")
                    text = f"{write_text(template, model.traits[0].key, 'positive', other)} indeed"
                made = make_exemplar(text, pole, index, trait.key)
                rows.append(make_row(made, stamp, f"{stamp.run_id}/{trait.key}/{index}"))
    verdict = {"cost": {"usd": 0.01}, "failed": [], "suites": " " * VERDICT_BYTES}
    inputs = {"definition": digest_definition(model)}
    documents = {VERDICT: json.dumps(verdict)}
    write_set(str(folder / "samples"), SampleSet(stamp, "train", "attached", "plan", rows, [], documents, {}, inputs))


def look(folder: Path, variables: dict[str, str]) -> tuple[Measured, dict[str, int]]:
    """What one survey took, and how many models had each finding."""
    command = [str(EXEMPLARS), "catalogue", "--json", "--to", str(folder / "catalogue.html")]
    measured = measure_command(command, variables, memory=True)
    assert 0 == measured.code
    return measured, json.loads(measured.output)["found"]


@pytest.mark.timeout(7200)
def test_catalogue_of_many_models(tmp_path: Path) -> None:
    folder = Path(STORE) if STORE else tmp_path
    if not (folder / "models").is_dir():
        write_catalogue(folder)
    workspace = make_workspace(tmp_path / "workspace")
    variables = list_variables(workspace) | {
        "EXEMPLARS_MODELS_URI": str(folder / "models"),
        "EXEMPLARS_SAMPLES_URI": str(folder / "samples"),
    }
    print(f"\n{MODELS:,} models, {MODELS * 8 * TEXTS:,} samples")
    print(f"{'':<24}{'seconds':>9}{'CPU s':>9}{'peak MB':>9}  found")
    for name in ("first", "a tenth has another set", "nothing has changed"):
        changed = range(0, MODELS, 10) if "tenth" in name else ()
        run = 2 + len(list((folder / "samples" / f"handle={name_model(0)}" / "pool=train").glob("run=*")))
        for number in changed:
            attach(folder, number, run)
        measured, found = look(tmp_path, variables)
        print(f"{name:<24}{measured.seconds:>9.1f}{measured.cpu_seconds:>9.1f}{measured.peak_mb:>9}  {found}")
