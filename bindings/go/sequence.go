package loam

// #include "shim.h"
import "C"

import (
	"context"
	"runtime"
	"unsafe"
)

// Sequence is one conversation inside a model: its tokens, their KV cells, and how it samples. A
// model has [Info].Sequences of them at most, so close those that are done with.
type Sequence struct {
	m       *Model
	id      C.loam_seq // closed: -1, which the library refuses by name
	token   C.loam_token
	cleanup runtime.Cleanup
}

// NewSequence opens an empty sequence.
func (m *Model) NewSequence() (*Sequence, error) {
	return m.newSequence(func(id *C.loam_seq) C.loam_status { return C.loam_seq_open(m.c, id) })
}

// Restore opens a sequence from what [Sequence.Save] gave, in this process or another one. It goes
// on with the same bits on the same instruction set. The model must be the same, and its KV types.
func (m *Model) Restore(state []byte) (*Sequence, error) {
	return m.newSequence(func(id *C.loam_seq) C.loam_status {
		return C.loam_seq_restore(m.c, unsafe.Pointer(unsafe.SliceData(state)), C.size_t(len(state)), id)
	})
}

// Fork opens a sequence that begins with all tokens of this one; whole KV blocks are shared.
// Sampling starts from the defaults; logits are copied.
func (s *Sequence) Fork() (*Sequence, error) {
	return s.m.newSequence(func(id *C.loam_seq) C.loam_status { return C.loam_seq_fork(s.m.c, s.id, id) })
}

func (m *Model) newSequence(open func(id *C.loam_seq) C.loam_status) (*Sequence, error) {
	s := &Sequence{m: m}
	if err := m.do(func() C.loam_status { return open(&s.id) }); err != nil {
		return nil, err
	}
	// closing waits for its turn, as a cleanup should not
	s.cleanup = runtime.AddCleanup(s, func(id C.loam_seq) { go m.closeSequence(id) }, s.id)
	return s, nil
}

func (m *Model) closeSequence(id C.loam_seq) error {
	return m.do(func() C.loam_status { return C.loam_seq_close(m.c, id) })
}

// Close gives the sequence's KV blocks back. Closing twice, or after the model, is fine.
func (s *Sequence) Close() error {
	s.m.lock()
	defer s.m.unlock()
	if s.id < 0 {
		return nil
	}
	s.cleanup.Stop()
	id := s.id
	s.id = -1
	if s.m.c == nil {
		return nil
	}
	return s.m.result(C.loam_seq_close(s.m.c, id))
}

// Truncate forgets all but the first n tokens, and the logits.
func (s *Sequence) Truncate(n int) error {
	return s.m.do(func() C.loam_status { return C.loam_seq_truncate(s.m.c, s.id, C.size_t(n)) })
}

// Len returns how many tokens the sequence holds.
func (s *Sequence) Len() (int, error) {
	var n C.size_t
	err := s.m.do(func() C.loam_status { return C.loam_seq_length(s.m.c, s.id, &n) })
	return int(n), err
}

// Save returns the whole generation as bytes: tokens, KV cells, logits, sampling and its random
// state.
func (s *Sequence) Save() ([]byte, error) {
	return fill(s.m, 0, func(buffer *byte, capacity C.size_t, n *C.size_t) C.loam_status {
		return C.loam_seq_save(s.m.c, s.id, unsafe.Pointer(buffer), capacity, n)
	})
}

// Sampling says how the next token is chosen. The zero value is greedy. The order: penalties, TopK,
// TopP, MinP, temperature, draw.
type Sampling struct {
	Temperature      float32 // 0: greedy
	Seed             uint64  // same seed, same text
	TopK             int     // keep the k largest; 0: all
	TopP             float32 // keep the fewest whose probabilities reach this; 0: all
	MinP             float32 // keep those of at least this share of the largest probability; 0: all
	RepeatPenalty    float32 // divide positive and multiply negative logits of recent tokens; 0: off
	FrequencyPenalty float32 // subtract this for each time a recent token occurred
	PresencePenalty  float32 // subtract this once if it occurred
	PenaltyTokens    int     // how many of the last tokens are recent; 0: 64
}

