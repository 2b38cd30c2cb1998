"""Children that do one thing, say one word and end: what the parent has imported they need not import again."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MEMORY_BYTES = 2 << 30
WALL_S = 600.0  # a child that waits for ever uses no processor time
OUT_OF_TIME = (signal.SIGPROF, signal.SIGKILL)


@dataclass(frozen=True)
class Ended:
    """How a child ended: what it said, or the signal that ended it."""

    said: Any
    signal: int = 0


class Child:
    """A fork that runs `work` and hands on its answer as JSON; its output goes to a file."""

    def __init__(self, work: Callable[[], object], output: Path) -> None:
        self.pipe, writable = os.pipe()
        self.began = time.monotonic()
        self.pid = os.fork()
        if not self.pid:
            _child(work, writable, output)
        os.close(writable)

    def ended(self) -> Ended:
        """Wait for its end."""
        with os.fdopen(self.pipe, "rb") as stream:
            data = stream.read()
        _, status = os.waitpid(self.pid, 0)
        self._end_group()
        if os.WIFSIGNALED(status):
            return Ended(None, os.WTERMSIG(status))
        return Ended(json.loads(data) if data else None)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def _end_group(self) -> None:
        """End what a test may have left running."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)


def _child(work: Callable[[], object], pipe: int, output: Path) -> None:
    try:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        log = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.write(pipe, json.dumps(work()).encode())
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)


def ask(work: Callable[[], object], output: Path) -> Any:
    """Do it in a child and wait for its answer; a child without one is a defect, shown with its output."""
    ended = Child(work, output).ended()
    if ended.said is None:
        raise SystemExit(f"a run without a mutant ended badly (signal {ended.signal}):\n{output.read_text('utf-8', 'replace')[-3000:]}")
    return ended.said


def each(jobs: list[Any], work: Callable[[Any], Callable[[], object]], workers: int, folder: Path) -> Iterator[tuple[Any, Ended]]:
    """(job, how its child ended), `workers` at a time, as they end. `work` is asked for what to do when its turn comes."""
    waiting, running = list(reversed(jobs)), dict[int, tuple[Any, Child, int]]()
    slots = list(range(workers))
    while waiting or running:
        while waiting and slots:
            job, slot = waiting.pop(), slots.pop()
            child = Child(work(job), folder / f"output-{slot}.txt")
            running[child.pipe] = job, child, slot
        for pipe in select.select(list(running), [], [], 5.0)[0]:
            job, child, slot = running.pop(pipe)
            slots.append(slot)
            yield job, child.ended()
        for _, child, _ in running.values():
            if time.monotonic() - child.began > WALL_S:
                child.kill()
