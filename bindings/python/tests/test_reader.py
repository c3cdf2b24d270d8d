"""Models' text back to messages."""
from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Sequence
from typing import Any, Optional

import pytest

import loam
from loam.completions import _ChatJob, _afinished, _finished, _streamed
from loam.llama import Llama

HERMES = """{%- for m in messages %}{{- '<|im_start|>' + m.role + '\\n' }}
{%- if m.reasoning_content %}{{- '<think>\\n' + m.reasoning_content + '\\n</think>\\n\\n' }}{%- endif %}
{{- m.content }}{%- for t in m.tool_calls or [] %}
{{- '\\n<tool_call>\\n' + (t.function|tojson) + '\\n</tool_call>' }}{%- endfor %}{{- '<|im_end|>\\n' }}
{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"""
HI: list[Any] = [{"role": "user", "content": "hi"}]
TOOLS = [{"type": "function", "function": {
    "name": "weather", "parameters": {"type": "object", "properties": {"place": {"type": "string"}}}}}]
REQUEST = {"messages": HI, "tools": TOOLS, "add_generation_prompt": True}
TEXT = ('<think>\nWhere is it?\n</think>\n\nLet me see, Zoë.\n'
        '<tool_call>\n{"name": "weather", "arguments": {"place": "Zürich"}}\n</tool_call>\n'
        '<tool_call>\n{"name": "weather", "arguments": {"place": "Bern"}}\n</tool_call><|im_end|>')
PLACES = [{"place": "Zürich"}, {"place": "Bern"}]


def hermes() -> loam.Reader:
    return loam.Reader.open_source(HERMES, REQUEST)


class Stub(loam.Answer):
    """An answer that has these pieces."""

    def __init__(self, pieces: Sequence[str], finish: str = "stop") -> None:
        self.pieces, self.finish, self.stub_reader = list(pieces), finish, hermes()
        self.usage, self.tokens = loam.Usage(3, 0, len(pieces), 0), []

    @property
    def reader(self) -> Optional[loam.Reader]:
        return self.stub_reader

    def start(self) -> None:
        pass

    def cancel(self) -> None:
        pass

    def __next__(self) -> str:
        if self.pieces:
            return self.pieces.pop(0)
        self.finish_reason = self.finish
        raise StopIteration

    async def __anext__(self) -> str:
        for piece in self:
            return piece
        raise StopAsyncIteration


def job(text: str = TEXT, finish: str = "stop") -> _ChatJob:
    return _ChatJob([Stub(list(text), finish)], "stub", False)


def check(message: Any) -> None:
    assert message["role"] == "assistant" and message["content"] == "Let me see, Zoë."
    assert message["reasoning_content"] == "Where is it?"
    assert [call["function"]["name"] for call in message["tool_calls"]] == ["weather", "weather"]
    assert [json.loads(call["function"]["arguments"]) for call in message["tool_calls"]] == PLACES
    assert len({call["id"] for call in message["tool_calls"]}) == 2
    assert {call["type"] for call in message["tool_calls"]} == {"function"}


def joined(chunks: Sequence[Any]) -> dict[str, Any]:
    """The message that dicts of chunks make."""
    message: dict[str, Any] = {"content": "", "reasoning_content": "", "tool_calls": []}
    for chunk in chunks:
        delta = chunk["choices"][0]["delta"]
        message["role"] = delta.get("role") or message["role"]
        for key in ("content", "reasoning_content"):
            message[key] += delta.get(key) or ""
        for call in delta.get("tool_calls") or ():
            if call.get("id"):
                assert call["index"] == len(message["tool_calls"])
                function = {"name": call["function"]["name"], "arguments": ""}
                message["tool_calls"].append({"id": call["id"], "type": call["type"], "function": function})
            message["tool_calls"][call["index"]]["function"]["arguments"] += call["function"]["arguments"]
    return message


# ---- the reader ----

def test_reader__every_cut_gives_the_same_message() -> None:
    for cut in range(len(TEXT) + 1):
        said = dict.fromkeys(("content", "reasoning", "call", "arguments"), "")
        with hermes() as reader:
            for piece in (TEXT[:cut], TEXT[cut:], None):
                if piece is None:
                    reader.end()
                else:
                    reader.push(piece)
                for event in reader.events():
                    said[event.kind] += event.text
                assert list(reader.events()) == []
            message = reader.message()
        check(message)
        assert (said["content"], said["reasoning"]) == (message["content"], message["reasoning_content"])
        assert said["call"] == "weatherweather"
        assert said["arguments"] == "".join(call["function"]["arguments"] for call in message["tool_calls"])


