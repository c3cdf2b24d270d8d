package loam

// #include "shim.h"
import "C"

import (
	"context"
	"io"
	"runtime"
	"runtime/cgo"
	"strings"
	"time"
	"unsafe"
)

// Token is a token's id, from 0 up to the vocabulary's size.
type Token int32

// NoToken is what [Info] has where the vocabulary lacks a token.
const NoToken Token = -1

// Model is a loaded model with all that it needs to run. Its methods, and those of what was made
// from it, may be called from any goroutine; they run one after another. Different models run side
// by side.
type Model struct {
	turn    chan struct{} // holds a value while a call runs: a mutex that a context can stop waiting for
	c       *C.loam       // nil when closed
	hooks   *hooks
	handles []cgo.Handle // that C holds
	cleanup runtime.Cleanup
	info    Info
}

// Info has facts about a model.
type Info struct {
	Vocabulary    int // tokens
	Layers        int
	Embedding     int // width of the residual stream
	ContextTokens int // of a sequence in this model
	TrainedTokens int // context the model was trained for
	Sequences     int // most open at once
	Threads       int
	BOS, EOS      Token
	Parameters    uint64
	WeightsBytes  uint64
	Architecture  string
	Name          string
	ISA           string // instruction set in use
	ChatTemplate  string // its source; "" if the file has none
}

// Version returns "MAJOR.MINOR.PATCH" of the library.
func Version() string {
	return C.GoString(C.loam_version())
}

// Load loads a GGUF file. A name that ends in -00001-of-0000N.gguf brings its other parts along. The
// file must not change while the model is open. Close the model when it is not needed any more.
func Load(path string, options ...Option) (*Model, error) {
	if strings.ContainsRune(path, 0) {
		return nil, argError("the path %q has a zero byte", path)
	}
	return load(newConfig(options), nil, func(l *lent, o *C.loam_options, m **C.loam) C.loam_status {
		p := append([]byte(path), 0)
		return C.loam_load((*C.char)(unsafe.Pointer(&p[0])), o, m)
	})
}

// LoadReader loads a GGUF file of that size from a reader, such as an open file, a [bytes.Reader] or
// an entry of a bundle. If the reader fails or panics, the error wraps what it said.
func LoadReader(r io.ReaderAt, size int64, options ...Option) (*Model, error) {
	return LoadParts([]*io.SectionReader{io.NewSectionReader(r, 0, size)}, options...)
}

// LoadParts loads a model from its parts, in order. They are read while the model is open.
func LoadParts(parts []*io.SectionReader, options ...Option) (*Model, error) {
	config := newConfig(options)
	handles := make([]cgo.Handle, len(parts))
	for i, part := range parts {
		handles[i] = cgo.NewHandle(&source{part, &config.hooks.caught})
	}
	return load(config, handles, func(l *lent, o *C.loam_options, m **C.loam) C.loam_status {
		sources := make([]*C.loam_source, len(parts))
		for i, part := range parts {
			sources[i] = new(C.loam_source)
			C.loam_go_source_init(sources[i], C.uintptr_t(handles[i]), C.uint64_t(part.Size()))
			l.Pin(sources[i])
		}
		return C.loam_load_sources(unsafe.SliceData(sources), C.size_t(len(sources)), o, m)
	})
}

type loader func(l *lent, o *C.loam_options, m **C.loam) C.loam_status

func load(config *config, handles []cgo.Handle, call loader) (*Model, error) {
	var lent lent
	defer lent.Unpin()
	options, handle := config.options(&lent)
	if handle != 0 {
		handles = append(handles, handle)
	}
	m := &Model{turn: make(chan struct{}, 1), hooks: config.hooks, handles: handles}
	err := config.err
	if err == nil {
		var c *C.loam
		st := call(&lent, options, &c)
		m.c = c
		err = m.result(st)
	}
	if err != nil {
		release(held{m.c, m.handles})
		return nil, err
	}
	m.cleanup = runtime.AddCleanup(m, release, held{m.c, m.handles})
	m.readInfo()
	C.loam_seq_close(m.c, 0) // it is open after loading; here all are opened alike
	return m, nil
}

