//! The desk of one conversation: utterances in, drafts of events out. No clock and no sink, so that the live flow, the
//! command line and evaluation run the very same code.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::guarded::{Guarded, mask_entities};
use super::{PipelineError, Stages};
use crate::assist::{Advisor, Found, Moment, SearchWish, wants_search};
use crate::conversation::{Conversation, IdKind, Language, Role, Understanding, Utterance, UtteranceId, VoiceReading, new_id};
use crate::emotion::{ArousalMeter, Course, VoiceSample};
use crate::event::{AlertEvidence, AlertLevel, AlertRaised, Call, Draft, EventBody, ResolveReason, RiskUpdated, WithdrawReason};
use crate::knowledge::{AGENTS, Filters, Gap, Miss, SearchRequest, SearchResponse};
use crate::nlu::Thread;
use crate::privacy::Watcher;
use crate::quality::{Kind, LiveChange, LiveEvaluator, Span, Verdict};

/// Milliseconds of the call between two risk events.
const RISK_EVERY_MS: i64 = 5_000;
/// Least change of the escalation risk that is told.
const RISK_CHANGE: f32 = 0.05;

/// What is kept of a conversation while it runs.
pub struct Desk {
    pub(super) stages: Arc<Stages>,
    call: Call,
    advisor: Advisor,
    course: Course,
    meters: BTreeMap<Role, ArousalMeter>,
    rules: LiveEvaluator,
    pub(super) spoken: Vec<(Utterance, Option<Understanding>)>,
    previous_customer: Option<String>,
    thread: Thread,
    risk_told: Option<(i64, f32)>,
    open_alerts: BTreeMap<String, String>,
    /// Since when the customer is on hold: the call has a hold when it is over, the rules know of it at once.
    hold_since_ms: Option<i64>,
    pub(super) watcher: Watcher,
}

impl Desk {
    /// The desk of a new call.
    pub fn new(stages: Arc<Stages>, call: Call) -> Self {
        let rules = LiveEvaluator::new(stages.rules(), &head_of(&call), stages.models.clone());
        let advisor = Advisor::new(stages.advisor, stages.templates.clone());
        Self {
            advisor,
            rules,
            call,
            stages,
            course: Course::default(),
            meters: BTreeMap::new(),
            spoken: Vec::new(),
            previous_customer: None,
            thread: Thread::default(),
            risk_told: None,
            open_alerts: BTreeMap::new(),
            hold_since_ms: None,
            watcher: Watcher::default(),
        }
    }

    /// The call as it is now.
    pub fn call(&self) -> &Call {
        &self.call
    }

    /// Changes the call; gives what the rules say to it.
    pub fn set_call(&mut self, call: Call) -> Vec<Draft> {
        self.call = call;
        let over = |since: &i64| self.call.hold.iter().flatten().any(|[start, _]| start == since);
        self.hold_since_ms = self.hold_since_ms.filter(|since| !over(since));
        self.tell_head()
    }

    /// The customer is on hold from here on, until the call has a hold that begins here.
    pub fn hold_from(&mut self, at_ms: i64) -> Vec<Draft> {
        self.hold_since_ms.get_or_insert(at_ms);
        self.tell_head()
    }

    /// Where the hold began that goes on.
    pub fn hold_since(&self) -> Option<i64> {
        self.hold_since_ms
    }

    fn tell_head(&mut self) -> Vec<Draft> {
        let mut head = head_of(&self.call);
        if let Some(start_ms) = self.hold_since_ms {
            head.hold.get_or_insert_default().push([start_ms, i64::MAX]);
        }
        self.ask_rules(None, |rules| rules.set_head(&head))
    }

    /// Whether the parties agree that the conversation is analysed.
    fn may_analyse(&self) -> bool {
        self.call.consent.analytics
    }

    /// What follows from a change that rules are told of, at a place in the recording or at their clock; nothing if no rules run.
    fn ask_rules(&mut self, at_ms: Option<i64>, change: impl FnOnce(&mut LiveEvaluator) -> Vec<LiveChange>) -> Vec<Draft> {
        if !self.stages.spec.has("rules") || !self.may_analyse() {
            return Vec::new();
        }
        let changes = change(&mut self.rules);
        changes.into_iter().filter_map(|change| self.alert(at_ms.unwrap_or(change.at_ms), change)).collect()
    }

    /// Final utterances so far, with what was understood of them.
    pub fn spoken(&self) -> &[(Utterance, Option<Understanding>)] {
        &self.spoken
    }

