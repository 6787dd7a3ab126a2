//! ITU-T G.711 companding, µ-law and A-law, by the segment formulas of the standard.
//!
//! Linear values are 16-bit: µ-law's 14-bit and A-law's 13-bit scale shifted up. Tests hold the tables against
//! the continuous curves of the standard and against each other.

/// µ-law bias on the 16-bit scale: 33 of the 14-bit scale, times 4.
const MULAW_BIAS: i32 = 132;
/// Largest magnitude that µ-law can hold without overflow of the bias.
const MULAW_CLIP: i32 = 32_635;

static MULAW: [i16; 256] = mulaw_table();
static ALAW: [i16; 256] = alaw_table();

const fn mulaw_table() -> [i16; 256] {
    let mut table = [0i16; 256];
    let mut code = 0usize;
    while code < 256 {
        let bits = !(code as u8);
        let segment = ((bits >> 4) & 7) as i32;
        let step = (bits & 15) as i32;
        let magnitude = (((step << 3) + MULAW_BIAS) << segment) - MULAW_BIAS;
        table[code] = if bits & 0x80 != 0 { -magnitude as i16 } else { magnitude as i16 };
        code += 1;
    }
    table
}

const fn alaw_table() -> [i16; 256] {
    let mut table = [0i16; 256];
    let mut code = 0usize;
    while code < 256 {
        let bits = (code as u8) ^ 0x55;
        let segment = ((bits >> 4) & 7) as i32;
        let step = (bits & 15) as i32;
        let magnitude = if segment == 0 { (step << 4) + 8 } else { ((step << 4) + 0x108) << (segment - 1) };
        table[code] = if bits & 0x80 != 0 { magnitude as i16 } else { -magnitude as i16 };
        code += 1;
    }
    table
}

/// The 16-bit linear value of a µ-law byte, -32124 to 32124.
pub fn mulaw_decode(code: u8) -> i16 {
    MULAW[usize::from(code)]
}

/// The 16-bit linear value of an A-law byte, -32256 to 32256.
pub fn alaw_decode(code: u8) -> i16 {
    ALAW[usize::from(code)]
}

/// The µ-law byte of a 16-bit linear value.
pub fn mulaw_encode(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80u8 } else { 0 };
    let magnitude = i32::from(sample).abs().min(MULAW_CLIP) + MULAW_BIAS;
    // magnitude is in 132..=32767, so its top bit is bit 7 to 14
    let segment = (31 - magnitude.leading_zeros() as i32) - 7;
    let step = (magnitude >> (segment + 3)) & 15;
    !(sign | ((segment as u8) << 4) | step as u8)
}

/// The A-law byte of a 16-bit linear value.
pub fn alaw_encode(sample: i16) -> u8 {
    // A negative value is mirrored so that -1 falls into the first negative step, as the standard asks.
    let (sign, magnitude) = if sample >= 0 { (0x80u8, i32::from(sample)) } else { (0, !i32::from(sample)) };
    let segment = if magnitude < 256 { 0 } else { (31 - magnitude.leading_zeros() as i32) - 7 };
    let step = if segment == 0 { magnitude >> 4 } else { magnitude >> (segment + 3) } & 15;
    (sign | ((segment as u8) << 4) | step as u8) ^ 0x55
}
