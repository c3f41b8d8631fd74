//! The app of one's own: where its id and secret come from, and where to get them.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::cli::failure::{Exit, Failure, Outcome};
use crate::cli::render::{Screen, Tone};
use crate::cli::terminal;
use crate::config::Places;
use crate::provider::auth::{self, App, CredentialFile, Credentials, Subject};
use crate::settings::{AccountSettings, ProviderName};

/// The variables that an app may come in.
const ID_VARIABLE: &str = "AGENT_CLIENT_ID";
const SECRET_VARIABLE: &str = "AGENT_CLIENT_SECRET";
/// What no program that we start is to inherit.
pub const SECRET_VARIABLES: [&str; 2] = [ID_VARIABLE, SECRET_VARIABLE];
/// Where the service manager puts the credentials of a unit.
const MANAGER_DIR: &str = "CREDENTIALS_DIRECTORY";
/// The largest file with a secret.
const SECRET_MAX_BYTES: u64 = 256 << 10;

/// Where the app's client id and client secret come from [default: AGENT_CLIENT_ID and AGENT_CLIENT_SECRET in the environment, else what
/// the account was signed in with before, else you are asked].
#[derive(Debug, Args)]
#[group(multiple = false)]
pub struct AppArgs {
    /// A file with the client id and the client secret on two lines, or as JSON
    #[arg(long = "app-file", value_name = "FILE", help_heading = "The app")]
    file: Option<PathBuf>,
    /// The same on standard input
    #[arg(long = "app-stdin", help_heading = "The app")]
    stdin: bool,
    /// The same in a systemd credential of this name (LoadCredential=)
    #[arg(long = "app-credential", value_name = "NAME", help_heading = "The app")]
    credential: Option<String>,
}

/// What the app is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Signing in with the browser.
    Browser,
    /// Signing in as itself.
    ClientCredentials,
    /// Signing in with a user's password.
    Password,
}

impl AppArgs {
    /// Whether standard input is used up.
    pub fn is_stdin(&self) -> bool {
        self.stdin
    }
}

/// Finds the app, with the enterprise that it names.
pub fn find(
    args: &AppArgs,
    account: &AccountSettings,
    places: &Places,
    screen: &Screen,
    purpose: Purpose,
) -> Outcome<(App, Option<Subject>)> {
    let given = if let Some(file) = &args.file {
        Some((read_secret(file)?, file.display().to_string()))
    } else if let Some(name) = &args.credential {
        Some((read_credential(name)?, format!("the credential {name}")))
    } else if args.stdin {
        Some((terminal::secret_from_stdin("Client id and secret:")?, "standard input".to_owned()))
    } else {
        None
    };
    if let Some((text, place)) = given {
        return auth::parse_app(text.expose_secret()).map_err(|error| {
            Failure::error(format!("no app can be read from {place}")).because(error).hint(
                "it should be two lines, the client id and the client secret, or JSON with client_id and client_secret",
            )
        });
    }
    if let Some(app) = from_environment()? {
        return Ok((app, None));
    }
    if let Some(app) = kept(account, places) {
        return Ok((app, None));
    }
    explain(account, screen, purpose);
    if terminal::can_ask() {
        let id = terminal::ask_secret("Client ID:")?;
        let secret = terminal::ask_secret("Client secret (not shown):")?;
        let text = SecretString::from(format!("{}\n{}", id.expose_secret(), secret.expose_secret()));
        return Ok((auth::parse_app(text.expose_secret())?.0, None));
    }
    let title = account.provider.title();
    Err(Failure::new(Exit::Usage, format!("{title} needs an app of your own to sign in with"))
        .hint("give it with --app-file FILE, or sign in with a token from elsewhere: --token-stdin"))
}

fn from_environment() -> Outcome<Option<App>> {
    let read = |name| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    let Some(id) = read(ID_VARIABLE) else { return Ok(None) };
    let secret = Zeroizing::new(read(SECRET_VARIABLE).unwrap_or_default());
    let text = Zeroizing::new(format!("{}\n{}", id.trim(), secret.trim()));
    let app = auth::parse_app(&text).map_err(|error| {
        Failure::error(format!("no app can be read from {ID_VARIABLE} and {SECRET_VARIABLE}"))
            .because(error)
            .hint(format!("set both: {ID_VARIABLE} and {SECRET_VARIABLE}"))
    })?;
    Ok(Some(app.0))
}

/// The app that the account was signed in with before.
fn kept(account: &AccountSettings, places: &Places) -> Option<App> {
    kept_credentials(account, places)?.app()
}

