use super::settings::unknown_variables;
use super::*;

#[test]
fn defaults_are_valid() {
    assert_eq!(Settings::from_toml("").unwrap(), Settings::default());
}

#[test]
fn all_problems_are_listed_at_once() {
    let text = "[server]\nlisen = \"x\"\nmax_calls = 9999\n[vda]\nendpoint_ms = 1\n[vad]\nendpoint_ms = 50\n";
    let message = Settings::from_toml(text).unwrap_err().to_string();
    for part in ["server.lisen", "\"listen\"", "vda", "\"vad\"", "server.max_calls", "vad.endpoint_ms"] {
        assert!(message.contains(part), "{part} not in: {message}");
    }
}

#[test]
fn wrong_type_names_the_key() {
    let message = Settings::from_toml("[server]\nlisten = 5\n").unwrap_err().to_string();
    assert!(message.contains("server.listen"), "{message}");
}

#[test]
fn heads_are_named_by_task_and_checked() {
    let text = "[heads.emotion]\nmodel = \"/models/emotions\"\nlabels = { joy = \"satisfied\" }\n";
    let settings = Settings::from_toml(text).unwrap();
    assert_eq!(settings.heads["emotion"].labels["joy"], "satisfied");
    let again = Settings::from_toml(&toml::to_string(&settings).unwrap()).unwrap();
    assert_eq!(again.heads, settings.heads);
    for (bad, expected) in [("model = \"\"", "heads.emotion.model"), ("modle = \"x\"", "modle"), ("labels = 3", "heads.emotion")]
    {
        let message = Settings::from_toml(&format!("[heads.emotion]\n{bad}\n")).unwrap_err().to_string();
        assert!(message.contains(expected), "{bad}: {message}");
    }
}

#[test]
fn a_variable_that_no_setting_has_is_named() {
    let names =
        ["ZHIYIN_SERVER__LISEN", "ZHIYIN_VAD__ENDPOINT_MS", "ZHIYIN_HEADS__MINE__MODEL", "ZHIYIN_SERVICE_HOST", "ZHIYIN_VDA__X"];
    let problems = unknown_variables(names.iter().map(|name| (*name).to_owned()));
    let shown: Vec<(&str, Option<&str>)> = problems.iter().map(|p| (p.key.as_str(), p.hint.as_deref())).collect();
    let expected = [("ZHIYIN_SERVER__LISEN", "did you mean \"listen\"?"), ("ZHIYIN_VDA__X", "did you mean \"vad\"?")];
    assert_eq!(shown, expected.map(|(key, hint)| (key, Some(hint))));
}

#[test]
fn missing_file_is_named() {
    let message = Settings::load(Some(std::path::Path::new("/nonexistent/zhiyin.toml"))).unwrap_err().to_string();
    assert!(message.contains("/nonexistent/zhiyin.toml"), "{message}");
}

#[test]
fn a_secret_is_read_and_never_shown() {
    let settings = Settings::from_toml("[server]\ntwilio_secret = \"open sesame\"\n").unwrap();
    assert_eq!(settings.server.twilio_secret.reveal(), Some("open sesame"));
    assert!(!format!("{settings:?}").contains("sesame"));
    assert!(!toml::to_string(&settings).unwrap().contains("sesame"));
}
