//! Cards, checks, unpacking, names. What goes over the network is in `tests/pull.rs`.

mod pull;
mod server;

use std::io::Write;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::checksum::hex;
use super::*;

/// A home and a store, deleted at the end.
struct Place {
    home: tempfile::TempDir,
    store: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap(), store: tempfile::tempdir().unwrap() }
    }

    fn registry(&self, hub: HubSettings) -> Registry {
        Registry::open(RegistryConfig::new(self.home.path(), self.store.path(), hub))
    }

    fn offline(&self) -> Registry {
        self.registry(HubSettings { endpoint: None, offline_dir: None })
    }

    fn shipped(&self, id: &str) -> PathBuf {
        let dir = self.home.path().join("models").join(id);
        std::fs::create_dir_all(&dir).unwrap();
        dir
    }

    fn user(&self, id: &str) -> PathBuf {
        self.store.path().join("models").join(id)
    }

    fn cache(&self, id: &str) -> PathBuf {
        self.store.path().join("cache/models").join(id)
    }
}

fn sha256(bytes: &[u8]) -> String {
    hex(Sha256::new_with_prefix(bytes))
}

/// A file that begins as a ggml file does, `bytes` long, with content that does not compress to nothing.
fn ggml(bytes: usize) -> Vec<u8> {
    let mut content = b"lmgg".to_vec();
    let mut state = 1_u32;
    while content.len() < bytes {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        content.push((state >> 28) as u8);
    }
    content
}

/// The smallest file of the safetensors format with `floats` numbers.
fn safetensors(floats: usize) -> Vec<u8> {
    let header = format!(r#"{{"w":{{"dtype":"F32","shape":[{floats}],"data_offsets":[0,{}]}}}}"#, floats * 4);
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(std::iter::repeat_n([0, 0, 128, 63], floats).flatten());
    bytes
}

fn card_text(id: &str, kind: &str, files: &str) -> String {
    format!("id = \"{id}\"\nkind = \"{kind}\"\nversion = 1\nsource = \"built-in\"\nlicence = \"Apache-2.0\"\n{files}")
}

fn file_text(name: &str, content: &[u8]) -> String {
    format!("[[files]]\nname = \"{name}\"\nsha256 = \"{}\"\nbytes = {}\n", sha256(content), content.len())
}

/// A recogniser of one plain file.
fn put_plain(dir: &Path, id: &str, content: &[u8]) {
    std::fs::create_dir_all(dir).unwrap();
    std::fs::write(dir.join("model.bin"), content).unwrap();
    std::fs::write(dir.join("card.toml"), card_text(id, "asr", &file_text("model.bin", content))).unwrap();
}

fn pack(codec: Codec, content: &[u8]) -> Vec<u8> {
    match codec {
        Codec::Zstd => zstd::encode_all(content, 3).unwrap(),
        Codec::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(content).unwrap();
            encoder.finish().unwrap()
        }
    }
}

/// A recogniser whose file lies packed; `claimed` is what the card says it unpacks to.
fn put_packed(dir: &Path, id: &str, codec: Codec, content: &[u8], claimed: &[u8]) {
    let packed = pack(codec, content);
    let name = if codec == Codec::Zstd { "zstd" } else { "gzip" };
    let line = format!(
        "packed = {{ name = \"model.packed\", sha256 = \"{}\", bytes = {}, codec = \"{name}\" }}\n",
        sha256(&packed),
        packed.len()
    );
    std::fs::write(dir.join("model.packed"), packed).unwrap();
    let files = file_text("model.bin", claimed) + &line;
    std::fs::write(dir.join("card.toml"), card_text(id, "asr", &files)).unwrap();
}

#[test]
fn a_card_is_read_leniently_and_keeps_what_it_does_not_know() {
    let place = Place::new();
    let dir = place.shipped("m");
    let more = "limits = \"no telephone speech\"\nlanguages = [\"zh-CN\"]\ncolour = \"blue\"\n\
                [[measured]]\nfigure = \"cer\"\nvalue = 1\nunit = \"ratio\"\non = \"x\"\ncommand = \"y\"\nspan = [0, 1]\n";
    std::fs::write(dir.join("card.toml"), card_text("m", "vad", more)).unwrap();
    let entry = place.offline().find("m").unwrap();
    assert_eq!(entry.card.version, "1");
    assert_eq!(entry.card.limits, ["no telephone speech"]);
    assert_eq!(entry.card.measured[0].value, 1.0);
    assert_eq!(place.offline().verify("m").unwrap().unknown_keys, ["colour", "measured.span"]);
    let again: Card = toml::from_str(&entry.card.to_toml().unwrap()).unwrap();
    assert_eq!(again, entry.card);
}