// held is what a model gives back.
type held struct {
	c       *C.loam
	handles []cgo.Handle
}

func release(h held) {
	C.loam_free(h.c)
	for _, handle := range h.handles {
		handle.Delete()
	}
}

// Close frees the model after the call that runs. Its sequences and queues then give [ErrState]. A
// model that is closed already stays so.
func (m *Model) Close() error {
	m.lock()
	defer m.unlock()
	if m.c != nil {
		m.cleanup.Stop()
		release(held{m.c, m.handles})
		m.c = nil
	}
	return nil
}

// Info returns facts about the model, also after it was closed.
func (m *Model) Info() Info { return m.info }

func (m *Model) readInfo() {
	var i C.loam_info
	C.loam_info_init(&i)
	C.loam_get_info(m.c, &i)
	m.info = Info{
		Vocabulary:    int(i.vocabulary_tokens),
		Layers:        int(i.layers),
		Embedding:     int(i.embedding_values),
		ContextTokens: int(i.context_tokens),
		TrainedTokens: int(i.trained_tokens),
		Sequences:     int(i.sequences),
		Threads:       int(i.threads),
		BOS:           Token(i.bos),
		EOS:           Token(i.eos),
		Parameters:    uint64(i.parameters),
		WeightsBytes:  uint64(i.weights_bytes),
		Architecture:  C.GoString(i.architecture),
		Name:          C.GoString(i.name),
		ISA:           C.GoString(i.isa),
		ChatTemplate:  C.GoString(i.chat_template),
	}
}

// ---- Calls ----

func (m *Model) lock()   { m.turn <- struct{}{} }
func (m *Model) unlock() { <-m.turn }

func (m *Model) lockContext(ctx context.Context) error {
	select {
	case m.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return cancelled(ctx)
	}
}

func (m *Model) check() error {
	if m.c == nil {
		return &Error{Status: ErrState, Text: "the model is closed"}
	}
	return nil
}

// result is what the call says that has just returned; the handle's sentence is still its own, for
// the lock is held.
func (m *Model) result(st C.loam_status) error {
	err := m.hooks.caught.take()
	if st == ok {
		return err
	}
	return &Error{Status: Status(st), Text: C.GoString(C.loam_error(m.c)), cause: err}
}

// do runs a call with the handle to itself.
func (m *Model) do(call func() C.loam_status) error {
	m.lock()
	defer m.unlock()
	if err := m.check(); err != nil {
		return err
	}
	return m.result(call())
}

// compute is do for a call that loam_cancel() stops, which leaves things as they were before it.
func (m *Model) compute(ctx context.Context, call func() C.loam_status) error {
	if ctx.Err() != nil {
		return cancelled(ctx)
	}
	if err := m.lockContext(ctx); err != nil {
		return err
	}
	defer m.unlock()
	if err := m.check(); err != nil {
		return err
	}
	told := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		C.loam_cancel(m.c)
		close(told)
	})
	err := m.result(insist(ctx, call))
	if !stop() {
		<-told // or it may come when another call runs, or when the model is freed
	}
	if e, failed := err.(*Error); failed && e.Status == ErrCancelled {
		e.cause = ctx.Err()
	}
	return err
}

// insist repeats a call that was stopped, but not by its own context: loam_cancel() met the end of
// the call that it was meant for, and so stopped the next.
func insist(ctx context.Context, call func() C.loam_status) C.loam_status {
	st := call()
	for st == C.LOAM_ERR_CANCELLED && ctx.Err() == nil {
		st = call()
	}
	return st
}

// filler is a call that fills a buffer of the caller's, and says in n how much there is.
type filler[T any] func(buffer *T, capacity C.size_t, n *C.size_t) C.loam_status

