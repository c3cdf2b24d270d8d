package loam_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"loam"
)

func newQueue(t *testing.T, m *loam.Model) *loam.Queue {
	t.Helper()
	q, err := m.NewQueue(loam.QueueOptions{Requests: 256})
	check(t, err)
	t.Cleanup(func() { q.Close() })
	return q
}

func text(a *loam.Answer) (string, error) {
	pieces, err := collect(a.Text())
	return strings.Join(pieces, ""), err
}

func TestQueue_ThirtyTwoGoroutinesGetTheAnswersOfEachAlone(t *testing.T) {
	m := load(t, loam.Sequences(6))
	q := newQueue(t, m)
	prompts := []string{"the rain", "a hat", "then he ran", "Zürich"}
	want := map[string]string{}
	for _, p := range prompts {
		pieces, err := collect(m.Generate(background, p, loam.Generation{MaxTokens: 24}))
		want[p] = strings.Join(must(t, pieces, err), "")
	}
	errs := make(chan error)
	for i := range 32 {
		go func() {
			errs <- func() error {
				p := prompts[i%len(prompts)]
				tokens, err := m.Tokenize(p, loam.AddSpecial)
				if err != nil {
					return err
				}
				a, err := q.Submit(background, loam.Request{
					Prompt:     tokens,
					Generation: loam.Generation{MaxTokens: 24},
				})
				if err != nil {
					return err
				}
				return errors.Join(differ(p, textOr(text(a)), want[p]))
			}()
		}()
	}
	for range 32 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	s, err := q.Stats()
	check(t, err)
	if s.MostRunning < 2 || s.Running != 0 || s.Waiting != 0 || s.AnswerTokens != 32*24 {
		t.Errorf("%+v", s)
	}
}

// submitMany submits so many requests that the last, which it returns, does not end soon.
func submitMany(t *testing.T, q *loam.Queue, r loam.Request) (last *loam.Answer) {
	t.Helper()
	for range 200 {
		a, err := q.Submit(background, r)
		check(t, err)
		last = a
	}
	return last
}

// textOr shows an error as text, where texts are compared.
func textOr(text string, err error) string {
	if err != nil {
		return err.Error()
	}
	return text
}

func TestQueue_EventsCountAndFinish(t *testing.T) {
	m := load(t)
	q := newQueue(t, m)
	a, err := q.Submit(background, loam.Request{
		Prompt:     prompt,
		Generation: loam.Generation{MaxTokens: 5, IgnoreEnd: true},
	})
	check(t, err)
	events, err := collect(a.Events())
	check(t, err)
	last := events[len(events)-1]
	if len(events) != 6 || last.Finish != loam.FinishLength || last.AnswerTokens != 5 ||
		last.PromptTokens != len(prompt) || events[0].Finish != loam.FinishNone ||
		events[0].Token == loam.NoToken {
		t.Errorf("%+v", events)
	}
	whole, err := collect(m.Generate(background, "the rain", loam.Generation{MaxTokens: 30}))
	check(t, err)
	answer := strings.Join(whole, "")
	runes := []rune(answer)
	stop := string(runes[len(runes)/2:][:3])
	tokens, err := m.Tokenize("the rain", loam.AddSpecial)
	check(t, err)
	a, err = q.Submit(background, loam.Request{Prompt: tokens, Stops: []string{"never to come", stop}})
	check(t, err)
	got, err := text(a)
	if want, _, _ := strings.Cut(answer, stop); must(t, got, err) != want {
		t.Errorf("stopped at %q: got %q, want %q", stop, got, want)
	}
}

func TestQueue_AContextEndsItsRequestAlone(t *testing.T) {
	m := load(t)
	q := newQueue(t, m)
	long := loam.Request{Prompt: prompt, Generation: loam.Generation{MaxTokens: 200, IgnoreEnd: true}}
	ctx, cancel := context.WithCancel(background)
	defer cancel()
	other, err := q.Submit(background, long)
	check(t, err)
	a, err := q.Submit(ctx, long)
	check(t, err)
	n := 0
	for _, err = range a.Events() {
		if n++; n == 3 {
			cancel()
		}
	}
	fails(t, err, loam.ErrCancelled)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v is not context.Canceled", err)
	}
	_, err = q.Submit(ctx, long)
	fails(t, err, loam.ErrCancelled)
	events, err := collect(other.Events())
	check(t, err)
	if len(events) != 201 {
		t.Errorf("the other request has %d events", len(events))
	}
	a, err = q.Submit(background, long)
	check(t, err)
	for range a.Events() {
		break // drops the request
	}
	for s, err := q.Stats(); s.Running != 0; s, err = q.Stats() {
		check(t, err)
		runtime.Gosched()
	}
	if s, _ := q.Stats(); s.AnswerTokens >= 600 {
		t.Errorf("the answer that nobody wanted was finished: %+v", s)
	}
}

func TestQueue_RefusesWhatCannotBe(t *testing.T) {
	m := load(t, loam.Sequences(1))
	q, err := m.NewQueue(loam.QueueOptions{Requests: 1, RequestTokens: 20})
	check(t, err)
	_, err = q.Submit(background, loam.Request{})
	fails(t, err, loam.ErrArg)
	_, err = q.Submit(background, loam.Request{Prompt: []loam.Token{1, 298}})
	fails(t, err, loam.ErrToken)
	_, err = q.Submit(background, loam.Request{Prompt: prompt, Stops: []string{""}})
	fails(t, err, loam.ErrArg)
	_, err = q.Submit(background, loam.Request{Prompt: prompt, Generation: loam.Generation{MaxTokens: 13}})
	fails(t, err, loam.ErrArg)
	s := open(t, m) // the only one: nothing can start
	a, err := q.Submit(background, loam.Request{Prompt: prompt})
	check(t, err)
	_, err = collect(a.Events())
	fails(t, err, loam.ErrFull)
	check(t, s.Close())
	a, err = q.Submit(background, loam.Request{Prompt: prompt, Generation: loam.Generation{MaxTokens: 1}})
	check(t, err)
	_, err = collect(a.Events())
	check(t, err)
	check(t, q.Close())
	check(t, q.Close())
	_, err = q.Submit(background, loam.Request{Prompt: prompt})
	fails(t, err, loam.ErrState)
	_, err = q.Stats()
	fails(t, err, loam.ErrState)
}

func TestQueue_ClosesWhileItAnswers(t *testing.T) {
	m := load(t)
	before := runtime.NumGoroutine()
	for range 10 {
		q := newQueue(t, m)
		request := loam.Request{Prompt: prompt, Generation: loam.Generation{IgnoreEnd: true}}
		first, err := q.Submit(background, request)
		check(t, err)
		last := submitMany(t, q, request)
		for range first.Events() {
			break
		}
		check(t, q.Close())
		_, err = collect(last.Events())
		fails(t, err, loam.ErrState)
	}
	for range 100 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d goroutines, and %d before", runtime.NumGoroutine(), before)
}
