//! How often each kind of HTTP request was made.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! calls {
    ($($(#[$doc:meta])* $variant:ident = $word:literal, $api:literal;)*) => {
        /// One kind of request, in the words that the counters and the fault scripts use.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(crate) enum Call { $($(#[$doc])* $variant,)* }

        impl Call {
            const EVERY: &[Self] = &[$(Self::$variant,)*];

            /// The word for it.
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// Whether it changes what Box keeps, or asks whether it may.
            pub fn writes(self) -> bool {
                matches!(
                    self,
                    Self::FolderCreate
                        | Self::FolderUpdate
                        | Self::FolderDelete
                        | Self::FolderRestore
                        | Self::FolderCopy
                        | Self::FileUpdate
                        | Self::FileDelete
                        | Self::FileRestore
                        | Self::FileCopy
                        | Self::Preflight
                        | Self::UploadNew
                        | Self::UploadVersion
                        | Self::SessionCreate
                )
            }

            /// Whether it is a request with the bearer for content, metadata or a listing.
            pub fn is_api(self) -> bool {
                match self { $(Self::$variant => $api,)* }
            }
        }
    };
}

calls! {
    Authorize = "authorize", false;
    Token = "token", false;
    Revoke = "revoke", false;
    UserMe = "user_me", false;
    Events = "events", false;
    EventsOptions = "events_options", false;
    Realtime = "realtime", false;
    FolderGet = "folder_get", true;
    FolderItems = "folder_items", true;
    FolderCreate = "folder_create", true;
    FolderUpdate = "folder_update", true;
    FolderDelete = "folder_delete", true;
    FolderRestore = "folder_restore", true;
    FolderCopy = "folder_copy", true;
    FolderTrashGet = "folder_trash_get", true;
    FolderTrashDelete = "folder_trash_delete", true;
    TrashItems = "trash_items", true;
    FileGet = "file_get", true;
    FileUpdate = "file_update", true;
    FileDelete = "file_delete", true;
    FileRestore = "file_restore", true;
    FileCopy = "file_copy", true;
    FileTrashGet = "file_trash_get", true;
    FileTrashDelete = "file_trash_delete", true;
    Versions = "versions", true;
    VersionGet = "version_get", true;
    VersionPromote = "version_promote", true;
    VersionDelete = "version_delete", true;
    /// The download request with the bearer.
    Content = "content", true;
    /// The request to where the download was redirected.
    ContentRedirect = "content_redirect", false;
    Preflight = "preflight", true;
    UploadNew = "upload_new", true;
    UploadVersion = "upload_version", true;
    SessionCreate = "session_create", true;
    SessionGet = "session_get", true;
    SessionPart = "session_part", true;
    SessionParts = "session_parts", true;
    SessionPlan = "session_plan", true;
    SessionCommit = "session_commit", true;
    SessionAbort = "session_abort", true;
    EgnyteAuthorize = "egnyte_authorize", false;
    EgnyteToken = "egnyte_token", false;
    EgnyteRevoke = "egnyte_revoke", false;
    EgnyteUserinfo = "egnyte_userinfo", false;
    EgnyteUser = "egnyte_user", false;
    EgnyteCursor = "egnyte_cursor", false;
    EgnyteEvents = "egnyte_events", false;
    /// Metadata with the contents of a folder.
    EgnyteList = "egnyte_list", true;
    /// Metadata without them.
    EgnyteStat = "egnyte_stat", true;
    EgnyteFolderStats = "egnyte_folder_stats", true;
    EgnyteDownload = "egnyte_download", true;
    EgnyteUpload = "egnyte_upload", true;
    EgnyteChunk = "egnyte_chunk", true;
    EgnyteFolderCreate = "egnyte_folder_create", true;
    EgnyteMove = "egnyte_move", true;
    EgnyteCopy = "egnyte_copy", true;
    EgnyteDelete = "egnyte_delete", true;
    EgnyteLock = "egnyte_lock", true;
    EgnyteUnlock = "egnyte_unlock", true;
    EgnyteTrashList = "egnyte_trash_list", true;
    /// Restores or purges.
    EgnyteTrashChange = "egnyte_trash_change", true;
    EgnyteUnknown = "egnyte_unknown", true;
    Unknown = "unknown", true;
}

/// Things worth counting that are not kinds of requests.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Oddity {
    /// The bearer token was sent to where a download was redirected.
    BearerLeaked,
    /// A stream position arrived that is near to a good one, as when it went through a float.
    PositionRounded,
    /// A request was refused for want of a good token.
    Unauthorized,
    /// A scripted fault had its effect.
    FaultInjected,
    /// A request was refused because its token had made too many.
    Throttled,
    /// A refresh token was shown again after it had bought a pair.
    RefreshTokenReused,
    /// A request was made in another user's name.
    ActedForAnother,
}

impl Oddity {
    const EVERY: &[Self] = &[
        Self::BearerLeaked,
        Self::PositionRounded,
        Self::Unauthorized,
        Self::FaultInjected,
        Self::Throttled,
        Self::RefreshTokenReused,
        Self::ActedForAnother,
    ];

    fn word(self) -> &'static str {
        match self {
            Self::BearerLeaked => "bearer_leaked",
            Self::ActedForAnother => "as_user",
            Self::PositionRounded => "position_rounded",
            Self::Unauthorized => "unauthorized",
            Self::FaultInjected => "fault_injected",
            Self::Throttled => "throttled",
            Self::RefreshTokenReused => "refresh_token_reused",
        }
    }
}

/// All the counts.
#[derive(Debug)]
pub(crate) struct Counters {
    calls: [AtomicU64; Call::EVERY.len()],
    oddities: [AtomicU64; Oddity::EVERY.len()],
    content_bytes: AtomicU64,
}

impl Counters {
    pub fn new() -> Self {
        Self {
            calls: std::array::from_fn(|_| AtomicU64::new(0)),
            oddities: std::array::from_fn(|_| AtomicU64::new(0)),
            content_bytes: AtomicU64::new(0),
        }
    }

    pub fn count(&self, call: Call) {
        self.calls[call as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub fn note(&self, oddity: Oddity) {
        self.oddities[oddity as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// So many bytes of content go out.
    pub fn serve(&self, bytes: u64) {
        self.content_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Everything that is not zero, by its word.
    pub fn all(&self) -> BTreeMap<String, u64> {
        let calls = Call::EVERY.iter().map(|call| (call.word(), &self.calls[*call as usize]));
        let oddities = Oddity::EVERY.iter().map(|oddity| (oddity.word(), &self.oddities[*oddity as usize]));
        calls
            .chain(oddities)
            .chain([("content_bytes", &self.content_bytes)])
            .map(|(word, count)| (word.to_owned(), count.load(Ordering::Relaxed)))
            .filter(|(_, count)| *count > 0)
            .collect()
    }

    /// The requests with the bearer for content, metadata or a listing.
    pub fn api_calls(&self) -> u64 {
        let api = Call::EVERY.iter().filter(|call| call.is_api());
        api.map(|call| self.calls[*call as usize].load(Ordering::Relaxed)).sum()
    }

    pub fn reset(&self) {
        for count in self.calls.iter().chain(&self.oddities).chain([&self.content_bytes]) {
            count.store(0, Ordering::Relaxed);
        }
    }
}
