package loam

// #include "shim.h"
import "C"

import (
	"log/slog"
	"math"
	"runtime"
	"runtime/cgo"
	"time"
	"unsafe"
)

// Option changes how a model is loaded or planned.
type Option func(*config)

// config is loam_options in Go's types; zero values are the library's defaults.
type config struct {
	counts
	c                     *C.loam_options // alone in its memory, as cgo checks all of what C gets
	isa, backend, modules string
	cache                 []byte
	devices               []Device
	hooks                 *hooks
}

// counts turns numbers into C's, and holds the error of the first that C cannot have.
type counts struct{ err error }

// KVType is the type of the KV cache's cells.
type KVType int32

// Types of cells; KVDefault is F16.
const (
	KVDefault KVType = C.LOAM_KV_DEFAULT
	KVF32     KVType = C.LOAM_KV_F32
	KVF16     KVType = C.LOAM_KV_F16
	KVBF16    KVType = C.LOAM_KV_BF16
	KVQ8      KVType = C.LOAM_KV_Q8_0 // 8.5 bits a number; wants heads of a multiple of 32 values
	KVQ4      KVType = C.LOAM_KV_Q4_0 // 4.5 bits a number, as KVQ8; better for values than for keys
)

// Device is one that a model's layers may lie on.
type Device struct {
	Backend     string // "cpu", or the name of a module
	Index       int    // of the backend's devices, from 0
	MemoryLimit uint64 // bytes of its memory that may be used; 0: 0.9 of what is free
	Layers      int    // how many it takes, next in the order of the devices; -1: any number
}

// ContextTokens sets the most tokens of one sequence; 0: the model's own, at most 4096.
func ContextTokens(n int) Option {
	return func(c *config) { c.c.context_tokens = c.count("ContextTokens", n) }
}

// Sequences sets how many sequences can be open at once; 0: one.
func Sequences(n int) Option {
	return func(c *config) { c.c.sequences = c.count("Sequences", n) }
}

// Threads sets how many threads compute; 0: one for each processor this process may use.
func Threads(n int) Option {
	return func(c *config) { c.c.threads = c.count("Threads", n) }
}

// StepTokens sets the most tokens computed at once, the width of prefill; 0: 512.
func StepTokens(n int) Option {
	return func(c *config) { c.c.step_tokens = c.count("StepTokens", n) }
}

// MemoryLimit is a hard cap, in bytes, over all private memory and mapped weights; 0: none.
func MemoryLimit(bytes uint64) Option {
	return func(c *config) { c.c.memory_limit_bytes = C.uint64_t(bytes) }
}

// KVTokens sets the most tokens that the KV cache holds, of all sequences together, shared ones
// counted once; 0: all contexts at once.
func KVTokens(n int) Option {
	return func(c *config) { c.c.kv_tokens = C.uint64_t(c.count("KVTokens", n)) }
}

// KVBlockTokens sets the positions in a block of the KV cache: 8, 16, .. 256; 0: 16.
func KVBlockTokens(n int) Option {
	return func(c *config) { c.c.kv_block_tokens = c.count("KVBlockTokens", n) }
}

// KVTypes sets the types of the KV cache's cells; with [KVDefault], values are as keys.
func KVTypes(keys, values KVType) Option {
	return func(c *config) { c.c.kv_type, c.c.v_type = C.int32_t(keys), C.int32_t(values) }
}

// ISA names the instruction set: "scalar", "avx2", "neon", …; "": the best that the CPU has.
func ISA(name string) Option {
	return func(c *config) { c.isa = name }
}

// Backend names the backend: "cpu", which is built in, or a module; "": "cpu".
func Backend(name string) Option {
	return func(c *config) { c.backend = name }
}

// Modules names the folder where backends are; "": loam-modules beside the library.
func Modules(folder string) Option {
	return func(c *config) { c.modules = folder }
}

// Devices says where the model may lie, instead of [Backend].
func Devices(devices ...Device) Option {
	return func(c *config) { c.devices = devices }
}

