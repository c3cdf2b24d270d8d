"""A loaded model."""
from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping, Sequence as List
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Optional, Union

from ._loam import ffi, lib
from .answer import Answer, Request
from .completions import AsyncNamespace, Chat, Completions
from .driver import Driver
from .errors import OutOfMemoryError, ReadError, UnsupportedError, status_name
from .handle import SLICE, Handle
from .hooks import Buffer, Source, native_sources
from .options import Options, native_options
from .queue import Queue, QueueStats
from .reader import Reader
from .sampling import GREEDY, Sampling
from .sequence import SavedSequence, Sequence, TokenIds, token_array
from .text import TextStream

if TYPE_CHECKING:
    from typing_extensions import Unpack

Path = Union[str, "os.PathLike[str]"]
Part = Union[Source, Buffer]
Messages = List[Mapping[str, Any]]


@dataclass(frozen=True)
class Info:
    """Facts about a loaded model."""

    vocabulary_tokens: int
    layers: int
    embedding_values: int  # width of the residual stream
    context_tokens: int  # of a sequence of this model as it was loaded
    trained_tokens: int  # context the model was trained for
    sequences: int  # most open at once
    threads: int
    bos: Optional[int]
    eos: Optional[int]
    parameters: int
    weights_bytes: int
    architecture: str
    name: str
    isa: str  # instruction set in use
    chat_template: Optional[str]


@dataclass(frozen=True)
class CacheUsage:
    """What the KV cache holds and has saved."""

    sequences: int  # open
    kv_block_tokens: int  # positions in a block
    kv_blocks: int
    kv_blocks_used: int  # by sequences; one that several share counts once
    kv_blocks_idle: int  # kept for prompts that begin like one of lately
    tokens_computed: int  # since loading: rows that went through the model
    tokens_shared: int  # since loading: prompt tokens that were found in the cache instead


@dataclass(frozen=True)
class ProfilePart:
    """What one kind of op has taken since the model was loaded."""

    name: str
    type: int  # of the weights or KV cells that it touches; -1: none
    runs: int
    ns: int
    head: bool  # of the head, which computes logits


