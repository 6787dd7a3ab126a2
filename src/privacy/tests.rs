use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::conversation::{Conversation, Role, TimeSpan, Turn, Word};

/// Kinds and surface texts found in a text: the one door of this room's tests.
fn check(text: &str, expected: &[(&str, &str)]) {
    let part = |f: &Finding| text.chars().skip(f.start).take(f.end - f.start).collect::<String>();
    let found: Vec<(&str, String)> = find(text).iter().map(|f| (f.kind.name(), part(f))).collect();
    let found: Vec<(&str, &str)> = found.iter().map(|(k, t)| (*k, t.as_str())).collect();
    assert_eq!(found, expected, "{text}");
}

#[test]
fn every_pattern_compiles() {
    assert_eq!(cue::cue_count(), 18);
    assert!(marks::compiled() && places::compiled() && names::compiled());
}

#[test]
fn numbers_written_and_spoken() {
    check("我手机13800138000，座机0571-88886666", &[("mobile", "13800138000"), ("landline", "0571-88886666")]);
    check("幺三八零零一三八零零零", &[("mobile", "幺三八零零一三八零零零")]);
    check("号码是幺三八三个零幺二三四五", &[("mobile", "幺三八三个零幺二三四五")]);
    check(
        "call me on one three eight double zero one three eight treble zero",
        &[("mobile", "one three eight double zero one three eight treble zero")],
    );
    // a wrong check digit: a word beside it must say what it is
    check("流水１１０１０１１９９００３０７７５８３", &[]);
    check("身份证１１０１０１１９９００３０７７５８３", &[("id_card", "１１０１０１１９９００３０７７５８３")]);
    check("身份证１１０１０１１９９００３０７７５８X", &[("id_card", "１１０１０１１９９００３０７７５８X")]);
    check("卡号6222 0210 0111 6245 702", &[("bank_card", "6222 0210 0111 6245 702")]);
    check("我的驗證碼是 482913", &[("verification_code", "482913")]);
    check("my passport is C01234567", &[("passport", "C01234567")]);
}

#[test]
fn a_card_beside_another_number_or_word_is_found() {
    check("13800138000，11010519491231002X", &[("mobile", "13800138000"), ("id_card", "11010519491231002X")]);
    check("座机0311-86012345，110101199003077758", &[("landline", "0311-86012345"), ("id_card", "110101199003077758")]);
    check("卡号5500005555555559万事达卡", &[("bank_card", "5500005555555559")]);
    check("打13800138000万一没人接呢", &[("mobile", "13800138000")]);
    check("一共5500万，0800 123 4567", &[]);
    // the Kelvin sign is a K without regard to case
    check("insurance A\u{212a}123456C", &[("id_card", "A\u{212a}123456C")]);
}

#[test]
fn marks_names_and_places() {
    check("车牌粤B·12345，邮箱 li.na_88@mail.example.cn", &[("plate", "粤B·12345"), ("email", "li.na_88@mail.example.cn")]);
    check("it's jane nine nine at example dot com", &[("email", "jane nine nine at example dot com")]);
    check(
        "我叫欧阳思远，住在杭州市西湖区文三路12号3栋502室",
        &[("name", "欧阳思远"), ("address", "杭州市西湖区文三路12号3栋502室")],
    );
    check(
        "this is Helen Barrett, 12 Priory Lane, Norwich, NR2 4SX",
        &[("name", "Helen Barrett"), ("address", "12 Priory Lane, Norwich, NR2 4SX")],
    );
}

#[test]
fn look_alikes_are_left_alone() {
    for text in [
        "订单号13912345678怎么还没到",
        "快递单号SF1390001234567",
        "一共12345元，打九折",
        "2026-03-01 14:30之前",
        "IP是192.168.10.25",
        "打10086还是400-820-8820",
        "型号KFR-35GW/BP3",
        "the order is 415-555-0132, it cost $1,299.50",
        "call 1-800-555-0199",
        "version 12.4.1300 from March 3rd",
        "",
        "😀👍🏽",
        "\u{0}\u{7}\u{200d}",
    ] {
        check(text, &[]);
    }
}