    /// Takes an utterance back that was understood in an earlier life of the process.
    pub fn restore(&mut self, utterance: Utterance, understanding: Option<Understanding>) {
        self.watcher.take(utterance.role.name(), &utterance.text);
        // What it changed was told then.
        drop(self.rules.final_turn(utterance.utterance_id.as_str(), utterance.to_turn(understanding.as_ref()), true));
        if utterance.role == Role::Customer {
            self.previous_customer = Some(utterance.text.clone());
            let intents = understanding.iter().flat_map(|u| &u.intents).filter(|i| self.stages.reader.is_topic(&i.name));
            self.thread.remember(intents.map(|i| (i.name.as_str(), i.confidence.unwrap_or(0.0))));
        }
        self.spoken.push((utterance, understanding));
    }

    /// A speaker of a shared channel has this role: everything he said from a place on is his. Gives what the rules say to it.
    pub fn set_role(&mut self, speaker: &str, role: Role, from_ms: i64) -> Vec<Draft> {
        let mut turns = Vec::new();
        for (utterance, understanding) in &mut self.spoken {
            // Labels begin anew when the process does: the same one may have been another's before.
            let his = utterance.speaker.as_deref() == Some(speaker) && utterance.span.start_ms >= from_ms;
            if his && utterance.role != role {
                utterance.role = role;
                turns.push((utterance.utterance_id.to_string(), utterance.to_turn(understanding.as_ref())));
            }
        }
        self.ask_rules(None, |rules| rules.replace_turns(turns))
    }

    /// An utterance was another speaker's; gives it as it is now, and what the rules say to it.
    pub fn set_speaker(&mut self, utterance_id: &UtteranceId, speaker: &str, role: Role) -> Option<(Utterance, Vec<Draft>)> {
        let (utterance, understanding) = self.spoken.iter_mut().rev().find(|(u, _)| u.utterance_id == *utterance_id)?;
        utterance.speaker = Some(speaker.to_owned());
        utterance.role = role;
        let turn = (utterance_id.to_string(), utterance.to_turn(understanding.as_ref()));
        let now = utterance.clone();
        Some((now, self.ask_rules(None, |rules| rules.replace_turns(vec![turn]))))
    }

    /// Keeps an utterance of which nothing could be understood; rules that read its words alone are asked.
    pub fn keep(&mut self, utterance: Utterance) -> Vec<Draft> {
        let (at_ms, turn) = (utterance.span.end_ms, utterance.to_turn(None));
        let drafts = self.ask_rules(Some(at_ms), |rules| rules.final_turn(utterance.utterance_id.as_str(), turn, true));
        self.spoken.push((utterance, None));
        drafts
    }

    /// Everything that follows from one final utterance, in the order of the wire: understood, suggestions, alerts,
    /// risk. The final itself was written before. Of a call that may not be analysed the utterance is kept, and nothing follows.
    ///
    /// # Errors
    /// The encoder failed; the utterance is not taken, see [`Desk::keep`].
    pub async fn take(&mut self, guarded: Guarded, voice: Option<VoiceSample>) -> Result<Vec<Draft>, PipelineError> {
        let Guarded { utterance, said, redactions, encoding, led_by_bot, .. } = guarded;
        if !self.may_analyse() {
            return Ok(self.keep(utterance));
        }
        let at_ms = utterance.span.end_ms;
        let arousal = voice.and_then(|sample| self.meters.entry(utterance.role).or_default().measure(sample));
        let reading =
            voice.map(|v| VoiceReading { energy_db: Some(v.energy_db), pitch_hz: v.pitch_hz, rate_per_min: v.rate_per_min });
        // The encoder hears what was said; what it tells is masked again.
        let spoken = Utterance { text: said, ..utterance.clone() };
        let understood = match &encoding {
            Some(encoding) => self.stages.understand_encoded(&spoken, encoding, &mut self.thread),
            None => self.stages.understand(&spoken, reading, arousal, &mut self.thread).await?,
        };
        let mut understanding = understood.understanding;
        mask_entities(&mut understanding, &redactions);
        let mut drafts = vec![Draft::new(at_ms, EventBody::UtteranceUnderstood(Box::new(understanding.clone())))];
        let spec = &self.stages.spec;
        if spec.has("assist") && !led_by_bot {
            drafts.extend(self.suggest(&utterance, &understanding, understood.encoding.embedding).await);
        }
        let turn = utterance.to_turn(Some(&understanding));
        drafts.extend(self.ask_rules(Some(at_ms), |rules| rules.final_turn(utterance.utterance_id.as_str(), turn, true)));
        let conduct: Vec<&str> = understanding.conduct.iter().map(|c| c.label.as_str()).collect();
        let valence = understanding.emotion.as_ref().map_or(0.0, |e| e.valence);
        self.course.observe(utterance.role, valence, &conduct);
        drafts.extend(self.risk(at_ms));
        if utterance.role == Role::Customer {
            self.previous_customer = Some(utterance.text.clone());
        }
        self.spoken.push((utterance, Some(understanding)));
        Ok(drafts)
    }

