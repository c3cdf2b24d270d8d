package loam

// #include "shim.h"
import "C"

import (
	"context"
	"iter"
	"runtime"
	"sync"
	"unsafe"
)

// Queue answers many requests together, in any number and with the same bits as alone. A goroutine
// of its own computes while there is something to do. It takes its sequences from those of the model
// that are not open.
type Queue struct {
	m       *Model
	c       *C.loam_queue // nil when closed
	event   *C.loam_queue_event
	answers map[uint64]*Answer // that have not ended
	driven  bool               // by its goroutine
	cleanup runtime.Cleanup
} // all guarded by the model's turn

// QueueOptions says how much a queue takes. The zero value has the library's defaults.
type QueueOptions struct {
	Requests      int // most that wait or run; 0: 256
	RequestTokens int // most tokens of one, prompt and answer; 0: a whole context
	StepTokens    int // most tokens computed in a step, so how long one takes; 0: the model's
	StopBytes     int // most bytes in all stop strings of one request; 0: 256
}

// Request is a prompt and how it is answered.
type Request struct {
	Prompt []Token
	Generation
	Stops    []string // the first to be complete in the text ends the answer in front of it
	Priority int      // larger ones go first
}

// Finish says why an answer has ended.
type Finish int32

// Reasons to end; an answer that a context or a failure ended has an error instead.
const (
	FinishNone   Finish = C.LOAM_FINISH_NONE   // it goes on
	FinishEnd    Finish = C.LOAM_FINISH_END    // a token that ends a generation
	FinishStop   Finish = C.LOAM_FINISH_STOP   // a stop string
	FinishLength Finish = C.LOAM_FINISH_LENGTH // MaxTokens, or no more room
)

// Event is one step of an answer.
type Event struct {
	Token        Token  // NoToken with most last events; with FinishEnd the one that ended the answer
	Text         string // what is new: whole characters, without what may still become a stop string
	Finish       Finish // of the last event: not FinishNone
	PromptTokens int    // usage until now: of the prompt
	SharedTokens int    // of these, found in the KV cache instead of being computed
	AnswerTokens int    // chosen, without the one that ended the answer
	Suspensions  int    // how often its KV blocks were given up
}

// NewQueue opens a queue; several share the model's sequences. All its memory is allocated here.
func (m *Model) NewQueue(options QueueOptions) (*Queue, error) {
	var o C.loam_queue_options
	var counts counts
	C.loam_queue_options_init(&o)
	o.requests = counts.count("QueueOptions.Requests", options.Requests)
	o.request_tokens = counts.count("QueueOptions.RequestTokens", options.RequestTokens)
	o.step_tokens = counts.count("QueueOptions.StepTokens", options.StepTokens)
	o.stop_bytes = counts.count("QueueOptions.StopBytes", options.StopBytes)
	if counts.err != nil {
		return nil, counts.err
	}
	var c *C.loam_queue
	if err := m.do(func() C.loam_status { return C.loam_queue_open(m.c, &o, &c) }); err != nil {
		return nil, err
	}
	q := &Queue{m: m, c: c, event: new(C.loam_queue_event), answers: map[uint64]*Answer{}}
	q.cleanup = runtime.AddCleanup(q, func(c *C.loam_queue) { go m.closeQueue(c) }, c)
	return q, nil
}

func (m *Model) closeQueue(c *C.loam_queue) {
	m.lock()
	defer m.unlock()
	C.loam_queue_close(c)
}

// Close ends all requests with [ErrState] and frees the queue, after the step that runs. Closing
// twice, or after the model, is fine.
func (q *Queue) Close() error {
	q.m.lock()
	defer q.m.unlock()
	if q.c != nil {
		q.endAll(&Error{Status: ErrState, Text: "the queue is closed"})
		q.cleanup.Stop()
		C.loam_queue_close(q.c)
		q.c = nil
	}
	return nil
}

func (q *Queue) check() error {
	if q.c == nil {
		return &Error{Status: ErrState, Text: "the queue is closed"}
	}
	return q.m.check()
}

