//! A script of misbehaviour: which request goes wrong, how often, and in what way.

use serde::{Deserialize, Serialize};

use super::content::next_random;

/// One way of going wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "fault", deny_unknown_fields)]
pub enum Fault {
    /// This answer, and nothing is done.
    Answer(Answer),
    /// What was asked is done, and then this answer is given.
    AnswerAfter(Answer),
    /// The connection is closed, and nothing is done.
    CutBefore,
    /// What was asked is done, and the connection is closed without an answer.
    CutAfter,
    /// The caller's token dies, and the answer is 401.
    RevokeToken,
    /// The caller's access token ends, and the answer is 401; its refresh token is still good.
    ExpireToken,
    /// Everything as usual, but later.
    Delay {
        /// How much later.
        ms: u64,
    },
    /// The connection is closed in the middle of the body.
    CutBody {
        /// The bytes of it that still arrive.
        after: u64,
    },
    /// The body trickles.
    SlowBody {
        /// How fast.
        bytes_per_second: u64,
    },
    /// A well-formed answer with only the beginning of the body.
    ShortBody {
        /// The bytes that are left.
        len: u64,
    },
    /// A well-formed answer with more body than there is content.
    LongBody {
        /// The bytes too many.
        by: u64,
    },
    /// One byte of the body is another one.
    CorruptBody {
        /// Which one.
        at: u64,
    },
    /// A download gives another version than asked for: the current for a past one, else the one before.
    WrongVersion,
    /// A download answers 200 with everything although a part was asked for.
    IgnoreRange,
    /// A download answers 206 with so many bytes although everything was asked for.
    UnaskedPart {
        /// The bytes of it that come.
        len: u64,
    },
    /// The answer lacks a header.
    LoseHeader {
        /// Its name.
        name: String,
    },
    /// The answer has this header, whatever the truth is.
    SetHeader {
        /// Its name.
        name: String,
        /// Its value.
        value: String,
    },
    /// Every event of the page comes twice.
    DuplicateEvents,
    /// The page starts this many events before the position.
    RewindEvents {
        /// How many.
        by: u64,
    },
    /// The events of the page come in the opposite order.
    ReorderEvents,
    /// The position moves on but the events are missing.
    DropEvents,
    /// There is nothing new yet, although there is.
    LateEvents,
    /// At most so many entries in the page of events, whatever the limit.
    ShortPage {
        /// How many.
        entries: usize,
    },
    /// The next position is the text of the number.
    PositionText,
    /// The next position is 0.
    PositionZero,
    /// The next position is the one that was asked with.
    PositionStuck,
    /// The next marker leads to the same page again.
    LoopMarker,
    /// Every entry of the listing comes twice.
    DuplicateEntries,
    /// The listing says that the folder is empty.
    EmptyListing,
    /// The long poll is held until the client gives up.
    Hang,
    /// The long poll says this at once.
    Message {
        /// Such as `new_change`, `reconnect`, or something nobody knows.
        text: String,
    },
}

/// An answer of the script.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Header names and values.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// The body as it is sent.
    #[serde(default)]
    pub body: String,
}

impl Answer {
    /// A status with an empty body.
    pub fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: String::new() }
    }

    /// What a proxy says when the service is down.
    pub fn html(status: u16) -> Self {
        let body = "<html><body><h1>Service Unavailable</h1></body></html>".to_owned();
        Self { body, ..Self::empty(status) }.with("content-type", "text/html")
    }

    /// The service's own error body.
    pub fn error(status: u16, code: &str) -> Self {
        let body = format!(
            r#"{{"type":"error","status":{status},"code":"{code}","message":"scripted","help_url":"","request_id":"scripted"}}"#
        );
        Self { body, ..Self::empty(status) }.with("content-type", "application/json")
    }

    /// 429, with the header if there is to be one: seconds or an HTTP date.
    pub fn too_many(retry_after: Option<&str>) -> Self {
        let answer = Self::error(429, "rate_limit_exceeded");
        match retry_after {
            Some(value) => answer.with("retry-after", value),
            None => answer,
        }
    }

    /// 403 of the gateway that some services answer instead of a 429, for too many calls in a second.
    pub fn gateway_over_qps(retry_after: &str) -> Self {
        Self::gateway("ERR_403_DEVELOPER_OVER_QPS", retry_after)
    }

    /// 403 of the gateway, for too many calls in a day.
    pub fn gateway_over_rate(retry_after: &str) -> Self {
        Self::gateway("ERR_403_DEVELOPER_OVER_RATE", retry_after)
    }

    fn gateway(code: &str, retry_after: &str) -> Self {
        let body = "<h1>Developer Over Limit</h1>".to_owned();
        let answer = Self { body, ..Self::empty(403) }.with("content-type", "text/xml");
        answer.with("x-mashery-error-code", code).with("retry-after", retry_after)
    }

    /// 401 for a token that was good before.
    pub fn expired_token() -> Self {
        Self::error(401, "unauthorized").with("www-authenticate", r#"Bearer realm="Service", error="expired_token""#)
    }

    /// With one more header.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// When a fault happens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The kind of request, in the words of the counters; `*` for every kind.
    pub call: String,
    /// Only for this item, upload session or link. On the Egnyte face an item goes by its id, its id as the API writes it,
    /// or its path.
    #[serde(default)]
    pub id: Option<String>,
    /// So many requests that match pass first.
    #[serde(default)]
    pub skip: u32,
    /// So many are hit; none means all from then on.
    #[serde(default = "once")]
    pub times: Option<u32>,
    /// How likely each of them is hit.
    #[serde(default = "certain")]
    pub percent: u8,
    /// What happens, all of it at once.
    pub faults: Vec<Fault>,
}

