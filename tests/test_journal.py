"""A run folder survives whatever ends the process, and counts the same as if nothing had happened."""

from __future__ import annotations

import json
import os
import pickle
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extractor.errors import ConfigError, SinkError
from extractor.journal import INDEX, OUTCOMES, Journal, Summary, read_manifest, read_outcomes
from extractor.records import (
    AttributeValue,
    CategoryChoice,
    MadeBy,
    Outcome,
    Product,
    Reason,
    Rejection,
    Span,
    Unreadable,
    Usage,
)

CONFIG = {"prompt": "attributes@v1", "engine": {"name": "scripted", "batch": 8}}
Record = Product | Unreadable


def product(number: int, *, title: str = "", where: str = "") -> Product:
    title = title or f"Café TV № {number} 65″"
    return Product(f"bb-{number}", title, where=where or f"feed.jsonl:{number}")


def outcome(record: Record) -> Outcome:
    """What a pipeline would make of it: a value for a product, a rejection for anything else."""
    ids = record.id, record.content_hash, record.where
    if isinstance(record, Unreadable):
        rejection = Rejection(record.id, None, Reason.UNREADABLE, record.detail)
        return Outcome(*ids, "", "", CategoryChoice("unknown", (), 0.0), rejections=(rejection,))
    value = AttributeValue("kind", "TV", "tv", None, Span(5, 7), "title", "span", 0.9)
    category = CategoryChoice("tvs", ("Electronics", "TVs"), 0.8)
    usage = Usage(prompt_tokens=10, cached_tokens=4, output_tokens=3, proposed=2, decoded=1)
    feed, made_by = {"brand": "Sony"}, MadeBy(prompt="attributes@v1")
    return Outcome(*ids, record.title, "", category, (value,), feed=feed, usage=usage, made_by=made_by)


def work(
    journal: Journal, records: Sequence[Record], *, batch: int = 3, stop_after: int | None = None
) -> None:
    """Append in batches; `stop_after` leaves in the middle, with records handed out and not appended."""
    waiting: list[Record] = []
    for number, record in enumerate(journal.pending(records)):
        if number == stop_after:
            return
        waiting.append(record)
        if len(waiting) == batch:
            journal.append(map(outcome, waiting))
            waiting.clear()
    journal.append(map(outcome, waiting))


def run(folder: Path, records: Sequence[Record]) -> Summary:
    with Journal.open(folder, CONFIG) as journal:
        work(journal, records)
        return journal.finish()


def counts(summary: Summary) -> Summary:
    return replace(summary, seconds=0.0, products_per_s=0.0, run_dir="")


# Ids 1 and 2 come again with the same content, 3 with other content; one line is broken.
FEED: list[Record] = [
    *(product(number) for number in range(1, 12)),
    product(1, where="feed.jsonl:12"),
    Unreadable("feed.jsonl:13", "feed.jsonl:13", "no title"),
    product(3, title="Another thing", where="feed.jsonl:14"),
    product(2, where="feed.jsonl:15"),
    product(2, where="feed.jsonl:16"),
    *(product(number) for number in range(17, 30)),
]


def test_every_record_of_the_feed_is_accounted_for(tmp_path: Path) -> None:
    summary = run(tmp_path / "run1", FEED)
    assert counts(summary) == Summary(
        products=25,
        outcomes=25,
        values=24,
        rejections={"DUPLICATE_ID": 1, "UNREADABLE": 1},
        duplicates=3,
        seconds=0.0,
        products_per_s=0.0,
        usage={
            **{"prompt_tokens": 240, "cached_tokens": 96, "output_tokens": 72},
            **{"proposed": 48, "decoded": 24},
        },
        run_dir="",
    )
    assert json.loads((tmp_path / "run1/summary.json").read_text())["rejections"] == summary.rejections
    rejections = (tmp_path / "run1/rejections.jsonl").read_text().splitlines()
    assert json.loads(rejections[-1]) == {
        "product_id": "bb-3",
        "attribute": None,
        "reason": "DUPLICATE_ID",
        "detail": "feed.jsonl:14: has the id of feed.jsonl:3 and other content",
    }


