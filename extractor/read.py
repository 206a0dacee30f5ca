"""Product feeds -> products, in the order of the feed.

In: paths of JSON Lines, CSV or TSV (plain or gzipped) or Parquet files, "-" for standard input, and a mapping
of our field names to the feed's columns. Out: one Product or Unreadable a record. Memory does not grow with
the feed, and reading twice gives the same records. Knows nothing of duplicates, categories or runs.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from extractor.errors import ConfigError
from extractor.records import Product, Unreadable, clean_text
from extractor.rows import (
    EDGES,
    STDIN,
    Record,
    check_format,
    json_kind,
    listed,
    parse_json,
    read_rows,
    require_columns,
)

# Our field -> columns it is read from when the mapping does not name one, best first.
ALIASES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "id": ("id", "sku", "product_id", "asin", "uniq_id"),
        "title": ("title", "name", "product_name", "product_title"),
        "description": ("description", "desc", "short_description"),
        "brand": ("brand", "manufacturer"),
        "category_path": ("category_path", "category"),
        "attributes": ("attributes",),
    }
)

# Of a product id in UTF-8: what all servers take as a key, with room for a prefix (PostgreSQL 2,704, Neo4j 8,167).
MAX_ID_BYTES = 512
_NO_MAPPING: Mapping[str, str] = MappingProxyType({})
# Most telling first: a name may hold a slash, hardly a ">>".
_PATH_SEPARATORS = (">>", ">", "\u203a", "|", "/")


def check_feeds(
    paths: Sequence[str], mapping: Mapping[str, str] = _NO_MAPPING, *, format: str | None = None
) -> None:
    """Begin to read every feed, to find what is wrong with it before a model is loaded.

    Standard input and named pipes are left alone, since what is read of them is gone.

    Raises:
        ConfigError: The format is unknown, or standard input is named twice.
        FeedError: A feed is missing, empty, no feed, or lacks a mapped column.
    """
    check_format(format)
    if list(paths).count(STDIN) > 1:
        raise ConfigError("feeds: - (standard input) is given more than once; give it once")
    for path in paths:
        if path != STDIN and not Path(path).is_fifo():
            with closing(read_feed(path, mapping, format=format)) as products:
                next(products, None)


def read_feeds(
    paths: Sequence[str], mapping: Mapping[str, str] = _NO_MAPPING, *, format: str | None = None
) -> Iterator[Product | Unreadable]:
    """Read several feeds one after the other; see `read_feed`."""
    names = _names(paths)
    for path in paths:
        yield from read_feed(path, mapping, format=format, name=names[path])


def read_feed(
    path: str,
    mapping: Mapping[str, str] = _NO_MAPPING,
    *,
    format: str | None = None,
    name: str | None = None,
) -> Generator[Product | Unreadable, None, None]:
    """Read one feed.

    Args:
        path: File, or "-" for standard input.
        mapping: Our field -> the feed's column. A field that is none of `ALIASES` names a fact.
        format: One of `rows.FORMATS`; by default told by the suffix, else by the content; JSON Lines
            on standard input.
        name: What `where` calls the feed; by default the file's name, or "stdin".

    Raises:
        FeedError: The feed cannot be read, or no further; the records before that point were given.
    """
    name = name or _name(path)
    with closing(read_rows(path, format)) as rows:
        for number, record in require_columns(rows, mapping, path):
            where = f"{name}:{number}"
            if isinstance(record, str):
                yield Unreadable(where, where, record)
            else:
                yield read_record(record, where, mapping)


def read_record(record: Record, where: str, mapping: Mapping[str, str] = _NO_MAPPING) -> Product | Unreadable:
    """One record as its feed states it; `where` is its id too if it states none. `mapping`: see `read_feed`."""
    return _product(record, where, _layout(tuple(record), tuple(mapping.items())))


def _name(path: str) -> str:
    return "stdin" if path == STDIN else Path(path).name


def _names(paths: Sequence[str]) -> dict[str, str]:
    """The shortest path ends that tell the feeds apart: ids of records without one are made of them."""
    names = {path: _name(path) for path in paths}
    for depth in range(2, max((len(Path(path).parts) for path in paths), default=0) + 1):
        if len(set(names.values())) == len(names):
            break
        names = {path: "/".join(Path(path).parts[-depth:]) if path != STDIN else "stdin" for path in paths}
    return names


class _Layout(NamedTuple):
    """Which columns of a record are what; the same for all records with these columns."""

    # Our field -> columns to look at, best first.
    sources: Mapping[str, tuple[str, ...]]
    # Column -> name of the fact it is, unless a field takes it.
    facts: Mapping[str, str]


@lru_cache(maxsize=256)
def _layout(columns: tuple[str, ...], mapping: tuple[tuple[str, str], ...]) -> _Layout:
    mapped = dict(mapping)
    free = {_spelling(c): c for c in reversed(columns) if c not in mapped.values()}
    sources = {
        field: (mapped[field],) if field in mapped else tuple(free[a] for a in aliases if a in free)
        for field, aliases in ALIASES.items()
    }
    renamed = {column: field for field, column in mapping if field not in ALIASES}
    return _Layout(sources, {column: renamed.get(column) or clean_text(column) for column in columns})


def _spelling(column: str) -> str:
    """ "Product Name", "product-name" and "product_name" are one column."""
    return column.strip(EDGES).casefold().replace(" ", "_").replace("-", "_")


def _product(record: Record, where: str, layout: _Layout) -> Product | Unreadable:
    chosen = {field: _first_stated(record, columns) for field, columns in layout.sources.items()}
    given = {field: record[column] for field, column in chosen.items() if column is not None}
    product_id = _text(given.get("id")) or where
    if (size := len(product_id.encode())) > MAX_ID_BYTES:
        detail = f"its id has {size:,} bytes, a key at most {MAX_ID_BYTES}"
        return Unreadable(where, where, f"{detail}; shorten it, or take another column: --map id=COLUMN")
    title = given.get("title")
    if isinstance(title, (dict, list)):
        return Unreadable(product_id, where, f"the title is {json_kind(title)}, not text")
    if not (title := _text(title)):
        return Unreadable(product_id, where, f"no title; the record has {listed(record) or 'nothing'}")
    attributes = _attributes(given.get("attributes"))
    if not attributes:
        chosen["attributes"] = None
    return Product(
        id=product_id,
        title=title,
        description=_lines(given.get("description")),
        brand=_text(given.get("brand")) or None,
        category_path=_category_path(given.get("category_path")),
        attributes=attributes,
        facts=_facts(record, layout, set(chosen.values())),
        where=where,
    )


def _first_stated(record: Record, columns: tuple[str, ...]) -> str | None:
    if len(columns) < 2:  # by far the most: nothing to choose
        return next((column for column in columns if column in record), None)
    return next((column for column in columns if _text(record.get(column))), None)


def _text(value: object) -> str:
    """A value as clean text; empty where the feed states nothing (null, NaN, white space)."""
    if isinstance(value, str):
        # ASCII is NFC already: spares most values the way through clean_text.
        text = value if value.isascii() and "\x00" not in value else clean_text(value)
        return text.strip(EDGES)
    if value is None or value != value or value == [] or value == {}:
        return ""
    if isinstance(value, (dict, list, tuple, bool)):
        return clean_text(json.dumps(value, ensure_ascii=False, default=str))
    return _text(value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value))


def _lines(value: object) -> str:
    """A description; lists such as bullet points become lines."""
    return "\n".join(filter(None, map(_text, value))) if isinstance(value, list) else _text(value)


def _category_path(value: object) -> tuple[str, ...]:
    value = _unpacked(value)
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, str):
        separator = next((s for s in _PATH_SEPARATORS if s in value), None)
        value = value.split(separator) if separator else [value]
    return tuple(filter(None, map(_text, value if isinstance(value, list) else [value])))


def _attributes(value: object) -> dict[str, tuple[str, ...]]:
    """Name -> values of an object, or of a list of (name, value) pairs, which is how Parquet gives a map."""
    value = _unpacked(value)
    if isinstance(value, list) and all(isinstance(pair, tuple) and len(pair) == 2 for pair in value):
        value = dict(value)
    if not isinstance(value, dict):
        return {}
    stated = {_text(name): _texts(values) for name, values in value.items()}
    return {name: values for name, values in stated.items() if name and values}


def _texts(value: object) -> tuple[str, ...]:
    return tuple(filter(None, map(_text, value if isinstance(value, list) else [value])))


def _unpacked(value: object) -> object:
    """A list or object that a CSV cell holds as JSON."""
    if isinstance(value, str) and value.lstrip().startswith(("[", "{")):
        try:
            return parse_json(value)
        except (ValueError, RecursionError):
            return value
    return value


def _facts(record: Record, layout: _Layout, taken: set[str | None]) -> dict[str, str]:
    stated = {layout.facts[column]: _text(record[column]) for column in record if column not in taken}
    return {name: text for name, text in stated.items() if text}
