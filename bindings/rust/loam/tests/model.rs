//! Models, sequences and text.

mod common;

use std::time::Duration;

use common::{answer, data, model, options, prompt, tiny};
use loam::{
    Canceller, Control, Device, Error, KvType, Model, Part, Plan, Queue, Reader, Sampling,
    Sequence, Tokenize,
};

#[test]
fn handles_may_cross_threads() {
    fn both<T: Send + Sync>() {}
    both::<Model>();
    both::<Sequence<'_>>();
    both::<Queue<'_>>();
    both::<Canceller>();
    both::<Plan>();
    both::<Reader>();
    both::<Error>();
}

#[test]
fn facts_are_those_of_the_file() {
    let model = model();
    let info = model.info();
    assert_eq!((info.vocabulary_tokens, info.layers, info.embedding_values), (298, 2, 64));
    assert_eq!((info.context_tokens, info.sequences, info.threads), (256, 2, 2));
    assert_eq!((info.bos, info.eos), (Some(1), Some(2)));
    assert_eq!((info.name.as_str(), info.architecture.as_str()), ("tiny llama", "llama"));
    assert_eq!(info.isa, "scalar");
    assert!(info.chat_template.as_ref().unwrap().contains("im_start"));
    assert!(loam::version().starts_with("0."));
}

#[test]
fn logits_are_those_of_the_reference() {
    let model = options().kv_type(KvType::F32).load(tiny()).unwrap();
    let tokens: Vec<_> = std::fs::read_to_string(data("tiny-llama.tokens"))
        .unwrap()
        .split_whitespace()
        .map(|id| id.parse().unwrap())
        .collect();
    let wanted: Vec<_> = std::fs::read(data("tiny-llama.logits.bin"))
        .unwrap()
        .chunks(4)
        .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
        .collect();
    let mut sequence = model.sequence().unwrap();
    let logits = sequence.prefill_logits(&tokens).unwrap();
    assert_eq!(logits.len(), wanted.len());
    for (found, wanted) in logits.iter().zip(&wanted) {
        assert!((found - wanted).abs() < 0.02 * wanted.abs().max(1.0), "{found} {wanted}");
    }
    assert_eq!(sequence.logits().unwrap(), &logits[logits.len() - 298..]);
}

#[test]
fn characters_split_across_tokens_come_whole() {
    let model = model();
    let text = "Zürich 😀 日本語";
    let tokens = model.tokenize(text, Tokenize::PLAIN).unwrap();
    assert!(tokens.len() > text.chars().count());
    let mut stream = model.text_stream(Control::Show);
    let mut whole = String::new();
    for token in &tokens {
        let piece = stream.push(*token).unwrap();
        assert!(text.contains(piece) || piece == " Z" || piece == " ", "{piece:?}");
        whole += piece;
    }
    assert_eq!(stream.finish().unwrap(), "");
    assert_eq!(whole.trim_start(), text);
    stream.push(245).unwrap(); // the first byte of four
    assert_eq!(stream.finish().unwrap(), "\u{fffd}");
    assert!(matches!(stream.push(-1), Err(Error::Token(_))));
    assert!(matches!(stream.push(298), Err(Error::Token(_))));
    assert_eq!(stream.push(270).unwrap(), "i");
}

#[test]
fn text_and_tokens_of_a_generation_agree() {
    let model = model();
    let mut sequence = model.sequence().unwrap();
    let prompt = prompt(&model);
    let tokens = answer(&mut sequence, &prompt, 32);
    assert_eq!(sequence.length().unwrap(), prompt.len() + 31, "the last one is not appended");
    sequence.truncate(0).unwrap();
    sequence.prefill(&prompt).unwrap();
    let pieces: Vec<_> = sequence.generate(32).text(Control::Show).map(Result::unwrap).collect();
    assert!(pieces.iter().all(|piece| !piece.is_empty()));
    let bytes = model.detokenize(&tokens, Control::Show).unwrap();
    let mut stream = model.text_stream(Control::Show);
    let mut text: String =
        tokens.iter().map(|token| stream.push(*token).unwrap().to_owned()).collect();
    text += stream.finish().unwrap();
    assert_eq!(pieces.concat(), text);
    assert_eq!(
        bytes,
        tokens.iter().flat_map(|t| model.token_bytes(*t).unwrap()).collect::<Vec<_>>()
    );
}

