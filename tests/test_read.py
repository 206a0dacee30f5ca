"""Feeds of every kind and of every brokenness: what comes out, record for record."""

from __future__ import annotations

import gzip
import io
import json
import os
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extractor.errors import ConfigError, FeedError
from extractor.read import check_feeds, read_feed, read_feeds
from extractor.records import Product, Unreadable, clean_text


def write(path: Path, content: str | bytes) -> str:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def jsonl(path: Path, *records: object) -> str:
    return write(path, "".join(json.dumps(record) + "\n" for record in records))


def read(path: str, *args: object, **kwargs: object) -> list[Product | Unreadable]:
    return list(read_feed(path, *args, **kwargs))  # type: ignore[arg-type]


def titles(path: str, **kwargs: object) -> list[str]:
    return [product.title for product in read(path, **kwargs) if isinstance(product, Product)]


def stdin(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))


def test_a_record_becomes_a_product(tmp_path: Path) -> None:
    feed = jsonl(
        tmp_path / "feed.jsonl",
        {
            "id": "bb-1",
            "upc": "751492226507",
            "title": " PNY - 512MB DDR DIMM Memory ",
            "brand": "PNY",
            "short_description": "Doubles data output",
            "description": "Improve your computer's speed.\n",
            "category": "Computers > Memory",
            "attributes": {"Capacity": ["512MB"], "Pins": 184, "Color": None},
            "price": 12.5,
            "in_stock": True,
            "sale_price": None,
            "images": ["a.jpg", "b.jpg"],
        },
    )
    assert read(feed) == [
        Product(
            id="bb-1",
            title="PNY - 512MB DDR DIMM Memory",
            description="Improve your computer's speed.",
            brand="PNY",
            category_path=("Computers", "Memory"),
            attributes={"Capacity": ("512MB",), "Pins": ("184",)},
            facts={
                "upc": "751492226507",
                "short_description": "Doubles data output",
                "price": "12.5",
                "in_stock": "true",
                "images": '["a.jpg", "b.jpg"]',
            },
            where="feed.jsonl:1",
        )
    ]


FIELD_CASES: Sequence[tuple[dict[str, object], str, object]] = [
    ({"name": "TV"}, "title", "TV"),
    ({"Product Name": "TV"}, "title", "TV"),
    ({"title": None, "name": "TV"}, "title", "TV"),
    ({"title": "TV", "name": "x"}, "facts", {"name": "x"}),
    ({"title": 2012}, "title", "2012"),
    ({"title": "Cafe\u0301"}, "title", "Caf\u00e9"),
    ({"title": "a\ud800b"}, "title", clean_text("a\ud800b")),
    ({"title": "a\x00b"}, "title", "a\ufffdb"),
    ({"title": "TV"}, "id", "feed.jsonl:1"),
    ({"title": "TV", "id": ""}, "id", "feed.jsonl:1"),
    ({"title": "TV", "id": 17}, "id", "17"),
    ({"title": "TV", "asin": "B1", "uniq_id": "u"}, "id", "B1"),
    ({"title": "TV", "short_description": "flat"}, "description", "flat"),
    ({"title": "TV", "description": ["flat", "", "wide"]}, "description", "flat\nwide"),
    ({"title": "TV", "description": float("nan")}, "description", ""),
    ({"title": "TV", "manufacturer": "Sony"}, "brand", "Sony"),
    ({"title": "TV", "brand": " "}, "brand", None),
    ({"title": "TV", "category_path": ["Video", "TVs"]}, "category_path", ("Video", "TVs")),
    ({"title": "TV", "category": '["A >> B & C/D"]'}, "category_path", ("A", "B & C/D")),
    ({"title": "TV", "category": "A/B"}, "category_path", ("A", "B")),
    ({"title": "TV", "category": "TVs"}, "category_path", ("TVs",)),
    ({"title": "TV", "attributes": '{"Size": "65\\""}'}, "attributes", {"Size": ('65"',)}),
    ({"title": "TV", "attributes": "red, big"}, "facts", {"attributes": "red, big"}),
    ({"title": "TV", "attributes": {"Size": [65, None]}}, "attributes", {"Size": ("65",)}),
    (
        {"title": "TV", "rating": float("nan"), "stock": [], "seller": {"id": 3}},
        "facts",
        {"seller": '{"id": 3}'},
    ),
]


