package loam_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"loam"
)

var prompt = []loam.Token{1, 261, 281, 290, 261, 279, 262, 292}

// ---- Errors ----

func TestErrors_EachStatusIsFoundAndHasItsNameInC(t *testing.T) {
	names := map[string]bool{}
	for st := loam.ErrForeign; st <= loam.ErrArg; st++ {
		var err error = &loam.Error{Status: st, Text: "a sentence"}
		if !errors.Is(err, st) || errors.Is(err, st-1) {
			t.Errorf("errors.Is does not tell %v from others", st)
		}
		names[st.Error()] = strings.HasPrefix(st.Error(), "LOAM_ERR_")
	}
	if len(names) != 34 {
		t.Errorf("%d names, want 34: %v", len(names), names)
	}
}

func TestErrors_AreTheStandardLibrarysWhereTheyMeanTheSame(t *testing.T) {
	_, err := loam.Load(filepath.Join(t.TempDir(), "none.gguf"))
	if !errors.Is(err, fs.ErrNotExist) || !errors.Is(err, loam.ErrNotFound) {
		t.Errorf("%v is not fs.ErrNotExist", err)
	}
	if !errors.Is(loam.ErrUnsupported, errors.ErrUnsupported) {
		t.Error("ErrUnsupported is not errors.ErrUnsupported")
	}
	if errors.Is(err, context.Canceled) {
		t.Errorf("%v is context.Canceled", err)
	}
}

func TestErrors_NumbersThatCDoesNotHaveAreRefused(t *testing.T) {
	_, err := loam.Load(tiny(), loam.ContextTokens(-1))
	fails(t, err, loam.ErrArg)
	_, err = loam.Load("a\x00b")
	fails(t, err, loam.ErrArg)
	m := load(t)
	fails(t, open(t, m).SetSampling(loam.Sampling{TopK: -1}), loam.ErrArg)
	_, err = m.NewQueue(loam.QueueOptions{Requests: -1})
	fails(t, err, loam.ErrArg)
}

// ---- Loading ----

func TestLoad_InfoSaysWhatTheModelIs(t *testing.T) {
	m := load(t)
	check(t, m.Close())
	info := m.Info()
	if info.Vocabulary != 298 || info.Layers != 2 || info.Architecture != "llama" || info.ISA != "scalar" ||
		info.ContextTokens != 256 || info.BOS != 1 || info.ChatTemplate == "" {
		t.Errorf("%+v", info)
	}
	if loam.Version() == "" {
		t.Error("the library has no version")
	}
}

func TestLoad_AVocabularyDoesNotCompute(t *testing.T) {
	m := load(t, loam.VocabularyOnly())
	tokens, err := m.Tokenize("the", 0)
	check(t, err)
	if len(tokens) == 0 {
		t.Error("no tokens")
	}
	_, err = m.NewSequence()
	fails(t, err, loam.ErrState)
}

func TestLoad_AReaderGivesTheSameModel(t *testing.T) {
	file, err := os.ReadFile(tiny())
	check(t, err)
	m, err := loam.LoadReader(bytes.NewReader(file), int64(len(file)), fixed...)
	check(t, err)
	defer m.Close()
	runtime.GC()
	if !slices.Equal(logits(t, m), logits(t, load(t))) {
		t.Error("other logits")
	}
}

func logits(t *testing.T, m *loam.Model) []float32 {
	s := open(t, m)
	defer s.Close()
	check(t, s.Prefill(background, prompt))
	l, err := s.Logits()
	return must(t, l, err)
}

func TestLoad_AReadersErrorAndPanicComeBack(t *testing.T) {
	file, err := os.ReadFile(tiny())
	check(t, err)
	broken := errors.New("the disk is on fire")
	for name, fail := range map[string]func() error{
		"error": func() error { return broken },
		"panic": func() error { panic(broken) },
	} {
		for _, from := range []int64{0, 20000} {
			r := &failing{bytes.NewReader(file), from, fail}
			_, err := loam.LoadReader(r, int64(len(file)), fixed...)
			fails(t, err, loam.ErrIO)
			if !errors.Is(err, broken) {
				t.Errorf("%s: %v does not wrap what the reader said", name, err)
			}
		}
	}
	_, err = loam.LoadReader(bytes.NewReader(file[:30000]), int64(len(file)), fixed...)
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a reader that ends early gives %v", err)
	}
}

