package loam

import (
	"context"
	"iter"
)

// Generation says how an answer is made. The zero value: greedy, to the end.
type Generation struct {
	MaxTokens   int // of the answer; 0: as many as there is room for
	Sampling    Sampling
	IgnoreEnd   bool // tokens that end a generation do not end this one
	SkipControl bool // leave control tokens out of the text
}

// Generate answers a prompt piece by piece: whole UTF-8 characters, as soon as they are complete. An
// error is the last thing that it yields. It opens a sequence and closes it.
func (m *Model) Generate(ctx context.Context, prompt string, g Generation) iter.Seq2[string, error] {
	return m.answer(ctx, g, func() ([]Token, error) { return m.Tokenize(prompt, AddSpecial) })
}

// Chat answers a conversation, through the model's chat template; it is else as Generate. The request
// is as for [Model.RenderChat], and best has AddGenerationPrompt.
func (m *Model) Chat(ctx context.Context, request any, g Generation) iter.Seq2[string, error] {
	return m.answer(ctx, g, func() ([]Token, error) { return m.TokenizeChat(request) })
}

func (m *Model) answer(ctx context.Context, g Generation,
	prompt func() ([]Token, error)) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		tokens, err := prompt()
		if err != nil {
			yield("", err)
			return
		}
		s, err := m.NewSequence()
		if err != nil {
			yield("", err)
			return
		}
		defer s.Close()
		s.Generate(ctx, tokens, g)(yield)
	}
}

// Generate appends a prompt and answers it, piece by piece. An error is the last thing that it
// yields. Afterwards the sequence holds the answer too, without the token that ended it; when the
// loop was left early, or with an error, without the last token that was chosen.
func (s *Sequence) Generate(ctx context.Context, prompt []Token, g Generation) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if err := s.Prefill(ctx, prompt); err != nil {
			yield("", err)
			return
		}
		stream := s.m.NewStream(g.SkipControl)
		for token, err := range s.Tokens(ctx, g) {
			var text string
			if err == nil {
				text, err = stream.Push(token)
			}
			if (text != "" || err != nil) && !yield(text, err) || err != nil {
				return
			}
		}
		if text, err := stream.Flush(); text != "" || err != nil {
			yield(text, err)
		}
	}
}

// Tokens is Generate without the text, for a sequence that has its prompt already.
func (s *Sequence) Tokens(ctx context.Context, g Generation) iter.Seq2[Token, error] {
	return func(yield func(Token, error) bool) {
		if err := s.tokens(ctx, g, yield); err != nil {
			yield(NoToken, err)
		}
	}
}

func (s *Sequence) tokens(ctx context.Context, g Generation, yield func(Token, error) bool) error {
	if err := s.SetSampling(g.Sampling); err != nil {
		return err
	}
	n, err := s.Len()
	if err != nil {
		return err
	}
	room := s.m.info.ContextTokens - n
	if g.MaxTokens > 0 {
		room = min(room, g.MaxTokens)
	}
	for range room {
		token, err := s.Sample()
		if err != nil {
			return err
		}
		if !g.IgnoreEnd && s.m.IsEnd(token) || !yield(token, nil) {
			return nil
		}
		if err := s.Decode(ctx, token); err != nil {
			return err
		}
	}
	return nil
}