#[test]
fn checksums_hold() {
    assert!(luhn("4539578763621486") && !luhn("4539578763621487") && !luhn("") && !luhn("4x"));
    assert!(id_card("11010519491231002X") && !id_card("110105194912310021") && !id_card("11010519491331002X"));
    assert!(social_security("219099999") && !social_security("000123456") && !social_security("987654320"));
    assert!(bank_card("4539578763621486") && !bank_card("1539578763621486"));
}

fn conversation(turns: &[(Role, &str)]) -> Conversation {
    let turns = turns.iter().map(|(role, text)| Turn { role: *role, text: (*text).to_owned(), ..Turn::default() }).collect();
    Conversation { turns, ..Conversation::default() }
}

#[test]
fn a_number_in_parts_is_found_with_and_without_a_question() {
    let all: KindSet = Kind::ALL.into_iter().collect();
    let masked = |turns: &[(Role, &str)]| -> Vec<String> {
        redact_conversation(&conversation(turns), &all).0.turns.into_iter().map(|t| t.text).collect()
    };
    let (a, c) = (Role::Agent, Role::Customer);
    let asked = [(a, "请报一下手机号"), (c, "139"), (a, "嗯"), (c, "1234"), (c, "5678"), (a, "139 1234 5678 对吧")];
    assert_eq!(masked(&asked)[1..], ["***", "嗯", "****", "****", "*** **** **** 对吧"]);
    let unasked = [(c, "139"), (a, "嗯"), (c, "一二三四"), (c, "5678"), (c, "谢谢")];
    assert_eq!(masked(&unasked), ["***", "嗯", "****", "****", "谢谢"]);
    let order = [(a, "请提供订单号"), (c, "139"), (c, "1234"), (c, "5678")];
    assert_eq!(masked(&order), ["请提供订单号", "139", "1234", "5678"]);
    let counted = [(c, "买了139"), (a, "好的，还有吗"), (c, "20件")];
    assert_eq!(masked(&counted)[0], "买了139");
}

#[test]
fn audio_places_come_from_the_words() {
    let text = "我叫王建国谢谢";
    let word = |text: &str, start_ms| Word { text: text.into(), start_ms, end_ms: start_ms + 200, confidence: None };
    let words = [word("我", 1_000), word("叫", 1_200), word("王建国", 1_400), word("谢谢", 2_000)];
    let found = find(text);
    let whole = TimeSpan::new(900, 2_300);
    assert_eq!(audio_spans(text, &words, &found, whole), [TimeSpan::new(1_340, 1_660)]);
    assert_eq!(audio_spans(text, &words[..2], &found, whole), [whole]);
    assert_eq!(audio_spans(text, &words, &[], whole), []);
    let masked: Vec<String> = mask_words(text, &words, &found).into_iter().map(|w| w.text).collect();
    assert_eq!(masked, ["我", "叫", "***", "谢谢"]);
}

#[test]
fn masking_keeps_every_place() {
    let text = "😀我叫王建国，电话138 0013 8000，谢谢";
    let masked = mask(text, &find(text));
    assert_eq!(masked, "😀我叫***，电话*** **** ****，谢谢");
    assert_eq!(masked.chars().count(), text.chars().count());
}

#[test]
fn the_project_set_is_read_and_the_rules_hold_on_its_dev_part() {
    for language in ["zh", "en"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("datasets/personal-data/{language}.jsonl"));
        let measured = measure(&path, Some("dev")).unwrap();
        let counts = measured.patterned();
        assert!(measured.utterances >= 300 && measured.without * 10 >= measured.utterances * 3);
        assert!(counts.precision().low > 0.95 && counts.recall().low > 0.95, "{language}: {:?}", measured.differences);
    }
}