def test_outcomes_are_read_back_as_they_were_appended(tmp_path: Path) -> None:
    run(tmp_path, [*FEED, product(99, title="\u2028 line \x85 ends \u0000 \U0001f600")])
    read = list(read_outcomes(tmp_path))
    assert read[:11] == [outcome(record) for record in FEED[:11]]
    assert read[-1].title == "\u2028 line \x85 ends \u0000 \U0001f600"


def test_the_table_says_what_the_journal_says(tmp_path: Path) -> None:
    read_table = pytest.importorskip("pyarrow.parquet").read_table
    run(tmp_path, FEED)
    rows = read_table(tmp_path / "outcomes.parquet").to_pylist()
    for row in rows:
        row["feed"] = json.loads(row["feed"])
    assert [Outcome.from_json(row) for row in rows] == list(read_outcomes(tmp_path))


def test_the_table_of_an_empty_feed_has_its_columns(tmp_path: Path) -> None:
    read_table = pytest.importorskip("pyarrow.parquet").read_table
    assert counts(run(tmp_path, [])).products == 0
    assert "product_id" in read_table(tmp_path / "outcomes.parquet").column_names


def test_manifest(tmp_path: Path) -> None:
    made_by = MadeBy(prompt="attributes@v1", prompt_hash="abc")
    with Journal.open(tmp_path, CONFIG, made_by=made_by, versions={"extractor": "1.0"}) as journal:
        run_id = journal.run_id
        assert read_manifest(tmp_path)["finished"] is None
        work(journal, FEED)
        journal.finish()
    manifest = read_manifest(tmp_path)
    assert manifest["run_id"] == run_id
    assert manifest["config"] == CONFIG
    assert manifest["made_by"]["prompt_hash"] == "abc"
    assert manifest["versions"] == {"extractor": "1.0"}
    assert manifest["finished"] >= manifest["created"]
    assert manifest["counts"]["outcomes"] == 25


def test_a_finished_run_has_nothing_pending_and_finishes_the_same(tmp_path: Path) -> None:
    first = run(tmp_path, FEED)
    files = {
        name: (tmp_path / name).read_bytes()
        for name in ("outcomes.jsonl", "rejections.jsonl", "summary.json")
    }
    run_id = read_manifest(tmp_path)["run_id"]
    with Journal.open(tmp_path, CONFIG) as journal:
        assert journal.outcomes == 25
        assert list(journal.pending(FEED)) == []
        assert journal.finish() == first
    assert files == {name: (tmp_path / name).read_bytes() for name in files}
    assert read_manifest(tmp_path)["run_id"] == run_id


records = st.builds(
    product,
    st.integers(1, 12),
    title=st.sampled_from(["TV", "Radio"]),
    where=st.integers(1, 40).map("feed.jsonl:{}".format),
)


@settings(max_examples=60, deadline=None)
@given(
    feed=st.lists(records, max_size=40, unique_by=lambda record: record.where),
    stops=st.lists(st.integers(0, 12), max_size=4),
    lose_index=st.booleans(),
)
def test_stopped_anywhere_it_ends_like_an_undisturbed_run(
    tmp_path_factory: pytest.TempPathFactory, feed: list[Product], stops: list[int], lose_index: bool
) -> None:
    folder = tmp_path_factory.mktemp("runs")
    undisturbed = run(folder / "whole", feed)
    for stop in stops:
        with Journal.open(folder / "parts", CONFIG) as journal:
            work(journal, feed, batch=2, stop_after=stop)
        if lose_index:
            (folder / "parts" / INDEX).unlink()
    assert counts(run(folder / "parts", feed)) == counts(undisturbed)
    for name in (OUTCOMES, "rejections.jsonl"):
        assert (folder / "parts" / name).read_bytes() == (folder / "whole" / name).read_bytes()


