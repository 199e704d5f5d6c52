"""Texts without labels are read of every form, once each; what is wrong is one message with its line."""

import hashlib
import json
from pathlib import Path

import pytest
from fakes.builders import make_parquet

from engine.definitions.loader import load_model
from engine.definitions.sources import text_files
from engine.domain.model import Model
from engine.errors import DefinitionError
from engine.text.near_duplicates import hash_form

HANDLE = "acme.briefe"
TEXTS = ["Die Lieferung kam zu spät.", "「電池」がすぐ切れる。", "Cheers, works!"]
ROWS = "".join(json.dumps({"id": number, "body": text}) + "\n" for number, text in enumerate(TEXTS))


def load(folder: Path, source: str, sources: str = "") -> Model:
    (folder / HANDLE).mkdir(exist_ok=True)
    traits = "traits: [{type: spectrum, key: tone, positive_label: Warm, negative_label: Cold}]\n"
    (folder / HANDLE / "model.yaml").write_text(f"{traits}sources:\n  - {{type: texts, path: {source}}}\n{sources}")
    return load_model(str(folder), HANDLE)


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / HANDLE / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("mails.csv", "id,body\n" + "".join(f'{number},"{text}"\n' for number, text in enumerate(TEXTS)) + "4,\n5\n"),
        ("mails.csv", "id;body\n" + "".join(f'{number};"{text}"\n' for number, text in enumerate(TEXTS))),
        ("mails.jsonl", f"\ufeff{ROWS}\n" + '{"id": 4, "body": null}\n'),
        ("mails.ndjson", ROWS),
        ("mails.txt", "\n".join(["", *TEXTS, "  "])),
    ],
)
def test_each_form_gives_its_texts_and_its_digest(tmp_path: Path, name: str, content: str) -> None:
    path = write(tmp_path, name, content)
    texts = load(tmp_path, f"{name}, field: body").texts
    [file] = texts.files

    assert (set(TEXTS), 3) == (set(texts.drawn), file.texts)
    assert (name, hashlib.sha256(path.read_bytes()).hexdigest()) == (file.path, file.sha256)
    assert [hash_form(text) for text in texts.drawn] == sorted(map(hash_form, TEXTS))
    assert texts.has(hash_form("cheers works"))
    assert not texts.has(hash_form("Cheers, it works!"))


def test_semicolon_in_the_texts_of_a_lone_column_separates_nothing(tmp_path: Path) -> None:
    write(tmp_path, "a.csv", "text\nFirst this; then that.\nPlain.\n")
    assert {"First this; then that.", "Plain."} == {*load(tmp_path, "a.csv, field: text").texts.drawn}


def test_parquet_and_a_folder_of_files_are_read_and_files_of_other_kinds_left(tmp_path: Path) -> None:
    write(tmp_path, "mails.parquet", make_parquet({"body": [*TEXTS, None, " "]}))
    for number, text in enumerate(TEXTS):
        write(tmp_path, f"post/{number}.txt", f"{text}\nSecond line.")
    write(tmp_path, "post/notes.md", "no text of ours")
    model = load(tmp_path, "mails.parquet, field: body", "  - {type: texts, path: post}\n")

    assert [("mails.parquet", 3), ("post", 3)] == [(file.path, file.texts) for file in model.texts.files]
    assert {*TEXTS, *(f"{text}\nSecond line." for text in TEXTS)} == set(model.texts.drawn)
    assert ((), ()) == (model.seeds, model.skipped)


def test_same_text_counts_once_and_of_many_those_with_the_least_keys_are_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_files, "MAX_DRAWN", 3)
    many = [f"Brief {number} über Zoll" for number in range(20)]
    write(tmp_path, "a.txt", "\n".join([*many, *(text.upper() for text in many)]))
    texts = load(tmp_path, "a.txt").texts

    assert tuple(sorted(many, key=hash_form)[:3]) == texts.drawn
    assert all(texts.has(hash_form(text)) for text in many)
    assert (20 * 8, 40) == (len(texts.keys), texts.files[0].texts)


def test_changed_file_is_read_again_and_what_is_above_the_limit_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "a.txt", "Un\nDeux\n")
    first = load(tmp_path, "a.txt")
    for module in (text_files, __import__("engine.definitions.loader", fromlist=["_"])):
        monkeypatch.setattr(module, "MAX_READ", 2)
    write(tmp_path, "a.txt", "Un\nDeux\nTrois\n")
    second = load(tmp_path, "a.txt", "  - {type: texts, path: a.txt}\n")

    assert ({"Un", "Deux"}, ()) == (set(first.texts.drawn), first.skipped)
    assert {"Un", "Deux"} == set(second.texts.drawn)
    assert ["the first 2 texts are read, and no more"] == [item.why for item in second.skipped]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", "id,boddy\n1,x\n", "a.csv:1: header: found id, boddy; allowed: a column 'body'"),
        ("a.csv", "id,body\n1,x\n2,y,z\n", "a.csv:3: line: found 3 cells; allowed: 2, as in the header"),
        ("a.csv", b"body\n\xff\n", "a.csv: file: found bytes that are not UTF-8"),
        ("a.csv", "", "a.csv:1: header: found nothing"),
        ("a.jsonl", '{"body": "x"}\n{"text": "y"}\n', "a.jsonl:2: field: found text; allowed: the text in 'body'"),
        ("a.jsonl", '{"body": "x"}\n[1]\n', "a.jsonl:2: line: found list; allowed: one JSON object a line"),
        ("a.jsonl", '{"body": 3}\n', "a.jsonl:1: body: found 3; allowed: a text of whole"),
        ("a.jsonl", '{"body": "\\ud800"}\n', "a.jsonl:1: body: found"),
        ("a.csv", "body\nOne.\nTwo\0.\n", r"a.csv:3: body: found 'Two\x00.'; allowed: a text of whole"),
        ("a.parquet", "no Parquet", "a.parquet: file: found"),
        ("a.txt", "\n \u200b\n", "a.txt: file: found no text; allowed: at least one"),
        ("a.xlsx", "x", "model.yaml:3: sources.0.path: found 'a.xlsx'; allowed: a .csv, .jsonl"),
    ],
)
def test_mistake_is_one_message_with_its_line(tmp_path: Path, name: str, content: str | bytes, said: str) -> None:
    write(tmp_path, name, content)
    with pytest.raises(DefinitionError) as caught:
        load(tmp_path, f"{name}, field: body")

    assert 1 == len(caught.value.problems)
    assert said in str(caught.value)


def test_what_is_not_there_or_lies_elsewhere_is_told_with_the_line_of_model_yaml(tmp_path: Path) -> None:
    write(tmp_path, "post/a.md", "x")
    (tmp_path / "far.txt").write_text("x")
    (tmp_path / HANDLE / "post" / "b.txt").symlink_to(tmp_path / "far.txt")
    for source, said in (
        ("gone.csv", "'gone.csv', which is not there; allowed: a file in the model's folder"),
        ("post", "'post', a link to elsewhere"),
        ("../far.txt", "a path inside the model's own folder"),
    ):
        with pytest.raises(DefinitionError) as caught:
            load(tmp_path, source)
        assert f"{HANDLE}/model.yaml:3: sources.0.path" in str(caught.value)
        assert said in str(caught.value)
