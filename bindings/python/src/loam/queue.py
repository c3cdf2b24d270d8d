"""Continuous batching, one step at a time: the library's queue as it is.

Model.answer() is the same with a thread that takes the steps; use a Queue where the program has a loop
of its own, such as a game's."""
from __future__ import annotations

from collections.abc import Iterator, Sequence as List
from dataclasses import dataclass
from typing import Any, Callable, NamedTuple, Optional, TypeVar

from ._loam import ffi, lib
from .errors import Error, StateError
from .handle import Handle
from .sampling import GREEDY, Sampling
from .sequence import TokenIds, token_array

T = TypeVar("T")
_REASONS = {
    lib.LOAM_FINISH_NONE: None,
    lib.LOAM_FINISH_END: "stop",
    lib.LOAM_FINISH_STOP: "stop",
    lib.LOAM_FINISH_LENGTH: "length",
    lib.LOAM_FINISH_CANCELLED: "cancelled",
    lib.LOAM_FINISH_ERROR: "error",
}


class Usage(NamedTuple):
    """Tokens of one request until now."""

    prompt_tokens: int
    shared_tokens: int  # of the prompt's, found in the KV cache instead of being computed
    answer_tokens: int  # chosen, without the one that ended the answer
    suspensions: int  # how often its KV blocks were given up


class Event(NamedTuple):
    """What a step did for a request: one more token, or its end."""

    request: int
    text: str  # what is new in the answer's text, often ""; never part of a stop string
    token: Optional[int]
    finish: Optional[str]  # "stop", "length", "cancelled" or "error" in the last event, else None
    usage: Usage
    error: Optional[Error]  # why "error"


@dataclass(frozen=True)
class QueueStats:
    """What the queue does now, and has done since it was opened."""

    running: int
    waiting: int
    most_running: int  # at once
    unused_cells: int  # positions, in KV blocks of the running ones, without a token now
    steps: int
    computed_tokens: int  # that went through the model
    shared_tokens: int  # found in the KV cache instead
    answer_tokens: int  # chosen
    suspensions: int


