//! Answer several prompts together: `cargo run --release --example batch MODEL.gguf PROMPT...`.
#![forbid(unsafe_code)]

use loam::{Control, Model, Queue, QueueOptions, Submission, Tokenize};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("name a GGUF file, then prompts")?;
    let prompts: Vec<_> = arguments.collect();

    let model = Model::builder().sequences(8).context_tokens(512).load(path)?;
    let queue = Queue::open(&model, &QueueOptions::default())?;
    for (tag, prompt) in (0..).zip(&prompts) {
        queue.submit(&Submission {
            max_tokens: 64,
            control: Control::Skip,
            tag,
            ..Submission::new(model.tokenize(prompt, Tokenize::SPECIAL)?)
        })?;
    }
    let mut answers = vec![String::new(); prompts.len()];
    for event in queue.events() {
        let event = event?;
        answers[usize::try_from(event.tag)?] += &event.text;
    }
    for (prompt, answer) in prompts.iter().zip(&answers) {
        println!("{prompt}{answer}\n");
    }
    Ok(())
}
