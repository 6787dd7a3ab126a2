use std::io::Cursor;

use super::*;

const VECTORS: &str = include_str!("../../tests/fixtures/quality-vectors.jsonl");

#[test]
fn all_conformance_vectors_pass() {
    let report = conformance::run(Cursor::new(VECTORS)).unwrap();
    for d in &report.differences {
        eprintln!("{} {}: expected {}, got {}", d.id, d.field, d.expected, d.got);
    }
    assert_eq!((report.passed, report.failed), (127, 0));
}
