//! Run open-weight language models from GGUF files inside your program: the safe way to the C library
//! [loam](loam_sys).
//!
//! ```
//! # let path = std::env::var("LOAM_TEST_DATA")? + "/tiny-llama.gguf";
//! use loam::{Control, Model, Tokenize};
//!
//! let model = Model::load(&path)?;
//! let mut sequence = model.sequence()?;
//! sequence.prefill(&model.tokenize("Once upon", Tokenize::SPECIAL)?)?;
//! for piece in sequence.generate(64).text(Control::Skip) {
//!     print!("{}", piece?);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! - [`Model`] is loaded by [`Model::load`], or with options by [`Model::builder`]; [`Builder::plan`]
//!   says beforehand what that takes.
//! - [`Sequence`] is one conversation. [`Queue`] answers many requests together; with the feature
//!   `stream`, `stream::StreamQueue` gives each answer as a `futures_core::Stream`.
//! - [`Reader`] takes the text of an answer apart into content, reasoning and tool calls.
//! - Every failure is an [`Error`], by kind and with a sentence that says what to do.
//!
//! # Lifetimes
//! A sequence, a queue and a stream of text borrow their model by default. So the compiler sees to it
//! that the model outlives them, it costs nothing, and dropping the model frees its memory there and
//! then. Where a borrow is in the way, as in a thread or a task that must be `'static`, they are
//! opened on an `Arc<Model>` instead, which they keep: see [`ModelRef`].
//!
//! # Threads
//! As the C library has it: everything may be used from any thread, and calls on one model run one
//! after another. For work side by side, load the model several times (with
//! [`Weights::Map`] the weights are there once), or batch: [`Model::decode`], [`Queue`].
//!
//! # Callbacks
//! Hooks and [`Source`]s are called by the C library, within calls of this crate, on whichever thread
//! that is. A panic in one never passes through C: it counts as a failure of the callback. If the call
//! fails for it, its error has the text of the panic, else the call goes on as each hook's page says.
//! A callback that uses the model it is called by waits for ever.
//!
//! # The library
//! `loam-sys` finds it through pkg-config; with the feature `vendored` it is built from the repository
//! that the crate lies in (that takes `cmake`, PCRE2 and `utf8proc`).

/// A struct of the C API: the given members, and zero, which is the default, in all others.
macro_rules! stamped {
    ($name:ident { $($member:ident: $value:expr),* $(,)? }) => {{
        const SIZE: usize = std::mem::size_of::<loam_sys::$name>();
        #[allow(clippy::cast_possible_truncation, clippy::needless_update)]
        loam_sys::$name { struct_size: SIZE as u32, $($member: $value,)* ..Default::default() }
    }};
}

/// A struct with members of one of the C API's, by the same names, and how it is made of that.
macro_rules! mirrored {
    ($(#[$doc:meta])* $name:ident of $raw:ident { $($(#[$field:meta])* $member:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq)]
        #[non_exhaustive]
        pub struct $name {
            $($(#[$field])* pub $member: $type,)*
        }

        impl From<loam_sys::$raw> for $name {
            fn from(raw: loam_sys::$raw) -> Self {
                Self { $($member: raw.$member,)* }
            }
        }
    };
}

mod builder;
mod error;
mod handle;
mod hooks;
mod model;
mod plan;
mod queue;
mod reader;
mod sequence;
mod source;
#[cfg(feature = "stream")]
pub mod stream;
mod text;

pub use builder::{Builder, Device, KvType, Weights};
pub use error::{Error, Result};
pub use hooks::Level;
pub use model::{
    render_template, Canceller, Control, Info, Model, ModelRef, ProfilePart, Tokenize, Usage,
};
pub use plan::{ChangeKind, Plan, PlanArea, PlanBound, PlanChange, PlanDevice, PlanTotals};
pub use queue::{Event, Events, Finish, Queue, QueueOptions, QueueStats, RequestId, Submission};
pub use reader::{Part, Reader};
pub use sequence::{Sampling, Sequence, Tokens};
pub use source::{Bytes, Source};
pub use text::{Text, TextStream};

/// A token's number in the vocabulary, from 0.
pub type Token = i32;

/// The version of the C library at run time, `"MAJOR.MINOR.PATCH"`.
#[must_use]
pub fn version() -> &'static str {
    // SAFETY: a string that lives as long as the library.
    unsafe { std::ffi::CStr::from_ptr(loam_sys::loam_version()) }.to_str().unwrap_or_default()
}
