//! Checksums and numbering plans: what proves a number.

/// Weights of the check digit of a resident identity card (GB 11643-1999, ISO 7064 MOD 11-2).
const ID_WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
const ID_CHECKS: &[u8; 11] = b"10X98765432";
/// First two digits of the regions of an identity card (GB/T 2260).
const REGIONS: [u8; 35] = [
    11, 12, 13, 14, 15, 21, 22, 23, 31, 32, 33, 34, 35, 36, 37, 41, 42, 43, 44, 45, 46, 50, 51, 52, 53, 54, 61, 62, 63, 64, 65,
    71, 81, 82, 83,
];
/// Area codes of North America that are free for the caller or paid by him: they name a company, not a person.
const SERVICE_CODES: [&str; 8] = ["800", "888", "877", "866", "855", "844", "833", "900"];

/// The Luhn sum of a digit string ends in 0 (ISO/IEC 7812-1, annex B).
pub fn luhn(digits: &str) -> bool {
    let mut sum = 0;
    for (place, c) in digits.chars().rev().enumerate() {
        let Some(digit) = c.to_digit(10) else { return false };
        sum += match (place % 2 == 1, digit) {
            (false, d) => d,
            (true, d) if d > 4 => 2 * d - 9,
            (true, d) => 2 * d,
        };
    }
    !digits.is_empty() && sum % 10 == 0
}

/// A resident identity card of 18 places: region, date of birth and check digit are right.
pub fn id_card(number: &str) -> bool {
    let bytes = number.as_bytes();
    if bytes.len() != 18 || !bytes[..17].iter().all(u8::is_ascii_digit) {
        return false;
    }
    let part = |from: usize, to: usize| number[from..to].parse::<u32>().unwrap_or(0);
    let region = REGIONS.iter().any(|region| u32::from(*region) == part(0, 2));
    let sum: u32 = bytes[..17].iter().zip(ID_WEIGHTS).map(|(digit, weight)| u32::from(digit - b'0') * weight).sum();
    region && date(part(6, 10), part(10, 12), part(12, 14)) && ID_CHECKS[sum as usize % 11] == bytes[17].to_ascii_uppercase()
}

fn date(year: u32, month: u32, day: u32) -> bool {
    (1900..=2099).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day)
}

/// Eight digits that may be a date, `YYYYMMDD`.
pub(super) fn is_date(digits: &str) -> bool {
    let part = |from: usize, to: usize| digits.get(from..to).and_then(|d| d.parse::<u32>().ok()).unwrap_or(0);
    digits.len() == 8 && date(part(0, 4), part(4, 6), part(6, 8))
}

/// A social security number that may have been given out: no area 000, 666 or 9xx, no group 00, no serial 0000.
pub fn social_security(digits: &str) -> bool {
    digits.len() == 9
        && digits.bytes().all(|b| b.is_ascii_digit())
        && !digits.starts_with('9')
        && &digits[..3] != "000"
        && &digits[..3] != "666"
        && &digits[3..5] != "00"
        && &digits[5..] != "0000"
}

/// A bank card by its issuer range and Luhn sum.
pub fn bank_card(digits: &str) -> bool {
    let issuer = match digits.len() {
        15 => digits.starts_with("34") || digits.starts_with("37"),
        13 | 14 => digits.starts_with('4') || digits.starts_with("36") || digits.starts_with("30") || digits.starts_with("38"),
        16..=19 => {
            let two = digits[..2].parse::<u32>().unwrap_or(0);
            digits.starts_with('4') || matches!(two, 22..=27 | 51..=55 | 60 | 62 | 64 | 65 | 35 | 56..=58 | 67 | 81)
        }
        _ => false,
    };
    issuer && luhn(digits)
}

/// A mainland mobile number of 11 digits.
pub(super) fn mobile_cn(digits: &str) -> bool {
    let bytes = digits.as_bytes();
    bytes.len() == 11 && bytes[0] == b'1' && (b'3'..=b'9').contains(&bytes[1])
}

/// A mainland landline with its area code.
pub(super) fn landline_cn(digits: &str) -> bool {
    let bytes = digits.as_bytes();
    if bytes.len() < 10 || bytes[0] != b'0' {
        return false;
    }
    let (area, rest) = if bytes[1] == b'1' && bytes[2] == b'0' || bytes[1] == b'2' { (3, 8..=8) } else { (4, 7..=8) };
    let first = bytes.get(area).copied().unwrap_or(b'0');
    (area == 3 || (b'3'..=b'9').contains(&bytes[1])) && rest.contains(&(bytes.len() - area)) && (b'2'..=b'9').contains(&first)
}

/// A North American number of ten digits that may belong to a person.
pub(super) fn north_american(digits: &str) -> bool {
    let bytes = digits.as_bytes();
    bytes.len() == 10
        && (b'2'..=b'9').contains(&bytes[0])
        && !(bytes[1] == b'1' && bytes[2] == b'1')
        && (b'2'..=b'9').contains(&bytes[3])
        && !SERVICE_CODES.contains(&&digits[..3])
}

/// A British mobile number with its leading 0.
pub(super) fn mobile_uk(digits: &str) -> bool {
    digits.len() == 11 && digits.starts_with("07") && !digits.starts_with("070") && !digits.starts_with("076")
}

/// A British landline with its leading 0.
pub(super) fn landline_uk(digits: &str) -> bool {
    matches!(digits.len(), 10 | 11) && (digits.starts_with("01") || digits.starts_with("02"))
}

/// Hotlines, short codes and free numbers: they name a company, not a person. In a text with Han characters a number with
/// the area code of a mainland city is none.
pub(super) fn is_hotline(digits: &str, han: bool) -> bool {
    let free = ["400", "800"].iter().any(|head| digits.starts_with(head)) && digits.len() == 10;
    // Longer ones are several numbers in a row, of which the others may be a person's.
    let uk = ["0800", "0808", "03", "084", "087", "09"].iter().any(|head| digits.starts_with(head))
        && (10..=12).contains(&digits.len());
    let us = digits.len() == 11 && digits.starts_with('1') && SERVICE_CODES.contains(&&digits[1..4]);
    let short = (digits.starts_with("10") && matches!(digits.len(), 5 | 8)) || (digits.starts_with("95") && digits.len() == 5);
    free || us || short || (uk && !(han && landline_cn(digits)))
}
