from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

import loam
from conftest import RAIN, resident_bytes

WARM = loam.Sampling(temperature=0.9, seed=11)


@pytest.fixture
def wide(path: str) -> Iterator[loam.Model]:
    with loam.Model(path, context=128, sequences=32, threads=2, isa="scalar") as m:
        yield m


def direct(m: loam.Model, prompt: str, n: int, sampling: loam.Sampling = WARM) -> str:
    with m.open() as seq:
        seq.prefill(m.tokenize(prompt))
        seq.sampling = sampling
        return "".join(seq.text(n))


def test_answer__comes_in_pieces_with_what_it_took(model: loam.Model) -> None:
    wanted = direct(model, RAIN, 24)
    answer = model.answer(RAIN, max_tokens=24, sampling=WARM)
    assert answer.finish_reason is None and answer.usage is None
    pieces = list(answer)
    assert "".join(pieces) == wanted and all(pieces)
    assert answer.finish_reason == "length" and len(answer.tokens) == 24
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.answer_tokens) == (16, 24)
    assert list(answer) == []


def test_answer__ends_in_front_of_a_stop_string(model: loam.Model) -> None:
    whole = model.answer(RAIN, max_tokens=24, sampling=WARM).read()
    stop = whole[4:7]
    answer = model.answer(RAIN, max_tokens=24, sampling=WARM, stop=stop)
    assert answer.read() == whole[: whole.index(stop)]
    assert answer.finish_reason == "stop"


def test_answer__fills_the_context_at_most(model: loam.Model) -> None:
    for limit in (None, 100000):
        answer = model.answer(RAIN, max_tokens=limit, ignore_end=True)
        answer.read()
        assert answer.usage is not None and answer.usage.prompt_tokens + answer.usage.answer_tokens == 256
        assert answer.finish_reason == "length"


def test_answer__raises_what_is_wrong_with_it(model: loam.Model) -> None:
    with pytest.raises(loam.ArgumentError, match="do not fit"):
        model.answer([5] * 256).read()
    with pytest.raises(loam.TokenError):
        model.answer([-1]).start()
    with pytest.raises(TypeError):
        model.answer_chat([{"role": "user", "content": object()}]).read()
    with pytest.raises(loam.TemplateError):
        model.answer_chat([{"role": "user"}]).read()
    assert model.answer(RAIN, max_tokens=1).read() is not None


def test_answer__is_refused_where_other_sequences_have_all_room(path: str) -> None:
    with loam.Model(path) as m:
        with m.open(), pytest.raises(loam.FullError, match="sequences"):
            m.answer(RAIN).read()
        assert m.answer(RAIN, max_tokens=2).read()


def test_answer__that_is_cancelled_ends(model: loam.Model) -> None:
    answer = model.answer(RAIN, ignore_end=True)
    first = next(answer)
    answer.cancel()
    answer.cancel()
    rest = answer.read()
    assert first and answer.finish_reason == "cancelled" and len(answer.tokens) < 240
    assert rest is not None


def test_answer__that_is_left_does_not_go_on(model: loam.Model) -> None:
    for _ in model.answer(RAIN, ignore_end=True):
        break
    with model.answer(RAIN, ignore_end=True) as answer:
        next(answer)
    del answer
    gc.collect()
    model.answer(RAIN, max_tokens=1).read()
    assert model.queue_stats().running == 0


def test_answer__keeps_a_model_that_is_dropped(path: str) -> None:
    answer = loam.Model(path).answer(RAIN, max_tokens=4)
    gc.collect()
    answer.read()
    assert answer.finish_reason == "length"


def test_close__ends_answers_and_the_thread(path: str) -> None:
    before = set(threading.enumerate())
    m = loam.Model(path, context=60000, threads=1, isa="scalar", sequences=2)
    running, waiting = m.answer([5] * 50000), m.answer(RAIN)
    running.start()
    m.close()
    for answer in (running, waiting):
        with pytest.raises(loam.StateError, match="closed"):
            answer.read()
        with pytest.raises(loam.StateError):
            next(answer)
    assert set(threading.enumerate()) <= before