def test_reader__a_broken_call_is_content() -> None:
    with hermes() as reader:
        reader.push('<tool_call>\n{"name": "wea')
        reader.end()
        assert reader.message() == {"role": "assistant", "content": '<tool_call>\n{"name": "wea'}


def test_reader__raises_what_is_wrong() -> None:
    with pytest.raises(loam.JSONError):
        loam.Reader.open_source(HERMES, [])  # type: ignore[arg-type]
    reader = hermes()
    reader.end()
    with pytest.raises(loam.StateError, match="ended"):
        reader.push("more")
    reader.close()
    reader.close()
    with pytest.raises(loam.StateError, match="closed"):
        reader.message()


def test_reader__in_a_cycle_is_closed() -> None:
    for _ in range(50):
        reader: Any = hermes()
        reader.itself = reader
    del reader
    gc.collect()


def test_reader__of_a_model(model: loam.Model) -> None:
    with model.reader(HI) as reader:
        reader.push("so <|im_")
        assert [event.text for event in reader.events()] == ["so"]
        reader.push("end|>")
        reader.end()
        assert reader.message()["content"].strip() == "so"
    with pytest.raises(TypeError):
        model.reader([{"role": "user", "content": object()}])


def test_reader__outlives_its_model(path: str) -> None:
    with loam.Model(path, context=64) as m:
        reader = m.reader(HI)
    with reader:
        reader.push("Hello")
        reader.end()
        assert reader.message()["content"] == "Hello"


# ---- chat completions ----

def test_chat__has_tool_calls_and_reasoning() -> None:
    whole = _finished(job())
    assert whole.choices[0].finish_reason == "tool_calls"
    check(whole.choices[0].message.model_dump())
    assert asyncio.run(_afinished(job())).choices[0].finish_reason == "tool_calls"
    assert _finished(job(finish="length")).choices[0].finish_reason == "length"
    alone = _finished(job(TEXT[TEXT.index("<tool_call>"):])).choices[0].message
    assert alone.content is None and alone.tool_calls is not None and alone.reasoning_content is None
    plain = _finished(job("So it is.<|im_end|>")).choices[0]
    assert (plain.message.content, plain.message.tool_calls, plain.finish_reason) == ("So it is.", None, "stop")


def test_chat__streams_tool_calls_and_reasoning() -> None:
    async def chunks() -> list[Any]:
        return [chunk async for chunk in job().achunks()]

    for found in (list(_streamed(job())), asyncio.run(chunks())):
        check(joined([chunk.model_dump() for chunk in found]))
        assert [chunk.choices[0].finish_reason for chunk in found[-2:]] == [None, "tool_calls"]


def test_openai__types_accept_tool_calls() -> None:
    chat = pytest.importorskip("openai.types.chat")
    whole = chat.ChatCompletion.model_validate(_finished(job()).model_dump())
    assert json.loads(whole.choices[0].message.tool_calls[0].function.arguments) == PLACES[0]
    for chunk in _streamed(job()):
        chat.ChatCompletionChunk.model_validate(chunk.model_dump())


def test_chat__takes_messages_with_tool_calls_back(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    message = _finished(job(TEXT[TEXT.index("<tool_call>"):])).choices[0].message
    with loam.Model(path) as m:
        real = m.tokenize_chat

        def tokenize_chat(messages: Any, **variables: Any) -> list[int]:
            seen.extend(messages)
            return real(messages, **variables)

        monkeypatch.setattr(m, "tokenize_chat", tokenize_chat)
        m.chat.completions.create(messages=[*HI, message], max_tokens=1)
    assert seen[1]["content"] == ""
    assert [call["function"]["arguments"] for call in seen[1]["tool_calls"]] == PLACES


def test_chat__gibberish_is_content(model: loam.Model) -> None:
    for seed in range(8):
        how = loam.Sampling(temperature=1.0, seed=seed)
        text = model.answer_chat(HI, max_tokens=24, sampling=how, read=True).read().replace("<|im_end|>", "")
        choice = model.chat.completions.create(messages=HI, max_tokens=24, seed=seed).choices[0]
        assert (choice.message.content or "").strip() == text.strip() and choice.message.tool_calls is None


def test_llama__has_tool_calls(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loam.Model, "answer_chat", lambda *_, **__: Stub(list(TEXT)))
    with Llama(model_path=path, n_ctx=128) as llm:
        whole = llm.create_chat_completion(HI, tools=TOOLS)
        check(whole["choices"][0]["message"])
        assert whole["choices"][0]["finish_reason"] == "tool_calls"
        chunks = list(llm.create_chat_completion(HI, tools=TOOLS, stream=True))
    check(joined(chunks))
    assert chunks[-1]["choices"][0]["delta"] == {}