#[test]
fn a_generation_ends_with_the_context() {
    let model = options().context_tokens(20).load(tiny()).unwrap();
    let mut sequence = model.sequence().unwrap();
    sequence.prefill(&prompt(&model)).unwrap();
    let mut tokens = sequence.generate(100);
    assert_eq!(tokens.by_ref().take_while(Result::is_ok).count(), 20 - 16 + 1);
    assert!(matches!(tokens.next(), Some(Err(Error::Full(_)))));
}

#[test]
fn sequences_fork_truncate_save_and_restore() {
    let model = options().sequences(3).load(tiny()).unwrap();
    let prompt = prompt(&model);
    let sampling = Sampling { temperature: 0.8, seed: 42, ..Sampling::default() };
    let mut first = model.sequence().unwrap();
    first.set_sampling(&sampling).unwrap();
    first.prefill(&prompt).unwrap();
    let state = first.save().unwrap();
    let mut fork = first.fork().unwrap();
    fork.set_sampling(&sampling).unwrap();
    let mut again = Sequence::restore(&model, &state).unwrap();
    assert_eq!(first.logits(), again.logits());
    let go_on =
        |sequence: &mut Sequence<'_>| sequence.generate(20).map(Result::unwrap).collect::<Vec<_>>();
    let whole = go_on(&mut first);
    assert_eq!(whole, go_on(&mut again));
    assert_eq!(whole, go_on(&mut fork));

    assert!(matches!(model.sequence(), Err(Error::Full(_))));
    drop(fork);
    assert_eq!(model.usage().unwrap().sequences, 2);
    assert!(matches!(Sequence::restore(&model, &state[1..]), Err(Error::Magic(_))));
    first.truncate(3).unwrap();
    assert_eq!((first.length().unwrap(), first.logits()), (3, None));
    assert!(matches!(first.truncate(4), Err(Error::Argument(_))));
    assert!(matches!(first.sample(), Err(Error::State(_))));
}

#[test]
fn a_batch_computes_what_each_would_alone() {
    let (model, other) = (model(), model());
    let prompt = prompt(&model);
    let (mut a, mut b) = (model.sequence().unwrap(), model.sequence().unwrap());
    a.prefill(&prompt).unwrap();
    b.prefill(&prompt[..3]).unwrap();
    model.decode(&mut [(&mut a, 5), (&mut b, 6)]).unwrap();
    let together = [a.logits().unwrap().to_vec(), b.logits().unwrap().to_vec()];
    a.truncate(prompt.len()).unwrap();
    b.truncate(3).unwrap();
    a.decode(5).unwrap();
    b.decode(6).unwrap();
    assert_eq!(together, [a.logits().unwrap(), b.logits().unwrap()]);

    let mut of_other = other.sequence().unwrap();
    let refused = model.decode(&mut [(&mut a, 5), (&mut of_other, 5)]);
    assert!(matches!(refused, Err(Error::Sequence(_))));
    assert_eq!(a.length().unwrap(), prompt.len() + 1);
}

#[test]
fn a_cancelled_prefill_changes_nothing() {
    let model = model();
    let long: Vec<_> = (0..250).map(|i| 5 + i * 31 % 290).collect();
    let mut sequence = model.sequence().unwrap();
    sequence.prefill(&long[..1]).unwrap();
    let canceller = model.canceller();
    let other = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(2));
        canceller.clone().cancel();
    });
    let failure = loop {
        sequence.truncate(1).unwrap();
        match sequence.prefill(&long) {
            Ok(()) => {}
            Err(why) => break why,
        }
    };
    other.join().unwrap();
    assert!(matches!(failure, Error::Cancelled(_)), "{failure}");
    assert_eq!(sequence.length().unwrap(), 1);
    sequence.prefill(&long).unwrap();
}

/// What a call gives that is repeated until its budget is enough.
fn in_pieces<T>(mut call: impl FnMut() -> loam::Result<T>) -> T {
    for ended in 0.. {
        match call() {
            Ok(value) if ended > 0 => return value,
            Err(Error::Deadline(_)) => {}
            _ => panic!("it ended otherwise after {ended} pieces"),
        }
    }
    unreachable!()
}

