//! Exact n-gram features of a text, for heads of one's own: what a linear SVM over characters and words sees.
//!
//! A text becomes one sparse vector: character n-grams of 1 to 5 code points over its folded form, and single words and
//! pairs of words. Counts are damped (1 + ln count), weighted by inverse document frequency, and each of the two blocks
//! has length 1 (Salton and Buckley, "Term-weighting approaches in automatic text retrieval", 1988). A head knows the
//! n-grams of its training texts by their 64-bit hash; others count towards nothing.

use std::collections::HashMap;

use half::f16;
use safetensors::tensor::Dtype;
use unicode_normalization::UnicodeNormalization;

use super::error::InferenceError;
use super::slab::Slab;
use super::weights::Weights;

/// Longest character n-gram, code points.
const CHARACTERS_MAX: usize = 5;
/// Longest run of words.
const WORDS_MAX: usize = 2;
/// Code points of a text that are looked at.
const MAX_CHARACTERS: usize = 512;
/// 2^64 divided by the golden ratio, odd (Knuth, TAOCP vol. 3, 6.4).
const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;
/// Seeds that keep the two blocks apart.
const SEEDS: [u64; BLOCKS] = [0x517C_C1B7_2722_0A95, 0x2545_F491_4F6C_DD1D];
const BLOCKS: usize = 2;

/// A vector with few entries: pairs of feature and value, by feature.
pub type Sparse = Vec<(u32, f32)>;

/// The form whose n-grams are counted: NFKC, lower case, one space between words and at both ends.
fn folded(text: &str) -> Vec<char> {
    let mut form = vec![' '];
    for c in text.chars().take(MAX_CHARACTERS).nfkc().flat_map(char::to_lowercase) {
        let c = if c.is_whitespace() || c.is_control() { ' ' } else { c };
        if c != ' ' || form.last() != Some(&' ') {
            form.push(c);
        }
    }
    if form.last() != Some(&' ') {
        form.push(' ');
    }
    form.truncate(MAX_CHARACTERS);
    form
}

fn extend(hash: u64, c: char) -> u64 {
    let mixed = (hash ^ u64::from(u32::from(c))).wrapping_mul(MULTIPLIER);
    mixed ^ (mixed >> 29)
}

/// Counts of the n-grams of a text by hash, one map per block.
fn counts(text: &str) -> [HashMap<u64, u32>; BLOCKS] {
    let form = folded(text);
    let mut found: [HashMap<u64, u32>; BLOCKS] = Default::default();
    if form.iter().all(|&c| c == ' ') {
        return found;
    }
    for start in 0..form.len() {
        let mut hash = SEEDS[0];
        for &c in form[start..].iter().take(CHARACTERS_MAX) {
            hash = extend(hash, c);
            *found[0].entry(hash).or_default() += 1;
        }
    }
    let words: Vec<&[char]> = form.split(|c| !c.is_alphanumeric()).filter(|w| !w.is_empty()).collect();
    for start in 0..words.len() {
        let mut hash = SEEDS[1];
        for word in words[start..].iter().take(WORDS_MAX) {
            hash = extend(word.iter().fold(hash, |h, &c| extend(h, c)), ' ');
            *found[1].entry(hash).or_default() += 1;
        }
    }
    found
}

/// The n-grams of a set of texts and how rare each is.
#[derive(Clone)]
pub struct Vocabulary {
    places: HashMap<u64, u32>,
    idf: Vec<f32>,
}

impl Vocabulary {
    /// The n-grams that stand in at least `min_texts` of the texts, by hash.
    pub fn of<T: AsRef<str>>(texts: &[T], min_texts: u32) -> Self {
        let mut frequency: HashMap<u64, u32> = HashMap::new();
        for text in texts {
            for hash in counts(text.as_ref()).iter().flat_map(HashMap::keys) {
                *frequency.entry(*hash).or_default() += 1;
            }
        }
        let mut kept: Vec<(u64, u32)> = frequency.into_iter().filter(|(_, n)| *n >= min_texts).collect();
        kept.sort_unstable();
        let all = texts.len() as f32;
        let idf = kept.iter().map(|(_, n)| ((1.0 + all) / (1.0 + *n as f32)).ln() + 1.0).collect();
        Self { places: (0_u32..).zip(&kept).map(|(place, (hash, _))| (*hash, place)).collect(), idf }
    }

