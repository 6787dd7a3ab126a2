//! What the stages share: the encoder, the readers, the knowledge index, the rules. One value for the whole process.

use std::path::Path;
use std::sync::Arc;

use super::{InForce, PipelineError, PipelineSpec};
use crate::asr::Engine;
use crate::assist::{AdvisorConfig, TemplateBook};
use crate::conversation::{EmotionReading, Language, Role, Understanding, Utterance, UtteranceId, VoiceReading};
use crate::emotion;
use crate::inference::{CrossEncoder, Encoder, Encoding};
use crate::knowledge::{AGENTS, Filters, KnowledgeIndex, SearchMode, SearchRequest, SearchResponse};
use crate::nlu::{Reader, Thread};
use crate::quality::{Models, RuleSet, Scheme};
use crate::text::itn::Itn;

/// Shared parts of all pipelines. Parts that are absent leave their stage out; the pipeline goes on.
pub struct Stages {
    /// Which stages run.
    pub spec: PipelineSpec,
    /// The encoder.
    pub encoder: Encoder,
    /// Intents, acts, conduct, entities.
    pub reader: Reader,
    /// Inverse text normalisation.
    pub itn: Itn,
    /// Kinds of personal data that are taken out before anything is kept; empty: none.
    pub privacy: crate::privacy::KindSet,
    /// Knowledge search.
    pub knowledge: Arc<KnowledgeIndex>,
    /// Wordings.
    pub templates: TemplateBook,
    /// When suggestions are made.
    pub advisor: AdvisorConfig,
    /// Quality rules, live and after the call, and how they become a score.
    pub quality: InForce,
    /// What rules may ask: similarity by the encoder.
    pub models: Models,
    /// Orders passages by reading each with the query; `None`: the cosine of the encoder's vectors.
    pub reranker: Option<Arc<CrossEncoder>>,
    /// The recogniser; `None`: text only.
    pub recogniser: Option<Engine>,
}

/// An utterance understood, with the encoding that knowledge search goes on with.
pub struct Understood {
    /// What was understood.
    pub understanding: Understanding,
    /// Sentence vector and heads.
    pub encoding: Encoding,
}

impl Stages {
    /// The quality rules in force.
    pub fn rules(&self) -> Arc<RuleSet> {
        self.quality.rules()
    }

    /// The scheme in force.
    pub fn scheme(&self) -> Arc<Scheme> {
        self.quality.scheme()
    }

    /// Reads the pipeline file `pipelines/<id>.toml` of a home folder.
    ///
    /// # Errors
    /// See [`PipelineSpec::load`].
    pub fn load_spec(home: &Path, id: &str) -> Result<PipelineSpec, PipelineError> {
        PipelineSpec::load(&home.join("pipelines").join(format!("{id}.toml")))
    }

    /// Readable text of a recognised one: digits for spoken numbers; punctuation from the encoder if the text has none.
    pub fn normalise(&self, raw: &str, language: Language) -> String {
        self.itn.apply(raw, language).0
    }

    /// Runs the encoder once on an utterance and reads everything from it. `thread` is what the customer spoke of before: his
    /// intents are read in its light, and it goes on with them.
    ///
    /// # Errors
    /// The encoder refused.
    pub async fn understand(
        &self,
        utterance: &Utterance,
        voice: Option<VoiceReading>,
        arousal: Option<f32>,
        thread: &mut Thread,
    ) -> Result<Understood, PipelineError> {
        let mut encoding = self.encoder.encode_async(utterance.text.as_str()).await?;
        if matches!(utterance.role, Role::Customer | Role::Unknown) {
            self.reader.in_thread(thread, &utterance.text, &mut encoding);
        }
        let understanding = self.read(&utterance.utterance_id, utterance.role, &utterance.text, &encoding, voice, arousal);
        Ok(Understood { understanding, encoding })
    }

