use super::itn::Itn;
use super::*;
use crate::conversation::Language;

fn check_itn(language: Language, cases: &[(&str, &str)]) {
    for (spoken, written) in cases {
        assert_eq!(Itn::new().apply(spoken, language).0, *written, "{spoken}");
    }
}

#[test]
fn folding_makes_one_form_and_keeps_the_way_back() {
    for (text, expected) in [
        ("ＡＢＣ　１２３！", "abc 123!"),
        ("  Re\u{200B}fund \n\t now ", "refund now"),
        ("It\u{2019}s \u{201C}ok\u{201D}", "it's \"ok\""),
        ("㎏", "kg"),
        ("", ""),
    ] {
        assert_eq!(fold(text), expected, "{text:?}");
    }
    let folded = fold_with_map("\u{FEFF}Ａ  ㎏");
    assert_eq!((folded.text.as_str(), folded.source), ("a kg", vec![1, 2, 4, 4]));
}

#[test]
fn segmentation_keeps_positions_and_search_mode_adds_inner_words() {
    let text = "我的４Ｇ流量包用完了";
    let chars: Vec<char> = text.chars().collect();
    let tokens = segment::words(text);
    assert!(tokens.iter().any(|t| t.text == "4g" && !t.han) && tokens.iter().any(|t| t.text == "流量包"), "{tokens:?}");
    for token in &tokens {
        let original: String = chars[token.start..token.end].iter().collect();
        assert_eq!(fold(&original), token.text);
    }
    let search: Vec<String> = segment::tokens("七天无理由退货").into_iter().map(|t| t.text).collect();
    assert!(search.contains(&"退货".to_owned()) && search.contains(&"理由".to_owned()), "{search:?}");
    assert_eq!(segment::stem("refunds"), segment::stem("refunded"));
    assert!(segment::is_stop_word("的") && segment::is_stop_word("the") && !segment::is_stop_word("退款"));
}

#[test]
fn words_that_sound_alike_share_a_key() {
    for (one, other) in [
        ("退款", "退宽"),
        ("流量", "牛量"),
        ("发票", "花票"),
        ("知道", "资道"),
        ("账单", "脏当"),
        ("银行", "营行"),
        ("分期", "婚期"),
    ] {
        assert_eq!(phonetic::homophone_key(one), phonetic::homophone_key(other), "{one} {other}");
    }
    assert_ne!(phonetic::homophone_key("退款"), phonetic::homophone_key("话费"));
    for (one, other) in
        [("receive", "recieve"), ("refund", "reffund"), ("night", "nite"), ("phone", "fone"), ("delivery", "dilivery")]
    {
        assert_eq!(phonetic::metaphone(one), phonetic::metaphone(other), "{one} {other}");
    }
    assert_ne!(phonetic::metaphone("refund"), phonetic::metaphone("delivery"));
    assert_eq!(phonetic::pinyin("退A")[..], [Some("tui"), None]);
}

#[test]
fn chinese_numbers_are_written_as_figures() {
    check_itn(
        Language::Zh,
        &[
            ("一百二十元", "120元"),
            ("我这个月的话费多了六十块", "我这个月的话费多了60块"),
            ("订单号是八二六零 五一九三", "订单号是8260 5193"),
            ("手机尾号是三三七一", "手机尾号是3371"),
            ("幺三八零零幺三八零零零", "13800138000"),
            ("三个工作日内退到您的银行卡", "3个工作日内退到您的银行卡"),
            ("都五天了", "都5天了"),
            ("二零二四年五月六号", "2024年5月6号"),
            ("下午三点半到四点二十", "下午3:30到4:20"),
            ("下午一点", "下午1点"),
            ("十三点十分三十六秒", "13:10:36"),
            ("百分之三点五", "3.5%"),
            ("百分之百", "100%"),
            ("三分之二的客户", "2/3的客户"),
            ("三千三百八十元五角八分", "3380.58元"),
            ("十二块五毛", "12块5毛"),
            ("一点二五元", "1.25元"),
            ("两千万", "2000万"),
            ("六点四二万人", "6.42万人"),
            ("一万两千三百", "12300"),
            ("三万五", "35000"),
            ("一百一", "110"),
            ("两千零十二", "2012"),
            ("负二十度", "-20度"),
            ("一二七点零点零点幺", "127.0.0.1"),
            ("两百兆宽带", "200兆宽带"),
            ("周三三点半", "周三3:30"),
            ("打了九五折", "打了95折"),
        ],
    );
}

#[test]
fn chinese_idioms_and_estimates_stay() {
    let texts = [
        "等一下",
        "一起去",
        "三心二意",
        "十分满意",
        "一点也不好",
        "说一点",
        "三四个人",
        "十几万",
        "几十万",
        "二十来个",
        "十五六个",
        "千万不要",
        "万一丢了",
        "三三两两",
        "十全十美",
        "周一到周五",
        "星期三",
        "有一次",
        "这两天",
        "百分百",
        "双十一活动",
        "第一次",
        "两个人",
        "一五一十",
        "十万火急",
        "一会儿",
        "乱七八糟",
        "八九不离十",
        "三百九十九三盒",
        "",
    ];
    check_itn(Language::Zh, &texts.map(|text| (text, text)));
}

