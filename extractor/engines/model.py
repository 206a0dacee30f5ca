"""What a model says about itself on disk: a folder or a Hugging Face id goes in, a ModelInfo comes out.

Reads config.json (context length) and extractor.json (`{"prompts": {"attributes": "attributes@embedded-v1"},
"calibration": {...}, "policy": "propose-only"}`: the prompts that a model was trained with, how right it is at which
confidence, and who decides values beside it), and hashes the files that shape its answers. It loads no weights and
does not know which engine will.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, cast, get_args

from extractor.calibrate import MODEL_NOTES, UNCALIBRATED, Calibration, read_calibration
from extractor.datafile import hash_folder
from extractor.errors import ConfigError
from extractor.records import Policy

# Where nothing says how long a prompt may be.
UNKNOWN_CONTEXT_TOKENS = 4096


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
    # How right it is at which confidence; without curves for a model that nobody calibrated.
    calibration: Calibration = UNCALIBRATED
    # Who decides values where nobody says so.
    policy: Policy = "decode-all"
    # False: its folder has no chat template, so that it reads text prompts only.
    chat: bool = True


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
    config, ours = _read_json(folder / "config.json"), read_ours(folder)
    return ModelInfo(
        id=folder.resolve().name,
        hash=hash_folder(folder),
        context_tokens=_context_tokens(config),
        prompts=_prompts(ours, folder),
        source=str(folder),
        calibration=read_calibration(folder),
        policy=_policy(ours, folder),
        chat=_has_chat_template(folder),
    )


def _read_hub(model: str) -> ModelInfo:
    try:
        from huggingface_hub import snapshot_download

        folder = Path(snapshot_download(model, allow_patterns=["config.json", MODEL_NOTES]))
    except (ImportError, OSError, ValueError) as error:
        raise ConfigError(
            f"{model}: no such folder, and Hugging Face did not give it ({type(error).__name__}); "
            "check the name and the connection, or give a folder"
        ) from error
    config, ours = _read_json(folder / "config.json"), read_ours(folder)
    return ModelInfo(
        id=model,
        # The cache keeps one folder a commit.
        hash=f"{model}@{folder.name}",
        context_tokens=_context_tokens(config),
        prompts=_prompts(ours, folder),
        source=model,
        calibration=read_calibration(folder),
    )


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


def _has_chat_template(folder: Path) -> bool:
    """In a file of its own, as transformers writes it since 4.43, or among the tokenizer's settings."""
    if any(folder.glob("chat_template.*")):
        return True
    path = folder / "tokenizer_config.json"
    return path.is_file() and bool(_read_json(path).get("chat_template"))


def read_ours(folder: Path) -> dict[str, Any]:
    """What this package wrote down about the model; empty for one that it does not know."""
    path = folder / MODEL_NOTES
    return _read_json(path) if path.is_file() else {}


def _policy(ours: Mapping[str, Any], folder: Path) -> Policy:
    policy = ours.get("policy", "decode-all")
    if policy not in get_args(Policy):
        raise ConfigError(f'{folder / MODEL_NOTES}: "policy" must be one of {", ".join(get_args(Policy))}')
    return cast(Policy, policy)


def _prompts(ours: Mapping[str, Any], folder: Path) -> dict[str, str]:
    prompts = ours.get("prompts", {})
    if not isinstance(prompts, dict) or not all(isinstance(value, str) for value in prompts.values()):
        raise ConfigError(
            f'{folder / MODEL_NOTES}: "prompts" must map tasks to prompt ids such as "attributes@v1"'
        )
    return prompts
