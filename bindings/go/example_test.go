package loam_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"loam"
)

func Example() {
	m, err := loam.Load(tiny(), loam.ContextTokens(128), loam.ISA("scalar"))
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	ctx := context.Background()
	for text, err := range m.Generate(ctx, "the rain in the air", loam.Generation{MaxTokens: 1}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(text)
	}
	// Output: /
}

func ExampleLoad() {
	_, err := loam.Load("no-such-model.gguf", loam.ContextTokens(4096), loam.Threads(4))
	fmt.Println(errors.Is(err, loam.ErrNotFound))
	fmt.Println(err)
	// Output:
	// true
	// loam: no-such-model.gguf: no such file; check the path
}

func ExampleSequence() {
	m, err := loam.Load(tiny(), loam.Sequences(2))
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	ctx := context.Background()
	s, err := m.NewSequence()
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	tokens, _ := m.Tokenize("the rain", loam.AddSpecial)
	if err := s.Prefill(ctx, tokens); err != nil {
		log.Fatal(err)
	}
	for range 3 {
		token, err := s.Sample()
		if err != nil {
			log.Fatal(err)
		}
		if m.IsEnd(token) {
			break
		}
		if err := s.Decode(ctx, token); err != nil {
			log.Fatal(err)
		}
	}
	n, _ := s.Len()
	fmt.Println(len(tokens), n)
	// Output: 8 11
}

func ExampleModel_RenderChat() {
	m, err := loam.Load(tiny(), loam.VocabularyOnly())
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	text, err := m.RenderChat(loam.Prompt{
		Messages:            []loam.Message{{Role: "user", Content: "hi"}},
		AddGenerationPrompt: true,
	})
	fmt.Println(text, err)
	// Output:
	// <|im_start|>user
	// hi<|im_end|>
	// <|im_start|>assistant
	//  <nil>
}

func ExampleQueue() {
	m, err := loam.Load(tiny(), loam.Sequences(4))
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	q, err := m.NewQueue(loam.QueueOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer q.Close()
	var answers []*loam.Answer
	for _, prompt := range []string{"the rain", "a hat"} {
		tokens, _ := m.Tokenize(prompt, loam.AddSpecial)
		a, err := q.Submit(context.Background(), loam.Request{
			Prompt:     tokens,
			Generation: loam.Generation{MaxTokens: 5, IgnoreEnd: true},
		})
		if err != nil {
			log.Fatal(err)
		}
		answers = append(answers, a)
	}
	for _, a := range answers {
		n := 0
		for event, err := range a.Events() {
			if err != nil {
				log.Fatal(err)
			}
			n = event.AnswerTokens
		}
		fmt.Println(n)
	}
	// Output:
	// 5
	// 5
}

func ExamplePlanFile() {
	plan, err := loam.PlanFile(tiny(), loam.ContextTokens(256), loam.MemoryLimit(100_000))
	fmt.Println(errors.Is(err, loam.ErrNoFit), plan.Fits)
	// Output: true false
}
