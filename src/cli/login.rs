//! `agent login` and `agent logout`.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use clap::{Args, ValueEnum};
use secrecy::{ExposeSecret, SecretString};

use super::failure::{Exit, Failure, Outcome};
use super::render::{Screen, Tone, harmless};
use super::{cloud, terminal};
use crate::command::Command;
use crate::config::edit::{Editor, Kind, Setting};
use crate::config::places::PRIVATE_DIR_MODE;
use crate::config::{Config, Places};
use crate::daemon::client::ControlClient;
use crate::provider::auth::{self, CredentialFile};
use crate::provider::{Cure, Identity, ProviderError, ProviderErrorKind};
use crate::settings::{AccountSettings, ProviderName};

/// The clouds as the command line names them.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum CloudArg {
    /// Box
    Box,
    /// Egnyte
    Egnyte,
}

impl CloudArg {
    /// The provider meant.
    pub fn name(self) -> ProviderName {
        match self {
            Self::Box => ProviderName::Box,
            Self::Egnyte => ProviderName::Egnyte,
        }
    }
}

/// Sign in to a cloud
///
/// The token is read from standard input, never from the command line. It is either a bare access token, or JSON with
/// `access_token`, `refresh_token`, `expires_at`, `client_id` and `client_secret`, with which the agent renews the access
/// token by itself. The token is tried before it is kept.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  agent login box --token-stdin < token
  agent login box --account work --token-stdin < tokens.json
  agent login egnyte --domain acme.egnyte.com --token-stdin < tokens.json
  agent login box --account test --api-url http://127.0.0.1:8080 --token-stdin < token")]
pub struct LoginArgs {
    /// The cloud
    cloud: CloudArg,
    /// What to call the account [default: the cloud's name]
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// Egnyte's domain, such as acme.egnyte.com
    #[arg(long)]
    domain: Option<String>,
    /// One origin for all calls, for test servers
    #[arg(long, value_name = "URL")]
    api_url: Option<String>,
    /// Read the token from standard input
    #[arg(long)]
    token_stdin: bool,
}

/// Sign out of an account and forget its tokens
///
/// The provider is asked to revoke the tokens, and they are removed from this machine. The account stays in the
/// configuration unless `--forget` is given.
#[derive(Debug, Args)]
pub struct LogoutArgs {
    /// The account
    #[arg(value_name = "NAME")]
    name: String,
    /// Take the account out of the configuration too; no folder may use it any more
    #[arg(long)]
    forget: bool,
}

/// Runs `agent login`.
pub async fn login(args: LoginArgs, places: &Places, screen: &mut Screen) -> Outcome {
    let provider = args.cloud.name();
    let name = args.account.clone().unwrap_or_else(|| provider.word().to_owned());
    let before = Config::load(places)?;
    // Tried now and repeated at the end: a wrong setting is told before a token is asked for, and nothing is left behind
    // when the sign-in fails.
    let config = with_account(&args, &name, places)?.check()?;
    let account = cloud::account(&config, Some(&name))?;
    let changed = before.account(&name) != Some(account);

    let token = if args.token_stdin {
        terminal::secret_from_stdin()?
    } else if terminal::can_ask() {
        terminal::ask_secret("Token (not shown):")?
    } else {
        return Err(Failure::new(Exit::Usage, "no token was given")
            .hint("give it on standard input: agent login … --token-stdin < token"));
    };
    places.make_state_dirs().map_err(|error| {
        Failure::error(format!("cannot make the state directory {}", places.state_dir.display())).because(error)
    })?;
    let tried = sign_in(account, &token, places, screen).await?;
    if changed {
        with_account(&args, &name, places)?.save()?;
    }
    adopt_credentials(places)?;
    tell_agent(places, &name, changed, screen).await;
    match tried {
        Ok(identity) => {
            let who = harmless(&format!("{} ({})", identity.name, identity.login));
            screen.line(format_args!("Signed in to {} as {who}, account `{name}`.", provider.word()))?;
            if config.folders.iter().all(|folder| folder.account != name) {
                screen.line(format_args!("Next: agent add-folder /REMOTE/FOLDER LOCAL --account {name}"))?;
            }
            Ok(Exit::Fine)
        }
        Err(error) => Err(Failure::new(Exit::Temporary, "the token is kept, but could not be tried")
            .because(error)
            .hint("look again when the cloud can be reached: agent doctor")),
    }
}

