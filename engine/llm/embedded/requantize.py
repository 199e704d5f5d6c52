"""Makes a GGUF file that is quicker to ask: tensors of Q5_0, for which llama.cpp has no packed kernel, become Q4_0.

Calls take .68 of the CPU time; docs/decisions/010-embedded.md has the measurements.
"""

from pathlib import Path

# Only looked up token by token, so that its kind costs no time.
KEPT = "token_embd.weight"


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
        changed = [item.tensor_type == slow and item.name != KEPT for item in reader.tensors]
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
