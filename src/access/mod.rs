//! Who may do what: bearer tokens, scopes, roles and row filters. Pure rules; the store keeps the tokens.
//!
//! A token is `zy_` and 32 random bytes in base32; only its SHA-256 is kept. A role is a named set of scopes and a
//! row filter (queues, teams, own calls).
//!
//! ```
//! use zhiyin::access::{shipped_role, Scope};
//! let agent = shipped_role("agent").unwrap();
//! assert!(agent.scopes.contains(&Scope::SuggestionsRead));
//! assert!(!agent.scopes.contains(&Scope::AdminTokens));
//! ```

mod limiter;
mod scope;
mod token;

pub use limiter::{RateClass, RateDecision, RateLimiter};
pub use scope::{RoleDefinition, RowFilter, SHIPPED_ROLES, Scope, shipped_role};
pub use token::{Principal, TicketBook, TokenRecord, hash_secret, new_secret};

#[cfg(test)]
mod tests;