func TestLoad_ALoggerGetsTheLines(t *testing.T) {
	var lines bytes.Buffer
	load(t, loam.Logger(slog.New(slog.NewTextHandler(&lines, nil))))
	if !strings.Contains(lines.String(), `level=INFO msg="loaded tiny llama`) {
		t.Errorf("logged %q", lines.String())
	}
}

func TestLoad_ThePlanIsWhatItSays(t *testing.T) {
	p, err := loam.PlanFile(tiny(), fixed...)
	check(t, err)
	var bytes uint64
	for _, area := range p.Areas {
		bytes += area.Bytes
	}
	if !p.Fits || p.ContextTokens != 256 || len(p.Devices) != 1 || p.Devices[0].Layers != 2 ||
		bytes != p.TotalBytes {
		t.Errorf("%+v", p)
	}
	p, err = loam.PlanFile(tiny(), loam.MemoryLimit(200_000))
	fails(t, err, loam.ErrNoFit)
	if p == nil || p.Fits || p.LimitBytes != 200_000 {
		t.Errorf("%+v", p)
	}
	_, err = loam.PlanFile("")
	if err == nil {
		t.Error("a plan of nothing")
	}
}

func TestLoad_WhatIsForgottenIsFreed(t *testing.T) {
	m := load(t)
	for range 8 { // of two sequences
		s, err := m.NewSequence()
		for errors.Is(err, loam.ErrFull) { // until those before it are collected
			runtime.GC()
			time.Sleep(time.Millisecond)
			s, err = m.NewSequence()
		}
		check(t, err)
		check(t, s.Prefill(background, prompt))
	}
	for range 20 {
		m, err := loam.Load(tiny(), fixed...)
		check(t, err)
		q, err := m.NewQueue(loam.QueueOptions{Requests: 2})
		check(t, err)
		_, err = q.Submit(background, loam.Request{Prompt: prompt, Generation: loam.Generation{MaxTokens: 3}})
		check(t, err)
		runtime.GC()
	}
}

// ---- Sequences ----

func TestSequence_ForkTruncateSaveRestore(t *testing.T) {
	m := load(t, loam.Sequences(4))
	s := open(t, m)
	check(t, s.SetSampling(loam.Sampling{Temperature: 1, Seed: 5}))
	check(t, s.Prefill(background, prompt))
	state, err := s.Save()
	check(t, err)
	fork, err := s.Fork()
	check(t, err)
	want, err := collect(s.Tokens(background, loam.Generation{MaxTokens: 12, IgnoreEnd: true}))
	check(t, err)
	got, err := collect(fork.Tokens(background, loam.Generation{MaxTokens: 12, IgnoreEnd: true}))
	check(t, err)
	if !slices.Equal(got, want) {
		t.Errorf("a fork gives %v, want %v", got, want)
	}
	restored, err := load(t).Restore(state)
	check(t, err)
	first, err := restored.Sample()
	check(t, err)
	check(t, s.Truncate(len(prompt)-1))
	check(t, s.SetSampling(loam.Sampling{Temperature: 1, Seed: 5}))
	check(t, s.Decode(background, prompt[len(prompt)-1]))
	again, err := s.Sample()
	check(t, err)
	if again != first {
		t.Errorf("restored gives %d, computed again %d", first, again)
	}
	n, err := s.Len()
	check(t, err)
	if n != len(prompt) {
		t.Errorf("%d tokens, want %d", n, len(prompt))
	}
	_, err = m.Restore(state[:len(state)/2])
	fails(t, err, loam.ErrTruncated)
	_, err = m.Restore(nil)
	fails(t, err, loam.ErrArg)
}

