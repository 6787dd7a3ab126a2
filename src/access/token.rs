//! Tokens, tickets and the principal that a request acts for.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rand::RngCore;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{RowFilter, Scope};

/// A token as it is kept: never its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRecord {
    /// `tok_…`.
    pub token_id: String,
    /// What it is for.
    pub name: String,
    /// SHA-256 of the secret, hexadecimal.
    pub secret_sha256: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// Which calls it sees.
    pub row_filter: RowFilter,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339; `None` = never.
    pub expires_at: Option<String>,
    /// RFC 3339; `None` = in force.
    pub revoked_at: Option<String>,
}

/// For whom a request acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Token id.
    pub token_id: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// Which calls it sees.
    pub row_filter: RowFilter,
}

impl Principal {
    /// Whether it has a scope.
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }
}

/// A fresh secret: `zy_` and 32 random bytes in Crockford's base32, lower case.
pub fn new_secret() -> String {
    let mut bytes = [0_u8; 32];
    rand::rng().fill_bytes(&mut bytes);
    format!("zy_{}", base32(&bytes))
}

/// SHA-256 of a secret, hexadecimal: what is kept of it.
pub fn hash_secret(secret: &str) -> String {
    Sha256::digest(secret.as_bytes()).iter().map(|b| format!("{b:02x}")).collect()
}

fn base32(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let (mut text, mut buffer, mut bits) = (String::new(), 0_u32, 0);
    for byte in bytes {
        buffer = (buffer << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(char::from(ALPHABET[((buffer >> bits) & 31) as usize]));
        }
        buffer &= (1 << bits) - 1;
    }
    if bits > 0 {
        text.push(char::from(ALPHABET[((buffer << (5 - bits)) & 31) as usize]));
    }
    text
}

/// Single-use tickets for browser sockets, which cannot set headers. A ticket lives 30 s.
#[derive(Default)]
pub struct TicketBook {
    tickets: Mutex<HashMap<String, Ticket>>,
}

struct Ticket {
    principal: Principal,
    call_id: Option<String>,
    expires: Instant,
}

impl TicketBook {
    /// How long a ticket is valid.
    pub const LIFE: Duration = Duration::from_secs(30);

    /// Issues a ticket for a principal, for one call or for all.
    pub fn issue(&self, principal: Principal, call_id: Option<String>) -> String {
        let ticket = new_secret().replacen("zy_", "zt_", 1);
        let mut tickets = self.tickets.lock();
        let now = Instant::now();
        tickets.retain(|_, t| t.expires > now);
        tickets.insert(ticket.clone(), Ticket { principal, call_id, expires: now + Self::LIFE });
        ticket
    }

    /// Redeems a ticket, once. `None`: unknown, used, expired or for another call.
    pub fn redeem(&self, ticket: &str, call_id: Option<&str>) -> Option<Principal> {
        let ticket = self.tickets.lock().remove(ticket)?;
        let fits = ticket.call_id.is_none() || ticket.call_id.as_deref() == call_id;
        (fits && ticket.expires > Instant::now()).then_some(ticket.principal)
    }
}