#[expect(clippy::unnecessary_wraps, reason = "serde wants the field's own type")]
fn once() -> Option<u32> {
    Some(1)
}

fn certain() -> u8 {
    100
}

impl Rule {
    /// Hits the next request of this kind.
    pub fn on(call: &str, fault: Fault) -> Self {
        Self { call: call.to_owned(), id: None, skip: 0, times: once(), percent: certain(), faults: vec![fault] }
    }

    /// Only for one item.
    #[must_use]
    pub fn id(self, id: &str) -> Self {
        Self { id: Some(id.to_owned()), ..self }
    }

    /// Lets `skip` requests pass first.
    #[must_use]
    pub fn skip(self, skip: u32) -> Self {
        Self { skip, ..self }
    }

    /// Hits so many requests.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { times: Some(times), ..self }
    }

    /// Hits all of them from then on.
    #[must_use]
    pub fn always(self) -> Self {
        Self { times: None, ..self }
    }

    /// Hits each with this likelihood.
    #[must_use]
    pub fn percent(self, percent: u8) -> Self {
        Self { percent, ..self }
    }

    /// With one more thing going wrong at the same time.
    #[must_use]
    pub fn and(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self
    }

    fn matches(&self, call: &str, names: &[String]) -> bool {
        self.times != Some(0)
            && (self.call == "*" || self.call == call)
            && self.id.as_ref().is_none_or(|wanted| names.contains(wanted))
    }
}

/// Faults without a script: each request may meet one, as a seeded die falls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Chaos {
    /// Decides everything.
    pub seed: u64,
    /// 500, 502, 503 or 429 instead of doing what was asked.
    pub error_percent: u8,
    /// The connection closed before anything is done.
    pub cut_percent: u8,
    /// A write that is done although its answer is lost or an error.
    pub lost_answer_percent: u8,
    /// A content that is cut, short, long or corrupted.
    pub content_percent: u8,
    /// Events that come twice, in another order, late, or with a short page.
    pub events_percent: u8,
    /// Events that never come.
    pub events_dropped_percent: u8,
    /// Up to 50 ms later.
    pub delay_percent: u8,
}

/// All rules in force.
#[derive(Debug, Default)]
pub(crate) struct Script {
    rules: Vec<Rule>,
    chaos: Chaos,
    random: u64,
}

impl Script {
    pub fn add(&mut self, rule: Rule) {
        self.rules.push(rule);
    }

    pub fn set_chaos(&mut self, chaos: Chaos) {
        self.random = chaos.seed;
        self.chaos = chaos;
    }

    pub fn clear(&mut self) {
        *self = Self { random: self.random, ..Self::default() };
    }

    /// The rules that still wait for requests.
    pub fn pending(&self) -> Vec<Rule> {
        self.rules.iter().filter(|rule| rule.times != Some(0)).cloned().collect()
    }

    /// Whether any request can meet a fault.
    pub fn is_armed(&self) -> bool {
        self.chaos != Chaos { seed: self.chaos.seed, ..Chaos::default() } || !self.rules.is_empty()
    }

    fn die(&mut self, percent: u8) -> bool {
        percent > 0 && (percent >= 100 || next_random(&mut self.random) % 100 < u64::from(percent))
    }

    /// What goes wrong with this request: the first rule that hits it, else what chaos brings.
    pub fn next(&mut self, call: &str, names: &[String]) -> Vec<Fault> {
        for at in 0..self.rules.len() {
            if !self.rules[at].matches(call, names) {
                continue;
            }
            if self.rules[at].skip > 0 {
                self.rules[at].skip -= 1;
                continue;
            }
            let percent = self.rules[at].percent;
            if !self.die(percent) {
                continue;
            }
            let rule = &mut self.rules[at];
            rule.times = rule.times.map(|times| times - 1);
            let faults = rule.faults.clone();
            self.rules.retain(|rule| rule.times != Some(0));
            return faults;
        }
        self.random_faults(call)
    }

