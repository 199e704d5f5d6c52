"""Of the file that came one is made that is quicker to ask, and the same but for the tensors that are slow."""

import hashlib
from pathlib import Path

import numpy as np
from fakes.model_sources import make_model
from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter
from gguf.quants import dequantize, quantize

from engine.llm.embedded.download import KEPT_TENSOR, get_model, remove_model, requantize
from engine.llm.embedded.embedded_models import Made

SLOW, QUICK = GGMLQuantizationType.Q5_0, GGMLQuantizationType.Q4_0


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


def test_file_that_came_stays_where_there_is_no_room_for_the_made_one(tmp_path: Path) -> None:
    content = write_file(tmp_path / "came.gguf")
    model = make_model(content, made=Made(file="quick.gguf", bytes=1 << 60, sha256="0" * 64))
    (tmp_path / model.file).write_bytes(content)

    assert tmp_path / model.file == get_model("stand-in", model, tmp_path)


def test_made_file_takes_the_place_of_the_one_that_came_which_stays_where_it_is_not_as_expected(tmp_path: Path) -> None:
    content = write_file(tmp_path / "came.gguf")
    requantize(tmp_path / "came.gguf", tmp_path / "made.gguf")
    right = (tmp_path / "made.gguf").read_bytes()
    paths = []
    for number, sha256 in enumerate((hashlib.sha256(right).hexdigest(), "0" * 64)):
        folder = tmp_path / str(number)
        model = make_model(content, made=Made(file="quick.gguf", bytes=len(right), sha256=sha256))
        folder.mkdir()
        (folder / model.file).write_bytes(content)
        paths.append(get_model("stand-in", model, folder))
        assert [paths[-1]] == [path for path in folder.iterdir() if not path.name.endswith(".lock")]
        assert paths[-1] == model.find(folder) == get_model("stand-in", model, folder)
        assert paths[-1].stat().st_size == remove_model(model, folder)

    assert ["quick.gguf", model.file] == [path.name for path in paths]