#[test]
fn a_card_that_contradicts_the_format_names_its_file_and_the_reason() {
    let place = Place::new();
    let check = |text: String, reason: &str| {
        let dir = place.shipped("m");
        std::fs::write(dir.join("card.toml"), text).unwrap();
        let message = place.offline().find("m").unwrap_err().to_string();
        assert!(message.contains(reason), "{message}");
        assert!(message.contains("card.toml"), "{message}");
        assert_eq!(place.offline().list().broken.len(), 1);
    };
    let good = file_text("a.bin", b"x");
    check(card_text("m", "llm", ""), "unknown variant `llm`");
    check("id = \"m\"\n".into(), "missing field");
    check(card_text("other", "asr", &good), "its folder is \"m\"");
    check(card_text("m", "asr", &good.replace("a.bin", "../a.bin")), "stay inside");
    check(card_text("m", "asr", &good.replace("a.bin", "/a.bin")), "stay inside");
    check(card_text("m", "asr", &good.replace(&sha256(b"x"), "abc")), "64 hexadecimal digits");
    check(card_text("m", "asr", "limits = 3\n"), "a text or a list of texts");
}

#[test]
fn resolve_checks_presence_size_and_content() {
    let place = Place::new();
    let dir = place.shipped("m");
    let content = ggml(1000);
    put_plain(&dir, "m", &content);
    let registry = place.offline();
    let model = registry.resolve_kind("m", ModelKind::Asr).unwrap();
    assert_eq!(std::fs::read(model.weights()).unwrap(), content);
    assert_eq!(model.file("model.bin"), Some(dir.join("model.bin")));
    assert_eq!(model.file("other"), None);

    let message = registry.resolve_kind("m", ModelKind::Encoder).unwrap_err().to_string();
    assert!(message.contains("is of kind `asr`") && message.contains("`encoder` is needed"), "{message}");

    let mut other = content.clone();
    other[500] ^= 1;
    std::fs::write(dir.join("model.bin"), &other).unwrap();
    let error = registry.resolve("m").unwrap_err();
    assert!(
        matches!(&error, RegistryError::Checksum { found, expected, .. } if *found == sha256(&other) && *expected == sha256(&content))
    );
    assert!(error.to_string().contains("git checkout -- models/m"), "{error}");

    std::fs::write(dir.join("model.bin"), &content[..999]).unwrap();
    assert!(matches!(registry.resolve("m"), Err(RegistryError::Size { found: 999, expected: 1000, .. })));
    std::fs::remove_file(dir.join("model.bin")).unwrap();
    assert!(matches!(registry.resolve("m"), Err(RegistryError::Missing { .. })));
}

#[test]
fn a_checksum_is_compared_once_per_change() {
    let place = Place::new();
    let dir = place.shipped("m");
    put_plain(&dir, "m", &ggml(1000));
    let registry = place.offline();
    registry.resolve("m").unwrap();
    let file = dir.join("model.bin");
    let old = std::fs::metadata(&file).unwrap().modified().unwrap();
    // Other content under the old length and time: only something that reads it would notice, and `verify` does.
    std::fs::write(&file, [b"lmgg".as_slice(), &[7; 996]].concat()).unwrap();
    let touch = |time| std::fs::File::options().write(true).open(&file).unwrap().set_modified(time).unwrap();
    touch(old);
    registry.resolve("m").unwrap();
    assert!(!registry.verify("m").unwrap().is_good());
    touch(old + std::time::Duration::from_secs(1));
    assert!(matches!(registry.resolve("m"), Err(RegistryError::Checksum { .. })));
}

