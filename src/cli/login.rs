//! `agent login` and `agent logout`.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use secrecy::ExposeSecret;

use super::failure::{Exit, Failure, Outcome};
use super::render::{Screen, Tone, harmless, moment};
use super::{cloud, terminal};
use crate::command::Command;
use crate::config::edit::{Editor, Kind, Setting};
use crate::config::{Config, Places};
use crate::daemon::client::ControlClient;
use crate::provider::Identity;
use crate::provider::auth::{self, Algorithm, CredentialFile, Credentials, ServerGrant, SignInError, Subject, Visit};
use crate::settings::{AccountSettings, ProviderName};

mod app;
mod browser;
mod trial;

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
/// Without further options the browser is opened, you grant access there, and the agent keeps what it is given: an access token and the
/// way to renew it. That needs an app of your own, registered in the provider's console; without one the command says where to get it.
///
/// The account is bound to the person who signs in. Secrets never come by the command line.
#[derive(Debug, Args)]
#[command(after_long_help = WAYS)]
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
    /// Take the account over although it was another person's: its folders are compared anew, and nothing is deleted before you
    /// approve
    #[arg(long)]
    replace_identity: bool,
    #[command(flatten)]
    way: WayArgs,
    #[command(flatten)]
    app: app::AppArgs,
    #[command(flatten)]
    browser: browser::BrowserArgs,
    /// In whose name the app acts, with --ccg and --jwt: enterprise:ID or user:ID
    #[arg(long, value_name = "SUBJECT", help_heading = WAYS_HEADING)]
    subject: Option<String>,
    /// How statements are signed, with --jwt: RS256, RS384 or RS512
    #[arg(long, value_name = "NAME", default_value = "RS256", help_heading = WAYS_HEADING)]
    jwt_algorithm: String,
    /// Box: make every call in the name of this user, where the app may
    #[arg(long, value_name = "ID")]
    as_user: Option<String>,
}

/// How to sign in; the browser unless one of these is given.
#[derive(Debug, Args)]
#[group(multiple = false)]
struct WayArgs {
    /// Read a token from standard input: a bare access token such as Box's developer token, or JSON with access_token, refresh_token,
    /// expires_at, client_id and client_secret
    #[arg(long, visible_alias = "developer-token", help_heading = WAYS_HEADING)]
    token_stdin: bool,
    /// Box: with the app's own id and secret (client credentials grant)
    #[arg(long, help_heading = WAYS_HEADING)]
    ccg: bool,
    /// Box: with the JSON file that the console downloads for an app with server authentication (JWT)
    #[arg(long, value_name = "FILE", help_heading = WAYS_HEADING)]
    jwt: Option<PathBuf>,
    /// Egnyte: with a user's name and password, for API keys registered as internal; the password is asked for and not kept
    #[arg(long, value_name = "NAME", help_heading = WAYS_HEADING)]
    username: Option<String>,
}

const WAYS_HEADING: &str = "Ways to sign in";
const WAYS: &str = "\
Box, in the browser. In https://app.box.com/developers/console: Create Platform App, Custom App,
User Authentication (OAuth 2.0). Under Configuration add the redirect URI
http://127.0.0.1:8765/callback, tick `Read all files and folders` (and `Write ...` for two-way
folders), save, and copy the client id and secret into a file of two lines.
    agent login box --app-file app.txt
    agent login box --app-file app.txt --port 8765     where Box insists on the registered port
    agent login box --app-file app.txt --no-browser    on a server: paste where your browser ends
Box, as the app itself: Server Authentication (Client Credentials Grant, or JWT with the file of
Generate a Public/Private Keypair). A Box administrator authorises the app in the Admin Console,
Platform Apps.
    agent login box --ccg --subject enterprise:801346 --app-file app.txt
    agent login box --ccg --subject user:4711          AGENT_CLIENT_ID, AGENT_CLIENT_SECRET are set
    agent login box --jwt 801346_abcd_config.json
    agent login box --jwt config.json --as-user 4711
