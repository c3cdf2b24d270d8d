"""A loaded handle: who may call it when, what a failed call raises, and when it is freed."""
from __future__ import annotations

import threading
import time
from collections import deque
from typing import Any, Callable, Optional, TypeVar

from ._loam import ffi, lib
from .errors import Error, StateError, error

# Longest time in seconds that a compute call keeps Python from handling a signal such as Ctrl-C: the
# library stops there, and goes on with the same call.
SLICE = 0.05

T = TypeVar("T")


class Handle:
    """A loam *, freed when it was closed and the last view of its memory is gone.

    Calls take turns: a call that was interrupted for a signal goes on only if nobody else calls in
    between, and the sentence of a failure is there until the next call."""

    def __init__(self, pointer: Any, keep: list[Any]) -> None:
        # `keep` is what the library may call or read while the handle lives
        self._pointer: Optional[Any] = ffi.gc(pointer, lambda p, _keep=keep: lib.loam_free(p))
        self._lock = threading.Lock()  # a plain one: no signal comes between taking and giving it back
        self._waiting: set[int] = set()  # threads that want a turn
        self._orphans: deque[int] = deque()  # sequences that were dropped without close()
        self.budget: Optional[float] = None

    # ---- life ----

    @property
    def pointer(self) -> Any:
        """The loam *; raises StateError after close()."""
        if self._pointer is None:
            raise StateError("the model is closed; load it again")
        return self._pointer

    @property
    def closed(self) -> bool:
        return self._pointer is None

    def close(self) -> None:
        """Stop what runs, and give the handle up."""
        if self._pointer is not None:
            lib.loam_cancel(self._pointer)
        with self._lock:
            self._pointer = None

    def drop_sequence(self, number: int) -> None:
        """Close a sequence at the next turn: for __del__(), which may run in the middle of one."""
        self._orphans.append(number)

    # ---- turns and calls ----

    def turn(self, do: Callable[[Any], T]) -> T:
        """do(pointer) while nobody else calls."""
        me = threading.get_ident()
        self._waiting.add(me)
        with self._lock:
            self._waiting.discard(me)
            while self._orphans:
                lib.loam_seq_close(self.pointer, self._orphans.popleft())
            return do(self.pointer)

    def let_others(self) -> None:
        """For who takes one turn after the other: let those go first who wait."""
        if self._waiting:
            time.sleep(0.0001)

    def failure(self, status: int) -> Error:
        """What a status means; to be called in the turn of the call that returned it."""
        return error(status, ffi.string(lib.loam_error(self.pointer)).decode(errors="replace"))

    def check(self, status: int) -> None:
        if status:
            raise self.failure(status)

    def call(self, function: Any, *arguments: Any) -> None:
        """function(handle, ...), which raises if it fails."""
        self.turn(lambda m: self.check(function(m, *arguments)))

    def compute(self, function: Any, *arguments: Any) -> None:
        """call() for what computes: signals are handled meanwhile, and the budget holds."""
        self.turn(lambda m: self.finish(function, m, *arguments))

    def finish(self, function: Any, *arguments: Any) -> None:
        """Call, within a turn, until it is done or the budget is used up."""
        end = None if self.budget is None else time.monotonic() + self.budget
        status = function(*arguments)
        while status == lib.LOAM_ERR_DEADLINE and (end is None or time.monotonic() < end):
            status = function(*arguments)
        self.check(status)

    def fill(self, kind: str, capacity: int, function: Any, *arguments: Any) -> bytes:
        """function(handle, ..., buffer, capacity, n): the bytes of what it filled an array of `kind`
        with, however large it must be."""
        return self.turn(lambda m: self._fill(kind, capacity, function, m, *arguments))

    def _fill(self, kind: str, capacity: int, function: Any, *arguments: Any) -> bytes:
        n = ffi.new("size_t *")
        buffer = ffi.new(kind, capacity)
        status = function(*arguments, buffer, capacity, n)
        if status == lib.LOAM_ERR_BUFFER:
            buffer = ffi.new(kind, n[0])
            status = function(*arguments, buffer, n[0], n)
        self.check(status)
        return bytes(ffi.buffer(buffer)[: n[0] * ffi.sizeof(ffi.typeof(buffer).item)])

    def fill_tokens(self, capacity: int, function: Any, *arguments: Any) -> list[int]:
        return memoryview(self.fill("loam_token[]", capacity, function, *arguments)).cast("i").tolist()
