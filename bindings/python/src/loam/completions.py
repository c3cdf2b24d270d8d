"""chat.completions.create() and completions.create() with the shapes of the openai package."""
from __future__ import annotations

import json
import secrets
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence as List
from typing import TYPE_CHECKING, Any, Callable, Generic, Literal, Optional, TypedDict, TypeVar, Union, overload

from .answer import Answer
from .errors import UnsupportedError
from .reader import Reader, ReadEvent
from .sampling import Sampling
from .shapes import (
    ChatChoice,
    ChatCompletion,
    ChatCompletionChunk,
    ChatCompletionMessage,
    ChoiceDelta,
    ChunkChoice,
    Completion,
    CompletionChoice,
    CompletionUsage,
    Function,
    FunctionDelta,
    PromptTokensDetails,
    ToolCall,
    ToolCallDelta,
)

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .model import Model

Resolve = Callable[[Optional[str]], "Model"]  # the model of a name
Prompt = Union[str, List[int]]
Whole = TypeVar("Whole")
Chunk = TypeVar("Chunk")
S = TypeVar("S")


class Settings(TypedDict, total=False):
    """The keyword arguments of create() that say how; None is the same as leaving one out."""

    model: Optional[str]
    max_tokens: Optional[int]  # at most so many; as many as the context has room for
    max_completion_tokens: Optional[int]  # the same
    temperature: Optional[float]  # default 1; 0: greedy
    top_p: Optional[float]
    seed: Optional[int]  # default: another one each time
    stop: Union[str, List[str], None]
    n: Optional[int]  # so many answers; the seeds count up
    frequency_penalty: Optional[float]
    presence_penalty: Optional[float]
    top_k: Optional[int]  # this and the next two are not openai's, and may stand in extra_body too
    min_p: Optional[float]
    repeat_penalty: Optional[float]
    tools: Optional[Iterable[Any]]  # given to the chat template
    tool_choice: Any  # "none": the template gets no tools
    stream_options: Optional[Mapping[str, Any]]  # {"include_usage": True}: a last chunk with usage
    extra_body: Optional[Mapping[str, Any]]
    user: Optional[str]  # no meaning here
    response_format: Optional[Mapping[str, Any]]  # {"type": "text"}
    logprobs: Any  # not in this version, as logit_bias
    logit_bias: Any


# ---- how ----

def _settled(settings: Settings) -> dict[str, Any]:
    """Without None, with extra_body; refused where an answer would not be what was asked for."""
    given: dict[str, Any] = {**settings, **(settings.get("extra_body") or {})}
    unknown = set(given) - set(Settings.__annotations__)
    if unknown:
        raise TypeError(f"unknown arguments: {', '.join(sorted(unknown))}")
    if (given.get("response_format") or {"type": "text"}).get("type") != "text":
        raise UnsupportedError("this version of loam has no grammars: response_format must be text")
    for name in ("logprobs", "logit_bias"):
        if given.get(name):
            raise UnsupportedError(f"this version of loam has no {name}")
    return {name: value for name, value in given.items() if value is not None}


def _samplings(given: Mapping[str, Any]) -> list[Sampling]:
    """How each of the n answers is sampled."""
    seed = given.get("seed", secrets.randbits(63))
    names = ("top_p", "top_k", "min_p", "frequency_penalty", "presence_penalty", "repeat_penalty")
    how = {name: given[name] for name in names if name in given}
    temperature = given.get("temperature", 1.0)
    return [Sampling(temperature=temperature, seed=(seed + i) % 2**64, **how) for i in range(given.get("n", 1))]


def _limits(given: Mapping[str, Any]) -> dict[str, Any]:
    return {"max_tokens": given.get("max_completion_tokens", given.get("max_tokens")),
            "stop": given.get("stop", ())}


def _as_dict(message: Any) -> Any:
    """A message in the form that templates know: objects of create()'s answers may be given back, and
    text in parts becomes one text."""
    if hasattr(message, "model_dump"):
        message = {"content": "", **message.model_dump(exclude_none=True)}
    content = message.get("content")
    if isinstance(content, (list, tuple)):
        other = [part.get("type") for part in content if part.get("type") != "text"]
        if other:
            raise UnsupportedError(f"a message has content of the type {other[0]}; loam reads text only")
        message = {**message, "content": "".join(part["text"] for part in content)}
    if message.get("tool_calls"):
        message = {**message, "tool_calls": [_call_as_dict(call) for call in message["tool_calls"]]}
    return message


