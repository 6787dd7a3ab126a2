//! The shipped rules over one written conversation: time for a whole evaluation, and a check of what it found.
//!
//! `cargo bench --bench rules`

use std::path::Path;
use std::time::Instant;

use zhiyin::app::load_rules;
use zhiyin::conversation::Conversation;
use zhiyin::quality::{Models, RuleState};

/// Evaluations that are timed.
const ROUNDS: usize = 2_000;

fn main() {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let rules = load_rules(&home.join("pipelines/rules")).expect("the shipped rules load");
    let text = std::fs::read_to_string(home.join("datasets/conversations/zh.jsonl")).expect("the conversations are there");
    let conversations: Vec<Conversation> =
        text.lines().map(|line| serde_json::from_str(line).expect("a conversation a line")).collect();
    let models = Models::default();
    let started = Instant::now();
    let mut hits = 0;
    for n in 0..ROUNDS {
        let results = rules.evaluate(&conversations[n % conversations.len()], &models).expect("they are well formed");
        hits += results.iter().filter(|r| r.state == RuleState::Hit).count();
    }
    let per_s = ROUNDS as f64 / started.elapsed().as_secs_f64();
    println!(
        "rules {} conversations_per_s {per_s:.0} hits_per_conversation {:.2}",
        rules.rules().len(),
        hits as f64 / ROUNDS as f64
    );
    assert!(hits > ROUNDS / 2, "the rules find something in most conversations");
}