func TestSequence_LogitsAreThoseOfEachPosition(t *testing.T) {
	m := load(t)
	s := open(t, m)
	_, err := s.Logits()
	fails(t, err, loam.ErrState)
	all, err := s.PrefillLogits(background, prompt)
	check(t, err)
	last, err := s.Logits()
	check(t, err)
	n := m.Info().Vocabulary
	if len(all) != n*len(prompt) || !slices.Equal(all[len(all)-n:], last) {
		t.Errorf("%d logits, and the last row differs from %d", len(all), len(last))
	}
	most := last[0]
	for _, l := range last {
		if math.IsNaN(float64(l)) {
			t.Fatal("NaN")
		}
		most = max(most, l)
	}
	token, err := s.Sample()
	check(t, err)
	if last[token] != most {
		t.Errorf("greedy took %v, the largest is %v", last[token], most)
	}
	same, err := s.AppendLogits(all[:0])
	check(t, err)
	if &same[0] != &all[0] || !slices.Equal(same, last) {
		t.Error("appended logits are elsewhere")
	}
}

func TestSequence_ABatchGivesTheSameAsAlone(t *testing.T) {
	m := load(t)
	a, b := open(t, m), open(t, m)
	check(t, a.Prefill(background, prompt))
	check(t, b.Prefill(background, prompt[:3]))
	check(t, m.Decode(background, []*loam.Sequence{a, b}, []loam.Token{70, 71}))
	got, err := a.Logits()
	check(t, err)
	check(t, a.Truncate(len(prompt)))
	check(t, a.Decode(background, 70))
	want, err := a.Logits()
	check(t, err)
	if !slices.Equal(got, want) {
		t.Error("other bits")
	}
	fails(t, m.Decode(background, []*loam.Sequence{a}, nil), loam.ErrArg)
	fails(t, m.Decode(background, []*loam.Sequence{open(t, load(t))}, []loam.Token{5}), loam.ErrArg)
	fails(t, m.Decode(background, nil, nil), loam.ErrArg)
	check(t, b.Close())
	check(t, b.Close())
	fails(t, m.Decode(background, []*loam.Sequence{a, b}, []loam.Token{70, 71}), loam.ErrSeq)
	_, err = b.Len()
	fails(t, err, loam.ErrSeq)
	_, err = m.NewSequence()
	check(t, err)
	_, err = m.NewSequence()
	fails(t, err, loam.ErrFull)
}

func TestSequence_ABudgetCutsACallThatThenGoesOn(t *testing.T) {
	m := load(t)
	s := open(t, m)
	check(t, m.SetBudget(time.Nanosecond))
	calls := 1
	for ; ; calls++ {
		err := s.Prefill(background, prompt)
		if err == nil {
			break
		}
		fails(t, err, loam.ErrDeadline)
	}
	check(t, m.SetBudget(0))
	if calls < 2 {
		t.Error("the budget of a nanosecond was enough")
	}
	got, err := s.Logits()
	check(t, err)
	if !slices.Equal(got, logits(t, load(t))) {
		t.Error("other bits")
	}
}

func TestModel_UsageProfileAndCache(t *testing.T) {
	m := load(t, loam.Profiled())
	s := open(t, m)
	check(t, s.Prefill(background, prompt))
	u, err := m.Usage()
	check(t, err)
	if u.Sequences != 1 || u.UsedBlocks != 1 || u.ComputedTokens != uint64(len(prompt)) {
		t.Errorf("%+v", u)
	}
	parts, err := m.Profile()
	check(t, err)
	if len(parts) == 0 || parts[0].Name == "" || parts[0].Runs == 0 {
		t.Errorf("%+v", parts)
	}
	_, err = m.Cache()
	check(t, err)
}

// ---- Contexts ----

func TestContext_ADeadlineIsItsOwnError(t *testing.T) {
	m := load(t)
	s := open(t, m)
	ctx, cancel := context.WithTimeout(background, 0)
	defer cancel()
	err := s.Prefill(ctx, prompt)
	fails(t, err, loam.ErrCancelled)
	if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		t.Errorf("%v is not context.DeadlineExceeded alone", err)
	}
}

