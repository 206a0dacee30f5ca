"""outcomes.parquet: the journal for those who read columns.

In: journal lines as dicts.
Out: a Parquet file with the same names and nesting.
Does not know where the lines come from.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import fields
from typing import IO, TYPE_CHECKING, Any

from extractor.journal.files import BATCH_OUTCOMES, batched
from extractor.records import MadeBy, Usage

if TYPE_CHECKING:
    import pyarrow


def write_table(lines: Iterable[dict[str, Any]], file: IO[bytes]) -> None:
    """The journal as Parquet: same names and nesting; `feed` as JSON text, its keys are the feed's own."""
    import pyarrow as pa  # here, because only the end of a run needs it
    from pyarrow.parquet import ParquetWriter

    schema = _table_schema()
    with ParquetWriter(file, schema, compression="zstd") as writer:
        for batch in batched(lines, BATCH_OUTCOMES):
            rows = [line | {"feed": json.dumps(line["feed"], ensure_ascii=False)} for line in batch]
            writer.write_table(pa.Table.from_pylist(rows, schema))


def _table_schema() -> pyarrow.Schema:
    import pyarrow as pa

    def struct(**columns: pa.DataType) -> pa.DataType:
        return pa.struct(list(columns.items()))

    text, number, real = pa.string(), pa.int64(), pa.float64()
    value = dict.fromkeys(("attribute", "surface", "canonical", "unit"), text)
    value |= {"span": pa.list_(number), "source": text, "how": text, "confidence": real}
    usage = dict.fromkeys(Usage().counts, number) | {"latency_s": real}
    columns = {
        **dict.fromkeys(("product_id", "content_hash", "where", "title", "description"), text),
        "category": struct(id=text, path=pa.list_(text), confidence=real),
        "values": pa.list_(struct(**value)),
        "rejections": pa.list_(struct(product_id=text, attribute=text, reason=text, detail=text)),
        "feed": text,
        "usage": struct(**usage),
        "made_by": struct(**dict.fromkeys((made.name for made in fields(MadeBy)), text)),
    }
    return pa.schema(list(columns.items()))
