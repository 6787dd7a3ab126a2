use super::*;

fn kinds(text: &str) -> Vec<(&'static str, String)> {
    find_entities(text).into_iter().map(|e| (e.kind, e.value)).collect()
}

#[test]
fn every_pattern_compiles() {
    assert_eq!(forms::FORMS.len(), forms::sources().len());
}

#[test]
fn forms_prove_entities() {
    for (text, expected) in [
        ("我的手机号是13912345678", vec![("phone", "13912345678")]),
        ("订单20260301123456怎么还没到", vec![("order_no", "20260301123456")]),
        ("扣了我128元", vec![("amount", "128")]),
        ("You charged me $1,299.50 on March 3rd", vec![("amount", "1299.50"), ("date", "March 3rd")]),
        ("mail me at Ann.B@example.com at 5 pm", vec![("email", "ann.b@example.com"), ("time", "5 pm")]),
        ("3月5日下午3点半可以吗", vec![("date", "3月5日"), ("time", "下午3点半")]),
        ("没有任何东西", vec![]),
        (
            "上周五扣了三百二十块，明早九点半之前给我",
            vec![("date", "上周五"), ("amount", "320"), ("date", "明早"), ("time", "九点半")],
        ),
        ("扣了8185块7", vec![("amount", "8185.7")]),
        ("袋子要五毛钱", vec![("amount", "0.5")]),
        ("it is fifty pence or 75 pence", vec![("amount", "0.5"), ("amount", "0.75")]),
        ("3号楼快一点，大一号的鞋，三点九的利率", vec![]),
        ("10号扣的五万，退我两箱", vec![("date", "10号"), ("amount", "50000"), ("quantity", "两箱")]),
        (
            "I paid twenty-four quid on the 3rd of May at half seven",
            vec![("amount", "24"), ("date", "the 3rd of May"), ("time", "half seven")],
        ),
        ("the first thing you may do in May is next Tuesday", vec![("date", "May"), ("date", "next Tuesday")]),
        ("order #5541134 or TH-780631", vec![("order_no", "5541134"), ("order_no", "TH780631")]),
    ] {
        let expected: Vec<_> = expected.into_iter().map(|(k, v)| (k, v.to_owned())).collect();
        assert_eq!(kinds(text), expected, "{text}");
    }
}

#[test]
fn a_phone_number_is_not_cut_out_of_a_longer_number() {
    assert_eq!(kinds("卡号6222139123456781234"), [("order_no", "6222139123456781234".to_owned())]);
}

#[test]
fn positions_are_code_points() {
    let found = &find_entities("😀您好，13912345678")[0];
    assert_eq!((found.start, found.end), (4, 15));
}

#[test]
fn the_shipped_taxonomy_is_valid_and_has_both_levels() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines/taxonomy");
    let taxonomy = Taxonomy::load(&folder).unwrap();
    assert!(taxonomy.entries().len() >= 60);
    assert_eq!(taxonomy.get("query_bill").unwrap().group, "billing");
}
