"""vLLM in this process: batches of requests, each with its own grammar, through vLLM's scheduler.

In: a model folder or Hugging Face id. Out: an Engine. The settings of vLLM that `extractor serve` needs as
well are here and nowhere else; importing this module does not import vLLM, which takes ten seconds.

vLLM runs the model in a process of its own, started afresh: a script that opens this engine needs the usual
`if __name__ == "__main__":`.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import replace
from multiprocessing import active_children
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from extractor.engines import EngineSettings
from extractor.engines.lifeline import Lifeline
from extractor.engines.model import ModelInfo, load_model_info
from extractor.engines.tokens import align_tokens, encode_prompt, failed, one_line, with_latency
from extractor.errors import ConfigError, EngineError
from extractor.records import Completion, Constraint, Message, Request, Usage

# A listing is far shorter, and a cache for more does not fit beside a model of some size on a laptop.
MAX_CONTEXT_TOKENS = 4096

# Only guidance reads our grammars; without the second setting a JSON Schema allows endless white space.
STRUCTURED_OUTPUTS = {"backend": "guidance", "disable_any_whitespace": True}
# Probabilities after the grammar's mask: a forced token then weighs nothing.
LOGPROBS_MODE = "processed_logprobs"
MAX_LOGPROBS = 1

_LOOK_S = 1.0
_TORCH_LIBRARY = "torch._library"


def environment(given: Mapping[str, str], *, local: bool, log_level: str = "ERROR") -> dict[str, str]:
    """Variables that vLLM should see beside those of `given`, which the user set and which stay as they are.

    Args:
        local: The model is a folder, so that nothing has to be looked up on Hugging Face.
    """
    defaults = {
        # GiB; vLLM takes a good part of the machine otherwise.
        "VLLM_CPU_KVCACHE_SPACE": "1",
        # A server goes down to one thread otherwise.
        "OMP_NUM_THREADS": str(_usable_cores()),
        "VLLM_LOGGING_LEVEL": log_level,
        "TORCH_CPP_LOG_LEVEL": "ERROR",
        # At every start torch would say that there is no Triton, which a CPU has no use for.
        "TORCH_LOGS": f"-{_TORCH_LIBRARY}",
        # Its processes warn of what users can do nothing about (leaked semaphores, deprecations inside torch).
        "PYTHONWARNINGS": "ignore",
        "VLLM_NO_USAGE_STATS": "1",
        **({"HF_HUB_OFFLINE": "1"} if local else {}),
    }
    return {name: value for name, value in defaults.items() if name not in given}


def _usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def context_tokens(model: ModelInfo, wanted: int | None) -> int:
    """How long prompt and answer may be together."""
    return min(model.context_tokens, wanted or MAX_CONTEXT_TOKENS)


def describe(settings: EngineSettings) -> ModelInfo:
    """The model as this engine runs it."""
    model = load_model_info(settings.model)
    return replace(model, context_tokens=context_tokens(model, settings.context_tokens))


def open_with(settings: EngineSettings) -> VllmEngine:
    """Load a model; takes half a minute."""
    model = describe(settings)
    # Before the import: vLLM reads most of them only once.
    os.environ.update(environment(os.environ, local=Path(model.source).is_dir()))
    # Where torch is loaded already, the environment comes too late.
    logging.getLogger(_TORCH_LIBRARY).setLevel(logging.ERROR)
    with warnings.catch_warnings(action="ignore"):
        import vllm

    try:
        before = active_children()
        llm = vllm.LLM(**_arguments(model))
        return VllmEngine(llm, model, [child for child in active_children() if child not in before])
    except Exception as error:
        raise EngineError(f"vllm: cannot start {model.source} ({one_line(error)})") from error


def _arguments(model: ModelInfo) -> dict[str, Any]:
    from vllm.platforms import current_platform

    return {
        "model": model.source,
        "max_model_len": model.context_tokens,
        # Compiling takes a minute longer to start; a GPU earns it back, a CPU only on long runs.
        "enforce_eager": current_platform.is_cpu(),
        "enable_prefix_caching": True,
        "structured_outputs_config": STRUCTURED_OUTPUTS,
        "logprobs_mode": LOGPROBS_MODE,
        "max_logprobs": MAX_LOGPROBS,
        "use_tqdm_on_load": False,
    }


class VllmEngine:
    """An `Engine` over a `vllm.LLM` and the processes that it started."""

    name = "vllm"

    def __init__(self, llm: Any, model: ModelInfo, processes: Sequence[BaseProcess]) -> None:
        self.model = model
        self._llm = llm
        self._processes = processes
        self._lifeline = Lifeline([process.pid for process in processes if process.pid])
        self._tokenizer = llm.get_tokenizer()

    def count_tokens(self, prompt: str | tuple[Message, ...]) -> int:
        return len(encode_prompt(self._tokenizer, prompt, self.model.id))

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        started = time.perf_counter()
        accepted = [self._enqueue(request) for request in requests]
        outputs = self._outputs() if requests else {}
        answers = [
            given if isinstance(given, Completion) else _completion(outputs.get(given)) for given in accepted
        ]
        return with_latency(answers, started)

    def close(self) -> None:
        self._llm.llm_engine.engine_core.shutdown()
        self._lifeline.cut()

    def _enqueue(self, request: Request) -> str | Completion:
        """vLLM's id of the request, or why it has none; one by one, as a bad one costs its whole batch."""
        from vllm.exceptions import VLLMClientError

        try:
            prompt = {"prompt_token_ids": encode_prompt(self._tokenizer, request.prompt, self.model.id)}
            (id_,) = self._llm.enqueue([prompt], sampling(request.constraint), use_tqdm=False)
        except ConfigError:
            raise
        except (VLLMClientError, ValueError, TypeError) as error:
            return failed(error)
        except Exception as error:
            raise self._dead(error) from error
        # "17-1f0c94ab": the outputs only have what is before the dash.
        return str(id_).partition("-")[0]

    def _outputs(self) -> dict[str, Any]:
        """Outputs by id. vLLM waits for ever if its process is killed (out of memory, say), so look after it."""
        waiting: Future[list[Any]] = Future()
        threading.Thread(target=_wait, args=(self._llm, waiting), daemon=True).start()
        while not wait([waiting], timeout=_LOOK_S).done:
            if not all(process.is_alive() for process in self._processes):
                raise self._dead("its process was killed, perhaps for its memory")
        try:
            return {output.request_id: output for output in waiting.result()}
        except Exception as error:
            raise self._dead(error) from error

    def _dead(self, error: object) -> EngineError:
        return EngineError(
            f"vllm: {self.model.id} died ({one_line(error)}); run the same command again to go on"
        )


