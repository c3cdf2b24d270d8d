//! The list that all bindings pass, `tests/bindings/conformance.json`.

use std::alloc::{GlobalAlloc, Layout};
use std::fs;
use std::io;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use loam::{
    Builder, Control, Error, Model, Queue, QueueOptions, Sampling, Sequence, Source, Submission,
    Token, Tokenize,
};
use serde_json::Value;

mod common;

struct List {
    model: PathBuf,
    options: Value,
    cases: Vec<Value>,
}

impl List {
    fn read() -> Self {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../tests/bindings/conformance.json");
        let list: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        Self {
            model: common::data(text(&list["model"])),
            options: list["options"].clone(),
            cases: list["cases"].as_array().unwrap().clone(),
        }
    }

    fn case(&self, name: &Value) -> &Value {
        let found = self.cases.iter().find(|case| case["name"] == *name);
        found.unwrap_or_else(|| panic!("no case {name}"))
    }

    /// The list's options, and the case's own on top.
    fn builder(&self, case: &Value) -> Builder {
        let own = case.get("options").map_or(&Value::Null, |options| options);
        let all = [&self.options, own].into_iter().filter_map(Value::as_object).flatten();
        all.fold(Model::builder(), |builder, (name, value)| match name.as_str() {
            "isa" => builder.isa(text(value)),
            "backend" => builder.backend(text(value)),
            "context_tokens" => builder.context_tokens(number(value)),
            "sequences" => builder.sequences(number(value)),
            "threads" => builder.threads(number(value)),
            "kv_block_tokens" => builder.kv_block_tokens(number(value)),
            "memory_limit_bytes" => builder.memory_limit_bytes(number(value)),
            other => panic!("the option {other} is new"),
        })
    }

    fn load(&self, case: &Value) -> Model {
        self.builder(case).load(&self.model).unwrap()
    }

    /// The generation that a case ends with.
    fn then(&self, case: &Value, model: &Model) {
        check_generation(self.case(&case["then"]), model);
    }

    fn run(&self, case: &Value) {
        match text(&case["does"]) {
            "generate" => self.generate(case),
            "stream" => self.stream(case),
            "tokenize" => self.tokenize(case),
            "chat" => self.chat(case),
            "cancel" => self.cancel(case),
            "load_error" => self.load_error(case),
            "prefill_error" => self.prefill_error(case),
            "threads" => self.threads(case),
            "free_first" => self.free_first(case),
            "callback_throws" => self.callback_panics(case),
            "cycles" => self.cycles(case),
            other => panic!("what {other} is, this runner does not know"),
        }
    }

    fn generate(&self, case: &Value) {
        let model = self.load(case);
        check_generation(case, &model);
        check_generation(case, &model);
    }

    fn stream(&self, case: &Value) {
        let model = self.load(case);
        let mut stream = model.text_stream(control(case));
        let mut pieces: Vec<_> = tokens(&case["tokens"])
            .into_iter()
            .map(|token| stream.push(token).unwrap().to_owned())
            .collect();
        pieces.push(stream.finish().unwrap().to_owned());
        assert_eq!(Value::from(pieces), case["pieces"]);
    }

    fn tokenize(&self, case: &Value) {
        let model = self.load(case);
        let mut how = Tokenize::PLAIN;
        for (name, flag) in [("special", Tokenize::SPECIAL), ("control", Tokenize::CONTROL)] {
            if flagged(&case[name]) {
                how = how | flag;
            }
        }
        let found = model.tokenize(text(&case["text"]), how).unwrap();
        assert_eq!(found, tokens(&case["tokens"]));
        let back = model.detokenize(&found, control(case)).unwrap();
        assert_eq!(String::from_utf8(back).unwrap(), text(&case["detokenized"]));
    }

    fn chat(&self, case: &Value) {
        let model = self.load(case);
        let request = case["request"].to_string();
        assert_eq!(model.chat_render(&request).unwrap(), text(&case["text"]));
        assert_eq!(model.chat_tokenize(&request).unwrap(), tokens(&case["tokens"]));
    }

