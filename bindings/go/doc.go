// Package loam runs open-weight language models from GGUF files inside a Go program.
//
//	m, err := loam.Load("model.gguf")
//	if err != nil {
//		log.Fatal(err)
//	}
//	defer m.Close()
//	for text, err := range m.Generate(ctx, "Once upon a time", loam.Generation{MaxTokens: 64}) {
//		if err != nil {
//			log.Fatal(err)
//		}
//		fmt.Print(text)
//	}
//
// A [Model] has everything. A [Sequence] is one conversation in it, to be stepped by hand: Prefill,
// Sample, Decode. A [Queue] answers many requests together. Chat prompts come from [Model.Chat] and
// [Model.TokenizeChat]; what a file would take in memory, from [PlanFile].
//
// Failures are an [Error], with the library's sentence; errors.Is(err, loam.ErrFull) asks for its
// kind. A context stops what computes within milliseconds, and leaves its sequence as it was.
//
// Everything may be used from any goroutine. Calls on one model wait for each other; load the file
// again, for instance with [Mapped], to compute side by side. Close what you open; what is forgotten
// goes when the garbage collector finds it.
//
// Callbacks (a logger, a clock, a reader) may panic: the call in which they were called then returns
// a [PanicError]. They must not call [runtime.Goexit], nor use the model that calls them. The C
// library's hooks for memory and worker threads are not offered.
//
// The package is built against the C library that pkg-config finds; with the build tag loam_static it
// has libloam.a inside.
package loam
