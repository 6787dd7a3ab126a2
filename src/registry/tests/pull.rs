//! `pull` against a hub on the loopback address, against folders, and against names that make no sense.

use std::sync::Mutex;

use super::server::{Route, Server};
use super::*;

const WHISPER: &str = "/ggerganov/whisper.cpp/resolve/main/ggml-tiny.bin";

fn hub(server: &Server) -> HubSettings {
    HubSettings { endpoint: Some(server.address.clone()), offline_dir: None }
}

async fn pull(registry: &Registry, spec: &str) -> Result<ModelEntry, RegistryError> {
    registry.pull(&PullRequest { spec: spec.into(), ..PullRequest::default() }, &|_| {}).await
}

/// A hub's answer for a large file: a redirect that tells checksum and length, then the content elsewhere.
fn route_large(server: &Server, path: &str, told_sha256: &str, content: Route) {
    let target = format!("/cdn{path}");
    let redirect = Route::new("")
        .status(302)
        .header("location", target.clone())
        .header("x-linked-etag", format!("\"{told_sha256}\""))
        .header("x-linked-size", content.body.len().to_string());
    server.route(path, Route { ranges: false, ..redirect });
    server.route(&target, content);
}

#[tokio::test]
async fn a_known_name_brings_a_checked_recogniser_and_its_card() {
    let (place, server) = (Place::new(), Server::start().await);
    let content = ggml(200_000);
    route_large(&server, WHISPER, &sha256(&content), Route::new(content.clone()));
    let seen = Mutex::new(Vec::new());
    let registry = place.registry(hub(&server));
    let request = PullRequest { spec: "whisper-tiny".into(), ..PullRequest::default() };
    let entry = registry.pull(&request, &|p: &PullProgress| seen.lock().unwrap().push(p.clone())).await.unwrap();
    assert_eq!(entry.card.source, "ggerganov/whisper.cpp/ggml-tiny.bin@main");
    assert_eq!((entry.card.licence.as_str(), entry.card.sample_rate_hz), ("MIT", Some(16_000)));
    let last = seen.lock().unwrap().last().cloned().unwrap();
    assert_eq!(last, PullProgress { file: "ggml-tiny.bin".into(), done_bytes: 200_000, total_bytes: Some(200_000) });
    let model = registry.resolve_kind("whisper-tiny", ModelKind::Asr).unwrap();
    assert_eq!(std::fs::read(model.weights()).unwrap(), content);
    assert_eq!(registry.list().models, [entry]);
    assert!(registry.verify("whisper-tiny").unwrap().is_good());
    let names: Vec<_> = std::fs::read_dir(place.user("whisper-tiny")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "the file and the card: {names:?}");
}

#[tokio::test]
async fn a_cut_connection_is_taken_up_where_it_broke() {
    let (place, server) = (Place::new(), Server::start().await);
    let content = ggml(100_000);
    route_large(&server, WHISPER, &sha256(&content), Route::new(content.clone()).cuts(&[40_000, 25_000]));
    pull(&place.registry(hub(&server)), "whisper-tiny").await.unwrap();
    assert_eq!(std::fs::read(place.user("whisper-tiny").join("ggml-tiny.bin")).unwrap(), content);
    assert_eq!(server.ranges(&format!("/cdn{WHISPER}")), ["", "bytes=40000-", "bytes=65000-"]);
}

#[tokio::test]
async fn a_pull_that_gave_up_goes_on_with_the_next_command() {
    let (place, server) = (Place::new(), Server::start().await);
    let (content, registry) = (ggml(100_000), place.registry(hub(&server)));
    route_large(&server, WHISPER, &sha256(&content), Route::new(content.clone()).cuts(&[30_000, 0, 0, 0, 0, 0]));
    let error = pull(&registry, "whisper-tiny").await.unwrap_err();
    assert!(matches!(error, RegistryError::Transfer { kept_bytes: 30_000, .. }), "{error}");
    assert!(error.to_string().contains("run the same command again to go on"), "{error}");
    assert!(registry.list().models.is_empty() && !place.user("whisper-tiny").exists());
    server.ranges(&format!("/cdn{WHISPER}"));

    pull(&registry, "whisper-tiny").await.unwrap();
    assert_eq!(server.ranges(&format!("/cdn{WHISPER}")), ["bytes=30000-"]);
    assert_eq!(std::fs::read(registry.resolve("whisper-tiny").unwrap().weights()).unwrap(), content);
}