// Contexts that are cancelled at any moment, also just when their call ends, while another goroutine
// computes on the same model without one.
func TestContext_ACancelNeverStopsAnotherCall(t *testing.T) {
	m := load(t)
	mine, other := open(t, m), open(t, m)
	var stop sync.WaitGroup
	done := make(chan struct{})
	stop.Add(1)
	go func() {
		defer stop.Done()
		for {
			select {
			case <-done:
				return
			default:
			}
			if err := errors.Join(other.Truncate(0), other.Prefill(background, prompt)); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	for i := range 300 {
		check(t, mine.Truncate(0))
		ctx, cancel := context.WithCancel(background)
		timer := time.AfterFunc(time.Duration(i%30)*20*time.Microsecond, cancel)
		err := mine.Prefill(ctx, prompt)
		timer.Stop()
		cancel()
		n, lengthErr := mine.Len()
		check(t, lengthErr)
		if err != nil && (!errors.Is(err, context.Canceled) || n != 0) || err == nil && n != len(prompt) {
			t.Fatalf("%d tokens with the error %v", n, err)
		}
	}
	close(done)
	stop.Wait()
}

func TestContext_LeavesNoGoroutine(t *testing.T) {
	m := load(t)
	s := open(t, m)
	before := runtime.NumGoroutine()
	ctx, cancel := context.WithCancel(background)
	for range 50 {
		check(t, s.Truncate(0))
		check(t, s.Prefill(ctx, prompt))
	}
	cancel()
	fails(t, s.Prefill(ctx, prompt), loam.ErrCancelled)
	for range 100 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d goroutines, and %d before", runtime.NumGoroutine(), before)
}

// ---- Text ----

func TestGenerate_StreamsTheSameTextAsTheTokens(t *testing.T) {
	m := load(t)
	pieces, err := collect(m.Generate(background, "the rain", loam.Generation{MaxTokens: 40}))
	check(t, err)
	tokens, err := m.Tokenize("the rain", loam.AddSpecial)
	check(t, err)
	s := open(t, m)
	check(t, s.Prefill(background, tokens))
	answer, err := collect(s.Tokens(background, loam.Generation{MaxTokens: 40}))
	check(t, err)
	stream, want := m.NewStream(false), ""
	for _, token := range answer {
		piece, err := stream.Push(token)
		check(t, err)
		want += piece
	}
	rest, err := stream.Flush()
	check(t, err)
	if want += rest; strings.Join(pieces, "") != want || want == "" {
		t.Errorf("got %q, want %q", strings.Join(pieces, ""), want)
	}
	n, err := s.Len()
	check(t, err)
	if n != len(tokens)+len(answer) {
		t.Errorf("the sequence has %d tokens, want %d and %d", n, len(tokens), len(answer))
	}
}

func TestGenerate_StopsWhereTheContextEndsAndWhereTheLoopDoes(t *testing.T) {
	m := load(t, loam.ContextTokens(32), loam.Sequences(1))
	s := open(t, m)
	check(t, s.Prefill(background, prompt))
	tokens, err := collect(s.Tokens(background, loam.Generation{IgnoreEnd: true}))
	check(t, err)
	if len(tokens) != 32-len(prompt) {
		t.Errorf("%d tokens", len(tokens))
	}
	_, err = collect(m.Generate(background, "the", loam.Generation{}))
	fails(t, err, loam.ErrFull)
	check(t, s.Close())
	for range m.Generate(background, "the", loam.Generation{IgnoreEnd: true}) {
		break
	}
	s = open(t, m) // for the loop has closed its own
	check(t, s.Close())
	ctx, cancel := context.WithCancel(background)
	n := 0
	for _, err = range m.Generate(ctx, "the", loam.Generation{IgnoreEnd: true}) {
		if n++; n == 2 {
			cancel()
		}
	}
	fails(t, err, loam.ErrCancelled)
	cancel()
}

func TestChat_TemplatesSeeTheClockAndTheirErrorsComeBack(t *testing.T) {
	now := func() time.Time { return time.Date(2025, 3, 14, 9, 26, 53, 0, time.FixedZone("", 3600)) }
	variables := map[string]any{"name": "Zoë"}
	text, err := loam.RenderTemplate("{{ strftime_now('%H:%M') }} {{ name }}", variables, now)
	check(t, err)
	if text != "09:26 Zoë" {
		t.Errorf("rendered %q", text)
	}
	_, err = loam.RenderTemplate("{{ raise_exception('no') }}", nil, nil)
	if e := fails(t, err, loam.ErrJSON); e.Text == "" {
		t.Error("no sentence")
	}
	_, err = loam.RenderTemplate("{% if %}", struct{}{}, nil)
	fails(t, err, loam.ErrTemplate)
	now = func() time.Time { panic("no clock") }
	_, err = loam.RenderTemplate("{{ strftime_now('%H') }}", variables, now)
	var panicked *loam.PanicError
	if !errors.As(err, &panicked) || panicked.Value != "no clock" || len(panicked.Stack) == 0 {
		t.Errorf("a clock that panics gives %v", err)
	}
	m := load(t)
	pieces, err := collect(m.Chat(background, loam.Prompt{
		Messages:            []loam.Message{{Role: "user", Content: "hi"}},
		AddGenerationPrompt: true,
	}, loam.Generation{MaxTokens: 8}))
	check(t, err)
	if len(pieces) == 0 {
		t.Error("no answer")
	}
	_, err = m.RenderChat(func() {})
	if err == nil {
		t.Error("a function was rendered")
	}
	token, err := m.TokenText(292)
	check(t, err)
	_, err = m.TokenText(298)
	if fails(t, err, loam.ErrToken); token == "" {
		t.Error("a token without text")
	}
	_, err = m.NewStream(false).Push(-1)
	fails(t, err, loam.ErrToken)
}

// ---- Goroutines ----

func TestGoroutines_EightShareAModel(t *testing.T) {
	m := load(t, loam.Sequences(8))
	want := logits(t, m)
	errs := make(chan error)
	for range 8 {
		go func() {
			errs <- func() error {
				for range 20 {
					s, err := m.NewSequence()
					if err != nil {
						return err
					}
					if err := s.Prefill(background, prompt); err != nil {
						return err
					}
					got, err := s.Logits()
					if err != nil || !slices.Equal(got, want) {
						return errors.Join(err, errors.New("other logits"))
					}
					var e *loam.Error
					if err := s.Decode(background, 298); !errors.As(err, &e) || !strings.Contains(e.Text, "298") {
						return errors.Join(err, errors.New("the sentence is another call's"))
					}
					if err := s.Close(); err != nil {
						return err
					}
				}
				return nil
			}()
		}()
	}
	for range 8 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

func TestGoroutines_AModelIsClosedWhileOthersUseIt(t *testing.T) {
	for range 10 {
		m := load(t, loam.Sequences(4))
		errs := make(chan error)
		for range 4 {
			s := open(t, m)
			go func() {
				var err error
				for err == nil {
					err = errors.Join(s.Truncate(0), s.Prefill(background, prompt))
				}
				errs <- errors.Join(s.Close(), err)
			}()
		}
		time.Sleep(time.Millisecond)
		check(t, m.Close())
		check(t, m.Close())
		for range 4 {
			if err := <-errs; !errors.Is(err, loam.ErrState) {
				t.Errorf("got %v, want that the model is closed", err)
			}
		}
	}
}

// ---- A real model ----

func TestReal_SmolLM2KnowsACapital(t *testing.T) {
	path := filepath.Join(os.Getenv("LOAM_MODELS"), "SmolLM2-135M-Instruct.Q4_1.gguf")
	if _, err := os.Stat(path); err != nil {
		t.Skip("LOAM_MODELS has no ", filepath.Base(path))
	}
	m, err := loam.Load(path, loam.ContextTokens(256))
	check(t, err)
	defer m.Close()
	pieces, err := collect(m.Generate(background, "The capital of France is", loam.Generation{MaxTokens: 4}))
	if text := strings.Join(must(t, pieces, err), ""); !strings.Contains(text, "Paris") {
		t.Errorf("it goes on with %q", text)
	}
}
