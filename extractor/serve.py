"""A model goes in, the command and environment of a vLLM server for it come out; the caller starts it.

The server answers as the vllm engine does: same grammars, same log-probabilities. vLLM is not imported.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from extractor.engines.model import ModelInfo
from extractor.engines.vllm import (
    LOGPROBS_MODE,
    MAX_LOGPROBS,
    STRUCTURED_OUTPUTS,
    context_tokens,
    environment,
)


@dataclass(frozen=True, slots=True)
class ServerCommand:
    """What to start: `subprocess.run(command.arguments, env={**os.environ, **command.environment})`."""

    arguments: tuple[str, ...]
    # Only what the given environment does not have.
    environment: Mapping[str, str]


def server_command(
    model: ModelInfo,
    given: Mapping[str, str],
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    max_context_tokens: int | None = None,
    compile_model: bool = False,
) -> ServerCommand:
    """The command line of an OpenAI-compatible vLLM server.

    Args:
        model: From `load_model_info`; clients know it by `model.id`.
        given: The caller's environment; a key in EXTRACTOR_API_KEY is asked of every client.
        compile_model: Faster answers for a minute more to start; for a GPU, or a server that stays up.
    """
    local = Path(model.source).is_dir()
    # `vllm serve` does not run with the CPU build, which is packaged under another name.
    module = (sys.executable, "-m", "vllm.entrypoints.openai.api_server")
    options = {
        "--model": model.source,
        "--served-model-name": model.id,
        "--host": host,
        "--port": str(port),
        "--max-model-len": str(context_tokens(model, max_context_tokens)),
        "--structured-outputs-config": json.dumps(STRUCTURED_OUTPUTS),
        "--logprobs-mode": LOGPROBS_MODE,
        "--max-logprobs": str(MAX_LOGPROBS),
        # Not the sampling that the model's folder recommends.
        "--generation-config": "vllm",
    }
    flags = ("--enable-prompt-tokens-details", *(() if compile_model else ("--enforce-eager",)))
    pairs = tuple(part for option in options.items() for part in option)
    variables = environment(given, local=local, log_level="WARNING")
    # Not on the command line, which every user of the machine can read.
    if key := given.get("EXTRACTOR_API_KEY"):
        variables["VLLM_API_KEY"] = key
    return ServerCommand((*module, *pairs, *flags), variables)
