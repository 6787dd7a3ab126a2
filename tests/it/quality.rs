//! Quality inspection through the program and the interface: kill -9, a full disk, back-fill, people.

use std::collections::HashSet;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Service, home};

/// Annotated conversations as JSON lines, so that no model runs.
fn conversations(path: &Path, count: usize) {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
    for n in 0..count {
        let turns: Vec<Value> = (0..20)
            .map(|k| {
                let (role, text) = if k % 2 == 0 {
                    ("agent", "您好，云朵商城，请您稍等")
                } else {
                    ("customer", "退款什么时候到")
                };
                json!({"role": role, "text": format!("{text}{}", n * 20 + k), "start_ms": k * 4000, "end_ms": k * 4000 + 3000,
                    "intents": [], "labels": [], "entities": [], "emotion": {"name": "neutral", "score": 0.9}})
            })
            .collect();
        let line = json!({"id": format!("c{n}"), "channel": "voice", "language": "zh", "agent_id": format!("a{}", n % 3), "turns": turns});
        writeln!(file, "{line}").unwrap();
    }
}

fn score(input: &Path, out: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zhiyin"));
    command.args(["quality", "score"]).arg(input).arg("--out").arg(out).current_dir(home());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn scored(out: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(out.join("scores.jsonl")).unwrap();
    text.lines().map(|l| serde_json::from_str::<Value>(l).unwrap()["call_id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_killed_run_goes_on_and_every_conversation_is_scored_once() {
    let folder = tempfile::tempdir().unwrap();
    let (input, out) = (folder.path().join("in.jsonl"), folder.path().join("out"));
    conversations(&input, 6_000);
    let mut child = score(&input, &out).spawn().unwrap();
    let journal = out.join("scores.jsonl");
    // Killed as soon as something is in the journal.
    for _ in 0..6_000 {
        if journal.metadata().is_ok_and(|m| m.len() > 0) {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let before = std::fs::read(&journal).unwrap();
    assert!(!before.is_empty());
    // What a kill in the middle of a line leaves.
    std::fs::File::options().append(true).open(&journal).unwrap().write_all(b"{\"score_id\":\"scr_cut").unwrap();
    assert!(score(&input, &out).status().unwrap().success());
    let ids = scored(&out);
    assert_eq!((ids.len(), ids.iter().collect::<HashSet<_>>().len()), (6_000, 6_000));
    let whole = before.iter().rposition(|b| *b == b'\n').unwrap_or(0);
    assert_eq!(std::fs::read(&journal).unwrap()[..whole], before[..whole], "what was scored stays as it was");
    for name in ["scores.parquet", "hits.parquet", "scores.csv", "report.html"] {
        assert!(out.join(name).metadata().unwrap().len() > 0, "{name}");
    }
}

#[test]
fn lines_that_are_no_conversation_are_named_and_the_rest_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (input, out) = (folder.path().join("in.jsonl"), folder.path().join("out"));
    conversations(&input, 3);
    let turns: Vec<Value> = (0..50_000).map(|_| json!({"role": "agent", "text": "好"})).collect();
    let odd = [
        "{\"id\":\"cut\",".to_owned(),
        json!({"id": "long", "turns": turns}).to_string(),
        json!({"id": "late", "turns": [{"role": "agent", "text": "b", "start_ms": 9, "end_ms": 10}, {"role": "agent", "text": "a", "start_ms": 0, "end_ms": 1}]}).to_string(),
        json!({"id": "one-sided", "language": "zh", "turns": [{"role": "agent", "text": "您好。", "start_ms": 0, "end_ms": 900}]}).to_string(),
        json!({"id": "no-times", "channel": "chat", "language": "en", "turns": [{"role": "customer", "text": "hello"}]}).to_string(),
        json!({"id": "mono", "channel": "voice", "audio": "mono", "turns": [{"role": "unknown", "text": "喂", "start_ms": 0, "end_ms": 500}]}).to_string(),
        json!({"id": "empty", "turns": []}).to_string(),
    ];
    let mut file = std::fs::File::options().append(true).open(&input).unwrap();
    odd.iter().for_each(|line| writeln!(file, "{line}").unwrap());
    assert_eq!(score(&input, &out).status().unwrap().code(), Some(2));
    let ids: HashSet<String> = scored(&out).into_iter().collect();
    for id in ["c0", "c1", "c2", "one-sided", "no-times", "mono", "empty"] {
        assert!(ids.contains(id), "{id}");
    }
    assert_eq!(ids.len(), 7);
    let refused = std::fs::read_to_string(out.join("refused.jsonl")).unwrap();
    let places: Vec<bool> = [4, 5, 6].iter().map(|n| refused.contains(&format!("in.jsonl:{n}\""))).collect();
    assert_eq!(places, [true; 3], "{refused}");
}

#[test]
fn a_disk_that_fills_in_the_middle_loses_nothing_and_scores_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let (input, out) = (folder.path().join("in.jsonl"), folder.path().join("out"));
    conversations(&input, 4_000);
    // Files of this process may not grow beyond 36 MiB: the logs of the index fit, the journal meets it in the middle.
    let limited = format!(
        "ulimit -f 36864; trap '' XFSZ; exec {} quality score {} --out {}",
        env!("CARGO_BIN_EXE_zhiyin"),
        input.display(),
        out.display()
    );
    let first = Command::new("bash").args(["-c", &limited]).current_dir(home()).output().unwrap();
    assert!(!first.status.success(), "a full disk is no success");
    let said = String::from_utf8_lossy(&first.stderr);
    assert!(said.contains("scores.jsonl") && said.contains("run the same command again"), "{said}");
    let before = std::fs::read(out.join("scores.jsonl")).unwrap();
    let whole = before.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
    assert!(whole > 0, "some were scored before the disk was full");
    assert!(score(&input, &out).status().unwrap().success());
    let ids = scored(&out);
    assert_eq!((ids.len(), ids.iter().collect::<HashSet<_>>().len()), (4_000, 4_000));
    assert_eq!(std::fs::read(out.join("scores.jsonl")).unwrap()[..whole], before[..whole], "what was scored stays as it was");
}

async fn wait_for_job(service: &Service, job: &Value) -> Value {
    let path = format!("/api/v1/jobs/{}", job["job_id"].as_str().unwrap());
    for _ in 0..600 {
        let (_, job) = service.get(&path).await;
        if !matches!(job["state"].as_str(), Some("queued" | "running")) {
            return job;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the job does not end");
}

/// A finished chat in which the agent shirks; its id.
async fn chat(service: &Service, words: &str) -> String {
    let call_id = service.open_call(json!({"channel": "chat", "languages": ["zh"], "agent": {"id": "a1", "team": "t1"}})).await;
    let messages = format!("/api/v1/calls/{call_id}/messages");
    for (role, text) in [("customer", "我的退款呢"), ("agent", words)] {
        let (status, said) = service.post(&messages, json!({"role": role, "text": text})).await;
        assert_eq!(status, 201, "{said}");
    }
    service.post(&format!("/api/v1/calls/{call_id}/end"), json!({"hangup_by": "customer"})).await;
    service.wait_for(&call_id, "call.completed").await;
    call_id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_rule_is_tried_on_history_published_and_restated() {
    let service = Service::start().await;
    let call_id = chat(&service, "这个归仓库，小熊饼干。").await;
    let rule = json!({"id": "zh-forbidden-words", "name": "禁语", "when": "said", "score": {"effect": "deduct", "points": 10},
        "conditions": {"said": {"role": "agent", "keyword": {"any": ["小熊饼干"]}}}});
    let body = json!({"mode": "backfill", "rules": [rule]});
    let (status, job) = service.post("/api/v1/quality/jobs", body).await;
    assert_eq!(status, 202, "{job}");
    let job = wait_for_job(&service, &job).await;
    assert_eq!((job["state"].as_str(), job["progress"]["done"].as_u64()), (Some("succeeded"), Some(1)), "{job}");
    let id = job["job_id"].as_str().unwrap();
    let (_, diff) = service.get(&format!("/api/v1/quality/jobs/{id}/diff")).await;
    assert_eq!(diff["by_rule"][0]["rule_id"], "zh-forbidden-words", "{diff}");
    assert_eq!((diff["by_rule"][0]["gained"].as_u64(), diff["by_agent"][0]["id"].as_str()), (Some(1), Some("a1")));
    assert_eq!(diff["by_rule"][0]["examples"]["gained"][0]["call_id"], call_id.as_str());
    let (_, before) = service.get(&format!("/api/v1/quality/scores?call_id={call_id}")).await;
    let (status, published) = service.post(&format!("/api/v1/quality/jobs/{id}/publish"), json!({"apply": "restate"})).await;
    assert_eq!(status, 200, "{published}");
    assert_eq!(published["published"], json!(["zh-forbidden-words@2"]));
    assert_eq!(wait_for_job(&service, &published["restate_job"]).await["state"], "succeeded");
    let (_, after) = service.get(&format!("/api/v1/quality/scores?call_id={call_id}")).await;
    assert_eq!(before["items"][0]["score_id"], after["items"][0]["score_id"], "the score of record keeps its id");
    assert!(after["items"][0]["total"].as_f64() < before["items"][0]["total"].as_f64(), "{before} {after}");
    let (status, again) = service.post(&format!("/api/v1/quality/jobs/{id}/publish"), json!({})).await;
    assert_eq!((status, again["code"].as_str()), (412, Some("version_conflict")), "{again}");
    let (_, trail) = service.get("/api/v1/admin/audit").await;
    assert!(trail.to_string().contains("quality.rule.publish"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hit_is_reviewed_appealed_and_overturned_by_somebody_else() {
    let service = Service::start().await;
    let call_id = chat(&service, "这不归我管，你自己看。").await;
    let (_, page) = service.get(&format!("/api/v1/quality/scores?call_id={call_id}")).await;
    let score_id = page["items"][0]["score_id"].as_str().unwrap().to_owned();
    let (_, card) = service.get(&format!("/api/v1/quality/scores/{score_id}")).await;
    let rule = card["results"].as_array().unwrap().iter().find(|r| r["rule"] == "zh-forbidden-words").unwrap();
    let hit_id = rule["hits"][0]["hit_id"].as_str().unwrap().to_owned();
    let token = |name: &'static str, body: Value| {
        let service = &service;
        async move {
            let (status, made) = service.post("/api/v1/admin/tokens", body).await;
            assert_eq!(status, 201, "{name}: {made}");
            (made["secret"].as_str().unwrap().to_owned(), made["token_id"].as_str().unwrap().to_owned())
        }
    };
    let (reviewer, reviewer_id) =
        token("r", json!({"name": "r", "scopes": ["quality:review", "quality:read", "calls:read"]})).await;
    let (judge, _) = token("j", json!({"name": "j", "scopes": ["quality:judge", "quality:read", "calls:read"]})).await;
    let own = json!({"name": "a", "scopes": ["calls:read"], "row_filter": {"agent_id": "a1"}});
    let (agent, _) = token("a", own).await;
    let post = |secret: &str, path: String, body: Value| {
        let request = service.http.post(format!("{}{path}", service.base)).bearer_auth(secret).json(&body);
        async move {
            let response = request.send().await.unwrap();
            (response.status().as_u16(), response.json::<Value>().await.unwrap())
        }
    };
    let dealt = json!({"by": "risk", "assignees": [reviewer_id], "size": 1, "blind": true});
    let (status, dealt) = post(&reviewer, "/api/v1/quality/assignments".into(), dealt).await;
    assert_eq!((status, dealt["items"][0]["score_id"].as_str()), (201, Some(score_id.as_str())), "{dealt}");
    assert!(dealt["items"][0]["score"].is_null(), "a blind reviewer does not see the machine's answers");
    let reviews = format!("/api/v1/quality/scores/{score_id}/reviews");
    let verdict = |v: &str| json!({"items": [{"rule_id": "zh-forbidden-words", "hit_id": hit_id, "verdict": v}], "submit": true});
    let (status, made) = post(&reviewer, reviews.clone(), verdict("true_hit")).await;
    assert_eq!((status, made["revision"].as_u64()), (201, Some(2)), "{made}");
    let appeals = format!("/api/v1/quality/scores/{score_id}/appeals");
    let appeal = json!({"items": [{"hit_id": hit_id}], "reason": "客户要求我这样说"});
    let (status, made) = post(&reviewer, appeals.clone(), appeal.clone()).await;
    assert_eq!((status, made["code"].as_str()), (403, Some("outside_row_filter")), "only the agent appeals");
    let (status, made) = post(&agent, appeals.clone(), appeal.clone()).await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(post(&agent, appeals, appeal).await.0, 409, "once a hit");
    let decide = format!("/api/v1/quality/appeals/{}/decide", made["appeal_id"].as_str().unwrap());
    let decision = json!({"items": [{"hit_id": hit_id, "decision": "overturned"}], "final": true});
    assert_eq!(post(&reviewer, decide.clone(), decision.clone()).await.0, 403, "a reviewer is no judge");
    let (status, decided) = post(&judge, decide, decision).await;
    assert_eq!((status, decided["appeal"]["state"].as_str()), (200, Some("closed")), "{decided}");
    assert!(decided["total"].as_f64() > card["total"].as_f64(), "the hit has fallen");
    let (_, accuracy) = service.get("/api/v1/quality/rules/zh-forbidden-words/accuracy").await;
    assert_eq!((accuracy["n"].as_u64(), accuracy["precision"]["value"].as_f64()), (Some(1), Some(0.0)), "final judgements count");
    assert_eq!((accuracy["recall"].is_null(), accuracy["trusted"].as_bool()), (true, Some(false)));
}

/// A token of its own: its secret and id.
async fn token(service: &Service, body: Value) -> (String, String) {
    let (status, made) = service.post("/api/v1/admin/tokens", body).await;
    assert_eq!(status, 201, "{made}");
    (made["secret"].as_str().unwrap().to_owned(), made["token_id"].as_str().unwrap().to_owned())
}

async fn send(service: &Service, secret: &str, path: &str, body: Option<Value>) -> (u16, Value) {
    let url = format!("{}{path}", service.base);
    let request = match body {
        Some(body) => service.http.post(url).json(&body),
        None => service.http.get(url),
    };
    let response = request.bearer_auth(secret).send().await.unwrap();
    (response.status().as_u16(), response.json::<Value>().await.unwrap())
}

/// A kept scorecard on which the rule `zh-forbidden-words` hits once; its id and the hit's.
async fn hit(service: &Service, n: usize) -> (String, String) {
    let turns = json!([
        {"id": "0", "role": "customer", "text": "我的退款呢", "start_ms": 0, "end_ms": 900, "intents": [], "labels": [], "entities": []},
        {"id": "1", "role": "agent", "text": "小熊饼干。", "start_ms": 1000, "end_ms": 1900, "intents": [], "labels": [], "entities": []}
    ]);
    let conversation = json!({"id": format!("call_{n}"), "channel": "chat", "language": "zh", "agent_id": "a1", "turns": turns});
    let (status, card) = service.post("/api/v1/quality/score", json!({"conversation": conversation, "persist": true})).await;
    assert_eq!(status, 200, "{card}");
    let rule = card["results"].as_array().unwrap().iter().find(|r| r["rule"] == "zh-forbidden-words").unwrap();
    assert_eq!(rule["hits"].as_array().unwrap().len(), 1, "{rule}");
    (card["score_id"].as_str().unwrap().to_owned(), rule["hits"][0]["hit_id"].as_str().unwrap().to_owned())
}

/// Puts a version of `zh-forbidden-words` into force that asks for people until it is trusted.
async fn publish_trusting_rule(service: &Service, points: u32) {
    let rule = json!({"id": "zh-forbidden-words", "name": "禁语", "when": "said", "review": "auto_when_trusted",
        "score": {"effect": "deduct", "points": points},
        "conditions": {"said": {"role": "agent", "keyword": {"any": ["小熊饼干"]}}},
        "tests": [{"dialogue": "agent 小熊饼干", "hit": true}, {"dialogue": "agent 您好", "hit": false}]});
    let (status, made) = service.post("/api/v1/quality/rules", json!({"rule": rule})).await;
    assert_eq!((status, made["state"].as_str()), (201, Some("checked")), "{made}");
    let path = format!("/api/v1/quality/rules/zh-forbidden-words/versions/{}/publish", made["version"]);
    assert_eq!(service.post(&path, json!({})).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_review_counts_by_the_rules_that_made_the_scorecard() {
    let service = Service::start().await;
    publish_trusting_rule(&service, 10).await;
    let (score_id, hit_id) = hit(&service, 0).await;
    let (_, before) = service.get(&format!("/api/v1/quality/scores/{score_id}")).await;
    publish_trusting_rule(&service, 60).await;
    let items = json!({"items": [{"rule_id": "zh-forbidden-words", "hit_id": hit_id, "verdict": "true_hit"}]});
    let (status, made) = service.post(&format!("/api/v1/quality/scores/{score_id}/reviews"), items).await;
    assert_eq!((status, &made["total"]), (201, &before["total"]), "{made} {before}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_rule_needs_no_reviewer_until_its_precision_falls() {
    let service = Service::start().await;
    publish_trusting_rule(&service, 10).await;
    let mut hits = Vec::new();
    for n in 0..90 {
        hits.push(hit(&service, n).await);
    }
    let review = json!({"name": "r", "scopes": ["quality:review", "quality:read", "calls:read"]});
    let (reviewer, reviewer_id) = token(&service, review).await;
    let judge = |n: usize, verdict: &'static str| {
        let ((score_id, hit_id), service, reviewer) = (&hits[n], &service, &reviewer);
        async move {
            let items =
                json!({"items": [{"rule_id": "zh-forbidden-words", "hit_id": hit_id, "verdict": verdict}], "submit": true});
            let (status, made) =
                send(service, reviewer, &format!("/api/v1/quality/scores/{score_id}/reviews"), Some(items)).await;
            assert_eq!(status, 201, "{made}");
        }
    };
    let standing = |n: usize| {
        let ((score_id, hit_id), service, reviewer) = (&hits[n], &service, &reviewer);
        async move {
            let (status, seen) = send(service, reviewer, &format!("/api/v1/quality/scores/{score_id}/reviews"), None).await;
            assert_eq!(status, 200, "{seen}");
            let own = seen["hits"].as_array().unwrap().iter().find(|h| h["hit_id"] == hit_id.as_str()).unwrap().clone();
            own["standing"].as_str().unwrap().to_owned()
        }
    };
    for n in 0..49 {
        judge(n, "true_hit").await;
    }
    assert_eq!((standing(0).await.as_str(), standing(60).await.as_str()), ("true_hit", "waiting"), "49 reviews are too few");
    judge(49, "true_hit").await;
    let (mut automatic, mut audited) = (Vec::new(), Vec::new());
    for n in 50..90 {
        match standing(n).await.as_str() {
            "automatic" => automatic.push(n),
            "audit" => audited.push(hits[n].0.clone()),
            other => panic!("{other}"),
        }
    }
    assert!(automatic.len() > 25, "about one of twenty is still looked at, not {}", audited.len());
    // A choice by rule finds only what people are still to look at.
    let dealt = json!({"by": "rule", "rule_id": "zh-forbidden-words", "assignees": [reviewer_id], "size": 100});
    let (status, dealt) = send(&service, &reviewer, "/api/v1/quality/assignments", Some(dealt)).await;
    assert_eq!(status, 201, "{dealt}");
    let mut chosen: Vec<String> =
        dealt["items"].as_array().unwrap().iter().map(|i| i["score_id"].as_str().unwrap().to_owned()).collect();
    chosen.sort();
    audited.sort();
    assert_eq!(chosen, audited);
    // The agent may appeal what nobody reviewed, and the decision counts.
    let (score_id, hit_id) = &hits[automatic[0]];
    let (agent, _) = token(&service, json!({"name": "a", "scopes": ["calls:read"], "row_filter": {"agent_id": "a1"}})).await;
    let appeal = json!({"items": [{"hit_id": hit_id}], "reason": "客户要的就是饼干"});
    let (status, made) = send(&service, &agent, &format!("/api/v1/quality/scores/{score_id}/appeals"), Some(appeal)).await;
    assert_eq!(status, 201, "{made}");
    let decide = format!("/api/v1/quality/appeals/{}/decide", made["appeal_id"].as_str().unwrap());
    let decision = json!({"items": [{"hit_id": hit_id, "decision": "overturned"}], "final": true});
    assert_eq!(service.post(&decide, decision).await.0, 200);
    assert_eq!(standing(automatic[0]).await, "false_hit");
    assert_eq!(standing(automatic[9]).await, "automatic", "50 of 51: at least 0.897, kept while above 0.85");
    for n in &automatic[1..4] {
        judge(*n, "false_hit").await;
    }
    let (_, accuracy) = service.get("/api/v1/quality/rules/zh-forbidden-words/accuracy").await;
    assert_eq!((accuracy["mode"].as_str(), accuracy["n"].as_u64()), (Some("human"), Some(54)), "{accuracy}");
    assert_eq!(standing(automatic[9]).await, "waiting", "50 of 54: trust is lost, people look again");
    let (_, trail) = service.get("/api/v1/admin/audit?limit=200").await;
    let actions = trail.to_string();
    for action in ["quality.rule.automatic", "quality.rule.human", "quality.appeal.decide", "quality.assign"] {
        assert!(actions.contains(action), "{action}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_calibration_is_blind_and_ends_with_kappa() {
    let service = Service::start().await;
    publish_trusting_rule(&service, 10).await;
    let mut scores = Vec::new();
    for n in 0..4 {
        scores.push(hit(&service, n).await.0);
    }
    let body = |name: &str| json!({"name": name, "scopes": ["quality:review", "quality:judge", "quality:read", "calls:read"]});
    let ((one, one_id), (two, two_id)) = (token(&service, body("1")).await, token(&service, body("2")).await);
    let held = json!({"reviewers": [one_id, two_id], "rules": ["zh-forbidden-words"], "score_ids": scores});
    let (status, held) = service.post("/api/v1/quality/calibrations", held).await;
    assert_eq!(status, 201, "{held}");
    let (_, mine) = send(&service, &one, "/api/v1/quality/reviews?assignee=me", None).await;
    let mine = mine["items"].as_array().unwrap().clone();
    assert_eq!(mine.len(), 4);
    assert!(mine.iter().all(|i| i["score"].is_null() && i["hits"] == json!([]) && i["calibration"] == held["calibration_id"]));
    assert_eq!(mine[0]["rules"], json!(["zh-forbidden-words"]));
    let (_, others) = send(&service, &one, &format!("/api/v1/quality/reviews?assignee={two_id}"), None).await;
    assert_eq!(others["items"], json!([]), "what another answers is nobody's business");
    let card = format!("/api/v1/quality/scores/{}", scores[0]);
    assert_eq!(send(&service, &one, &card, None).await.0, 409, "the machine's answers come after one's own");
    let calibration = format!("/api/v1/quality/calibrations/{}", held["calibration_id"].as_str().unwrap());
    for (secret, answers) in [(&one, [true, true, false, false]), (&two, [true, true, true, false])] {
        for (score_id, answer) in scores.iter().zip(answers) {
            let body = json!({"score_id": score_id, "answers": {"zh-forbidden-words": answer}});
            let (status, said) = send(&service, secret, &format!("{calibration}/answers"), Some(body)).await;
            assert_eq!(status, 200, "{said}");
        }
        assert_eq!(send(&service, secret, &card, None).await.0, 200);
    }
    let (_, done) = service.get(&calibration).await;
    // p_o 3/4, p_e 1/2 * 3/4 + 1/2 * 1/4 = 1/2.
    assert_eq!(done["state"], "complete");
    let kappa = done["by_rule"][0]["kappa"].as_f64().unwrap();
    assert!((kappa - 0.5).abs() < 1e-9, "{done}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_reviews_shows_what_the_token_sees_and_nothing_it_is_to_answer_blind() {
    let service = Service::start().await;
    publish_trusting_rule(&service, 10).await;
    let (score_id, _) = hit(&service, 0).await;
    let scopes = json!(["quality:review", "quality:read", "calls:read"]);
    let (blind, blind_id) = token(&service, json!({"name": "b", "scopes": scopes})).await;
    let (seeing, seeing_id) = token(&service, json!({"name": "s", "scopes": scopes})).await;
    let other = json!({"name": "o", "scopes": scopes, "row_filter": {"agent_id": "a2"}});
    let (other, _) = token(&service, other).await;
    for (assignee, hidden) in [(&blind_id, true), (&seeing_id, false)] {
        let body = json!({"by": "list", "score_ids": [score_id], "assignees": [assignee], "size": 1, "blind": hidden});
        assert_eq!(service.post("/api/v1/quality/assignments", body).await.0, 201);
    }
    let shown = |secret: String| {
        let (service, path) = (&service, format!("/api/v1/quality/reviews?assignee={seeing_id}"));
        async move { send(service, &secret, &path, None).await.1["items"].as_array().unwrap().clone() }
    };
    let (own, others) = (shown(seeing).await, shown(blind).await);
    assert!(own[0]["score"].is_object() && !own[0]["hits"].as_array().unwrap().is_empty(), "{own:?}");
    assert!(others[0]["score"].is_null() && others[0]["hits"] == json!([]), "{others:?}");
    assert!(shown(other).await.is_empty(), "the scorecard is another agent's");
}
