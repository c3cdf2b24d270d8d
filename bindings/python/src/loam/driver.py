"""The thread that steps a model's queue while somebody waits for an answer, and sleeps otherwise."""
from __future__ import annotations

import asyncio
import atexit
import threading
import weakref
from collections import deque
from queue import SimpleQueue
from typing import Union

from ._loam import lib
from .answer import Answer, Item, Request, Started
from .errors import Error, FullError, StateError, error
from .queue import Event, Queue, QueueStats, Usage

CLOSED = "the model was closed before the answer was complete"


class _Cancel:
    def __init__(self, request: Request) -> None:
        self.request = request


class _Stop:
    pass


Message = Union[Request, _Cancel, _Stop]


class Driver:
    """Takes requests from any thread through one mailbox, whose put() never waits and may be called
    from __del__(), and gives each what the steps make of it."""

    def __init__(self, queue: Queue, context: int) -> None:
        self._queue = queue
        self._context = context
        self._mail: SimpleQueue[Message] = SimpleQueue()
        self._waiting: deque[Request] = deque()  # until the queue has room
        self._running: dict[int, Request] = {}
        self._woken: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
        self._stopped = False  # a message said so
        self._ended = False  # the thread reads no more mail
        self._thread = threading.Thread(target=self._run, name="loam queue", daemon=True)
        self._thread.start()
        _drivers.add(self)

    # ---- from any thread ----

    def submit(self, request: Request, owner: object) -> Answer:
        self._mail.put(request)
        if self._ended:  # the thread may have looked into its mailbox for the last time
            request.items.put(StateError(CLOSED))
        return Answer(request, self.cancel, owner)

    def cancel(self, request: Request) -> None:
        self._mail.put(_Cancel(request))

    def stats(self) -> QueueStats:
        return self._queue.stats()

    def stop(self, wait: bool) -> None:
        """End all answers with a StateError. wait: until the thread has ended; not from __del__()."""
        self._mail.put(_Stop())
        if wait:
            self._thread.join()

    # ---- the thread ----

    def _run(self) -> None:
        failure: Error = StateError(CLOSED)
        try:
            while self._read_mail():
                self._admit()
                self._step()
                self._wake()
        except Error as failed:
            failure = failed
        except BaseException as failed:
            failure = error(lib.LOAM_ERR_INTERNAL, f"the thread of the queue ended: {failed!r}")
        self._ended = True
        while not self._mail.empty():
            message = self._mail.get()
            if isinstance(message, Request):
                self._waiting.append(message)
        self._fail_all(failure)
        self._wake()
        self._queue.close()  # an answer that is kept has this object, and the queue the model's memory

    def _read_mail(self) -> bool:
        """Take all messages, waiting for one where there is nothing else to do; False: stop."""
        idle = not self._running and not self._waiting
        while idle or not self._mail.empty():
            self._read(self._mail.get())
            idle = False
        return not self._stopped

    def _read(self, message: Message) -> None:
        if isinstance(message, Request):
            self._waiting.append(message)
        elif isinstance(message, _Cancel):
            self._end(message.request)
        else:
            self._stopped = True

    def _end(self, request: Request) -> None:
        if request.cancelled:
            return
        request.cancelled = True
        if request.number in self._running:
            self._queue.cancel(request.number)  # its last event comes with the next step's
        elif request in self._waiting:
            self._waiting.remove(request)
            self._give(request, Event(0, "", None, "cancelled", Usage(0, 0, 0, 0), None))

    def _admit(self) -> None:
        """Put those in line who wait, while the queue has room."""
        while self._waiting:
            request = self._waiting[0]
            try:
                request.number = self._submit(request)
            except FullError:
                return
            except Exception as failed:  # of any kind: the prompt is the caller's
                self._waiting.popleft()
                self._give(request, failed)
            else:
                self._waiting.popleft()
                self._running[request.number] = request
                self._give(request, Started())

    def _submit(self, request: Request) -> int:
        if request.tokens is None:
            request.tokens = request.prompt(request)
        room = max(self._context - len(request.tokens), 0)
        return self._queue.submit(
            request.tokens,
            max_tokens=min(request.max_tokens or room, room),
            sampling=request.sampling,
            stop=request.stop,
            priority=request.priority,
            ignore_end=request.ignore_end,
            skip_control=request.skip_control,
        )

    def _step(self) -> None:
        """One step, or a part of one where mail comes."""
        events, failure = self._queue.step_until(lambda: not self._mail.empty())
        for event in events:
            if event.finish is None:
                self._give(self._running[event.request], event)
            elif event.request in self._running:  # it was not given up below
                self._give(self._running.pop(event.request), event)
        if failure is not None:
            for number in self._running:
                self._queue.cancel(number)
            self._fail_all(failure)

    def _fail_all(self, failure: Error) -> None:
        for request in [*self._running.values(), *self._waiting]:
            self._give(request, error(failure.status, str(failure)))
        self._running.clear()
        self._waiting.clear()

    # ---- giving ----

    def _give(self, request: Request, item: Item) -> None:
        request.items.put(item)
        waiter = request.waiter  # read after put(): a task sets it before it looks for items
        if waiter is not None:
            self._woken.setdefault(waiter.get_loop(), []).append(waiter)

    def _wake(self) -> None:
        """Wake all tasks that were given something, with one call for each event loop."""
        for loop, waiters in self._woken.items():
            try:
                loop.call_soon_threadsafe(_set_all, waiters)
            except RuntimeError:  # the loop was closed, and its tasks with it
                pass
        self._woken = {}


def _set_all(waiters: list[asyncio.Future[None]]) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(None)


_drivers: weakref.WeakSet[Driver] = weakref.WeakSet()


@atexit.register
def _stop_all() -> None:
    """A thread that still steps while Python ends would call into what is gone."""
    for driver in list(_drivers):
        driver.stop(wait=True)
