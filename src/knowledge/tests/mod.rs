//! Tests of the room: documents and files, the index, and the built-in articles.

mod builtin;
mod crash;
mod documents;
mod faq;
mod index;
mod rerank;

use std::error::Error;

use super::*;
use crate::conversation::Language;

/// A document with a title and a body; the id is made of the title.
fn document(title: &str, body: &str) -> Document {
    let language = Language::of_text(title);
    let content = DocumentContent { title: title.into(), language, body: body.into(), ..DocumentContent::default() };
    Document { document_id: document_id_of(title), version: 1, content }
}

fn lexical_config() -> KnowledgeConfig {
    KnowledgeConfig { vector: VectorBackend::None, ..KnowledgeConfig::default() }
}

const DIMENSION: usize = 64;

fn hybrid_config() -> KnowledgeConfig {
    KnowledgeConfig { dimension: DIMENSION, ..KnowledgeConfig::default() }
}

/// Vectors by hashing characters: texts that share characters are near each other. Enough to try the vector side.
fn embed(texts: &[&str]) -> std::result::Result<Vec<Vec<f32>>, Box<dyn Error + Send + Sync>> {
    Ok(texts.iter().map(|text| vector_of(text)).collect())
}

fn vector_of(text: &str) -> Vec<f32> {
    let mut vector = vec![0.01; DIMENSION];
    for c in crate::text::fold(text).chars().filter(|c| c.is_alphanumeric()) {
        vector[(c as usize).wrapping_mul(2_654_435_761) % DIMENSION] += 1.0;
    }
    vector
}

fn titles(response: &SearchResponse) -> Vec<&str> {
    response.passages.iter().map(|passage| passage.title.as_str()).collect()
}
