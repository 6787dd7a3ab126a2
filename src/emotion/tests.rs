use super::*;
use crate::conversation::Role;

#[test]
fn anger_raises_escalation_and_lowers_satisfaction() {
    let mut calm = Course::default();
    calm.observe(Role::Customer, 0.0, &[]);
    let mut angry = calm.clone();
    angry.observe(Role::Customer, -4.0, &[]);
    let mut threat = angry.clone();
    threat.observe(Role::Customer, -4.0, &["complaint_threat", "asks_supervisor"]);
    assert!(calm.escalation() < angry.escalation() && angry.escalation() < threat.escalation());
    assert!(calm.predicted_satisfaction() > angry.predicted_satisfaction());
    assert!((0.0..=1.0).contains(&threat.escalation()) && threat.predicted_satisfaction() >= 1.0);
}

#[test]
fn the_agents_mood_is_not_the_customers_risk() {
    let mut course = Course::default();
    course.observe(Role::Agent, -5.0, &["abuse"]);
    assert_eq!(course.escalation(), Course::default().escalation());
}

#[test]
fn thanks_at_the_end_raise_satisfaction() {
    let mut course = Course::default();
    course.observe(Role::Customer, -2.5, &[]);
    let before = course.predicted_satisfaction();
    course.observe(Role::Customer, 3.5, &[]);
    assert!(course.predicted_satisfaction() > before + 0.5);
}

#[test]
fn louder_higher_and_faster_means_more_arousal() {
    let normal = VoiceSample { energy_db: 60.0, pitch_hz: Some(180.0), rate_per_min: Some(240.0) };
    let mut meter = ArousalMeter::default();
    assert_eq!(meter.measure(normal), None);
    assert_eq!(meter.measure(normal), None);
    let base = meter.clone().measure(normal).unwrap();
    let loud = meter.clone().measure(VoiceSample { energy_db: 70.0, ..normal }).unwrap();
    let high = meter.clone().measure(VoiceSample { pitch_hz: Some(240.0), ..normal }).unwrap();
    let fast = meter.clone().measure(VoiceSample { rate_per_min: Some(330.0), ..normal }).unwrap();
    assert!((base - 0.5).abs() < 0.01 && loud > 0.7 && high > 0.7 && fast > 0.6);
}
