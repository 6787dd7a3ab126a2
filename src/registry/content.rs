//! Whether a file is what its name says: a log-in page saved as `model.safetensors` is found before it takes its place.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::ModelKind;

/// `ggml` as a little-endian number, as the file begins.
const GGML_MAGIC: [u8; 4] = 0x6767_6d6c_u32.to_le_bytes();
/// Longest header that the safetensors format allows, bytes.
const MAX_HEADER_BYTES: u64 = 100_000_000;

/// `Err` says what is wrong. Names without a known form pass.
pub(super) fn check(name: &str, kind: ModelKind, is_weights: bool, path: &Path) -> Result<(), String> {
    let extension = Path::new(name).extension().and_then(|e| e.to_str()).unwrap_or_default();
    let mut file = File::open(path).map_err(|e| e.to_string())?;
    let checked = match extension {
        "safetensors" => safetensors(&mut file),
        "json" => text(&mut file)
            .and_then(|t| serde_json::from_str::<serde::de::IgnoredAny>(&t).map(drop).map_err(|e| format!("no JSON: {e}"))),
        "toml" => {
            text(&mut file).and_then(|t| t.parse::<toml::Table>().map(drop).map_err(|e| format!("no TOML: {}", e.message())))
        }
        _ if kind == ModelKind::Asr && is_weights => ggml(&mut file),
        _ => Ok(()),
    };
    checked.map_err(
        |what| {
            if is_web_page(path) { "it is a web page, perhaps the log-in or error page of a proxy".into() } else { what }
        },
    )
}

fn ggml(file: &mut File) -> Result<(), String> {
    let mut magic = [0; 4];
    file.read_exact(&mut magic).map_err(|_| "no ggml file: it is shorter than four bytes".to_owned())?;
    if magic == GGML_MAGIC {
        return Ok(());
    }
    Err(match &magic {
        b"GGUF" => "it is a GGUF file; whisper.cpp reads the older `ggml-*.bin` form".into(),
        b"PK\x03\x04" => "it is a PyTorch checkpoint; convert it with whisper.cpp's convert-pt-to-ggml.py first".into(),
        other => format!("no ggml file: it begins with {other:02x?}, not with {GGML_MAGIC:02x?}"),
    })
}

/// Header length, header, and data exactly as long as the header says (<https://github.com/huggingface/safetensors>, "Format").
fn safetensors(file: &mut File) -> Result<(), String> {
    let total = file.metadata().map_err(|e| e.to_string())?.len();
    let mut length = [0; 8];
    file.read_exact(&mut length).map_err(|_| "no safetensors file: it is shorter than eight bytes".to_owned())?;
    let header_bytes = u64::from_le_bytes(length);
    if header_bytes > MAX_HEADER_BYTES || 8 + header_bytes > total {
        return Err("no safetensors file: the length of its header is out of range".into());
    }
    let mut header = String::new();
    file.take(header_bytes).read_to_string(&mut header).map_err(|e| e.to_string())?;
    let header: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(&header).map_err(|e| format!("no safetensors file: its header is no JSON: {e}"))?;
    let end = header.values().filter_map(|t| t.get("data_offsets")?.get(1)?.as_u64()).max().unwrap_or(0);
    let expected = 8 + header_bytes + end;
    if expected == total { Ok(()) } else { Err(format!("it has {total} bytes, its header says {expected}")) }
}

fn text(file: &mut File) -> Result<String, String> {
    let mut text = String::new();
    file.read_to_string(&mut text).map(|_| text).map_err(|e| format!("no text: {e}"))
}

fn is_web_page(path: &Path) -> bool {
    let mut start = [0; 512];
    let Ok(n) = File::open(path).and_then(|mut f| f.read(&mut start)) else { return false };
    let start = String::from_utf8_lossy(&start[..n]).to_ascii_lowercase();
    let start = start.trim_start();
    start.starts_with("<!doctype html") || start.starts_with("<html") || start.starts_with("<?xml")
}
