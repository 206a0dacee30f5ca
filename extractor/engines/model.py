"""What a model says about itself on disk: a folder or a Hugging Face id goes in, a ModelInfo comes out.

Reads config.json (context length) and extractor.json (`{"prompts": {"attributes":
"attributes@embedded-v1"}}`: the prompts that a model was trained with), and hashes the files that shape its
answers. It loads no weights and does not know which engine will.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from extractor.errors import ConfigError

# Where nothing says how long a prompt may be.
UNKNOWN_CONTEXT_TOKENS = 4096

# Everything that changes an answer; a README beside the weights does not.
_HASHED = frozenset({".safetensors", ".bin", ".json", ".model", ".txt", ".jinja", ".gguf"})
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """One model as an engine runs it."""

    # Hugging Face id, the folder's name, or the name under which a server offers it.
    id: str
    # Of the folder's files; "id@commit" for a Hugging Face model; the id where nothing more is known.
    hash: str
    # Prompt and answer together.
    context_tokens: int
    # Task -> prompt id; empty for a model that was not trained for this package.
    prompts: Mapping[str, str] = field(default_factory=dict)
    # What a library can load: a folder or a Hugging Face id; empty when the model is elsewhere.
    source: str = ""


def load_model_info(model: str | None = None) -> ModelInfo:
    """Look a model up before anything heavy is loaded.

    Args:
        model: A folder, a Hugging Face id, or None for the model that is shipped with the package.

    Raises:
        ConfigError: there is no such model, or its files are broken.
    """
    if model is None:
        return _read_folder(_embedded_folder())
    folder = Path(model).expanduser()
    if folder.is_dir():
        return _read_folder(folder)
    if folder.exists() or _looks_like_path(model):
        raise ConfigError(
            f"{model}: no such model folder; give a folder with config.json or a Hugging Face id"
        )
    return _read_hub(model)


def _embedded_folder() -> Path:
    folder = Path(str(files("extractor") / "models" / "embedded"))
    if not (folder / "config.json").is_file():
        raise ConfigError(
            f"{folder}: this installation has no embedded model; "
            "give one with --model, or make one with `extractor train RECIPE --out DIR`"
        )
    return folder


def _looks_like_path(model: str) -> bool:
    return model.startswith((".", "/", "~")) or "\\" in model or model.count("/") > 1


def _read_folder(folder: Path) -> ModelInfo:
    config = _read_json(folder / "config.json")
    return ModelInfo(
        id=folder.resolve().name,
        hash=_hash_folder(folder),
        context_tokens=_context_tokens(config),
        prompts=_read_prompts(folder),
        source=str(folder),
    )


def _read_hub(model: str) -> ModelInfo:
    try:
        from huggingface_hub import snapshot_download

        folder = Path(snapshot_download(model, allow_patterns=["config.json", "extractor.json"]))
    except (ImportError, OSError, ValueError) as error:
        raise ConfigError(
            f"{model}: no such folder, and Hugging Face did not give it ({type(error).__name__}); "
            "check the name and the connection, or give a folder"
        ) from error
    config = _read_json(folder / "config.json")
    # The cache keeps one folder a commit.
    return ModelInfo(model, f"{model}@{folder.name}", _context_tokens(config), _read_prompts(folder), model)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}; a model folder needs it") from error
    except ValueError as error:
        raise ConfigError(f"{path}: not JSON ({error}); repair it or fetch the model again") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: not a JSON object; repair it or fetch the model again")
    return content


def _context_tokens(config: Mapping[str, Any]) -> int:
    for section in (config, config.get("text_config") or {}):
        for key in ("max_position_embeddings", "n_positions", "max_seq_len"):
            if isinstance(section.get(key), int):
                return int(section[key])
    return UNKNOWN_CONTEXT_TOKENS


def _read_prompts(folder: Path) -> dict[str, str]:
    path = folder / "extractor.json"
    if not path.is_file():
        return {}
    prompts = _read_json(path).get("prompts", {})
    if not isinstance(prompts, dict) or not all(isinstance(value, str) for value in prompts.values()):
        raise ConfigError(f'{path}: "prompts" must map tasks to prompt ids such as "attributes@v1"')
    return prompts


def _hash_folder(folder: Path) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted(folder.iterdir()):
        if path.suffix in _HASHED and path.is_file():
            digest.update(f"{path.name}\0{path.stat().st_size}\0".encode())
            with path.open("rb") as file:
                while chunk := file.read(_CHUNK_BYTES):
                    digest.update(chunk)
    return digest.hexdigest()
