"""A client as the openai package has it, for models on this machine: OpenAI and AsyncOpenAI.

    from loam.openai import OpenAI      # was: from openai import OpenAI

    client = OpenAI()
    client.chat.completions.create(model="model.gguf", messages=[...])

`model` names a GGUF file, which is loaded when it is first named and stays until close()."""
from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Optional

from .completions import AsyncChat, AsyncCompletions, Chat, Completions
from .errors import UnsupportedError
from .model import Model
from .options import Options

if TYPE_CHECKING:
    from typing_extensions import Unpack


class _Embeddings:
    def create(self, **_: Any) -> Any:
        raise UnsupportedError("this version of loam computes no embeddings")


class _Client:
    """The models that were named. What openai's clients take to reach a server has no meaning here;
    all other arguments are loam.Options, for each model that is loaded."""

    def __init__(self, *, api_key: Optional[str] = None, base_url: Optional[str] = None,
                 organization: Optional[str] = None, project: Optional[str] = None, timeout: Any = None,
                 max_retries: int = 0, **options: Unpack[Options]) -> None:
        self._options = options
        self._models: dict[str, Model] = {}
        self._lock = threading.Lock()
        self.embeddings = _Embeddings()

    def _model(self, name: Optional[str]) -> Model:
        if name is None:
            raise TypeError("create() needs model=, the path of a GGUF file")
        with self._lock:
            if name not in self._models:
                self._models[name] = Model(name, **self._options)
            return self._models[name]

    def _close(self) -> None:
        with self._lock:
            while self._models:
                self._models.popitem()[1].close()


class OpenAI(_Client):
    """chat.completions and completions. A context manager that closes it."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.chat = Chat(self._model)
        self.completions = Completions(self._model)

    def close(self) -> None:
        """Close the models."""
        self._close()

    def __enter__(self) -> OpenAI:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncOpenAI(_Client):
    """The same for asyncio; a model is loaded while the event loop waits."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.chat = AsyncChat(self._model)
        self.completions = AsyncCompletions(self._model)

    async def close(self) -> None:
        """Close the models."""
        self._close()

    async def __aenter__(self) -> AsyncOpenAI:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