    async fn suggest(&mut self, utterance: &Utterance, understanding: &Understanding, vector: Vec<f32>) -> Vec<Draft> {
        let language = Language::from_tag(&utterance.language).unwrap_or_else(|| Language::of_text(&utterance.text));
        let wish = wants_search(utterance.role, &utterance.text, understanding, self.previous_customer.as_deref());
        let response = match &wish {
            Some(wish) => {
                // The sentence vector stands for the utterance alone; with the previous turn the words decide more.
                let request = SearchRequest {
                    top_k: 4,
                    languages: vec![language],
                    filters: Filters::for_audience(AGENTS, self.call.queue.clone()),
                    intents: understanding
                        .intents
                        .iter()
                        .filter_map(|intent| Some((intent.name.clone(), intent.confidence?)))
                        .collect(),
                    topic: wish.intent.clone(),
                    agent: self.call.agent.as_ref().map(|agent| agent.id.clone()),
                    ..SearchRequest::new(wish.query.clone())
                };
                Some(self.stages.find(request, Some(vector)).await)
            }
            None => None,
        };
        if utterance.role != Role::Customer {
            let said = self.advisor.agent_said(&utterance.text, utterance.span.end_ms);
            let withdrawn = |suggestion_id| EventBody::SuggestionWithdrawn { suggestion_id, reason: WithdrawReason::SaidByAgent };
            return said.into_iter().map(|id| Draft::new(utterance.span.end_ms, withdrawn(id))).collect();
        }
        if let (Some(wish), Some(response)) = (&wish, &response) {
            self.report_miss(utterance, understanding, wish, response);
        }
        let moment = Moment { utterance_id: &utterance.utterance_id, at_ms: utterance.span.end_ms, language, understanding };
        let found = Found {
            passages: response.as_ref().map_or(&[], |r| &r.passages),
            intent: wish.as_ref().and_then(|w| w.intent.as_deref()),
            degraded: response.as_ref().map_or(&[], |r| &r.degraded),
        };
        self.advisor
            .suggest(moment, found)
            .into_iter()
            .map(|s| Draft::new(moment.at_ms, EventBody::SuggestionCreated(Box::new(s))))
            .collect()
    }

    /// A question of the customer that found no good article is a gap. A remark that asks nothing is none.
    fn report_miss(&self, utterance: &Utterance, understanding: &Understanding, wish: &SearchWish, response: &SearchResponse) {
        let best = response.passages.first();
        let asks = understanding.acts.iter().any(|act| act.label == "ask");
        if !asks || best.is_some_and(|hit| hit.score >= self.stages.advisor.min_score) {
            return;
        }
        let gap = Gap {
            gap_id: format!("gap_{}", utterance.utterance_id.as_str()),
            // the desk has no clock: who keeps it knows the time
            time: String::new(),
            question: utterance.text.clone(),
            reason: if best.is_some() { "weak" } else { "nothing_found" }.into(),
            intent: wish.intent.clone(),
            call_id: Some(self.call.call_id.as_str().to_owned()),
            document_id: best.map(|hit| hit.document_id.clone()),
        };
        self.stages.knowledge.report_miss(Miss { gap, score: best.map(|hit| hit.score) });
    }

    /// Somebody began to speak: a deadline waits for what he says.
    pub fn speech_started(&mut self, utterance_id: &UtteranceId, role: Role, start_ms: i64) -> Vec<Draft> {
        self.ask_rules(Some(start_ms), |rules| rules.speech_started(utterance_id.as_str(), role, start_ms))
    }

    /// What began was no speech after all.
    pub fn speech_dropped(&mut self, utterance_id: &UtteranceId, at_ms: i64) -> Vec<Draft> {
        self.ask_rules(Some(at_ms), |rules| rules.speech_dropped(utterance_id.as_str()))
    }

    /// Everything before this place in the recording is final.
    pub fn advance_clock(&mut self, at_ms: i64) -> Vec<Draft> {
        self.ask_rules(Some(at_ms), |rules| rules.advance_clock(at_ms))
    }

