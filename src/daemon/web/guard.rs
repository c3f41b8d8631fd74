//! What stands before every page: names that the browser may use, where a request comes from, whose session it is, and what the browser
//! may do with the answer.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Form, FromRequest, Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, COOKIE, HOST, ORIGIN, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};

use super::App;
use super::page;
use super::session::{Role, Said, Session, same};

/// Nothing but what is in the program, no scripts or styles in a page itself, no frames, no other place for forms.
const CSP: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                   form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// What is given to anybody who gets as far as this.
const OPEN_PATHS: [&str; 3] = ["/enter/", "/login", "/assets/"];

/// How a listener may be addressed.
#[derive(Debug, Clone)]
pub struct Site {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Names besides this machine's own.
    pub names: Vec<String>,
    /// Whether it is encrypted.
    pub secure: bool,
}

impl Site {
    /// Whether a browser that followed this name means us. Anybody can have a name of his own lead to this machine: then the browser
    /// takes his pages and ours for one place.
    pub fn is_called(&self, host: &str) -> bool {
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => host,
        };
        let name = name.to_ascii_lowercase();
        let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(&name);
        match bare.parse::<IpAddr>() {
            // An address cannot be made to lead elsewhere. Tunnels bring their own ports.
            Ok(address) => address.is_loopback() || !self.listen.ip().is_loopback(),
            Err(_) => name == "localhost" || self.names.iter().any(|own| own.eq_ignore_ascii_case(&name)),
        }
    }

    /// The name of the cookie. Cookies are shared by all ports of a host.
    pub fn cookie(&self) -> String {
        let prefix = if self.secure { "__Host-" } else { "" };
        format!("{prefix}folder-sync-agent-{}", self.listen.port())
    }

    /// The header that sets the cookie, or takes it away.
    pub fn set_cookie(&self, token: Option<&str>) -> String {
        let secure = if self.secure { "; Secure" } else { "" };
        let life = if token.is_some() { "" } else { "; Max-Age=0" };
        format!("{}={}; Path=/; HttpOnly; SameSite=Strict{secure}{life}", self.cookie(), token.unwrap_or_default())
    }

    fn token<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        let name = self.cookie();
        let cookies = headers.get_all(COOKIE).into_iter().filter_map(|value| value.to_str().ok());
        let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, token)| token)
    }
}

/// Lets through what may be answered, and says to the browser how to treat the answer.
pub async fn guard(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let response = match check(&app, &mut request) {
        Ok(()) => next.run(request).await,
        Err(refused) => *refused,
    };
    with_headers(response)
}

