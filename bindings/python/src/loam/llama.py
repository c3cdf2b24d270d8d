"""A class with llama-cpp-python's everyday calls, so that a program written for it changes one import:

    from loam.llama import Llama      # was: from llama_cpp import Llama

What is returned are dicts of the same shapes. Arguments that only say where or how fast something runs
there (n_gpu_layers, n_batch, flash_attn, ...) are taken and have no meaning here; those that would change
an answer and that loam does not have are refused."""
from __future__ import annotations

from collections.abc import Iterator, Sequence as List
from typing import Any, NoReturn, Optional, Union

from .completions import Settings, Stream
from .errors import UnsupportedError
from .gguf import GGUF
from .model import Model
from .sampling import Sampling
from .sequence import SavedSequence, Sequence
from .shapes import Shape, without_none

_NO_MEANING = frozenset("""n_gpu_layers split_mode main_gpu tensor_split use_mmap use_mlock n_batch n_ubatch
    n_threads_batch flash_attn offload_kqv op_offload swa_full last_n_tokens_size numa verbose no_perf
    logits_all""".split())
_RANDOM = 0xFFFFFFFF  # llama-cpp-python's mark of a seed that is not given


def _as_dict(shape: Shape) -> dict[str, Any]:
    """The keys that llama-cpp-python gives: messages and deltas have only what is there."""
    whole = shape.model_dump()
    for choice in whole["choices"]:
        if "message" in choice:
            choice["message"] = {"content": None, **without_none(choice["message"])}
        if "delta" in choice:
            choice["delta"] = without_none(choice["delta"])
        if choice["finish_reason"] is not None and "delta" in choice:
            choice["delta"] = {}
    if whole["usage"] is None:
        del whole["usage"]
    return whole


def _refuse(arguments: dict[str, Any], meaningless: frozenset[str] = frozenset()) -> None:
    wrong = sorted(name for name, value in arguments.items() if value and name not in meaningless)
    if wrong:
        raise UnsupportedError(f"loam has no {', '.join(wrong)}")


