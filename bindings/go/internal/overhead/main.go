// Command overhead measures what a decoded token takes more in Go than in C: overhead MODEL.gguf. Both
// sides sample and decode the same tokens from the same prompt, in turns; the median of the pairs'
// differences counts.
package main

/*
#cgo pkg-config: loam
#include <loam/loam.h>
#include <stdlib.h>

static loam *open_model(const char *path)
{
    loam *m = NULL;
    loam_options o;
    loam_options_init(&o);
    o.context_tokens = 256;
    o.threads = 1;
    if (loam_load(path, &o, &m) == LOAM_OK) return m;
    loam_free(m);
    return NULL;
}

static loam_status prefill(loam *m, const loam_token *tokens, size_t n)
{
    loam_status st = loam_seq_truncate(m, 0, 0);
    return st == LOAM_OK ? loam_prefill(m, 0, tokens, n) : st;
}

static loam_status decode(loam *m, int n)
{
    loam_seq seq = 0;
    loam_token token;
    loam_status st = LOAM_OK;
    for (int i = 0; i < n && st == LOAM_OK; i++)
        if ((st = loam_sample(m, seq, &token)) == LOAM_OK) st = loam_decode(m, &seq, &token, 1);
    return st;
}
*/
import "C"

import (
	"context"
	"fmt"
	"log"
	"os"
	"slices"
	"time"
	"unsafe"

	"loam"
)

const (
	pairs  = 201
	tokens = 200
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: overhead MODEL.gguf")
	}
	path := C.CString(os.Args[1])
	defer C.free(unsafe.Pointer(path))
	c := C.open_model(path)
	m, err := loam.Load(os.Args[1], loam.ContextTokens(256), loam.Threads(1))
	if c == nil || err != nil {
		log.Fatal("the model does not load: ", err)
	}
	s, err := m.NewSequence()
	if err != nil {
		log.Fatal(err)
	}
	prompt, err := m.Tokenize("the rain in the air", loam.AddSpecial)
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	inC := func() time.Duration {
		if C.prefill(c, (*C.loam_token)(unsafe.Pointer(&prompt[0])), C.size_t(len(prompt))) != C.LOAM_OK {
			log.Fatal(C.GoString(C.loam_error(c)))
		}
		start := time.Now()
		st := C.decode(c, tokens)
		took := time.Since(start)
		if st != C.LOAM_OK {
			log.Fatal(C.GoString(C.loam_error(c)))
		}
		return took
	}
	inGo := func(ctx context.Context) func() time.Duration {
		return func() time.Duration {
			if err := s.Truncate(0); err != nil {
				log.Fatal(err)
			}
			if err := s.Prefill(ctx, prompt); err != nil {
				log.Fatal(err)
			}
			start := time.Now()
			for range tokens {
				token, err := s.Sample()
				if err == nil {
					err = s.Decode(ctx, token)
				}
				if err != nil {
					log.Fatal(err)
				}
			}
			return time.Since(start)
		}
	}
	fmt.Printf("C: %.2f us a token\n", median(measure(inC)))
	report("without a context to watch", inC, inGo(context.Background()))
	report("with one that can be cancelled", inC, inGo(ctx))
}

func measure(run func() time.Duration) (all []float64) {
	for range pairs {
		all = append(all, float64(run().Nanoseconds())/1e3/tokens)
	}
	return all
}

func report(name string, inC, inGo func() time.Duration) {
	var more []float64
	for range pairs {
		base := inC()
		more = append(more, float64((inGo()-base).Nanoseconds())/1e3/tokens)
	}
	fmt.Printf("Go, %s: %+.2f us a token\n", name, median(more))
}

func median(all []float64) float64 {
	slices.Sort(all)
	return all[len(all)/2]
}
