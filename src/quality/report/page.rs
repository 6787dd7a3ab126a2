//! The report as a page.

use std::fmt::Write as _;

use super::{AgentTally, Report, RuleTally, WorstHit};
use crate::conversation::Language;
use crate::quality::Level;

impl Report {
    /// The page: HTML with its own styles and pictures, nothing loaded from elsewhere.
    pub fn html(&self) -> String {
        let zh = self.language == Language::Zh;
        let label = |en: &'static str, zh_text: &'static str| if zh { zh_text } else { en };
        let scored = self.conversations - self.unscored;
        let mean = if scored > 0 { format!("{:.2}", self.sum / scored as f64) } else { "–".into() };
        let mut page = String::new();
        let lang = if zh { "zh-CN" } else { "en" };
        let title = escape(self.own_part(&self.title));
        let _ = write!(
            page,
            "<!doctype html>\n<html lang=\"{lang}\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
             content=\"width=device-width,initial-scale=1\"><title>{title}</title><style>{STYLE}</style></head><body><h1>{title}</h1>"
        );
        page.push_str("<div class=\"facts\">");
        for (name, value) in [
            (label("Conversations", "会话数"), self.conversations.to_string()),
            (label("Mean score", "平均分"), mean),
            (label("Fatal", "致命项会话"), self.fatal.to_string()),
            (label("Not scored", "无法评分"), self.unscored.to_string()),
        ] {
            let _ = write!(page, "<div><b>{value}</b><span>{name}</span></div>");
        }
        page.push_str("</div>");
        let _ = write!(page, "<h2>{}</h2>{}", label("Distribution of scores", "得分分布"), self.histogram_svg());
        self.write_dimensions(&mut page, label("Dimensions", "维度"), label("Mean", "平均"));
        self.write_rules(&mut page, &label);
        self.write_agents(&mut page, &label);
        self.write_worst(&mut page, &label);
        page.push_str("</body></html>\n");
        page
    }

    fn histogram_svg(&self) -> String {
        let most = self.histogram.iter().copied().max().unwrap_or(0).max(1);
        let mut svg = String::from("<svg viewBox=\"0 0 640 190\" role=\"img\" class=\"chart\">");
        for (i, count) in self.histogram.iter().enumerate() {
            let height = (140.0 * *count as f64 / most as f64).round();
            let (x, y) = (10 + i * 63, 160.0 - height);
            let from = self.max * i as f64 / 10.0;
            let hue = 4 + i * 13;
            let _ = write!(
                svg,
                "<rect x=\"{x}\" y=\"{y}\" width=\"54\" height=\"{height}\" rx=\"3\" fill=\"hsl({hue} 55% 48%)\"/>\
                 <text x=\"{}\" y=\"{}\">{count}</text><text x=\"{}\" y=\"178\" class=\"axis\">{from:.0}</text>",
                x + 27,
                y - 5.0,
                x + 27
            );
        }
        svg.push_str("</svg>");
        svg
    }

    fn write_dimensions(&self, page: &mut String, heading: &str, mean_label: &str) {
        let _ = write!(page, "<h2>{heading}</h2><table><tr><th></th><th class=\"n\">{mean_label}</th><th></th></tr>");
        for (_, name, sum, count) in &self.dimensions {
            let mean = if *count > 0 { sum / *count as f64 } else { 0.0 };
            let shown = if *count > 0 { format!("{mean:.2}") } else { "–".into() };
            let _ =
                write!(page, "<tr><td>{}</td><td class=\"n\">{shown}</td><td>{}</td></tr>", escape(name), bar(mean / self.max));
        }
        page.push_str("</table>");
    }

    fn write_rules(&self, page: &mut String, label: &dyn Fn(&'static str, &'static str) -> &'static str) {
        let _ = write!(
            page,
            "<h2>{}</h2><table><tr><th>{}</th><th>{}</th><th class=\"n\">{}</th><th class=\"n\">{}</th><th></th>\
             <th class=\"n\">{}</th><th class=\"n\">{}</th></tr>",
            label("Rules", "规则"),
            label("Rule", "规则"),
            label("Level", "等级"),
            label("Hits", "命中"),
            label("Hit rate", "命中率"),
            label("Not measurable", "不可测"),
            label("Points", "扣加分"),
        );
        // Rules of the other language, or of another medium, concern none of these conversations.
        let mut rules: Vec<&RuleTally> = self.rules.values().filter(|r| r.hit + r.miss + r.na > 0).collect();
        rules.sort_by(|a, b| rate(b).total_cmp(&rate(a)).then_with(|| a.name.cmp(&b.name)));
        for rule in rules {
            let _ = write!(
                page,
                "<tr><td>{}</td><td class=\"{}\">{}</td><td class=\"n\">{}</td><td class=\"n\">{:.1} %</td><td>{}</td>\
                 <td class=\"n\">{}</td><td class=\"n\">{:.1}</td></tr>",
                escape(&rule.name),
                rule.level.name(),
                level_label(rule.level, label),
                rule.hit,
                rate(rule) * 100.0,
                bar(rate(rule)),
                rule.na,
                rule.points
            );
        }
        page.push_str("</table>");
    }

