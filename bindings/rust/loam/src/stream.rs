//! Answers as streams, for asynchronous programs (feature `stream`).
//!
//! A thread of its own steps the queue, so that no executor ever waits for a computation, and any
//! executor will do.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::JoinHandle;

use futures_core::Stream;

use crate::error::{Error, Result};
use crate::model::Model;
use crate::queue::{Event, Queue, QueueOptions, RequestId, Submission};

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A queue with a thread that steps it. All requests that are there are answered together.
///
/// ```
/// # let path = std::env::var("LOAM_TEST_DATA")? + "/tiny-llama.gguf";
/// # use futures::{executor::block_on, StreamExt};
/// use loam::{stream::StreamQueue, Model, QueueOptions, Submission};
///
/// let model = Model::builder().sequences(8).load(&path)?;
/// let queue = StreamQueue::start(model, &QueueOptions::default())?;
/// let mut answer = queue.submit(Submission { max_tokens: 8, ..Submission::new([1, 5, 6]) });
/// block_on(async {
///     while let Some(event) = answer.next().await {
///         print!("{}", event?.text);
///     }
///     Ok::<(), loam::Error>(())
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct StreamQueue {
    orders: Arc<Orders>,
    thread: Option<JoinHandle<()>>,
}

impl StreamQueue {
    /// Open a queue on a model, which may be shared (`Arc<Model>`), and start its thread.
    ///
    /// # Errors
    /// As [`Queue::open`]; [`Error::NoMemory`] if the system gives no thread.
    pub fn start(model: impl Into<Arc<Model>>, options: &QueueOptions) -> Result<Self> {
        let queue = Queue::open(model.into(), options)?;
        let orders = Arc::<Orders>::default();
        let worker = Worker { queue, orders: Arc::clone(&orders), running: HashMap::new() };
        let thread = std::thread::Builder::new()
            .name("loam queue".into())
            .spawn(|| worker.work())
            .map_err(|why| Error::NoMemory(format!("no thread for the queue: {why}")))?;
        Ok(Self { orders, thread: Some(thread) })
    }

    /// Put a request in line. What is wrong with it comes as the first item of the stream.
    #[must_use = "an answer that is dropped is cancelled"]
    pub fn submit(&self, submission: Submission) -> Answer {
        let mail = Arc::<Mailbox>::default();
        if !self.orders.give(Order::Submit(submission, Arc::clone(&mail))) {
            mail.put(stopped());
        }
        Answer { mail, orders: Arc::clone(&self.orders) }
    }
}

/// Ends all answers with [`Error::State`], after the step that is running.
impl Drop for StreamQueue {
    fn drop(&mut self) {
        lock(&self.orders.state).stopped = true;
        self.orders.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // It does not panic; if it did, there would be nothing to do.
            drop(thread.join());
        }
    }
}

/// The answer to one request: its events as they come, the last with
/// [`finish`](Event::finish). One that is dropped before is cancelled.
#[derive(Debug)]
pub struct Answer {
    mail: Arc<Mailbox>,
    orders: Arc<Orders>,
}

impl Stream for Answer {
    type Item = Result<Event>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.mail.poll(context.waker())
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if !lock(&self.mail.0).ended {
            self.orders.give(Order::Cancel(Arc::clone(&self.mail)));
        }
    }
}

// ---- between the two sides ----

/// What has come for an answer and was not taken yet.
#[derive(Debug, Default)]
struct Mailbox(Mutex<Mail>);

#[derive(Debug, Default)]
struct Mail {
    items: VecDeque<Result<Event>>,
    ended: bool,
    waker: Option<Waker>,
}

impl Mailbox {
    fn poll(&self, waker: &Waker) -> Poll<Option<Result<Event>>> {
        let mut mail = lock(&self.0);
        match mail.items.pop_front() {
            Some(item) => Poll::Ready(Some(item)),
            None if mail.ended => Poll::Ready(None),
            None => {
                mail.waker = Some(waker.clone());
                Poll::Pending
            }
        }
    }

