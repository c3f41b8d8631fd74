//! What has to stand before the curtain rises: the cloud and its contents, a home for the agent, a sign-in and a folder.

use std::fs;
use std::path::{Path, PathBuf};

use super::super::failure::{Failure, Outcome};
use super::{refused, scan, story};
use crate::config::edit::{Editor, Kind, Setting};
use crate::config::{Places, Surroundings};
use crate::provider::auth;
use crate::sandbox::{self, ACCESS_TOKEN, Options, Sandbox};
use crate::settings::ProviderName;

/// The watched folder in the cloud, at a place that every provider shows.
pub const REMOTE: &str = "/Shared/Inbox";
/// What the account is called.
const ACCOUNT: &str = "demo";
/// How often a cloud without a long poll is asked: the demo's has no allowance to spare, and a person waits.
const POLL_EVERY: &str = "250ms";
/// More calls than a demo ever makes in a day.
const CALLS_PER_DAY: i64 = 10_000_000;

/// Everything that stands.
pub struct Stage {
    /// Where it all is.
    pub dir: PathBuf,
    /// The agent's home.
    pub places: Places,
    /// The watched directory.
    pub local: PathBuf,
    /// The cloud.
    pub sandbox: Sandbox,
    /// Removed with the stage, unless the directory was asked for.
    temporary: Option<tempfile::TempDir>,
}

impl Stage {
    /// Sets everything up, with a largest file of this many bytes.
    pub async fn set_up(dir: Option<&Path>, large: u64, provider: ProviderName, scans: bool) -> Outcome<Self> {
        let failed = |error| Failure::error("cannot make a directory for the demo").because(error);
        let around = Surroundings::of_this_process();
        let (dir, temporary) = if let Some(dir) = dir {
            fs::create_dir_all(dir).map_err(failed)?;
            if fs::read_dir(dir).map_err(failed)?.next().is_some() {
                let what = format!("the directory {} is not empty", dir.display());
                return Err(Failure::error(what).hint("name one that is empty or does not exist"));
            }
            (fs::canonicalize(dir).map_err(failed)?, None)
        } else {
            let temporary = tempfile::Builder::new().prefix("agent-demo-").tempdir().map_err(failed)?;
            (temporary.path().to_owned(), Some(temporary))
        };
        let sandbox = sandbox::start(Options::default())
            .await
            .map_err(|error| Failure::error("cannot start the sandbox").because(error))?;
        // Making up a large file takes as long as hashing it, and that is no work for this thread.
        let cloud = sandbox.cloud();
        let filled = tokio::task::spawn_blocking(move || story::fill(&cloud, large)).await;
        filled.map_err(|error| Failure::error("cannot fill the sandbox").because(error))?.map_err(refused)?;
        let (places, local) = (Places::home(&dir.join("home"), &around), dir.join("inbox"));
        let stage = Self { dir, places, local, sandbox, temporary };
        stage.sign_in(provider).await?;
        stage.add_folder()?;
        if scans {
            let mut editor = Editor::open(&stage.places)?;
            editor.add(Kind::Hook, &scan::hook(&stage.dir)?);
            editor.save()?;
        }
        Ok(stage)
    }

    async fn sign_in(&self, provider: ProviderName) -> Outcome<()> {
        let failed = |error| Failure::error("cannot make the demo's home").because(error);
        self.places.make_state_dirs().map_err(failed)?;
        let login = auth::parse_login(ACCESS_TOKEN)?;
        auth::save_login(self.places.credentials_dir(), ACCOUNT, login.credentials).await?;
        let mut editor = Editor::open(&self.places)?;
        let mut account =
            vec![("name", text(ACCOUNT)), ("provider", text(provider.word())), ("api_url", text(&self.sandbox.url()))];
        if provider == ProviderName::Egnyte {
            account.extend([("poll_min", text(POLL_EVERY)), ("poll_max", text(POLL_EVERY))]);
            account.push(("calls_per_day", Setting::Number(CALLS_PER_DAY)));
        }
        editor.add(Kind::Account, &account);
        editor.save()?;
        Ok(())
    }

    fn add_folder(&self) -> Outcome<()> {
        let local = self.local.to_str().ok_or_else(|| Failure::error("the demo's directory is not valid UTF-8"))?;
        let mut editor = Editor::open(&self.places)?;
        // Nobody is there to approve of many deletions: the other user of `--seconds` makes them all day.
        editor.add(
            Kind::Folder,
            &[
                ("name", text("inbox")),
                ("account", text(ACCOUNT)),
                ("remote", text(REMOTE)),
                ("local", text(local)),
                ("max_delete", text("off")),
            ],
        );
        editor.save()?;
        Ok(())
    }

    /// Ends the cloud, and removes what was temporary.
    pub async fn take_down(self) {
        self.sandbox.shutdown().await;
        drop(self.temporary);
    }
}

fn text(text: &str) -> Setting {
    Setting::Text(text.to_owned())
}