def test_repeats_are_found_among_records_in_work_and_across_chunks(tmp_path: Path) -> None:
    feed = [product(n % 600 + 1, where=f"feed.jsonl:{n}") for n in range(1800)]
    with Journal.open(tmp_path, CONFIG) as journal:
        work(journal, feed, batch=450)
        summary = journal.finish()
    assert (summary.outcomes, summary.duplicates) == (600, 1200)


def test_a_record_that_changed_in_place_is_rejected_with_advice(tmp_path: Path) -> None:
    run(tmp_path, [product(1)])
    summary = run(tmp_path, [product(1, title="Edited")])
    assert (summary.outcomes, summary.rejections) == (1, {"DUPLICATE_ID": 1})
    assert "feed.jsonl:1: has changed" in (tmp_path / "rejections.jsonl").read_text()


def test_what_is_handed_out_and_never_comes_back_shows_in_the_summary(tmp_path: Path) -> None:
    with Journal.open(tmp_path, CONFIG) as journal:
        work(journal, FEED[:7], batch=100, stop_after=6)
        summary = journal.finish()
    assert (summary.products, summary.outcomes) == (7, 0)


def test_only_what_is_in_work_can_be_appended_and_only_once(tmp_path: Path) -> None:
    with Journal.open(tmp_path, CONFIG) as journal:
        (record,) = journal.pending([product(1)])
        journal.append([outcome(record)])
        with pytest.raises(ValueError, match="'bb-1', which is not in work"):
            journal.append([outcome(record)])


# --- damage ---------------------------------------------------------------------------------------


def test_a_last_line_cut_anywhere_is_redone(tmp_path: Path) -> None:
    feed: list[Record] = [product(1), product(2), Unreadable("é", "feed.jsonl:3", "no title")]
    run(tmp_path, feed)
    written = (tmp_path / OUTCOMES).read_bytes()
    last = written.rindex(b"\n", 0, -1) + 1
    for size in range(last, len(written)):
        os.truncate(tmp_path / OUTCOMES, size)
        assert len(list(read_outcomes(tmp_path))) == 2
        with Journal.open(tmp_path, CONFIG) as journal:
            assert journal.outcomes == 2
            work(journal, feed)
        assert (tmp_path / OUTCOMES).read_bytes() == written


def test_a_half_written_line_longer_than_a_block_is_dropped(tmp_path: Path) -> None:
    run(tmp_path, [product(1)])
    with (tmp_path / OUTCOMES).open("ab") as file:
        file.write(b'{"product_id":"' + b"x" * 200_000)
    assert run(tmp_path, [product(1), product(2)]).outcomes == 2
    assert len(list(read_outcomes(tmp_path))) == 2


@pytest.mark.parametrize("broken", [b"\x00\x00\xff{\n", b"[]\n", b'{"product_id":"bb-2"}\n', b"\n"])
def test_a_broken_line_in_the_middle_is_named(tmp_path: Path, broken: bytes) -> None:
    run(tmp_path, [product(1), product(2), product(3)])
    lines = (tmp_path / OUTCOMES).read_bytes().splitlines(keepends=True)
    (tmp_path / OUTCOMES).write_bytes(lines[0] + broken + lines[2])
    with pytest.raises(SinkError, match=r"outcomes\.jsonl:2: is no outcome"):
        Journal.open(tmp_path, CONFIG)
    with pytest.raises(SinkError, match=r"outcomes\.jsonl:2: is no outcome"):
        list(read_outcomes(tmp_path))


def lose(index: Path) -> None:
    index.unlink()


def scribble(index: Path) -> None:
    index.write_bytes(b"SQLite format 3\x00" + random.Random(1).randbytes(9000))


def halve(index: Path) -> None:
    os.truncate(index, index.stat().st_size // 2)


def empty(index: Path) -> None:
    os.truncate(index, 0)


def run_ahead(index: Path) -> None:
    """The journal lost lines that the index has."""
    journal = index.with_name(OUTCOMES)
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:10]))