/// The configuration file with the account in it, not yet saved.
fn with_account(args: &LoginArgs, name: &str, places: &Places) -> Outcome<Editor> {
    let provider = args.cloud.name();
    let mut editor = Editor::open(places)?;
    let text = |text: &str| Setting::Text(text.to_owned());
    let given: Vec<(&str, Setting)> = [("domain", &args.domain), ("api_url", &args.api_url)]
        .into_iter()
        .filter_map(|(key, value)| Some((key, text(value.as_ref()?))))
        .collect();
    match editor.check()?.account(name) {
        Some(account) if account.provider != provider => {
            let what = format!("the account `{name}` is a {} account", account.provider.word());
            return Err(Failure::error(what).hint("choose another name with --account"));
        }
        Some(_) => {
            for (key, setting) in &given {
                editor.set(Kind::Account, name, key, setting)?;
            }
        }
        None => {
            let named = [("name", text(name)), ("provider", text(provider.word()))];
            editor.add(Kind::Account, &named.into_iter().chain(given).collect::<Vec<_>>());
        }
    }
    Ok(editor)
}

/// Tries a token and puts it away. A token that is refused is not kept; one that could not be tried for now is.
async fn sign_in(
    account: &AccountSettings,
    token: &SecretString,
    places: &Places,
    screen: &Screen,
) -> Outcome<Result<Identity, ProviderError>> {
    let login = auth::parse_login(token.expose_secret())?;
    // Tried in a directory of its own: trying may already renew the pair, and a bad token must not replace a good one.
    let trial = tempfile::Builder::new()
        .prefix(".login-")
        .permissions(fs::Permissions::from_mode(PRIVATE_DIR_MODE))
        .tempdir_in(places.credentials_dir())
        .map_err(|error| Failure::error("cannot write to the credentials directory").because(error))?;
    let trial_dir = trial.path().to_owned();
    auth::save_login(trial_dir.clone(), &account.name, login.credentials).await?;
    let provider = cloud::connect(account, trial_dir.clone())?;
    let tried = provider.whoami().await;
    provider.settle().await;
    match &tried {
        Err(error) if error.kind == ProviderErrorKind::SignInNeeded => {
            return Err(Failure::new(Exit::SignInNeeded, format!("{} refuses this token", account.provider.word()))
                .because(error)
                .hint("get a fresh token, and sign in again; what was signed in before stays so"));
        }
        Err(error) if error.cure() == Cure::Change => return Err(error.clone().into()),
        _ => {}
    }
    if let Some(warning) = login.warning {
        screen.remark(Tone::Warning, "warning", &warning);
    }
    let renewed = CredentialFile::new(trial_dir, &account.name)?.load()?;
    auth::save_login(places.credentials_dir(), &account.name, renewed.current).await?;
    Ok(tried)
}

/// What root wrote belongs to the agent's own user.
fn adopt_credentials(places: &Places) -> Outcome<()> {
    let failed = |error| Failure::error("cannot give the credentials to the agent's user").because(error);
    for entry in fs::read_dir(places.credentials_dir()).map_err(failed)? {
        places.adopt(&entry.map_err(failed)?.path()).map_err(failed)?;
    }
    Ok(())
}

/// A running agent notices by itself; telling it only makes that sooner.
async fn tell_agent(places: &Places, account: &str, changed: bool, screen: &Screen) {
    let told = async {
        let Some(client) = ControlClient::find(&places.socket).await? else { return Ok(()) };
        if changed {
            client.reload().await?;
        }
        client.command(&Command::CredentialsChanged { account: account.to_owned() }).await.map(|_| ())
    };
    if let Err(error) = told.await {
        screen.remark(Tone::Warning, "warning", &format!("the running agent could not be told: {error}"));
    }
}

/// Runs `agent logout`.
pub async fn logout(args: LogoutArgs, places: &Places, screen: &mut Screen) -> Outcome {
    let config = Config::load(places)?;
    let account = cloud::account(&config, Some(&args.name))?;
    let mut editor = None;
    if args.forget {
        let users: Vec<&str> = config
            .folders
            .iter()
            .filter(|folder| folder.account == args.name)
            .map(|folder| folder.name.as_str())
            .collect();
        if !users.is_empty() {
            return Err(Failure::error(format!("the account `{}` is in use by {}", args.name, users.join(", ")))
                .hint("remove the folders first: agent remove-folder NAME"));
        }
        let mut forgetting = Editor::open(places)?;
        forgetting.remove(Kind::Account, &args.name)?;
        editor = Some(forgetting);
    }
    if let Err(error) = auth::revoke(account, places.credentials_dir()).await {
        screen.remark(Tone::Warning, "warning", &format!("the tokens could not be revoked: {error}"));
    }
    let removed = auth::remove(places.credentials_dir(), &args.name).await?;
    let forgotten = editor.is_some();
    if let Some(editor) = editor {
        editor.save()?;
    }
    tell_agent(places, &args.name, forgotten, screen).await;
    let tokens = if removed { "its tokens are gone" } else { "there were no tokens" };
    let kept = if forgotten { "and the configuration no longer names it" } else { "it stays in the configuration" };
    screen.line(format_args!("Signed out of `{}`: {tokens}, {kept}.", args.name))?;
    Ok(Exit::Fine)
}
