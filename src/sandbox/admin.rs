//! The test's hands for programs in other processes: what [`Cloud`] can do, over HTTP under `/sandbox/v1`.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

use super::apps::App;
use super::bustle::Bustle;
use super::cloud::{Cloud, Entry};
use super::content::Content;
use super::egnyte::Quota;
use super::faults::{Chaos, Rule};
use super::model::User;
use super::network::Network;
use super::shared::Shared;

/// The most changes that one call of `busy` makes.
const BUSY_CHANGES_MAX: u64 = 100_000;

/// The routes, none of which a provider has.
pub(crate) fn router(shared: &Arc<Shared>) -> Router {
    Router::new()
        .route("/sandbox/v1/tree", get(tree))
        .route("/sandbox/v1/do", post(act))
        .route("/sandbox/v1/counters", get(counters).delete(reset_counters))
        .route("/sandbox/v1/faults", get(pending_faults).post(add_fault).delete(clear_faults))
        .route("/sandbox/v1/chaos", post(set_chaos))
        .route("/sandbox/v1/network", post(set_network))
        .route("/sandbox/v1/busy", post(busy))
        .route("/sandbox/v1/history", get(history))
        .with_state(Cloud::new(shared.clone()))
}

fn refused(why: &impl Display) -> Response {
    (StatusCode::CONFLICT, Json(json!({ "error": why.to_string() }))).into_response()
}

fn told<E: Display>(result: Result<serde_json::Value, E>) -> Response {
    match result {
        Ok(value) => Json(value).into_response(),
        Err(error) => refused(&error),
    }
}

#[derive(Deserialize)]
struct At {
    #[serde(default = "root")]
    path: String,
    #[serde(default)]
    sha256: bool,
}

fn root() -> String {
    "/".to_owned()
}

async fn tree(State(cloud): State<Cloud>, Query(at): Query<At>) -> Response {
    let tree = if at.sha256 { cloud.tree_with_sha256(&at.path) } else { cloud.tree(&at.path) };
    told(tree.map(|tree| {
        let entries: BTreeMap<&String, serde_json::Value> =
            tree.iter().map(|(path, entry)| (path, entry_json(entry))).collect();
        json!({ "entries": entries })
    }))
}

fn entry_json(entry: &Entry) -> serde_json::Value {
    json!({
        "id": entry.id,
        "is_folder": entry.is_folder,
        "size": entry.size,
        "sha1": entry.sha1,
        "sha256": entry.sha256,
        "version": entry.version,
        "etag": entry.etag,
        "content_modified_ms": entry.content_modified_ms,
    })
}

