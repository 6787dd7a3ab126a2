//! A process that is killed while it indexes loses no document and doubles none.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::*;

const FOLDER: &str = "ZHIYIN_TEST_CRASH_FOLDER";
const DOCUMENTS: usize = 40;

fn documents(version: u32) -> Vec<Document> {
    let content = |n: usize| DocumentContent {
        title: format!("article number {n}"),
        body: format!("version {version} of the text of article {n}"),
        ..DocumentContent::default()
    };
    (0..DOCUMENTS)
        .map(|n| Document { document_id: document_id_of(&format!("crash-{n}")), version, content: content(n) })
        .collect()
}

/// What the killed process does: indexes two states in turn until the end.
#[test]
#[ignore = "runs only as the child of the test below"]
fn child() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let index = KnowledgeIndex::open(std::path::Path::new(&folder), hybrid_config()).unwrap();
    for version in 1.. {
        index.replace_all(&documents(version), Some(&embed)).unwrap();
        println!("{version}");
        index.upsert(&documents(version + 1)[version as usize % DOCUMENTS], Some(&embed)).unwrap();
    }
}

#[test]
fn a_killed_index_keeps_every_document_once() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..5_u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "knowledge::tests::crash::child", "--ignored", "--nocapture", "--test-threads=1"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // the first state is complete, then it is killed somewhere in a later one
        let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
        lines.by_ref().map_while(std::result::Result::ok).find(|line| line.trim().ends_with('1')).unwrap();
        std::thread::sleep(Duration::from_millis(37 * (round + 1)));
        child.kill().unwrap();
        child.wait().unwrap();

        let index = KnowledgeIndex::open(folder.path(), hybrid_config()).unwrap();
        assert_eq!(index.needs_rebuild(), None, "round {round}");
        assert_eq!(index.passage_count(), DOCUMENTS as u64, "round {round}");
        let request = SearchRequest { top_k: 200, mode: SearchMode::Hybrid, ..SearchRequest::new("article") };
        let config = KnowledgeConfig { candidates: 200, ..hybrid_config() };
        drop(index);
        let index = KnowledgeIndex::open(folder.path(), config).unwrap();
        let found = index.search(&request, Some(&vector_of("article"))).unwrap().passages;
        let ids: BTreeSet<&str> = found.iter().map(|hit| hit.document_id.as_str()).collect();
        assert_eq!((found.len(), ids.len()), (DOCUMENTS, DOCUMENTS), "round {round}: each once");
        assert!(
            found.iter().all(|hit| hit.text.contains(&format!("version {} ", hit.version))),
            "round {round}: text of its version"
        );
        let report = index.replace_all(&documents(1), Some(&embed)).unwrap();
        assert!(report.degraded.is_empty());
        assert_eq!(index.vector_count().unwrap(), Some(DOCUMENTS), "what the crash left of vectors goes at the next write");
    }
}
