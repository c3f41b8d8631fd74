//! What Egnyte's refusals and allowance headers mean. It has many forms for an error; all are read, none is relied on.

use std::time::{Duration, SystemTime};

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use serde_json::Value;

use super::wire::{Fields, Object};
use crate::provider::http::{Quota, Refusal, retry_after};
use crate::provider::{ProviderError, ProviderErrorKind};

/// The gateway's own code; a 403 is a throttle only with it.
const GATEWAY_CODE: &str = "x-mashery-error-code";
const OVER_RATE: &str = "ERR_403_DEVELOPER_OVER_RATE";
const OVER_QPS: &str = "ERR_403_DEVELOPER_OVER_QPS";
const INACTIVE: &str = "ERR_403_DEVELOPER_INACTIVE";
/// The most of a provider's own words that goes into an error.
const MAX_DETAIL_CHARS: usize = 400;
/// A day's allowance is new at midnight UTC.
const DAY_S: u64 = 24 * 3_600;

/// The one translation of refusals.
pub fn refusal(refusal: &Refusal<'_>) -> ProviderError {
    use ProviderErrorKind as Kind;
    let headers = refusal.headers;
    let gateway = header(headers, GATEWAY_CODE).unwrap_or_default();
    let said = said(refusal.body);
    let lower = said.to_lowercase();
    let (kind, message) = match refusal.status {
        202 => (Kind::NotReady, "the content is not ready yet"),
        200..=399 => (Kind::Malformed, "Egnyte answered in an unexpected way"),
        429 if gateway == OVER_RATE || is_spent(headers) => {
            (Kind::QuotaExhausted, "the API calls of this day are used up")
        }
        403 if gateway == OVER_RATE => (Kind::QuotaExhausted, "the API calls of this day are used up"),
        403 if gateway == OVER_QPS => (Kind::RateLimited, "Egnyte asks us to wait"),
        429 => (Kind::RateLimited, "Egnyte asks us to wait"),
        400 if refusal.operation == "upload" && lower.contains("checksum") => {
            (Kind::Corrupt, "Egnyte got other bytes than the digest says")
        }
        401 => (Kind::SignInNeeded, "Egnyte does not accept the sign-in"),
        403 if gateway == INACTIVE => (Kind::SignInNeeded, "the application's key is not active"),
        403 if lower.contains("already exists") => (Kind::Conflict, "the name is taken"),
        423 => (Kind::Refused, "the file is locked by somebody"),
        403 if lower.contains("locked") => (Kind::Refused, "the file is locked by somebody"),
        403 => (Kind::Forbidden, "the account may not do this"),
        404 if refusal.operation == "events" => {
            (Kind::CursorLost, "Egnyte does not know our place in the event stream any more")
        }
        404 | 410 => (Kind::NotFound, "the item is not there, or may not be seen"),
        405 | 409 | 412 => (Kind::Conflict, "the item is not in the expected state, or the name is taken"),
        408 => (Kind::Unavailable, "Egnyte gave up waiting for the request"),
        413 => (Kind::Refused, "the content is too large for one request"),
        507 => (Kind::Refused, "the storage is used up"),
        // The gateway's answer to a path that it cannot read.
        596 => (Kind::Refused, "Egnyte cannot read this path"),
        500.. => (Kind::Unavailable, "Egnyte does not work at the moment"),
        _ => (Kind::Refused, "Egnyte refuses the request"),
    };
    let wait = if kind == Kind::QuotaExhausted { Some(until_reset(headers)) } else { retry_after(headers) };
    let detail: String = format!("{} {gateway} {said}", refusal.status)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .filter(|c| !c.is_control())
        .take(MAX_DETAIL_CHARS)
        .collect();
    let error = ProviderError::new(kind, message).with_detail(detail).with_retry_after(wait);
    match header(headers, "x-request-id") {
        Some(id) => error.with("request_id", id),
        None => error,
    }
}

