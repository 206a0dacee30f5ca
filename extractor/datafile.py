"""Strict reading of the data files: a path in, plain JSON values out, and every complaint one line.

Knows how a file can be broken, not what a file is for; callers turn `DataFileError` into their own error.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from pathlib import Path
from typing import Any, NoReturn

from pydantic import ValidationError

# Of a model's folder, everything that changes an answer; a README beside the weights does not.
_HASHED = frozenset({".safetensors", ".bin", ".json", ".model", ".txt", ".jinja", ".gguf"})
_CHUNK_BYTES = 1 << 20


class DataFileError(Exception):
    """What is wrong and what to do, without the file's name."""


def read_text(path: Path) -> str:
    """The file, gzip'ed where its name says so, as UTF-8 text."""
    try:
        if path.suffix == ".gz":
            return gzip.decompress(path.read_bytes()).decode("utf-8")
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise DataFileError("no such file; create it or correct the path") from None
    except UnicodeDecodeError as error:
        raise DataFileError(f"byte {error.start} is not UTF-8; save it as UTF-8") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataFileError(f"is no whole gzip file ({error}); write it again") from None
    except OSError as error:
        raise DataFileError(f"cannot be read ({error.strerror}); make it readable") from None


def parse_json(text: str) -> Any:
    """JSON without NaN, and without the same key twice: Python would silently keep the last one."""
    try:
        return json.loads(text, object_pairs_hook=_no_duplicates, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise DataFileError(f"line {error.lineno}: {error.msg}; correct the JSON") from None
    except ValueError as error:  # a number with thousands of digits
        raise DataFileError(f"{error}; correct the JSON") from None
    except RecursionError:
        raise DataFileError("nested too deeply; flatten it") from None


def explain(error: ValidationError) -> str:
    """The first complaint of pydantic as one line: what, then what to do."""
    first = error.errors(include_url=False)[0]
    # Keys of a broken file may hold line breaks.
    where = " ".join(".".join(str(part) for part in first["loc"]).split())
    match first["type"]:
        case "missing":
            return f"has no {where}; add it"
        case "extra_forbidden":
            return f"unknown keyword {where!r}; remove it or correct its spelling"
        case "value_error":
            return f"{where + ': ' if where else ''}{first['msg'].removeprefix('Value error, ')}"
        case _:
            return f"{where}: {first['msg'][:1].lower()}{first['msg'][1:]}; correct it"


def content_hash(value: Any) -> str:
    """128 bits over the canonical JSON of `value`, as 32 hex digits: layout of the file does not count."""
    canonical = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(canonical.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise DataFileError(f"the key {twice!r} stands twice in one object; remove one")
    return found


def _no_constant(name: str) -> NoReturn:
    raise DataFileError(f"{name} is not JSON; write a number")


def hash_folder(folder: Path) -> str:
    """Over the files of a model folder, as 32 hex digits."""
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted(folder.iterdir()):
        if path.suffix in _HASHED and path.is_file():
            digest.update(f"{path.name}\0{path.stat().st_size}\0".encode())
            with path.open("rb") as file:
                while chunk := file.read(_CHUNK_BYTES):
                    digest.update(chunk)
    return digest.hexdigest()