class Queue:
    """Many requests share one model. Made by Model.queue(); a context manager that closes it."""

    def __init__(self, handle: Handle, requests: int, request_tokens: int, step_tokens: int,
                 stop_bytes: int) -> None:
        options = ffi.new("loam_queue_options *")
        lib.loam_queue_options_init(options)
        options.requests, options.request_tokens = requests, request_tokens
        options.step_tokens, options.stop_bytes = step_tokens, stop_bytes
        made = ffi.new("loam_queue **")
        handle.call(lib.loam_queue_open, options, made)
        self._handle = handle
        self._queue: Optional[Any] = ffi.gc(made[0], lib.loam_queue_close)
        self._in_step = False  # step_until() was interrupted
        self._event = ffi.new("loam_queue_event *")
        lib.loam_queue_event_init(self._event)

    # ---- life ----

    def __enter__(self) -> Queue:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Drop all requests without an event."""
        queue, self._queue = self._queue, None
        if queue is not None and not self._handle.closed:
            self._handle.turn(lambda _: ffi.release(queue))

    def _turn(self, do: Callable[[Any], T]) -> T:
        return self._handle.turn(lambda _: do(self._pointer()))

    def _pointer(self) -> Any:
        if self._queue is None:
            raise StateError("the queue is closed; open another")
        return self._queue

    # ---- requests ----

    def submit(self, tokens: TokenIds, *, max_tokens: int = 0, sampling: Sampling = GREEDY,
               stop: List[str] = (), priority: int = 0, ignore_end: bool = False,
               skip_control: bool = True) -> int:
        """Put a request in line; returns its number.

        max_tokens  of the answer; 0: as many as there is room for
        stop        the first of these to be complete in the text ends the answer in front of it
        priority    larger ones go first
        Errors      FullError (submit again later), ArgumentError, TokenError"""
        submission = ffi.new("loam_submission *")
        lib.loam_submission_init(submission)
        native, prompt = sampling.native(), token_array(tokens)
        texts = [ffi.from_buffer("char[]", text.encode()) for text in stop]
        stops, lengths = ffi.new("char *[]", texts), ffi.new("size_t[]", [len(text) for text in texts])
        submission.tokens, submission.n_tokens = prompt, len(prompt)
        submission.sampling, submission.max_tokens, submission.priority = native, max_tokens, priority
        submission.stops, submission.stop_bytes, submission.n_stops = stops, lengths, len(texts)
        submission.flags = (lib.LOAM_SUBMIT_IGNORE_END if ignore_end else 0) | (
            lib.LOAM_SUBMIT_SKIP_CONTROL if skip_control else 0)
        request = ffi.new("uint64_t *")
        self._turn(lambda q: self._handle.check(lib.loam_queue_submit(q, submission, request)))
        return int(request[0])

    def cancel(self, request: int) -> None:
        """End a request that waits or runs, with an event. Errors: ArgumentError (it has ended)."""
        self._turn(lambda q: self._handle.check(lib.loam_queue_cancel(q, request)))

    # ---- steps and events ----

    def step(self) -> list[Event]:
        """Compute the next token of all that are answering, and pieces of prompts behind them.

        Errors   FullError (nothing can start: close other sequences); CancelledError (the next step
                 computes this one again); DeadlineError (the next step goes on); DeviceError"""
        return self._turn(self._step)

    def _step(self, q: Any) -> list[Event]:
        left = list(self._events(q))  # where Ctrl-C came between a step and its events
        self._handle.finish(lib.loam_queue_step, q)
        return left + list(self._events(q))

    def step_until(self, stop: Callable[[], bool]) -> tuple[list[Event], Optional[Error]]:
        """A step, which stop() may interrupt: the next call goes on with it. Its events, and why it
        failed. For a thread that takes one step after the other: in between it lets others go first,
        but not within a step, which would begin again."""
        if not self._in_step:
            self._handle.let_others()
        return self._turn(lambda q: self._step_until(q, stop))

    def _step_until(self, q: Any, stop: Callable[[], bool]) -> tuple[list[Event], Optional[Error]]:
        events = list(self._events(q))  # of those that were cancelled
        status = lib.loam_queue_step(q)
        while status == lib.LOAM_ERR_DEADLINE and not stop():
            status = lib.loam_queue_step(q)
        self._in_step = status == lib.LOAM_ERR_DEADLINE
        goes_on = status in (lib.LOAM_OK, lib.LOAM_ERR_DEADLINE, lib.LOAM_ERR_CANCELLED)
        failure = None if goes_on else self._handle.failure(status)
        return events + list(self._events(q)), failure

    def _events(self, q: Any) -> Iterator[Event]:
        event = self._event
        while True:
            self._handle.check(lib.loam_queue_next(q, event))
            if event.kind == lib.LOAM_EVENT_NONE:
                return
            yield Event(
                request=event.request,
                text=bytes(ffi.buffer(event.text, event.text_bytes)).decode() if event.text_bytes else "",
                token=event.token if event.kind == lib.LOAM_EVENT_TOKEN else None,
                finish=_REASONS[event.finish],
                usage=Usage(event.prompt_tokens, event.shared_tokens, event.answer_tokens,
                            event.suspensions),
                error=self._handle.failure(event.status) if event.status else None,
            )

    @property
    def idle(self) -> bool:
        """Whether no request waits or runs."""
        return self._turn(lambda q: bool(lib.loam_queue_idle(q)))

    def stats(self) -> QueueStats:
        stats = ffi.new("loam_queue_stats *")
        lib.loam_queue_stats_init(stats)
        self._turn(lambda q: self._handle.check(lib.loam_queue_get_stats(q, stats)))
        return QueueStats(**{name: getattr(stats, name) for name in QueueStats.__annotations__})
