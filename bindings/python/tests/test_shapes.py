"""Programs that were written for other packages."""
from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

import loam
from conftest import RAIN
from loam.llama import Llama
from loam.openai import AsyncOpenAI, OpenAI

HI: list[Any] = [{"role": "user", "content": "hi"}]


# ---- openai ----

def test_chat__has_the_shape_of_openai(model: loam.Model) -> None:
    reply = model.chat.completions.create(messages=HI, max_tokens=8, seed=5, model="mine")
    again = model.chat.completions.create(messages=HI, max_completion_tokens=8, seed=5)
    assert reply.object == "chat.completion" and reply.model == "mine" and again.model == "tiny llama"
    assert reply.id.startswith("chatcmpl-") and reply.created > 0
    choice = reply.choices[0]
    assert (choice.index, choice.message.role, choice.finish_reason) == (0, "assistant", "length")
    assert choice.message.content == again.choices[0].message.content and choice.message.tool_calls is None
    assert reply.usage.prompt_tokens == len(model.tokenize_chat(HI))
    assert reply.usage.completion_tokens == 8
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + 8
    assert json.loads(reply.model_dump_json())["choices"][0]["message"]["role"] == "assistant"


def test_chat__streams_chunks(model: loam.Model) -> None:
    whole = model.chat.completions.create(messages=HI, max_tokens=8, seed=5)
    chunks = list(model.chat.completions.create(messages=HI, max_tokens=8, seed=5, stream=True,
                                                stream_options={"include_usage": True}))
    assert chunks[0].choices[0].delta.role == "assistant" and chunks[0].object == "chat.completion.chunk"
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert chunks[-2].choices[0].finish_reason == "length"
    assert chunks[-1].choices == [] and chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 8
    assert len({chunk.id for chunk in chunks}) == 1


def test_chat__stream_that_is_left_is_cancelled(model: loam.Model) -> None:
    with model.chat.completions.create(messages=HI, stream=True) as stream:
        next(iter(stream))
    model.completions.create(prompt="a", max_tokens=1)
    assert model.queue_stats().running == 0


def test_chat__takes_its_own_messages_and_parts_of_text(model: loam.Model) -> None:
    reply = model.chat.completions.create(messages=HI, max_tokens=4, temperature=0)
    parts = [{"type": "text", "text": "h"}, {"type": "text", "text": "i"}]
    more = [{"role": "user", "content": parts}, reply.choices[0].message]
    plain = [*HI, {"role": "assistant", "content": reply.choices[0].message.content}]
    found = model.chat.completions.create(messages=more, max_tokens=4, temperature=0)
    wanted = model.chat.completions.create(messages=plain, max_tokens=4, temperature=0)
    assert found.choices == wanted.choices and found.usage.prompt_tokens == wanted.usage.prompt_tokens
    with pytest.raises(loam.UnsupportedError, match="image_url"):
        model.chat.completions.create(messages=[{"role": "user", "content": [{"type": "image_url"}]}])