/// One deed of another user; `"as": "agent"` makes it the agent's user's.
#[derive(Deserialize)]
struct Act {
    #[serde(rename = "as", default)]
    by: Option<String>,
    #[serde(flatten)]
    deed: Deed,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case", tag = "op")]
enum Deed {
    Mkdir { path: String },
    Write { path: String, text: Option<String>, pattern: Option<Pattern>, modified_ms: Option<i64> },
    Rename { path: String, name: String },
    Move { path: String, parent: String },
    Copy { path: String, parent: String, name: Option<String> },
    Trash { path: String },
    Restore { id: String },
    DeleteForever { id: String },
    Promote { path: String, version: String },
    Lock { path: String },
    Unlock { path: String },
    Describe { path: String, text: String },
    WebLink { path: String },
    Announce { event_type: String, path: Option<String> },
    Noise { count: u64 },
    ForgetEvents { up_to: Option<u64> },
    EgnyteQuota { quota: Quota },
    EgnyteNextDay,
    EgnyteSpent { token: String },
    EgnyteForgetChunks,
    IssueToken { lifetime_s: Option<u64> },
    IssuePair { lifetime_s: u64 },
    RegisterApp { app: App },
    ClockSkew { ms: i64 },
    ExpireCodes,
    ExpireToken { token: String },
    RevokeToken { token: String },
}

#[derive(Deserialize)]
struct Pattern {
    seed: u64,
    len: u64,
}

async fn act(State(cloud): State<Cloud>, Json(act): Json<Act>) -> Response {
    let by = if act.by.as_deref() == Some("agent") { User::Agent } else { User::Other };
    let cloud = cloud.as_user(by);
    let id = |id: String| json!({ "id": id });
    let done = |()| json!({});
    told(match act.deed {
        Deed::Mkdir { path } => cloud.mkdir_p(&path).map(id),
        Deed::Write { path, text, pattern, modified_ms } => {
            let content = match pattern {
                Some(Pattern { seed, len }) => Content::pattern(seed, len),
                None => Content::from(text.unwrap_or_default()),
            };
            cloud.write_at(&path, content, modified_ms).map(id)
        }
        Deed::Rename { path, name } => cloud.rename(&path, &name).map(done),
        Deed::Move { path, parent } => cloud.move_to(&path, &parent).map(done),
        Deed::Copy { path, parent, name } => cloud.copy(&path, &parent, name.as_deref()).map(id),
        Deed::Trash { path } => cloud.trash(&path).map(id),
        Deed::Restore { id } => cloud.restore(&id).map(done),
        Deed::DeleteForever { id } => cloud.delete_forever(&id).map(done),
        Deed::Promote { path, version } => cloud.promote_version(&path, &version).map(done),
        Deed::Lock { path } => cloud.lock(&path).map(done),
        Deed::Unlock { path } => cloud.unlock(&path).map(done),
        Deed::Describe { path, text } => cloud.describe(&path, &text).map(done),
        Deed::WebLink { path } => cloud.web_link(&path).map(id),
        Deed::Announce { event_type, path } => cloud.announce(&event_type, path.as_deref()).map(done),
        Deed::Noise { count } => {
            cloud.foreign_noise(count);
            Ok(json!({}))
        }
        Deed::ForgetEvents { up_to } => {
            up_to.map_or_else(|| cloud.forget_events(), |number| cloud.forget_events_up_to(number));
            Ok(json!({}))
        }
        Deed::EgnyteQuota { quota } => {
            cloud.set_egnyte_quota(quota);
            Ok(json!({}))
        }
        Deed::EgnyteNextDay => {
            cloud.egnyte_next_day();
            Ok(json!({}))
        }
        Deed::EgnyteSpent { token } => Ok(json!({ "calls": cloud.egnyte_spent_today(&token) })),
        Deed::EgnyteForgetChunks => {
            cloud.forget_egnyte_chunks();
            Ok(json!({}))
        }
        Deed::IssueToken { lifetime_s } => Ok(json!({ "access_token": cloud.issue_token(User::Agent, lifetime_s) })),
        Deed::IssuePair { lifetime_s } => {
            let pair = cloud.issue_pair(User::Agent, lifetime_s);
            Ok(json!({
                "access_token": pair.access_token,
                "refresh_token": pair.refresh_token,
                "expires_in": pair.expires_in,
            }))
        }
        Deed::RegisterApp { app } => {
            cloud.register_app(app);
            Ok(json!({}))
        }
        Deed::ClockSkew { ms } => {
            cloud.set_clock_skew(ms);
            Ok(json!({}))
        }
        Deed::ExpireCodes => {
            cloud.expire_codes();
            Ok(json!({}))
        }
        Deed::ExpireToken { token } => {
            cloud.expire_token(&token);
            Ok(json!({}))
        }
        Deed::RevokeToken { token } => {
            cloud.revoke_token(&token);
            Ok(json!({}))
        }
    })
}

async fn counters(State(cloud): State<Cloud>) -> Response {
    let (counters, calls, connections) = (cloud.counters(), cloud.api_calls(), cloud.connections());
    Json(json!({ "counters": counters, "api_calls": calls, "connections": connections })).into_response()
}

async fn reset_counters(State(cloud): State<Cloud>) -> Response {
    cloud.reset_counters();
    Json(json!({})).into_response()
}

async fn pending_faults(State(cloud): State<Cloud>) -> Response {
    Json(cloud.faults().pending()).into_response()
}

async fn add_fault(State(cloud): State<Cloud>, Json(rule): Json<Rule>) -> Response {
    cloud.faults().add(rule);
    Json(json!({})).into_response()
}

async fn clear_faults(State(cloud): State<Cloud>) -> Response {
    cloud.faults().clear();
    Json(json!({})).into_response()
}

async fn set_chaos(State(cloud): State<Cloud>, Json(chaos): Json<Chaos>) -> Response {
    cloud.faults().chaos(chaos);
    Json(json!({})).into_response()
}

async fn set_network(State(cloud): State<Cloud>, Json(network): Json<Network>) -> Response {
    cloud.set_network(network);
    Json(json!({})).into_response()
}

#[derive(Deserialize)]
struct Busy {
    #[serde(default = "root")]
    path: String,
    changes: u64,
    #[serde(default)]
    seed: u64,
}

/// Random changes by another user; the answer counts them by kind.
async fn busy(State(cloud): State<Cloud>, Json(busy): Json<Busy>) -> Response {
    let mut bustle = match Bustle::new(&cloud, &busy.path, busy.seed) {
        Ok(bustle) => bustle,
        Err(refusal) => return refused(&refusal),
    };
    let mut done: BTreeMap<&str, u64> = BTreeMap::new();
    for _ in 0..busy.changes.min(BUSY_CHANGES_MAX) {
        match bustle.step() {
            Ok(word) => *done.entry(word).or_default() += 1,
            Err(refusal) => return refused(&refusal),
        }
    }
    Json(json!({ "done": done })).into_response()
}

#[derive(Deserialize)]
struct After {
    #[serde(default)]
    after: u64,
}

async fn history(State(cloud): State<Cloud>, Query(after): Query<After>) -> Response {
    let lines = cloud.history(after.after).into_iter().map(|one| {
        json!({
            "number": one.number,
            "at_ms": one.at_ms,
            "by": one.by.login(),
            "event_type": one.event_type,
            "from": one.from,
            "path": one.path,
        })
    });
    Json(json!({ "entries": lines.collect::<Vec<_>>() })).into_response()
}
