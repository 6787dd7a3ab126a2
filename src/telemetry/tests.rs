use super::*;

#[test]
fn a_declared_metric_is_rendered_with_its_help() {
    let handle = install_metrics().unwrap();
    metrics::counter!("zhiyin_events_appended_total").increment(2);
    let text = handle.render();
    assert!(text.contains("# HELP zhiyin_events_appended_total Durable events written."), "{text}");
}

#[test]
fn names_carry_unit_and_help_ends_with_a_stop() {
    for (name, help) in METRICS {
        assert!(name.starts_with("zhiyin_") && help.ends_with('.'), "{name}");
    }
}
