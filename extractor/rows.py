"""A feed's bytes in, its rows out: each with its number, and a record or what is wrong with it.

Tells JSON Lines, CSV, TSV and Parquet, gzipped or not, apart; knows no product and no field. Memory does not
grow with the feed.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import sys
import zlib
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, TextIO, cast

from extractor.errors import ConfigError, FeedError
from extractor.records import clean_text

STDIN = "-"
FORMATS = ("jsonl", "csv", "tsv", "parquet")
# What may not stand at the edge of a text: white space and what shows nothing.
EDGES = "".join(c for c in map(chr, range(0x3001)) if c.isspace()) + "\u200b\u2060\ufeff"

_FORMAT_BY_SUFFIX = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
}
# A mapped column that none of so many records has is taken for a slip of the pen.
_HEAD_ROWS = 1000
# Share of undecodable and control characters from which a file is no text; half of random bytes are.
_BINARY_SHARE = 0.3
# Characters of one CSV cell: bounds what an unclosed quote can swallow, and lets 100 MB pass.
_MAX_CELL = 2**28
_BATCH_ROWS = 1024
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")

# strict=False: a raw tab or line break inside a string is a common slip and does no harm.
parse_json = json.JSONDecoder(strict=False).decode

Record = dict[str, Any]
# Line or row number, counted from 1, and the record there, or one line that says why there is none.
Row = tuple[int, Record | str]


def read_rows(path: str, format: str | None = None) -> Generator[Row, None, None]:
    """Rows of one feed in order; blank lines are left out, but counted.

    Args:
        path: File, or "-" for standard input.
        format: One of `FORMATS`; by default told by the suffix, else by the content.

    Raises:
        FeedError: The feed cannot be read, or no further; the rows before that point were given.
    """
    check_format(format)
    number = 0
    try:
        with _open(path) as stream:
            for number, record in _records(stream, path, format):
                yield number, record
    except (EOFError, OSError, zlib.error) as error:
        raise FeedError(
            f"{path}: cannot be read beyond line {number} ({error}); it is cut off or damaged, get it again"
        ) from error


def check_format(format: str | None) -> None:
    """Refuse a format that there is not."""
    if format is not None and format not in FORMATS:
        raise ConfigError(f"format: {format!r} is unknown; use one of {', '.join(FORMATS)}")


@contextmanager
def _open(path: str) -> Iterator[io.BufferedReader]:
    """The feed's bytes, unpacked where they are gzipped, whatever the name says."""
    try:
        raw: Any = sys.stdin.buffer if path == STDIN else Path(path).open("rb", buffering=0)  # noqa: SIM115
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FeedError(f"{path}: cannot be opened ({reason}); give a feed file, or - for stdin") from error
    with io.BufferedReader(raw) as stream:
        if stream.peek(2)[:2] == b"\x1f\x8b":
            yield io.BufferedReader(cast(Any, gzip.GzipFile(fileobj=stream)))
        else:
            yield stream


def _records(stream: io.BufferedReader, path: str, format: str | None) -> Iterator[Row]:
    head = stream.peek(io.DEFAULT_BUFFER_SIZE)[: io.DEFAULT_BUFFER_SIZE]
    if not head:
        raise FeedError(f"{path}: is empty; give a feed with at least one record")
    format = format or _format(path, head)
    if format == "parquet":
        yield from _parquet_rows(path)
        return
    encoding = "utf-16" if head.startswith(_UTF16_MARKS) else "utf-8-sig"
    if _is_binary(head.decode(encoding, "replace")):
        raise FeedError(f"{path}: is neither UTF-8 text nor Parquet; give JSON Lines, CSV, TSV or Parquet")
    # The csv module wants line ends untouched; JSON Lines end with a line feed and nothing else.
    newline = "\n" if format == "jsonl" else ""
    with io.TextIOWrapper(stream, encoding, errors="replace", newline=newline) as lines:
        if format == "jsonl":
            yield from _json_rows(lines)
        else:
            yield from _csv_rows(lines, path, "\t" if format == "tsv" else None)


def _format(path: str, head: bytes) -> str:
    """By suffix, else by what the first line looks like."""
    suffix = next((s for s in reversed(Path(path).suffixes) if s.lower() != ".gz"), "")
    if path == STDIN or suffix.lower() in _FORMAT_BY_SUFFIX:
        return _FORMAT_BY_SUFFIX.get(suffix.lower(), "jsonl")
    if head.startswith(b"PAR1"):
        return "parquet"
    line = head.removeprefix(b"\xef\xbb\xbf").lstrip().partition(b"\n")[0]
    return "csv" if not line.startswith((b"{", b"[")) and any(c in line for c in b",;\t|") else "jsonl"


