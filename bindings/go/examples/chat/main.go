// Command chat holds a conversation with a model: chat MODEL.gguf. An interrupt stops the answer, and
// then the program.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"

	"loam"
)

func main() {
	log.SetFlags(0)
	tokens := flag.Int("context", 4096, "most tokens of the conversation")
	temperature := flag.Float64("temp", 0.7, "temperature; 0 is greedy")
	flag.Parse()
	if flag.NArg() != 1 {
		log.Fatal("usage: chat [-context N] [-temp T] MODEL.gguf")
	}
	m, err := loam.Load(flag.Arg(0), loam.ContextTokens(*tokens))
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	if err := chat(m, loam.Generation{
		Sampling:    loam.Sampling{Temperature: float32(*temperature), TopP: 0.95},
		SkipControl: true,
	}); err != nil {
		log.Fatal(err)
	}
}

func chat(m *loam.Model, g loam.Generation) error {
	var prompt loam.Prompt
	prompt.AddGenerationPrompt = true
	in := bufio.NewScanner(os.Stdin)
	for fmt.Print("> "); in.Scan(); fmt.Print("\n> ") {
		prompt.Messages = append(prompt.Messages, loam.Message{Role: "user", Content: in.Text()})
		answer, err := answer(m, prompt, g)
		if errors.Is(err, context.Canceled) {
			fmt.Print(" …")
		} else if err != nil {
			return err
		}
		prompt.Messages = append(prompt.Messages, loam.Message{Role: "assistant", Content: answer})
	}
	return in.Err()
}

// answer prints the answer as it comes. What the turns before have computed is found in the KV cache.
func answer(m *loam.Model, prompt loam.Prompt, g loam.Generation) (string, error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var whole strings.Builder
	for text, err := range m.Chat(ctx, prompt, g) {
		if err != nil {
			return whole.String(), err
		}
		fmt.Print(text)
		whole.WriteString(text)
	}
	return whole.String(), nil
}
