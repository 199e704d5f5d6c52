"""The project installed from its wheel, with no checkout beside it: it brings all that it reads, and writes at home."""

import subprocess
import sys
from pathlib import Path

from fakes.elsewhere import build_wheel
from fakes.site import clear_environment

LOOK = """
from engine.definitions.scenario_packs import SCENARIOS_FOLDER
from engine.run.job import load_job
from engine.definitions.scenario_packs import load_packs
from engine.settings import read_settings
from flows.deploy.deployments import read_prefect_file
from engine.generation.prompts import prompts_version

settings = read_settings()
job = load_job(settings, "u22a8.technical-writing", "from_traits", "low", dry=True)
print(job.level.exemplars_per_pole, len(job.model.traits), bool(load_packs(SCENARIOS_FOLDER)), bool(prompts_version()))
print(len(read_prefect_file()["deployments"]) >= 4)
print(settings.locate(settings.samples_uri))
"""


def test_wheel_brings_the_catalogue_the_dial_and_the_deployments(tmp_path: Path) -> None:
    code, home = build_wheel(tmp_path / "wheel"), tmp_path / "home"
    home.mkdir()
    ended = subprocess.run(
        [sys.executable, "-c", LOOK],
        cwd=home,
        env={**clear_environment(), "PYTHONPATH": str(code), "HOME": str(home), "PREFECT_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert "" == ended.stderr
    assert ["8 2 True True", "True", str(home / "exemplars" / "data" / "samples")] == ended.stdout.splitlines()
    assert (code / "expectations" / "run.json").is_file()
