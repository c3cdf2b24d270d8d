//! Many requests at once.

mod common;

use std::collections::HashMap;

use common::{answer, options, prompt, tiny};
use loam::{
    Control, Error, Finish, Model, Queue, QueueOptions, RequestId, Sampling, Submission, Token,
    Tokenize,
};

fn model() -> Model {
    options().sequences(8).load(tiny()).unwrap()
}

fn prompts(model: &Model) -> Vec<Vec<Token>> {
    ["the rain", "a rat", "then he ran", "in the air", "Zürich", "red", "s", "the rain in the air"]
        .map(|text| model.tokenize(text, Tokenize::SPECIAL).unwrap())
        .to_vec()
}

#[test]
fn answers_are_those_that_each_gets_alone() {
    let model = model();
    let prompts = prompts(&model);
    let alone: Vec<_> =
        prompts.iter().map(|prompt| answer(&mut model.sequence().unwrap(), prompt, 24)).collect();
    let queue = Queue::open(&model, &QueueOptions::default()).unwrap();
    let mut answers: HashMap<RequestId, (u64, Vec<Token>, String)> = HashMap::new();
    for (i, prompt) in prompts.iter().enumerate() {
        let tag = i as u64;
        let submission = Submission { max_tokens: 24, tag, ..Submission::new(prompt.as_slice()) };
        let request = queue.submit(&submission).unwrap();
        answers.insert(request, (tag, vec![], String::new()));
    }
    for event in queue.events() {
        let event = event.unwrap();
        let (tag, tokens, text) = answers.get_mut(&event.request).unwrap();
        assert_eq!(event.tag, *tag);
        tokens.extend(event.token);
        text.push_str(&event.text);
        assert_eq!(event.answer_tokens as usize, tokens.len());
        assert!(matches!(event.finish, None | Some(Finish::Length)), "{event:?}");
    }
    assert!(queue.is_idle());
    for (tag, tokens, text) in answers.values() {
        assert_eq!(tokens, &alone[usize::try_from(*tag).unwrap()]);
        let mut stream = model.text_stream(Control::Show);
        let mut wanted: String =
            tokens.iter().map(|token| stream.push(*token).unwrap().to_owned()).collect();
        wanted += stream.finish().unwrap();
        assert_eq!(text, &wanted);
    }
    let stats = queue.stats().unwrap();
    assert_eq!((stats.most_running, stats.answer_tokens), (8, 8 * 24));
}

#[test]
fn stop_strings_end_an_answer_in_front_of_them() {
    let model = model();
    let queue = Queue::open(&model, &QueueOptions::default()).unwrap();
    let text_with = |stops: Vec<String>| {
        let sampling = Sampling::default();
        let tokens = prompt(&model);
        let submission =
            Submission { tokens, stops, max_tokens: 32, sampling, ..Default::default() };
        queue.submit(&submission).unwrap();
        let events: Vec<_> = queue.events().map(Result::unwrap).collect();
        let text: String = events.iter().map(|event| event.text.as_str()).collect();
        (text, events.last().unwrap().finish.clone().unwrap())
    };
    let (whole, finish) = text_with(vec![]);
    assert_eq!(finish, Finish::Length);
    let (before, finish) = text_with(vec!["never".into(), "ann".into()]);
    assert_eq!(finish, Finish::Stop);
    assert!(whole.starts_with(&(before + "ann")));
}

#[test]
fn requests_are_cancelled_or_refused() {
    let model = model();
    let queue = Queue::open(&model, &QueueOptions { requests: 2, ..Default::default() }).unwrap();
    let submission = Submission::new([1, 5, 6]);
    let first = queue.submit(&submission).unwrap();
    let second = queue.submit(&submission).unwrap();
    assert!(matches!(queue.submit(&submission), Err(Error::Full(_))));
    queue.cancel(first).unwrap();
    assert!(matches!(queue.cancel(first), Err(Error::Argument(_))));
    let event = queue.next_event().unwrap().unwrap();
    assert_eq!((event.request, event.finish), (first, Some(Finish::Cancelled)));
    queue.step().unwrap();
    assert!(matches!(queue.step(), Err(Error::State(_))), "its events were not taken");
    assert_eq!(queue.next_event().unwrap().unwrap().request, second);
    assert!(matches!(queue.submit(&Submission::new([999])), Err(Error::Token(_))));
    assert!(matches!(queue.submit(&Submission::new([])), Err(Error::Argument(_))));
    drop(queue);
    assert_eq!(model.usage().unwrap().sequences, 0);
}

#[test]
fn a_cancelled_step_is_taken_again() {
    let model = model();
    let prompt = prompt(&model);
    let wanted = answer(&mut model.sequence().unwrap(), &prompt, 8);
    let queue = Queue::open(&model, &QueueOptions::default()).unwrap();
    queue.submit(&Submission { max_tokens: 8, ..Submission::new(prompt) }).unwrap();
    model.canceller().cancel();
    let mut events = queue.events();
    assert!(matches!(events.next(), Some(Err(Error::Cancelled(_)))));
    let tokens: Vec<_> = events.filter_map(|event| event.unwrap().token).collect();
    assert_eq!(tokens, wanted);
}

#[test]
fn one_thread_steps_and_others_submit() {
    let model = model();
    let prompt = prompt(&model);
    let wanted = answer(&mut model.sequence().unwrap(), &prompt, 8);
    let queue = Queue::open(&model, &QueueOptions::default()).unwrap();
    let submission = Submission { max_tokens: 8, ..Submission::new(prompt) };
    let mut answers: HashMap<_, Vec<_>> = HashMap::new();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..4 {
                    queue.submit(&submission).unwrap();
                }
            });
        }
        let mut ended = 0;
        while ended < 16 {
            for event in queue.events().map(Result::unwrap) {
                answers.entry(event.request).or_default().extend(event.token);
                ended += usize::from(event.finish.is_some());
            }
        }
    });
    assert_eq!(answers.len(), 16);
    assert!(answers.values().all(|answer| *answer == wanted));
}
