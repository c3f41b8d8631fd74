//! The keys of a `[[subscription]]`.

use super::{Key, Kind, Table, quoted};
use crate::config::check::{
    DEFAULT_BACKLOG, DEFAULT_BATCH, DEFAULT_KEEP, DEFAULT_ROTATE_BYTES, DEFAULT_SUBJECT, DELIVERY_TIMEOUT, MAX_BATCH,
};

/// All of them.
#[rustfmt::skip]
pub fn keys() -> Vec<Key> {
    let one = Table("subscription");
    vec![
        one.key("name", Kind::Text, "name = \"bus\"", "What commands call it. Its place in the journal goes by its name.").required(),
        one.key("account", Kind::Text, "account = \"work\"", "Only events of this account."),
        one.key("folder", Kind::Text, "folder = \"inbox\"", "Only events of this folder. Without it, also those of no folder."),
        one.key("types", Kind::List, "types = [\"item.*\", \"share.created\"]", "Only events of these types; `agent events types` lists them.")
            .default("[]"),
        one.key("match", Kind::List, "match = [\"*.pdf\"]", "Only events at paths that one of these gitignore patterns matches.").default("[]"),
        one.key("actor", Kind::Text, "actor = \"ann\"", "Only events by this person: part of a name, or the provider's id."),
        one.key("dispositions", Kind::List, "dispositions = [\"outside\"]", "Only events that this became of when they came.").default("[]"),
        one.key("url", Kind::Text, "url = \"https://example.com/events\"", "A server that gets batches by POST."),
        one.key("headers", Kind::Table, "headers = { X-Team = \"papers\" }", "With `url`: headers. A secret is `credential:NAME`."),
        one.key("sign", Kind::Text, "sign = \"credential:signing\"", "With `url`: the secret that deliveries are signed with."),
        one.key("nats", Kind::Text, "nats = \"nats://127.0.0.1:4222\"", "A NATS server with JetStream, one of whose streams takes the subject."),
        one.key("subject", Kind::Text, "subject = \"box.{account}.{type}\"", "With `nats`: the subject; `{account}`, `{folder}` and `{type}` \
            are filled in.").default(quoted(DEFAULT_SUBJECT)),
        one.key("credential", Kind::Text, "credential = \"credential:bus\"", "With `nats`: the secret with user:password, a token, or the \
            content of a .creds file."),
        one.key("file", Kind::Text, "file = \"/var/log/agent-events.jsonl\"", "A file with one JSON document a line."),
        one.key("rotate", Kind::Size, "rotate = \"10 MiB\"", "With `file`: how long it may become before it is put aside.")
            .default(super::size(DEFAULT_ROTATE_BYTES)),
        one.key("keep", Kind::Number, "keep = 10", "With `file`: how many files that were put aside stay.").default(DEFAULT_KEEP.to_string()),
        one.key("socket", Kind::Text, "socket = \"/run/consumer.sock\"", "A Unix socket on which the receiver listens."),
        one.key("batch", Kind::Number, "batch = 500", format!("Events in one delivery at most, up to {MAX_BATCH}."))
            .default(DEFAULT_BATCH.to_string()),
        one.key("timeout", Kind::Duration, "timeout = \"10s\"", "How long one delivery may take, at most ten minutes.")
            .default(quoted(format!("{}s", DELIVERY_TIMEOUT.as_secs()))),
        one.key("backlog", Kind::Number, "backlog = 1000000", "Events kept for it at most while its target is not there.")
            .default(DEFAULT_BACKLOG.to_string()),
        one.key("when_full", Kind::Word, "when_full = \"drop-oldest\"", "What happens beyond that: `block` keeps the oldest and takes nothing \
            newer until they are delivered, `drop-oldest` keeps the newest. What was not kept is counted, and told as a gap.")
            .words(&["block", "drop-oldest"]).default(quoted("block")),
        one.key("from", Kind::Word, "from = \"oldest\"", "Where a new subscription begins: with the next event, or with the oldest that is kept.")
            .words(&["now", "oldest"]).default(quoted("now")),
        one.key("raw", Kind::Flag, "raw = true", "Each event also as it came from the provider.").default("false"),
    ]
}