    fn risk(&mut self, at_ms: i64) -> Option<Draft> {
        let escalation = self.course.escalation();
        let due = match self.risk_told {
            None => true,
            Some((told_ms, told)) => at_ms - told_ms >= RISK_EVERY_MS && (escalation - told).abs() >= RISK_CHANGE,
        };
        if !due {
            return None;
        }
        self.risk_told = Some((at_ms, escalation));
        let body = RiskUpdated {
            escalation,
            predicted_satisfaction: self.course.predicted_satisfaction(),
            emotion_trend: self.course.trend(),
            negative_streak: self.course.negative_streak(),
        };
        Some(Draft::new(at_ms, EventBody::RiskUpdated(body)))
    }

    fn alert(&mut self, at_ms: i64, change: LiveChange) -> Option<Draft> {
        if change.verdict == Some(Verdict::Retracted) {
            let alert_id = self.open_alerts.remove(&change.rule)?;
            let body = EventBody::AlertResolved { alert_id, reason: ResolveReason::Retracted, by: None, note: None };
            return Some(Draft::new(at_ms, body));
        }
        // Equal alerts of one call are one, until it is taken back.
        if !change.alert || self.open_alerts.contains_key(&change.rule) {
            return None;
        }
        let rule = self.rules.rule(change.rule_index);
        // What the agent does well is for the scorecard, not for the supervisor's wall.
        if rule.kind == Kind::Merit {
            return None;
        }
        let level = match change.level {
            "critical" => AlertLevel::Critical,
            "warning" => AlertLevel::Warning,
            _ => AlertLevel::Info,
        };
        let conversation = self.rules.conversation();
        let evidence = change.hits.iter().flat_map(|hit| &hit.spans).filter_map(|span| evidence(&conversation, *span)).collect();
        let alert_id = new_id(IdKind::Alert);
        let body = AlertRaised {
            alert_id: alert_id.clone(),
            rule_id: rule.id.clone(),
            rule_version: rule.version.unwrap_or(1),
            level,
            title: rule.title().to_owned(),
            evidence,
            dedup_key: format!("{}:{}", self.call.call_id, change.rule),
            suggested_action: None,
        };
        self.open_alerts.insert(change.rule, alert_id);
        metrics::counter!("zhiyin_alerts_total", "level" => change.level).increment(1);
        Some(Draft::new(at_ms, EventBody::AlertRaised(body)))
    }

    /// The call is over: what was raised only for the time being is settled.
    pub fn end(&mut self) -> Vec<Draft> {
        let duration_ms = self.call.duration_ms.unwrap_or(0);
        let (length_ms, hangup_by) = (self.call.duration_ms, self.call.hangup_by);
        self.ask_rules(Some(duration_ms), |rules| rules.end(length_ms, hangup_by).1)
    }

    /// The conversation so far in its interchange form.
    pub fn conversation(&self) -> Conversation {
        Conversation::from_utterances(head_of(&self.call), &self.spoken)
    }
}

fn evidence(conversation: &Conversation, span: Span) -> Option<AlertEvidence> {
    let turn = conversation.turns.get(span.turn)?;
    Some(AlertEvidence {
        utterance_id: turn.id.clone()?,
        start: span.start,
        end: span.end,
        start_ms: turn.start_ms.unwrap_or(0),
        end_ms: turn.end_ms.unwrap_or(0),
    })
}

/// Everything of a call but its turns, as the interchange form has it.
pub fn head_of(call: &Call) -> Conversation {
    use crate::conversation::{AudioLayout, Channel, MetadataValue};
    let metadata = call
        .metadata
        .iter()
        .filter_map(|(key, value)| serde_json::from_value::<MetadataValue>(value.clone()).ok().map(|v| (key.clone(), v)))
        .collect();
    let layout = call.audio.as_ref().map(|audio| match audio.layout.as_deref() {
        Some("mono") => AudioLayout::Mono,
        Some(_) => AudioLayout::Stereo,
        None if audio.channels.len() == 1 => AudioLayout::Mono,
        None => AudioLayout::Stereo,
    });
    Conversation {
        id: call.call_id.to_string(),
        channel: Some(call.channel),
        language: call.languages.first().cloned(),
        direction: Some(call.direction),
        queue: call.queue.clone(),
        agent_id: call.agent.as_ref().map(|a| a.id.clone()),
        team: call.agent.as_ref().and_then(|a| a.team.clone()),
        started_at: Some(call.started_at.clone()),
        audio: layout.filter(|_| call.channel == Channel::Voice),
        answered_ms: Some(call.answered_ms),
        duration_ms: call.duration_ms,
        hangup_by: call.hangup_by,
        hold: call.hold.clone(),
        metadata,
        turns: Vec::new(),
    }
}