def _call_as_dict(call: Any) -> Any:
    """A tool call whose arguments are an object, as templates want them, where they are JSON."""
    if hasattr(call, "model_dump"):
        call = call.model_dump(exclude_none=True)
    try:
        function = call["function"]
        return {**call, "function": {**function, "arguments": json.loads(function["arguments"])}}
    except (KeyError, TypeError, ValueError):
        return call


# ---- what comes out ----

class _Job(Generic[Whole, Chunk]):
    """One call of create(): its answers, and the shapes that they get."""

    prefix = ""

    def __init__(self, answers: list[Answer], name: str, include_usage: bool) -> None:
        self.answers = answers
        self.include_usage = include_usage
        self.head: dict[str, Any] = {
            "id": f"{self.prefix}-{secrets.token_hex(12)}", "created": int(time.time()), "model": name}

    def usage(self) -> CompletionUsage:
        used = [answer.usage for answer in self.answers if answer.usage is not None]
        prompt = used[0].prompt_tokens if used else 0
        made = sum(usage.answer_tokens for usage in used)
        shared = used[0].shared_tokens if used else 0
        return CompletionUsage(prompt, made, prompt + made, PromptTokensDetails(shared))

    def whole(self, texts: list[str]) -> Whole:
        raise NotImplementedError

    def first(self, index: int) -> Iterable[Chunk]:
        return ()

    def pieces(self, index: int, text: str) -> Iterable[Chunk]:
        raise NotImplementedError

    def finish(self, index: int) -> Iterable[Chunk]:
        raise NotImplementedError

    def last(self) -> Chunk:
        raise NotImplementedError

    def chunks(self) -> Iterator[Chunk]:
        for index, answer in enumerate(self.answers):
            yield from self.first(index)
            for text in answer:
                yield from self.pieces(index, text)
            yield from self.finish(index)
        if self.include_usage:
            yield self.last()

    async def achunks(self) -> AsyncIterator[Chunk]:
        for index, answer in enumerate(self.answers):
            for chunk in self.first(index):
                yield chunk
            async for text in answer:
                for chunk in self.pieces(index, text):
                    yield chunk
            for chunk in self.finish(index):
                yield chunk
        if self.include_usage:
            yield self.last()


class _ChatJob(_Job[ChatCompletion, ChatCompletionChunk]):
    prefix = "chatcmpl"

    def whole(self, texts: list[str]) -> ChatCompletion:
        choices = [self._choice(i, text) for i, text in enumerate(texts)]
        return ChatCompletion(choices=choices, usage=self.usage(), **self.head)

    def _reader(self, index: int) -> Reader:
        reader = self.answers[index].reader
        assert reader is not None  # the answer has started
        return reader

    def _choice(self, index: int, text: str) -> ChatChoice:
        with self._reader(index) as reader:
            reader.push(text)
            reader.end()
            read = reader.message()
        calls = [ToolCall(call["id"], Function(**call["function"])) for call in read.get("tool_calls", ())]
        message = ChatCompletionMessage(read["content"] or (None if calls else ""), tool_calls=calls or None,
                                        reasoning_content=read.get("reasoning_content"))
        return ChatChoice(index, message, self._reason(index, bool(calls)))

    def _reason(self, index: int, calls: bool) -> str:
        reason = str(self.answers[index].finish_reason)
        return "tool_calls" if calls and reason == "stop" else reason

    def _chunk(self, index: int, delta: ChoiceDelta, finish: Optional[str] = None) -> ChatCompletionChunk:
        return ChatCompletionChunk(choices=[ChunkChoice(index, delta, finish)], **self.head)

    def first(self, index: int) -> Iterable[ChatCompletionChunk]:
        return [self._chunk(index, ChoiceDelta(role="assistant", content=""))]

    def pieces(self, index: int, text: str) -> Iterable[ChatCompletionChunk]:
        reader = self._reader(index)
        reader.push(text)
        for event in reader.events():
            yield self._chunk(index, _delta(event))

    def finish(self, index: int) -> Iterable[ChatCompletionChunk]:
        with self._reader(index) as reader:
            reader.end()
            for event in reader.events():
                yield self._chunk(index, _delta(event))
            calls = "tool_calls" in reader.message()
        yield self._chunk(index, ChoiceDelta(), self._reason(index, calls))

    def last(self) -> ChatCompletionChunk:
        return ChatCompletionChunk(choices=[], usage=self.usage(), **self.head)


