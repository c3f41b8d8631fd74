//! The event streams as something people can use: listed, followed, read back from the provider, and passed on.

mod beside_sdk;
mod bus;
mod enterprise;
mod listing;
mod receiver;
mod subscriptions;

use serde_json::Value;

use crate::support::Bed;

/// The lines of a command, as JSON.
fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// `agent events --json` with more arguments.
fn events(bed: &Bed, more: &[&str]) -> Vec<Value> {
    let mut args = vec!["events", "--json"];
    args.extend(more);
    json_lines(&bed.ok(&args))
}

/// One field of every line, as text.
fn field(rows: &[Value], name: &str) -> Vec<String> {
    rows.iter().map(|row| row[name].as_str().map_or_else(|| row[name].to_string(), str::to_owned)).collect()
}

/// How a subscription is.
fn subscription(bed: &Bed, name: &str) -> Value {
    let listing: Value = serde_json::from_str(&bed.ok(&["subscriptions", "--json"])).unwrap();
    let rows = listing["rows"].as_array().unwrap();
    rows.iter().find(|row| row["name"] == name).cloned().unwrap_or_default()
}
