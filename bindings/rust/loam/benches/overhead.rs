//! What a decoded token costs beyond the C calls behind it: the same greedy generation by this crate
//! and by the bare functions of the C API, turn by turn, on a model that takes next to no time.
//!
//! `LOAM_TEST_DATA=... cargo bench --bench overhead`, or another model as an argument.

use std::ffi::CString;
use std::ptr;
use std::time::{Duration, Instant};

use loam::{Control, Model, Token};
use loam_sys as sys;

/// Of the tiny model's vocabulary; its greedy answer is long.
const PROMPT: [Token; 2] = [1, 289];
const TOKENS: u16 = 200;
const ROUNDS: usize = 301;

/// What both sides do: sample, make text, decode.
fn safe(model: &Model) -> Duration {
    let mut sequence = model.sequence().unwrap();
    sequence.prefill(&PROMPT).unwrap();
    let begun = Instant::now();
    let mut bytes = 0;
    for piece in sequence.generate(usize::from(TOKENS)).text(Control::Show) {
        bytes += piece.unwrap().len();
    }
    let time = begun.elapsed();
    assert!(bytes > 0);
    assert_eq!(
        sequence.length().unwrap(),
        PROMPT.len() + usize::from(TOKENS) - 1,
        "it ended early"
    );
    time
}

struct Bare(*mut sys::loam);

impl Bare {
    fn load(path: &str) -> Self {
        let path = CString::new(path).unwrap();
        let mut options = sys::loam_options { threads: 1, ..Default::default() };
        options.struct_size = u32::try_from(std::mem::size_of_val(&options)).unwrap();
        let mut model = ptr::null_mut();
        // SAFETY: path and options live until the call returns.
        let status = unsafe { sys::loam_load(path.as_ptr(), &options, &mut model) };
        assert_eq!(status, sys::LOAM_OK);
        Self(model)
    }

    fn generate(&self) -> Duration {
        let m = self.0;
        let (seq, mut token, mut n, mut bytes) = (0, 0, 0, 0);
        let mut text = [0; 256];
        // SAFETY: the buffers have the lengths that are given.
        unsafe {
            let mut stream = sys::loam_stream::default();
            sys::loam_stream_init(&mut stream);
            sys::loam_seq_truncate(m, seq, 0);
            assert_eq!(sys::loam_prefill(m, seq, PROMPT.as_ptr(), PROMPT.len()), sys::LOAM_OK);
            let begun = Instant::now();
            let mut push = |token| {
                sys::loam_stream_push(m, &mut stream, token, text.as_mut_ptr(), text.len(), &mut n);
                bytes += n;
            };
            for i in 0..TOKENS {
                if i > 0 {
                    assert_eq!(sys::loam_decode(m, &seq, &token, 1), sys::LOAM_OK);
                }
                assert_eq!(sys::loam_sample(m, seq, &mut token), sys::LOAM_OK);
                assert_eq!(sys::loam_token_is_end(m, token), 0, "it ended early");
                push(token);
            }
            push(-1);
            assert!(bytes > 0);
            begun.elapsed()
        }
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        // SAFETY: nobody uses the handle any more.
        unsafe { sys::loam_free(self.0) };
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let given = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let path = given.unwrap_or_else(|| {
        let folder = std::env::var("LOAM_TEST_DATA").expect("LOAM_TEST_DATA, or a model's path");
        folder + "/tiny-llama.gguf"
    });
    let model = Model::builder().threads(1).load(&path).unwrap();
    let bare = Bare::load(&path);
    let micros = |time: Duration| time.as_secs_f64() * 1e6 / f64::from(TOKENS);
    let rounds: Vec<_> =
        (0..ROUNDS).map(|_| (micros(bare.generate()), micros(safe(&model)))).collect();
    let c = median(rounds.iter().map(|round| round.0).collect());
    let rust = median(rounds.iter().map(|round| round.1).collect());
    let more = median(rounds.iter().map(|round| round.1 - round.0).collect());
    println!("a token: C {c:.2} us, Rust {rust:.2} us; overhead {more:.2} us (medians of {ROUNDS} rounds of {TOKENS} tokens)");
}