    fn random_faults(&mut self, call: &str) -> Vec<Fault> {
        let chaos = self.chaos;
        let mut faults = Vec::new();
        if self.die(chaos.delay_percent) {
            faults.push(Fault::Delay { ms: next_random(&mut self.random) % 50 });
        }
        if self.die(chaos.error_percent) {
            let answers = [Answer::html(503), Answer::empty(500), Answer::html(502), Answer::too_many(Some("1"))];
            faults.push(Fault::Answer(self.pick(&answers)));
        } else if self.die(chaos.cut_percent) {
            faults.push(Fault::CutBefore);
        } else if is_write(call) && self.die(chaos.lost_answer_percent) {
            let ways = [Fault::CutAfter, Fault::AnswerAfter(Answer::html(503))];
            faults.push(self.pick(&ways));
        } else if is_content(call) && self.die(chaos.content_percent) {
            let at = next_random(&mut self.random) % 100_000;
            let ways = [
                Fault::CutBody { after: at },
                Fault::ShortBody { len: at },
                Fault::LongBody { by: 1 + at % 100 },
                Fault::CorruptBody { at },
                Fault::IgnoreRange,
            ];
            faults.push(self.pick(&ways));
        } else if is_events(call) && self.die(chaos.events_percent) {
            let ways = [
                Fault::DuplicateEvents,
                Fault::RewindEvents { by: 5 },
                Fault::ReorderEvents,
                Fault::LateEvents,
                Fault::ShortPage { entries: 2 },
                Fault::PositionText,
            ];
            faults.push(self.pick(&ways));
        } else if is_events(call) && self.die(chaos.events_dropped_percent) {
            faults.push(Fault::DropEvents);
        }
        faults
    }

    fn pick<T: Clone>(&mut self, choices: &[T]) -> T {
        let at = next_random(&mut self.random) % choices.len() as u64;
        choices[at as usize].clone()
    }
}

/// Whether the answer is the content of a file.
fn is_content(call: &str) -> bool {
    ["content_redirect", "egnyte_download"].contains(&call)
}

/// Whether the answer is a page of events.
fn is_events(call: &str) -> bool {
    ["events", "egnyte_events"].contains(&call)
}

/// Whether a request changes the cloud.
fn is_write(call: &str) -> bool {
    [
        "_create",
        "_move",
        "_upload",
        "_chunk",
        "_update",
        "_delete",
        "_restore",
        "_copy",
        "_promote",
        "upload_new",
        "upload_version",
        "_commit",
        "_part",
    ]
    .iter()
    .any(|end| call.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_used_up_in_order() {
        let mut script = Script::default();
        let cut = Fault::CutBefore;
        let slow = Fault::SlowBody { bytes_per_second: 1 };
        script.add(Rule::on("content", cut.clone()).times(2).skip(1));
        script.add(Rule::on("content", slow.clone()).id("7"));
        assert_eq!(
            script.next("content", &["7".to_owned()]),
            std::slice::from_ref(&slow),
            "the skipped one falls to the next rule"
        );
        assert_eq!(script.next("events", &["7".to_owned()]), []);
        assert_eq!(script.next("content", &["8".to_owned()]), std::slice::from_ref(&cut));
        assert_eq!(script.next("content", &["8".to_owned()]), std::slice::from_ref(&cut));
        assert_eq!(script.next("content", &["8".to_owned()]), []);
        assert!(!script.is_armed());
    }

    #[test]
    fn chaos_follows_from_its_seed_and_hits_about_as_often_as_told() {
        let chaos = Chaos { seed: 3, error_percent: 10, events_percent: 50, ..Chaos::default() };
        let run = || {
            let mut script = Script::default();
            script.set_chaos(chaos);
            (0..1000).map(|_| script.next("events", &[])).collect::<Vec<_>>()
        };
        assert_eq!(run(), run());
        let hit = run().iter().filter(|faults| !faults.is_empty()).count();
        assert!((450..650).contains(&hit), "{hit} of 1000");
    }

    #[test]
    fn a_rule_can_be_written_as_json() {
        let text =
            r#"{"call":"content","times":null,"faults":[{"fault":"answer","status":503},{"fault":"delay","ms":3}]}"#;
        let rule: Rule = serde_json::from_str(text).unwrap();
        assert_eq!(rule, Rule::on("content", Fault::Answer(Answer::empty(503))).and(Fault::Delay { ms: 3 }).always());
    }
}
