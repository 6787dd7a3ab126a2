//! Scorecards as lines for spreadsheets.

use super::ruleset::RuleState;
use super::score::Scorecard;

/// The first line of a spreadsheet of scorecards that [`csv_line`] fills.
pub fn csv_header(dimensions: &[&str]) -> String {
    let mut fields = vec!["call_id", "agent_id", "team", "scheme_id", "total", "max", "fatal", "hits"];
    fields.extend(dimensions);
    record(fields.iter().map(|f| (*f).to_owned()))
}

/// A scorecard as a line of a spreadsheet, with the given dimensions as its last columns.
pub fn csv_line(card: &Scorecard, dimensions: &[&str]) -> String {
    let number = |value: Option<f64>| value.map_or(String::new(), |v| format!("{v}"));
    let hits: Vec<&str> =
        card.results.iter().filter(|r| r.result.state == RuleState::Hit).map(|r| r.result.rule.as_str()).collect();
    let mut fields = vec![
        card.call_id.clone(),
        card.agent_id.clone().unwrap_or_default(),
        card.team.clone().unwrap_or_default(),
        card.scheme_id.clone(),
        number(card.total),
        format!("{}", card.max),
        card.fatal.join(" "),
        hits.join(" "),
    ];
    for id in dimensions {
        fields.push(number(card.dimensions.iter().find(|d| d.id == *id).and_then(|d| d.score)));
    }
    record(fields.into_iter())
}

/// One CSV record. A text that a spreadsheet would take for a formula gets an apostrophe in front.
fn record(fields: impl Iterator<Item = String>) -> String {
    let quoted: Vec<String> = fields
        .map(|field| {
            let formula = field.starts_with(['=', '+', '@', '\t']) || (field.starts_with('-') && field.parse::<f64>().is_err());
            let field = if formula { format!("'{field}") } else { field };
            if field.contains([',', '"', '\n', '\r']) { format!("\"{}\"", field.replace('"', "\"\"")) } else { field }
        })
        .collect();
    quoted.join(",") + "\n"
}