def swap(index: Path) -> None:
    """The journal is another one than the index was made from, and longer."""
    run(index.parent / "other", [product(n, title="Other and longer titles") for n in range(100, 160)])
    shutil.copy(index.parent / "other" / OUTCOMES, index.with_name(OUTCOMES))
    shutil.rmtree(index.parent / "other")


@pytest.mark.parametrize("damage", [lose, scribble, halve, empty, run_ahead, swap])
def test_an_index_that_does_not_fit_is_built_anew(tmp_path: Path, damage: object) -> None:
    undisturbed = run(tmp_path, FEED)
    assert callable(damage)
    damage(tmp_path / INDEX)
    kept = len(list(read_outcomes(tmp_path)))
    with Journal.open(tmp_path, CONFIG) as journal:
        assert journal.outcomes == kept
        work(journal, FEED)
        summary = journal.finish()
    extra = 60 if damage is swap else 0
    assert summary.outcomes == undisturbed.outcomes + extra
    assert summary.rejections == undisturbed.rejections
    assert summary.duplicates == undisturbed.duplicates


def test_an_index_that_cannot_be_opened_is_a_sink_error(tmp_path: Path) -> None:
    run(tmp_path, FEED)
    (tmp_path / INDEX).unlink()
    (tmp_path / INDEX).mkdir()
    with pytest.raises(SinkError, match=r"index\.sqlite: .* run the same command again"):
        Journal.open(tmp_path, CONFIG)


# --- a folder that is not ours --------------------------------------------------------------------


def test_a_run_keeps_its_settings(tmp_path: Path) -> None:
    Journal.open(tmp_path, CONFIG, made_by=MadeBy(model_hash="aa")).close()
    other = {"prompt": "attributes@v1", "engine": {"name": "vllm", "batch": 8}}
    with pytest.raises(ConfigError) as caught:
        Journal.open(tmp_path, other, made_by=MadeBy(model_hash="bb"))
    assert str(caught.value) == (
        f"{tmp_path}: begun with other settings: engine.name was 'scripted', is 'vllm', "
        "model_hash was 'aa', is 'bb'; choose another --out"
    )


def test_an_engine_that_is_named_and_used_is_told_once(tmp_path: Path) -> None:
    Journal.open(tmp_path, {"engine": "auto"}, made_by=MadeBy(engine="vllm")).close()
    with pytest.raises(ConfigError, match=r"settings: engine was 'auto', is 'server'; choose another --out"):
        Journal.open(tmp_path, {"engine": "server"}, made_by=MadeBy(engine="server"))


def test_settings_that_json_spells_otherwise_are_the_same(tmp_path: Path) -> None:
    config = {"feeds": (Path("a.jsonl"), Path("b.jsonl")), "limit": None}
    Journal.open(tmp_path, config).close()
    begun = json.loads((tmp_path / "run.json").read_text())
    Journal.open(tmp_path, config).close()
    assert json.loads((tmp_path / "run.json").read_text())["run_id"] == begun["run_id"]


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.doc").write_text("precious")
    with pytest.raises(ConfigError, match=r"is no run, it has thesis\.doc and no run\.json; choose another"):
        Journal.open(tmp_path, CONFIG)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.doc"]


def test_a_journal_without_manifest_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / OUTCOMES).write_text("{}\n")
    with pytest.raises(ConfigError, match=r"has outcomes\.jsonl and no run\.json"):
        Journal.open(tmp_path, CONFIG)


def test_a_folder_whose_run_hardly_began_can_be_used(tmp_path: Path) -> None:
    (tmp_path / OUTCOMES).touch()
    (tmp_path / ".run.json.part").write_text('{"run')
    assert run(tmp_path, FEED).outcomes == 25


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(ConfigError, match="out: is a file; choose another --out"):
        Journal.open(tmp_path / "out", CONFIG)