    /// As [`Self::understand`], from an encoding that was made already: no model runs.
    pub fn understand_encoded(&self, utterance: &Utterance, encoding: &Encoding, thread: &mut Thread) -> Understood {
        let mut encoding = encoding.clone();
        if matches!(utterance.role, Role::Customer | Role::Unknown) {
            self.reader.in_thread(thread, &utterance.text, &mut encoding);
        }
        let understanding = self.read(&utterance.utterance_id, utterance.role, &utterance.text, &encoding, None, None);
        Understood { understanding, encoding }
    }

    /// Reads an encoding: the part of understanding that runs no model.
    pub fn read(
        &self,
        id: &UtteranceId,
        role: Role,
        text: &str,
        encoding: &Encoding,
        voice: Option<VoiceReading>,
        arousal: Option<f32>,
    ) -> Understanding {
        let nlu = self.reader.read(text, encoding);
        let emotion: Option<EmotionReading> = emotion::read(encoding, arousal);
        let customer = matches!(role, Role::Customer | Role::Unknown);
        Understanding {
            utterance_id: id.clone(),
            intents: if customer { nlu.intents } else { Vec::new() },
            ambiguous: customer && nlu.ambiguous,
            out_of_scope: if customer { nlu.out_of_scope } else { Default::default() },
            entities: super::entities::with_personal(text, nlu.entities),
            emotion,
            acts: nlu.acts,
            conduct: nlu.conduct,
            voice,
            models: models_of(encoding),
        }
    }

    /// Searches the knowledge base for an agent with the sentence vector of an utterance. A failed search is an empty one that
    /// names what was left out.
    pub async fn search(
        &self,
        query: String,
        vector: Option<Vec<f32>>,
        queue: Option<String>,
        language: Language,
    ) -> SearchResponse {
        let request = SearchRequest {
            top_k: 4,
            mode: SearchMode::Hybrid,
            languages: vec![language],
            filters: Filters::for_audience(AGENTS, queue),
            ..SearchRequest::new(query)
        };
        self.find(request, vector).await
    }

    /// Searches the knowledge base with the words of a conversation, which hold no operators. If the language asked for has no
    /// good answer, the other one is searched too, and taken if its answer is good: an article may exist in one language only.
    /// A failed search is an empty one that names what was left out.
    pub async fn find(&self, request: SearchRequest, vector: Option<Vec<f32>>) -> SearchResponse {
        let index = Arc::clone(&self.knowledge);
        let request = SearchRequest { spoken: true, ..request };
        let search = move || {
            let mut own = index.search(&request, vector.as_deref())?;
            let best = |answer: &SearchResponse| answer.passages.first().map_or(0.0, |hit| hit.score);
            if request.languages.len() == 1 && best(&own) < OTHER_LANGUAGE_BELOW {
                let languages =
                    [Language::Zh, Language::En].into_iter().filter(|other| !request.languages.contains(other)).collect();
                let other = index.search(&SearchRequest { languages, ..request }, vector.as_deref())?;
                if best(&other) > best(&own).max(OTHER_LANGUAGE_FROM) {
                    own = other;
                }
            }
            Ok::<_, crate::knowledge::KnowledgeError>(own)
        };
        match tokio::task::spawn_blocking(search).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => {
                tracing::warn!(%error, "knowledge search failed");
                empty_response()
            }
            Err(_) => empty_response(),
        }
    }
}

/// The encoder and every head that is not its own.
fn models_of(encoding: &Encoding) -> Vec<String> {
    let heads =
        encoding.sentence_heads.iter().map(|h| &h.spec.version).chain(encoding.token_heads.iter().map(|h| &h.spec.version));
    let mut models = vec![encoding.version.to_string()];
    models.extend(heads.filter(|v| **v != encoding.version).map(ToString::to_string));
    models
}
/// Best score below which articles of the other language are searched too.
const OTHER_LANGUAGE_BELOW: f32 = 0.35;
/// Score from which an article of the other language is taken instead.
const OTHER_LANGUAGE_FROM: f32 = 0.4;

fn empty_response() -> SearchResponse {
    SearchResponse { passages: Vec::new(), index_version: 0, degraded: vec!["lexical".into(), "dense".into()] }
}
