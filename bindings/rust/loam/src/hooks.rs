//! What the program lends to the library, and the C functions through which the library calls it. No
//! panic passes through them: each counts as a failure of what was called, and is in the sentence if
//! the call of the library then fails.

use std::alloc::{GlobalAlloc, Layout};
use std::any::Any;
use std::ffi::{c_char, c_void, CStr};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;
use std::{fmt, io, slice};

use loam_sys as sys;

use crate::source::Source;

/// How much a line of the log matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Level {
    /// Something failed.
    Error,
    /// Something is not as it should be.
    Warn,
    /// What is worth knowing.
    Info,
    /// What helps to find faults.
    Debug,
}

pub(crate) type Log = dyn Fn(Level, &str) + Send + Sync;
pub(crate) type Clock = dyn Fn() -> i64 + Send + Sync;
pub(crate) type Parallel = dyn Fn(u32, &(dyn Fn(u32) + Sync)) + Send + Sync;
pub(crate) type Memory = dyn GlobalAlloc + Send + Sync;

/// The hooks of one or several models; those that are not set are the library's own.
#[derive(Clone, Default)]
pub(crate) struct Hooks {
    pub(crate) log: Option<Arc<Log>>,
    pub(crate) clock: Option<Arc<Clock>>,
    pub(crate) parallel: Option<Arc<Parallel>>,
    pub(crate) memory: Option<Arc<Memory>>,
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks")
            .field("log", &self.log.is_some())
            .field("clock", &self.clock.is_some())
            .field("parallel", &self.parallel.is_some())
            .field("memory", &self.memory.is_some())
            .finish()
    }
}

/// Why the last callback failed.
#[derive(Debug, Default)]
pub(crate) struct Failure(Mutex<Option<String>>);

impl Failure {
    fn set(&self, why: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
    }

    pub(crate) fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// What the callback gives; nothing if it panics.
    fn catch<T>(&self, what: &str, call: impl FnOnce() -> T) -> Option<T> {
        let caught = catch_unwind(AssertUnwindSafe(call));
        caught.map_err(|why| self.set(format!("{what} panicked: {}", text_of(why)))).ok()
    }
}

/// The text of a panic, if it has one.
fn text_of(why: Box<dyn Any + Send>) -> String {
    let why = match why.downcast::<String>() {
        Ok(text) => return *text,
        Err(why) => why,
    };
    match why.downcast::<&str>() {
        Ok(text) => text.to_string(),
        Err(other) => {
            // It may panic again when it is dropped, and what that gives is not dropped.
            let dropped = catch_unwind(AssertUnwindSafe(|| drop(other)));
            dropped.unwrap_or_else(std::mem::forget);
            "no text".to_owned()
        }
    }
}

/// A source, and the place for its failures.
struct Part {
    source: Arc<dyn Source>,
    failure: Arc<Failure>,
}

/// All that a handle calls. The library has pointers to it, so it stays where it is.
pub(crate) struct Callbacks {
    hooks: Hooks,
    parts: Vec<Part>,
    pub(crate) failure: Arc<Failure>,
}

impl Callbacks {
    pub(crate) fn new(hooks: Hooks, sources: Vec<Arc<dyn Source>>) -> Arc<Self> {
        let failure = Arc::<Failure>::default();
        let part = |source| Part { source, failure: failure.clone() };
        Arc::new(Self { hooks, parts: sources.into_iter().map(part).collect(), failure })
    }

    /// The hooks for C. They must not be called after the last `Arc` is gone.
    pub(crate) fn hooks(self: &Arc<Self>) -> sys::loam_hooks {
        let ctx = Arc::as_ptr(self).cast_mut().cast::<c_void>();
        stamped!(loam_hooks {
            alloc: self.hooks.memory.is_some().then_some(resize),
            alloc_ctx: ctx,
            log: self.hooks.log.is_some().then_some(log),
            log_ctx: ctx,
            parallel: self.hooks.parallel.is_some().then_some(parallel),
            parallel_ctx: ctx,
            clock: self.hooks.clock.is_some().then_some(clock),
            clock_ctx: ctx,
        })
    }

    /// The sources for C, of which the same is true.
    pub(crate) fn sources(self: &Arc<Self>) -> io::Result<Vec<sys::loam_source>> {
        let source_of = |part: &Part| {
            if let Some(bytes) = part.source.bytes() {
                let (data, size_bytes) = (bytes.as_ptr().cast(), bytes.len() as u64);
                return Ok(stamped!(loam_source { size_bytes: size_bytes, data: data }));
            }
            Ok(stamped!(loam_source {
                size_bytes: part.source.size()?,
                ctx: NonNull::from(part).as_ptr().cast(),
                read: Some(read),
            }))
        };
        self.parts.iter().map(source_of).collect()
    }
}

impl fmt::Debug for Callbacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callbacks").field("hooks", &self.hooks).finish_non_exhaustive()
    }
}