class Model:
    """A model, loaded from a GGUF file, from bytes in memory (kept as they are, not copied), from a
    Source, or from a list of these: the parts of a split model.

        with loam.Model("model.gguf", context=4096) as m:
            for piece in m.answer("Once upon a time", max_tokens=64):
                print(piece, end="")

    The keyword arguments are those of loam.Options. A context manager that closes it.
    Errors: any of loam.Error, such as NotFoundError, TruncatedError, ArchitectureError, NoFitError.
    Threads: a model may be used from any thread; calls take turns."""

    def __init__(self, source: Union[Path, Part, List[Part]], **options: Unpack[Options]) -> None:
        self._driver: Optional[Driver] = None
        self._driver_lock = threading.Lock()  # for making it
        self._handle = _load(source, options)
        self.info = _info(self._handle)
        if not options.get("vocabulary_only"):
            self._handle.call(lib.loam_seq_close, 0)  # sequences are objects here: see open()
            self.budget = None

    # ---- life ----

    def __enter__(self) -> Model:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop what runs and free the model. Sequences and answers of it raise StateError from then
        on; the memory stays until arrays of logits() over it are gone."""
        with self._driver_lock:
            driver, self._driver = self._driver, None
        if driver is not None:
            driver.stop(wait=True)
        self._handle.close()

    def __del__(self) -> None:
        if getattr(self, "_driver", None) is not None:
            self._driver.stop(wait=False)  # type: ignore[union-attr]

    @property
    def closed(self) -> bool:
        return self._handle.closed

    # ---- facts ----

    def usage(self) -> CacheUsage:
        """What the KV cache holds and has saved."""
        found = ffi.new("loam_usage *")
        lib.loam_usage_init(found)
        self._handle.call(lib.loam_get_usage, found)
        return CacheUsage(**{name: getattr(found, name) for name in CacheUsage.__annotations__})

    def profile(self) -> list[ProfilePart]:
        """How long each kind of op took; empty unless loaded with profile=True."""
        return self._handle.turn(self._profile)

    def _profile(self, m: Any) -> list[ProfilePart]:
        parts = []
        for i in range(lib.loam_profile_count(m)):
            part = ffi.new("loam_profile *")
            lib.loam_profile_init(part)
            self._handle.check(lib.loam_profile_get(m, i, part))
            name = ffi.string(part.name).decode()
            parts.append(ProfilePart(name, part.type, part.runs, part.ns, bool(part.head)))
        return parts

    def cache(self) -> bytes:
        """What backends learnt of their devices, for the option `cache` of a later load."""
        return self._handle.fill("char[]", 0, lib.loam_cache_get)

    # ---- text ----

    def tokenize(self, text: Union[str, bytes], *, special: bool = True, control: bool = False) -> list[int]:
        """Text to tokens.

        special  add what the vocabulary wants at the start and end (BOS, EOS)
        control  read control tokens such as <|im_end|> in the text as themselves; leave this off for
                 text from users
        Errors   TokenizerError"""
        data = text.encode() if isinstance(text, str) else text
        flags = (lib.LOAM_TOKENIZE_SPECIAL if special else 0) | (lib.LOAM_TOKENIZE_CONTROL if control else 0)
        return self._handle.fill_tokens(len(data) + 8, lib.loam_tokenize, data, len(data), flags)

    def detokenize(self, tokens: TokenIds, *, skip_control: bool = False) -> bytes:
        """Tokens to the model's bytes, which are not always whole characters. Errors: TokenError."""
        flags = lib.LOAM_DETOKENIZE_SKIP_CONTROL if skip_control else 0
        return self._handle.fill("char[]", 8 * len(tokens) + 64, lib.loam_detokenize, token_array(tokens),
                                 len(tokens), flags)

    def token_bytes(self, token: int) -> bytes:
        """The bytes of one token alone. Errors: TokenError."""
        return self._handle.fill("char[]", 64, lib.loam_token_text, token)

    def is_end(self, token: int) -> bool:
        """Whether the token ends a generation."""
        return bool(lib.loam_token_is_end(self._handle.pointer, token))

    def stream(self, *, skip_control: bool = True) -> TextStream:
        """Turns tokens into text as they come."""
        return TextStream(self._handle, skip_control)

    def render_chat(self, messages: Messages, *, add_generation_prompt: bool = True, **variables: Any) -> str:
        """The messages as the model's own chat template writes them; `variables` are the template's,
        such as tools=[...]. Errors: TemplateError, JSONError."""
        request = _chat_request(messages, add_generation_prompt, variables)
        text = self._handle.fill("char[]", 2 * len(request) + 256, lib.loam_chat_render, request, len(request))
        return text.decode(errors="replace")

    def tokenize_chat(self, messages: Messages, *, add_generation_prompt: bool = True,
                      **variables: Any) -> list[int]:
        """The same, as tokens: control tokens count where the template wrote them, and stay text
        inside message content."""
        request = _chat_request(messages, add_generation_prompt, variables)
        return self._handle.fill_tokens(len(request) + 64, lib.loam_chat_tokenize, request, len(request))

    def reader(self, messages: Messages, *, add_generation_prompt: bool = True, **variables: Any) -> Reader:
        """Takes the answer to what render_chat() makes of these apart. Errors: as render_chat()."""
        request = _chat_request(messages, add_generation_prompt, variables)
        made = ffi.new("loam_reader **")
        self._handle.call(lib.loam_reader_open, request, len(request), made)
        return Reader(made[0], [])

    # ---- sequences ----

    def open(self) -> Sequence:
        """An empty sequence. Errors: FullError (the option `sequences` says how many there can be)."""
        number = ffi.new("loam_seq *")
        self._handle.call(lib.loam_seq_open, number)
        return Sequence(self._handle, number[0], self.info.vocabulary_tokens)

    def restore(self, saved: SavedSequence) -> Sequence:
        """A sequence that goes on where it was saved, with the same bits on the same instruction set.
        Errors: ForeignError, CorruptError, TruncatedError, FullError."""
        number = ffi.new("loam_seq *")
        self._handle.call(lib.loam_seq_restore, ffi.from_buffer(saved.data), len(saved.data), number)
        return Sequence(self._handle, number[0], self.info.vocabulary_tokens)

    def decode(self, sequences: List[Sequence], tokens: TokenIds) -> None:
        """Append one token to each of these sequences, in one pass over the weights. On failure no
        sequence has changed. Errors: as Sequence.prefill()."""
        if len(sequences) != len(tokens):
            raise ValueError(f"{len(sequences)} sequences and {len(tokens)} tokens")
        numbers = ffi.new("loam_seq[]", [sequence.number for sequence in sequences])
        self._handle.compute(lib.loam_decode, numbers, token_array(tokens), len(tokens))

    def cancel(self) -> None:
        """Stop the compute call that is running, or else the next one, which raises CancelledError.
        From any thread. Answers go on; they have a cancel() of their own."""
        lib.loam_cancel(self._handle.pointer)

    @property
    def budget(self) -> Optional[float]:
        """Longest time in seconds of each later compute call, which then raises DeadlineError; the
        same call again goes on. None: no limit."""
        return self._handle.budget

    @budget.setter
    def budget(self, seconds: Optional[float]) -> None:
        if seconds is not None and seconds <= 0:
            raise ValueError(f"a budget of {seconds} seconds; give more, or None for no limit")
        slice_seconds = SLICE if seconds is None else min(seconds, SLICE)
        self._handle.call(lib.loam_set_budget, max(int(slice_seconds * 1e9), 1))
        self._handle.budget = seconds

    # ---- answers ----

    def answer(self, prompt: Union[str, TokenIds], *, max_tokens: Optional[int] = None,
               sampling: Sampling = GREEDY, stop: Union[str, List[str]] = (), priority: int = 0,
               ignore_end: bool = False, skip_control: bool = True) -> Answer:
        """The text that follows the prompt, in pieces as they are made: see Answer. All answers that
        are open at a time are computed together, as many as the option `sequences` says.

        max_tokens  at most so many; None or 0: as many as the context has room for
        stop        the first of these to be complete ends the answer in front of it
        priority    larger ones start first"""
        def tokens(_: Request) -> TokenIds:
            return self.tokenize(prompt) if isinstance(prompt, str) else prompt
        return self._drive().submit(Request(tokens, max_tokens, sampling, _stops(stop), priority, ignore_end,
                                            skip_control), self)

    def answer_chat(self, messages: Messages, *, max_tokens: Optional[int] = None, sampling: Sampling = GREEDY,
                    stop: Union[str, List[str]] = (), priority: int = 0, read: bool = False,
                    **variables: Any) -> Answer:
        """answer() for a conversation: `variables` are those of the chat template, such as tools.

        read    leave control tokens in the text, and open the answer's `reader`, which wants them"""
        def tokens(request: Request) -> TokenIds:
            if read:
                request.reader = self.reader(messages, **variables)
            return self.tokenize_chat(messages, **variables)
        return self._drive().submit(Request(tokens, max_tokens, sampling, _stops(stop), priority, False, not read),
                                    self)

    def _drive(self) -> Driver:
        with self._driver_lock:
            if self._driver is None:
                self._driver = Driver(self.queue(), self.info.context_tokens)
            return self._driver

    def queue_stats(self) -> QueueStats:
        """What the queue behind answer() does and has done."""
        return self._drive().stats()

    def queue(self, *, requests: int = 0, request_tokens: int = 0, step_tokens: int = 0,
              stop_bytes: int = 4096) -> Queue:
        """A queue of its own, to be stepped by the caller.

        requests        most that wait, run, or have events to take; 0: 256
        request_tokens  most tokens of one, prompt and answer; 0: a whole context
        step_tokens     most tokens computed in a step; 0: the model's
        stop_bytes      most bytes in all stop strings of one request"""
        return Queue(self._handle, requests, request_tokens, step_tokens, stop_bytes)

    # ---- the shapes of other packages ----

    @cached_property
    def chat(self) -> Chat:
        """chat.completions.create(...), as in the openai package."""
        return Chat(lambda _: self)

    @cached_property
    def completions(self) -> Completions:
        """completions.create(...), as in the openai package."""
        return Completions(lambda _: self)

    @cached_property
    def aio(self) -> AsyncNamespace:
        """aio.chat and aio.completions: the same for asyncio."""
        return AsyncNamespace(lambda _: self)

    def embed(self, text: str) -> Any:
        """Not in this version. Errors: UnsupportedError, always."""
        raise UnsupportedError("this version of loam computes no embeddings")


