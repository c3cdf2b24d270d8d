"""The way back: a model's text to content, reasoning and tool calls."""
from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Optional

from ._loam import ffi, lib
from .errors import StateError, error
from .hooks import Clock, native_hooks

_KINDS = {
    lib.LOAM_READ_CONTENT: "content",
    lib.LOAM_READ_REASONING: "reasoning",
    lib.LOAM_READ_CALL: "call",
    lib.LOAM_READ_ARGUMENTS: "arguments",
}


class ReadEvent(NamedTuple):
    """What is new in the message."""

    kind: str  # "content", "reasoning", "call" (a tool call begins) or "arguments" (more of a call's)
    text: str  # of "call": the function's name
    id: str  # of "call"
    call: int  # number of the tool call, from 0


class Reader:
    """Takes a model's text apart as it streams, in the way that the chat template writes messages. The
    text must have its control tokens.

        with m.reader(messages, tools=tools) as reader:
            for piece in pieces:
                reader.push(piece)
                for event in reader.events(): ...
            reader.end()
            reader.message()

    Made by Model.reader(), or by Reader.open_source() without a model. The message does not depend on the
    cuts: what is not clear yet is held back, and a call until it is whole. A broken call is content. A
    context manager that closes it. Threads: one at a time."""

    def __init__(self, pointer: Any, keep: list[Any]) -> None:
        self._reader: Optional[Any] = ffi.gc(pointer, lib.loam_reader_close)
        self._keep = keep  # what the library may call while it reads
        self._event = ffi.new("loam_read_event *")
        lib.loam_read_event_init(self._event)

    @classmethod
    def open_source(cls, source: str, variables: Mapping[str, Any], *, clock: Optional[Clock] = None) -> Reader:
        """A reader for the answer to what render_template() makes of these: messages, tools,
        add_generation_prompt, ... Errors: JSONError, LimitError."""
        keep: list[Any] = []
        text, values = source.encode(), json.dumps(variables, ensure_ascii=False).encode(errors="replace")
        hooks = native_hooks(None, clock, keep)
        made, sentence = ffi.new("loam_reader **"), ffi.new("char[]", 1024)
        status = lib.loam_reader_open_source(text, len(text), values, len(values), hooks, made, sentence,
                                             len(sentence))
        if status:
            raise error(status, ffi.string(sentence).decode(errors="replace"))
        return cls(made[0], keep)

    # ---- life ----

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            ffi.release(reader)

    # ---- reading ----

    def push(self, text: str) -> None:
        """Read more text; events that were not taken are dropped. Errors: LimitError (the message would
        be longer than 64 MiB), StateError (it has ended)."""
        data = text.encode(errors="replace")
        self._check(lib.loam_reader_push(self._open(), data, len(data)))

    def end(self) -> None:
        """The text has ended: what was held back becomes events."""
        self._check(lib.loam_reader_end(self._open()))

    def events(self) -> Iterator[ReadEvent]:
        """What the last push() or end() made."""
        event = self._event
        while True:
            self._check(lib.loam_reader_next(self._open(), event))
            if event.kind == lib.LOAM_READ_NONE:
                return
            text, name = _text(event.text, event.text_bytes), _text(event.id, event.id_bytes)
            yield ReadEvent(_KINDS[event.kind], text, name, event.call)

    def message(self) -> dict[str, Any]:
        """The message until now, whole after end(): role and content, and where there is something in
        them reasoning_content and tool_calls, in openai's form."""
        reader, n = self._open(), ffi.new("size_t *")
        status = lib.loam_reader_message(reader, ffi.NULL, 0, n)
        if status == lib.LOAM_ERR_BUFFER:
            buffer = ffi.new("char[]", n[0])
            status = lib.loam_reader_message(reader, buffer, n[0], n)
        self._check(status)
        return dict(json.loads(bytes(ffi.buffer(buffer, n[0]))))

    # ---- inside ----

    def _open(self) -> Any:
        if self._reader is None:
            raise StateError("the reader is closed; open a new one")
        return self._reader

    def _check(self, status: int) -> None:
        if status:
            raise error(status, ffi.string(lib.loam_reader_error(self._open())).decode(errors="replace"))


def _text(pointer: Any, n: int) -> str:
    return bytes(ffi.buffer(pointer, n)).decode(errors="replace") if n else ""