unsafe extern "C" fn log(ctx: *mut c_void, level: i32, text: *const c_char) {
    // SAFETY: ctx is of Callbacks::hooks(), and text ends in NUL.
    let (callbacks, text) = unsafe { (&*ctx.cast::<Callbacks>(), CStr::from_ptr(text)) };
    let level = match u32::try_from(level) {
        Ok(sys::LOAM_LOG_ERROR) => Level::Error,
        Ok(sys::LOAM_LOG_WARN) => Level::Warn,
        Ok(sys::LOAM_LOG_INFO) => Level::Info,
        _ => Level::Debug,
    };
    if let Some(hook) = &callbacks.hooks.log {
        callbacks.failure.catch("the log hook", || hook(level, &text.to_string_lossy()));
    }
}

unsafe extern "C" fn clock(ctx: *mut c_void) -> i64 {
    // SAFETY: ctx is of Callbacks::hooks().
    let callbacks = unsafe { &*ctx.cast::<Callbacks>() };
    let hook = callbacks.hooks.clock.as_ref();
    let now = hook.and_then(|hook| callbacks.failure.catch("the clock", || hook()));
    now.unwrap_or_else(|| {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}

/// What a task of the library works on, which any thread may do.
struct Work(*mut c_void);

// SAFETY: the library gives tasks that run on any thread.
unsafe impl Sync for Work {}

impl Work {
    /// A call, because closures that name a member take that alone, which is not `Sync`.
    fn argument(&self) -> *mut c_void {
        self.0
    }
}

/// Each task runs once, whatever the hook does: those that it leaves out, because it panics or
/// otherwise, run here. None runs on when it returns, as what it was lent may not outlive it.
unsafe extern "C" fn parallel(ctx: *mut c_void, task: sys::loam_task, arg: *mut c_void, n: u32) {
    // SAFETY: ctx is of Callbacks::hooks().
    let callbacks = unsafe { &*ctx.cast::<Callbacks>() };
    let (Some(task), Some(hook)) = (task, &callbacks.hooks.parallel) else { return };
    let work = Work(arg);
    let begun: Vec<AtomicBool> = (0..n).map(|_| AtomicBool::new(false)).collect();
    let run = |index: u32| {
        let begun = begun.get(index as usize);
        if begun.is_some_and(|begun| !begun.swap(true, Ordering::Relaxed)) {
            // SAFETY: the library's own task, with an index below n, for the first time.
            unsafe { task(work.argument(), index) };
        }
    };
    callbacks.failure.catch("the parallel hook", || hook(n, &run));
    (0..n).for_each(run);
}

unsafe extern "C" fn resize(
    ctx: *mut c_void,
    old: *mut c_void,
    old_bytes: usize,
    new_bytes: usize,
    align: usize,
) -> *mut c_void {
    // SAFETY: ctx is of Callbacks::hooks().
    let callbacks = unsafe { &*ctx.cast::<Callbacks>() };
    let Some(memory) = &callbacks.hooks.memory else { return ptr::null_mut() };
    let layout = |bytes| Layout::from_size_align(bytes, align).ok();
    // SAFETY: sizes are not 0, and old came from here with old_bytes and the same align.
    let call = || unsafe {
        match (old.is_null(), new_bytes) {
            (true, 0) => None,
            (true, _) => Some(memory.alloc(layout(new_bytes)?)),
            (false, 0) => {
                memory.dealloc(old.cast(), layout(old_bytes)?);
                None
            }
            (false, _) => {
                layout(new_bytes)?; // a size that rounds up to one that is too large
                Some(memory.realloc(old.cast(), layout(old_bytes)?, new_bytes))
            }
        }
    };
    let new = callbacks.failure.catch("the allocator", call).flatten();
    new.map_or(ptr::null_mut(), <*mut u8>::cast)
}

unsafe extern "C" fn read(ctx: *mut c_void, offset: u64, buffer: *mut c_void, n: usize) -> i32 {
    if n == 0 {
        return 0;
    }
    // SAFETY: ctx is of Callbacks::sources(), and buffer has n bytes, which are not set yet.
    let (part, buffer) = unsafe {
        buffer.cast::<u8>().write_bytes(0, n);
        (&*ctx.cast::<Part>(), slice::from_raw_parts_mut(buffer.cast::<u8>(), n))
    };
    match part.failure.catch("the source", || part.source.read_at(offset, buffer)) {
        Some(Ok(())) => 0,
        Some(Err(why)) => {
            part.failure.set(why.to_string());
            1
        }
        None => 1,
    }
}

/// The C functions, called as the library does.
#[cfg(test)]
mod tests {
    use super::*;
    use std::alloc::System;
    use std::sync::atomic::AtomicU32;

    fn callbacks(hooks: Hooks) -> (Arc<Callbacks>, sys::loam_hooks) {
        let callbacks = Callbacks::new(hooks, vec![]);
        let raw = callbacks.hooks();
        (callbacks, raw)
    }

    #[test]
    fn a_panic_in_the_log_ends_there() {
        let log = |level, text: &str| {
            assert_ne!(level, Level::Error, "not {text}");
        };
        let (callbacks, raw) = callbacks(Hooks { log: Some(Arc::new(log)), ..Hooks::default() });
        for (level, why) in [(2, None), (1, Some("not lost")), (99, None)] {
            // SAFETY: as the library calls it.
            unsafe { raw.log.unwrap()(raw.log_ctx, level, b"lost\0".as_ptr().cast()) };
            let failure = callbacks.failure.take();
            assert_eq!(failure.is_some(), why.is_some());
            assert!(failure.unwrap_or_default().contains(why.unwrap_or_default()));
        }
    }

    #[test]
    fn a_clock_that_panics_is_the_systems() {
        let (callbacks, raw) =
            callbacks(Hooks { clock: Some(Arc::new(|| 86_400)), ..Hooks::default() });
        // SAFETY: as the library calls it.
        assert_eq!(unsafe { raw.clock.unwrap()(raw.clock_ctx) }, 86_400);
        drop(callbacks);
        let (callbacks, raw) =
            self::callbacks(Hooks { clock: Some(Arc::new(|| panic!("late"))), ..Hooks::default() });
        // SAFETY: as the library calls it.
        assert!(unsafe { raw.clock.unwrap()(raw.clock_ctx) } > 86_400);
        assert_eq!(callbacks.failure.take().unwrap(), "the clock panicked: late");
    }

    unsafe extern "C" fn count(arg: *mut c_void, index: u32) {
        // SAFETY: an array of counters, one for each task.
        unsafe { &*arg.cast::<AtomicU32>().add(index as usize) }.fetch_add(1, Ordering::Relaxed);
    }

    #[test]
    fn each_task_runs_once_whatever_the_hook_does() {
        let hooks: [Arc<Parallel>; 5] = [
            Arc::new(|n, task| (0..n).for_each(task)),
            Arc::new(|_, _| ()),
            Arc::new(|n, task| (0..2 * n).chain(0..n).for_each(task)),
            Arc::new(|_, task| {
                task(1);
                panic!("in the middle")
            }),
            Arc::new(|n, task| {
                std::thread::scope(|s| {
                    for i in 0..n {
                        s.spawn(move || task(i));
                    }
                });
            }),
        ];
        for hook in hooks {
            let ran: [AtomicU32; 4] = Default::default();
            let (_callbacks, raw) = callbacks(Hooks { parallel: Some(hook), ..Hooks::default() });
            let arg = ran.as_ptr().cast_mut().cast();
            // SAFETY: as the library calls it.
            unsafe { raw.parallel.unwrap()(raw.parallel_ctx, Some(count), arg, 4) };
            assert!(ran.iter().all(|times| times.load(Ordering::Relaxed) == 1));
        }
    }

    #[test]
    fn memory_is_the_allocators() {
        let (_callbacks, raw) =
            callbacks(Hooks { memory: Some(Arc::new(System)), ..Hooks::default() });
        // SAFETY: as the library calls it.
        unsafe {
            let resize = |p, old, new| raw.alloc.unwrap()(raw.alloc_ctx, p, old, new, 64);
            let p = resize(ptr::null_mut(), 0, 100);
            assert_eq!(p.align_offset(64), 0);
            p.cast::<u8>().write_bytes(7, 100);
            let p = resize(p, 100, 10_000);
            assert_eq!(p.cast::<u8>().add(99).read(), 7);
            assert!(resize(p, 10_000, usize::MAX).is_null());
            assert!(resize(p, 10_000, 0).is_null());
            assert!(resize(ptr::null_mut(), 0, 0).is_null());
        }
    }

    struct Odd;

    impl Source for Odd {
        fn size(&self) -> io::Result<u64> {
            Ok(3)
        }

        fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
            match offset {
                0 => buffer.fill(5),
                1 => return Err(io::Error::other("the line is cut")),
                2 => panic!("at {offset}"),
                _ => std::panic::panic_any(offset),
            }
            Ok(())
        }
    }

    #[test]
    fn a_source_that_fails_or_panics_says_why() {
        let callbacks = Callbacks::new(Hooks::default(), vec![Arc::new(Odd)]);
        let raw = callbacks.sources().unwrap()[0];
        let mut buffer = [0u8; 3];
        let mut read = |offset| {
            // SAFETY: as the library calls it.
            let failed =
                unsafe { raw.read.unwrap()(raw.ctx, offset, buffer.as_mut_ptr().cast(), 3) };
            assert_eq!(failed != 0, offset != 0);
            callbacks.failure.take()
        };
        assert_eq!(read(0), None);
        assert_eq!(read(1).unwrap(), "the line is cut");
        assert_eq!(read(2).unwrap(), "the source panicked: at 2");
        assert_eq!(read(3).unwrap(), "the source panicked: no text");
        assert_eq!(buffer, [0; 3]);
    }
}
