from __future__ import annotations

import gc
import os
import pickle
import signal
import threading
import time

import numpy as np
import pytest

import loam
from conftest import RAIN


def test_logits__are_a_read_only_view(model: loam.Model) -> None:
    seq = model.open()
    with pytest.raises(loam.StateError):
        seq.logits
    seq.prefill(model.tokenize(RAIN))
    logits = seq.logits
    assert logits.shape == (298,) and logits.dtype == np.float32
    assert logits.ctypes.data == seq.logits.ctypes.data
    assert not logits.flags.writeable and not logits.flags.owndata
    with pytest.raises(ValueError):
        logits[0] = 1
    token = seq.sample()
    assert token == logits.argmax()
    before = logits.copy()
    seq.decode(token)
    assert (seq.logits != before).any()


def test_logits__outlive_what_they_are_of(path: str) -> None:
    m = loam.Model(path)
    seq = m.open()
    seq.prefill([1, 2, 3])
    logits = seq.logits
    copy = logits.copy()
    m.close()
    del m, seq
    gc.collect()
    assert (logits == copy).all()


def test_prefill_logits__has_a_row_for_each_token(model: loam.Model) -> None:
    tokens = model.tokenize(RAIN)
    with model.open() as seq, model.open() as other:
        rows = seq.prefill_logits(tokens)
        assert rows.shape == (len(tokens), 298)
        other.prefill(np.array(tokens))
        assert (rows[-1] == other.logits).all()


def test_prefill__in_pieces_gives_the_same_bits(model: loam.Model) -> None:
    tokens = model.tokenize(RAIN)
    with model.open() as whole, model.open() as pieces:
        whole.prefill(tokens)
        pieces.prefill(tokens[:5])
        pieces.prefill(np.array(tokens[5:], np.int32))
        assert (whole.logits == pieces.logits).all()
        assert len(whole) == len(pieces) == len(tokens)


def test_sequence__forks_and_truncates(model: loam.Model) -> None:
    seq = model.open()
    assert seq and len(seq) == 0
    seq.prefill(model.tokenize(RAIN))
    fork = seq.fork()
    assert list(seq.generate(8)) == list(fork.generate(8))
    seq.truncate(3)
    assert len(seq) == 3 and len(fork) > 8
    with pytest.raises(loam.ArgumentError):
        seq.truncate(4)


def test_sequence__samples_as_it_was_told(model: loam.Model) -> None:
    how = loam.Sampling(temperature=0.9, top_p=0.95, seed=7)
    told = []
    for _ in range(2):
        with model.open() as seq:
            seq.prefill(model.tokenize(RAIN))
            seq.sampling = how
            assert seq.sampling == how
            told.append("".join(seq.text(16)))
    assert told[0] == told[1] == model.answer(RAIN, max_tokens=16, sampling=how).read()
    with model.open() as seq, pytest.raises(loam.ArgumentError):
        seq.sampling = loam.Sampling(temperature=-1)


def test_saved__is_pickled_and_goes_on_elsewhere(path: str, model: loam.Model) -> None:
    seq = model.open()
    seq.prefill(model.tokenize(RAIN))
    seq.sampling = loam.Sampling(temperature=1, seed=3)
    first = list(seq.generate(5))
    pickled = pickle.dumps(seq.save())
    wanted = list(seq.generate(9))
    assert len(first) == 5
    with loam.Model(path, context=64, isa="scalar") as other, other.restore(pickle.loads(pickled)) as restored:
        assert list(restored.generate(9)) == wanted
        with pytest.raises(loam.TruncatedError):
            other.restore(loam.SavedSequence(seq.save().data[:-9]))
    with pytest.raises(TypeError, match="save"):
        pickle.dumps(seq)


def test_decode__many_at_once_is_as_one_by_one(model: loam.Model) -> None:
    with model.open() as a, model.open() as b, model.open() as alone:
        for seq in (a, b):
            seq.prefill(model.tokenize(RAIN))
        alone.prefill(model.tokenize(RAIN))
        model.decode([a, b], [40, 50])
        alone.decode(50)
        assert (b.logits == alone.logits).all() and (a.logits != alone.logits).any()
        with pytest.raises(ValueError, match="2 sequences and 1 tokens"):
            model.decode([a, b], [1])