# ---- inside ----

def _load(source: Union[Path, Part, List[Part]], options: Options) -> Handle:
    keep: list[Any] = []
    native = native_options(options, keep)
    made = ffi.new("loam **")
    if isinstance(source, (str, os.PathLike)):
        parts: List[Part] = ()
        status = lib.loam_load(os.fsencode(source), native, made)
    else:
        parts = [source] if isinstance(source, (Source, bytes, bytearray, memoryview)) else source
        status = lib.loam_load_sources(native_sources(parts, keep), len(parts), native, made)
    if made[0] == ffi.NULL:
        raise OutOfMemoryError(f"{status_name(status)}: there is no memory for the model's handle")
    handle = Handle(made[0], keep)
    try:
        handle.check(status)
    except ReadError as failed:
        raised = [part.raised for part in parts if isinstance(part, Source) and part.raised]
        raise failed from (raised[0] if raised else None)
    return handle


def _info(handle: Handle) -> Info:
    found = ffi.new("loam_info *")
    lib.loam_info_init(found)
    handle.call(lib.loam_get_info, found)
    facts = {name: getattr(found, name) for name in Info.__annotations__}
    for name in ("architecture", "name", "isa", "chat_template"):
        facts[name] = None if facts[name] == ffi.NULL else ffi.string(facts[name]).decode(errors="replace")
    for name in ("bos", "eos"):
        facts[name] = None if facts[name] < 0 else facts[name]
    return Info(**facts)


def _stops(stop: Union[str, List[str]]) -> List[str]:
    return [stop] if isinstance(stop, str) else list(stop)


def _chat_request(messages: Messages, add_generation_prompt: bool, variables: Mapping[str, Any]) -> bytes:
    request = {"messages": messages, "add_generation_prompt": add_generation_prompt, **variables}
    return json.dumps(request, ensure_ascii=False).encode(errors="replace")
