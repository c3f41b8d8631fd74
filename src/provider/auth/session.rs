//! Requests in an account's name: the bearer, the count, one replay after a renewed token, one translation of refusals.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, WWW_AUTHENTICATE};
use reqwest::{Method, RequestBuilder, Response};
use url::Url;

use super::{Bearer, TokenSource};
use crate::provider::http::{
    self, ANSWER_TIMEOUT, CallCounter, CallKind, EVENTS_ANSWER_TIMEOUT, Http, Quota, Refusal, RetryPolicy, Translate,
    read_text, retrying,
};
use crate::provider::write::WRITE_TIMEOUT;
use crate::provider::{ProviderError, ProviderErrorKind, Result};

/// Names the user to act for, at Box.
const AS_USER: &str = "as-user";

/// One request. [`Session::text`] may repeat it and is for what changes nothing; a write goes through [`Session::write`].
#[derive(Debug, Clone)]
pub struct Call {
    /// Our name of the operation, for logs and errors.
    pub operation: &'static str,
    /// What it counts as.
    pub kind: CallKind,
    /// The method.
    pub method: Method,
    /// Where to.
    pub url: Url,
    /// The value of the Range header.
    pub range: Option<String>,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// A JSON body.
    pub json: Option<serde_json::Value>,
    /// What it is about, for errors.
    pub item: Option<String>,
}

/// Gives a request its body. It is asked again if the request must be sent again.
pub type Shape<'a> = &'a (dyn Fn(RequestBuilder) -> RequestBuilder + Send + Sync);

impl Call {
    /// A GET.
    pub fn get(operation: &'static str, kind: CallKind, url: Url) -> Self {
        Self::new(operation, kind, Method::GET, url)
    }

    /// A request of any method.
    pub fn new(operation: &'static str, kind: CallKind, method: Method, url: Url) -> Self {
        Self { operation, kind, method, url, range: None, headers: Vec::new(), json: None, item: None }
    }

    /// Gives it a JSON body.
    #[must_use]
    pub fn json(mut self, body: serde_json::Value) -> Self {
        self.json = Some(body);
        self
    }

    /// Gives it a header, if there is a value for it.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: Option<impl Into<String>>) -> Self {
        self.headers.extend(value.map(|value| (name, value.into())));
        self
    }

    /// Names the item that it is about.
    #[must_use]
    pub fn about(mut self, item: impl std::fmt::Display) -> Self {
        self.item = Some(item.to_string());
        self
    }
}

/// Reads an adapter's own headers about the allowance of the account.
pub type ReadQuota = fn(&HeaderMap) -> Option<Quota>;

/// An account's way to its provider.
#[derive(Debug)]
pub struct Session {
    http: Arc<Http>,
    tokens: TokenSource,
    counter: Arc<CallCounter>,
    translate: Translate,
    read_quota: Option<ReadQuota>,
    retry: RetryPolicy,
    /// The user to act for, in place of the one that the credentials name.
    as_user: Option<String>,
}

impl Session {
    /// A session that says refusals in the adapter's words.
    pub fn new(http: Arc<Http>, tokens: TokenSource, counter: Arc<CallCounter>, translate: Translate) -> Self {
        Self { http, tokens, counter, translate, read_quota: None, retry: RetryPolicy::default(), as_user: None }
    }

    /// Looks at every answer for what it says of the allowance.
    #[must_use]
    pub fn reading_quota(mut self, read_quota: ReadQuota) -> Self {
        self.read_quota = Some(read_quota);
        self
    }

    /// The same session, acting for another user of the enterprise.
    #[must_use]
    pub fn acting_for(&self, user: &str) -> Self {
        Self {
            http: Arc::clone(&self.http),
            tokens: self.tokens.clone(),
            counter: Arc::clone(&self.counter),
            translate: self.translate,
            read_quota: self.read_quota,
            retry: self.retry,
            as_user: Some(user.to_owned()),
        }
    }

    /// The account's tokens.
    pub fn tokens(&self) -> &TokenSource {
        &self.tokens
    }

    /// The client underneath.
    pub fn http(&self) -> &Http {
        &self.http
    }

    /// The counts.
    pub fn counter(&self) -> &CallCounter {
        &self.counter
    }

