use super::*;

#[test]
fn unknown_role_is_read_as_unknown() {
    let turn: Turn = serde_json::from_str(r#"{"role":"visitor","text":"x"}"#).unwrap();
    assert_eq!(turn.role, Role::Unknown);
}

#[test]
fn absent_annotation_differs_from_empty() {
    let absent: Turn = serde_json::from_str(r#"{"role":"agent","text":"x"}"#).unwrap();
    let empty: Turn = serde_json::from_str(r#"{"role":"agent","text":"x","intents":[]}"#).unwrap();
    assert_eq!((absent.intents, empty.intents), (None, Some(vec![])));
}

#[test]
fn ids_carry_their_prefix_and_sort_by_time() {
    let first = new_id(IdKind::Call);
    std::thread::sleep(std::time::Duration::from_millis(2));
    let second = new_id(IdKind::Call);
    assert!(first.starts_with("call_") && first < second);
}

#[test]
fn language_tags() {
    for (tag, expected) in [("zh-CN", Some(Language::Zh)), ("en-GB", Some(Language::En)), ("fr", None)] {
        assert_eq!(Language::from_tag(tag), expected, "{tag}");
    }
}