def test_sequence__that_is_dropped_is_closed(model: loam.Model) -> None:
    for _ in range(20):
        model.open().prefill([1, 2])
    gc.collect()
    assert model.usage().sequences == 0


def test_sequence__outlives_its_model(path: str) -> None:
    m = loam.Model(path)
    with m.open() as seq:
        seq.prefill([1, 2, 3])
        m.close()
        for use in (seq.sample, seq.save, seq.fork, lambda: seq.decode(1), lambda: len(seq), lambda: seq.logits):
            with pytest.raises(loam.StateError, match="the model is closed"):
                use()
    with pytest.raises(loam.StateError, match="the sequence is closed"):
        seq.number
    lone = loam.Model(path).open()  # the model is dropped, not closed
    gc.collect()
    lone.prefill([1, 2, 3])
    assert len(list(lone.generate(4))) == 4


def test_errors__leave_a_sequence_as_it_was(model: loam.Model) -> None:
    with model.open() as seq:
        with pytest.raises(loam.TokenError, match="token 1 is 298"):
            seq.prefill([1, 298])
        with pytest.raises(loam.FullError):
            seq.prefill([5] * 257)
        with pytest.raises(loam.ArgumentError):
            seq.prefill([])
        assert len(seq) == 0


def test_stream__holds_back_unfinished_characters(model: loam.Model) -> None:
    tokens = model.tokenize("ü😀日", special=False)
    stream = model.stream()
    pieces = [stream.push(token) for token in tokens] + [stream.end()]
    assert "".join(pieces) == " ü😀日"[len(" ü😀日") - len("".join(pieces)) :]
    assert all(piece in ("", " ", "ü", "😀", "日") for piece in pieces) and "" in pieces
    assert list(model.stream().feed(tokens[:-1]))[-1] == "\N{REPLACEMENT CHARACTER}"


# ---- ending early ----

def test_cancel__in_mid_prefill(slow: loam.Model) -> None:
    with slow.open() as seq:
        timer = threading.Timer(0.2, slow.cancel)
        timer.start()
        with pytest.raises(loam.CancelledError):
            seq.prefill([5] * 50000)
        assert len(seq) == 0
        seq.prefill([5, 6, 7])
        assert len(seq) == 3


def test_interrupt__in_mid_prefill(slow: loam.Model) -> None:
    with slow.open() as seq:
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            seq.prefill([5] * 50000)
        assert len(seq) == 0
        seq.prefill([5, 6, 7])
        assert len(seq) == 3


def test_interrupt__of_an_answer(slow: loam.Model) -> None:
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        slow.answer([5] * 50000, max_tokens=1).read()
    assert slow.answer([5, 6], max_tokens=2).read()
    assert slow.queue_stats().running == 0


def test_budget__ends_a_call_that_goes_on_when_called_again(slow: loam.Model) -> None:
    tokens = [5] * 2000
    with slow.open() as seq:
        slow.budget = 0.005
        late = 0
        while True:
            try:
                seq.prefill(tokens)
                break
            except TimeoutError as error:
                assert isinstance(error, loam.DeadlineError)
                late += 1
        slow.budget = None
        assert late > 0 and len(seq) == len(tokens)
        with slow.open() as other:
            other.prefill(tokens)
            assert (other.logits == seq.logits).all()
    with pytest.raises(ValueError):
        slow.budget = 0


def test_prefill__of_one_thread_is_not_dropped_by_others(slow: loam.Model) -> None:
    """A call that is cut into slices for signals keeps its turn, or it would begin again each time."""
    done = threading.Event()

    def disturb() -> None:
        while not done.is_set():
            slow.tokenize(RAIN)
            slow.usage()

    disturber = threading.Thread(target=disturb)
    disturber.start()
    computed = slow.usage().tokens_computed
    try:
        with slow.open() as seq:
            seq.prefill([5] * 3000)
    finally:
        done.set()
        disturber.join()
    assert slow.usage().tokens_computed - computed == 3000


def test_gil__is_released_while_the_library_works(slow: loam.Model) -> None:
    ticks = []
    done = threading.Event()

    def tick() -> None:
        while not done.is_set():
            ticks.append(time.monotonic())
            time.sleep(0.001)

    ticker = threading.Thread(target=tick)
    with slow.open() as seq:
        ticker.start()
        slow.budget = None
        seq.prefill([5] * 2000)
        done.set()
        ticker.join()
    assert len(ticks) > 10