@pytest.mark.parametrize(("record", "field", "expected"), FIELD_CASES)
def test_fields(tmp_path: Path, record: dict[str, object], field: str, expected: object) -> None:
    [product] = read(jsonl(tmp_path / "feed.jsonl", record))
    assert getattr(product, field) == expected


UNREADABLE_CASES = [
    ('{"id": 7, "title": "TV"', "feed.jsonl:1", "broken JSON: Expecting ',' delimiter at column 24"),
    ("[1, 2]", "feed.jsonl:1", "the JSON is a list, not an object"),
    ("null", "feed.jsonl:1", "the JSON is null, not an object"),
    ('{"id": 7}', "7", "no title; the record has id"),
    ("{}", "feed.jsonl:1", "no title; the record has nothing"),
    (
        json.dumps({"id": "é" * 257, "title": "T"}),
        "feed.jsonl:1",
        "its id has 514 bytes, a key at most 512; shorten it, or take another column: --map id=COLUMN",
    ),
    ('{"id": 7, "title": " \\u200b\\t"}', "7", "no title; the record has id, title"),
    ('{"id": 7, "title": {"en": "TV"}}', "7", "the title is an object, not text"),
    ('{"id": 7, "title": ["TV"]}', "7", "the title is a list, not text"),
]


@pytest.mark.parametrize(("line", "record_id", "detail"), UNREADABLE_CASES)
def test_a_bad_line_is_told_and_the_rest_goes_on(
    tmp_path: Path, line: str, record_id: str, detail: str
) -> None:
    feed = write(tmp_path / "feed.jsonl", f'{line}\n\n  \n{{"id": 1, "title": "TV"}}\n')
    assert read(feed) == [
        Unreadable(record_id, "feed.jsonl:1", detail),
        Product("1", "TV", where="feed.jsonl:4"),
    ]


@pytest.mark.parametrize("line", ['{"a": ' + "9" * 5000 + "}", '{"a": ' + "[" * 100_000, "\x00", '"\\ud800"'])
def test_strange_json_is_one_unreadable(tmp_path: Path, line: str) -> None:
    feed = write(tmp_path / "feed.jsonl", '{"title": "TV"}\n' + line + '\n{"title": "PC"}')
    assert [type(product) for product in read(feed)] == [Product, Unreadable, Product]


ENCODINGS = [
    '\ufeff{"title": "Té"}\r\n'.encode(),
    '{"title": "Té"}'.encode("utf-16"),
    gzip.compress('{"title": "Té"}'.encode(), mtime=0),
]


@pytest.mark.parametrize("content", ENCODINGS)
def test_encodings(tmp_path: Path, content: bytes) -> None:
    assert titles(write(tmp_path / "feed.jsonl", content)) == ["Té"]


def test_invalid_utf_8_is_replaced(tmp_path: Path) -> None:
    assert titles(write(tmp_path / "feed.jsonl", b'{"title": "T\xff V"}')) == ["T\ufffd V"]


def test_a_very_long_line(tmp_path: Path) -> None:
    feed = jsonl(tmp_path / "feed.jsonl", {"title": "TV", "description": "x" * 20_000_000}, {"title": "PC"})
    assert titles(feed) == ["TV", "PC"]


CSV = 'SKU;Product Name;description;price\n1;TV 65" flat;"two\nlines; ""quoted""";9,99\n2;;;\n'


def test_csv(tmp_path: Path) -> None:
    feed = write(tmp_path / "feed.csv", CSV)
    assert read(feed) == [
        Product("1", 'TV 65" flat', 'two\nlines; "quoted"', facts={"price": "9,99"}, where="feed.csv:2"),
        Unreadable("2", "feed.csv:4", "no title; the record has SKU, Product Name, description, price"),
    ]


def test_bad_csv_rows_are_told_and_the_rest_goes_on(tmp_path: Path) -> None:
    rows = ["title,brand", "TV", "TV,Sony,65", '"TV" 65,Sony', "", "PC,HP", '"never closed,HP', "lost,HP"]
    assert read(write(tmp_path / "feed.csv", "\r\n".join(rows))) == [
        Unreadable("feed.csv:2", "feed.csv:2", "the row has 1 cells, the header 2"),
        Unreadable("feed.csv:3", "feed.csv:3", "the row has 3 cells, the header 2"),
        Unreadable("feed.csv:4", "feed.csv:4", "broken CSV: ',' expected after '\"'"),
        Product("feed.csv:6", "PC", brand="HP", where="feed.csv:6"),
        Unreadable("feed.csv:7", "feed.csv:7", "broken CSV: unexpected end of data"),
    ]