def _delta(event: ReadEvent) -> ChoiceDelta:
    if event.kind == "content":
        return ChoiceDelta(content=event.text)
    if event.kind == "reasoning":
        return ChoiceDelta(reasoning_content=event.text)
    if event.kind == "call":
        call = ToolCallDelta(event.call, FunctionDelta("", event.text), event.id, "function")
    else:
        call = ToolCallDelta(event.call, FunctionDelta(event.text))
    return ChoiceDelta(tool_calls=[call])


class _TextJob(_Job[Completion, Completion]):
    prefix = "cmpl"

    def whole(self, texts: list[str]) -> Completion:
        choices = [CompletionChoice(i, text, answer.finish_reason)
                   for i, (text, answer) in enumerate(zip(texts, self.answers))]
        return Completion(choices=choices, usage=self.usage(), **self.head)

    def pieces(self, index: int, text: str) -> Iterable[Completion]:
        return [self._chunk(index, text, None)]

    def finish(self, index: int) -> Iterable[Completion]:
        return [self._chunk(index, "", self.answers[index].finish_reason)]

    def _chunk(self, index: int, text: str, finish: Optional[str]) -> Completion:
        return Completion(choices=[CompletionChoice(index, text, finish)], **self.head)

    def last(self) -> Completion:
        return Completion(choices=[], usage=self.usage(), **self.head)


class Stream(Generic[S]):
    """Chunks, as they are made. A context manager; close() or leaving it cancels what is left."""

    def __init__(self, chunks: Iterator[S], answers: list[Answer]) -> None:
        self._chunks = chunks
        self._answers = answers

    def __iter__(self) -> Iterator[S]:
        return self

    def __next__(self) -> S:
        return next(self._chunks)

    def __enter__(self) -> Stream[S]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for answer in self._answers:
            answer.cancel()


class AsyncStream(Generic[S]):
    """The same for `async for` and `async with`."""

    def __init__(self, chunks: AsyncIterator[S], answers: list[Answer]) -> None:
        self._chunks = chunks
        self._answers = answers

    def __aiter__(self) -> AsyncIterator[S]:
        return self

    async def __anext__(self) -> S:
        return await self._chunks.__anext__()

    async def __aenter__(self) -> AsyncStream[S]:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        for answer in self._answers:
            answer.cancel()


# ---- the calls ----

class _Resource:
    def __init__(self, resolve: Resolve) -> None:
        self._resolve = resolve

    def _job_parts(self, given: Mapping[str, Any]) -> tuple[Model, str, bool]:
        model = self._resolve(given.get("model"))
        name = given.get("model", model.info.name)
        return model, name, bool(given.get("stream_options", {}).get("include_usage"))

    def _chat(self, messages: Iterable[Any], settings: Settings) -> _ChatJob:
        given = _settled(settings)
        model, name, include_usage = self._job_parts(given)
        variables: dict[str, Any] = {}
        if given.get("tools") and given.get("tool_choice") != "none":
            variables["tools"] = list(given["tools"])
        plain = [_as_dict(message) for message in messages]
        answers = [model.answer_chat(plain, sampling=how, read=True, **_limits(given), **variables)
                   for how in _samplings(given)]
        return _ChatJob(answers, name, include_usage)

    def _text(self, prompt: Prompt, settings: Settings) -> _TextJob:
        given = _settled(settings)
        model, name, include_usage = self._job_parts(given)
        answers = [model.answer(prompt, sampling=how, **_limits(given)) for how in _samplings(given)]
        return _TextJob(answers, name, include_usage)


def _finished(job: _Job[Whole, Chunk]) -> Whole:
    return job.whole([answer.read() for answer in job.answers])