/// The allowance that an answer tells of.
pub fn quota(headers: &HeaderMap) -> Option<Quota> {
    let number = |name| header(headers, name)?.trim().parse::<u64>().ok();
    let quota = Quota {
        per_second: number("x-accesstoken-qps-allotted").and_then(|calls| u32::try_from(calls).ok()),
        per_day: number("x-accesstoken-quota-allotted"),
        used_today: number("x-accesstoken-quota-current"),
    };
    (quota != Quota::default()).then_some(quota)
}

/// Whether the allowance of the day is gone, as the headers count it.
fn is_spent(headers: &HeaderMap) -> bool {
    quota(headers).and_then(|quota| Some(quota.used_today? >= quota.per_day?)) == Some(true)
}

/// How long until the day's allowance is new: what the server says, at most a day, else until midnight UTC by the server's clock.
fn until_reset(headers: &HeaderMap) -> Duration {
    if let Some(seconds) = header(headers, RETRY_AFTER.as_str()).and_then(|text| text.trim().parse::<u64>().ok()) {
        return Duration::from_secs(seconds.min(DAY_S));
    }
    let now = header(headers, DATE.as_str())
        .and_then(|text| httpdate::parse_http_date(text).ok())
        .unwrap_or_else(SystemTime::now);
    let since_epoch = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    Duration::from_secs(DAY_S - since_epoch % DAY_S)
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Everything that a body says, in any of Egnyte's forms; a form that we do not know is kept as it came.
fn said(body: &[u8]) -> String {
    let raw = || String::from_utf8_lossy(body).into_owned();
    let Ok(object) = serde_json::from_slice::<Object>(body) else { return raw() };
    let mut words: Vec<String> =
        ["errorMessage", "message", "error", "error_description"].iter().filter_map(|key| object.text(key)).collect();
    for key in ["Errors", "errors", "formErrors", "inputErrors"] {
        if let Some(value) = object.get(key) {
            gather(value, &mut words);
        }
    }
    if let Some(fault) = object.object("fault") {
        words.extend(fault.text("faultstring"));
        words.extend(fault.object("detail").and_then(|detail| detail.text("errorcode")));
    }
    if words.is_empty() { raw() } else { words.join(" ") }
}

/// The codes and sentences of a list of errors, or of one for each field.
fn gather(value: &Value, words: &mut Vec<String>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| gather(value, words)),
        Value::Object(object) => {
            let before = words.len();
            words.extend(["code", "msg", "description", "message"].iter().filter_map(|key| object.text(key)));
            if words.len() == before {
                for (field, value) in object {
                    words.push(format!("{field}:"));
                    gather(value, words);
                }
            }
        }
        Value::String(text) => words.push(text.clone()),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, headers: &[(&'static str, &str)], body: &str) -> ProviderError {
        of_operation("item", status, headers, body)
    }

    fn of_operation(
        operation: &'static str,
        status: u16,
        headers: &[(&'static str, &str)],
        body: &str,
    ) -> ProviderError {
        let headers: HeaderMap =
            headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        refusal(&Refusal { operation, status, headers: &headers, body: body.as_bytes() })
    }

    #[test]
    fn every_form_of_an_error_is_read() {
        for (body, detail) in [
            (r#"{"errorMessage":"no such thing"}"#, "400 no such thing"),
            (r#"{"message":"no such thing"}"#, "400 no such thing"),
            (r#"{"Errors":[{"description":"bad","code":"X1"}]}"#, "400 X1 bad"),
            (r#"{"errors":[{"code":"X1","msg":"bad"},{"code":"X2","msg":"worse"}]}"#, "400 X1 bad X2 worse"),
            (r#"{"formErrors":[{"code":"X1","msg":"bad"}]}"#, "400 X1 bad"),
            (r#"{"inputErrors":{"name":[{"code":"X1","msg":"bad"}]}}"#, "400 name: X1 bad"),
            (r#"{"fault":{"faultstring":"Oops","detail":{"errorcode":"policies.x"}}}"#, "400 Oops policies.x"),
            ("<h1>Developer Inactive</h1>", "400 <h1>Developer Inactive</h1>"),
            ("plain\ntext", "400 plain text"),
            (r#"{"something":"else"}"#, r#"400 {"something":"else"}"#),
            ("[1,", "400 [1,"),
            ("", "400"),
        ] {
            let error = of(400, &[], body);
            assert_eq!((error.kind, error.detail.as_deref()), (ProviderErrorKind::Refused, Some(detail)), "{body}");
        }
        assert!(of(400, &[], &"x".repeat(10_000)).detail.unwrap().len() <= MAX_DETAIL_CHARS);
    }

    #[test]
    fn a_throttle_is_told_from_a_permission() {
        use ProviderErrorKind as Kind;
        let second = Some(Duration::from_secs(1));
        for (status, headers, kind, wait) in [
            (403, vec![], Kind::Forbidden, None),
            (403, vec![("retry-after", "1")], Kind::Forbidden, second),
            (403, vec![("x-mashery-error-code", OVER_QPS), ("retry-after", "1")], Kind::RateLimited, second),
            (
                403,
                vec![("x-mashery-error-code", OVER_RATE), ("retry-after", "7200")],
                Kind::QuotaExhausted,
                Some(Duration::from_hours(2)),
            ),
            (403, vec![("x-mashery-error-code", INACTIVE)], Kind::SignInNeeded, None),
            (403, vec![("x-mashery-error-code", "ERR_403_NOT_AUTHORIZED")], Kind::Forbidden, None),
            (429, vec![("retry-after", "1")], Kind::RateLimited, second),
            (429, vec![], Kind::RateLimited, None),
            (401, vec![], Kind::SignInNeeded, None),
        ] {
            let error = of(status, &headers, "<h1>Developer Over Qps</h1>");
            assert_eq!((error.kind, error.retry_after), (kind, wait), "{status} {headers:?}");
        }
        let spent =
            [("retry-after", "60"), ("x-accesstoken-quota-allotted", "1000"), ("x-accesstoken-quota-current", "1000")];
        assert_eq!(of(429, &spent, "").kind, Kind::QuotaExhausted);
        let left =
            [("retry-after", "1"), ("x-accesstoken-quota-allotted", "1000"), ("x-accesstoken-quota-current", "999")];
        assert_eq!(of(429, &left, "").kind, Kind::RateLimited);
    }

    #[test]
    fn a_spent_day_ends_at_midnight() {
        let headers = [("x-mashery-error-code", OVER_RATE), ("date", "Sun, 06 Nov 1994 23:00:00 GMT")];
        assert_eq!(of(403, &headers, "").retry_after, Some(Duration::from_hours(1)));
    }

    #[test]
    fn statuses_mean_what_they_mean() {
        use ProviderErrorKind as Kind;
        for (operation, status, body, kind) in [
            ("events", 404, r#"{"message":"Invalid cursor"}"#, Kind::CursorLost),
            ("item", 404, "", Kind::NotFound),
            ("make_folder", 403, r#"{"errorMessage":"Folder already exists at this location"}"#, Kind::Conflict),
            ("make_folder", 409, "", Kind::Conflict),
            ("make_folder", 405, "", Kind::Conflict),
            ("upload", 403, r#"{"errorMessage":"File is locked by another user"}"#, Kind::Refused),
            ("upload", 413, "", Kind::Refused),
            ("item", 596, "<h1>596 Service Not Found</h1>", Kind::Refused),
            ("item", 502, "", Kind::Unavailable),
            ("content", 202, "", Kind::NotReady),
        ] {
            assert_eq!(of_operation(operation, status, &[], body).kind, kind, "{operation} {status}");
        }
    }

    #[test]
    fn the_allowance_is_read_from_any_answer() {
        let headers: HeaderMap = [
            ("x-accesstoken-qps-allotted", "2"),
            ("x-accesstoken-quota-allotted", "1000"),
            ("x-accesstoken-quota-current", "17"),
        ]
        .into_iter()
        .map(|(name, value)| (name.parse::<reqwest::header::HeaderName>().unwrap(), value.parse().unwrap()))
        .collect();
        let told = Quota { per_second: Some(2), per_day: Some(1_000), used_today: Some(17) };
        assert_eq!(quota(&headers), Some(told));
        assert_eq!(quota(&HeaderMap::new()), None);
    }
}