// fill runs a filler, and again if the first guess was too small.
func fill[T any](m *Model, guess int, call filler[T]) ([]T, error) {
	var n C.size_t
	buffer := make([]T, guess)
	err := m.do(func() C.loam_status {
		st := call(unsafe.SliceData(buffer), C.size_t(len(buffer)), &n)
		if st == C.LOAM_ERR_BUFFER {
			buffer = make([]T, n)
			st = call(unsafe.SliceData(buffer), n, &n)
		}
		return st
	})
	if err != nil {
		return nil, err
	}
	return buffer[:n], nil
}

func charsOf(b []byte) *C.char {
	return (*C.char)(unsafe.Pointer(unsafe.SliceData(b)))
}

func charsOfText(s string) *C.char {
	return (*C.char)(unsafe.Pointer(unsafe.StringData(s)))
}

func tokensOf(tokens []Token) *C.loam_token {
	return (*C.loam_token)(unsafe.Pointer(unsafe.SliceData(tokens)))
}

// ---- The model as a whole ----

// SetBudget gives each later compute call a time budget: one that runs out of it returns
// [ErrDeadline], and goes on when it is called again with the same arguments. 0: none.
func (m *Model) SetBudget(budget time.Duration) error {
	return m.do(func() C.loam_status { return C.loam_set_budget(m.c, C.uint64_t(max(budget, 0))) })
}

// Cache returns what the backends learnt of their devices, for [Cache] of a later run; empty if
// nothing is worth keeping.
func (m *Model) Cache() ([]byte, error) {
	return fill(m, 0, func(buffer *byte, capacity C.size_t, n *C.size_t) C.loam_status {
		return C.loam_cache_get(m.c, unsafe.Pointer(buffer), capacity, n)
	})
}

// Usage says what the KV cache holds and has saved.
type Usage struct {
	Sequences      int    // open
	BlockTokens    int    // positions in a block
	Blocks         int    // of the layers that see the whole context, or else of the others
	UsedBlocks     int    // of these, by sequences; one that several share counts once
	IdleBlocks     int    // kept for prompts that begin like one of lately
	ComputedTokens uint64 // since load: rows that went through the model
	SharedTokens   uint64 // since load: prompt tokens that were found in the cache instead
}

// Usage returns what the KV cache holds now.
func (m *Model) Usage() (Usage, error) {
	var u C.loam_usage
	C.loam_usage_init(&u)
	err := m.do(func() C.loam_status { return C.loam_get_usage(m.c, &u) })
	return Usage{
		Sequences:      int(u.sequences),
		BlockTokens:    int(u.kv_block_tokens),
		Blocks:         int(u.kv_blocks),
		UsedBlocks:     int(u.kv_blocks_used),
		IdleBlocks:     int(u.kv_blocks_idle),
		ComputedTokens: uint64(u.tokens_computed),
		SharedTokens:   uint64(u.tokens_shared),
	}, err
}

// Profile says what one kind of op has taken since the model was loaded.
type Profile struct {
	Name   string // "matmul", "attention", … in the backend's words
	Format int    // GGUF's number of the format of the weights or cells; -1: none
	Head   bool   // of the head, which computes logits
	Runs   uint64
	Time   time.Duration
}

// Profile returns the parts that have run, in the order in which they did first: none without
// [Profiled].
func (m *Model) Profile() ([]Profile, error) {
	var all []Profile
	err := m.do(func() C.loam_status {
		var p C.loam_profile
		n := C.loam_profile_count(m.c)
		for i := C.size_t(0); i < n; i++ {
			C.loam_profile_init(&p)
			if st := C.loam_profile_get(m.c, i, &p); st != ok {
				return st
			}
			all = append(all, Profile{
				Name:   C.GoString(p.name),
				Format: int(p._type),
				Head:   p.head != 0,
				Runs:   uint64(p.runs),
				Time:   time.Duration(p.ns),
			})
		}
		return ok
	})
	return all, err
}
