use super::*;

fn principal() -> Principal {
    Principal { token_id: "tok_a".into(), scopes: vec![Scope::CallsRead], row_filter: RowFilter::default() }
}

#[test]
fn secrets_differ_and_only_their_hash_is_comparable() {
    let (a, b) = (new_secret(), new_secret());
    assert!(a.starts_with("zy_") && a.len() == 55 && a != b);
    assert_eq!(hash_secret(&a), hash_secret(&a));
    assert_eq!(hash_secret("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

#[test]
fn a_ticket_works_once_and_for_its_call_only() {
    let book = TicketBook::default();
    let ticket = book.issue(principal(), Some("call_1".into()));
    assert!(book.redeem(&ticket, Some("call_2")).is_none());
    let ticket = book.issue(principal(), Some("call_1".into()));
    assert!(book.redeem(&ticket, Some("call_1")).is_some());
    assert!(book.redeem(&ticket, Some("call_1")).is_none());
}

#[test]
fn row_filters_restrict_only_what_they_name() {
    let filter = RowFilter { queues: vec!["billing".into()], ..RowFilter::default() };
    assert!(filter.admits(Some("billing"), None, None));
    assert!(!filter.admits(Some("card"), None, None) && !filter.admits(None, None, None));
    assert!(RowFilter::default().admits(None, None, None));
}

#[test]
fn a_filter_covers_only_what_hides_as_much() {
    let of = |queues: &[&str], agent: Option<&str>| RowFilter {
        queues: queues.iter().map(|q| (*q).to_owned()).collect(),
        teams: Vec::new(),
        agent_id: agent.map(str::to_owned),
    };
    let own = of(&["billing", "card"], None);
    assert!(own.covers(&own) && own.covers(&of(&["card"], Some("a1"))) && RowFilter::default().covers(&own));
    assert!(!own.covers(&RowFilter::default()) && !own.covers(&of(&["card", "loans"], None)));
    assert!(!of(&[], Some("a1")).covers(&of(&["card"], None)) && !of(&[], Some("a1")).covers(&of(&[], Some("a2"))));
    assert!(own.restricts() && of(&[], Some("a1")).restricts() && !RowFilter::default().restricts());
}

#[test]
fn the_limiter_admits_a_burst_and_then_says_when() {
    let limiter = RateLimiter::new([(RateClass::Control, 5.0)]);
    let decisions: Vec<_> = (0..12).map(|_| limiter.take("t", RateClass::Control)).collect();
    assert!(decisions[..10].iter().all(|d| d.admitted));
    assert!(!decisions[11].admitted && decisions[11].retry_after_s > 0.0);
    assert!(limiter.take("other", RateClass::Control).admitted);
}
