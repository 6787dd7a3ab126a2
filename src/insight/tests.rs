use super::*;
use crate::conversation::{Conversation, Language, Named, Role, Turn};

fn turn(role: Role, text: &str, intent: Option<&str>, label: Option<&str>) -> Turn {
    let one = |name: &str| vec![Named { name: name.to_owned(), score: 0.9 }];
    Turn { role, text: text.to_owned(), intents: intent.map(one), labels: label.map(one), ..Turn::default() }
}

#[test]
fn every_section_quotes_turns() {
    let conversation = Conversation {
        turns: vec![
            turn(Role::Agent, "您好，请问有什么可以帮您", None, Some("greet")),
            turn(Role::Customer, "我的退款还没到账", Some("refund_status"), None),
            turn(Role::Agent, "退款已经在昨天提交银行", None, Some("inform")),
            turn(Role::Agent, "明天下午我给您回电话", None, Some("promise")),
            turn(Role::Agent, "请您留意短信通知", None, Some("instruct")),
        ],
        ..Conversation::default()
    };
    let summary = summarise(&conversation, Language::Zh);
    let names: Vec<_> = summary.sections.iter().map(|s| (s.name.as_str(), s.evidence.join(","))).collect();
    assert_eq!(names, [("reason", "1".into()), ("steps", "2".into()), ("outcome", "4".into()), ("promises", "3".into())]);
    assert_eq!(summary.disposition.as_deref(), Some("refund_status"));
    for section in &summary.sections {
        for part in section.text.split('；') {
            assert!(conversation.turns.iter().any(|t| t.text == part), "{part}");
        }
    }
}
