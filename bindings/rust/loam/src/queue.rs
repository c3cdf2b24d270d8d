//! Continuous batching: many requests share one model.

use std::ptr::{self, NonNull};

use loam_sys as sys;

use crate::error::{Error, Result};
use crate::handle::{copied_text, Handle};
use crate::model::{Control, Model, ModelRef};
use crate::sequence::Sampling;
use crate::Token;

/// How large a queue is. Zero is the default of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueOptions {
    /// Most that wait, run, or have events to take; 0: 256.
    pub requests: u32,
    /// Most tokens of one, prompt and answer; 0: a whole context.
    pub request_tokens: u32,
    /// Most tokens computed in a step, so how long one takes; 0: the model's. It is never less than
    /// one for each sequence.
    pub step_tokens: u32,
    /// Most bytes in all stop strings of one request; 0: 256.
    pub stop_bytes: u32,
}

/// A request: a prompt, and how it is to be answered.
///
/// ```
/// let submission = loam::Submission {
///     max_tokens: 64,
///     stops: vec!["\n\n".into()],
///     ..loam::Submission::new([1, 5, 6])
/// };
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Submission {
    /// The prompt, at least one token.
    pub tokens: Vec<Token>,
    /// Of the answer; 0: as many as [`QueueOptions::request_tokens`] leaves.
    pub max_tokens: u32,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// The first of these strings to be complete in the text ends the answer in front of it; at most
    /// 16.
    pub stops: Vec<String>,
    /// Larger ones go first.
    pub priority: i32,
    /// Tokens that end a generation do not end this one.
    pub ignore_end: bool,
    /// Whether the text shows control tokens.
    pub control: Control,
    /// The caller's own; it comes back in each event.
    pub tag: u64,
}

impl Submission {
    /// A prompt to be answered greedily.
    pub fn new(tokens: impl Into<Vec<Token>>) -> Self {
        Self { tokens: tokens.into(), ..Self::default() }
    }

    fn flags(&self) -> u32 {
        let end = if self.ignore_end { sys::LOAM_SUBMIT_IGNORE_END } else { 0 };
        let control = match self.control {
            Control::Show => 0,
            Control::Skip => sys::LOAM_SUBMIT_SKIP_CONTROL,
        };
        end | control
    }
}

/// The number of a request, never given twice by one queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(u64);

/// Why an answer has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finish {
    /// A token that ends a generation.
    End,
    /// A stop string was complete.
    Stop,
    /// [`Submission::max_tokens`], or no more room.
    Length,
    /// [`Queue::cancel`].
    Cancelled,
    /// This.
    Error(Error),
}

/// What has happened to a request: one more token, or its end.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// Whose it is.
    pub request: RequestId,
    /// [`Submission::tag`].
    pub tag: u64,
    /// The token; at the end the one that ended the answer, if one did.
    pub token: Option<Token>,
    /// What is new in the answer's text: whole characters, without what may still become a stop
    /// string. At the end what was held back.
    pub text: String,
    /// That the request has ended, and why: then this is its last event.
    pub finish: Option<Finish>,
    /// Tokens of the prompt.
    pub prompt_tokens: u32,
    /// Of these, found in the KV cache instead of being computed.
    pub shared_tokens: u32,
    /// Tokens that were chosen until now, without the one that ended the answer.
    pub answer_tokens: u32,
    /// How often its KV blocks were given up for others.
    pub suspensions: u32,
}

impl Event {
    /// A copy of an event, or nothing of one that is none.
    ///
    /// # Safety
    /// The text of the event is valid.
    unsafe fn from_raw(raw: &sys::loam_queue_event) -> Option<Self> {
        if u32::try_from(raw.kind) == Ok(sys::LOAM_EVENT_NONE) {
            return None;
        }
        // SAFETY: as above.
        let text = unsafe { copied_text(raw.text, raw.text_bytes) };
        Some(Self {
            request: RequestId(raw.request),
            tag: raw.tag,
            token: (raw.token >= 0).then_some(raw.token),
            text,
            finish: finish_of(raw),
            prompt_tokens: raw.prompt_tokens,
            shared_tokens: raw.shared_tokens,
            answer_tokens: raw.answer_tokens,
            suspensions: raw.suspensions,
        })
    }
}