def test_answer__comes_while_another_thread_decodes(slow: loam.Model) -> None:
    """Steps of a long prompt are longer than a slice, and would begin again after each other call."""
    done = threading.Event()

    def decode() -> None:
        with slow.open() as seq:
            seq.prefill([5])
            while not done.is_set():
                seq.truncate(1)
                seq.decode(6)

    thread = threading.Thread(target=decode)
    thread.start()
    try:
        assert slow.answer([5] * 1200, max_tokens=1, ignore_end=True).read() is not None
    finally:
        done.set()
        thread.join()


def test_close__frees_what_kept_answers_had(path: str) -> None:
    kept = []
    before = resident_bytes()
    for _ in range(20):
        with loam.Model(path, context=60000, kv_type="f32", threads=1) as m:  # some 60 MB each
            kept.append(m.answer(RAIN, ignore_end=True))
            next(kept[-1])
    assert resident_bytes() - before < 200_000_000


def test_threads__are_answered_together(wide: loam.Model) -> None:
    prompts = [f"{RAIN} {i}" for i in range(8)]
    wanted = [direct(wide, prompt, 12) for prompt in prompts]
    found = [""] * 8

    def ask(i: int) -> None:
        for _ in range(4):
            found[i] = wide.answer(prompts[i], max_tokens=12, sampling=WARM).read()

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == wanted


def test_tasks__32_are_batched(wide: loam.Model) -> None:
    prompts = [f"{i} {RAIN}" for i in range(32)]
    wanted = [direct(wide, prompt, 16) for prompt in prompts]

    async def ask(prompt: str) -> str:
        return "".join([piece async for piece in wide.answer(prompt, max_tokens=16, sampling=WARM)])

    async def ask_all() -> list[str]:
        return list(await asyncio.gather(*map(ask, prompts)))

    assert asyncio.run(ask_all()) == wanted
    stats = wide.queue_stats()
    assert stats.most_running > 1 and stats.answer_tokens == 32 * 16
    assert stats.steps < 32 * 16  # one step made tokens of many


def test_tasks__more_than_the_queue_has_room_for(wide: loam.Model) -> None:
    async def ask() -> None:
        answers = [wide.answer([i % 200 + 5], max_tokens=2, ignore_end=True) for i in range(600)]
        await asyncio.gather(*(answer.aread() for answer in answers))
        assert all(len(answer.tokens) == 2 for answer in answers)

    asyncio.run(ask())


def test_tasks__that_are_cancelled_cancel_their_answer(wide: loam.Model) -> None:
    async def ask() -> None:
        answer = wide.answer(RAIN, ignore_end=True)
        await answer.astart()
        task = asyncio.ensure_future(answer.aread())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await wide.answer(RAIN, max_tokens=1).aread()

    asyncio.run(ask())
    assert wide.queue_stats().running == 0


def test_queue__can_be_stepped_by_hand(model: loam.Model) -> None:
    wanted = [direct(model, prompt, 9) for prompt in (RAIN, "he ran")]
    with model.queue() as queue:
        assert queue.idle
        numbers = [queue.submit(model.tokenize(prompt), max_tokens=9, sampling=WARM) for prompt in (RAIN, "he ran")]
        dropped = queue.submit([5], ignore_end=True)
        queue.cancel(dropped)
        texts = dict.fromkeys(numbers, "")
        ends: dict[int, str] = {}
        while not queue.idle:
            for event in queue.step():
                if event.finish is not None:
                    ends[event.request] = event.finish
                if event.request in texts:
                    texts[event.request] += event.text
        assert list(texts.values()) == wanted
        assert ends == {numbers[0]: "length", numbers[1]: "length", dropped: "cancelled"}
        assert queue.stats().most_running == 2
        with pytest.raises(loam.ArgumentError):
            queue.cancel(dropped)
    with pytest.raises(loam.StateError, match="the queue is closed"):
        queue.step()


def test_queue__outlives_its_model(path: str) -> None:
    m = loam.Model(path)
    queue = m.queue()
    queue.submit([1, 5])
    queue.step()
    m.close()
    with pytest.raises(loam.StateError):
        queue.step()
    with pytest.raises(loam.StateError):
        queue.submit([1])
    queue.close()


PROGRAM = """
import loam, sys
m = loam.Model(sys.argv[1], context=60000, threads=2, log=lambda level, line: None)
answer = m.answer([5] * 50000)
answer.start()
print("left")
"""


def test_python__may_end_while_an_answer_is_made(path: str) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM, path], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "left\n", "")
