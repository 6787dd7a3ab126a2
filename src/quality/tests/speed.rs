//! Measurements, run by hand: `cargo nextest run --release --run-ignored only -E 'test(speed)' --no-capture`.

use std::fmt::Write as _;
use std::sync::Arc;

use super::*;

/// Seconds that this thread spent on a processor; other load of the machine does not count.
fn busy_s() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1e9
}

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
    let (set, calls) = (many_rules(30), calls(2_000));
    let begun = busy_s();
    let hits: usize = calls
        .iter()
        .map(|c| set.evaluate(c, &Models::default()).unwrap().iter().filter(|r| r.state == RuleState::Hit).count())
        .sum();
    let seconds = busy_s() - begun;
    eprintln!("{:.0} conversations/s on one thread, {hits} hits", calls.len() as f64 / seconds);
    for rule in &set.rules()[..5] {
        let one = RuleSet::compile(vec![rule.clone()]);
        let begun = busy_s();
        for call in &calls[..500] {
            one.evaluate(call, &Models::default()).unwrap();
        }
        eprintln!("{:8.1} µs {}", (busy_s() - begun) / 500.0 * 1e6, rule.id);
    }
    let none = RuleSet::compile(Vec::new());
    let begun = busy_s();
    for call in &calls[..500] {
        none.evaluate(call, &Models::default()).unwrap();
    }
    eprintln!("{:8.1} µs without rules", (busy_s() - begun) / 500.0 * 1e6);
}

#[test]
#[ignore = "a measurement, not a check"]
fn live_with_200_rules() {
    let (set, calls) = (Arc::new(many_rules(200)), calls(40));
    let mut times = Vec::new();
    for call in &calls {
        let mut live = LiveEvaluator::new(Arc::clone(&set), call, Models::default());
        for (i, turn) in call.turns.iter().enumerate() {
            let begun = busy_s();
            live.speech_started(&i.to_string(), turn.role, turn.start_ms.unwrap());
            live.advance_clock(turn.end_ms.unwrap());
            live.final_turn(&i.to_string(), turn.clone(), true);
            times.push((busy_s() - begun) * 1e3);
        }
    }
    times.sort_by(f64::total_cmp);
    eprintln!("live per turn: p50 {:.3} ms, p99 {:.3} ms", times[times.len() / 2], times[times.len() * 99 / 100]);
}

/// The delivered rules that concern Mandarin calls, at most `count` of them.
fn delivered(count: usize) -> RuleSet {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines/rules");
    let read = |name: &str| {
        let text = std::fs::read_to_string(folder.join(name)).unwrap();
        RuleFile::parse_toml(name, &text).unwrap_or_else(|p| panic!("{}", list(&p)))
    };
    RuleSet::compile(read("zh.toml").into_iter().chain(read("common.toml")).take(count).collect())
}

#[test]
#[ignore = "a measurement, not a check"]
fn batch_with_delivered_rules() {
    let set = delivered(30);
    let calls = calls(3_000);
    let begun = busy_s();
    for call in &calls {
        set.evaluate(call, &Models::default()).unwrap();
    }
    let all = busy_s() - begun;
    eprintln!("{} rules: {:.0} conversations/s on one thread", set.rules().len(), calls.len() as f64 / all);
    let mut costs: Vec<(f64, &str)> = Vec::new();
    for rule in set.rules() {
        let one = RuleSet::compile(vec![rule.clone()]);
        let begun = busy_s();
        for call in &calls[..500] {
            one.evaluate(call, &Models::default()).unwrap();
        }
        costs.push(((busy_s() - begun) / 500.0 * 1e6, &rule.id));
    }
    costs.sort_by(|a, b| b.0.total_cmp(&a.0));
    costs.iter().for_each(|(us, id)| eprintln!("{us:8.1} µs {id}"));
}
