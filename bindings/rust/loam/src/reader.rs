//! The way back: a model's text, taken apart into content, reasoning and tool calls.

use std::ptr::{self, NonNull};
use std::sync::Arc;

use loam_sys as sys;

use crate::error::{Error, Result};
use crate::handle::{copied_text, failed, fill, into_text, owned_text};
use crate::hooks::Callbacks;
use crate::model::Model;

/// A part of a message, as it streams.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// More of the content.
    Content(String),
    /// More of what the model thinks before it answers.
    Reasoning(String),
    /// A tool call begins.
    Call {
        /// Its number, from 0.
        call: u32,
        /// The model's, or one that was made.
        id: String,
        /// Of the function.
        name: String,
    },
    /// More of a call's arguments, which are a JSON object in the end.
    Arguments {
        /// The number of the call.
        call: u32,
        /// Of the JSON.
        text: String,
    },
}

/// Takes a model's text apart as it streams, in the way in which its chat template writes messages.
///
/// ```
/// # let path = std::env::var("LOAM_TEST_DATA")? + "/tiny-llama.gguf";
/// use loam::Part;
///
/// let model = loam::Model::load(&path)?;
/// let request = r#"{"messages": [{"role": "user", "content": "hi"}], "add_generation_prompt": true}"#;
/// let mut reader = model.reader(request)?; // text that generate() gives with Control::Show
/// assert_eq!(reader.push("Hello")?, [Part::Content("Hello".into())]);
/// reader.push("<|im_end|>")?;
/// reader.end()?;
/// assert_eq!(reader.message()?, r#"{"role": "assistant", "content": "Hello"}"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Reader {
    raw: NonNull<sys::loam_reader>,
    /// Memory of the reader is the hooks'.
    callbacks: Option<Arc<Callbacks>>,
}

// SAFETY: a reader may be used from any thread, by one at a time: its calls take `&mut self`.
unsafe impl Send for Reader {}
// SAFETY: as above; `&self` gives nothing.
unsafe impl Sync for Reader {}

impl Model {
    /// Open a reader for the answer to a request, that of [`chat_render`](Self::chat_render). It
    /// does not hold on to the model.
    ///
    /// # Errors
    /// As [`chat_render`](Self::chat_render), but a template that fails is read by its source.
    pub fn reader(&self, request: &str) -> Result<Reader> {
        let (text, n) = (request.as_ptr().cast(), request.len());
        let mut raw = ptr::null_mut();
        // SAFETY: the request has that length, and raw is a place for the reader.
        self.handle().call(|m| unsafe { sys::loam_reader_open(m, text, n, &mut raw) })?;
        Reader::new(raw, Some(self.handle().callbacks()))
    }
}

impl Reader {
    /// The same for any template text, without a model.
    ///
    /// # Errors
    /// As [`Model::reader`].
    pub fn of_template(source: &str, request: &str) -> Result<Self> {
        let mut raw = ptr::null_mut();
        let mut sentence = [0; 512];
        // SAFETY: source, request and sentence have these lengths; the sentence ends in NUL.
        let (status, sentence) = unsafe {
            let status = sys::loam_reader_open_source(
                source.as_ptr().cast(),
                source.len(),
                request.as_ptr().cast(),
                request.len(),
                ptr::null(),
                &mut raw,
                sentence.as_mut_ptr(),
                sentence.len(),
            );
            (status, owned_text(sentence.as_ptr()))
        };
        match status {
            sys::LOAM_OK => Self::new(raw, None),
            _ => Err(failed(status, sentence, None)),
        }
    }

    fn new(raw: *mut sys::loam_reader, callbacks: Option<Arc<Callbacks>>) -> Result<Self> {
        let raw = NonNull::new(raw);
        let raw = raw.ok_or_else(|| Error::Internal("a reader that is NULL".into()))?;
        Ok(Self { raw, callbacks })
    }

    /// Read more of the model's text, and take what has become clear. A mark that is cut is held
    /// back until then, and a call until it is whole.
    ///
    /// # Errors
    /// [`Error::NoMemory`]; [`Error::Limit`] if the message would be longer than 64 MiB;
    /// [`Error::State`] if it has ended.
    pub fn push(&mut self, text: &str) -> Result<Vec<Part>> {
        // SAFETY: text has that length.
        self.check(unsafe {
            sys::loam_reader_push(self.raw.as_ptr(), text.as_ptr().cast(), text.len())
        })?;
        self.parts()
    }

    /// The text has ended: take what was held back.
    ///
    /// # Errors
    /// [`Error::NoMemory`].
    pub fn end(&mut self) -> Result<Vec<Part>> {
        // SAFETY: the reader is open.
        self.check(unsafe { sys::loam_reader_end(self.raw.as_ptr()) })?;
        self.parts()
    }

    /// The message until now, whole after [`end`](Self::end), as JSON: a message of the shape that
    /// requests have, with `reasoning_content` and `tool_calls` where there are some.
    ///
    /// # Errors
    /// [`Error::NoMemory`], [`Error::Limit`].
    pub fn message(&mut self) -> Result<String> {
        let json = fill(256, |json: *mut u8, capacity, n| {
            // SAFETY: json has that capacity.
            self.check(unsafe {
                sys::loam_reader_message(self.raw.as_ptr(), json.cast(), capacity, n)
            })
        })?;
        Ok(into_text(json))
    }

    fn check(&self, status: sys::loam_status) -> Result<()> {
        if status == sys::LOAM_OK {
            return Ok(());
        }
        // SAFETY: the sentence is valid until the next call.
        let sentence = unsafe { owned_text(sys::loam_reader_error(self.raw.as_ptr())) };
        let failure = self.callbacks.as_ref().and_then(|callbacks| callbacks.failure.take());
        Err(failed(status, sentence, failure))
    }

    fn parts(&mut self) -> Result<Vec<Part>> {
        let mut parts = vec![];
        loop {
            let mut raw = stamped!(loam_read_event {});
            // SAFETY: event is a place of that size.
            self.check(unsafe { sys::loam_reader_next(self.raw.as_ptr(), &mut raw) })?;
            // SAFETY: texts are valid until the next push.
            let (text, id) = unsafe {
                (copied_text(raw.text, raw.text_bytes), copied_text(raw.id, raw.id_bytes))
            };
            let call = raw.call;
            parts.push(match u32::try_from(raw.kind) {
                Ok(sys::LOAM_READ_NONE) => return Ok(parts),
                Ok(sys::LOAM_READ_CONTENT) => Part::Content(text),
                Ok(sys::LOAM_READ_REASONING) => Part::Reasoning(text),
                Ok(sys::LOAM_READ_CALL) => Part::Call { call, id, name: text },
                Ok(sys::LOAM_READ_ARGUMENTS) => Part::Arguments { call, text },
                _ => continue, // of a newer library
            });
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // SAFETY: nobody else has the reader, and the callbacks are dropped after it.
        unsafe { sys::loam_reader_close(self.raw.as_ptr()) };
    }
}
