//! The C handle: one call at a time, each with its failure.

use std::ffi::{c_char, CStr};
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use loam_sys as sys;

use crate::error::{Error, Result};
use crate::hooks::Callbacks;

#[derive(Debug)]
pub(crate) struct Handle {
    raw: NonNull<sys::loam>,
    /// The handle serialises its calls itself. This keeps a call together with what is read after it
    /// and valid until the next one: the sentence of its failure, an event's text.
    lock: Mutex<()>,
    callbacks: Arc<Callbacks>,
}

// SAFETY: a handle may be used from any thread, and so may its hooks and sources.
unsafe impl Send for Handle {}
// SAFETY: calls on a handle are serialised by the handle itself, and here by the lock.
unsafe impl Sync for Handle {}

impl Handle {
    /// What loading gave. The callbacks are those that it was given.
    pub(crate) fn new(
        raw: *mut sys::loam,
        status: sys::loam_status,
        callbacks: Arc<Callbacks>,
    ) -> Result<Self> {
        let Some(raw) = NonNull::new(raw) else {
            // SAFETY: NULL has a sentence too.
            let sentence = unsafe { owned_text(sys::loam_error(raw)) };
            let failure = callbacks.failure.take();
            return Err(failed(status, sentence, failure));
        };
        let handle = Self { raw, lock: Mutex::new(()), callbacks };
        handle.check(status)?;
        Ok(handle)
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check(&self, status: sys::loam_status) -> Result<()> {
        let failure = self.callbacks.failure.take();
        if status == sys::LOAM_OK {
            return Ok(());
        }
        // SAFETY: the sentence is valid until the next call, for which the lock makes others wait.
        let sentence = unsafe { owned_text(sys::loam_error(self.raw.as_ptr())) };
        Err(failed(status, sentence, failure))
    }

    /// A call that gives a status, and nobody else's call until its failure is known.
    pub(crate) fn call(&self, call: impl FnOnce(*mut sys::loam) -> sys::loam_status) -> Result<()> {
        let _lock = self.lock();
        self.check(call(self.raw.as_ptr()))
    }

    /// A call that cannot fail, or says so itself.
    pub(crate) fn look<T>(&self, call: impl FnOnce(*mut sys::loam) -> T) -> T {
        let _lock = self.lock();
        call(self.raw.as_ptr())
    }

    pub(crate) fn callbacks(&self) -> Arc<Callbacks> {
        self.callbacks.clone()
    }

    /// For the calls that may run beside all others.
    pub(crate) fn raw(&self) -> *mut sys::loam {
        self.raw.as_ptr()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: nobody else has the handle any more, and its callbacks are dropped after it.
        unsafe { sys::loam_free(self.raw.as_ptr()) };
    }
}

/// The error of a status: its sentence, and why a callback failed on the way.
pub(crate) fn failed(
    status: sys::loam_status,
    sentence: Option<String>,
    failure: Option<String>,
) -> Error {
    let mut sentence = sentence.unwrap_or_default();
    if let Some(why) = failure {
        sentence = format!("{sentence} ({why})");
    }
    Error::new(status, sentence)
}

/// A copy of a string of the library's; none of NULL.
///
/// # Safety
/// The text is NULL or ends in NUL, and is valid.
pub(crate) unsafe fn owned_text(text: *const c_char) -> Option<String> {
    // SAFETY: as above.
    let text = (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) });
    text.map(|text| text.to_string_lossy().into_owned())
}

/// A copy of a text with its length.
///
/// # Safety
/// It has that many bytes.
pub(crate) unsafe fn copied_text(text: *const c_char, n: usize) -> String {
    if n == 0 {
        return String::new();
    }
    // SAFETY: as above.
    let bytes = unsafe { std::slice::from_raw_parts(text.cast(), n) };
    String::from_utf8_lossy(bytes).into_owned()
}

/// Fill a vector by a call that takes a place, its capacity, and where to say how much there is; it
/// sets that many if they fit, and else fails with `Error::Buffer`.
pub(crate) fn fill<T>(
    guess: usize,
    mut call: impl FnMut(*mut T, usize, *mut usize) -> Result<()>,
) -> Result<Vec<T>> {
    let mut out = Vec::with_capacity(guess);
    loop {
        let mut n = 0;
        match call(out.as_mut_ptr(), out.capacity(), &mut n) {
            Ok(()) => {
                assert!(n <= out.capacity());
                // SAFETY: the call has set n of them.
                unsafe { out.set_len(n) };
                return Ok(out);
            }
            Err(Error::Buffer(_)) if n > out.capacity() => out.reserve_exact(n),
            Err(why) => return Err(why),
        }
    }
}

/// Text of a template, which may have cut a character of the request.
pub(crate) fn into_text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|why| String::from_utf8_lossy(why.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fill_asks_again_with_what_is_needed() {
        let text = b"seven b";
        let mut calls = 0;
        let filled = fill(3, |out: *mut u8, capacity, n| {
            calls += 1;
            // SAFETY: n is a place, and out has that capacity.
            unsafe {
                *n = text.len();
                if capacity < text.len() {
                    return Err(Error::Buffer(String::new()));
                }
                out.copy_from_nonoverlapping(text.as_ptr(), text.len());
            }
            Ok(())
        });
        assert_eq!((filled.unwrap().as_slice(), calls), (&text[..], 2));
    }

    #[test]
    fn fill_gives_other_failures_at_once() {
        let never = fill(0, |_: *mut u8, _, _| Err(Error::Buffer("for ever".into())));
        assert_eq!(never, Err(Error::Buffer("for ever".into())));
    }
}