#[test]
fn a_budget_ends_calls_that_go_on_when_repeated() {
    let model = options().threads(1).load(tiny()).unwrap();
    let prompt = prompt(&model);
    let mut sequence = model.sequence().unwrap();
    let wanted = answer(&mut sequence, &prompt, 8);
    sequence.truncate(0).unwrap();
    let wanted_rows = sequence.prefill_logits(&prompt).unwrap();
    sequence.truncate(0).unwrap();

    model.set_budget(Some(Duration::from_micros(1))).unwrap();
    assert_eq!(in_pieces(|| sequence.prefill_logits(&prompt)), wanted_rows);
    sequence.truncate(0).unwrap();
    in_pieces(|| sequence.prefill(&prompt));
    let tokens: Vec<_> = sequence
        .generate(8)
        .filter(|token| !matches!(token, Err(Error::Deadline(_))))
        .map(Result::unwrap)
        .collect();
    assert_eq!(tokens, wanted);
    model.set_budget(None).unwrap();
}

#[test]
fn eight_threads_share_a_model() {
    let model = options().sequences(8).load(tiny()).unwrap();
    let prompt = prompt(&model);
    let wanted = answer(&mut model.sequence().unwrap(), &prompt, 24);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut sequence = model.sequence().unwrap();
                for _ in 0..3 {
                    assert_eq!(answer(&mut sequence, &prompt, 24), wanted);
                    let failure = sequence.prefill(&[-1]).unwrap_err();
                    assert!(failure.sentence().contains("-1"), "another call's: {failure}");
                }
            });
        }
    });
    assert_eq!(model.usage().unwrap().sequences, 0);
}

#[test]
fn things_are_dropped_in_any_order() {
    let shared = std::sync::Arc::new(model());
    let canceller = shared.canceller();
    let mut sequence = Sequence::open(shared.clone()).unwrap();
    let queue = Queue::open(shared.clone(), &loam::QueueOptions::default()).unwrap();
    let mut stream = loam::TextStream::new(shared.clone(), Control::Show);
    queue.submit(&loam::Submission::new([1, 5])).unwrap();
    drop(shared);
    sequence.prefill(&[1, 5]).unwrap();
    drop(sequence);
    queue.step().unwrap();
    drop(queue);
    assert_eq!(stream.push(270).unwrap(), "i");
    drop(stream); // and with it the model
    canceller.cancel();
}

#[test]
fn a_vocabulary_alone_does_not_compute() {
    let model = options().vocabulary_only(true).load(tiny()).unwrap();
    assert_eq!(model.tokenize("the rain", Tokenize::PLAIN).unwrap().len(), 7);
    assert_eq!(model.info().sequences, 0);
    for failure in [
        model.sequence().err(),
        Queue::open(&model, &loam::QueueOptions::default()).err(),
        model.set_budget(None).err(),
        model.usage().err(),
    ] {
        assert!(matches!(failure, Some(Error::State(_))), "{failure:?}");
    }
}