func (s Sampling) fill(c *C.loam_sampling) error {
	var counts counts
	C.loam_sampling_init(c)
	c.temperature = C.float(s.Temperature)
	c.seed = C.uint64_t(s.Seed)
	c.top_k = counts.count("Sampling.TopK", s.TopK)
	c.top_p = C.float(s.TopP)
	c.min_p = C.float(s.MinP)
	c.repeat_penalty = C.float(s.RepeatPenalty)
	c.frequency_penalty = C.float(s.FrequencyPenalty)
	c.presence_penalty = C.float(s.PresencePenalty)
	c.penalty_tokens = counts.count("Sampling.PenaltyTokens", s.PenaltyTokens)
	return counts.err
}

// SetSampling sets how the sequence samples, and restarts its random numbers from the seed.
func (s *Sequence) SetSampling(sampling Sampling) error {
	var c C.loam_sampling
	if err := sampling.fill(&c); err != nil {
		return err
	}
	return s.m.do(func() C.loam_status { return C.loam_seq_sampling(s.m.c, s.id, &c) })
}

// Prefill appends tokens and computes the logits that follow the last. When the context is done it
// stops within milliseconds, and the sequence is as it was before.
func (s *Sequence) Prefill(ctx context.Context, tokens []Token) error {
	return s.m.compute(ctx, func() C.loam_status {
		return C.loam_prefill(s.m.c, s.id, tokensOf(tokens), C.size_t(len(tokens)))
	})
}

// PrefillLogits is Prefill and returns the logits of every position, one row of the vocabulary's
// size behind another: for perplexity and evaluation.
func (s *Sequence) PrefillLogits(ctx context.Context, tokens []Token) ([]float32, error) {
	logits := make([]float32, len(tokens)*s.m.info.Vocabulary)
	err := s.m.compute(ctx, func() C.loam_status {
		return C.loam_prefill_logits(s.m.c, s.id, tokensOf(tokens), C.size_t(len(tokens)),
			(*C.float)(unsafe.SliceData(logits)))
	})
	if err != nil {
		return nil, err
	}
	return logits, nil
}

// Decode appends one token and computes the logits that follow; otherwise it is as Prefill.
func (s *Sequence) Decode(ctx context.Context, token Token) error {
	return s.m.compute(ctx, func() C.loam_status {
		s.token = C.loam_token(token)
		return C.loam_decode(s.m.c, &s.id, &s.token, 1)
	})
}

// Decode appends tokens[i] to sequences[i], for all of them in one pass over the weights. On failure
// no sequence has changed.
func (m *Model) Decode(ctx context.Context, sequences []*Sequence, tokens []Token) error {
	if len(sequences) != len(tokens) {
		return argError("%d sequences and %d tokens; each sequence gets one token", len(sequences), len(tokens))
	}
	ids := make([]C.loam_seq, len(sequences))
	for i, s := range sequences {
		if s.m != m {
			return argError("sequence %d is another model's", i)
		}
	}
	return m.compute(ctx, func() C.loam_status {
		for i, s := range sequences {
			ids[i] = s.id
		}
		return C.loam_decode(m.c, unsafe.SliceData(ids), tokensOf(tokens), C.size_t(len(ids)))
	})
}

// Sample chooses the next token from the logits. It is not appended: give it to Decode.
func (s *Sequence) Sample() (Token, error) {
	var token Token
	err := s.m.do(func() C.loam_status {
		st := C.loam_sample(s.m.c, s.id, &s.token)
		token = Token(s.token)
		return st
	})
	return token, err
}

// Logits returns a copy of the logits that follow the last token.
func (s *Sequence) Logits() ([]float32, error) {
	return s.AppendLogits(nil)
}

// AppendLogits appends the logits to a slice, so that its memory can serve again.
func (s *Sequence) AppendLogits(logits []float32) ([]float32, error) {
	err := s.m.do(func() C.loam_status {
		if from := C.loam_logits(s.m.c, s.id); from != nil {
			logits = append(logits, unsafe.Slice((*float32)(from), s.m.info.Vocabulary)...)
			return ok
		}
		return C.loam_sample(s.m.c, s.id, &s.token) // which fails for the same reason, and says so
	})
	return logits, err
}