#[tokio::test]
async fn parts_of_two_versions_are_never_joined() {
    let (place, server) = (Place::new(), Server::start().await);
    let (old, mut new) = (ggml(100_000), ggml(100_000));
    new[10] = 77;
    let registry = place.registry(hub(&server));
    let spec = format!("{}/own.bin", server.address);
    server.route("/own.bin", Route::new(old).header("etag", "\"v1\"").cuts(&[50_000, 0, 0, 0, 0, 0]));
    pull(&registry, &spec).await.unwrap_err();
    server.route("/own.bin", Route::new(new.clone()).header("etag", "\"v2\""));
    pull(&registry, &spec).await.unwrap();
    assert_eq!(std::fs::read(registry.resolve("own").unwrap().weights()).unwrap(), new);
}

#[tokio::test]
async fn a_server_without_ranges_or_tags_starts_over() {
    let (place, server) = (Place::new(), Server::start().await);
    let content = ggml(100_000);
    server.route("/own.bin", Route { ranges: false, ..Route::new(content.clone()).cuts(&[50_000]) });
    pull(&place.registry(hub(&server)), &format!("{}/own.bin", server.address)).await.unwrap();
    assert_eq!(std::fs::read(place.user("own").join("own.bin")).unwrap(), content);
    assert_eq!(server.ranges("/own.bin"), ["", ""]);
}

#[tokio::test]
async fn wrong_bytes_are_refused_and_deleted_and_the_old_model_stays() {
    let (place, server) = (Place::new(), Server::start().await);
    let (content, registry) = (ggml(50_000), place.registry(hub(&server)));
    route_large(&server, WHISPER, &sha256(&content), Route::new(content.clone()));
    pull(&registry, "whisper-tiny").await.unwrap();

    let told = sha256(b"something else");
    route_large(&server, WHISPER, &told, Route::new(ggml(60_000)));
    let error = pull(&registry, "whisper-tiny").await.unwrap_err();
    assert!(matches!(&error, RegistryError::Checksum { expected, .. } if *expected == told), "{error}");
    let unfinished = place.store.path().join("models/.pull-whisper-tiny");
    assert_eq!(std::fs::read_dir(unfinished).unwrap().count(), 0, "the wrong file is gone");
    assert_eq!(std::fs::read(registry.resolve("whisper-tiny").unwrap().weights()).unwrap(), content);
}

#[tokio::test]
async fn the_users_checksum_is_compared() {
    let (place, server) = (Place::new(), Server::start().await);
    let (content, registry) = (ggml(5_000), place.registry(hub(&server)));
    server.route("/own.bin", Route::new(content.clone()));
    let with = |sha256: String| PullRequest {
        spec: format!("{}/own.bin", server.address),
        sha256: Some(sha256),
        id: Some("mine".into()),
    };
    let error = registry.pull(&with(sha256(b"other")), &|_| {}).await.unwrap_err();
    assert!(matches!(error, RegistryError::Checksum { .. }), "{error}");
    let error = registry.pull(&with("abc".into()), &|_| {}).await.unwrap_err();
    assert!(error.to_string().contains("64 hexadecimal digits"), "{error}");
    registry.pull(&with(sha256(&content).to_uppercase()), &|_| {}).await.unwrap();
    assert!(registry.verify("mine").unwrap().is_good());
}