fn finish_of(raw: &sys::loam_queue_event) -> Option<Finish> {
    Some(match u32::try_from(raw.finish) {
        Ok(sys::LOAM_FINISH_NONE) => return None,
        Ok(sys::LOAM_FINISH_END) => Finish::End,
        Ok(sys::LOAM_FINISH_STOP) => Finish::Stop,
        Ok(sys::LOAM_FINISH_LENGTH) => Finish::Length,
        Ok(sys::LOAM_FINISH_CANCELLED) => Finish::Cancelled,
        _ => Finish::Error(Error::new(raw.status, String::new())),
    })
}

mirrored! {
    /// What a queue does now and has done.
    QueueStats of loam_queue_stats {
        /// Requests that run.
        running: u32,
        /// Requests that wait.
        waiting: u32,
        /// Most that ran at once.
        most_running: u32,
        /// Positions, in KV blocks of the running ones, without a token now.
        unused_cells: u64,
        /// Steps until now.
        steps: u64,
        /// Tokens that went through the model.
        computed_tokens: u64,
        /// Tokens that were found in the KV cache instead.
        shared_tokens: u64,
        /// Tokens that were chosen.
        answer_tokens: u64,
        /// How often the KV blocks of a request were given up for others.
        suspensions: u64,
    }
}

/// Requests that are answered together. An answer is the one that the request gets alone, with the
/// same bits, whatever runs beside it.
///
/// It takes its sequences from those of [`Builder::sequences`](crate::Builder::sequences) that are
/// not open, and shares the KV cache with all others. Everything is allocated when it is opened. It
/// borrows its model, or shares it, as a [`Sequence`](crate::Sequence) does:
///
/// ```compile_fail,E0505
/// let model = loam::Model::load("model.gguf")?;
/// let queue = loam::Queue::open(&model, &loam::QueueOptions::default())?;
/// drop(model);
/// queue.step()?;
/// # Ok::<(), loam::Error>(())
/// ```
///
/// ```
/// # let path = std::env::var("LOAM_TEST_DATA")? + "/tiny-llama.gguf";
/// use loam::{Model, Queue, QueueOptions, Submission};
///
/// let model = Model::builder().sequences(4).load(&path)?;
/// let queue = Queue::open(&model, &QueueOptions::default())?;
/// for prompt in [[1, 5], [1, 6], [1, 7]] {
///     queue.submit(&Submission { max_tokens: 8, ..Submission::new(prompt) })?;
/// }
/// for event in queue.events() {
///     let event = event?;
///     println!("{:?}: {}", event.request, event.text);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Queue<'m> {
    raw: NonNull<sys::loam_queue>,
    model: ModelRef<'m>,
}

// SAFETY: calls on a queue may come from any thread, as its model's handle serialises them.
unsafe impl Send for Queue<'_> {}
// SAFETY: as above; what an event points to is copied before the next call.
unsafe impl Sync for Queue<'_> {}

impl<'m> Queue<'m> {
    /// Open a queue on a model. Several may be open on one; they compete for its sequences.
    ///
    /// # Errors
    /// [`Error::NoMemory`]; [`Error::State`] if only the vocabulary was loaded.
    pub fn open(model: impl Into<ModelRef<'m>>, options: &QueueOptions) -> Result<Self> {
        let model = model.into();
        let raw_options = stamped!(loam_queue_options {
            requests: options.requests,
            request_tokens: options.request_tokens,
            step_tokens: options.step_tokens,
            stop_bytes: options.stop_bytes,
        });
        let mut raw = ptr::null_mut();
        // SAFETY: options live until the call returns, and raw is a place for the queue.
        model.handle().call(|m| unsafe { sys::loam_queue_open(m, &raw_options, &mut raw) })?;
        let raw = NonNull::new(raw);
        let raw = raw.ok_or_else(|| Error::Internal("a queue that is NULL".into()))?;
        Ok(Self { raw, model })
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.model
    }

    fn handle(&self) -> &Handle {
        self.model.handle()
    }

    fn q(&self) -> *mut sys::loam_queue {
        self.raw.as_ptr()
    }

