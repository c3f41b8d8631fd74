//! The page in front of an authorization code: who asks, where the browser goes next, and what the person says.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::http::{HeaderValue, Response as HttpResponse, StatusCode};
use axum::response::Response;
use url::Url;

use super::apps::Consent;
use super::model::User;
use super::shared::{Shared, now_ms};
use super::tokens::Asked;

/// Answers the browser. `get` reads the parameters of its address.
pub(crate) fn page<'a>(shared: &Shared, cloud: &str, get: impl Fn(&str) -> Option<&'a str>) -> Response {
    let Some(redirect) = get("redirect_uri").and_then(|uri| Url::parse(uri).ok()) else {
        return html(400, cloud, "redirect_uri is missing or malformed");
    };
    let asked = Asked {
        client_id: get("client_id").unwrap_or_default().to_owned(),
        redirect_uri: get("redirect_uri").unwrap_or_default().to_owned(),
        challenge: get("code_challenge").map(str::to_owned),
    };
    let consent = shared.tokens(|tokens| {
        if !tokens.apps.are_checked() {
            return Ok(Consent::Granted);
        }
        let app = tokens.apps.get(&asked.client_id).ok_or("client_id is not known")?;
        if !app.redirects_to(&asked.redirect_uri) {
            return Err("redirect_uri_mismatch: the redirect URI in the request does not match the registered ones");
        }
        if !app.authorised {
            return Err("unauthorized_client: the app has not been authorized by the administrator");
        }
        Ok(app.consent)
    });
    let consent = match (consent, get("decision")) {
        (Err(why), _) => return html(400, cloud, why),
        (Ok(Consent::Asked), Some("allow")) => Consent::Granted,
        (Ok(Consent::Asked), Some(_)) => Consent::Denied,
        (Ok(consent), _) => consent,
    };
    let mut back = redirect;
    match consent {
        Consent::Asked => return form(cloud, &get),
        Consent::Granted => {
            let code = shared.tokens(|tokens| tokens.issue_code(User::Agent, asked, now_ms()));
            back.query_pairs_mut().append_pair("code", &code);
        }
        Consent::Denied => {
            back.query_pairs_mut()
                .append_pair("error", "access_denied")
                .append_pair("error_description", "The user denied access to your application");
        }
    }
    if let Some(state) = get("state") {
        back.query_pairs_mut().append_pair("state", state);
    }
    let mut response = HttpResponse::new(Body::empty());
    *response.status_mut() = StatusCode::FOUND;
    if let Ok(back) = HeaderValue::try_from(back.as_str()) {
        response.headers_mut().insert(LOCATION, back);
    }
    response
}

/// The two buttons. They ask for the same page again, with the decision.
fn form<'a>(cloud: &str, get: &impl Fn(&str) -> Option<&'a str>) -> Response {
    let kept =
        ["response_type", "client_id", "redirect_uri", "state", "scope", "code_challenge", "code_challenge_method"];
    let hidden: String = kept
        .iter()
        .filter_map(|name| Some(format!("<input type=\"hidden\" name=\"{name}\" value=\"{}\">", escaped(get(name)?))))
        .collect();
    let text = format!(
        "<form method=\"get\">{hidden}<p>Grant the app access to your files?</p>\
         <button id=\"allow\" name=\"decision\" value=\"allow\">Grant access</button>\
         <button id=\"deny\" name=\"decision\" value=\"deny\">Deny</button></form>"
    );
    response(200, cloud, &text)
}

fn html(status: u16, cloud: &str, text: &str) -> Response {
    response(status, cloud, &format!("<p id=\"error\">{}</p>", escaped(text)))
}

fn response(status: u16, cloud: &str, body: &str) -> Response {
    let page =
        format!("<!doctype html><html><head><title>{cloud}</title></head><body><h1>{cloud}</h1>{body}</body></html>");
    let mut response = HttpResponse::new(Body::from(page));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    response
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
