"""Processes that must not outlive this one: vLLM's go on, with a core and a gigabyte, when their parent is killed.

In: process ids. Out: a Lifeline, which kills them as soon as this process is gone, whatever ended it.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

# Its input ends when the process at the other end does.
_WATCH = """
import os, signal, sys
sys.stdin.read()
for pid in sys.argv[1:]:
    try:
        os.kill(int(pid), signal.SIGKILL)
    except OSError:
        pass
"""


class Lifeline:
    """Ties processes to this one until it is cut."""

    def __init__(self, pids: Sequence[int]) -> None:
        # In a session of its own: Ctrl-C in the terminal must not reach it.
        self._watch = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _WATCH, *map(str, pids)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def cut(self) -> None:
        """Let the processes be; may be called twice."""
        self._watch.kill()
        self._watch.communicate()
