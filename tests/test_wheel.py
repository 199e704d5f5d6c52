"""The project installed from its wheel, with no checkout beside it: it brings all that it reads, and writes at home."""

import hashlib
import subprocess
import sys
from email import message_from_string
from pathlib import Path

from fakes.elsewhere import build_wheel
from fakes.site import clear_environment

from engine.settings import PROJECT_ROOT

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


def test_wheel_says_its_licence_and_brings_its_text(tmp_path: Path) -> None:
    [folder] = build_wheel(tmp_path / "wheel").glob("exemplars-*.dist-info")
    fields = message_from_string((folder / "METADATA").read_text(encoding="utf-8"))

    assert ("Apache-2.0", ["LICENSE"]) == (fields["License-Expression"], fields.get_all("License-File"))
    assert (PROJECT_ROOT / "LICENSE").read_bytes() == (folder / "licenses/LICENSE").read_bytes()
    # The text at apache.org/licenses/LICENSE-2.0.txt.
    assert (
        "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"
        == hashlib.sha256((folder / "licenses/LICENSE").read_bytes()).hexdigest()
    )


def test_installed_command_begins_a_model_at_home_which_editors_can_complete(tmp_path: Path) -> None:
    code, home = build_wheel(tmp_path / "wheel"), tmp_path / "home"
    home.mkdir()
    begin = "from flows.cli.app import main; print(main(['new', 'acme.food']), main(['validate', '--no-hints']))"
    ended = subprocess.run(
        [sys.executable, "-c", begin],
        cwd=home,
        env={**clear_environment(), "PYTHONPATH": str(code), "HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    models = home / "exemplars" / "data" / "models"
    definition = models / "acme.food" / "model.yaml"

    assert [
        str(definition),
        "acme.food: no mistakes, 0 samples",
        "1 model: no mistakes",
        "0 0",
    ] == ended.stdout.splitlines()
    assert f"those that come with the code are in {code / 'engine' / 'data' / 'models'}" in ended.stderr
    assert "# yaml-language-server: $schema=../model.schema.json" == definition.read_text().splitlines()[0]
    assert (models / "model.schema.json").is_file()
    assert (code / "engine" / "data" / "noise" / "en.yaml").is_file()


def test_wheel_brings_the_catalogue_the_dial_and_the_deployments_whatever_lies_around_it(tmp_path: Path) -> None:
    code, home = build_wheel(tmp_path / "wheel"), tmp_path / "home"
    # Of a package that brings its own into site-packages, of a project that this is installed into, and of the one
    # that a person works in.
    for folder in (code, code.parent, home):
        (folder / "data" / "models").mkdir(parents=True)
        (folder / "pyproject.toml").write_text("[project]\nname = 'other'\n")
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
    assert [] == [name for name in ("engine", "exemplars", "flows") if not (code / name / "py.typed").is_file()]