def test_chat__gives_tools_to_the_template(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    tools = [{"type": "function", "function": {"name": "f"}}]
    with loam.Model(path) as m:
        real = m.tokenize_chat

        def tokenize_chat(messages: Any, **variables: Any) -> list[int]:
            seen.append(variables)
            return real(messages, **variables)

        monkeypatch.setattr(m, "tokenize_chat", tokenize_chat)
        m.chat.completions.create(messages=HI, tools=tools, max_tokens=1)
        m.chat.completions.create(messages=HI, tools=tools, tool_choice="none", max_tokens=1)
    assert seen == [{"tools": tools}, {}]


def test_create__stops_and_counts(model: loam.Model) -> None:
    whole = model.completions.create(prompt=RAIN, max_tokens=16, temperature=0)
    text = whole.choices[0].text
    stopped = model.completions.create(prompt=RAIN, max_tokens=16, temperature=0, stop=[text[3:6]])
    assert stopped.choices[0].text == text[: text.index(text[3:6])]
    assert stopped.choices[0].finish_reason == "stop"
    two = model.completions.create(prompt=RAIN, max_tokens=6, n=2, seed=1, extra_body={"top_k": 50})
    assert [choice.index for choice in two.choices] == [0, 1]
    assert two.choices[0].text != two.choices[1].text
    assert two.usage is not None and 6 < two.usage.completion_tokens <= 12
    streamed = model.completions.create(prompt=RAIN, max_tokens=16, temperature=0, stream=True)
    assert "".join(chunk.choices[0].text for chunk in streamed) == text


def test_create__refuses_what_it_cannot_do(model: loam.Model) -> None:
    create: Any = model.chat.completions.create
    for wrong in ({"logprobs": True}, {"logit_bias": {"1": 5}}, {"response_format": {"type": "json_object"}}):
        with pytest.raises(loam.UnsupportedError):
            create(messages=HI, **wrong)
    with pytest.raises(TypeError, match="best_of"):
        create(messages=HI, best_of=3)
    with pytest.raises(loam.ArgumentError):
        create(messages=[{"role": "user", "content": "x" * 5000}], stream=True)
    assert create(messages=HI, max_tokens=1, user="me", logprobs=None).choices


def test_openai__client_takes_a_path(path: str) -> None:
    with OpenAI(api_key="none", base_url="http://localhost/v1", context=128) as client:
        one = client.chat.completions.create(model=path, messages=HI, max_tokens=3, temperature=0)
        two = client.completions.create(model=path, prompt="a", max_tokens=3)
        assert one.model == two.model == path
        with pytest.raises(FileNotFoundError):
            client.chat.completions.create(model="gpt-none", messages=HI)
        with pytest.raises(loam.UnsupportedError):
            client.embeddings.create(model=path, input="a")
        with pytest.raises(TypeError, match="model="):
            client.completions.create(prompt="a")


def test_openai__async_client(path: str) -> None:
    async def ask() -> None:
        async with AsyncOpenAI(context=128, sequences=4) as client:
            create = client.chat.completions.create
            whole, stream = await asyncio.gather(
                create(model=path, messages=HI, max_tokens=6, temperature=0),
                create(model=path, messages=HI, max_tokens=6, temperature=0, stream=True))
            text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
            assert text == whole.choices[0].message.content
            async with await client.completions.create(model=path, prompt=RAIN, stream=True) as left:
                await left.__anext__()

    asyncio.run(ask())


def test_openai__types_accept_the_answers(model: loam.Model) -> None:
    types = pytest.importorskip("openai.types")
    chat = pytest.importorskip("openai.types.chat")
    create = model.chat.completions.create
    chat.ChatCompletion.model_validate(create(messages=HI, max_tokens=2).model_dump())
    for chunk in create(messages=HI, max_tokens=2, stream=True, stream_options={"include_usage": True}):
        chat.ChatCompletionChunk.model_validate(chunk.model_dump())
    types.Completion.model_validate(model.completions.create(prompt="a", max_tokens=2).model_dump())


# ---- llama-cpp-python ----

@pytest.fixture
def llm(path: str) -> Iterator[Llama]:
    with Llama(model_path=path, n_ctx=128, n_gpu_layers=-1, verbose=False, seed=3) as made:
        yield made


def test_llama__completes(llm: Llama) -> None:
    out = llm("the rain", max_tokens=8, echo=True, temperature=0.0)
    assert out["object"] == "text_completion" and out["id"].startswith("cmpl-")
    assert out["model"] == llm.model_path
    assert out["choices"][0]["text"].startswith("the rain")
    assert (out["choices"][0]["finish_reason"], out["choices"][0]["logprobs"]) == ("length", None)
    assert out["usage"]["completion_tokens"] == 8
    pieces = [chunk["choices"][0]["text"] for chunk in llm("the rain", max_tokens=8, temperature=0.0, stream=True)]
    assert "the rain" + "".join(pieces) == out["choices"][0]["text"]
    tokens = llm.tokenize(b"the rain")
    assert llm.create_completion(tokens, max_tokens=8, temperature=0.0)["choices"][0]["text"] == "".join(pieces)


def test_llama__chats(llm: Llama) -> None:
    out = llm.create_chat_completion(HI, max_tokens=6, seed=4)
    assert set(out["choices"][0]["message"]) == {"role", "content"}
    deltas = [chunk["choices"][0]["delta"] for chunk in llm.create_chat_completion(HI, max_tokens=6, seed=4, stream=True)]
    assert deltas[0]["role"] == "assistant" and deltas[-1] == {}
    assert "".join(delta.get("content", "") for delta in deltas) == out["choices"][0]["message"]["content"]


def test_llama__same_seed_same_text(llm: Llama) -> None:
    texts = [llm("he", max_tokens=12, seed=seed)["choices"][0]["text"] for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]


def test_llama__tokens_and_facts(llm: Llama) -> None:
    assert (llm.n_ctx(), llm.n_vocab(), llm.token_bos(), llm.token_eos()) == (128, 298, 1, 2)
    tokens = llm.tokenize("Zürich".encode())
    assert tokens[0] == 1 and llm.tokenize(b"a", add_bos=False)[0] != 1
    assert llm.detokenize(tokens).decode() == "Zürich"
    assert llm.tokenize(b"<|im_end|>", add_bos=False, special=True) == [4]
    assert llm.metadata["general.architecture"] == "llama"


def test_llama__token_by_token(llm: Llama) -> None:
    tokens = llm.tokenize(b"the rain")
    made = []
    for token in llm.generate(tokens, temp=0.0):
        made.append(token)
        if len(made) == 6:
            break
    wanted = llm("the rain", max_tokens=6, temperature=0.0)["choices"][0]["text"]
    assert llm.detokenize(made).decode(errors="replace") == wanted
    llm.reset()
    llm.eval(tokens)
    state = llm.save_state()
    first = llm.sample(temp=0.0)
    llm.eval([first])
    llm.load_state(state)
    assert llm.n_tokens == len(tokens) and llm.sample(temp=0.0) == first == made[0]


def test_llama__refuses_what_it_cannot_do(llm: Llama) -> None:
    with pytest.raises(loam.UnsupportedError, match="no embeddings"):
        llm.embed("text")
    with pytest.raises(loam.UnsupportedError, match="grammar"):
        llm("a", grammar=object())
    with pytest.raises(loam.UnsupportedError, match="lora_path"):
        Llama(llm.model_path, lora_path="x")