#[test]
fn packed_files_are_unpacked_once_and_anew_when_damaged() {
    for codec in [Codec::Zstd, Codec::Gzip] {
        let place = Place::new();
        let dir = place.shipped("m");
        let content = ggml(300_000);
        put_packed(&dir, "m", codec, &content, &content);
        let registry = place.offline();
        let model = registry.resolve("m").unwrap();
        assert!(model.weights().starts_with(place.cache("m")));
        assert_eq!(std::fs::read(model.weights()).unwrap(), content);
        let made = std::fs::metadata(model.weights()).unwrap().modified().unwrap();
        assert_eq!(registry.resolve("m").unwrap(), model);
        assert_eq!(std::fs::metadata(model.weights()).unwrap().modified().unwrap(), made);
        assert!(registry.verify("m").unwrap().is_good());

        std::fs::write(model.weights(), &content[..100]).unwrap();
        registry.resolve("m").unwrap();
        assert_eq!(std::fs::read(model.weights()).unwrap(), content);

        std::fs::write(model.weights(), vec![0; content.len()]).unwrap();
        assert!(registry.verify("m").unwrap().damaged_copy_deleted);
        assert_eq!(std::fs::read(registry.resolve("m").unwrap().weights()).unwrap(), content);
    }
}

#[test]
fn a_packed_file_that_does_not_hold_what_its_card_says_is_refused() {
    let place = Place::new();
    let dir = place.shipped("m");
    let content = ggml(100_000);
    let check = |claimed: &[u8], reason: &str| {
        put_packed(&dir, "m", Codec::Zstd, &content, claimed);
        let message = place.offline().resolve("m").unwrap_err().to_string();
        assert!(message.contains(reason) && message.contains("model.packed"), "{message}");
        assert!(!place.offline().verify("m").unwrap().is_good());
        let left: Vec<_> = std::fs::read_dir(place.cache("m")).unwrap().collect();
        assert!(left.is_empty(), "nothing half made is left: {left:?}");
    };
    check(&content[..50_000], "unpacks to 50001 bytes or more");
    check(&ggml(100_001), "unpacks to 100000 bytes");
    let mut other = content.clone();
    other[9] ^= 1;
    check(&other, "unpacks to sha256");
    // A card that is right about a packed file that is not packed at all.
    let text = std::fs::read_to_string(dir.join("card.toml")).unwrap();
    let packed = std::fs::read(dir.join("model.packed")).unwrap();
    let junk = vec![1; packed.len()];
    std::fs::write(dir.join("model.packed"), &junk).unwrap();
    assert!(matches!(place.offline().resolve("m"), Err(RegistryError::Checksum { .. })));
    std::fs::write(dir.join("card.toml"), text.replace(&sha256(&packed), &sha256(&junk))).unwrap();
    assert!(matches!(place.offline().resolve("m"), Err(RegistryError::Packed { .. })));
}

#[test]
fn processes_that_unpack_at_once_get_the_same_files() {
    let place = Place::new();
    let content = ggml(2_000_000);
    put_packed(&place.shipped("m"), "m", Codec::Zstd, &content, &content);
    let barrier = std::sync::Barrier::new(4);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let registry = place.offline();
                barrier.wait();
                assert_eq!(std::fs::read(registry.resolve("m").unwrap().weights()).unwrap(), content);
            });
        }
    });
    let folders = std::fs::read_dir(place.cache("m")).unwrap().filter(|e| e.as_ref().unwrap().path().is_dir()).count();
    assert_eq!(folders, 1);
}

#[test]
fn an_unknown_name_gets_the_nearest_known_one() {
    let place = Place::new();
    put_plain(&place.shipped("zhiyin-asr-small"), "zhiyin-asr-small", &ggml(10));
    let check = |id: &str, words: &[&str]| {
        let message = place.offline().find(id).unwrap_err().to_string();
        for word in words {
            assert!(message.contains(word), "{message}");
        }
    };
    check("zhiyin-asr-smal", &["did you mean `zhiyin-asr-small`?", "zhiyin models list"]);
    check("whisper-small", &["`zhiyin models pull whisper-small` fetches it"]);
    check("./nowhere", &["there is no such file or folder"]);
    let message = place.offline().find("qqq").unwrap_err().to_string();
    assert!(!message.contains("did you mean"), "{message}");
}

