"""An answer that is being made: what Model.answer() returns."""
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence as List
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Callable, Optional, Union

from .queue import Event, Usage
from .reader import Reader
from .sampling import Sampling
from .sequence import TokenIds

Prompt = Callable[["Request"], TokenIds]  # tokens, made on the thread that steps the queue


@dataclass
class Started:
    """The first thing that an answer gets: it stands in line."""


Item = Union[Started, Event, BaseException]


@dataclass(eq=False)
class Request:
    """What the thread that steps the queue has of an answer."""

    prompt: Prompt
    max_tokens: Optional[int]
    sampling: Sampling
    stop: List[str]
    priority: int
    ignore_end: bool
    skip_control: bool
    tokens: Optional[TokenIds] = None  # once the prompt was asked for them
    reader: Optional[Reader] = None  # made with them
    number: Optional[int] = None  # once it stands in line
    cancelled: bool = False
    items: SimpleQueue[Item] = field(default_factory=SimpleQueue)
    waiter: Optional[asyncio.Future[None]] = None  # of a task that found no item


class Answer:
    """Text in pieces, as they are made: `for piece in answer` or `async for piece in answer`.

    No piece is empty or has part of a character or of a stop string. An answer that is left early, or
    dropped, is cancelled. An answer belongs to one thread or task. Iterating raises what went wrong:
    ArgumentError (the prompt is too long), FullError, StateError (the model was closed), ..."""

    def __init__(self, request: Request, cancel: Callable[[Request], None], owner: object) -> None:
        self._owner: Optional[object] = owner  # the model, which is not dropped until the answer ended
        self._request = request
        self._cancel = cancel
        self._error: Optional[BaseException] = None
        self._started = False
        self.tokens: list[int] = []  # chosen until now
        self.usage: Optional[Usage] = None  # until now
        self.finish_reason: Optional[str] = None  # "stop", "length" or "cancelled" once it has ended

    # ---- reading ----

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        while not self._ended:
            piece = self._take(self._get())
            if piece:
                return piece
        raise self._error or StopIteration

    def __aiter__(self) -> AsyncIterator[str]:
        return self

    async def __anext__(self) -> str:
        while not self._ended:
            piece = self._take(await self._aget())
            if piece:
                return piece
        raise self._error or StopAsyncIteration

    def read(self) -> str:
        """All of the rest."""
        return "".join(self)

    async def aread(self) -> str:
        """All of the rest."""
        return "".join([piece async for piece in self])

    def start(self) -> None:
        """Wait until it stands in line; raises what keeps it from that."""
        if not self._started:
            self._take(self._get())

    async def astart(self) -> None:
        """start() for a task."""
        if not self._started:
            self._take(await self._aget())

    @property
    def reader(self) -> Optional[Reader]:
        """Of answer_chat(read=True), once it stands in line: to be given the text."""
        return self._request.reader

    # ---- ending ----

    def cancel(self) -> None:
        """End it soon; what was made until then can still be read."""
        if not self._ended:
            self._cancel(self._request)

    def __enter__(self) -> Answer:
        return self

    def __exit__(self, *_: object) -> None:
        self.cancel()

    def __del__(self) -> None:
        if hasattr(self, "finish_reason"):
            self.cancel()

    # ---- inside ----

    @property
    def _ended(self) -> bool:
        return self._error is not None or self.finish_reason is not None

    def _get(self) -> Item:
        try:
            return self._request.items.get()
        except BaseException:  # Ctrl-C
            self._cancel(self._request)
            raise

    async def _aget(self) -> Item:
        request = self._request
        try:
            while True:
                request.waiter = asyncio.get_running_loop().create_future()
                try:
                    return request.items.get_nowait()
                except Empty:
                    await request.waiter
                finally:
                    request.waiter = None
        except BaseException:  # the task was cancelled
            self._cancel(request)
            raise

    def _take(self, item: Item) -> str:
        if isinstance(item, BaseException):
            self._error, self._owner = item, None
            raise item
        self._started = True
        if isinstance(item, Started):
            return ""
        self.usage = item.usage
        if item.token is not None:
            self.tokens.append(item.token)
        if item.error is not None:
            self._error = item.error
        self.finish_reason = item.finish
        if item.finish is not None:
            self._owner = None
        return item.text