def test_csv_columns_of_one_name_are_numbered(tmp_path: Path) -> None:
    feed = write(tmp_path / "feed.csv", "title,feature,feature,\nTV,flat,wide,x\n")
    assert read(feed)[0].facts == {"feature": "flat", "feature 3": "wide", "column 4": "x"}


def test_a_huge_csv_cell_and_nul_bytes(tmp_path: Path) -> None:
    feed = write(tmp_path / "feed.csv", "title,description\nT\x00V," + "x" * 1_000_000 + "\n")
    assert titles(feed) == ["T\ufffdV"]


@pytest.mark.parametrize("name", ["feed.tsv", "feed.TSV.gz"])
def test_tsv(tmp_path: Path, name: str) -> None:
    content = b"id\ttitle\n1\tTV, flat\n"
    feed = write(tmp_path / name, gzip.compress(content) if name.endswith("gz") else content)
    assert read(feed) == [Product("1", "TV, flat", where=f"{name}:2")]


def test_parquet(tmp_path: Path) -> None:
    table = pa.table(
        {
            "id": [1, 2, 3],
            "title": ["TV", None, "PC"],
            "rating": [4.5, 3.0, float("nan")],
            "seen": pa.array([1_000_000_001, None, None], pa.timestamp("ns")),
            "attributes": pa.array([[("Size", '65"')], [], None], pa.map_(pa.string(), pa.string())),
        }
    )
    pq.write_table(table, tmp_path / "feed.parquet", row_group_size=2)
    assert read(str(tmp_path / "feed.parquet")) == [
        Product(
            "1",
            "TV",
            attributes={"Size": ('65"',)},
            facts={"rating": "4.5", "seen": "1970-01-01 00:00:01"},
            where="feed.parquet:1",
        ),
        Unreadable("2", "feed.parquet:2", "no title; the record has id, title, rating, seen, attributes"),
        Product("3", "PC", where="feed.parquet:3"),
    ]


SNIFFED = [
    b'{"title": "TV"}\n',
    b"id,title\n1,TV\n",
    b"title\tid\nTV\t1\n",
    gzip.compress(b'{"title": "TV"}', mtime=0),
]


@pytest.mark.parametrize("content", SNIFFED)
def test_content_tells_where_the_suffix_does_not(tmp_path: Path, content: bytes) -> None:
    assert titles(write(tmp_path / "feed.dat", content)) == ["TV"]


def test_parquet_is_told_by_its_content(tmp_path: Path) -> None:
    pq.write_table(pa.table({"title": ["TV"]}), tmp_path / "feed")
    assert titles(str(tmp_path / "feed")) == ["TV"]


def test_the_format_can_be_given(tmp_path: Path) -> None:
    assert titles(write(tmp_path / "feed.txt", "title\nTV\n"), format="csv") == ["TV"]


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_standard_input(monkeypatch: pytest.MonkeyPatch, pack: type[bytes]) -> None:
    stdin(monkeypatch, pack(b'{"title": "TV"}\n'))
    assert read("-") == [Product("stdin:1", "TV", where="stdin:1")]


def test_standard_input_in_a_given_format(monkeypatch: pytest.MonkeyPatch) -> None:
    stdin(monkeypatch, b"title,id\nTV,1\n")
    assert read("-", format="csv") == [Product("1", "TV", where="stdin:2")]


MAPPINGS = [
    ({"title": "headline"}, Product("1", "H", facts={"title": "T", "cost": "5"}, where="feed.jsonl:1")),
    (
        {"price": "cost", "description": "headline"},
        Product("1", "T", "H", facts={"price": "5"}, where="feed.jsonl:1"),
    ),
]


@pytest.mark.parametrize(("mapping", "expected"), MAPPINGS)
def test_mapping(tmp_path: Path, mapping: dict[str, str], expected: Product) -> None:
    feed = jsonl(tmp_path / "feed.jsonl", {"id": 1, "title": "T", "headline": "H", "cost": 5})
    assert read(feed, mapping) == [expected]


def test_a_mapped_column_may_be_rare(tmp_path: Path) -> None:
    feed = jsonl(tmp_path / "feed.jsonl", {"title": "TV"}, {"title": "PC", "maker": "HP"})
    assert [product.brand for product in read(feed, {"brand": "maker"})] == [None, "HP"]


