//! What can go wrong.

use std::ffi::CStr;
use std::{fmt, io};

use loam_sys as sys;

/// What a call of this crate gives.
pub type Result<T> = std::result::Result<T, Error>;

macro_rules! errors {
    ($($(#[$doc:meta])* $name:ident = $status:ident;)*) => {
        /// Why a call failed: by kind, each with a sentence that names the thing and the numbers and
        /// says what to do.
        ///
        /// ```
        /// match loam::Model::load("/nowhere.gguf") {
        ///     Err(loam::Error::NotFound(sentence)) => println!("{sentence}"),
        ///     other => panic!("{other:?}"),
        /// }
        /// ```
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Error {
            $($(#[$doc])* $name(String),)*
            /// A status that this crate does not know, of a newer library.
            Unknown(i32, String),
        }

        impl Error {
            pub(crate) fn new(status: sys::loam_status, sentence: String) -> Self {
                match status {
                    $(sys::$status => Self::$name(sentence),)*
                    _ => Self::Unknown(status, sentence),
                }
            }

            /// The status of the C API, a `LOAM_ERR_*`.
            #[must_use]
            pub fn status(&self) -> i32 {
                match self {
                    $(Self::$name(_) => sys::$status,)*
                    Self::Unknown(status, _) => *status,
                }
            }

            /// The sentence.
            #[must_use]
            pub fn sentence(&self) -> &str {
                match self {
                    $(Self::$name(sentence) => sentence,)*
                    Self::Unknown(_, sentence) => sentence,
                }
            }
        }
    };
}

errors! {
    /// An argument is out of its range or unknown.
    Argument = LOAM_ERR_ARG;
    /// An option is set that the library is too old to know.
    Newer = LOAM_ERR_NEWER;
    /// The allocator had no memory.
    NoMemory = LOAM_ERR_NOMEM;
    /// The system or a [`Source`](crate::Source) failed to read.
    Io = LOAM_ERR_IO;
    /// No such file.
    NotFound = LOAM_ERR_NOT_FOUND;
    /// The path names a directory.
    Directory = LOAM_ERR_DIRECTORY;
    /// The file has no bytes.
    Empty = LOAM_ERR_EMPTY;
    /// Not a GGUF file, or not a saved state.
    Magic = LOAM_ERR_MAGIC;
    /// A version of the format that is not read.
    Version = LOAM_ERR_VERSION;
    /// A big-endian GGUF file.
    Endian = LOAM_ERR_ENDIAN;
    /// The file ends before its header says: a partial download.
    Truncated = LOAM_ERR_TRUNCATED;
    /// The file contradicts itself.
    Corrupt = LOAM_ERR_CORRUPT;
    /// A stated limit of loam is exceeded.
    Limit = LOAM_ERR_LIMIT;
    /// An architecture that loam does not run.
    Architecture = LOAM_ERR_ARCH;
    /// A metadata key is missing or has a wrong type or value.
    Metadata = LOAM_ERR_METADATA;
    /// A tensor is missing.
    TensorMissing = LOAM_ERR_TENSOR_MISSING;
    /// A tensor has a wrong shape.
    TensorShape = LOAM_ERR_TENSOR_SHAPE;
    /// A number format that loam or the backend does not know.
    TensorType = LOAM_ERR_TENSOR_TYPE;
    /// No vocabulary, or a kind that is not supported.
    Tokenizer = LOAM_ERR_TOKENIZER;
    /// The chat template is missing, wrong, or raised an error.
    Template = LOAM_ERR_TEMPLATE;
    /// Text that should be JSON is not.
    Json = LOAM_ERR_JSON;
    /// The plan exceeds the memory limit.
    NoFit = LOAM_ERR_NOFIT;
    /// No room: no free sequence, or none in the context, the KV cache or the queue.
    Full = LOAM_ERR_FULL;
    /// A token outside the vocabulary.
    Token = LOAM_ERR_TOKEN;
    /// A sequence that is not open in this model.
    Sequence = LOAM_ERR_SEQ;
    /// A buffer is too small; this crate makes them large enough.
    Buffer = LOAM_ERR_BUFFER;
    /// The call came out of order, such as sampling before prefill.
    State = LOAM_ERR_STATE;
    /// [`Canceller::cancel`](crate::Canceller::cancel) was called.
    Cancelled = LOAM_ERR_CANCELLED;
    /// The time budget is used up; the same call again goes on.
    Deadline = LOAM_ERR_DEADLINE;
    /// The device is gone; the model can only be dropped.
    Device = LOAM_ERR_DEVICE;
    /// No backend of that name, or it lacks what is asked.
    Backend = LOAM_ERR_BACKEND;
    /// Valid, but not built into this version.
    Unsupported = LOAM_ERR_UNSUPPORTED;
    /// A broken invariant inside loam: please report it.
    Internal = LOAM_ERR_INTERNAL;
    /// A saved state of another model, or of other KV cell types.
    Foreign = LOAM_ERR_FOREIGN;
}

impl Error {
    /// The name of the status in the C API, such as `LOAM_ERR_FULL`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        // SAFETY: every number has a name, a string that lives as long as the library.
        let name = unsafe { CStr::from_ptr(sys::loam_status_name(self.status())) };
        name.to_str().unwrap_or_default()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.sentence() {
            "" => f.write_str(self.name()),
            sentence => f.write_str(sentence),
        }
    }
}

impl std::error::Error for Error {}

/// With the nearest kind of the system's own errors, and the error as what is inside.
///
/// ```
/// let error: std::io::Error = loam::Model::load("/nowhere.gguf").unwrap_err().into();
/// assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
/// ```
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        use io::ErrorKind as Kind;
        let kind = match &error {
            Error::Argument(_) | Error::Token(_) | Error::Sequence(_) => Kind::InvalidInput,
            Error::NoMemory(_) | Error::NoFit(_) => Kind::OutOfMemory,
            Error::NotFound(_) => Kind::NotFound,
            Error::Empty(_) | Error::Truncated(_) => Kind::UnexpectedEof,
            Error::Magic(_)
            | Error::Version(_)
            | Error::Endian(_)
            | Error::Corrupt(_)
            | Error::Metadata(_)
            | Error::TensorMissing(_)
            | Error::TensorShape(_)
            | Error::TensorType(_)
            | Error::Tokenizer(_)
            | Error::Template(_)
            | Error::Json(_)
            | Error::Foreign(_) => Kind::InvalidData,
            Error::Cancelled(_) => Kind::Interrupted,
            Error::Deadline(_) => Kind::TimedOut,
            Error::Architecture(_) | Error::Backend(_) | Error::Unsupported(_) => Kind::Unsupported,
            _ => Kind::Other,
        };
        io::Error::new(kind, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_keeps_its_number_and_sentence() {
        for status in -40..0 {
            let error = Error::new(status, "a sentence".into());
            assert_eq!(error.status(), status);
            assert_eq!(error.sentence(), "a sentence");
        }
        assert_eq!(Error::new(-23, String::new()), Error::Full(String::new()));
        assert_eq!(Error::new(-999, "?".into()), Error::Unknown(-999, "?".into()));
    }

    #[test]
    fn an_io_error_has_the_kind_and_the_error_inside() {
        let inside = Error::Deadline("the budget".into());
        let error = io::Error::from(inside.clone());
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(error.get_ref().unwrap().downcast_ref(), Some(&inside));
        assert_eq!(error.to_string(), "the budget");
    }
}