    /// Repeats an attempt as the account's policy says.
    pub async fn retrying<T, F, Fut>(&self, operation: &'static str, attempt: F) -> Result<T>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T>>,
    {
        retrying(&self.retry, operation, attempt).await
    }

    /// The text of a JSON answer. Attempts include reading it, so that an answer cut short is asked for again.
    pub async fn text(&self, call: &Call) -> Result<String> {
        self.retrying(call.operation, || async {
            let response = self.once(call).await?;
            if !response.status().is_success() || response.status().as_u16() == 202 {
                return Err(self.refused(call, response).await);
            }
            read_text(response).await.map_err(|error| name(call, error))
        })
        .await
    }

    /// One attempt at a write, and the text of its answer. 202 is [`ProviderErrorKind::NotReady`].
    pub async fn write(&self, call: &Call) -> Result<String> {
        self.write_shaped(call, WRITE_TIMEOUT, &|request| request).await
    }

    /// The same for a body that is not JSON. `limit` is for the answer to begin.
    pub async fn write_shaped(&self, call: &Call, limit: Duration, shape: Shape<'_>) -> Result<String> {
        let (_, text) = self.write_answered(call, limit, shape).await?;
        Ok(text)
    }

    /// The same where the headers of the answer matter too.
    pub async fn write_answered(&self, call: &Call, limit: Duration, shape: Shape<'_>) -> Result<(HeaderMap, String)> {
        let response = self.once_within(call, limit, shape).await?;
        if !response.status().is_success() || response.status().as_u16() == 202 {
            return Err(self.refused(call, response).await);
        }
        let headers = response.headers().clone();
        let text = read_text(response).await.map_err(|error| name(call, error))?;
        Ok((headers, text))
    }

    /// One attempt: sends the request, once more if the token had to be renewed. The answer is a success or a redirect.
    pub async fn once(&self, call: &Call) -> Result<Response> {
        let limit = if call.kind == CallKind::Events { EVENTS_ANSWER_TIMEOUT } else { ANSWER_TIMEOUT };
        self.once_within(call, limit, &|request| request).await
    }

    async fn once_within(&self, call: &Call, limit: Duration, shape: Shape<'_>) -> Result<Response> {
        let bearer = self.tokens.bearer().await?;
        let response = self.send_within(call, &bearer, limit, shape).await?;
        if response.status().as_u16() != 401 {
            return self.judge(call, &bearer, response).await;
        }
        tracing::debug!(
            operation = call.operation,
            expired = names_expired_token(response.headers()),
            "the token was refused"
        );
        drop(response);
        let renewed = self.tokens.renew(&bearer).await?;
        let response = self.send_within(call, &renewed, limit, shape).await?;
        self.judge(call, &renewed, response).await
    }

    async fn send_within(&self, call: &Call, bearer: &Bearer, limit: Duration, shape: Shape<'_>) -> Result<Response> {
        let mut request =
            self.http.client()?.request(call.method.clone(), call.url.clone()).header(AUTHORIZATION, bearer.header());
        if let Some(user) = &self.as_user {
            request = request.header(AS_USER, user);
        } else if let Some(user) = bearer.as_user() {
            request = request.header(AS_USER, user);
        }
        if let Some(range) = &call.range {
            request = request.header(reqwest::header::RANGE, range.as_str());
        }
        for (name, value) in &call.headers {
            request = request.header(*name, value);
        }
        if let Some(body) = &call.json {
            request = request.json(body);
        }
        request = shape(request);
        let mut counted = Counted { counter: &self.counter, kind: Some(call.kind) };
        let began = tokio::time::Instant::now();
        let sent = self.http.send(request, limit).await;
        counted.kind.take_if(|_| sent.as_ref().is_err_and(|error| error.unsent));
        drop(counted);
        self.counter.answered(call.kind, sent.as_ref().ok().map(|response| response.status().as_u16()));
        match &sent {
            Ok(response) => {
                tracing::trace!(
                    operation = call.operation,
                    status = response.status().as_u16(),
                    ms = began.elapsed().as_millis() as u64,
                    "answered"
                );
                if let Some(quota) = self.read_quota.and_then(|read| read(response.headers())) {
                    self.counter.set_quota(quota);
                }
            }
            Err(error) => tracing::debug!(operation = call.operation, error = format!("{error:#}"), "no answer"),
        }
        sent.map_err(|error| name(call, error))
    }

    async fn judge(&self, call: &Call, bearer: &Bearer, response: Response) -> Result<Response> {
        let status = response.status();
        // "No such part" is an answer to a request for a part.
        if status.is_success() || status.is_redirection() || (status.as_u16() == 416 && call.range.is_some()) {
            self.tokens.worked(bearer);
            return Ok(response);
        }
        Err(self.refused(call, response).await)
    }

    /// The error for an answer that is of no use.
    pub async fn refused(&self, call: &Call, response: Response) -> ProviderError {
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        if status == 407 {
            return name(call, ProviderError::new(ProviderErrorKind::Network, "the proxy asks for a sign-in"));
        }
        let body = http::body::read_beginning(response).await;
        let refusal = Refusal { operation: call.operation, status, headers: &headers, body: &body };
        name(call, (self.translate)(&refusal))
    }
}

/// Counts a request when it is answered or given up, unless it never left.
struct Counted<'a> {
    counter: &'a CallCounter,
    kind: Option<CallKind>,
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        if let Some(kind) = self.kind {
            self.counter.count(kind);
        }
    }
}

fn name(call: &Call, error: ProviderError) -> ProviderError {
    let error = error.with("operation", call.operation);
    match &call.item {
        Some(item) => error.with("item", item),
        None => error,
    }
}

fn names_expired_token(headers: &HeaderMap) -> bool {
    headers
        .get(WWW_AUTHENTICATE)
        .is_some_and(|value| value.as_bytes().windows(13).any(|window| window == b"expired_token"))
}