@pytest.mark.parametrize("manifest", [None, "", "[1]", "{}"])
def test_reading_what_is_no_run(tmp_path: Path, manifest: str | None) -> None:
    if manifest is not None:
        (tmp_path / "run.json").write_text(manifest)
    with pytest.raises(ConfigError, match=r"run\.json"):
        read_outcomes(tmp_path)


def test_one_process_at_a_time(tmp_path: Path) -> None:
    with Journal.open(tmp_path, CONFIG), pytest.raises(SinkError, match="another process writes this run"):
        Journal.open(tmp_path, CONFIG)
    Journal.open(tmp_path, CONFIG).close()


# --- killed, and out of space ---------------------------------------------------------------------

BIG_FEED: list[Record] = [
    product(n // 3 if n % 10 == 0 else n, where=f"feed.jsonl:{n}", title="Other" if n % 50 == 0 else "")
    for n in range(1, 1501)
]
# Imports no test module, so that it is at work soon.
WORKER = """
import pickle, sys
from pathlib import Path
from extractor.journal import Journal
folder, config, records, outcomes = pickle.load(sys.stdin.buffer)
with Journal.open(folder, config) as journal:
    print("open", flush=True)
    waiting = []
    for record in journal.pending(records):
        waiting.append(outcomes[record.where])
        if len(waiting) == 5:
            journal.append(waiting)
            waiting.clear()
    journal.append(waiting)
    journal.finish()
"""


def worker(folder: Path, prelude: str = "") -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    command = [sys.executable, "-c", prelude + WORKER]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, stderr=pipe)
    assert process.stdin
    pickle.dump((folder, CONFIG, BIG_FEED, {r.where: outcome(r) for r in BIG_FEED}), process.stdin)
    process.stdin.close()
    process.stdin = None
    return process


def test_killed_at_any_moment_it_ends_like_an_undisturbed_run(tmp_path: Path) -> None:
    undisturbed = run(tmp_path / "whole", BIG_FEED)
    dice, sizes = random.Random(7), []
    for _ in range(20):
        process = worker(tmp_path / "killed")
        assert process.stdout and process.stdout.readline() == b"open\n"
        time.sleep(dice.uniform(0, 0.03))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        sizes.append((tmp_path / "killed" / OUTCOMES).stat().st_size)
    assert len(set(sizes)) > 5, "hardly any kill fell between two batches"
    assert counts(run(tmp_path / "killed", BIG_FEED)) == counts(undisturbed)
    for name in (OUTCOMES, "rejections.jsonl"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_file_that_can_grow_no_further_stays_resumable(tmp_path: Path) -> None:
    limit = 100_001
    process = worker(
        tmp_path / "small", f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, -1))\n"
    )
    _, errors = process.communicate()
    assert b"SinkError" in errors and b"run the same command again" in errors
    left = (tmp_path / "small" / OUTCOMES).read_bytes()
    assert left.endswith(b"\n") and 0 < len(left) < limit
    undisturbed = run(tmp_path / "whole", BIG_FEED)
    assert counts(run(tmp_path / "small", BIG_FEED)) == counts(undisturbed)
    assert (tmp_path / "small" / OUTCOMES).read_bytes() == (tmp_path / "whole" / OUTCOMES).read_bytes()


def fill_disk(path: Path) -> None:
    """Let the descriptor that has `path` open lead to a device that is always full."""
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError), open("/dev/full", "ab") as full:
            if descriptor.readlink() == path:
                os.dup2(full.fileno(), int(descriptor.name))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full and /proc")
def test_a_full_disk_is_one_line_with_advice(tmp_path: Path) -> None:
    with Journal.open(tmp_path, CONFIG) as journal:
        work(journal, FEED[:6])
        fill_disk(tmp_path / OUTCOMES)
        with pytest.raises(SinkError) as caught:
            work(journal, FEED)
    told = "no space left; free some and run the same command again"
    assert str(caught.value) == f"{tmp_path / OUTCOMES}: {told}"
    assert run(tmp_path, FEED).outcomes == 25
