"""The project installed from its wheel, with no checkout beside it: it brings all that it reads, and writes at home."""

import hashlib
import subprocess
import sys
import sysconfig
import zipfile
from email import message_from_string
from pathlib import Path

import pytest
from fakes.blocks import find_blocks
from fakes.provider import serve_provider
from fakes.site import clear_environment
from fakes.workspace import ROOT

from engine.settings import PROJECT_ROOT

# Says what it has read, then begins a model.
PROGRAM = """
from engine.definitions.scenario_packs import SCENARIOS_FOLDER, load_packs
from engine.asking.prompts import prompts_version
from engine.domain.run_request import RunRequest
from engine.run.job import load_job
from engine.settings import read_settings
from flows.cli.app import main
from flows.deploy.deployments import read_prefect_file

settings = read_settings()
job = load_job(settings, RunRequest("u22a8.technical-writing", "from_traits", "low"), dry=True)
print(job.level.exemplars_per_pole, len(job.model.traits), bool(load_packs(SCENARIOS_FOLDER)), bool(prompts_version()))
print(len(read_prefect_file()["deployments"]) >= 4)
print(settings.samples_uri)
print(main(["new", "acme.food"]), main(["validate", "--no-hints"]))
"""
OWN_PROJECT = find_blocks((ROOT / "docs/guides/in-your-project.md").read_text())
# Runs a notebook's cell, in which ``await`` may stand.
CELL = """
import ast, asyncio, pathlib
cell = compile(pathlib.Path("cell").read_text(), "cell", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
asyncio.run(eval(cell, {}))
"""
# The text at apache.org/licenses/LICENSE-2.0.txt.
LICENCE = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    building = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(building, cwd=ROOT, check=True, capture_output=True)
    [built] = folder.glob("*.whl")
    return built


def test_wheel_brings_what_it_reads_whatever_lies_around_it_and_begins_a_model_at_home(
    wheel: Path, tmp_path: Path
) -> None:
    code, home = tmp_path / "wheel" / "unpacked", tmp_path / "home"
    zipfile.ZipFile(wheel).extractall(code)
    # Of a package that brings its own into site-packages, of a project that this is installed into, and of the one
    # that a person works in.
    for folder in (code, code.parent, home):
        (folder / "data" / "models").mkdir(parents=True)
        (folder / "pyproject.toml").write_text("[project]\nname = 'other'\n")
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=home,
        env={**clear_environment(), "PYTHONPATH": str(code), "HOME": str(home), "PREFECT_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    models = home / "exemplars" / "data" / "models"
    definition = models / "acme.food" / "model.yaml"
    [info] = code.glob("exemplars-*.dist-info")
    fields = message_from_string((info / "METADATA").read_text(encoding="utf-8"))

    assert [
        "8 2 True True",
        "True",
        str(home / "exemplars" / "data" / "samples"),
        str(definition),
        "acme.food: no mistakes, 0 samples",
        "1 model: no mistakes",
        "0 0",
    ] == ended.stdout.splitlines(), ended.stderr
    assert ended.stderr.startswith("Look at it, and put labelled texts")
    assert f"those that come with the code are in {code / 'engine' / 'data' / 'models'}" in ended.stderr
    # Which editors complete by the schema beside it.
    assert "# yaml-language-server: $schema=../model.schema.json" == definition.read_text().splitlines()[0]
    assert (models / "model.schema.json").is_file()
    assert (code / "engine" / "data" / "noise" / "en.yaml").is_file()
    assert (code / "expectations" / "run.json").is_file()
    assert [] == [name for name in ("engine", "exemplars", "flows") if not (code / name / "py.typed").is_file()]
    assert ("Apache-2.0", ["LICENSE"]) == (fields["License-Expression"], fields.get_all("License-File"))
    text = (info / "licenses/LICENSE").read_bytes()
    assert (PROJECT_ROOT / "LICENSE").read_bytes() == text
    assert LICENCE == hashlib.sha256(text).hexdigest()


def test_project_of_ones_own_has_its_models_samples_and_notebooks_beside_the_installed_wheel(
    wheel: Path, tmp_path: Path, prefect_server: str
) -> None:
    project, environment = tmp_path / "project", tmp_path / "project" / ".venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    place = Path(sysconfig.get_path("purelib", vars={"base": str(environment)}))
    # What the lock would install there is seen from here: as a line of its own, without the .pth of the checkout.
    (place / "packages.pth").write_text(sysconfig.get_path("purelib"))
    pip = [sys.executable, "-m", "pip", "--python", str(environment / "bin/python"), "install"]
    subprocess.run([*pip, "--quiet", "--no-index", "--no-deps", "--no-compile", str(wheel)], check=True)
    [file], [cell] = ([block.text for block in OWN_PROJECT if block.language == name] for name in ("toml", "python"))
    (project / "exemplars.toml").write_text(file)
    notebooks = project / "notebooks"
    notebooks.mkdir()
    (notebooks / "cell").write_text(cell)
    with serve_provider() as provider:
        variables = {
            **clear_environment(),
            "HOME": str(tmp_path),
            "PREFECT_API_URL": prefect_server,
            "PREFECT_LOGGING_LEVEL": "ERROR",
            "DO_NOT_TRACK": "1",
            "EXEMPLARS_SYNTH_MODEL": provider.model,
            "EXEMPLARS_SYNTH_API_BASE": provider.url,
            "EXEMPLARS_SYNTH_API_KEY": "sk-test",
            "EXEMPLARS_SYNTH_PRICE": "0/0",
        }

        def run(*command: str) -> "subprocess.CompletedProcess[str]":
            return subprocess.run(
                [environment / "bin" / command[0], *command[1:]],
                cwd=notebooks,
                env=variables,
                capture_output=True,
                text=True,
                check=False,
                stdin=subprocess.DEVNULL,
            )

        begun, done = run("exemplars", "new", "acme.reviews"), run("python", "-c", CELL)

    assert f"{project}/models/acme.reviews/model.yaml\n" == begun.stdout, begun.stderr
    assert f"come with the code are in {place}/engine/data/models" in begun.stderr
    assert done.stdout.startswith("acme.reviews: no mistakes, 0 samples, 2 hints\n"), done.stderr
    assert "\nAmount(calls=" in done.stdout
    assert "\n16 attached" in done.stdout
    assert [["warmth", "negative", "8"], ["positive", "8"]] == [
        line.split() for line in done.stdout.splitlines()[-3:-1]
    ]
    assert 1 == len([*(project / "samples/handle=acme.reviews").rglob("samples.parquet")])
    assert {"project"} == {path.name for path in tmp_path.iterdir()} - {".prefect", ".cache"}
