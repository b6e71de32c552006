"""How the columns of a shard are written, by what they hold."""

from typing import Any

import pyarrow as pa


def column_options(schema: pa.Schema) -> dict[str, Any]:
    """
    How [`pyarrow.parquet.write_table`] writes the columns of a schema: binary ones hold FLAC, which does not become
    smaller, is read faster as it is, and has neither repetitions nor an order.

    Args:
        schema (`pa.Schema`): Of the table.

    Returns:
        `dict[str, Any]`: `compression`, `use_dictionary` and `write_statistics`, by Parquet's paths.
    """
    binary, others = [], []

    def visit(path: str, kind: pa.DataType) -> None:
        if pa.types.is_struct(kind):
            for field in kind:
                visit(f"{path}.{field.name}", field.type)
        elif pa.types.is_list(kind):
            visit(f"{path}.list.element", kind.value_type)
        else:
            (binary if pa.types.is_binary(kind) else others).append(path)

    for field in schema:
        visit(field.name, field.type)
    compression = dict.fromkeys(binary, "none") | dict.fromkeys(others, "zstd")
    return {"compression": compression, "use_dictionary": others, "write_statistics": others}