@pytest.mark.parametrize("name", ["feed.jsonl", "feed.csv"])
def test_a_mapped_column_that_is_nowhere_is_an_error(tmp_path: Path, name: str) -> None:
    content = "id,label\n1,TV\n" if name.endswith("csv") else '{"id": 1, "label": "TV"}\n'
    feed = write(tmp_path / name, content)
    with pytest.raises(FeedError, match=rf"{name}: has no column 'lable'; map to one of id, label$"):
        check_feeds([feed], {"title": "lable"})


BROKEN_FEEDS = [
    ("feed.jsonl", b"", "is empty; give a feed"),
    ("feed.jsonl.gz", gzip.compress(b"", mtime=0), "is empty; give a feed"),
    ("feed.csv", bytes(range(256)) * 8, "is neither UTF-8 text nor Parquet"),
    ("feed.jsonl", b"\x00" * 100, "is neither UTF-8 text nor Parquet"),
    ("feed.jsonl.gz", gzip.compress(b"{}" * 9, mtime=0)[:-20], "cannot be read beyond line 0"),
    ("feed.jsonl.gz", b"\x1f\x8bnot gzip at all", "cannot be read beyond line 0"),
    ("feed.parquet", b"PAR1 and nothing more", "no sound Parquet beyond row 0"),
    ("feed.csv", b'"title" x,id\nTV,1\n', "its first row is no header"),
]


@pytest.mark.parametrize(("name", "content", "message"), BROKEN_FEEDS)
def test_a_broken_feed_is_one_line(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    feed = write(tmp_path / name, content)
    with pytest.raises(FeedError) as caught:
        check_feeds([feed])
    assert str(caught.value).startswith(f"{feed}: {message}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "reason"), [("missing.jsonl", "No such file"), ("", "Is a directory")])
def test_no_file(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(FeedError, match=reason):
        check_feeds([str(tmp_path / name)])


def test_a_gzip_file_that_ends_too_soon_gives_what_it_has(tmp_path: Path) -> None:
    lines = [json.dumps({"id": i, "title": os.urandom(50).hex()}) for i in range(2000)]
    packed = gzip.compress("\n".join(lines).encode())
    feed = read_feed(write(tmp_path / "feed.jsonl.gz", packed[: len(packed) // 2]))
    found: list[Product | Unreadable] = []
    with pytest.raises(FeedError, match=r"cannot be read beyond line \d+ .*get it again"):
        found.extend(feed)
    assert all(isinstance(product, Product) for product in found)
    assert 900 < len(found) < 1100


def test_formats_and_standard_input_are_checked() -> None:
    with pytest.raises(ConfigError, match="'xml' is unknown; use one of jsonl, csv, tsv, parquet"):
        check_feeds(["-"], format="xml")
    with pytest.raises(ConfigError, match="more than once"):
        check_feeds(["-", "-"])


def test_checking_takes_nothing_from_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    check_feeds(["-", str(tmp_path / "pipe")])


def test_ids_of_records_without_id_differ_between_feeds_of_one_name(tmp_path: Path) -> None:
    for day in ("monday", "sunday"):
        (tmp_path / day).mkdir()
        jsonl(tmp_path / day / "feed.jsonl", {"title": "TV"})
    feeds = [str(tmp_path / day / "feed.jsonl") for day in ("monday", "sunday")]
    assert [product.id for product in read_feeds(feeds)] == ["monday/feed.jsonl:1", "sunday/feed.jsonl:1"]
    assert [product.id for product in read_feeds(feeds[:1])] == ["feed.jsonl:1"]
    assert len(list(read_feeds(feeds[:1] * 2))) == 2


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.dictionaries(st.text(), st.recursive(st.none() | st.floats() | st.text(), st.lists)), max_size=5
    )
)
def test_every_json_object_is_one_record_and_reads_the_same_again(
    tmp_path_factory: pytest.TempPathFactory, records: list[dict[str, object]]
) -> None:
    feed = jsonl(tmp_path_factory.getbasetemp() / "any.jsonl", {"title": "TV"}, *records)
    products = read(feed)
    assert len(products) == len(records) + 1
    assert products == read(feed)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_records_or_a_feed_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    for name in ("any.jsonl", "any.csv", "any.parquet", "any"):
        feed = write(tmp_path_factory.getbasetemp() / name, content)
        try:
            records = read(feed)
        except FeedError as error:
            assert str(error).count("\n") == 0
        else:
            assert all(isinstance(record, Product | Unreadable) for record in records)