    /// Put a request in line.
    ///
    /// # Errors
    /// [`Error::Full`] if [`QueueOptions::requests`] are there already: submit again later;
    /// [`Error::Argument`] if it could never run; [`Error::Token`].
    pub fn submit(&self, submission: &Submission) -> Result<RequestId> {
        let sampling = submission.sampling.raw();
        let stops: Vec<_> = submission.stops.iter().map(|stop| stop.as_ptr().cast()).collect();
        let stop_bytes: Vec<_> = submission.stops.iter().map(String::len).collect();
        let raw = stamped!(loam_submission {
            flags: submission.flags(),
            tag: submission.tag,
            priority: submission.priority,
            max_tokens: submission.max_tokens,
            tokens: submission.tokens.as_ptr(),
            n_tokens: submission.tokens.len(),
            sampling: &sampling,
            stops: stops.as_ptr(),
            stop_bytes: stop_bytes.as_ptr(),
            n_stops: stops.len(),
        });
        let mut request = 0;
        // SAFETY: all that raw points to lives until the call returns.
        self.handle().call(|_| unsafe { sys::loam_queue_submit(self.q(), &raw, &mut request) })?;
        Ok(RequestId(request))
    }

    /// End a request that waits or runs, with an event of its own.
    ///
    /// # Errors
    /// [`Error::Argument`] if there is none, or it has ended.
    pub fn cancel(&self, request: RequestId) -> Result<()> {
        // SAFETY: the queue is open.
        self.handle().call(|_| unsafe { sys::loam_queue_cancel(self.q(), request.0) })
    }

    /// Compute one step of the model for as many requests as go into it, and choose a token for each
    /// that is due. Take all events after each step.
    ///
    /// # Errors
    /// [`Error::State`] if there are events to take; [`Error::Full`] if nothing can start, as other
    /// sequences hold all there is; [`Error::Deadline`] and [`Error::Cancelled`]: the next step goes
    /// on; [`Error::Device`]: all requests have ended.
    pub fn step(&self) -> Result<()> {
        // SAFETY: the queue is open.
        self.handle().call(|_| unsafe { sys::loam_queue_step(self.q()) })
    }

    /// Take the oldest event, if there is one.
    ///
    /// # Errors
    /// [`Error::Device`].
    pub fn next_event(&self) -> Result<Option<Event>> {
        let mut raw = stamped!(loam_queue_event {});
        let mut event = None;
        self.handle().call(|_| {
            // SAFETY: the text is valid until the next step, which waits for this call.
            unsafe {
                let status = sys::loam_queue_next(self.q(), &mut raw);
                if status == sys::LOAM_OK {
                    event = Event::from_raw(&raw);
                }
                status
            }
        })?;
        Ok(event)
    }

    /// Whether no request waits or runs and no event is left.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        // SAFETY: the queue is open.
        self.handle().look(|_| unsafe { sys::loam_queue_idle(self.q()) } != 0)
    }

    /// All events as they come, with a step whenever there is none, until the queue is idle. After a
    /// failure it may be asked again, and takes the step again.
    pub fn events(&self) -> Events<'_, 'm> {
        Events { queue: self }
    }

    /// What the queue does now and has done.
    ///
    /// # Errors
    /// [`Error::Device`].
    pub fn stats(&self) -> Result<QueueStats> {
        let mut raw = stamped!(loam_queue_stats {});
        // SAFETY: stats is a place of that size.
        self.handle().call(|_| unsafe { sys::loam_queue_get_stats(self.q(), &mut raw) })?;
        Ok(raw.into())
    }
}

impl Drop for Queue<'_> {
    fn drop(&mut self) {
        // SAFETY: nobody else has the queue, and its model is still there.
        self.handle().look(|_| unsafe { sys::loam_queue_close(self.q()) });
    }
}

/// The events of a queue; see [`Queue::events`].
#[derive(Debug)]
#[must_use = "nothing is computed until the events are asked for"]
pub struct Events<'q, 'm> {
    queue: &'q Queue<'m>,
}

impl Events<'_, '_> {
    fn event(&self) -> Result<Option<Event>> {
        loop {
            let event = self.queue.next_event()?;
            if event.is_some() || self.queue.is_idle() {
                return Ok(event);
            }
            self.queue.step()?;
        }
    }
}

impl Iterator for Events<'_, '_> {
    type Item = Result<Event>;

    fn next(&mut self) -> Option<Self::Item> {
        self.event().transpose()
    }
}