fn with_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, CSP),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        // Not less: without a referrer browsers send no origin with forms.
        (REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

fn check(app: &App, request: &mut Request) -> Result<(), Box<Response>> {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default().to_owned();
    if !app.site.is_called(&host) {
        return Err(Box::new(refuse(
            StatusCode::MISDIRECTED_REQUEST,
            "This agent does not go by that name. `web_names` adds one.",
        )));
    }
    if !comes_from_here(app, request, &host) {
        return Err(Box::new(refuse(StatusCode::FORBIDDEN, "Another page asked for this.")));
    }
    app.web.touched();
    let session = app.site.token(request.headers()).and_then(|token| app.web.sessions.find(token));
    let path = request.uri().path();
    if let Some(session) = session {
        request.extensions_mut().insert(session);
    } else if path == "/metrics" && has_bearer(app, request.headers()) {
        request.extensions_mut().insert(Session { key: [0; 32], role: Role::Looks, csrf: String::new() });
    } else if !OPEN_PATHS.iter().any(|open| path.starts_with(open)) {
        return Err(Box::new(page::outside(app, path.starts_with("/live") || path == "/metrics")));
    }
    Ok(())
}

/// A browser names the page that a request comes from. What changes something must come from a page of ours.
fn comes_from_here(app: &App, request: &Request, host: &str) -> bool {
    let scheme = if app.site.secure { "https" } else { "http" };
    let own = format!("{scheme}://{host}");
    let site = request.headers().get("sec-fetch-site").and_then(|site| site.to_str().ok());
    let reads = request.method() == Method::GET || request.method() == Method::HEAD;
    match request.headers().get(ORIGIN) {
        Some(origin) => origin.as_bytes() == own.as_bytes(),
        None if reads => true,
        None => site == Some("same-origin"),
    }
}

fn has_bearer(app: &App, headers: &HeaderMap) -> bool {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    bearer.zip(app.web.metrics_token()).is_some_and(|(bearer, own)| same(bearer.trim(), &own))
}

fn refuse(status: StatusCode, text: &'static str) -> Response {
    (status, text).into_response()
}

/// A form of ours, from somebody who may change something.
#[derive(Debug)]
pub struct Posted {
    /// Whose.
    pub session: Session,
    fields: Vec<(String, String)>,
}

impl Posted {
    /// A field's value, without the space around it; empty if it is not there.
    pub fn field(&self, name: &str) -> &str {
        self.fields.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value.trim())
    }

    /// A field's value as it came, such as a path.
    pub fn raw(&self, name: &str) -> Option<String> {
        let value = self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.clone());
        value.filter(|value| !value.is_empty())
    }

    /// A field that is filled in.
    pub fn filled(&self, name: &str) -> Option<String> {
        Some(self.field(name)).filter(|value| !value.is_empty()).map(str::to_owned)
    }

    /// All values of a field.
    pub fn all(&self, name: &str) -> Vec<String> {
        self.fields.iter().filter(|(field, _)| field == name).map(|(_, value)| value.clone()).collect()
    }

    /// A field that holds a number.
    pub fn number(&self, name: &str) -> Option<i64> {
        self.field(name).parse().ok()
    }

    /// Goes on to a page of ours, which tells first what became of the form.
    pub fn then(&self, app: &App, to: &str, good: bool, text: impl Into<String>) -> Response {
        app.web.sessions.say(&self.session.key, Said { good, text: text.into() });
        Redirect::to(to).into_response()
    }
}

impl FromRequest<App> for Posted {
    type Rejection = Response;

    async fn from_request(request: Request, app: &App) -> Result<Self, Response> {
        let session = request.extensions().get::<Session>().cloned();
        let Some(session) = session else { return Err(page::outside(app, false)) };
        let Form(fields) = Form::<Vec<(String, String)>>::from_request(request, app)
            .await
            .map_err(|wrong| (wrong.status(), "This form cannot be read.").into_response())?;
        let posted = Self { session, fields };
        if !same(posted.field("csrf"), &posted.session.csrf) {
            return Err(
                (StatusCode::FORBIDDEN, "This form is not of this session. Load the page again.").into_response()
            );
        }
        if posted.session.role != Role::Changes {
            let text = "You may look, but only root and the agent's own user may change anything.";
            return Err((StatusCode::FORBIDDEN, text).into_response());
        }
        Ok(posted)
    }
}

/// The state of every handler: what the pages are made of, and how they are addressed.
pub fn app(web: &super::Web, site: Site, password: Option<crate::config::PasswordHash>) -> App {
    App { web: web.clone(), site: Arc::new(site), password: password.map(Arc::new) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_anybody_can_have_are_not_ours() {
        let site = |listen: &str, names: &[&str]| Site {
            listen: listen.parse().unwrap(),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            secure: false,
        };
        let here = site("127.0.0.1:8477", &["sync.example.com"]);
        for host in
            ["127.0.0.1:8477", "localhost:9000", "LOCALHOST", "[::1]:8477", "127.0.0.2", "sync.example.com:8477"]
        {
            assert!(here.is_called(host), "{host}");
        }
        for host in
            ["", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example:8477", "10.0.0.1", "[::1", "0.0.0.0"]
        {
            assert!(!here.is_called(host), "{host}");
        }
        assert!(
            site("10.0.0.1:443", &[]).is_called("10.0.0.1") && !site("10.0.0.1:443", &[]).is_called("rebound.example")
        );
    }
}
