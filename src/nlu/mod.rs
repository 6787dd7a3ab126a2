//! Natural-language understanding: an [`Encoding`](crate::inference::Encoding) and the words -> intent, act, entities, conduct.
//!
//! The encoder ran before; nothing here runs a model. [`Reader::read`] ranks the intents, decides about ambiguity and
//! scope, and joins the entities tagged by the encoder with those that a pattern proves (numbers, amounts, addresses
//! of mail and web) and the names of the deployment ([`Gazetteer`]), which win.
//! Words that speak for a conduct label ([`Cues`]) raise its probability.
//! Within a conversation a [`Thread`] carries what was spoken of from turn to turn.
//!
//! ```no_run
//! # fn f(encoder: &zhiyin::inference::Encoder) -> Result<(), Box<dyn std::error::Error>> {
//! use zhiyin::nlu::{Reader, Taxonomy};
//! let reader = Reader::new(Taxonomy::load("pipelines/taxonomy".as_ref())?);
//! let text = "我想查一下上个月的话费账单";
//! let reading = reader.read(text, &encoder.encode(text)?);
//! println!("{:?}", reading.intents.first());
//! # Ok(()) }
//! ```

mod context;
mod cues;
mod error;
mod forms;
mod gazetteer;
mod patterns;
mod reader;
mod taxonomy;

pub use context::{Thread, is_short_answer};
pub use cues::Cues;
pub use error::NluError;
pub use gazetteer::Gazetteer;
pub use patterns::{PatternEntity, find_entities};
pub use reader::{NluReading, Reader};
pub use taxonomy::{IntentEntry, Taxonomy};

#[cfg(test)]
mod tests;
