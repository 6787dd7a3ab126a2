use super::*;

#[test]
fn the_shipped_pipelines_fit_together() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines");
    for id in ["live-assist", "quality-review"] {
        let spec = PipelineSpec::load(&folder.join(format!("{id}.toml"))).unwrap();
        assert_eq!(spec.id, id);
    }
}

#[test]
fn an_unknown_stage_gets_the_known_ones_back() {
    let problems = PipelineSpec::parse("id = \"x\"\n[[stage]]\nname = \"lisen\"\n").unwrap_err();
    assert!(problems[0].contains("lisen") && problems[0].contains("listen, read"), "{problems:?}");
}