fn kept_credentials(account: &AccountSettings, places: &Places) -> Option<Credentials> {
    Some(CredentialFile::new(places.credentials_dir(), &account.name).ok()?.load().ok()?.current)
}

/// How the account's app signed in by itself before, unless another app is given.
pub fn kept_grant(args: &AppArgs, account: &AccountSettings, places: &Places) -> Option<Credentials> {
    let other =
        args.file.is_some() || args.stdin || args.credential.is_some() || std::env::var_os(ID_VARIABLE).is_some();
    kept_credentials(account, places).filter(|credentials| !other && credentials.grant.is_some())
}

fn read_credential(name: &str) -> Outcome<SecretString> {
    let Some(dir) = std::env::var_os(MANAGER_DIR) else {
        return Err(Failure::error(format!("there is no systemd credential `{name}`: {MANAGER_DIR} is not set")).hint(
            "run the command in a unit: systemd-run --pty -p LoadCredential=NAME:/path/to/file agent login ...",
        ));
    };
    if name.is_empty() || name.starts_with('.') || name.contains(['/', '\0']) {
        return Err(Failure::new(Exit::Usage, format!("`{name}` is no name of a credential"))
            .hint("give the name alone, as it stands in LoadCredential=NAME:/path"));
    }
    read_secret(&PathBuf::from(dir).join(name))
}

/// Reads a small file with a secret.
pub fn read_secret(path: &Path) -> Outcome<SecretString> {
    let failed = |error: std::io::Error| Failure::error(format!("cannot read {}", path.display())).because(error);
    let mut text = Zeroizing::new(String::new());
    let file = File::open(path).map_err(failed)?;
    let read = file.take(SECRET_MAX_BYTES + 1).read_to_string(&mut text).map_err(failed)?;
    if read as u64 > SECRET_MAX_BYTES {
        return Err(Failure::error(format!("{} is too long to be right", path.display()))
            .hint("name the file that holds nothing but the secret"));
    }
    Ok(SecretString::from(text.as_str()))
}

/// Says in five lines where to get an app.
fn explain(account: &AccountSettings, screen: &Screen, purpose: Purpose) {
    let name = &account.name;
    let steps: [String; 5] = match (account.provider, purpose) {
        (ProviderName::Box, Purpose::ClientCredentials) => [
            "open https://app.box.com/developers/console, Create Platform App, Custom App, Server Authentication (Client Credentials Grant)".into(),
            "Configuration: tick `Read all files and folders` (and `Write ...` for two-way folders), and save".into(),
            "Authorization: submit the app; an administrator authorises it in the Admin Console under Platform Apps".into(),
            "copy the client id, the client secret and the enterprise id; put id and secret on two lines of a private file (chmod 600 app.txt)".into(),
            format!("agent login box --account {name} --ccg --subject enterprise:ID --app-file app.txt"),
        ],
        (ProviderName::Box, _) => [
            "open https://app.box.com/developers/console, Create Platform App, Custom App, User Authentication (OAuth 2.0)".into(),
            "Configuration: add the redirect URI http://127.0.0.1:8765/callback".into(),
            "tick `Read all files and folders` (and `Write ...` for two-way folders), and save".into(),
            "put the client id and the client secret on two lines of a private file (chmod 600 app.txt)".into(),
            format!("agent login box --account {name} --port 8765 --app-file app.txt"),
        ],
        (ProviderName::Egnyte, Purpose::Password) => [
            "open https://developers.egnyte.com and request an API key, type `Internal application`, for your Egnyte domain".into(),
            "wait until the key is active; it is good for your own domain only".into(),
            "put the key and its secret (Egnyte shows it beside the key) on two lines of a private file (chmod 600 key.txt)".into(),
            "choose a user that signs in with a password, not through a single sign-on".into(),
            format!("agent login egnyte --account {name} --domain DOMAIN --username NAME --app-file key.txt"),
        ],
        (ProviderName::Egnyte, _) => [
            "open https://developers.egnyte.com and request an API key for your Egnyte domain".into(),
            "as registered OAuth redirect URI give http://127.0.0.1:8765/callback; where https is demanded, https://localhost/callback".into(),
            "put the key and its secret on two lines of a private file (chmod 600 key.txt)".into(),
            format!("agent login egnyte --account {name} --domain DOMAIN --port 8765 --app-file key.txt"),
            "with the https address: add --redirect-uri https://localhost/callback --no-browser".into(),
        ],
    };
    for (number, step) in steps.iter().enumerate() {
        screen.remark(Tone::Strong, &format!("step {}", number + 1), step);
    }
}
