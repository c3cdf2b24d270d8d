//! What a program lends: log, threads, memory, bytes.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use common::{answer, model, options, prompt, tiny};
use loam::{Bytes, Error, Level, Model, Source};

fn greedy(model: &Model) -> Vec<loam::Token> {
    answer(&mut model.sequence().unwrap(), &prompt(model), 16)
}

#[test]
fn the_log_is_told_and_may_panic() {
    let lines = Arc::new(Mutex::new(vec![]));
    let log = {
        let lines = lines.clone();
        move |level, line: &str| lines.lock().unwrap().push((level, line.to_owned()))
    };
    options().log(log).load(tiny()).unwrap();
    let lines = lines.lock().unwrap();
    assert!(lines.iter().any(|(level, line)| *level == Level::Info && line.contains("tiny llama")));

    let model = options().log(|_, line| panic!("{line}")).load(tiny()).unwrap();
    assert_eq!(greedy(&model), greedy(&common::model()));
    let failure = model.sequence().unwrap().prefill(&[-1]).unwrap_err();
    assert!(!failure.sentence().contains("panicked"), "of an earlier call: {failure}");
}

/// The tiny model with a chat template that tells the year, in the place of its own.
fn with_the_year() -> Vec<u8> {
    let mut bytes = std::fs::read(tiny()).unwrap();
    let template = model().info().chat_template.clone().unwrap();
    let at = bytes.windows(template.len()).position(|part| part == template.as_bytes()).unwrap();
    let year = format!("{:1$}", "{{ strftime_now('%Y') }}", template.len());
    bytes[at..at + year.len()].copy_from_slice(year.as_bytes());
    bytes
}

#[test]
fn the_clock_is_the_programs_or_else_the_systems() {
    let year = |options: loam::Builder| {
        let model = options.load_source(Bytes(with_the_year())).unwrap();
        model.chat_render("{}").unwrap().trim().parse::<i32>().unwrap()
    };
    assert_eq!(year(options().clock(|| 1_000_000_000)), 2001);
    let now = year(options());
    assert!(now > 2025);
    assert!((now..now + 2).contains(&year(options().clock(|| panic!("late")))));
}

#[test]
fn threads_of_the_program_give_the_same_bits() {
    let ran = Arc::new(AtomicUsize::new(0));
    let hooked = {
        let ran = ran.clone();
        options().threads(4).parallel(move |n, task| {
            ran.fetch_add(1, Ordering::Relaxed);
            std::thread::scope(|scope| {
                for i in 0..n {
                    scope.spawn(move || task(i));
                }
            });
        })
    };
    let wanted = greedy(&model());
    assert_eq!(greedy(&hooked.load(tiny()).unwrap()), wanted);
    assert!(ran.load(Ordering::Relaxed) > 0);
    let lazy = options().threads(4).parallel(|_, _| panic!("no"));
    assert_eq!(greedy(&lazy.load(tiny()).unwrap()), wanted);
}

/// Memory of the system, counted, until there is no more.
struct Counted {
    live: Arc<AtomicUsize>,
    most: usize,
}

// SAFETY: it is the system's allocator.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if self.live.fetch_add(layout.size(), Ordering::Relaxed) + layout.size() > self.most {
            self.live.fetch_sub(layout.size(), Ordering::Relaxed);
            return std::ptr::null_mut();
        }
        // SAFETY: as the caller says.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        self.live.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller says.
        unsafe { System.dealloc(old, layout) }
    }
}

#[test]
fn memory_is_the_programs_and_all_of_it_comes_back() {
    let live = Arc::new(AtomicUsize::new(0));
    let counted = |most| options().allocator(Counted { live: live.clone(), most });
    let model = counted(usize::MAX).load(tiny()).unwrap();
    let taken = live.load(Ordering::Relaxed);
    assert!(taken > 100_000);
    assert_eq!(greedy(&model), greedy(&common::model()));
    assert_eq!(live.load(Ordering::Relaxed), taken, "nothing is allocated after loading");
    drop(model);
    assert_eq!(live.load(Ordering::Relaxed), 0);
    for most in [0, 1000, taken / 2, taken - 1] {
        assert!(matches!(counted(most).load(tiny()), Err(Error::NoMemory(_))), "{most}");
        assert_eq!(live.load(Ordering::Relaxed), 0);
    }
    drop(counted(usize::MAX).plan(tiny()).unwrap());
    assert_eq!(live.load(Ordering::Relaxed), 0);
}

#[test]
fn a_model_is_read_from_whatever_has_its_bytes() {
    let wanted = greedy(&model());
    let bytes = std::fs::read(tiny()).unwrap();
    let sources: [Arc<dyn Source>; 4] = [
        Arc::new(File::open(tiny()).unwrap()),
        Arc::new(Mutex::new(io::BufReader::new(File::open(tiny()).unwrap()))),
        Arc::new(Mutex::new(io::Cursor::new(bytes.clone()))),
        Arc::new(Bytes(bytes)),
    ];
    for source in sources {
        assert_eq!(greedy(&options().load_sources(vec![source]).unwrap()), wanted);
    }
    assert!(matches!(options().load_sources(vec![]), Err(Error::Argument(_))));
}

/// A reader whose line is cut in the middle, or that panics there.
struct Cut {
    inside: File,
    how: fn() -> io::Result<usize>,
}

impl Read for Cut {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.inside.stream_position()? > 10_000 {
            return (self.how)();
        }
        self.inside.read(buffer)
    }
}

impl Seek for Cut {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inside.seek(to)
    }
}

#[test]
fn a_source_that_fails_or_panics_is_an_error_with_its_words() {
    let fails: fn() -> io::Result<usize> = || Err(io::Error::other("the line is cut"));
    for (how, words) in [(fails, "the line is cut"), (|| panic!("at noon"), "panicked: at noon")] {
        let inside = File::open(tiny()).unwrap();
        let failure = options().load_source(Mutex::new(Cut { inside, how })).unwrap_err();
        assert!(matches!(failure, Error::Io(_)), "{failure:?}");
        assert!(failure.sentence().contains(words), "{failure}");
        let failure = io::Error::from(failure);
        assert_eq!(failure.kind(), io::ErrorKind::Other);
    }
}
