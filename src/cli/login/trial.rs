//! A sign-in is tried in a place of its own before it takes the place of what was there: it may be refused, be somebody else's, or
//! lack a right, and then the account stays as it was.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::cli::cloud;
use crate::cli::failure::{Exit, Failure, Outcome};
use crate::cli::render::{Screen, Tone};
use crate::config::places::PRIVATE_DIR_MODE;
use crate::config::{Config, Places};
use crate::id::{ItemId, ItemKind};
use crate::provider::auth::{self, CredentialFile, Credentials};
use crate::provider::{Cure, Identity, Provider, ProviderError, ProviderErrorKind, UploadTarget};
use crate::settings::{AccountSettings, Mode, ProviderName};

/// A sign-in on trial. What is not kept is gone when this goes away.
pub struct Trial<'a> {
    account: &'a AccountSettings,
    dir: TempDir,
    kept_in: PathBuf,
}

impl<'a> Trial<'a> {
    /// Puts the credentials where nobody else looks: trying may already renew the pair.
    pub async fn new(account: &'a AccountSettings, credentials: Credentials, places: &Places) -> Outcome<Self> {
        let dir = tempfile::Builder::new()
            .prefix(".login-")
            .permissions(fs::Permissions::from_mode(PRIVATE_DIR_MODE))
            .tempdir_in(places.credentials_dir())
            .map_err(|error| Failure::error("cannot write to the credentials directory").because(error))?;
        auth::save_login(dir.path().to_owned(), &account.name, credentials).await?;
        Ok(Self { account, dir, kept_in: places.credentials_dir() })
    }

    /// Asks whose the sign-in is and whether it may do what the agent needs. What cannot be tried is not kept.
    pub async fn run(&self, config: &Config, screen: &Screen) -> Outcome<Identity> {
        let provider = cloud::connect(self.account, self.dir.path().to_owned())?;
        let tried = provider.whoami().await;
        let checked = match &tried {
            Ok(_) => self.check_rights(provider.as_ref(), config, screen).await,
            Err(error) => Err(error.clone()),
        };
        provider.settle().await;
        let cloud = self.account.provider.word();
        let stays = "what was signed in before stays so";
        match checked {
            Ok(Some(missing)) => return Err(missing),
            Err(error) if error.kind == ProviderErrorKind::SignInNeeded => {
                return Err(Failure::new(Exit::SignInNeeded, format!("{cloud} refuses this token"))
                    .because(error)
                    .hint(format!("get a fresh token, and sign in again; {stays}")));
            }
            Err(error) if error.kind == ProviderErrorKind::Forbidden => {
                return Err(Failure::error(format!("{cloud} accepts the sign-in, but does not let it ask who it is"))
                    .because(error)
                    .hint(format!("with --as-user the app needs the right to act for users; {stays}")));
            }
            Err(error) if error.cure() == Cure::Change => return Err(error.into()),
            Ok(None) | Err(_) => {}
        }
        tried.map_err(|error| {
            Failure::new(Exit::Temporary, "the sign-in could not be tried, so nothing of it is kept")
                .because(error)
                .hint(format!("try again when {cloud} can be reached; {stays}"))
        })
    }

    /// What the sign-in lacks, if it lacks anything that its folders need.
    async fn check_rights(
        &self,
        provider: &dyn Provider,
        config: &Config,
        screen: &Screen,
    ) -> Result<Option<Failure>, ProviderError> {
        let cloud = self.account.provider.title();
        match provider.newest_cursor().await {
            Err(error) if error.kind == ProviderErrorKind::Forbidden => {
                let next = match self.account.provider {
                    ProviderName::Box => {
                        "in Box's console, Configuration, Application Scopes: tick `Read all files and folders stored in Box`, save, \
                         have an administrator authorise the app again, and sign in again; enterprise streams need `Manage \
                         enterprise properties`"
                    }
                    ProviderName::Egnyte => "give the API key the scope Egnyte.filesystem, and sign in again",
                };
                return Ok(Some(
                    Failure::error(format!(
                        "the app may not read the events of {cloud}, without which nothing can be mirrored"
                    ))
                    .because(error)
                    .hint(next),
                ));
            }
            Err(error) if error.kind == ProviderErrorKind::SignInNeeded => return Err(error),
            // Not a question of rights: the agent meets it again, and says so.
            Ok(_) | Err(_) => {}
        }
        let may_write = match self.account.provider {
            ProviderName::Box => may_write(provider).await,
            // Egnyte has no question for it that changes nothing.
            ProviderName::Egnyte => None,
        };
        let Some(refusal) = may_write else { return Ok(None) };
        let writes: Vec<&str> = config
            .folders
            .iter()
            .filter(|folder| folder.account == self.account.name && folder.mode != Mode::Mirror)
            .map(|folder| folder.name.as_str())
            .collect();
        let next = "in Box's console, Configuration, Application Scopes: tick `Write all files and folders stored in Box`, save, have \
                    an administrator authorise the app again, and sign in again";
        if writes.is_empty() {
            screen.remark(
                Tone::Warning,
                "warning",
                &format!("the app may not write: folders can be mirrored, but not be two-way or upload; to change that, {next}"),
            );
            return Ok(None);
        }
        let what = format!("the app may not write, which these folders need: {}", writes.join(", "));
        Ok(Some(Failure::error(what).because(refusal).hint(next)))
    }

    /// Puts it where the agent looks.
    pub async fn keep(self, identity: &Identity) -> Outcome<()> {
        // What the trial renewed counts.
        let mut credentials = CredentialFile::new(self.dir.path().to_owned(), &self.account.name)?.load()?.current;
        credentials.identity = Some(identity.clone());
        auth::save_login(self.kept_in, &self.account.name, credentials).await?;
        Ok(())
    }
}

/// The refusal, if a new file in the account's own folder would be refused for want of a scope.
async fn may_write(provider: &dyn Provider) -> Option<ProviderError> {
    let parent = ItemId::new(ItemKind::Folder, "0");
    let target = UploadTarget::New { parent, name: "folder-sync-agent may write".to_owned() };
    match provider.preflight(&target, 0).await {
        Err(error)
            if error.kind == ProviderErrorKind::Forbidden && error.to_string().contains("insufficient_scope") =>
        {
            Some(error)
        }
        _ => None,
    }
}
