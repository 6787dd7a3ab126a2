//! Articles that say the same, and articles that contradict each other.
//!
//! Texts are compared by shingles of five characters without digits (Broder, *On the resemblance and containment of
//! documents*, 1997): the smallest hashes of each text are a sketch, and the share of equal hashes estimates how much two
//! texts have in common. Two that are alike but name other numbers contradict each other; so do two of one title.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

use serde::Serialize;

use crate::text::fold;

use super::document::DocumentContent;
use super::markup::blocks;

/// Characters of a shingle.
const SHINGLE: usize = 5;
/// Hashes of a sketch.
const SKETCH: usize = 96;
/// Share of equal shingles from which two texts are alike.
const ALIKE: f64 = 0.7;
/// Shorter texts are compared as a whole.
const LEAST_SHINGLES: usize = 8;

/// What was found about two articles.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Finding {
    /// What it is.
    pub kind: FindingKind,
    /// The two articles, by id or by place in a file.
    pub documents: [String; 2],
    /// Share of the text that they have in common, in [0, 1].
    pub similarity: f64,
    /// What to look at.
    pub detail: String,
}

/// Kind of a [`Finding`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// They contradict each other: alike with other numbers, or one title and other texts.
    Conflict,
    /// They say the same.
    Duplicate,
}

struct Text {
    title: String,
    sketch: BTreeSet<u64>,
    numbers: BTreeSet<String>,
}

/// Compares articles of one language with each other; conflicts first. The names are what findings call them by.
pub fn findings<'a>(articles: impl IntoIterator<Item = (&'a str, &'a DocumentContent)>) -> Vec<Finding> {
    let articles: Vec<(&str, &DocumentContent)> = articles.into_iter().collect();
    let texts: Vec<Text> = articles.iter().map(|(_, content)| text_of(content)).collect();
    let mut found = Vec::new();
    for (a, b) in candidates(&articles, &texts) {
        let (left, right) = (&texts[a], &texts[b]);
        let similarity = resemblance(&left.sketch, &right.sketch);
        let names = [articles[a].0.to_owned(), articles[b].0.to_owned()];
        let finding = |kind, detail| Finding { kind, documents: names.clone(), similarity, detail };
        if similarity >= ALIKE && left.numbers != right.numbers {
            let differing: Vec<&str> = left.numbers.symmetric_difference(&right.numbers).map(String::as_str).collect();
            found.push(finding(FindingKind::Conflict, format!("alike, but these numbers differ: {}", differing.join(", "))));
        } else if similarity >= ALIKE {
            found.push(finding(FindingKind::Duplicate, "the texts are alike; keep one".to_owned()));
        } else if left.title == right.title {
            found.push(finding(FindingKind::Conflict, format!("one title, `{}`, and different texts", articles[a].1.title)));
        }
    }
    found.sort_by(|a, b| a.kind.cmp(&b.kind).then(b.similarity.total_cmp(&a.similarity)).then(a.documents.cmp(&b.documents)));
    found
}

fn text_of(content: &DocumentContent) -> Text {
    let plain: Vec<String> = blocks(&content.body, content.format).into_iter().map(super::markup::Block::into_text).collect();
    let folded = fold(&plain.join(" "));
    let letters: Vec<char> = folded.chars().filter(|c| c.is_alphanumeric() && !c.is_numeric()).collect();
    let hash = |item: &[char]| {
        let mut hasher = DefaultHasher::new();
        item.hash(&mut hasher);
        hasher.finish()
    };
    let all: BTreeSet<u64> = if letters.len() < SHINGLE + LEAST_SHINGLES {
        [hash(&letters)].into()
    } else {
        letters.windows(SHINGLE).map(hash).collect()
    };
    let numbers = folded.split(|c: char| !c.is_ascii_digit()).filter(|digits| !digits.is_empty()).map(str::to_owned).collect();
    Text { title: fold(&content.title), sketch: all.into_iter().take(SKETCH).collect(), numbers }
}

/// Pairs of one language that share a title or part of their sketches.
fn candidates(articles: &[(&str, &DocumentContent)], texts: &[Text]) -> BTreeSet<(usize, usize)> {
    let mut by_hash: HashMap<u64, Vec<usize>> = HashMap::new();
    let mut by_title: HashMap<&str, Vec<usize>> = HashMap::new();
    for (n, text) in texts.iter().enumerate() {
        text.sketch.iter().for_each(|hash| by_hash.entry(*hash).or_default().push(n));
        by_title.entry(&text.title).or_default().push(n);
    }
    let mut shared: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    for group in by_hash.values().filter(|group| group.len() > 1 && group.len() <= 200) {
        for (position, a) in group.iter().enumerate() {
            group[position + 1..].iter().for_each(|b| *shared.entry((*a, *b)).or_default() += 1);
        }
    }
    let enough = |(a, b): &(usize, usize), count: usize| 3 * count >= texts[*a].sketch.len().min(texts[*b].sketch.len());
    let alike = shared.into_iter().filter(|(pair, count)| enough(pair, *count)).map(|(pair, _)| pair);
    let titled =
        by_title.values().flat_map(|group| group.iter().enumerate().flat_map(|(n, a)| group[n + 1..].iter().map(|b| (*a, *b))));
    let one_language = |(a, b): &(usize, usize)| articles[*a].1.language == articles[*b].1.language;
    alike.chain(titled).filter(one_language).collect()
}

/// Resemblance by bottom-k sketches: of the k smallest hashes of both together, the share that is in both.
fn resemblance(a: &BTreeSet<u64>, b: &BTreeSet<u64>) -> f64 {
    let union: BTreeSet<&u64> = a.union(b).take(SKETCH).collect();
    let both = union.iter().filter(|hash| a.contains(**hash) && b.contains(**hash)).count();
    both as f64 / union.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn article(title: &str, body: &str) -> DocumentContent {
        let language = crate::conversation::Language::of_text(body);
        DocumentContent { title: title.into(), body: body.into(), language, ..DocumentContent::default() }
    }

    #[test]
    fn copies_and_contradictions_are_told_apart() {
        let body =
            "退款审核通过后，款项会在3个工作日内原路退回到付款账户，节假日顺延；信用卡以银行记账时间为准，请客户留意短信通知。";
        let first = article("退款多久到账", body);
        let copy = article("退款到账时间", &body.replace("请客户", "请您"));
        let other_number = article("退款时效", &body.replace('3', "15"));
        let same_title = article("退款多久到账", "请联系人工客服，由财务部门在核对订单以后安排打款，具体时间以通知为准。");
        let unrelated = article("宽带断网", "先看光猫的指示灯，红灯闪烁说明光路不通，需要安排师傅上门检修，请约时间。");
        let found = findings([("a", &first), ("b", &copy), ("c", &other_number), ("d", &same_title), ("e", &unrelated)]);
        let kind = |x: &str, y: &str| found.iter().find(|f| f.documents == [x, y]).map(|f| f.kind);
        assert_eq!(kind("a", "b"), Some(FindingKind::Duplicate));
        assert_eq!(kind("a", "c"), Some(FindingKind::Conflict));
        assert_eq!(kind("a", "d"), Some(FindingKind::Conflict));
        assert!(found.iter().all(|f| !f.documents.contains(&"e".to_owned())));
    }
}
