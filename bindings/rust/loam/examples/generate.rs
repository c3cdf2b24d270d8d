//! Stream an answer: `cargo run --release --example generate MODEL.gguf [PROMPT]`.
#![forbid(unsafe_code)]

use std::io::Write;

use loam::{Control, Model, Sampling};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("name a GGUF file")?;
    let prompt = arguments.next().unwrap_or_else(|| "Why is the sky blue?".into());

    let model = Model::builder().context_tokens(2048).load(path)?;
    let request = serde_json::json!({
        "messages": [{"role": "user", "content": prompt}],
        "add_generation_prompt": true,
    });
    let mut sequence = model.sequence()?;
    sequence.set_sampling(&Sampling { temperature: 0.7, top_p: 0.9, ..Sampling::default() })?;
    sequence.prefill(&model.chat_tokenize(&request.to_string())?)?;
    for piece in sequence.generate(256).text(Control::Skip) {
        print!("{}", piece?);
        std::io::stdout().flush()?;
    }
    println!();
    Ok(())
}