def _streamed(job: _Job[Whole, Chunk]) -> Stream[Chunk]:
    for answer in job.answers:
        answer.start()
    return Stream(job.chunks(), job.answers)


async def _afinished(job: _Job[Whole, Chunk]) -> Whole:
    return job.whole([await answer.aread() for answer in job.answers])


async def _astreamed(job: _Job[Whole, Chunk]) -> AsyncStream[Chunk]:
    for answer in job.answers:
        await answer.astart()
    return AsyncStream(job.achunks(), job.answers)


class ChatCompletions(_Resource):
    @overload
    def create(self, *, messages: Iterable[Any], stream: Literal[False] = False,
               **settings: Unpack[Settings]) -> ChatCompletion: ...
    @overload
    def create(self, *, messages: Iterable[Any], stream: Literal[True],
               **settings: Unpack[Settings]) -> Stream[ChatCompletionChunk]: ...

    def create(self, *, messages: Iterable[Any], stream: bool = False,
               **settings: Unpack[Settings]) -> Union[ChatCompletion, Stream[ChatCompletionChunk]]:
        """Answer a conversation, through the model's own chat template.

        messages  {"role": ..., "content": ...} each, or messages of earlier answers
        stream    True: a Stream of ChatCompletionChunk
        settings  those of Settings
        Errors    TemplateError, ArgumentError (too long), FullError, UnsupportedError"""
        job = self._chat(messages, settings)
        return _streamed(job) if stream else _finished(job)


class Completions(_Resource):
    @overload
    def create(self, *, prompt: Prompt, stream: Literal[False] = False,
               **settings: Unpack[Settings]) -> Completion: ...
    @overload
    def create(self, *, prompt: Prompt, stream: Literal[True],
               **settings: Unpack[Settings]) -> Stream[Completion]: ...

    def create(self, *, prompt: Prompt, stream: bool = False,
               **settings: Unpack[Settings]) -> Union[Completion, Stream[Completion]]:
        """Go on with a text, or with tokens. As ChatCompletions.create()."""
        job = self._text(prompt, settings)
        return _streamed(job) if stream else _finished(job)


class AsyncChatCompletions(_Resource):
    @overload
    async def create(self, *, messages: Iterable[Any], stream: Literal[False] = False,
                     **settings: Unpack[Settings]) -> ChatCompletion: ...
    @overload
    async def create(self, *, messages: Iterable[Any], stream: Literal[True],
                     **settings: Unpack[Settings]) -> AsyncStream[ChatCompletionChunk]: ...

    async def create(self, *, messages: Iterable[Any], stream: bool = False,
                     **settings: Unpack[Settings]) -> Union[ChatCompletion, AsyncStream[ChatCompletionChunk]]:
        """ChatCompletions.create() for a task; tasks that wait at a time are answered together."""
        job = self._chat(messages, settings)
        if stream:
            return await _astreamed(job)
        return await _afinished(job)


class AsyncCompletions(_Resource):
    @overload
    async def create(self, *, prompt: Prompt, stream: Literal[False] = False,
                     **settings: Unpack[Settings]) -> Completion: ...
    @overload
    async def create(self, *, prompt: Prompt, stream: Literal[True],
                     **settings: Unpack[Settings]) -> AsyncStream[Completion]: ...

    async def create(self, *, prompt: Prompt, stream: bool = False,
                     **settings: Unpack[Settings]) -> Union[Completion, AsyncStream[Completion]]:
        """Completions.create() for a task."""
        job = self._text(prompt, settings)
        if stream:
            return await _astreamed(job)
        return await _afinished(job)


class Chat:
    """chat.completions"""

    def __init__(self, resolve: Resolve) -> None:
        self.completions = ChatCompletions(resolve)


class AsyncChat:
    """chat.completions, for asyncio"""

    def __init__(self, resolve: Resolve) -> None:
        self.completions = AsyncChatCompletions(resolve)


class AsyncNamespace:
    """chat and completions, for asyncio"""

    def __init__(self, resolve: Resolve) -> None:
        self.chat = AsyncChat(resolve)
        self.completions = AsyncCompletions(resolve)
