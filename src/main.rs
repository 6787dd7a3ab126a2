//! The program: parses the command line and dispatches.

use std::process::ExitCode;

use clap::Parser;
use zhiyin::cli::Arguments;

fn main() -> ExitCode {
    zhiyin::cli::main(Arguments::parse())
}