#[tokio::test]
async fn a_repository_is_pinned_to_its_commit_and_its_files_are_compared() {
    let (place, server) = (Place::new(), Server::start().await);
    let (weights, commit) = (safetensors(1000), "0123456789abcdef0123456789abcdef01234567");
    let manifest = serde_json::json!({
        "sha": commit, "cardData": { "license": "mit" },
        "siblings": [
            { "rfilename": "config.json", "size": 2 }, { "rfilename": "tokenizer.json", "size": 2 },
            { "rfilename": "1_Pooling/config.json", "size": 2 }, { "rfilename": "pytorch_model.bin", "size": 9 },
            { "rfilename": "model.safetensors", "size": weights.len(), "lfs": { "sha256": sha256(&weights) } },
        ],
    });
    server.route("/api/models/some-lab/tiny-bert/revision/v1", Route::new(manifest.to_string()));
    let base = format!("/some-lab/tiny-bert/resolve/{commit}");
    for name in ["config.json", "tokenizer.json", "1_Pooling/config.json"] {
        server.route(&format!("{base}/{name}"), Route::new("{}"));
    }
    server.route(&format!("{base}/model.safetensors"), Route::new(weights.clone()));
    let registry = place.registry(hub(&server));
    let entry = pull(&registry, "some-lab/tiny-bert@v1").await.unwrap();
    assert_eq!(entry.card.source, format!("some-lab/tiny-bert@{commit}"));
    assert_eq!((entry.card.licence.as_str(), entry.card.kind), ("mit", ModelKind::Encoder));
    let model = registry.resolve("tiny-bert").unwrap();
    assert_eq!(std::fs::read(model.weights()).unwrap(), weights);
    assert!(model.file("1_Pooling/config.json").unwrap().is_file());
    assert!(server.ranges(&format!("{base}/pytorch_model.bin")).is_empty());

    // A second pull brings only what is damaged: the weights are here and have their checksum.
    server.ranges(&format!("{base}/model.safetensors"));
    std::fs::write(place.user("tiny-bert").join("config.json"), "broken").unwrap();
    let fix = registry.verify("tiny-bert").unwrap().fix;
    assert!(fix.contains(&format!("zhiyin models pull 'some-lab/tiny-bert@{commit}' --id tiny-bert")), "{fix}");
    pull(&registry, "some-lab/tiny-bert@v1").await.unwrap();
    assert!(registry.verify("tiny-bert").unwrap().is_good());
    assert!(server.ranges(&format!("{base}/model.safetensors")).is_empty());
}

#[tokio::test]
async fn a_mirror_that_lists_nothing_still_serves_an_encoder() {
    let (place, server) = (Place::new(), Server::start().await);
    let base = "/BAAI/bge-small-zh-v1.5/resolve/main";
    server.route(&format!("{base}/model.safetensors"), Route::new(safetensors(10)));
    server.route(&format!("{base}/config.json"), Route::new("{}"));
    let registry = place.registry(hub(&server));
    let error = pull(&registry, "bge-small-zh-v1.5").await.unwrap_err();
    assert!(error.to_string().contains("there is no tokenizer.json"), "{error}");
    server.route(&format!("{base}/tokenizer.json"), Route::new("{}"));
    let entry = pull(&registry, "bge-small-zh-v1.5").await.unwrap();
    assert_eq!(entry.card.files.len(), 3);
    assert_eq!(registry.resolve("bge-small-zh-v1.5").unwrap().card.languages, ["zh"]);
}

#[tokio::test]
async fn a_repository_that_cannot_be_used_says_why() {
    let (place, server) = (Place::new(), Server::start().await);
    let registry = place.registry(hub(&server));
    let check = async |names: &[&str], spec: &str, words: &[&str]| {
        let siblings: Vec<_> = names.iter().map(|n| serde_json::json!({ "rfilename": n })).collect();
        server.route("/api/models/lab/m/revision/main", Route::new(serde_json::json!({ "siblings": siblings }).to_string()));
        let message = pull(&registry, spec).await.unwrap_err().to_string();
        for word in words {
            assert!(message.contains(word), "{message}");
        }
    };
    check(&["config.json", "pytorch_model.bin"], "lab/m", &["no model.safetensors and no tokenizer.json"]).await;
    check(&["ggml-a.bin", "ggml-b.bin"], "lab/m", &["several ggml files", "zhiyin models pull lab/m/ggml-a.bin"]).await;
    check(&["ggml-a.bin"], "lab/m/ggml-c.bin", &["has no file `ggml-c.bin`", "ggml-a.bin"]).await;
    server.route("/lab/secret/resolve/main/model.safetensors", Route { ranges: false, ..Route::new("").status(401) });
    let message = pull(&registry, "lab/secret").await.unwrap_err().to_string();
    assert!(message.contains("401") && message.contains("needs an account"), "{message}");
}

