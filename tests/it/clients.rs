//! Official Python clients against a running service: every script of `tests/clients` must end with exit code 0.
//!
//! A script gets `BASE_URL`, `TOKEN` and `AUDIO` (a folder of recordings and what is said in them) from the environment.
//! The packages of `tests/clients/requirements.txt` are installed once, into a folder of the target directory.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use zhiyin::audio::{encode_wav, resample};

use crate::support::{Service, home, sample};

fn run(command: &mut Command) -> Result<String, String> {
    let shown = format!("{command:?}");
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{shown}: {error}"))?;
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(text) } else { Err(format!("{shown}: {}\n{text}", output.status)) }
}

/// A Python with the packages; made once for a version of the requirements.
fn python() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clients");
    let requirements = home().join("tests/clients/requirements.txt");
    let (wanted, installed) = (std::fs::read_to_string(&requirements).unwrap(), folder.join("installed.txt"));
    let python = folder.join("bin/python");
    if std::fs::read_to_string(&installed).is_ok_and(|known| known == wanted) {
        return python;
    }
    let made = run(Command::new("python3").args(["-m", "venv"]).arg(&folder)).and_then(|_| {
        run(Command::new(&python)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"])
            .arg(&requirements))
    });
    if let Err(error) = made {
        panic!("the Python clients cannot be installed (scripts/setup.sh --clients brings python3 and venv): {error}");
    }
    std::fs::write(installed, wanted).unwrap();
    python
}

/// `zh.wav`, `en.wav`: the first half minute of the customer, 16 kHz; `*-stereo.wav`: both parties, 8 kHz; `*.txt`: the
/// customer's words, one turn a line.
fn recordings(folder: &Path) {
    for (name, id) in [("zh", "zh-refund"), ("en", "en-network-fault")] {
        let (rate_hz, channels) = sample(id);
        let until_ms = 30_000;
        let cut: Vec<Vec<f32>> =
            channels.iter().map(|c| c[..c.len().min(rate_hz as usize * until_ms / 1_000)].to_vec()).collect();
        let at = |rate: u32| -> Vec<Vec<f32>> {
            let wide: Vec<Vec<f32>> = cut.iter().map(|c| resample(c, rate_hz).unwrap()).collect();
            if rate == 16_000 {
                wide
            } else {
                wide.iter().map(|c| c.chunks_exact(2).map(|p| (p[0] + p[1]) / 2.0).collect()).collect()
            }
        };
        let reference: serde_json::Value = serde_json::from_str(
            &std::fs::read_to_string(home().join("pipelines/samples/calls").join(format!("{id}.json"))).unwrap(),
        )
        .unwrap();
        let turns = reference["turns"].as_array().unwrap();
        for role in ["customer", "agent"] {
            let said: Vec<&str> = turns
                .iter()
                .filter(|t| t["role"] == role && t["end_ms"].as_i64().is_some_and(|end| end < until_ms as i64))
                .filter_map(|t| t["text"].as_str())
                .collect();
            std::fs::write(folder.join(format!("{name}-{role}.txt")), said.join("\n")).unwrap();
        }
        std::fs::write(folder.join(format!("{name}.wav")), encode_wav(&at(16_000)[..1], 16_000).unwrap()).unwrap();
        std::fs::write(folder.join(format!("{name}-stereo.wav")), encode_wav(&at(8_000), 8_000).unwrap()).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn official_clients_are_served() {
    let python = tokio::task::spawn_blocking(python).await.unwrap();
    let audio = tempfile::tempdir().unwrap();
    recordings(audio.path());
    let service = Service::start().await;
    let mut scripts: Vec<PathBuf> = std::fs::read_dir(home().join("tests/clients"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension().is_some_and(|e| e == "py") && !path.file_name().unwrap().to_string_lossy().starts_with('_')
        })
        .collect();
    scripts.sort();
    assert!(scripts.len() >= 5, "{scripts:?}");
    let mut failures = Vec::new();
    for script in scripts {
        let mut command = Command::new(&python);
        command.arg("-B").arg(&script).env("BASE_URL", &service.base).env("TOKEN", &service.token).env("AUDIO", audio.path());
        if let Err(failure) = tokio::task::spawn_blocking(move || run(&mut command)).await.unwrap() {
            failures.push(failure);
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}
