//! The kinds of personal data and what is found of them.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::PrivacyError;

/// A kind of personal data, from the closed list of `pipelines/taxonomy/entity.toml`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Mobile telephone number. A North American number does not show whether it is one; it counts as mobile.
    Mobile,
    /// Landline telephone number.
    Landline,
    /// Number that a state gives a person: resident identity card, social security number, national insurance number.
    IdCard,
    /// Number of a bank card, 13 to 19 digits.
    BankCard,
    /// Passport number.
    Passport,
    /// Number plate of a vehicle.
    Plate,
    /// E-mail address.
    Email,
    /// Postal address.
    Address,
    /// Name of a person.
    Name,
    /// One-time code.
    VerificationCode,
}

impl Kind {
    /// All kinds, in the order of the documentation.
    pub const ALL: [Self; 10] = [
        Self::Mobile,
        Self::Landline,
        Self::IdCard,
        Self::BankCard,
        Self::Passport,
        Self::Plate,
        Self::Email,
        Self::Address,
        Self::Name,
        Self::VerificationCode,
    ];

    /// The wire name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mobile => "mobile",
            Self::Landline => "landline",
            Self::IdCard => "id_card",
            Self::BankCard => "bank_card",
            Self::Passport => "passport",
            Self::Plate => "plate",
            Self::Email => "email",
            Self::Address => "address",
            Self::Name => "name",
            Self::VerificationCode => "verification_code",
        }
    }

    /// Reads a wire name.
    ///
    /// # Errors
    /// [`PrivacyError::UnknownKind`] names the known ones.
    pub fn from_name(name: &str) -> Result<Self, PrivacyError> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| PrivacyError::UnknownKind { name: name.chars().take(40).collect() })
    }

    /// Whether the form of the value proves the kind: all but names and addresses.
    pub fn is_patterned(self) -> bool {
        !matches!(self, Self::Address | Self::Name)
    }

    /// Whether the value is a number that may be said in parts over several turns.
    pub(super) fn is_number(self) -> bool {
        matches!(self, Self::Mobile | Self::Landline | Self::IdCard | Self::BankCard | Self::VerificationCode | Self::Passport)
    }

    /// How many digits the whole number has at most.
    pub(super) fn digits_max(self) -> usize {
        match self {
            Self::IdCard => 18,
            Self::BankCard => 19,
            Self::VerificationCode => 8,
            Self::Passport => 9,
            _ => 12,
        }
    }
}

/// A set of kinds, for settings.
pub type KindSet = BTreeSet<Kind>;

/// Personal data in a text; places are code points, the end is exclusive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Kind.
    pub kind: Kind,
    /// First code point.
    pub start: usize,
    /// First code point behind it.
    pub end: usize,
    /// How sure the rules are, in (0, 1]: 1 a checksum holds or the form is unmistakable, 0.9 form and a word beside it
    /// agree, 0.7 the form alone. It orders findings; it is not a calibrated probability.
    pub strength: f32,
}

impl Finding {
    /// Whether two findings share a code point.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.start < other.end && other.start < self.end
    }
}
