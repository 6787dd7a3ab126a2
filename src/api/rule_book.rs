//! Rules and schemes with their versions: drafts, what was published, and putting it in force.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{ApiContext, Problem};
use crate::access::Principal;
use crate::event::now_rfc3339;
use crate::pipeline::Stages;
use crate::quality::{Problem as RuleProblem, Rule, Scheme};
use crate::store::{AuditEntry, QualityDocument, QualityWrite, Store, StoreError, Write};

/// `quality_documents.kind` of rules.
pub(super) const RULE: &str = "rule";
/// `quality_documents.kind` of schemes.
pub(super) const SCHEME: &str = "scheme";

/// The newest version of each id that passes a test.
pub(super) fn newest(
    documents: Vec<QualityDocument>,
    test: impl Fn(&QualityDocument) -> bool,
) -> BTreeMap<String, QualityDocument> {
    // They come by id and version, so the last one of an id is the newest.
    documents.into_iter().filter(|d| test(d)).map(|d| (d.id.clone(), d)).collect()
}

fn version(document: &QualityDocument) -> Option<u64> {
    u64::try_from(document.version).ok()
}

/// Puts everything published into force. A stored version that this engine no longer reads is left out and logged; the
/// one that came with the product stays in its place.
///
/// # Errors
/// The store cannot be read.
pub async fn put_in_force(store: &Store, stages: &Stages) -> Result<(), StoreError> {
    let (mut rules, mut schemes) = (Vec::new(), Vec::new());
    for (id, document) in newest(store.quality_documents(RULE, None).await?, |d| d.state == "published") {
        match serde_json::from_str(&document.body).ok().and_then(|json: Value| Rule::from_json(&json).ok()) {
            Some(rule) => rules.push(Rule { version: version(&document), ..rule }),
            None => {
                tracing::error!(rule_id = %id, version = document.version, "a published rule cannot be read; it is not in force")
            }
        }
    }
    for (id, document) in newest(store.quality_documents(SCHEME, None).await?, |d| d.state == "published") {
        match serde_json::from_str(&document.body).ok().and_then(|json: Value| Scheme::from_json(&json).ok()) {
            Some(scheme) => schemes.push(Scheme { version: version(&document), ..scheme }),
            None => {
                tracing::error!(scheme_id = %id, version = document.version, "a published scheme cannot be read; it is not in force")
            }
        }
    }
    stages.quality.publish(rules, schemes);
    Ok(())
}

/// The version that the next draft of an id gets: shipped rules and schemes count as version 1.
pub(super) fn next_version(documents: &[QualityDocument], shipped: bool) -> i64 {
    let last = documents.iter().map(|d| d.version).max().unwrap_or(0);
    last.max(i64::from(shipped)) + 1
}

/// `invalid_rule` with every problem.
pub(super) fn invalid(problems: Vec<RuleProblem>) -> Problem {
    let mut problem = Problem::new("invalid_rule", format!("{} problems; `errors` lists them", problems.len()));
    for p in problems {
        let message = match &p.hint {
            Some(hint) => format!("{}; {hint}", p.message),
            None => p.message.clone(),
        };
        problem = problem.item(p.pointer.clone(), p.code, message);
    }
    problem
}

/// What to write so that a version is published, audited.
pub(super) fn publication(documents: Vec<QualityDocument>, principal: &Principal, detail: &str) -> Vec<Write> {
    let now = now_rfc3339();
    documents
        .into_iter()
        .flat_map(|d| {
            let audit = AuditEntry {
                time: now.clone(),
                actor: principal.token_id.clone(),
                action: format!("quality.{}.publish", d.kind),
                object: format!("{}@{}", d.id, d.version),
                detail: detail.to_owned(),
            };
            let published = QualityDocument {
                state: "published".into(),
                changed_at: now.clone(),
                changed_by: principal.token_id.clone(),
                ..d
            };
            [Write::Quality(QualityWrite::Document(published)), Write::Audit(audit)]
        })
        .collect()
}

/// A draft as it is kept.
pub(super) fn draft(kind: &str, id: &str, version: i64, body: &Value, principal: &Principal) -> QualityDocument {
    QualityDocument {
        kind: kind.to_owned(),
        id: id.to_owned(),
        version,
        state: "draft".into(),
        changed_at: now_rfc3339(),
        changed_by: principal.token_id.clone(),
        body: body.to_string(),
    }
}

/// Whether a rule or scheme of this id came with the product or was published.
pub(super) fn in_force(context: &ApiContext, kind: &str, id: &str) -> bool {
    let stages = context.hub.stages();
    if kind == RULE { stages.rules().rule(id).is_some() } else { stages.quality.scheme_of(id).is_some() }
}