def _wait(llm: Any, waiting: Future[list[Any]]) -> None:
    try:
        waiting.set_result(llm.wait_for_completion(use_tqdm=False))
    except BaseException as error:
        waiting.set_exception(error)


def sampling(constraint: Constraint) -> Any:
    """vLLM's parameters for one constraint."""
    from vllm import SamplingParams
    from vllm.sampling_params import StructuredOutputsParams

    return SamplingParams(
        temperature=0.0,
        max_tokens=constraint.max_tokens,
        # None besides the chosen token.
        logprobs=0,
        structured_outputs=StructuredOutputsParams(grammar=constraint.grammar),
    )


def _completion(output: Any | None) -> Completion:
    if output is None:
        return failed("vLLM lost the request")
    answer = output.outputs[0]
    if answer.finish_reason not in ("stop", "length"):
        return failed(f"vLLM ended the request with {answer.finish_reason!r}")
    chosen = [step[id_] for id_, step in zip(answer.token_ids, answer.logprobs, strict=True)]
    return Completion(
        text=answer.text,
        finish=answer.finish_reason,
        tokens=align_tokens(answer.text, ((token.decoded_token or "", token.logprob) for token in chosen)),
        usage=Usage(len(output.prompt_token_ids), output.num_cached_tokens or 0, len(answer.token_ids)),
    )
