//! The names of problems that more than one part of the engine gives to items.

use crate::provider::ProviderErrorKind;

/// A problem: a local folder has the name of an item.
pub(in crate::engine) const LOCAL_IN_THE_WAY: &str = "local_in_the_way";
/// A problem: somebody edited a file, and edits are kept.
pub(in crate::engine) const DRIFT: &str = "drift";
/// A problem: waits to be tried again under a name that the cloud says is taken.
pub(in crate::engine) const NAME_TAKEN: &str = "name_taken";
/// A problem: waits after calls of which nobody knows how they ended.
pub(in crate::engine) const OUTCOME_UNKNOWN: &str = "outcome_unknown";
/// A problem: waits after connections for it failed, and those for others did not.
pub(in crate::engine) const NETWORK: &str = "network";
/// A problem: waits after the cloud did not find what it had announced, or what was to be changed.
pub(in crate::engine) const VERSION_GONE: &str = "version_gone";
/// The problem of something in an upload folder whose name is not free in the cloud: there the disk is never changed.
pub(in crate::engine) const NAME_IN_CLOUD: &str = "name_in_cloud";

/// The problem of an item whose call failed for a reason of its own.
pub(in crate::engine) fn problem_of(kind: ProviderErrorKind) -> &'static str {
    match kind {
        ProviderErrorKind::NotFound => VERSION_GONE,
        ProviderErrorKind::Forbidden => "forbidden",
        ProviderErrorKind::Conflict | ProviderErrorKind::CursorLost => "conflict",
        ProviderErrorKind::NotReady => "not_ready",
        ProviderErrorKind::Corrupt => "corrupt",
        ProviderErrorKind::Refused => "refused",
        ProviderErrorKind::OutcomeUnknown => OUTCOME_UNKNOWN,
        ProviderErrorKind::Malformed => "malformed",
        // Those of the account are told for the account.
        ProviderErrorKind::SignInNeeded
        | ProviderErrorKind::RateLimited
        | ProviderErrorKind::QuotaExhausted
        | ProviderErrorKind::Unavailable
        | ProviderErrorKind::Network
        | ProviderErrorKind::Local => "unavailable",
    }
}