class Llama:
    """model_path: a GGUF file. n_ctx: tokens of the context, 0: the model's own, at most 4096.

    Answers, which may run on several threads at once, and the sequence of eval() share a KV cache of
    n_ctx tokens. A context manager that closes it."""

    def __init__(self, model_path: str, *, n_ctx: int = 512, n_threads: Optional[int] = None,
                 seed: int = _RANDOM, vocab_only: bool = False, embedding: bool = False,
                 chat_format: Optional[str] = None, **arguments: Any) -> None:
        _refuse({**arguments, "embedding": embedding, "chat_format": chat_format}, _NO_MEANING)
        self.model_path = model_path
        self._seed = None if seed in (_RANDOM, -1) else seed
        self._model = Model(model_path, context=n_ctx, threads=n_threads or 0, sequences=2,
                            vocabulary_only=vocab_only)
        self._sequence: Optional[Sequence] = None

    # ---- life ----

    def __enter__(self) -> Llama:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._model.close()

    # ---- answers ----

    def __call__(self, prompt: Union[str, List[int]], **arguments: Any) -> Any:
        """create_completion()"""
        return self.create_completion(prompt, **arguments)

    def create_completion(self, prompt: Union[str, List[int]], suffix: Optional[str] = None,
                          max_tokens: Optional[int] = 16, temperature: float = 0.8, top_p: float = 0.95,
                          min_p: float = 0.05, logprobs: Optional[int] = None, echo: bool = False,
                          stop: Union[str, List[str], None] = None, frequency_penalty: float = 0.0,
                          presence_penalty: float = 0.0, repeat_penalty: float = 1.0, top_k: int = 40,
                          stream: bool = False, seed: Optional[int] = None, model: Optional[str] = None,
                          **arguments: Any) -> Any:
        """Go on with a text: a dict with choices[0]["text"], or an iterator of such dicts."""
        _refuse({**arguments, "suffix": suffix, "logprobs": logprobs})
        settings = self._settings(max_tokens, temperature, top_p, min_p, stop, frequency_penalty,
                                  presence_penalty, repeat_penalty, top_k, seed, model)
        if stream:
            if echo:
                raise UnsupportedError("loam has no echo for streams")
            return self._dicts(self._model.completions.create(prompt=prompt, stream=True, **settings))
        answer = _as_dict(self._model.completions.create(prompt=prompt, **settings))
        if echo:
            text = prompt if isinstance(prompt, str) else self.detokenize(prompt).decode(errors="replace")
            answer["choices"][0]["text"] = text + answer["choices"][0]["text"]
        return answer

    def create_chat_completion(self, messages: List[Any], tools: Optional[List[Any]] = None,
                               tool_choice: Any = None, temperature: float = 0.2, top_p: float = 0.95,
                               top_k: int = 40, min_p: float = 0.05, stream: bool = False,
                               stop: Union[str, List[str], None] = None, seed: Optional[int] = None,
                               response_format: Any = None, max_tokens: Optional[int] = None,
                               presence_penalty: float = 0.0, frequency_penalty: float = 0.0,
                               repeat_penalty: float = 1.0, model: Optional[str] = None,
                               **arguments: Any) -> Any:
        """Answer a conversation: a dict with choices[0]["message"], which has "content" and where there
        are some "reasoning_content" and "tool_calls", or an iterator of dicts with choices[0]["delta"]."""
        _refuse(arguments)
        settings = self._settings(max_tokens, temperature, top_p, min_p, stop, frequency_penalty,
                                  presence_penalty, repeat_penalty, top_k, seed, model)
        settings["tools"], settings["tool_choice"] = tools, tool_choice
        settings["response_format"] = response_format
        chat = self._model.chat.completions
        if stream:
            return self._dicts(chat.create(messages=messages, stream=True, **settings))
        return _as_dict(chat.create(messages=messages, **settings))

    def _settings(self, max_tokens: Optional[int], temperature: float, top_p: float, min_p: float,
                  stop: Union[str, List[str], None], frequency_penalty: float, presence_penalty: float,
                  repeat_penalty: float, top_k: int, seed: Optional[int], model: Optional[str]) -> Settings:
        return {
            "model": model or self.model_path,
            "max_tokens": max_tokens if max_tokens and max_tokens > 0 else None,
            "temperature": max(temperature, 0.0),
            "top_p": top_p,
            "min_p": min_p,
            "top_k": max(top_k, 0),
            "stop": stop or None,
            "frequency_penalty": frequency_penalty,
            "presence_penalty": presence_penalty,
            "repeat_penalty": repeat_penalty,
            "seed": self._seed if seed is None else seed,
        }

    @staticmethod
    def _dicts(stream: Stream[Any]) -> Iterator[dict[str, Any]]:
        with stream:
            for chunk in stream:
                yield _as_dict(chunk)

    # ---- text ----

    def tokenize(self, text: bytes, add_bos: bool = True, special: bool = False) -> list[int]:
        """Bytes of UTF-8 to tokens; special: read control tokens in the text as themselves."""
        return self._model.tokenize(text, special=add_bos, control=special)

    def detokenize(self, tokens: List[int], prev_tokens: Optional[List[int]] = None,
                   special: bool = False) -> bytes:
        """Tokens to bytes; special: show control tokens. With prev_tokens, what is new after them."""
        before = list(prev_tokens or ())
        start = len(self._model.detokenize(before, skip_control=not special)) if before else 0
        return self._model.detokenize([*before, *tokens], skip_control=not special)[start:]

    # ---- token by token ----

    def _opened(self) -> Sequence:
        if self._sequence is None:
            self._sequence = self._model.open()
        return self._sequence

    def reset(self) -> None:
        """Forget what eval() was given."""
        if self._sequence is not None:
            self._sequence.truncate(0)

    def eval(self, tokens: List[int]) -> None:
        """Append tokens."""
        self._opened().prefill(tokens)

    def sample(self, top_k: int = 40, top_p: float = 0.95, min_p: float = 0.05, temp: float = 0.80,
               repeat_penalty: float = 1.0, frequency_penalty: float = 0.0, presence_penalty: float = 0.0,
               **arguments: Any) -> int:
        """Choose the token that follows what eval() was given."""
        _refuse(arguments)
        sequence = self._opened()
        how = Sampling(temperature=max(temp, 0.0), seed=self._seed or 0, top_k=max(top_k, 0), top_p=top_p,
                       min_p=min_p, repeat_penalty=repeat_penalty, frequency_penalty=frequency_penalty,
                       presence_penalty=presence_penalty)
        if sequence.sampling != how:
            sequence.sampling = how
        return sequence.sample()

    def generate(self, tokens: List[int], reset: bool = True, **how: Any) -> Iterator[int]:
        """The tokens that follow, without end: the caller stops at token_eos()."""
        if reset:
            self.reset()
        self.eval(tokens)
        while True:
            token = self.sample(**how)
            yield token
            self._opened().decode(token)

    def save_state(self) -> SavedSequence:
        """What eval() made, as an object that can be pickled."""
        return self._opened().save()

    def load_state(self, state: SavedSequence) -> None:
        if self._sequence is not None:
            self._sequence.close()
        self._sequence = self._model.restore(state)

    @property
    def n_tokens(self) -> int:
        return len(self._opened())

    # ---- facts ----

    def n_ctx(self) -> int:
        return self._model.info.context_tokens

    def n_vocab(self) -> int:
        return self._model.info.vocabulary_tokens

    def n_embd(self) -> int:
        return self._model.info.embedding_values

    def token_bos(self) -> int:
        return -1 if self._model.info.bos is None else self._model.info.bos

    def token_eos(self) -> int:
        return -1 if self._model.info.eos is None else self._model.info.eos

    @property
    def metadata(self) -> dict[str, str]:
        """The file's metadata, but for arrays, as text."""
        with GGUF(self.model_path) as file:
            return {key: str(value) for key, value in file.metadata.items() if not isinstance(value, list)}

    # ---- not in this version ----

    def embed(self, *_: Any, **__: Any) -> NoReturn:
        """Errors: UnsupportedError, always."""
        raise UnsupportedError("this version of loam computes no embeddings")

    create_embedding = embed
