//! Measurements, run by hand: `cargo nextest run --release --run-ignored only -E 'test(speed)' --no-capture`.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;

use super::*;

/// Rules like those of a centre: a third regular expressions, the rest word lists, with windows and anchors.
fn many_rules(count: usize) -> RuleSet {
    let mut text = String::new();
    for i in 0..count {
        let _ = write!(text, "[[rule]]\nid = \"r{i}\"\n");
        match i % 5 {
            0 => text.push_str(&format!(
                "when = \"!a\"\nconditions.a = {{ role = \"agent\", sentences = [1, 3], keyword.any = [\"您好\", \"早上好{i}\", \"很高兴为您服务\"] }}\n"
            )),
            1 => text.push_str(&format!(
                "when = \"a\"\nconditions.a = {{ role = \"agent\", regex = {{ match = '(保证|一定|绝对).{{0,{}}}(赚|收益|到账)', except = '不保证' }} }}\n",
                4 + i % 7
            )),
            2 => text.push_str(&format!(
                "when = \"q && !a\"\nconditions.q = {{ role = \"customer\", keyword.any = [\"退款\", \"退钱{i}\", \"投诉\"] }}\n\
                 conditions.a = {{ role = \"agent\", anchor = {{ of = \"q\", where = \"after\", hit = 1 }}, sentences = [1, 3], keyword.any = [\"帮您\", \"抱歉{i}\"] }}\n"
            )),
            3 => text.push_str(&format!(
                "when = \"a\"\nconditions.a = {{ role = \"agent\", keyword.any = [\"不归我管\", \"稍等\", \"管不了{i}\", \"自己看\", \"随便你\", \"不知道\"] }}\n"
            )),
            _ => text.push_str(&format!(
                "when = \"s && !e\"\nconditions.s.silence = {{ gap_ms = {{ gt = {} }} }}\nconditions.e = {{ role = \"customer\", emotion.any = [\"angry\"] }}\n",
                10_000 + i
            )),
        }
    }
    RuleSet::compile(RuleFile::parse_toml("r", &text).unwrap_or_else(|p| panic!("{}", list(&p))))
}

fn calls(count: usize) -> Vec<Conversation> {
    let said = [
        ("agent", "您好，这里是云杉商城，我是小林，请问有什么可以帮您？"),
        ("customer", "我上周五退的那个耳机，钱怎么还没到账啊"),
        ("agent", "麻烦您报一下订单号，我马上帮您看。"),
        ("customer", "订单号是八零二一三五五七，你快点。"),
        ("agent", "请您稍等，我查一下您的退款记录。"),
        ("customer", "我等了两个星期了，再不处理我要投诉。"),
    ];
    let mut lines = String::new();
    for i in 0..30 {
        let (role, text) = said[i % said.len()];
        let _ = writeln!(lines, "{role} {}-{} {text}", i * 5, i * 5 + 4);
    }
    let mut call = dialogue(&lines);
    for turn in &mut call.turns {
        turn.emotion = Some(crate::conversation::EmotionScore { name: "neutral".into(), score: 0.9, valence: Some(0.0) });
    }
    (0..count).map(|i| Conversation { id: format!("c{i}"), ..call.clone() }).collect()
}

#[test]
#[ignore = "a measurement, not a check"]
fn batch_with_30_rules() {
    use rayon::prelude::*;
    let (set, calls) = (many_rules(30), calls(20_000));
    let begun = Instant::now();
    let hits: usize = calls
        .par_iter()
        .map(|c| set.evaluate(c, &Models::default()).unwrap().iter().filter(|r| r.state == RuleState::Hit).count())
        .sum();
    let seconds = begun.elapsed().as_secs_f64();
    eprintln!("{:.0} conversations/s on {} threads, {hits} hits", calls.len() as f64 / seconds, rayon::current_num_threads());
}

#[test]
#[ignore = "a measurement, not a check"]
fn live_with_200_rules() {
    let (set, calls) = (Arc::new(many_rules(200)), calls(40));
    let mut times = Vec::new();
    for call in &calls {
        let mut live = LiveEvaluator::new(Arc::clone(&set), call, Models::default());
        for (i, turn) in call.turns.iter().enumerate() {
            let begun = Instant::now();
            live.speech_started(&i.to_string(), turn.role, turn.start_ms.unwrap());
            live.advance_clock(turn.end_ms.unwrap());
            live.final_turn(&i.to_string(), turn.clone(), true);
            times.push(begun.elapsed().as_secs_f64() * 1e3);
        }
    }
    times.sort_by(f64::total_cmp);
    eprintln!("live per turn: p50 {:.3} ms, p99 {:.3} ms", times[times.len() / 2], times[times.len() * 99 / 100]);
}