def _is_binary(text: str) -> bool:
    bad = sum(c == "\ufffd" or (c < " " and c not in "\t\n\v\f\r\x1b") for c in text)
    return bad > _BINARY_SHARE * len(text)


def _json_rows(lines: Iterable[str]) -> Iterator[Row]:
    for number, line in enumerate(lines, 1):
        if not line.isspace():
            yield number, _json_record(line.rstrip())


def _json_record(line: str) -> Record | str:
    try:
        record = parse_json(line)
    except json.JSONDecodeError as error:
        return f"broken JSON: {error.msg} at column {error.colno}"
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, brackets without end
        return f"broken JSON: {error}"
    return record if isinstance(record, dict) else f"the JSON is {json_kind(record)}, not an object"


def json_kind(value: object) -> str:
    """What a JSON value is, in words."""
    return {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}.get(
        type(value), "a number"
    )


def _csv_rows(lines: TextIO, path: str, delimiter: str | None) -> Iterator[Row]:
    first = lines.readline()
    csv.field_size_limit(_MAX_CELL)
    # strict: a stray quote is told instead of quietly moving text from one cell into another.
    reader = csv.reader(
        chain([first], lines), delimiter=delimiter or max(",;\t|", key=first.count), strict=True
    )
    header: list[str] = []
    for number, cells in _csv_cells(reader):
        if not header:
            header = _header(cells, path)
        elif isinstance(cells, str):
            yield number, cells
        elif len(cells) != len(header):
            yield number, f"the row has {len(cells)} cells, the header {len(header)}"
        else:
            yield number, dict(zip(header, cells, strict=True))


def _csv_cells(reader: Any) -> Iterator[tuple[int, list[str] | str]]:
    """The cells of every row that is not blank, or what is wrong with it, with the line it begins on."""
    while True:
        number = reader.line_num + 1
        try:
            cells: list[str] = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield number, f"broken CSV: {error}"
            continue
        if len(cells) > 1 or "".join(cells).strip():
            yield number, cells


def _header(cells: list[str] | str, path: str) -> list[str]:
    if isinstance(cells, str):
        raise FeedError(f"{path}: its first row is no header ({cells}); give the columns' names there")
    names = [clean_text(cell).strip(EDGES) for cell in cells]
    # An empty name, or one that stood before, is told apart by the column's number.
    return [
        name if name and names.index(name) == i else f"{name or 'column'} {i + 1}"
        for i, name in enumerate(names)
    ]


def _parquet_rows(path: str) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if path == STDIN:
        raise FeedError("stdin: Parquet cannot be read from a pipe; give the file's path")
    number = 0
    try:
        with pq.ParquetFile(path) as file:
            # Python's times end at microseconds; the nanoseconds that pandas writes would be refused.
            times = [
                field.with_type(pa.timestamp("us", field.type.tz))
                if pa.types.is_timestamp(field.type)
                else field
                for field in file.schema_arrow
            ]
            for batch in file.iter_batches(batch_size=_BATCH_ROWS):
                for record in batch.cast(pa.schema(times), safe=False).to_pylist():
                    number += 1
                    yield number, record
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise FeedError(f"{path}: no sound Parquet beyond row {number} ({reason}); write it again") from error


def require_columns(rows: Iterator[Row], mapping: Mapping[str, str], path: str) -> Iterator[Row]:
    """The same rows, once all mapped columns have been seen: usually in the first.

    Raises:
        FeedError: A column is in none of the first rows.
    """
    missing = set(mapping.values())
    seen: dict[str, None] = {}
    head: list[Row] = []
    while missing and len(head) < _HEAD_ROWS and (row := next(rows, None)):
        head.append(row)
        if isinstance(row[1], dict):
            seen.update(dict.fromkeys(row[1]))
            missing -= seen.keys()
    if missing and seen:
        column = next(column for column in mapping.values() if column in missing)
        raise FeedError(f"{path}: has no column {column!r}; map to one of {listed(seen)}")
    yield from chain(head, rows)


def listed(columns: Iterable[str], limit: int = 30) -> str:
    """Column names for a message."""
    names = [clean_text(column) for column in columns]
    return ", ".join(names[:limit]) + (", ..." if len(names) > limit else "")