Box, with a token from elsewhere (the console's developer token lives for an hour):
    agent login box --token-stdin < token
    agent login box --account work --token-stdin < tokens.json
Egnyte. At https://developers.egnyte.com: an API key for your domain, with the redirect URI
http://127.0.0.1:8765/callback. With --username the key has to be registered as internal.
    agent login egnyte --domain acme.egnyte.com --app-file key.txt --port 8765
    agent login egnyte --domain acme.egnyte.com --app-file key.txt --no-browser \\
        --redirect-uri https://localhost/callback
    agent login egnyte --domain acme.egnyte.com --app-file key.txt --username jdoe
    agent login egnyte --domain acme.egnyte.com --token-stdin < token
A test server:
    agent login box --account test --api-url http://127.0.0.1:8080 --token-stdin < token";

/// Sign out of an account and forget its tokens
///
/// The provider is asked to revoke the tokens, and they are removed from this machine. The account stays in the
/// configuration unless `--forget` is given.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  agent logout work
  agent logout work --forget     # also leaves the configuration, as by: agent remove-account work")]
pub struct LogoutArgs {
    /// The account
    #[arg(value_name = "NAME")]
    name: String,
    /// Take the account out of the configuration too; no folder may use it any more
    #[arg(long)]
    forget: bool,
}

/// Sign out of an account and take it out of the configuration
///
/// The same as `agent logout NAME --forget`. No folder may use the account any more.
#[derive(Debug, Args)]
#[command(after_long_help = "Example:
  agent remove-account work")]
pub struct RemoveAccountArgs {
    /// The account
    #[arg(value_name = "NAME")]
    name: String,
}

/// Runs `agent remove-account`.
pub async fn remove_account(args: RemoveAccountArgs, places: &Places, screen: &mut Screen) -> Outcome {
    logout(LogoutArgs { name: args.name, forget: true }, places, screen).await
}

/// What a way of signing in brought.
struct Obtained {
    credentials: Credentials,
    /// What to tell the person, in one sentence.
    warning: Option<String>,
    /// The browser that waits for a page.
    visit: Option<Visit>,
}

impl From<Credentials> for Obtained {
    fn from(credentials: Credentials) -> Self {
        Self { credentials, warning: None, visit: None }
    }
}

/// Runs `agent login`.
pub async fn login(args: LoginArgs, places: &Places, screen: &mut Screen) -> Outcome {
    let provider = args.cloud.name();
    args.check(provider)?;
    let name = args.account.clone().unwrap_or_else(|| provider.word().to_owned());
    let before = Config::load(places)?;
    // Tried now and repeated at the end: a wrong setting is told before a token is asked for, and nothing is left behind
    // when the sign-in fails.
    let config = with_account(&args, &name, places)?.check()?;
    let account = cloud::account(&config, Some(&name))?;
    let changed = before.account(&name) != Some(account);

    let mut obtained = obtain(&args, account, places, screen).await?;
    let visit = obtained.visit.take();
    let kept = keep(&args, &config, account, changed, obtained, places, screen).await;
    if let Some(visit) = visit {
        visit.show(&browser::page(&kept, account)).await;
    }
    let identity = kept?;
    let who = harmless(&format!("{} ({})", identity.name, identity.login));
    screen.line(format_args!("Signed in to {} as {who}, account `{name}`.", provider.word()))?;
    if config.folders.iter().all(|folder| folder.account != name) {
        screen.line(format_args!("Next: agent add-folder /REMOTE/FOLDER LOCAL --account {name}"))?;
    }
    Ok(Exit::Fine)
}

impl LoginArgs {
    /// Options that mean nothing at this provider.
    fn check(&self, provider: ProviderName) -> Outcome<()> {
        let box_only =
            [("--ccg", self.way.ccg), ("--jwt", self.way.jwt.is_some()), ("--as-user", self.as_user.is_some())];
        let egnyte_only = [("--username", self.way.username.is_some())];
        let (wrong, other) = match provider {
            ProviderName::Box => (&egnyte_only[..], ProviderName::Egnyte),
            ProviderName::Egnyte => (&box_only[..], ProviderName::Box),
        };
        match wrong.iter().find(|(_, given)| *given) {
            Some((option, _)) => Err(Failure::new(Exit::Usage, format!("{option} is for {} only", other.title()))
                .hint("see agent login --help")),
            // Told before anything is asked for.
            None => self.subject().map(drop),
        }
    }

    fn subject(&self) -> Outcome<Option<Subject>> {
        let wrong = || {
            Failure::new(Exit::Usage, "--subject must be enterprise:ID or user:ID").hint(
                "the ids are in the app's settings and in the admin console; an example: --subject enterprise:801346",
            )
        };
        self.subject.as_deref().map(|text| Subject::parse(text).ok_or_else(wrong)).transpose()
    }
}

/// Gets tokens by the way that was chosen.
async fn obtain(
    args: &LoginArgs,
    account: &AccountSettings,
    places: &Places,
    screen: &mut Screen,
) -> Outcome<Obtained> {
    let mut obtained: Obtained = if args.way.token_stdin {
        let token = terminal::secret_from_stdin("Token (not shown):")?;
        let login = auth::parse_login(token.expose_secret())?;
        let credentials = auth::obtain(account, login.credentials).await.map_err(denied)?;
        Obtained { warning: login.warning, ..credentials.into() }
    } else if let Some(file) = &args.way.jwt {
        let credentials = by_jwt(args, file)?;
        auth::obtain(account, credentials).await.map_err(denied)?.into()
    } else if args.way.ccg {
        let (app, enterprise) = app::find(&args.app, account, places, screen, app::Purpose::ClientCredentials)?;
        let Some(subject) = args.subject()?.or(enterprise) else {
            return Err(Failure::new(Exit::Usage, "in whose name shall the app act?")
                .hint("add --subject enterprise:ID for its service account, or --subject user:ID"));
        };
        let mut credentials = Credentials::of_app(app);
        if credentials.client_secret.is_none() {
            return Err(Failure::error("the app's client secret is missing")
                .hint("give both, the client id and the client secret"));
        }
        credentials.grant = Some(ServerGrant::ClientCredentials(subject));
        auth::obtain(account, credentials).await.map_err(denied)?.into()
    } else if let Some(user) = &args.way.username {
        let (app, _) = app::find(&args.app, account, places, screen, app::Purpose::Password)?;
        if args.app.is_stdin() && !terminal::can_ask() {
            return Err(Failure::new(Exit::Usage, "the app and the password cannot both come on standard input")
                .hint("give the app with --app-file, and the password on standard input"));
        }
        let password = terminal::secret_from_stdin("Password (not shown, not kept):")?;
        auth::with_password(account, app, user, &password).await.map_err(denied)?.into()
    } else if let Some(credentials) = app::kept_grant(&args.app, account, places) {
        // The account's app signs in by itself: there is nothing for a browser to do.
        auth::obtain(account, credentials).await.map_err(denied)?.into()
    } else {
        let (app, _) = app::find(&args.app, account, places, screen, app::Purpose::Browser)?;
        let (credentials, visit) = browser::sign_in(&args.browser, args.app.is_stdin(), account, app, screen).await?;
        Obtained { visit, ..credentials.into() }
    };
    if let Some(user) = &args.as_user {
        obtained.credentials.as_user = Some(auth::user_id(user)?);
    }
    if obtained.warning.is_none() && !obtained.credentials.is_renewable() {
        obtained.warning = Some(match obtained.credentials.expires_at {
            Some(end) => format!(
                "this token cannot be renewed: it ends {}, and the account needs a new sign-in then",
                moment(end)
            ),
            None => "this token has no known end; it dies when it is revoked or the password changes, and the account needs \
                     a new sign-in then"
                .to_owned(),
        });
    }
    Ok(obtained)
}

fn by_jwt(args: &LoginArgs, file: &Path) -> Outcome<Credentials> {
    let text = app::read_secret(file)?;
    let Some(algorithm) = Algorithm::parse(&args.jwt_algorithm) else {
        return Err(Failure::new(Exit::Usage, "--jwt-algorithm must be RS256, RS384 or RS512")
            .hint("leave it out: RS256 is what Box expects"));
    };
    let next =
        "download it again: Configuration, Generate a Public/Private Keypair; what was signed in before stays so";
    auth::parse_jwt(text.expose_secret(), args.subject()?, algorithm, None)
        .map_err(|error| Failure::error(format!("{} cannot be used", file.display())).because(error).hint(next))
}

/// What the provider said no to, with the next step.
fn denied(error: SignInError) -> Failure {
    match error {
        SignInError::Denied(denial) => {
            Failure::new(Exit::SignInNeeded, denial.what).because(denial.detail).hint(denial.next)
        }
        SignInError::Other(error) => error.into(),
    }
}

/// Tries what was obtained, asks whose it is, and puts it away.
async fn keep(
    args: &LoginArgs,
    config: &Config,
    account: &AccountSettings,
    changed: bool,
    obtained: Obtained,
    places: &Places,
    screen: &mut Screen,
) -> Outcome<Identity> {
    places.make_state_dirs().map_err(|error| {
        Failure::error(format!("cannot make the state directory {}", places.state_dir.display())).because(error)
    })?;
    let former = former(places, &account.name).await;
    let trial = trial::Trial::new(account, obtained.credentials, places).await?;
    let identity = trial.run(config, screen).await?;
    let replaced = former.as_ref().filter(|former| former.user_id != identity.user_id).map(|_| &identity);
    if let (Some(identity), Some(former)) = (replaced, &former) {
        let folders: Vec<&str> = config
            .folders
            .iter()
            .filter(|folder| folder.account == account.name)
            .map(|folder| folder.name.as_str())
            .collect();
        if !folders.is_empty() && !args.replace_identity {
            let what =
                format!("the account `{}` is {}, and this sign-in is {}", account.name, former.login, identity.login);
            return Err(Failure::new(Exit::PersonNeeded, what)
                .because(format!("its folders were synced for {}: {}", former.login, folders.join(", ")))
                .hint("choose another account name with --account, or confirm with --replace-identity"));
        }
    }
    if let Some(warning) = obtained.warning {
        screen.remark(Tone::Warning, "warning", &warning);
    }
    trial.keep(&identity).await?;
    if changed {
        with_account(args, &account.name, places)?.save()?;
    }
    adopt_credentials(places)?;
    if let Some(identity) = replaced {
        let command = Command::ReplaceIdentity {
            account: account.name.clone(),
            user_id: identity.user_id.clone(),
            login: identity.login.clone(),
        };
        let said = super::agent::command(places, command).await?;
        screen.remark(Tone::Warning, "note", &said);
    }
    tell_agent(places, &account.name, changed, screen).await;
    Ok(identity)
}

/// Whose an account was until now.
struct Former {
    user_id: String,
    login: String,
}

/// The agent knows, or, before its first run, what was signed in. What cannot be found out here is found out by the engine, which holds
/// the account then.
async fn former(places: &Places, account: &str) -> Option<Former> {
    let of_agent = async {
        let status = super::agent::Agent::find(places).await.ok()?.status().await.ok()?;
        let known = status.accounts.into_iter().find(|known| known.name == account)?;
        let user_id = known.user_id?;
        let login = known.login.unwrap_or_else(|| user_id.clone());
        Some(Former { user_id, login })
    };
    if let Some(former) = of_agent.await {
        return Some(former);
    }
    let file = CredentialFile::new(places.credentials_dir(), account).ok()?;
    let identity = file.load().ok()?.current.identity?;
    Some(Former { user_id: identity.user_id, login: identity.login })
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
    let revoked = auth::revoke(account, places.credentials_dir()).await;
    let title = account.provider.title();
    let removed = auth::remove(places.credentials_dir(), &args.name).await?;
    let forgotten = editor.is_some();
    if let Some(editor) = editor {
        editor.save()?;
    }
    tell_agent(places, &args.name, forgotten, screen).await;
    let there = match (revoked, removed) {
        (Ok(()), _) => format!("{title} took its tokens back"),
        (Err(_), false) => "there were no tokens".to_owned(),
        (Err(error), true) => {
            let told = format!(
                "{title} did not take the tokens back: {error}; revoke the app's access there, or wait until they end"
            );
            screen.remark(Tone::Warning, "warning", &told);
            format!("{title} was not told")
        }
    };
    let here = if removed { ", they are gone from this machine" } else { "" };
    let kept = if forgotten { "and the configuration no longer names it" } else { "it stays in the configuration" };
    screen.line(format_args!("Signed out of `{}`: {there}{here}, {kept}.", args.name))?;
    Ok(Exit::Fine)
}