// Cache hands over what [Model.Cache] gave in an earlier run.
func Cache(bytes []byte) Option {
	return func(c *config) { c.cache = bytes }
}

// VocabularyOnly loads the vocabulary and the chat template; computing gives [ErrState].
func VocabularyOnly() Option { return flagged(C.LOAM_LOAD_VOCAB) }

// Packed copies the weights into the order in which the backend reads them fastest, always.
func Packed() Option { return flagged(C.LOAM_LOAD_PACK) }

// Mapped uses the weights where the file is mapped: ready at once and shared with other processes,
// but slower.
func Mapped() Option { return flagged(C.LOAM_LOAD_MAP) }

// NoSharing computes every prompt whole, instead of looking for its beginning in the KV cache.
func NoSharing() Option { return flagged(C.LOAM_LOAD_NO_SHARING) }

// Profiled notes how long each kind of op takes, for [Model.Profile].
func Profiled() Option { return flagged(C.LOAM_LOAD_PROFILE) }

func flagged(flag C.uint32_t) Option {
	return func(c *config) { c.c.flags |= flag }
}

// Logger takes the library's log lines; without it they go nowhere. A handler may be called from any
// goroutine; if it panics, the call that logged returns a [PanicError].
func Logger(l *slog.Logger) Option {
	return func(c *config) { c.hooks.logger = l }
}

// Clock tells chat templates the time, in its own zone; without it they see the system's, in UTC. If
// it panics, the call that asked returns a [PanicError].
func Clock(now func() time.Time) Option {
	return func(c *config) { c.hooks.clock = now }
}

func newConfig(options []Option) *config {
	c := &config{c: new(C.loam_options), hooks: new(hooks)}
	C.loam_options_init(c.c)
	for _, set := range options {
		set(c)
	}
	return c
}

func (c *counts) count(name string, n int) C.uint32_t {
	if (n < 0 || int64(n) > math.MaxUint32) && c.err == nil {
		c.err = argError("%s is %d; it must be 0 or more, and less than 2^32", name, n)
	}
	return C.uint32_t(n)
}

// lent is what a C struct borrows: Go memory that stays in its place.
type lent struct{ runtime.Pinner }

// text is s with a NUL, or NULL for "".
func (l *lent) text(s string) *C.char {
	if s == "" {
		return nil
	}
	b := append([]byte(s), 0)
	l.Pin(&b[0])
	return (*C.char)(unsafe.Pointer(&b[0]))
}

func lend[T any](l *lent, s []T) *T {
	if len(s) > 0 {
		l.Pin(&s[0])
	}
	return unsafe.SliceData(s)
}

// options completes the C struct. The handle is that of the hooks, or 0 where there are none.
func (c *config) options(l *lent) (*C.loam_options, cgo.Handle) {
	var handle cgo.Handle
	c.c.isa, c.c.backend, c.c.modules = l.text(c.isa), l.text(c.backend), l.text(c.modules)
	c.c.cache, c.c.cache_bytes = unsafe.Pointer(lend(l, c.cache)), C.size_t(len(c.cache))
	devices := make([]*C.loam_device, len(c.devices))
	for i, d := range c.devices {
		devices[i] = new(C.loam_device)
		C.loam_device_init(devices[i])
		devices[i].index = c.count("Device.Index", d.Index)
		devices[i].backend = l.text(d.Backend)
		devices[i].memory_limit_bytes = C.uint64_t(d.MemoryLimit)
		devices[i].layers = C.int32_t(d.Layers)
		l.Pin(devices[i])
	}
	c.c.devices, c.c.n_devices = lend(l, devices), C.uint32_t(len(devices))
	if c.hooks.logger != nil || c.hooks.clock != nil {
		h := new(C.loam_hooks)
		handle = c.hooks.lend(h)
		l.Pin(h)
		c.c.hooks = h
	}
	return c.c, handle
}