    /// How many n-grams it knows.
    pub fn len(&self) -> usize {
        self.idf.len()
    }

    /// Whether it knows none.
    pub fn is_empty(&self) -> bool {
        self.idf.is_empty()
    }

    /// The vector of a text; empty when it has no known n-gram.
    pub fn vector(&self, text: &str) -> Sparse {
        let mut vector = Sparse::new();
        for block in counts(text) {
            let begin = vector.len();
            for (hash, count) in block {
                if let Some(&place) = self.places.get(&hash) {
                    vector.push((place, (1.0 + (count as f32).ln()) * self.idf[place as usize]));
                }
            }
            // A fixed order of summing keeps the result the same from run to run.
            vector[begin..].sort_unstable_by_key(|(place, _)| *place);
            let length = vector[begin..].iter().map(|(_, v)| v * v).sum::<f32>().sqrt();
            vector[begin..].iter_mut().for_each(|(_, v)| *v /= length);
        }
        vector.sort_unstable_by_key(|(place, _)| *place);
        vector
    }

    fn hashes(&self) -> Vec<u64> {
        let mut hashes = vec![0; self.idf.len()];
        self.places.iter().for_each(|(hash, place)| hashes[*place as usize] = *hash);
        hashes
    }
}

/// The part of a head that reads n-grams: one row of label weights per n-gram, kept as f16.
pub struct NgramPart {
    vocabulary: Vocabulary,
    labels: usize,
    rows: Slab<f16>,
}

impl NgramPart {
    /// A part over `vocabulary`; `rows` holds `labels` weights for each of its n-grams.
    ///
    /// # Panics
    /// When `rows` does not have that length.
    pub fn new(vocabulary: Vocabulary, labels: usize, rows: &[f32]) -> Self {
        assert_eq!(rows.len(), vocabulary.len() * labels, "one weight per n-gram and label");
        let rows: Vec<f16> = rows.iter().map(|v| f16::from_f32(*v)).collect();
        Self { vocabulary, labels, rows: Slab::of(&rows) }
    }

    /// Adds what the n-grams of a text say to its logits.
    pub fn add_to(&self, text: &str, logits: &mut [f32]) {
        for (place, value) in self.vocabulary.vector(text) {
            let row = &self.rows[place as usize * self.labels..][..self.labels];
            logits.iter_mut().zip(row).for_each(|(l, w)| *l += value * w.to_f32());
        }
    }

    /// Labels of a row.
    pub fn labels(&self) -> usize {
        self.labels
    }

    /// n-grams that it knows.
    pub fn ngrams(&self) -> usize {
        self.vocabulary.len()
    }

    /// Reads the tensors `<name>.hash`, `.idf` and `.weight`; `None` when the file has none of them.
    pub(super) fn read(weights: &Weights, name: &str, labels: usize) -> Result<Option<Self>, InferenceError> {
        let [hash, idf, weight] = ["hash", "idf", "weight"].map(|part| format!("{name}.{part}"));
        if !weights.has(&hash) {
            return Ok(None);
        }
        let hashes = weights.hashes(&hash)?;
        let idf = weights.tensor(&idf, &[hashes.len()])?;
        let rows = weights.tensor(&weight, &[hashes.len(), labels])?;
        let places: HashMap<u64, u32> = (0_u32..).zip(&hashes).map(|(place, hash)| (*hash, place)).collect();
        if places.len() != hashes.len() {
            return Err(weights.mismatch(format!("tensor `{hash}` names an n-gram twice")));
        }
        Ok(Some(Self::new(Vocabulary { places, idf }, labels, &rows)))
    }

    /// Its tensors, as [`NgramPart::read`] takes them: name, type, shape, bytes.
    pub(super) fn tensors(&self, name: &str) -> Vec<(String, Dtype, Vec<usize>, Vec<u8>)> {
        let count = self.vocabulary.len();
        let hashes = self.vocabulary.hashes().iter().flat_map(|h| h.to_le_bytes()).collect();
        let idf = self.vocabulary.idf.iter().flat_map(|v| v.to_le_bytes()).collect();
        let rows = self.rows.iter().flat_map(|v| v.to_le_bytes()).collect();
        vec![
            (format!("{name}.hash"), Dtype::U64, vec![count], hashes),
            (format!("{name}.idf"), Dtype::F32, vec![count], idf),
            (format!("{name}.weight"), Dtype::F16, vec![count, self.labels], rows),
        ]
    }
}