#[test]
fn chats_are_rendered_or_refused() {
    let model = model();
    let request = r#"{"messages": [{"role": "user", "content": "hi"}]}"#;
    assert_eq!(model.chat_render(request).unwrap(), "<|im_start|>user\nhi<|im_end|>\n");
    assert_eq!(model.chat_tokenize(request).unwrap()[0], 3);
    assert!(matches!(model.chat_render("{"), Err(Error::Json(_))));
    assert!(matches!(loam::render_template("{% if %}", "{}"), Err(Error::Template(_))));
    let long = format!(r#"{{"t": "{}"}}"#, "x".repeat(10_000));
    assert_eq!(loam::render_template("{{ t }}{{ t }}", &long).unwrap().len(), 20_000);
}

#[test]
fn messages_are_taken_apart() {
    const TEMPLATE: &str = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}\
        {% for c in m.tool_calls or [] %}<tool_call>\n{{ c.function | tojson }}\n</tool_call>\
        {% endfor %}<|im_end|>\n{% endfor %}";
    const REQUEST: &str = r#"{"messages": [{"role": "user", "content": "hi"}], "tools": [{"type":
        "function", "function": {"name": "rain", "parameters": {"type": "object"}}}]}"#;
    let mut reader = Reader::of_template(TEMPLATE, REQUEST).unwrap();
    let mut parts = vec![];
    for piece in
        ["Wait.<tool_", "call>\n{\"name\": \"rain\", \"argu", "ments\": {\"mm\": 3}}\n</tool_call>"]
    {
        parts.extend(reader.push(piece).unwrap());
    }
    parts.extend(reader.end().unwrap());
    let arguments = |part: &Part| match part {
        Part::Arguments { call: 0, text } => Some(text.clone()),
        _ => None,
    };
    assert_eq!(parts[0], Part::Content("Wait.".into()));
    assert!(
        matches!(&parts[1], Part::Call { call: 0, name, id } if name == "rain" && id.len() == 9)
    );
    assert_eq!(parts.iter().filter_map(arguments).collect::<String>(), r#"{"mm": 3}"#);
    assert!(reader.message().unwrap().contains(r#""tool_calls""#));
    assert!(matches!(reader.push("more"), Err(Error::State(_))));
    assert!(matches!(Reader::of_template(TEMPLATE, "["), Err(Error::Json(_))));
    assert!(matches!(model().reader("["), Err(Error::Json(_))));

    let model = model();
    let mut reader = model.reader(r#"{"messages": []}"#).unwrap();
    drop(model);
    assert_eq!(reader.push("still here").unwrap(), [Part::Content("still here".into())]);
}

#[test]
fn a_profile_has_what_ran() {
    let model = options().profiled(true).load(tiny()).unwrap();
    model.sequence().unwrap().prefill(&[1, 5]).unwrap();
    let parts = model.profile().unwrap();
    assert!(parts
        .iter()
        .any(|part| part.name == "matmul" && part.format.is_some() && part.runs > 0));
    assert!(common::model().profile().unwrap().is_empty());
    assert!(model.cache().unwrap().is_empty());
}

#[test]
fn a_plan_says_what_fits() {
    let mut plan = options().plan(tiny()).unwrap();
    let totals = plan.totals().unwrap();
    assert!(plan.fits() && plan.sentence().is_empty());
    assert_eq!((totals.context_tokens, totals.sequences), (256, 2));
    let areas: u64 = plan.areas().unwrap().iter().map(|area| area.bytes).sum();
    assert_eq!(areas, totals.total_bytes);
    let devices = plan.devices().unwrap();
    assert_eq!((devices.len(), devices[0].layers, devices[0].is_host), (1, 2, true));
    let bound = plan.bound(0, 1e9).unwrap();
    assert!((bound.tok_s * bound.token_seconds - 1.0).abs() < 1e-9);
    assert!(plan.bound(0, -1.0).is_err());
    assert!(plan.sequences_fit(0).unwrap() > 2);
    assert!(plan.changes().unwrap().is_empty());

    let small = options().memory_limit_bytes(totals.total_bytes - 1);
    let plan = small.plan(tiny()).unwrap();
    assert!(!plan.fits());
    assert!(plan.sentence().contains("limit"), "{}", plan.sentence());
    assert!(plan
        .changes()
        .unwrap()
        .iter()
        .any(|change| change.kind == loam::ChangeKind::Sequences));
    assert!(matches!(small.load(tiny()), Err(Error::NoFit(_))));
    assert!(matches!(options().plan("/nowhere"), Err(Error::NotFound(_))));
}

#[test]
fn devices_are_found_by_name() {
    let all = Device { layers: Some(2), ..Device::new("cpu") };
    let model = options().device(all.clone()).load(tiny()).unwrap();
    assert_eq!(model.info().layers, 2);
    let nowhere = options().modules("/nowhere").device(Device::new("abacus"));
    let failure = nowhere.load(tiny()).unwrap_err();
    assert!(
        matches!(&failure, Error::Backend(why) if why.contains("/nowhere/abacus.so")),
        "{failure}"
    );
    assert!(matches!(
        options().device(all.clone()).device(all).load(tiny()),
        Err(Error::Argument(_))
    ));
}

#[test]
fn paths_and_names_with_nul_are_refused() {
    assert!(matches!(Model::load("a\0b"), Err(Error::Argument(_))));
    assert!(matches!(options().isa("a\0b").load(tiny()), Err(Error::Argument(_))));
}