    fn cancel(&self, case: &Value) {
        let model = self.load(case);
        let mut sequence = model.sequence().unwrap();
        let (canceller, prompt) = (model.canceller(), tokens(&case["tokens"]));
        let failure = match text(&case["when"]) {
            "before" => {
                canceller.cancel();
                sequence.prefill(&prompt).unwrap_err()
            }
            "during" => {
                let after = Duration::from_millis(number(&case["after_ms"]));
                let other = std::thread::spawn(move || {
                    std::thread::sleep(after);
                    canceller.cancel();
                });
                let failure = loop {
                    sequence.truncate(0).unwrap();
                    if let Err(why) = sequence.prefill(&prompt) {
                        break why;
                    }
                };
                other.join().unwrap();
                failure
            }
            other => panic!("when {other} is, this runner does not know"),
        };
        assert_eq!(failure.name(), text(&case["status"]));
        assert_eq!(sequence.length().unwrap(), 0);
        drop(sequence);
        self.then(case, &model);
    }

    fn load_error(&self, case: &Value) {
        let path = self.make_file(case);
        let failure = self.builder(case).load(&path).unwrap_err();
        check_failure(case, &failure, &path);
    }

    /// The file of a case, in a folder that is new.
    fn make_file(&self, case: &Value) -> PathBuf {
        let file = &case["file"];
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(text(&case["name"]));
        drop(fs::remove_dir_all(&folder));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("file.gguf");
        match text(&file["make"]) {
            "none" => {}
            "directory" => return folder,
            "text" => fs::write(&path, text(&file["text"])).unwrap(),
            "cut" => {
                let bytes = fs::read(&self.model).unwrap();
                fs::write(&path, &bytes[..number::<usize>(&file["bytes"])]).unwrap();
            }
            "model" => return self.model.clone(),
            other => panic!("how to make {other}, this runner does not know"),
        }
        path
    }

    fn prefill_error(&self, case: &Value) {
        let model = self.load(case);
        let mut sequence = model.sequence().unwrap();
        let failure = sequence.prefill(&tokens(&case["tokens"])).unwrap_err();
        check_failure(case, &failure, &self.model);
        assert_eq!(sequence.length().unwrap(), 0);
    }

    fn threads(&self, case: &Value) {
        std::thread::scope(|scope| {
            for _ in 0..number(&case["threads"]) {
                scope.spawn(|| {
                    let model = self.load(case);
                    (0..number(&case["times"])).for_each(|_| self.then(case, &model));
                });
            }
        });
    }

    /// What outlives a borrowed model does not compile: see the `compile_fail` tests of `Model`, for
    /// sequences, and of `Queue`. What shares it keeps it.
    fn free_first(&self, case: &Value) {
        let then = self.case(&case["then"]);
        let model = Arc::new(self.load(case));
        match text(&case["alive"]) {
            "sequence" => {
                let mut sequence = Sequence::open(Arc::clone(&model)).unwrap();
                drop(model);
                check_generation_of(then, &mut sequence);
            }
            "queue" => {
                let queue = Queue::open(Arc::clone(&model), &QueueOptions::default()).unwrap();
                let submission = Submission {
                    max_tokens: number(&then["predict"]),
                    sampling: sampling(&then["sampling"]),
                    ..Submission::new(tokens(&then["prompt_tokens"]))
                };
                queue.submit(&submission).unwrap();
                drop(model);
                let events: Vec<_> = queue.events().map(Result::unwrap).collect();
                let answer: Vec<_> = events.iter().filter_map(|event| event.token).collect();
                assert_eq!(answer, tokens(&then["tokens"]));
            }
            other => panic!("what is alive as {other}, this runner does not know"),
        }
        self.then(case, &self.load(case));
    }

    fn callback_panics(&self, case: &Value) {
        let builder = self.builder(case);
        let loaded = match text(&case["callback"]) {
            "log" => builder.log(|_, line| panic!("{line}")).load(&self.model),
            "read" => builder.load_source(Panics),
            "alloc" => builder.allocator(Panics).load(&self.model),
            other => panic!("the callback {other} is new"),
        };
        let status = loaded.as_ref().map_or_else(Error::name, |_| "LOAM_OK");
        assert_eq!(status, text(&case["status"]));
        if let Err(why) = &loaded {
            assert!(why.sentence().contains("thrown by the callback"), "{why}");
        }
        if let Ok(model) = loaded {
            self.then(case, &model);
        }
        self.then(case, &self.load(case));
    }

    fn cycles(&self, case: &Value) {
        let cycle = || {
            let model = self.load(case);
            let prompt = model.tokenize(text(&case["prompt"]), Tokenize::SPECIAL).unwrap();
            let mut sequence = model.sequence().unwrap();
            sequence.prefill(&prompt).unwrap();
            let n: usize = number(&case["predict"]);
            assert_eq!(sequence.generate(n).map(Result::unwrap).count(), n);
        };
        (0..number(&case["warm_up"])).for_each(|_| cycle());
        let before = resident_bytes();
        (0..number(&case["times"])).for_each(|_| cycle());
        let growth = resident_bytes().saturating_sub(before);
        assert!(growth <= number(&case["most_growth_bytes"]), "it grew by {growth} bytes");
    }
}