#[tokio::test]
async fn a_web_page_is_not_taken_for_a_model() {
    let (place, server) = (Place::new(), Server::start().await);
    server.route("/own.bin", Route::new("<!DOCTYPE html><title>Please log in</title>"));
    let registry = place.registry(hub(&server));
    let error = pull(&registry, &format!("{}/own.bin", server.address)).await.unwrap_err();
    assert!(matches!(&error, RegistryError::Content { what, .. } if what.contains("web page")), "{error}");
    assert!(registry.list().models.is_empty());
}

#[tokio::test]
async fn a_hub_that_cannot_be_reached_says_what_to_do() {
    let place = Place::new();
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let hub = HubSettings { endpoint: Some(format!("http://{unused}")), offline_dir: None };
    let message = pull(&place.registry(hub), "whisper-tiny").await.unwrap_err().to_string();
    assert!(message.contains("no connection") && message.contains("HF_ENDPOINT"), "{message}");
    let hub = HubSettings { endpoint: Some("not an address".into()), offline_dir: None };
    let message = pull(&place.registry(hub), "whisper-tiny").await.unwrap_err().to_string();
    assert!(message.contains("`not an address` is malformed"), "{message}");
}

#[tokio::test]
async fn an_offline_folder_is_looked_in_first() {
    let place = Place::new();
    let cache = tempfile::tempdir().unwrap();
    let settings = HubSettings { endpoint: None, offline_dir: Some(cache.path().to_path_buf()) };
    let registry = place.registry(settings);
    let message = pull(&registry, "whisper-tiny").await.unwrap_err().to_string();
    assert!(
        message.contains("the network is switched off") && message.contains(&cache.path().display().to_string()),
        "{message}"
    );

    // As HF_HOME is laid out: blobs named by their sha256, a snapshot of links, a ref that names the commit.
    let repository = cache.path().join("hub/models--ggerganov--whisper.cpp");
    let content = ggml(3_000);
    for folder in ["blobs", "refs", "snapshots/abc"] {
        std::fs::create_dir_all(repository.join(folder)).unwrap();
    }
    let blob = repository.join("blobs").join(sha256(&content));
    std::fs::write(&blob, &content).unwrap();
    std::fs::write(repository.join("refs/main"), "abc\n").unwrap();
    std::os::unix::fs::symlink(format!("../../blobs/{}", sha256(&content)), repository.join("snapshots/abc/ggml-tiny.bin"))
        .unwrap();
    pull(&registry, "whisper-tiny").await.unwrap();
    assert_eq!(std::fs::read(registry.resolve("whisper-tiny").unwrap().weights()).unwrap(), content);

    std::fs::write(&blob, [b"lmgg".as_slice(), &[0; 10]].concat()).unwrap();
    assert!(matches!(pull(&place.registry(registry.config().hub.clone()), "whisper-tiny").await, Ok(_)), "it is here already");
    registry.remove("whisper-tiny").unwrap();
    assert!(matches!(pull(&registry, "whisper-tiny").await, Err(RegistryError::Checksum { .. })));

    // Plain folders.
    let plain = cache.path().join("lab/bert");
    std::fs::create_dir_all(&plain).unwrap();
    std::fs::write(plain.join("model.safetensors"), safetensors(1)).unwrap();
    std::fs::write(plain.join("config.json"), "{}").unwrap();
    std::fs::write(plain.join("tokenizer.json"), "{}").unwrap();
    assert_eq!(pull(&registry, "lab/bert").await.unwrap().card.source, "lab/bert@main");
}

