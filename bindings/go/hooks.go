package loam

// #include "shim.h"
import "C"

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"runtime/cgo"
	"runtime/debug"
	"sync"
	"time"
	"unsafe"
)

// caught holds the first failure of callbacks until the call that they belong to has returned.
type caught struct {
	mu  sync.Mutex
	err error
}

func (c *caught) set(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
	}
}

func (c *caught) take() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.err
	c.err = nil
	return err
}

// recover is deferred by each callback: a panic must not unwind C frames.
func (c *caught) recover() {
	if v := recover(); v != nil {
		c.set(&PanicError{Value: v, Stack: debug.Stack()})
	}
}

// hooks is what the library calls while a model lives.
type hooks struct {
	logger *slog.Logger
	clock  func() time.Time
	caught caught
}

// lend fills the C struct, which then holds the handle.
func (h *hooks) lend(c *C.loam_hooks) cgo.Handle {
	handle := cgo.NewHandle(h)
	C.loam_go_hooks_init(c, C.uintptr_t(handle), flag(h.logger != nil), flag(h.clock != nil))
	return handle
}

func flag(on bool) C.int32_t {
	if on {
		return 1
	}
	return 0
}

//export loamGoLog
func loamGoLog(handle C.uintptr_t, level C.int32_t, text *C.char) {
	h := cgo.Handle(handle).Value().(*hooks)
	defer h.caught.recover()
	at := slog.LevelDebug
	switch level {
	case C.LOAM_LOG_ERROR:
		at = slog.LevelError
	case C.LOAM_LOG_WARN:
		at = slog.LevelWarn
	case C.LOAM_LOG_INFO:
		at = slog.LevelInfo
	}
	h.logger.Log(context.Background(), at, C.GoString(text))
}

//export loamGoClock
func loamGoClock(handle C.uintptr_t) C.int64_t {
	h := cgo.Handle(handle).Value().(*hooks)
	defer h.caught.recover()
	now := h.clock()
	_, east := now.Zone()
	return C.int64_t(now.Unix() + int64(east))
}

// source is a reader that the library reads a model through.
type source struct {
	r      io.ReaderAt
	caught *caught
}

//export loamGoRead
func loamGoRead(handle C.uintptr_t, offset C.uint64_t, buffer unsafe.Pointer,
	n C.size_t) (failed C.int32_t) {
	s := cgo.Handle(handle).Value().(*source)
	defer s.caught.recover()
	failed = 1
	into := unsafe.Slice((*byte)(buffer), n)
	got, err := s.r.ReadAt(into, int64(offset))
	if got == len(into) {
		return 0
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	s.caught.set(err)
	return failed
}
