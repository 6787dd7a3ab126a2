use super::*;

fn home() -> std::path::PathBuf {
    std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_shipped_rules_and_schemes_load_and_fit() {
    let rules = load_rules(&home().join("pipelines/rules")).unwrap();
    let scheme = load_scheme(&home().join("pipelines/schemes"), "general").unwrap();
    for id in scheme.rules() {
        assert!(rules.rule(id).is_some(), "scheme asks for unknown rule {id}");
    }
}

#[test]
fn an_unknown_scheme_gets_the_known_ones_back() {
    let message = load_scheme(&home().join("pipelines/schemes"), "generl").unwrap_err().to_string();
    assert!(message.contains("general"), "{message}");
}
