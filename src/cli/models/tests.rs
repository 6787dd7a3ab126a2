//! What the commands say and how they exit, on real folders.

use clap::Parser;

use super::*;
use crate::registry::{HubSettings, RegistryConfig};

#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    command: ModelsCommand,
}

fn parse(line: &str) -> Result<ModelsCommand, clap::Error> {
    Cli::try_parse_from(std::iter::once("models").chain(line.split(' '))).map(|c| c.command)
}

/// A registry whose user folder is `dir`, without a network.
fn registry(dir: &std::path::Path) -> Registry {
    let hub = HubSettings { endpoint: None, offline_dir: None };
    Registry::open(RegistryConfig::new(&dir.join("home"), &dir.join("store"), hub))
}

fn ggml_file(dir: &std::path::Path) -> String {
    let path = dir.join("ggml-own.bin");
    std::fs::write(&path, b"lmgg and more").unwrap();
    path.display().to_string()
}

#[test]
fn the_commands_are_read_as_their_help_says() {
    assert_eq!(parse("list --json").unwrap(), ModelsCommand::List { json: true });
    assert_eq!(parse("verify").unwrap(), ModelsCommand::Verify { id: None, json: false });
    let pull = ModelsCommand::Pull { spec: "a/b@c".into(), sha256: Some("ff".into()), id: Some("x".into()), json: false };
    assert_eq!(parse("pull a/b@c --sha256 ff --id x").unwrap(), pull);
    assert!(parse("pull").is_err() && parse("remove").is_err() && parse("show").is_err());
    let help = parse("pull --help").unwrap_err().to_string();
    assert!(help.contains("zhiyin models pull whisper-small") && help.contains("HF_ENDPOINT"), "{help}");
}

#[tokio::test]
async fn a_model_is_pulled_shown_checked_and_removed() {
    let dir = tempfile::tempdir().unwrap();
    let registry = registry(dir.path());
    let spec = ggml_file(dir.path());
    let pull = ModelsCommand::Pull { spec: spec.clone(), sha256: None, id: None, json: false };
    assert_eq!(run(pull, &registry, "zhiyin-encoder-small").await.unwrap(), ExitCode::SUCCESS);

    let text = list(&registry.list(), false).unwrap();
    assert!(
        text.starts_with("ID        KIND  VERSION  SIZE  LANGUAGES  LICENCE     FROM\nggml-own  asr   1        13 B "),
        "{text}"
    );
    assert!(text.contains("More with `zhiyin models pull NAME`: whisper-tiny"), "{text}");
    let json: serde_json::Value = serde_json::from_str(&list(&registry.list(), true).unwrap()).unwrap();
    assert_eq!(json["models"][0]["card"]["id"], "ggml-own");
    assert_eq!(json["models"][0]["place"], "user");
    let text = show(&registry.find("ggml-own").unwrap(), false).unwrap();
    assert!(text.contains("sample rate   16000 Hz") && text.contains(&format!("source        {spec}")), "{text}");

    let (text, good) = verify(&registry, None, false).unwrap();
    assert_eq!((text.as_str(), good), ("good  ggml-own (1 files)\n", true));
    let file = registry.resolve("ggml-own").unwrap().weights();
    std::fs::write(&file, b"lmgg and less").unwrap();
    let (text, good) = verify(&registry, None, false).unwrap();
    assert!(!good && text.contains(&file.display().to_string()) && text.contains("zhiyin models pull"), "{text}");
    let command = ModelsCommand::Verify { id: Some("ggml-own".into()), json: true };
    assert_eq!(run(command, &registry, "zhiyin-encoder-small").await.unwrap(), ExitCode::FAILURE);

    let command = ModelsCommand::Remove { id: "ggml-own".into(), json: false };
    assert_eq!(run(command.clone(), &registry, "zhiyin-encoder-small").await.unwrap(), ExitCode::SUCCESS);
    let message = run(command, &registry, "zhiyin-encoder-small").await.unwrap_err().to_string();
    assert!(message.contains("there is no model `ggml-own`"), "{message}");
    assert!(list(&registry.list(), false).unwrap().starts_with("No models are here."));
}

#[test]
fn a_broken_card_is_named_and_fails_the_check() {
    let dir = tempfile::tempdir().unwrap();
    let registry = registry(dir.path());
    let folder = dir.path().join("home/models/m");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("card.toml"), "id = 7").unwrap();
    assert!(list(&registry.list(), false).unwrap().contains("Not usable: model card"));
    let (text, good) = verify(&registry, None, false).unwrap();
    assert!(!good && text.starts_with("BAD   model card"), "{text}");
}
