//! Answers as streams.
#![cfg(feature = "stream")]

mod common;

use std::sync::Arc;

use common::{answer, options, prompt, tiny};
use futures::executor::block_on;
use futures::future::join_all;
use futures::StreamExt;
use loam::stream::{Answer, StreamQueue};
use loam::{Error, Event, Finish, Model, QueueOptions, Result, Submission, Token};

fn model() -> Arc<Model> {
    Arc::new(options().sequences(8).load(tiny()).unwrap())
}

fn start(model: &Arc<Model>) -> StreamQueue {
    StreamQueue::start(Arc::clone(model), &QueueOptions::default()).unwrap()
}

async fn tokens(answer: Answer) -> Vec<Token> {
    let events: Vec<Result<Event>> = answer.collect().await;
    let last = events.last().unwrap().clone().unwrap();
    assert_eq!(last.finish, Some(Finish::Length));
    events.into_iter().filter_map(|event| event.unwrap().token).collect()
}

#[test]
fn tasks_at_once_are_answered_together() {
    let model = model();
    let prompt = prompt(&model);
    let wanted = answer(&mut model.sequence().unwrap(), &prompt, 12);
    let queue = start(&model);
    let ask = || queue.submit(Submission { max_tokens: 12, ..Submission::new(prompt.clone()) });
    let answers = block_on(join_all((0..32).map(|_| tokens(ask()))));
    assert_eq!(answers, vec![wanted; 32]);
    drop(queue);
    assert_eq!(model.usage().unwrap().sequences, 0);
    assert_eq!(Arc::strong_count(&model), 1);
}

#[test]
fn an_answer_that_is_dropped_is_cancelled() {
    let model = model();
    let queue = start(&model);
    let ask = |max_tokens| queue.submit(Submission { max_tokens, ..Submission::new([1, 5, 6]) });
    let mut dropped = ask(200);
    block_on(async {
        dropped.next().await.unwrap().unwrap();
        drop(dropped);
        drop(ask(0)); // perhaps before it was put in line
        assert_eq!(tokens(ask(4)).await.len(), 4);
    });
}

#[test]
fn what_is_wrong_comes_as_an_item() {
    let model = Arc::new(common::model());
    let queue = start(&model);
    block_on(async {
        let mut refused = queue.submit(Submission::new([-7]));
        assert!(matches!(refused.next().await, Some(Err(Error::Token(_)))));
        assert!(refused.next().await.is_none());
    });
    let long = Submission { max_tokens: 200, ignore_end: true, ..Submission::new([1, 5]) };
    let mut asked: Vec<_> = (0..64).map(|_| queue.submit(long.clone())).collect();
    block_on(asked[0].next()).unwrap().unwrap();
    drop(queue);
    let rest: Vec<_> = block_on(asked.pop().unwrap().collect());
    assert!(matches!(rest.last(), Some(Err(Error::State(_)))), "{rest:?}");
}

#[test]
fn a_queue_without_room_fails_its_requests() {
    let model = model();
    let held: Vec<_> = (0..8).map(|_| model.sequence().unwrap()).collect();
    let queue = start(&model);
    let ask = || queue.submit(Submission { max_tokens: 2, ..Submission::new([1, 5]) });
    assert!(matches!(block_on(ask().next()), Some(Err(Error::Full(_)))));
    drop(held);
    assert_eq!(block_on(tokens(ask())).len(), 2);
}