// ---- what is compared ----

fn check_generation(case: &Value, model: &Model) {
    check_generation_of(case, &mut model.sequence().unwrap());
}

fn check_generation_of(case: &Value, sequence: &mut Sequence<'_>) {
    let how = sampling(&case["sampling"]);
    let prompt = sequence.model().tokenize(text(&case["prompt"]), Tokenize::SPECIAL).unwrap();
    assert_eq!(prompt, tokens(&case["prompt_tokens"]));
    let n = number(&case["predict"]);
    let begin = |sequence: &mut Sequence<'_>| {
        sequence.truncate(0).unwrap();
        sequence.set_sampling(&how).unwrap();
        sequence.prefill(&prompt).unwrap();
    };
    begin(sequence);
    let answer: Vec<_> = sequence.generate(n).map(Result::unwrap).collect();
    assert_eq!(answer, tokens(&case["tokens"]));
    begin(sequence);
    let answer: String = sequence.generate(n).text(Control::Show).map(Result::unwrap).collect();
    assert_eq!(answer, text(&case["text"]));
}

fn check_failure(case: &Value, failure: &Error, path: &Path) {
    assert_eq!(failure.name(), text(&case["status"]));
    if let Some(sentence) = case["sentence"].as_str() {
        assert_eq!(failure.sentence(), sentence.replace("{path}", path.to_str().unwrap()));
    }
    if let Some(part) = case["contains"].as_str() {
        assert!(failure.sentence().contains(part), "{failure}");
    }
}

/// A source and an allocator that panic.
struct Panics;

impl Source for Panics {
    fn size(&self) -> io::Result<u64> {
        Ok(fs::metadata(common::tiny())?.len())
    }

    fn read_at(&self, _: u64, _: &mut [u8]) -> io::Result<()> {
        panic!("thrown by the callback")
    }
}

// SAFETY: it never gives memory.
unsafe impl GlobalAlloc for Panics {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        panic!("thrown by the callback")
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

// ---- the list's own values ----

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

fn flagged(value: &Value) -> bool {
    value.as_bool().unwrap_or_else(|| panic!("{value} is neither true nor false"))
}

fn number<T: TryFrom<u64>>(value: &Value) -> T {
    let number = value.as_u64().and_then(|number| T::try_from(number).ok());
    number.unwrap_or_else(|| panic!("{value} is no such number"))
}

fn tokens(value: &Value) -> Vec<Token> {
    let token = |value: &Value| Token::try_from(value.as_i64().unwrap()).unwrap();
    value.as_array().unwrap().iter().map(token).collect()
}

fn control(case: &Value) -> Control {
    if flagged(&case["skip_control"]) {
        Control::Skip
    } else {
        Control::Show
    }
}

fn sampling(value: &Value) -> Sampling {
    let mut sampling = Sampling::default();
    for (name, value) in value.as_object().unwrap() {
        let real = || value.to_string().parse().unwrap();
        match name.as_str() {
            "temperature" => sampling.temperature = real(),
            "seed" => sampling.seed = number(value),
            "top_k" => sampling.top_k = number(value),
            "top_p" => sampling.top_p = real(),
            "min_p" => sampling.min_p = real(),
            "repeat_penalty" => sampling.repeat_penalty = real(),
            "frequency_penalty" => sampling.frequency_penalty = real(),
            "presence_penalty" => sampling.presence_penalty = real(),
            "penalty_tokens" => sampling.penalty_tokens = number(value),
            other => panic!("the sampling {other} is new"),
        }
    }
    sampling
}

fn main() -> ExitCode {
    let list = List::read();
    let mut failed = 0;
    std::panic::set_hook(Box::new(|_| {})); // failures are told below
    for case in &list.cases {
        let name = text(&case["name"]);
        match catch_unwind(AssertUnwindSafe(|| list.run(case))) {
            Ok(()) => println!("ok   {name}"),
            Err(why) => {
                let why = why.downcast_ref::<String>().map_or("no text", String::as_str);
                println!("FAIL {name}: {why}");
                failed += 1;
            }
        }
    }
    println!("{} passed, {failed} failed, 0 skipped", list.cases.len() - failed);
    ExitCode::from(u8::from(failed > 0))
}
