package loam

// #include "shim.h"
import "C"

import (
	"encoding/json"
	"time"
	"unsafe"
)

// TokenizeFlags say how text is read.
type TokenizeFlags uint32

const (
	// AddSpecial adds what the vocabulary wants at the start and end, such as [Info].BOS.
	AddSpecial TokenizeFlags = C.LOAM_TOKENIZE_SPECIAL
	// ParseControl reads control tokens such as <|im_end|> in the text as themselves. Leave it off
	// for text from users, which then stays text.
	ParseControl TokenizeFlags = C.LOAM_TOKENIZE_CONTROL
)

// Tokenize turns text into tokens. Bytes that are not UTF-8 become byte tokens or replacement
// characters.
func (m *Model) Tokenize(text string, flags TokenizeFlags) ([]Token, error) {
	return m.tokens(len(text)+8, func(buffer *C.loam_token, capacity C.size_t, n *C.size_t) C.loam_status {
		return C.loam_tokenize(m.c, charsOfText(text), C.size_t(len(text)), C.uint32_t(flags),
			buffer, capacity, n)
	})
}

func (m *Model) tokens(guess int, call filler[C.loam_token]) ([]Token, error) {
	return fill(m, guess, func(buffer *Token, capacity C.size_t, n *C.size_t) C.loam_status {
		return call((*C.loam_token)(unsafe.Pointer(buffer)), capacity, n)
	})
}

func (m *Model) text(guess int, call filler[C.char]) (string, error) {
	text, err := fill(m, guess, func(buffer *byte, capacity C.size_t, n *C.size_t) C.loam_status {
		return call((*C.char)(unsafe.Pointer(buffer)), capacity, n)
	})
	return string(text), err
}

// Detokenize turns a whole list of tokens back into text, without control tokens if skipControl. It
// is the model's, and so not always valid UTF-8.
func (m *Model) Detokenize(tokens []Token, skipControl bool) (string, error) {
	return m.text(8*len(tokens), func(buffer *C.char, capacity C.size_t, n *C.size_t) C.loam_status {
		return C.loam_detokenize(m.c, tokensOf(tokens), C.size_t(len(tokens)),
			detokenizeFlags(skipControl), buffer, capacity, n)
	})
}

func detokenizeFlags(skipControl bool) C.uint32_t {
	if skipControl {
		return C.LOAM_DETOKENIZE_SKIP_CONTROL
	}
	return 0
}

// TokenText returns the bytes of one token alone: often no whole characters.
func (m *Model) TokenText(token Token) (string, error) {
	return m.text(32, func(buffer *C.char, capacity C.size_t, n *C.size_t) C.loam_status {
		return C.loam_token_text(m.c, C.loam_token(token), buffer, capacity, n)
	})
}

// IsEnd reports whether a token ends a generation: the end of the text, or of a turn.
func (m *Model) IsEnd(token Token) bool {
	end := false
	err := m.do(func() C.loam_status {
		end = C.loam_token_is_end(m.c, C.loam_token(token)) != 0
		return ok
	})
	return err == nil && end
}

// Stream turns tokens into text as they come: whole UTF-8 characters only, and U+FFFD for one that
// is broken.
type Stream struct {
	m *Model
	c *C.loam_stream
}

// NewStream returns a stream without text; skipControl leaves control tokens out.
func (m *Model) NewStream(skipControl bool) *Stream {
	s := &Stream{m, new(C.loam_stream)}
	C.loam_stream_init(s.c)
	s.c.flags = detokenizeFlags(skipControl)
	return s
}

// Push adds a token and returns the text that is now complete, which may be "".
func (s *Stream) Push(token Token) (string, error) {
	if token < 0 { // -1 would end the text
		return "", &Error{Status: ErrToken, Text: "a token of a stream is negative"}
	}
	return s.push(token)
}

// Flush ends the text and returns what was held back.
func (s *Stream) Flush() (string, error) { return s.push(-1) }

func (s *Stream) push(token Token) (string, error) {
	return s.m.text(64, func(buffer *C.char, capacity C.size_t, n *C.size_t) C.loam_status {
		return C.loam_stream_push(s.m.c, s.c, C.loam_token(token), buffer, capacity, n)
	})
}

// ---- Chat ----

// Message is one turn of a conversation.
type Message struct {
	Role    string `json:"role"` // "system", "user", "assistant", …
	Content string `json:"content"`
}

// Prompt is what most chat templates read.
type Prompt struct {
	Messages            []Message `json:"messages"`
	Tools               []any     `json:"tools,omitempty"`
	AddGenerationPrompt bool      `json:"add_generation_prompt"`
}

// RenderChat renders a conversation through the model's own template. The request is a [Prompt], or
// anything else that [json.Marshal] makes an object of; each member is a variable of the template.
func (m *Model) RenderChat(request any) (string, error) {
	object, err := json.Marshal(request)
	if err != nil {
		return "", err
	}
	return m.text(2*len(object), func(buffer *C.char, capacity C.size_t, n *C.size_t) C.loam_status {
		return C.loam_chat_render(m.c, charsOf(object), C.size_t(len(object)),
			buffer, capacity, n)
	})
}

// TokenizeChat is RenderChat into tokens: control tokens count where the template wrote them, and
// stay text inside of message content.
func (m *Model) TokenizeChat(request any) ([]Token, error) {
	object, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	return m.tokens(2*len(object), func(buffer *C.loam_token, capacity C.size_t, n *C.size_t) C.loam_status {
		return C.loam_chat_tokenize(m.c, charsOf(object), C.size_t(len(object)),
			buffer, capacity, n)
	})
}

// RenderTemplate renders any template without a model. [json.Marshal] makes an object of variables.
// Templates see the time of now, in its zone; nil: the system's, in UTC.
func RenderTemplate(source string, variables any, now func() time.Time) (string, error) {
	object, err := json.Marshal(variables)
	if err != nil {
		return "", err
	}
	var n C.size_t
	var c *C.loam_hooks
	hooks := hooks{clock: now}
	if now != nil {
		c = new(C.loam_hooks)
		defer hooks.lend(c).Delete()
	}
	sentence := make([]byte, 1024)
	text := make([]byte, 2*len(source)+2*len(object))
	st := C.loam_status(C.LOAM_ERR_BUFFER)
	for st == C.LOAM_ERR_BUFFER { // again, too, where the clock has made the text longer
		text = make([]byte, max(len(text), int(n)))
		st = C.loam_template_render(charsOfText(source), C.size_t(len(source)),
			charsOf(object), C.size_t(len(object)), c,
			charsOf(text), C.size_t(len(text)), &n, charsOf(sentence), C.size_t(len(sentence)))
	}
	err = hooks.caught.take()
	if st != ok {
		return "", &Error{Status: Status(st), Text: C.GoString(charsOf(sentence)), cause: err}
	}
	return string(text[:n]), err
}