#[tokio::test]
async fn a_folder_is_copied_with_its_card_or_gets_one() {
    let place = Place::new();
    let registry = place.offline();
    let elsewhere = tempfile::tempdir().unwrap();
    let folder = elsewhere.path().join("packed");
    std::fs::create_dir_all(&folder).unwrap();
    let content = ggml(10_000);
    put_packed(&folder, "packed", Codec::Zstd, &content, &content);
    let spec = folder.to_str().unwrap();
    registry.pull(&PullRequest { spec: spec.into(), id: Some("copy".into()), sha256: None }, &|_| {}).await.unwrap();
    assert_eq!(std::fs::read(registry.resolve("copy").unwrap().weights()).unwrap(), content);
    assert!(!place.user("copy").join("model.bin").exists(), "it stays packed");

    std::fs::write(folder.join("model.packed"), "damaged").unwrap();
    let error = pull(&registry, spec).await.unwrap_err();
    assert!(matches!(error, RegistryError::Size { .. }), "{error}");

    let file = elsewhere.path().join("ggml-own.bin");
    std::fs::write(&file, &content).unwrap();
    assert_eq!(pull(&registry, file.to_str().unwrap()).await.unwrap().card.id, "ggml-own");
    std::fs::write(&file, "nothing").unwrap();
    assert!(matches!(pull(&registry, file.to_str().unwrap()).await, Err(RegistryError::NotAModel { .. })));
    std::fs::create_dir(elsewhere.path().join("empty")).unwrap();
    let message = pull(&registry, elsewhere.path().join("empty").to_str().unwrap()).await.unwrap_err().to_string();
    assert!(message.contains("the folder has no model.safetensors and no config.json"), "{message}");

    // A folder that was put among the models by hand: the message says how it gets a card, and that does it.
    std::fs::create_dir_all(place.user("by-hand")).unwrap();
    std::fs::write(place.user("by-hand").join("ggml-x.bin"), &content).unwrap();
    let folder = place.user("by-hand").display().to_string();
    let message = registry.resolve("by-hand").unwrap_err().to_string();
    assert!(message.contains(&format!("zhiyin models pull {folder} --id by-hand")), "{message}");
    pull(&registry, &folder).await.unwrap();
    assert_eq!(std::fs::read(registry.resolve("by-hand").unwrap().weights()).unwrap(), content);
}

#[tokio::test]
async fn a_request_that_makes_no_sense_is_refused_before_anything_is_fetched() {
    let place = Place::new();
    put_plain(&place.shipped("ours"), "ours", &ggml(10));
    let registry = place.offline();
    let check = async |spec: &str, id: Option<&str>, words: &str| {
        let request = PullRequest { spec: spec.into(), sha256: None, id: id.map(str::to_owned) };
        let message = registry.pull(&request, &|_| {}).await.unwrap_err().to_string();
        assert!(message.contains(words), "{message}");
    };
    check("whisper-smal", None, "did you mean `whisper-small`?").await;
    check("qqq", None, "no known model has this name").await;
    check("/no/such/folder", None, "no such file or folder").await;
    check("a/../b", None, "it is no `owner/name").await;
    check("lab/m@", None, "it is no `owner/name").await;
    check("lab/m/../../x.bin", None, "it is no `owner/name").await;
    check("https://", None, "malformed").await;
    check("http://models.example/ggml.bin", None, "--sha256").await;
    check("https://models.example/model.safetensors", None, "an encoder has several files").await;
    check("https://models.example/", None, "--id NAME").await;
    check("whisper-tiny", Some("a b"), "--id NAME").await;
    check("whisper-tiny", Some("ours"), "taken by a model that came with the product").await;
    assert!(!place.store.path().join("models").exists());
}

#[tokio::test]
async fn one_process_at_a_time_pulls_a_model() {
    let (place, server) = (Place::new(), Server::start().await);
    server.route("/own.bin", Route::new(ggml(100)));
    let registry = place.registry(hub(&server));
    let held = super::super::staging::Staging::begin(&place.store.path().join("models"), "own").unwrap();
    let error = pull(&registry, &format!("{}/own.bin", server.address)).await.unwrap_err();
    assert!(matches!(error, RegistryError::Busy { .. }), "{error}");
    drop(held);
    pull(&registry, &format!("{}/own.bin", server.address)).await.unwrap();
}