    fn put(&self, item: Result<Event>) {
        let mut mail = lock(&self.0);
        if mail.ended {
            return;
        }
        mail.ended = match &item {
            Ok(event) => event.finish.is_some(),
            Err(_) => true,
        };
        mail.items.push_back(item);
        let waker = mail.waker.take();
        drop(mail); // a waker may do anything
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

#[derive(Debug)]
enum Order {
    Submit(Submission, Arc<Mailbox>),
    Cancel(Arc<Mailbox>),
}

/// What the thread is to do.
#[derive(Debug, Default)]
struct Orders {
    state: Mutex<OrdersState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct OrdersState {
    waiting: Vec<Order>,
    stopped: bool,
}

impl Orders {
    /// Whether there is a thread to follow it.
    fn give(&self, order: Order) -> bool {
        let mut state = lock(&self.state);
        if !state.stopped {
            state.waiting.push(order);
            self.changed.notify_one();
        }
        !state.stopped
    }

    /// What was ordered; waits for something if the queue is idle. None: stop.
    fn take(&self, idle: bool) -> Option<Vec<Order>> {
        let mut state = lock(&self.state);
        while idle && state.waiting.is_empty() && !state.stopped {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        (!state.stopped).then(|| std::mem::take(&mut state.waiting))
    }
}

// ---- the thread ----

struct Worker {
    queue: Queue<'static>,
    orders: Arc<Orders>,
    running: HashMap<RequestId, Arc<Mailbox>>,
}

impl Worker {
    fn work(mut self) {
        while let Some(orders) = self.orders.take(self.running.is_empty()) {
            for order in orders {
                self.follow(order);
            }
            self.deliver(); // a cancelled request has an event too, and no step begins before it
            match self.queue.step() {
                Ok(()) | Err(Error::Deadline(_) | Error::Cancelled(_)) => self.deliver(),
                Err(why) => self.fail(&why),
            }
        }
    }

    fn follow(&mut self, order: Order) {
        match order {
            Order::Submit(submission, mail) => match self.queue.submit(&submission) {
                Ok(request) => drop(self.running.insert(request, mail)),
                Err(why) => mail.put(Err(why)),
            },
            Order::Cancel(mail) => {
                let found = self.running.iter().find(|(_, other)| Arc::ptr_eq(other, &mail));
                if let Some((&request, _)) = found {
                    self.cancel(request);
                }
            }
        }
    }

    /// Its last event goes to nobody.
    fn cancel(&mut self, request: RequestId) {
        self.running.remove(&request);
        // One that has ended has an event to take, which says so.
        drop(self.queue.cancel(request));
    }

    fn deliver(&mut self) {
        loop {
            match self.queue.next_event() {
                Ok(Some(event)) => self.pass_on(event),
                Ok(None) => break,
                Err(why) => return self.fail(&why),
            }
        }
    }

    fn pass_on(&mut self, event: Event) {
        let ended = event.finish.is_some();
        let request = event.request;
        if let Some(mail) = self.running.get(&request) {
            mail.put(Ok(event));
        }
        if ended {
            self.running.remove(&request);
        }
    }

    /// End all requests with this, as the next step would only fail again.
    fn fail(&mut self, why: &Error) {
        for (request, mail) in std::mem::take(&mut self.running) {
            mail.put(Err(why.clone()));
            drop(self.queue.cancel(request));
        }
        while let Ok(Some(_)) = self.queue.next_event() {}
    }
}

fn stopped() -> Result<Event> {
    Err(Error::State("the queue was dropped before the answer had ended".into()))
}

/// Answers that nobody will go on with, because the thread ends.
impl Drop for Worker {
    fn drop(&mut self) {
        let mut state = lock(&self.orders.state);
        state.stopped = true;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        for mail in self.running.values() {
            mail.put(stopped());
        }
        for order in waiting {
            if let Order::Submit(_, mail) = order {
                mail.put(stopped());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn mail_wakes_who_waits_and_ends_once() {
        let (mail, count) = (Mailbox::default(), Arc::<Count>::default());
        let waker = Waker::from(Arc::clone(&count));
        let woken = || count.0.load(Ordering::Relaxed);
        assert!(mail.poll(&waker).is_pending());
        mail.put(Err(Error::Full("first".into())));
        mail.put(Err(Error::Full("second".into())));
        assert_eq!(woken(), 1);
        assert_eq!(mail.poll(&waker), Poll::Ready(Some(Err(Error::Full("first".into())))));
        assert_eq!(mail.poll(&waker), Poll::Ready(None));
    }

    #[test]
    fn mail_crosses_threads() {
        let (mail, orders) = (Arc::<Mailbox>::default(), Orders::default());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for order in orders.take(true).unwrap() {
                    let Order::Cancel(mail) = order else { panic!("{order:?}") };
                    mail.put(Err(Error::Cancelled(String::new())));
                }
            });
            orders.give(Order::Cancel(Arc::clone(&mail)));
        });
        assert!(lock(&mail.0).ended);
        lock(&orders.state).stopped = true;
        assert!(orders.take(true).is_none());
    }
}
