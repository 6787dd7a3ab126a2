use super::*;

fn kinds(text: &str) -> Vec<(&'static str, String)> {
    let part = |f: &Finding| text.chars().skip(f.start).take(f.end - f.start).collect::<String>();
    find(text).iter().map(|f| (f.kind.name(), part(f))).collect()
}

#[test]
fn every_pattern_compiles() {
    assert_eq!(cue::cue_count(), 17);
    assert!(marks::compiled() && places::compiled() && names::compiled());
}

#[test]
#[ignore]
fn show_dev() {
    let split = std::env::var("SPLIT").unwrap_or("dev".into());
    for language in std::env::var("FILES").unwrap_or("zh,en".into()).split(',') {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("datasets/personal-data/{language}.jsonl"));
        let path = if language.starts_with('/') { language.into() } else { path };
        let m = measure(&path, Some(&split)).unwrap();
        for d in &m.differences {
            let part: String = d.text.chars().skip(d.span[0]).take(d.span[1] - d.span[0]).collect();
            println!("{} {} {} [{}] {}", d.id, d.what, d.kind.name(), part, d.text);
        }
        for (k, c) in &m.kinds {
            println!("{language} {} {:?} P {:?} R {:?}", k.name(), c, c.precision().value, c.recall().value);
        }
        println!("{language} patterned {:?} without {} false {}", m.patterned(), m.without, m.without_false);
    }
}
