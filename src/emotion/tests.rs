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
fn a_streak_counts_clearly_negative_utterances_of_the_customer_and_ends_with_another() {
    let mut course = Course::default();
    let streaks: Vec<u32> =
        [(Role::Customer, -3.0), (Role::Agent, -4.0), (Role::Customer, -2.0), (Role::Customer, -1.9), (Role::Customer, -5.0)]
            .into_iter()
            .map(|(role, valence)| {
                course.observe(role, valence, &[]);
                course.negative_streak()
            })
            .collect();
    assert_eq!(streaks, [1, 1, 2, 0, 1]);
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

#[test]
fn correlations_of_known_numbers() {
    let line: Vec<(f64, f64)> = (0..10).map(|x| (f64::from(x), 3.0 - 2.0 * f64::from(x))).collect();
    assert!((pearson(&line).unwrap().r + 1.0).abs() < 1e-12);
    // Anscombe's first set: r = 0.8164
    let x = [10.0, 8.0, 13.0, 9.0, 11.0, 14.0, 6.0, 4.0, 12.0, 7.0, 5.0];
    let y = [8.04, 6.95, 7.58, 8.81, 8.33, 9.96, 7.24, 4.26, 10.84, 4.82, 5.68];
    let pairs: Vec<(f64, f64)> = x.into_iter().zip(y).collect();
    let found = pearson(&pairs).unwrap();
    assert!((found.r - 0.8164).abs() < 1e-4 && found.low < found.r && found.r < found.high && found.n == 11);
    let curved: Vec<(f64, f64)> = pairs.iter().map(|(x, y)| (x.exp(), *y)).collect();
    assert_eq!(spearman(&curved).unwrap().r, spearman(&pairs).unwrap().r, "ranks do not see a rising curve");
    assert_eq!(pearson(&[(1.0, 1.0); 9]), None);
    assert_eq!(pearson(&pairs[..3]), None);
}
