package loam_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"loam"
)

// The list that all bindings share. A kind of case that is not known here fails.
const conformanceFile = "../../tests/bindings/conformance.json"

type conformance struct {
	Model   string
	Options map[string]any
	Cases   []*conformanceCase
	find    map[string]*conformanceCase
}

type conformanceCase struct {
	Name, Does string
	Options    map[string]any
	Prompt     string
	Sampling   struct {
		Temperature      float32 `json:"temperature"`
		Seed             uint64  `json:"seed"`
		TopK             int     `json:"top_k"`
		TopP             float32 `json:"top_p"`
		MinP             float32 `json:"min_p"`
		RepeatPenalty    float32 `json:"repeat_penalty"`
		FrequencyPenalty float32 `json:"frequency_penalty"`
		PresencePenalty  float32 `json:"presence_penalty"`
		PenaltyTokens    int     `json:"penalty_tokens"`
	}
	Predict      int
	PromptTokens []loam.Token `json:"prompt_tokens"`
	Tokens       []loam.Token
	Text         string
	Pieces       []string
	Special      bool
	Control      bool
	SkipControl  bool `json:"skip_control"`
	Detokenized  string
	Request      json.RawMessage
	When         string
	AfterMS      int `json:"after_ms"`
	Status       string
	File         struct {
		Make, Text string
		Bytes      int
	}
	Sentence, Contains string
	Threads, Times     int
	Alive, Callback    string
	WarmUp             int   `json:"warm_up"`
	MostGrowthBytes    int64 `json:"most_growth_bytes"`
	Then               string
}

func TestConformance(t *testing.T) {
	var all conformance
	text, err := os.ReadFile(conformanceFile)
	check(t, err)
	check(t, json.Unmarshal(text, &all))
	all.find = map[string]*conformanceCase{}
	for _, c := range all.Cases {
		all.find[c.Name] = c
	}
	var passed, failed, skipped int
	for _, c := range all.Cases {
		t.Run(c.Name, func(t *testing.T) {
			defer func() {
				switch {
				case t.Failed():
					failed++
					fmt.Printf("FAIL %s\n", c.Name)
				case t.Skipped():
					skipped++
				default:
					passed++
					fmt.Printf("ok   %s\n", c.Name)
				}
			}()
			all.run(t, c)
		})
	}
	fmt.Printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped)
}

func (all *conformance) run(t *testing.T, c *conformanceCase) {
	switch c.Does {
	case "generate":
		m := all.load(t, c)
		check(t, c.generate(m))
		check(t, c.generate(m))
	case "stream":
		all.stream(t, c)
	case "tokenize":
		all.tokenize(t, c)
	case "chat":
		m := all.load(t, c)
		text, err := m.RenderChat(c.Request)
		same(t, "text", must(t, text, err), c.Text)
		tokens, err := m.TokenizeChat(c.Request)
		same(t, "tokens", must(t, tokens, err), c.Tokens)
	case "cancel":
		all.cancel(t, c)
	case "load_error":
		all.loadError(t, c)
	case "prefill_error":
		m := all.load(t, c)
		s := open(t, m)
		c.expect(t, s.Prefill(background, c.Tokens), "")
		empty(t, s)
	case "threads":
		all.threads(t, c)
	case "free_first":
		all.freeFirst(t, c)
	case "callback_throws":
		all.callbackThrows(t, c)
	case "cycles":
		all.cycles(t, c)
	default:
		t.Fatalf("no runner for cases that do %q", c.Does)
	}
}

// ---- Parts of cases ----

func (all *conformance) path() string { return filepath.Join(data, all.Model) }

func (all *conformance) options(t *testing.T, c *conformanceCase) (options []loam.Option) {
	for _, from := range []map[string]any{all.Options, c.Options} {
		for name, value := range from {
			text, _ := value.(string)
			number, _ := value.(float64)
			switch name {
			case "isa":
				options = append(options, loam.ISA(text))
			case "backend":
				options = append(options, loam.Backend(text))
			case "context_tokens":
				options = append(options, loam.ContextTokens(int(number)))
			case "sequences":
				options = append(options, loam.Sequences(int(number)))
			case "threads":
				options = append(options, loam.Threads(int(number)))
			case "kv_block_tokens":
				options = append(options, loam.KVBlockTokens(int(number)))
			case "memory_limit_bytes":
				options = append(options, loam.MemoryLimit(uint64(number)))
			default:
				t.Fatalf("no option here for %q", name)
			}
		}
	}
	return options
}

