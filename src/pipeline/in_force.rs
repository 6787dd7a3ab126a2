//! The rules and schemes in force: those that came with the product, and over them what was published since.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::quality::{Rule, RuleSet, Scheme};

/// Rules and schemes in force. A running call keeps the rules it began with; whatever begins later gets the newest.
pub struct InForce {
    shipped_rules: Arc<RuleSet>,
    shipped_schemes: BTreeMap<String, Arc<Scheme>>,
    default_scheme: Arc<Scheme>,
    now: RwLock<Now>,
}

#[derive(Clone)]
struct Now {
    rules: Arc<RuleSet>,
    schemes: BTreeMap<String, Arc<Scheme>>,
}

impl InForce {
    /// What came with the product; `scheme` is used where none is named.
    pub fn new(rules: RuleSet, schemes: Vec<Scheme>, scheme: Scheme) -> Self {
        let rules = Arc::new(rules);
        let mut schemes: BTreeMap<String, Arc<Scheme>> = schemes.into_iter().map(|s| (s.id.clone(), Arc::new(s))).collect();
        let default_scheme = Arc::new(scheme);
        schemes.insert(default_scheme.id.clone(), Arc::clone(&default_scheme));
        let now = RwLock::new(Now { rules: Arc::clone(&rules), schemes: schemes.clone() });
        Self { shipped_rules: rules, shipped_schemes: schemes, default_scheme, now }
    }

    /// The rules.
    pub fn rules(&self) -> Arc<RuleSet> {
        Arc::clone(&self.now.read().rules)
    }

    /// The scheme that is used where none is named.
    pub fn scheme(&self) -> Arc<Scheme> {
        self.scheme_of(&self.default_scheme.id).unwrap_or_else(|| Arc::clone(&self.default_scheme))
    }

    /// The scheme of an id.
    pub fn scheme_of(&self, id: &str) -> Option<Arc<Scheme>> {
        self.now.read().schemes.get(id).cloned()
    }

    /// The rules that came with the product.
    pub fn shipped_rules(&self) -> &RuleSet {
        &self.shipped_rules
    }

    /// The scheme of an id that came with the product.
    pub fn shipped_scheme(&self, id: &str) -> Option<Arc<Scheme>> {
        self.shipped_schemes.get(id).cloned()
    }

    /// All schemes, by id.
    pub fn schemes(&self) -> Vec<Arc<Scheme>> {
        self.now.read().schemes.values().cloned().collect()
    }

    /// Puts published rules and schemes over those that came with the product; equal ids replace.
    pub fn publish(&self, rules: Vec<Rule>, schemes: Vec<Scheme>) {
        let rules = Arc::new(overlay(&self.shipped_rules, rules));
        let mut all = self.shipped_schemes.clone();
        all.extend(schemes.into_iter().map(|s| (s.id.clone(), Arc::new(s))));
        *self.now.write() = Now { rules, schemes: all };
    }
}

/// A rule set with some rules replaced or added.
pub fn overlay(base: &RuleSet, over: Vec<Rule>) -> RuleSet {
    let kept = base.rules().iter().filter(|r| !over.iter().any(|o| o.id == r.id)).cloned();
    let all: Vec<Rule> = kept.chain(over.iter().cloned()).collect();
    RuleSet::compile(all)
}