#[test]
fn english_numbers_are_written_as_figures() {
    check_itn(
        Language::En,
        &[
            ("one hundred twenty dollars", "$120"),
            ("It is five two seven one nine.", "It is 52719."),
            ("one three eight double zero", "13800"),
            ("twenty nine dollars and fifty cents", "$29.50"),
            ("two point five billion dollars", "$2.5 billion"),
            ("thirty five percent", "35%"),
            ("at eight thirty", "at 8:30"),
            ("two thirty p m", "2:30 p.m."),
            ("half past three", "3:30"),
            ("quarter to nine", "8:45"),
            ("twenty five to nine p m", "8:35 p.m."),
            ("at ten to nine", "at 8:50"),
            ("we are open from nine to five p m", "we are open from nine to 5:00 p.m."),
            ("from ten to six pm", "from 10 to 6:00 p.m."),
            ("eight to six pm", "eight to 6:00 p.m."),
            ("three o'clock", "3:00"),
            ("July twenty fifth twenty twelve", "July 25 2012"),
            ("the fifth of May", "5 May"),
            ("nineteen eighty four", "1984"),
            ("Between nine and eleven.", "Between 9 and 11."),
            ("twelve Park Road, second floor", "12 Park Road, second floor"),
            ("one hundred and five", "105"),
            ("two million three", "2000003"),
            ("twenty-first", "21st"),
            ("wait ten seconds", "wait 10 seconds"),
            ("minus sixty", "-60"),
            ("write to anna dot brown at gmail dot com please", "write to anna.brown@gmail.com please"),
            ("one fifty five dollars", "$155"),
        ],
    );
}

#[test]
fn english_words_stay() {
    let texts = [
        "one of them",
        "no one told me",
        "I have one more thing",
        "second floor",
        "may I",
        "first of all",
        "it has been three weeks",
        "at home",
        "for two people",
        "eight fifty one",
        "a point of order",
        "look at this dot",
        "",
    ];
    check_itn(Language::En, &texts.map(|text| (text, text)));
}

#[test]
fn spans_lead_both_ways() {
    let spoken = "付一百二十元，八点半到";
    let (written, map) = Itn::new().apply(spoken, Language::Zh);
    assert_eq!(written, "付120元，8:30到");
    assert_eq!((map.source(1, 4), map.target(1, 5), map.len()), (1..5, 1..4, written.chars().count()));
    assert_eq!(map.source(6, 10), 7..10);
    assert_eq!((map.source(90, 99), map.target(90, 99)), (11..11, 11..11));
}

proptest::proptest! {
    /// Any text: no panic, the map covers the output and only moves forward.
    #[test]
    fn itn_takes_any_text(text in "[一二三十百千万亿零点分之年月日号元块毛半负几 a-z0-9,。]{0,24}") {
        for language in [Language::Zh, Language::En] {
            let (written, map) = Itn::new().apply(&text, language);
            assert_eq!(map.len(), written.chars().count());
            let mut last = 0;
            for position in 0..map.len() {
                let range = map.source(position, position + 1);
                assert!(range.start >= last && range.end <= text.chars().count());
                last = range.start;
            }
        }
    }

    /// English number words in any order.
    #[test]
    fn itn_takes_any_number_words(words in proptest::collection::vec(proptest::sample::select(vec![
        "one", "twenty", "hundred", "thousand", "million", "and", "point", "oh", "double", "first", "dollars", "cents", "a", "of", "may", "the",
        "half", "past", "quarter", "to", "p", "m", "at", "dot", "com", "trillion", "nine", "percent", "eighties", "between", "minus", ","]), 0..14)) {
        let text = words.join(" ");
        let (written, map) = Itn::new().apply(&text, Language::En);
        assert_eq!(map.len(), written.chars().count());
    }
}

#[test]
fn symbols_are_for_forms() {
    let symbols = Itn::with_style(super::itn::ItnStyle::Symbols);
    for (language, spoken, written) in [
        (Language::Zh, "二零零八年八月八日", "2008/08/08"),
        (Language::Zh, "下午三点四十", "3:40p.m."),
        (Language::Zh, "三十四点五元", "¥34.5"),
        (Language::Zh, "每小时十千米", "10km/h"),
        (Language::Zh, "皖C九B三四E", "皖C9B34E"),
        (Language::Zh, "二两", "二两"),
        (Language::En, "two hundred kilometers per hour", "200 km/h"),
        (Language::En, "plus forty four one two three one two three five six seven eight", "+44 123-123-5678"),
        (Language::En, "half past three", "03:30"),
        (Language::En, "second", "2nd"),
    ] {
        assert_eq!(symbols.apply(spoken, language).0, written, "{spoken}");
    }
}

proptest::proptest! {
    #[test]
    fn symbols_take_any_text(
        zh in "[一二三四十百千万两零点分之年月日号元块角负到比每小时公里米上下午高呃京A加 0-9,。]{0,24}",
        words in proptest::collection::vec(proptest::sample::select(vec![
            "one", "twenty", "hundred", "thousand", "million", "point", "o", "double", "a", "b", "c", "dot", "at", "slash", "com", "plus", "minus",
            "per", "square", "kilo", "meters", "hour", "dollars", "cents", "and", "second", "quarter", "of", "july", "the", "p", "m", "to", "till",
            "clock", "half", "past", "percent", "x", "doctor", "zero", "sextillion",
        ]), 0..12),
    ) {
        let symbols = Itn::with_style(super::itn::ItnStyle::Symbols);
        for (text, language) in [(zh, Language::Zh), (words.join(" "), Language::En)] {
            let (written, map) = symbols.apply(&text, language);
            proptest::prop_assert_eq!(map.len(), written.chars().count());
        }
    }
}