// Submit puts a request in line. When the context is done the answer ends with its error. With
// [ErrFull] there are too many requests: submit again later. An answer ends with ErrFull when it
// cannot start, as sequences that are not the queue's hold all of the model's, or all KV blocks.
func (q *Queue) Submit(ctx context.Context, r Request) (*Answer, error) {
	var lent lent
	defer lent.Unpin()
	c, err := r.submission(&lent)
	if err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, cancelled(ctx)
	}
	if err := q.m.lockContext(ctx); err != nil {
		return nil, err
	}
	defer q.m.unlock()
	if err := q.check(); err != nil {
		return nil, err
	}
	var id C.uint64_t
	if err := q.m.result(C.loam_queue_submit(q.c, c, &id)); err != nil {
		return nil, err
	}
	a := &Answer{q: q, id: uint64(id), ctx: ctx, news: make(chan struct{}, 1)}
	a.stop = context.AfterFunc(ctx, a.cancel)
	q.answers[a.id] = a
	if !q.driven {
		q.driven = true
		go q.drive()
	}
	return a, nil
}

func (r *Request) submission(l *lent) (*C.loam_submission, error) {
	var counts counts
	c, sampling := new(C.loam_submission), new(C.loam_sampling)
	C.loam_submission_init(c)
	if err := r.Sampling.fill(sampling); err != nil {
		return nil, err
	}
	if r.IgnoreEnd {
		c.flags |= C.LOAM_SUBMIT_IGNORE_END
	}
	if r.SkipControl {
		c.flags |= C.LOAM_SUBMIT_SKIP_CONTROL
	}
	c.priority = C.int32_t(r.Priority)
	c.max_tokens = counts.count("Generation.MaxTokens", r.MaxTokens)
	c.tokens, c.n_tokens = (*C.loam_token)(unsafe.Pointer(lend(l, r.Prompt))), C.size_t(len(r.Prompt))
	l.Pin(sampling)
	c.sampling = sampling
	stops, sizes := make([]*C.char, len(r.Stops)), make([]C.size_t, len(r.Stops))
	for i, stop := range r.Stops {
		stops[i], sizes[i] = l.text(stop), C.size_t(len(stop))
	}
	c.stops, c.stop_bytes, c.n_stops = lend(l, stops), lend(l, sizes), C.size_t(len(stops))
	return c, counts.err
}

// drive steps while there is something to do.
func (q *Queue) drive() {
	for q.step() {
	}
}

func (q *Queue) step() bool {
	q.m.lock()
	defer q.m.unlock()
	err := q.check()
	if err == nil {
		st := C.loam_queue_step(q.c)
		// a step that a budget cut, or a cancel that came too late for its own call, goes on
		if st != C.LOAM_ERR_DEADLINE && st != C.LOAM_ERR_CANCELLED {
			err = q.m.result(st)
		}
		q.take()
	}
	if err != nil {
		q.endAll(err)
	}
	q.driven = len(q.answers) > 0
	return q.driven
}

// take hands out all events; the library wants that before each step.
func (q *Queue) take() {
	for {
		e := q.event
		C.loam_queue_event_init(e)
		if C.loam_queue_next(q.c, e) != ok || e.kind == C.LOAM_EVENT_NONE {
			return
		}
		a := q.answers[uint64(e.request)]
		if a == nil { // it has ended with an error
			continue
		}
		event := Event{
			Token:        Token(e.token),
			Text:         C.GoStringN(e.text, C.int(e.text_bytes)),
			Finish:       Finish(e.finish),
			PromptTokens: int(e.prompt_tokens),
			SharedTokens: int(e.shared_tokens),
			AnswerTokens: int(e.answer_tokens),
			Suspensions:  int(e.suspensions),
		}
		switch {
		case e.kind == C.LOAM_EVENT_TOKEN:
			a.add(event)
			continue
		case e.finish == C.LOAM_FINISH_ERROR:
			a.end(&Error{Status: Status(e.status), Text: C.GoString(C.loam_error(q.m.c))})
		default:
			a.add(event)
			a.end(nil)
		}
		delete(q.answers, a.id)
	}
}

