//! Fuzzes one parser: `scripts/fuzz.sh NAME [SECONDS]` builds this with coverage and runs it.
//!
//! Variables: `ZHIYIN_FUZZ` the parser's name, `ZHIYIN_FUZZ_SEEDS` a folder to write its real inputs into. The rest is
//! libFuzzer's command line.
#![no_main]

mod parsers;

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use parsers::Parser;

static PARSER: OnceLock<&'static Parser> = OnceLock::new();

fn chosen() -> &'static Parser {
    let name = std::env::var("ZHIYIN_FUZZ").unwrap_or_default();
    let Some(parser) = parsers::parser(&name) else {
        let known: Vec<&str> = parsers::PARSERS.iter().map(|p| p.name).collect();
        eprintln!("\"{name}\" is no parser; known are: {}", known.join(", "));
        std::process::exit(2);
    };
    if let Some(folder) = std::env::var_os("ZHIYIN_FUZZ_SEEDS") {
        for (place, seed) in (parser.seeds)().iter().enumerate() {
            let path = std::path::Path::new(&folder).join(format!("seed-{place}"));
            std::fs::write(&path, seed).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        }
    }
    parser
}

fuzz_target!(
    init: {
        // libFuzzer's hook ends the process at any panic; those of foreign decoders that the program catches are no findings.
        // One that is not caught still ends it.
        drop(std::panic::take_hook());
        PARSER.get_or_init(chosen);
    },
    |data: &[u8]| {
        if let Err(message) = (PARSER.get_or_init(chosen).parse)(data) {
            assert!(message.trim().len() > 3, "an error without a word");
        }
    }
);
