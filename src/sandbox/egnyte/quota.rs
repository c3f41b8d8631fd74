//! What a token may spend: calls in a second and calls in a day, and the two ways of saying that it was too much.

use std::collections::{HashMap, VecDeque};

use axum::http::HeaderValue;
use axum::http::header::RETRY_AFTER;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::reply;

const SECOND_MS: i64 = 1000;
const DAY_MS: i64 = 24 * 3600 * 1000;

/// How a call too many is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThrottleForm {
    /// 403 with the gateway's own header.
    #[default]
    Gateway,
    /// 429.
    TooMany,
}

/// How many calls each token may make; what is absent is not limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quota {
    /// In any second.
    pub per_second: Option<u32>,
    /// From midnight to midnight, UTC.
    pub per_day: Option<u32>,
    /// How it is told.
    pub form: ThrottleForm,
}

impl Quota {
    /// As many calls as one likes.
    pub const NONE: Self = Self { per_second: None, per_day: None, form: ThrottleForm::Gateway };
    /// What the service documents for a new key: 2 calls a second and 1,000 calls a day.
    pub const DOCUMENTED: Self = Self { per_second: Some(2), per_day: Some(1000), form: ThrottleForm::Gateway };
}

/// The counted calls of one token.
#[derive(Debug, Default)]
struct Meter {
    recent: VecDeque<i64>,
    day: i64,
    today: u32,
}

/// The counted calls of all tokens.
#[derive(Debug)]
pub(crate) struct Meters {
    pub quota: Quota,
    /// How far the day is ahead of the wall clock.
    ahead_ms: i64,
    by_token: HashMap<String, Meter>,
}

/// What an accepted call leaves of the quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Charge {
    quota: Quota,
    this_second: u32,
    today: u32,
}

/// Why a call was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Throttled {
    charge: Charge,
    code: &'static str,
    retry_after_s: i64,
}

impl Meters {
    pub fn new(quota: Quota) -> Self {
        Self { quota, ahead_ms: 0, by_token: HashMap::new() }
    }

    /// Moves the clock of the daily quota to the next midnight.
    pub fn next_day(&mut self, now: i64) {
        let then = now + self.ahead_ms;
        self.ahead_ms += DAY_MS - then.rem_euclid(DAY_MS);
    }

    /// The calls that count against a token's day.
    pub fn today(&self, token: &str, now: i64) -> u32 {
        let day = (now + self.ahead_ms).div_euclid(DAY_MS);
        self.by_token.get(token).filter(|meter| meter.day == day).map_or(0, |meter| meter.today)
    }

    /// Counts a call, unless it is one too many.
    pub(super) fn charge(&mut self, token: &str, now: i64) -> Result<Option<Charge>, Throttled> {
        let now = now + self.ahead_ms;
        let quota = self.quota;
        let meter = self.by_token.entry(token.to_owned()).or_default();
        let day = now.div_euclid(DAY_MS);
        if meter.day != day {
            (meter.day, meter.today) = (day, 0);
        }
        while meter.recent.front().is_some_and(|then| then + SECOND_MS <= now) {
            meter.recent.pop_front();
        }
        let charge = Charge { quota, this_second: meter.recent.len() as u32, today: meter.today };
        if quota.per_day.is_some_and(|allowed| meter.today >= allowed) {
            let until_midnight = DAY_MS - now.rem_euclid(DAY_MS);
            let retry_after_s = (until_midnight + SECOND_MS - 1) / SECOND_MS;
            return Err(Throttled { charge, code: "ERR_403_DEVELOPER_OVER_RATE", retry_after_s });
        }
        if quota.per_second.is_some_and(|allowed| charge.this_second >= allowed) {
            return Err(Throttled { charge, code: "ERR_403_DEVELOPER_OVER_QPS", retry_after_s: 1 });
        }
        meter.today += 1;
        if quota.per_second.is_some() {
            meter.recent.push_back(now);
        }
        let charge = Charge { this_second: charge.this_second + 1, today: meter.today, ..charge };
        Ok((quota != Quota { form: quota.form, ..Quota::NONE }).then_some(charge))
    }
}

/// Adds the headers that tell of the quota.
pub(super) fn stamp(response: &mut Response, charge: Option<&Charge>) {
    let Some(charge) = charge else { return };
    let headers = response.headers_mut();
    if let Some(allowed) = charge.quota.per_second {
        headers.insert("x-accesstoken-qps-allotted", HeaderValue::from(allowed));
        headers.insert("x-accesstoken-qps-current", HeaderValue::from(charge.this_second));
    }
    if let Some(allowed) = charge.quota.per_day {
        headers.insert("x-accesstoken-quota-allotted", HeaderValue::from(allowed));
        headers.insert("x-accesstoken-quota-current", HeaderValue::from(charge.today));
    }
}

impl Throttled {
    pub fn response(&self) -> Response {
        let mut response = match self.charge.quota.form {
            ThrottleForm::Gateway => {
                let mut response = reply::plain(403, "text/xml", "<h1>Developer Over Limit</h1>");
                response.headers_mut().insert("x-mashery-error-code", HeaderValue::from_static(self.code));
                response
            }
            ThrottleForm::TooMany => reply::message(429, "Too many requests"),
        };
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(self.retry_after_s));
        stamp(&mut response, Some(&self.charge));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: i64 = 20_000 * DAY_MS + DAY_MS / 2;

    #[test]
    fn a_second_and_a_day_are_counted_for_each_token() {
        let mut meters = Meters::new(Quota { per_second: Some(2), per_day: Some(3), ..Quota::NONE });
        assert!(meters.charge("a", NOON).is_ok());
        assert!(meters.charge("a", NOON + 10).is_ok());
        assert_eq!(meters.charge("a", NOON + 20).unwrap_err().code, "ERR_403_DEVELOPER_OVER_QPS");
        assert!(meters.charge("b", NOON + 20).is_ok());
        assert_eq!(meters.charge("a", NOON + 1000).unwrap().unwrap().today, 3);
        let over = meters.charge("a", NOON + 5000).unwrap_err();
        assert_eq!(over.code, "ERR_403_DEVELOPER_OVER_RATE");
        assert_eq!(over.retry_after_s, 12 * 3600 - 5);
    }

    #[test]
    fn the_day_can_be_made_to_end() {
        let mut meters = Meters::new(Quota { per_day: Some(1), ..Quota::NONE });
        assert!(meters.charge("a", NOON).is_ok());
        assert!(meters.charge("a", NOON + 1).is_err());
        assert_eq!(meters.today("a", NOON + 1), 1);
        meters.next_day(NOON + 2);
        assert_eq!(meters.today("a", NOON + 2), 0);
        assert!(meters.charge("a", NOON + 2).is_ok());
        assert!(meters.charge("a", NOON + 3).is_err());
    }

    #[test]
    fn without_a_quota_nothing_is_told() {
        let mut meters = Meters::new(Quota::NONE);
        assert_eq!(meters.charge("a", NOON), Ok(None));
        assert_eq!(meters.today("a", NOON), 1);
    }
}