func (all *conformance) load(t *testing.T, c *conformanceCase) *loam.Model {
	t.Helper()
	m, err := loam.Load(all.path(), all.options(t, c)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// generate runs a case's generation, by hand and as a stream, which must both give what it says.
func (c *conformanceCase) generate(m *loam.Model) error {
	s, err := m.NewSequence()
	if err != nil {
		return err
	}
	defer s.Close()
	prompt, err := m.Tokenize(c.Prompt, loam.AddSpecial)
	if err == nil {
		err = errors.Join(differ("prompt_tokens", prompt, c.PromptTokens),
			s.SetSampling(c.sampling()), s.Prefill(background, prompt))
	}
	var tokens []loam.Token
	for err == nil && len(tokens) < c.Predict {
		var token loam.Token
		if token, err = s.Sample(); err == nil && m.IsEnd(token) {
			break
		}
		tokens = append(tokens, token)
		err = errors.Join(err, s.Decode(background, token))
	}
	if err = errors.Join(err, differ("tokens", tokens, c.Tokens), s.Truncate(0)); err != nil {
		return err
	}
	g := loam.Generation{MaxTokens: c.Predict, Sampling: c.sampling()}
	pieces, err := collect(s.Generate(background, prompt, g))
	return errors.Join(err, differ("text", strings.Join(pieces, ""), c.Text))
}

func (c *conformanceCase) sampling() loam.Sampling { return loam.Sampling(c.Sampling) }

// then runs the generation that a case names, on that model.
func (all *conformance) then(t *testing.T, m *loam.Model, c *conformanceCase) {
	t.Helper()
	check(t, all.find[c.Then].generate(m))
}

func (all *conformance) thenOnNew(t *testing.T, c *conformanceCase) {
	t.Helper()
	all.then(t, all.load(t, all.find[c.Then]), c)
}

func differ(what string, got, want any) error {
	if reflect.DeepEqual(got, want) {
		return nil
	}
	return fmt.Errorf("%s: got %q, want %q", what, got, want)
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	check(t, differ(what, got, want))
}

func empty(t *testing.T, s *loam.Sequence) {
	t.Helper()
	n, err := s.Len()
	same(t, "length", must(t, n, err), 0)
}

func statusOf(t *testing.T, name string) loam.Status {
	for st := loam.Status(-1); st > -100; st-- {
		if st.Error() == name {
			return st
		}
	}
	t.Fatalf("no status has the name %q", name)
	return 0
}

func (c *conformanceCase) expect(t *testing.T, err error, path string) {
	t.Helper()
	e := fails(t, err, statusOf(t, c.Status))
	if !errors.Is(err, e.Status) {
		t.Fatalf("errors.Is does not find %v", e.Status)
	}
	if c.Sentence != "" {
		same(t, "sentence", e.Text, strings.ReplaceAll(c.Sentence, "{path}", path))
	}
	if !strings.Contains(e.Text, c.Contains) {
		t.Fatalf("the sentence %q lacks %q", e.Text, c.Contains)
	}
}

// ---- Kinds of cases ----

func (all *conformance) stream(t *testing.T, c *conformanceCase) {
	stream := all.load(t, c).NewStream(c.SkipControl)
	var pieces []string
	for _, token := range c.Tokens {
		piece, err := stream.Push(token)
		pieces = append(pieces, must(t, piece, err))
	}
	rest, err := stream.Flush()
	same(t, "pieces", append(pieces, must(t, rest, err)), c.Pieces)
}

func (all *conformance) tokenize(t *testing.T, c *conformanceCase) {
	m := all.load(t, c)
	var flags loam.TokenizeFlags
	if c.Special {
		flags |= loam.AddSpecial
	}
	if c.Control {
		flags |= loam.ParseControl
	}
	tokens, err := m.Tokenize(c.Text, flags)
	same(t, "tokens", must(t, tokens, err), c.Tokens)
	text, err := m.Detokenize(tokens, c.SkipControl)
	same(t, "detokenized", must(t, text, err), c.Detokenized)
}

func (all *conformance) cancel(t *testing.T, c *conformanceCase) {
	m := all.load(t, c)
	s := open(t, m)
	ctx, cancel := context.WithCancel(background)
	defer cancel()
	switch c.When {
	case "before":
		cancel()
	case "during":
		time.AfterFunc(time.Duration(c.AfterMS)*time.Millisecond, cancel)
	default:
		t.Fatalf("no runner for a cancel %q", c.When)
	}
	var err error
	for err == nil {
		check(t, s.Truncate(0))
		err = s.Prefill(ctx, c.Tokens)
	}
	c.expect(t, err, "")
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("%v is not context.Canceled", err)
	}
	empty(t, s)
	check(t, s.Close())
	all.then(t, m, c)
}

func (all *conformance) loadError(t *testing.T, c *conformanceCase) {
	path := filepath.Join(t.TempDir(), "model.gguf")
	switch c.File.Make {
	case "none":
	case "directory":
		check(t, os.Mkdir(path, 0o700))
	case "text":
		check(t, os.WriteFile(path, []byte(c.File.Text), 0o600))
	case "cut":
		whole, err := os.ReadFile(all.path())
		check(t, err)
		check(t, os.WriteFile(path, whole[:c.File.Bytes], 0o600))
	case "model":
		path = all.path()
	default:
		t.Fatalf("no way here to make a file %q", c.File.Make)
	}
	_, err := loam.Load(path, all.options(t, c)...)
	c.expect(t, err, path)
}

func (all *conformance) threads(t *testing.T, c *conformanceCase) {
	errs := make(chan error)
	for range c.Threads {
		m := all.load(t, c)
		go func() {
			var err error
			for range c.Times {
				err = errors.Join(err, all.find[c.Then].generate(m))
			}
			errs <- err
		}()
	}
	for range c.Threads {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

func (all *conformance) freeFirst(t *testing.T, c *conformanceCase) {
	m := all.load(t, c)
	then := all.find[c.Then]
	switch c.Alive {
	case "sequence":
		open(t, m)
		s := open(t, m)
		check(t, s.Prefill(background, then.PromptTokens))
		check(t, m.Close())
		fails(t, s.Decode(background, 5), loam.ErrState)
		_, err := s.Sample()
		fails(t, err, loam.ErrState)
		check(t, s.Close())
		runtime.GC()
	case "queue":
		q, err := m.NewQueue(loam.QueueOptions{})
		check(t, err)
		request := loam.Request{Prompt: then.PromptTokens, Generation: loam.Generation{IgnoreEnd: true}}
		last := submitMany(t, q, request)
		check(t, m.Close())
		_, err = collect(last.Events())
		c.expect(t, err, "")
		_, err = q.Submit(background, request)
		c.expect(t, err, "")
		check(t, q.Close())
	default:
		t.Fatalf("no runner for %q that outlives its handle", c.Alive)
	}
	all.thenOnNew(t, c)
}

func (all *conformance) callbackThrows(t *testing.T, c *conformanceCase) {
	options := all.options(t, c)
	var err error
	switch c.Callback {
	case "log":
		_, err = loam.Load(all.path(), append(options, loam.Logger(slog.New(panicking{})))...)
	case "read":
		_, err = loam.LoadReader(&failing{fail: func() error { panic("no bytes") }}, 1<<20, options...)
		c.expect(t, err, "")
	case "alloc":
		fmt.Printf("skip %s: not offered\n", c.Name)
		t.Skip("not offered")
	default:
		t.Fatalf("no callback here that is called %q", c.Callback)
	}
	var panicked *loam.PanicError
	if !errors.As(err, &panicked) {
		t.Fatalf("got the error %v, want that of a panic", err)
	}
	all.thenOnNew(t, c)
}

// panicking is a handler that panics with each line.
type panicking struct{ slog.Handler }

func (panicking) Enabled(context.Context, slog.Level) bool { panic("no log") }

func (all *conformance) cycles(t *testing.T, c *conformanceCase) {
	options := all.options(t, c)
	warmUp := c.WarmUp
	if raced { // its detector takes memory of its own at first
		warmUp += c.Times
	}
	var before int64
	for i := range warmUp + c.Times {
		if i == warmUp {
			debug.FreeOSMemory()
			before = residentBytes()
		}
		m, err := loam.Load(all.path(), options...)
		check(t, err)
		_, err = collect(m.Generate(background, c.Prompt, loam.Generation{MaxTokens: c.Predict}))
		check(t, err)
		check(t, m.Close())
	}
	debug.FreeOSMemory()
	if growth := residentBytes() - before; growth > c.MostGrowthBytes {
		t.Fatalf("%d bytes more after %d cycles; at most %d", growth, c.Times, c.MostGrowthBytes)
	}
}
