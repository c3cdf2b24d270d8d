package loam

// #include "shim.h"
import "C"

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
)

// Status says what kind of failure an [Error] is. Each is an error itself, for [errors.Is].
type Status int32

// The kinds of failure.
const (
	ErrArg           Status = C.LOAM_ERR_ARG            // an argument is out of its range or unknown
	ErrNewer         Status = C.LOAM_ERR_NEWER          // the library is too old for an option that is set
	ErrNoMemory      Status = C.LOAM_ERR_NOMEM          // the allocator had no memory
	ErrIO            Status = C.LOAM_ERR_IO             // the system or a reader failed to read
	ErrNotFound      Status = C.LOAM_ERR_NOT_FOUND      // no such file; also [fs.ErrNotExist]
	ErrDirectory     Status = C.LOAM_ERR_DIRECTORY      // the path names a directory
	ErrEmpty         Status = C.LOAM_ERR_EMPTY          // the file has no bytes
	ErrMagic         Status = C.LOAM_ERR_MAGIC          // not a GGUF file, or no saved state
	ErrVersion       Status = C.LOAM_ERR_VERSION        // a version of the format that is not read
	ErrEndian        Status = C.LOAM_ERR_ENDIAN         // a big-endian GGUF file
	ErrTruncated     Status = C.LOAM_ERR_TRUNCATED      // a partial download
	ErrCorrupt       Status = C.LOAM_ERR_CORRUPT        // the file contradicts itself
	ErrLimit         Status = C.LOAM_ERR_LIMIT          // a stated limit of loam is exceeded
	ErrArch          Status = C.LOAM_ERR_ARCH           // an architecture that loam does not run
	ErrMetadata      Status = C.LOAM_ERR_METADATA       // a metadata key is missing or wrong
	ErrTensorMissing Status = C.LOAM_ERR_TENSOR_MISSING // the file lacks a tensor
	ErrTensorShape   Status = C.LOAM_ERR_TENSOR_SHAPE   // a tensor has another shape
	ErrTensorType    Status = C.LOAM_ERR_TENSOR_TYPE    // a number format that is not known
	ErrTokenizer     Status = C.LOAM_ERR_TOKENIZER      // no vocabulary, or an unknown kind of one
	ErrTemplate      Status = C.LOAM_ERR_TEMPLATE       // the chat template is missing or wrong
	ErrJSON          Status = C.LOAM_ERR_JSON           // text that should be JSON is not
	ErrNoFit         Status = C.LOAM_ERR_NOFIT          // the plan exceeds the memory limit
	ErrFull          Status = C.LOAM_ERR_FULL           // no room in the context, the KV cache, or a queue
	ErrToken         Status = C.LOAM_ERR_TOKEN          // a token outside the vocabulary
	ErrSeq           Status = C.LOAM_ERR_SEQ            // the sequence is closed
	ErrBuffer        Status = C.LOAM_ERR_BUFFER         // a buffer is too small
	ErrState         Status = C.LOAM_ERR_STATE          // a call out of order, or the model is closed
	ErrCancelled     Status = C.LOAM_ERR_CANCELLED      // a context was done; also that context's error
	ErrDeadline      Status = C.LOAM_ERR_DEADLINE       // the budget of [Model.SetBudget] is used up
	ErrDevice        Status = C.LOAM_ERR_DEVICE         // the device is gone; close the model
	ErrBackend       Status = C.LOAM_ERR_BACKEND        // no such backend, or it lacks what is asked
	ErrUnsupported   Status = C.LOAM_ERR_UNSUPPORTED    // not in this version; also [errors.ErrUnsupported]
	ErrInternal      Status = C.LOAM_ERR_INTERNAL       // a broken invariant inside loam: please report it
	ErrForeign       Status = C.LOAM_ERR_FOREIGN        // a saved state of another model
)

const ok = C.LOAM_OK

// Error returns the status's name in C, such as "LOAM_ERR_FULL".
func (s Status) Error() string {
	return C.GoString(C.loam_status_name(C.loam_status(s)))
}

// Is lets [errors.Is] find the standard library's errors of the same meaning.
func (s Status) Is(target error) bool {
	switch s {
	case ErrNotFound:
		return target == fs.ErrNotExist
	case ErrUnsupported:
		return target == errors.ErrUnsupported
	}
	return false
}

// Error is a failure of the library. [errors.Is] finds its status, and what caused it: the error of
// a context, or that of a reader.
type Error struct {
	Status Status
	Text   string // the library's sentence: it names the thing and says what to do
	cause  error
}

func (e *Error) Error() string {
	if e.cause == nil {
		return "loam: " + e.Text
	}
	return "loam: " + e.Text + ": " + e.cause.Error()
}

// Unwrap returns the status and, where there is one, the cause.
func (e *Error) Unwrap() []error {
	if e.cause == nil {
		return []error{e.Status}
	}
	return []error{e.Status, e.cause}
}

// PanicError is a panic of a callback, caught before it reached C. The call of the library in which
// it happened returns it.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string {
	return fmt.Sprintf("loam: a callback panicked: %v", e.Value)
}

// Unwrap returns the panic's value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

func argError(format string, args ...any) *Error {
	return &Error{Status: ErrArg, Text: fmt.Sprintf(format, args...)}
}

func cancelled(ctx context.Context) *Error {
	return &Error{Status: ErrCancelled, Text: "the context is done", cause: ctx.Err()}
}