    fn write_agents(&self, page: &mut String, label: &dyn Fn(&'static str, &'static str) -> &'static str) {
        let _ = write!(
            page,
            "<h2>{}</h2><table><tr><th>{}</th><th>{}</th><th class=\"n\">{}</th><th class=\"n\">{}</th><th></th>\
             <th class=\"n\">{}</th><th class=\"n\">{}</th></tr>",
            label("Agents", "坐席"),
            label("Agent", "坐席"),
            label("Team", "班组"),
            label("Conversations", "会话数"),
            label("Mean score", "平均分"),
            label("Hits per conversation", "每通命中"),
            label("Fatal", "致命项"),
        );
        let mean = |a: &AgentTally| if a.scored > 0 { a.sum / a.scored as f64 } else { f64::INFINITY };
        let mut agents: Vec<(&String, &AgentTally)> = self.agents.iter().collect();
        agents.sort_by(|a, b| mean(a.1).total_cmp(&mean(b.1)).then_with(|| a.0.cmp(b.0)));
        for (id, agent) in agents {
            let shown = if agent.scored > 0 { format!("{:.2}", mean(agent)) } else { "–".into() };
            let share = if agent.scored > 0 { mean(agent) / self.max } else { 0.0 };
            let _ = write!(
                page,
                "<tr><td>{}</td><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{shown}</td><td>{}</td>\
                 <td class=\"n\">{:.2}</td><td class=\"n\">{}</td></tr>",
                escape(id),
                escape(&agent.team),
                agent.calls,
                bar(share),
                agent.hits as f64 / agent.calls.max(1) as f64,
                agent.fatal
            );
        }
        page.push_str("</table>");
    }

    fn write_worst(&self, page: &mut String, label: &dyn Fn(&'static str, &'static str) -> &'static str) {
        let _ = write!(page, "<h2>{}</h2>", label("Lowest scores", "低分会话"));
        for worst in &self.worst {
            let fatal = if worst.fatal { format!(" <em>{}</em>", label("fatal", "致命")) } else { String::new() };
            let _ = write!(
                page,
                "<section><h3>{:.2} · {} · {}{fatal}</h3><ul>",
                worst.total,
                escape(&worst.call_id),
                escape(&worst.agent)
            );
            for WorstHit { name, level, points, quotes } in &worst.hits {
                let _ = write!(page, "<li><span class=\"{}\">{}</span> {points:+.1}", level.name(), escape(name));
                for (who, words) in quotes {
                    let _ = write!(page, "<blockquote><small>{}</small> {}</blockquote>", escape(who), escape(words));
                }
                page.push_str("</li>");
            }
            page.push_str("</ul></section>");
        }
    }
}

const STYLE: &str = "body{font:15px/1.5 system-ui,'Noto Sans SC',sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1c2430}\
    h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}h3{font-size:1rem;margin:.4rem 0}\
    .facts{display:flex;gap:1rem;flex-wrap:wrap}.facts div{background:#f2f5f8;border-radius:8px;padding:.6rem 1.2rem}\
    .facts b{display:block;font-size:1.4rem}.facts span{color:#5b6777}table{border-collapse:collapse;width:100%}\
    td,th{padding:.3rem .6rem;border-bottom:1px solid #e3e8ee;text-align:left}.n{text-align:right;font-variant-numeric:tabular-nums}\
    .chart{width:100%;max-width:40rem}.chart text{font-size:12px;text-anchor:middle;fill:#1c2430}.chart .axis{fill:#5b6777}\
    section{border:1px solid #e3e8ee;border-radius:8px;padding:.4rem 1rem;margin:.6rem 0}blockquote{margin:.2rem 0 .2rem 1rem;\
    padding-left:.6rem;border-left:3px solid #cbd5e0}small{color:#5b6777}em{color:#b3261e}.serious{color:#b3261e}.medium{color:#a15c00}\
    .light{color:#3d4a5c}@media(prefers-color-scheme:dark){body{background:#12171e;color:#e6ebf1}.facts div{background:#1d2530}\
    td,th,section{border-color:#2b3644}.chart text{fill:#e6ebf1}.light{color:#b4c0cf}}";

fn rate(rule: &RuleTally) -> f64 {
    let measured = rule.hit + rule.miss;
    if measured == 0 { 0.0 } else { rule.hit as f64 / measured as f64 }
}

fn level_label(level: Level, label: &dyn Fn(&'static str, &'static str) -> &'static str) -> &'static str {
    match level {
        Level::Serious => label("serious", "重度"),
        Level::Medium => label("medium", "中度"),
        Level::Light => label("light", "轻度"),
    }
}

fn bar(share: f64) -> String {
    let width = (share.clamp(0.0, 1.0) * 120.0).round();
    format!(
        "<svg width=\"120\" height=\"10\" role=\"img\"><rect width=\"120\" height=\"10\" rx=\"3\" fill=\"#8882\"/>\
         <rect width=\"{width}\" height=\"10\" rx=\"3\" fill=\"#3b7dd8\"/></svg>"
    )
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