#[test]
fn a_path_works_as_a_name() {
    let place = Place::new();
    let registry = place.offline();
    let folder = place.home.path().join("elsewhere");
    std::fs::create_dir_all(&folder).unwrap();
    let name = |path: &Path| path.to_str().unwrap().to_owned();

    let file = folder.join("ggml-My Own.bin");
    std::fs::write(&file, ggml(64)).unwrap();
    let model = registry.resolve(&name(&file)).unwrap();
    assert_eq!((model.id.as_str(), model.card.kind, model.weights()), ("ggml-my-own", ModelKind::Asr, file.clone()));
    assert_eq!(model.card.files[0].sha256, sha256(&ggml(64)));
    assert_eq!(registry.resolve(&name(&folder)).unwrap().weights(), file);

    std::fs::write(folder.join("model.safetensors"), safetensors(3)).unwrap();
    let message = registry.resolve(&name(&folder.join("model.safetensors"))).unwrap_err().to_string();
    assert!(message.contains("name the folder"), "{message}");
    std::fs::write(folder.join("config.json"), "{}").unwrap();
    std::fs::write(folder.join("tokenizer.json"), "{}").unwrap();
    let model = registry.resolve(&name(&folder)).unwrap();
    assert_eq!((model.card.kind, model.weights()), (ModelKind::Encoder, folder.join("model.safetensors")));
    assert_eq!(registry.verify(&name(&folder)).unwrap().files[0].state, FileState::NoCard);

    std::fs::write(&file, "no model").unwrap();
    let message = registry.resolve(&name(&file)).unwrap_err().to_string();
    assert!(message.contains("no ggml file"), "{message}");
}

#[test]
fn verify_tells_each_file_apart() {
    let place = Place::new();
    let dir = place.shipped("m");
    let files: String = ["good", "gone", "short", "other"].iter().map(|n| file_text(n, b"12345")).collect();
    std::fs::write(dir.join("card.toml"), card_text("m", "asr", &files)).unwrap();
    std::fs::write(dir.join("good"), "12345").unwrap();
    std::fs::write(dir.join("short"), "1234").unwrap();
    std::fs::write(dir.join("other"), "12346").unwrap();
    let report = place.offline().verify("m").unwrap();
    let states: Vec<_> = report.files.iter().map(|f| f.state.clone()).collect();
    assert_eq!(
        states,
        [
            FileState::Good,
            FileState::Missing,
            FileState::WrongSize { expected_bytes: 5, found_bytes: 4 },
            FileState::WrongChecksum { expected: sha256(b"12345"), found: sha256(b"12346") },
        ]
    );
    assert!(!report.is_good());
}

#[test]
fn only_what_was_pulled_can_be_removed() {
    let place = Place::new();
    let registry = place.offline();
    put_plain(&place.shipped("ours"), "ours", &ggml(10));
    put_plain(&place.user("theirs"), "theirs", &ggml(1000));
    assert_eq!(registry.list().models.len(), 2);
    for name in ["ours", "../ours", "/tmp"] {
        assert!(matches!(registry.remove(name), Err(RegistryError::NotRemovable { .. })), "{name}");
    }
    assert!(matches!(registry.remove("nobody"), Err(RegistryError::Unknown { .. })));
    registry.resolve("theirs").unwrap();
    assert!(registry.remove("theirs").unwrap() > 1000);
    assert!(!place.user("theirs").exists() && !place.cache("theirs").exists());
    assert_eq!(registry.list().models.len(), 1);
    assert_eq!(std::fs::read_dir(place.store.path().join("models")).unwrap().count(), 0);
}

#[test]
fn a_head_that_answers_a_task_is_not_removed_and_can_be_activated_anew() {
    let place = Place::new();
    let registry = place.offline();
    put_plain(&place.user("mine"), "mine", &ggml(10));
    let activate = || registry.change_route("intent", RouteChange::Activate(Some("mine".to_owned())), None).unwrap();
    let first = activate();
    let message = registry.remove("mine").unwrap_err().to_string();
    assert!(message.contains("intent") && place.user("mine").exists(), "{message}");
    let again = activate();
    assert!(again.revision > first.revision, "services look again, the folder may hold a newer head");
    assert_eq!(again.tasks["intent"].previous, first.tasks["intent"].previous);
    registry.change_route("intent", RouteChange::Rollback, None).unwrap();
    assert!(registry.remove("mine").is_ok());
}

#[test]
fn the_users_model_wins_over_a_shipped_one_of_the_same_name() {
    let place = Place::new();
    put_plain(&place.shipped("m"), "m", &ggml(10));
    put_plain(&place.user("m"), "m", &ggml(20));
    assert_eq!(place.offline().resolve("m").unwrap().card.total_bytes(), 20);
}

#[test]
fn the_hub_settings_read_the_environment_as_other_tools_do() {
    let endpoint = |e: &str, offline| HubSettings::from_environment_values(Some(e.into()), None, offline).endpoint;
    assert_eq!(endpoint("", false).as_deref(), Some("https://huggingface.co"));
    assert_eq!(endpoint("https://mirror.example/ ", false).as_deref(), Some("https://mirror.example"));
    assert_eq!(endpoint("https://mirror.example", true), None);
}
