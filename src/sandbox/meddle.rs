//! Where every face lets the script of faults have its way: before a deed and after it.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::response::Response;
use futures_util::StreamExt;

use super::faults::Fault;
use super::shared::Shared;
use super::spoil;
use super::wire::Scissors;

/// The token that a request came with, or nothing.
pub(crate) fn bearer(headers: &HeaderMap) -> &str {
    let value = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or("");
    value.strip_prefix("Bearer ").or_else(|| value.strip_prefix("bearer ")).unwrap_or("")
}

/// Faults that come before anything is done; the whole body is read first, so that the client is ready to listen.
pub(crate) async fn before(
    shared: &Shared,
    faults: &[Fault],
    scissors: &Scissors,
    request: Request,
    unauthorized: impl Fn(&Shared) -> Response,
) -> Result<Request, Response> {
    for fault in faults {
        let instead = match fault {
            Fault::Delay { ms } => {
                tokio::time::sleep(Duration::from_millis(*ms)).await;
                continue;
            }
            Fault::Answer(answer) => spoil::scripted(answer),
            Fault::CutBefore => {
                scissors.cut();
                Response::new(Body::empty())
            }
            Fault::RevokeToken => {
                shared.tokens(|tokens| tokens.revoke(bearer(request.headers())));
                unauthorized(shared)
            }
            Fault::ExpireToken => {
                shared.tokens(|tokens| tokens.expire(bearer(request.headers())));
                unauthorized(shared)
            }
            _ => continue,
        };
        let mut body = request.into_body().into_data_stream();
        while let Some(Ok(_)) = body.next().await {}
        return Err(spoil::spoil(instead, faults));
    }
    Ok(request)
}

/// Faults that come after the deed.
pub(crate) fn after(faults: &[Fault], scissors: &Scissors, answer: Response) -> Response {
    for fault in faults {
        match fault {
            Fault::CutAfter => scissors.cut(),
            Fault::AnswerAfter(instead) => return spoil::scripted(instead),
            _ => {}
        }
    }
    spoil::spoil(answer, faults)
}