#[test]
fn bad_files_are_told_with_their_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.jsonl");
    let error = |text: &str, split| {
        std::fs::write(&path, text).unwrap();
        measure(&path, split).unwrap_err().to_string()
    };
    assert!(error("{\"id\":\"1\"}\n", None).contains("line 1"));
    let outside = "{\"id\":\"1\",\"turns\":[{\"text\":\"ab\",\"spans\":[{\"kind\":\"name\",\"start\":0,\"end\":3}]}]}\n";
    assert!(error(outside, None).contains("0..3"));
    assert!(error("{\"id\":\"1\",\"split\":\"dev\",\"turns\":[]}\n", Some("test")).contains("--split"));
    assert!(measure(Path::new("/nowhere/x.jsonl"), None).unwrap_err().to_string().contains("/nowhere"));
    assert!(Kind::from_name("phone").unwrap_err().to_string().contains("mobile, landline"));
}

#[test]
fn wilson_interval_of_the_textbook() {
    let share = Share::new(8, 10);
    assert!((share.low - 0.4902).abs() < 1e-3 && (share.high - 0.9433).abs() < 1e-3, "{share:?}");
    assert_eq!(Share::new(0, 0).value, None);
}

#[test]
fn long_texts_are_cut_without_losing_a_number() {
    let text = format!("{}电话13812345678{}", "好".repeat(19_994), "的".repeat(80_000));
    let found = find(&text);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].kind, found[0].start), (Kind::Mobile, 19_996));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Any text: no panic, places in order, inside the text and apart; masking keeps the length and hides every digit.
    #[test]
    fn any_text_is_survived(text in "(?s).{0,120}") {
        invariants(&text)?;
    }

    /// Texts near the grammar: pieces that the rules look for, in any order.
    #[test]
    fn near_the_grammar(pieces in proptest::collection::vec(prop_oneof![
        Just("手机"), Just("卡号"), Just("订单"), Just("my card number is "), Just("double "), Just("triple zero "), Just("oh "), Just("三个零"),
        Just("一"), Just("6222"), Just("139"), Just(" "), Just("-"), Just("."), Just("@"), Just("at "), Just("dot com"), Just("点com"), Just("艾特"),
        Just("王"), Just("建国"), Just("粤B"), Just("x"), Just("X"), Just("+"), Just("("), Just(")"), Just("$"), Just("路"), Just("12号"), Just("，"),
        Just("twenty "), Just("hundred "), Just("passport "), Just("E"), Just("￥"), Just("１"), Just("😀"),
    ], 0..24)) {
        invariants(&pieces.concat())?;
    }

    /// Any order of turns: findings of earlier turns lie inside those turns.
    #[test]
    fn any_turns(turns in proptest::collection::vec(("[ac]", "[0-9 一二三零a-c号手机，]{0,12}"), 0..12)) {
        let mut watcher = Watcher::default();
        for (number, (speaker, text)) in turns.iter().enumerate() {
            let seen = watcher.take(speaker, text);
            for (turn, finding) in &seen.earlier {
                prop_assert!(*turn < number && finding.end <= turns[*turn].1.chars().count());
            }
            prop_assert!(seen.findings.iter().all(|f| f.start < f.end && f.end <= text.chars().count()));
        }
    }
}

fn invariants(text: &str) -> Result<(), TestCaseError> {
    let found = find(text);
    let length = text.chars().count();
    let mut last = 0;
    for finding in &found {
        prop_assert!(finding.start >= last && finding.start < finding.end && finding.end <= length, "{finding:?}");
        prop_assert!(finding.strength > 0.0 && finding.strength <= 1.0);
        last = finding.end;
    }
    let masked: Vec<char> = mask(text, &found).chars().collect();
    prop_assert_eq!(masked.len(), length);
    prop_assert!(found.iter().all(|f| !masked[f.start..f.end].iter().any(char::is_ascii_digit)));
    Ok(())
}