// drop ends a request with an error.
func (q *Queue) drop(a *Answer, err error) {
	a.end(err)
	delete(q.answers, a.id)
	if q.check() == nil {
		C.loam_queue_cancel(q.c, C.uint64_t(a.id))
		q.take()
	}
}

func (q *Queue) endAll(err error) {
	for _, a := range q.answers {
		q.drop(a, err)
	}
}

// QueueStats says what a queue does now, and has done since it was opened.
type QueueStats struct {
	Running, Waiting int
	MostRunning      int    // at once
	UnusedCells      uint64 // positions, in KV blocks of the running ones, without a token now
	Steps            uint64
	ComputedTokens   uint64 // that went through the model
	SharedTokens     uint64 // found in the KV cache instead
	AnswerTokens     uint64 // chosen
	Suspensions      uint64
}

// Stats returns what the queue does and has done.
func (q *Queue) Stats() (QueueStats, error) {
	var s C.loam_queue_stats
	C.loam_queue_stats_init(&s)
	q.m.lock()
	defer q.m.unlock()
	err := q.check()
	if err == nil {
		err = q.m.result(C.loam_queue_get_stats(q.c, &s))
	}
	return QueueStats{
		Running:        int(s.running),
		Waiting:        int(s.waiting),
		MostRunning:    int(s.most_running),
		UnusedCells:    uint64(s.unused_cells),
		Steps:          uint64(s.steps),
		ComputedTokens: uint64(s.computed_tokens),
		SharedTokens:   uint64(s.shared_tokens),
		AnswerTokens:   uint64(s.answer_tokens),
		Suspensions:    uint64(s.suspensions),
	}, err
}

// ---- Answers ----

// Answer is what becomes of a request. Its events wait until they are taken.
type Answer struct {
	q    *Queue
	id   uint64
	ctx  context.Context
	stop func() bool   // watching the context
	news chan struct{} // holds a value when there may be something new

	mu     sync.Mutex
	events []Event
	ended  bool
	err    error
}

func (a *Answer) add(e Event) {
	a.mu.Lock()
	a.events = append(a.events, e)
	a.mu.Unlock()
	a.tell()
}

func (a *Answer) end(err error) {
	a.stop()
	a.mu.Lock()
	a.ended, a.err = true, err
	a.mu.Unlock()
	a.tell()
}

func (a *Answer) tell() {
	select {
	case a.news <- struct{}{}:
	default:
	}
}

// take returns what is new; and, when that was all, whether the answer has ended and how.
func (a *Answer) take() ([]Event, bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	events := a.events
	a.events = nil
	return events, a.ended, a.err
}

// cancel drops the request, when the context is done or nobody wants the answer.
func (a *Answer) cancel() {
	q := a.q
	q.m.lock()
	defer q.m.unlock()
	if q.answers[a.id] == a {
		q.drop(a, cancelled(a.ctx))
	}
}

// Events yields the events of the answer as they come, each to one loop; an error is the last thing
// that it yields. A loop that is left early drops the request.
func (a *Answer) Events() iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		for {
			events, ended, err := a.take()
			for _, e := range events {
				if !yield(e, nil) {
					a.cancel()
					return
				}
			}
			if ended {
				if err != nil {
					yield(Event{Token: NoToken}, err)
				}
				return
			}
			select {
			case <-a.news:
			case <-a.ctx.Done(): // do not wait for the step that runs
				yield(Event{Token: NoToken}, cancelled(a.ctx))
				return
			}
		}
	}
}

// Text yields the pieces of the answer's text; otherwise it is as Events.
func (a *Answer) Text() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for e, err := range a.Events() {
			if (e.Text != "" || err != nil) && !yield(e.Text, err) {
				return
			}
		}
	}
}
