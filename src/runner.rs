//! Carries hooks out: programs and servers are given their document, and whatever they do ends in one of five verdicts.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::hook::{Call, Document, HookSettings, Outcome};

pub mod credential;
pub mod exec;
pub mod owner;
pub mod post;
mod reach;
pub mod tail;

pub use owner::Trust;

/// How much of a guest's output is kept: the end of it.
pub const OUTPUT_KEPT_BYTES: usize = 16 * 1024;

/// What one run needs besides the hook's own settings.
#[derive(Debug, Clone)]
pub struct Order {
    /// What the hook is told.
    pub document: Document,
    /// The path inside the folder, as its bytes are.
    pub path: Option<OsString>,
    /// The content, for exec hooks.
    pub file: Option<PathBuf>,
}

/// Runs hooks. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Runner {
    trust: Trust,
    credentials: credential::Drawer,
    client: post::Client,
}

impl Runner {
    /// A runner that finds secrets in a directory, and starts programs of these owners only.
    pub fn new(trust: Trust, credentials_dir: &Path) -> Result<Self, post::NoClient> {
        reach::adopt_orphans();
        crate::sys::keep_inherited_descriptors();
        Ok(Self {
            trust,
            credentials: credential::Drawer::new(credentials_dir.to_owned()),
            client: post::Client::new()?,
        })
    }

    /// Runs a hook once. It ends within the hook's time limit and a few seconds of grace, whatever the guest does.
    pub async fn run(&self, hook: &HookSettings, order: &Order) -> Outcome {
        match &hook.call {
            Call::Exec { run } => exec::run(run, hook.timeout, order, self.trust).await,
            Call::Http { url, expect_status, headers, sign } => {
                let request = post::Request { url, expect_status: *expect_status, headers, sign: sign.as_deref() };
                post::run(&self.client, &request, hook.timeout, order, &self.credentials).await
            }
        }
    }
}
