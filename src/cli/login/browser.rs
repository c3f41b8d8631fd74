//! Signing in with the browser: on this machine, through a forwarded port, or by pasting what it ends at.

use std::process::{Command, Stdio};
use std::time::Duration;

use clap::Args;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::oneshot;
use url::{Host, Url};

use super::app::SECRET_VARIABLES;
use super::denied;
use crate::cli::failure::{Exit, Failure, Outcome};
use crate::cli::render::Screen;
use crate::cli::terminal;
use crate::config::parse_duration;
use crate::provider::Identity;
use crate::provider::auth::{self, App, Attempt, Credentials, Loopback, Page, Redirected, Visit};
use crate::settings::AccountSettings;

/// The options of the browser's way.
#[derive(Debug, Args)]
pub struct BrowserArgs {
    /// Print the address instead of opening a browser, and take the address that it ends at, or the code in it, from standard input
    #[arg(long, help_heading = HEADING)]
    no_browser: bool,
    /// Listen for the browser on this port of 127.0.0.1, such as one that ssh forwards [default: a free one]
    #[arg(long, value_name = "PORT", help_heading = HEADING)]
    port: Option<u16>,
    /// The redirect URI as it is registered with the app, if it is not http://127.0.0.1:PORT/callback
    #[arg(long, value_name = "URI", conflicts_with = "port", help_heading = HEADING)]
    redirect_uri: Option<String>,
    /// How long to wait for the browser
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = time, help_heading = HEADING)]
    wait: Duration,
}

const HEADING: &str = "The browser";
/// What a desktop session sets, one of them at least.
const DISPLAYS: [&str; 3] = ["DISPLAY", "WAYLAND_DISPLAY", "BROWSER"];

fn time(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|wrong| wrong.problem.clone())
}

/// Sends somebody to the provider, and buys tokens with what comes back. The browser still waits for its page.
pub async fn sign_in(
    args: &BrowserArgs,
    stdin_used_up: bool,
    account: &AccountSettings,
    app: App,
    screen: &mut Screen,
) -> Outcome<(Credentials, Option<Visit>)> {
    let mut loopback = listen(args).await?;
    let redirect =
        match (&loopback, &args.redirect_uri) {
            (Some(loopback), _) => loopback.redirect_uri().to_owned(),
            (None, Some(uri)) => uri.clone(),
            (None, None) => return Err(Failure::error("there is nowhere to send the browser back to").hint(
                "give the address that is registered with the app: --redirect-uri, or --port for the loopback address",
            )),
        };
    let attempt = Attempt::new(account, &app.client_id, &redirect)?;
    let opened = !args.no_browser && loopback.is_some() && open(attempt.authorize_url());
    let pastes = !stdin_used_up && (args.no_browser || terminal::can_ask());
    if !opened && !pastes && loopback.is_none() {
        return Err(Failure::new(Exit::Usage, "nobody can paste what the browser ends at: standard input is used up")
            .hint("give the app with --app-file"));
    }
    tell(account, &attempt, opened, pastes, screen)?;
    let pasted = if pastes { Some(paste()) } else { None };
    let waits_for_browser = opened || args.port.is_some() || !pastes;
    let (code, visit) = tokio::time::timeout(args.wait, arrival(&attempt, &mut loopback, pasted, waits_for_browser))
        .await
        .map_err(|_| nothing_came(&attempt, args.wait))??;
    match auth::redeem(account, app, &attempt, &code).await {
        Ok(credentials) => Ok((credentials, visit)),
        Err(error) => {
            let failure = denied(error);
            refuse(visit, &failure).await;
            Err(failure)
        }
    }
}

/// Listens where the provider can send the browser back to, if that is this machine.
async fn listen(args: &BrowserArgs) -> Outcome<Option<Loopback>> {
    let bound = match &args.redirect_uri {
        None => Loopback::bind(args.port).await,
        Some(text) => {
            let wrong = || {
                Failure::new(Exit::Usage, "--redirect-uri must be a whole address, as it is registered with the app")
                    .hint("an example: --redirect-uri https://localhost/callback")
            };
            let uri = Url::parse(text).ok().filter(Url::has_host).ok_or_else(wrong)?;
            if uri.scheme() != "http" || !is_here(&uri) {
                return Ok(None);
            }
            Loopback::bind_uri(text).await
        }
    };
    match bound {
        Ok(loopback) => Ok(Some(loopback)),
        Err(error) => {
            let port = args.port.map_or_else(|| "a port of 127.0.0.1".to_owned(), |port| format!("port {port}"));
            let what = if error.kind() == std::io::ErrorKind::AddrInUse {
                format!("{port} is in use by another program")
            } else {
                format!("cannot listen on {port}")
            };
            Err(Failure::error(what).because(error).hint(
                "choose another with --port and register its address with the app, or use --no-browser with --redirect-uri",
            ))
        }
    }
}

fn is_here(uri: &Url) -> bool {
    match uri.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        _ => false,
    }
}

fn tell(account: &AccountSettings, attempt: &Attempt, opened: bool, pastes: bool, screen: &mut Screen) -> Outcome<()> {
    let title = account.provider.title();
    if opened {
        screen.line(format_args!("Grant access in the browser that opens. If none does, open this address:"))?;
    } else {
        screen.line(format_args!("Open this address in a browser and grant access:"))?;
    }
    screen.line("")?;
    screen.line(attempt.authorize_url())?;
    screen.line("")?;
    screen.line(format_args!(
        "{title} sends the browser back to {}, which must be registered with the app.",
        attempt.redirect_uri()
    ))?;
    if pastes {
        screen.line("If that page does not open, paste its whole address here, or the code in it, and press Enter:")?;
    }
    screen.flush()?;
    Ok(())
}

/// What is pasted, as soon as it is. The thread ends with the program.
fn paste() -> oneshot::Receiver<Outcome<SecretString>> {
    let (tell, told) = oneshot::channel();
    tokio::task::spawn_blocking(move || {
        // Nobody waits any more if the browser came back first.
        let _ = tell.send(terminal::line());
    });
    told
}

type Code = (SecretString, Option<Visit>);

/// Waits for the code, by whichever way it comes first.
async fn arrival(
    attempt: &Attempt,
    loopback: &mut Option<Loopback>,
    pasted: Option<oneshot::Receiver<Outcome<SecretString>>>,
    waits_for_browser: bool,
) -> Outcome<Code> {
    let pasting = async {
        let text = match pasted {
            Some(pasted) => pasted.await,
            None => std::future::pending().await,
        };
        let text = text.unwrap_or_else(|_| Err(Failure::error("cannot read standard input")))?;
        if text.expose_secret().trim().is_empty() {
            if waits_for_browser {
                std::future::pending::<()>().await;
            }
            return Err(Failure::new(Exit::SignInNeeded, "nothing was pasted")
                .hint("run the command again, and paste the address that the browser ends at"));
        }
        match attempt.pasted(text.expose_secret()) {
            Ok(code) => Ok((code, None)),
            Err(redirected) => Err(failure(attempt, &redirected)),
        }
    };
    let visiting = async {
        let visit = match loopback {
            Some(loopback) => loopback.visit().await,
            None => std::future::pending().await,
        };
        let Some(visit) = visit else { return Err(Failure::error("the listener for the browser broke")) };
        match attempt.code(&visit.address) {
            Ok(code) => Ok((code, Some(visit))),
            Err(redirected) => {
                let failure = failure(attempt, &redirected);
                refuse(Some(visit), &failure).await;
                Err(failure)
            }
        }
    };
    tokio::select! {
        code = pasting => code,
        code = visiting => code,
    }
}

fn failure(attempt: &Attempt, redirected: &Redirected) -> Failure {
    let (what, next) = attempt.explain(redirected);
    Failure::new(Exit::SignInNeeded, what).hint(format!("{next}; what was signed in before stays so"))
}

fn nothing_came(attempt: &Attempt, waited: Duration) -> Failure {
    let waited = crate::cli::render::span(waited);
    Failure::new(Exit::SignInNeeded, format!("nothing came back from the browser within {waited}")).hint(format!(
        "run the command again and leave the browser open; if it showed an error about the redirect URI, register {} with the app",
        attempt.redirect_uri()
    ))
}

/// Tells the browser that it did not work.
async fn refuse(visit: Option<Visit>, failure: &Failure) {
    if let Some(visit) = visit {
        visit.show(&failed_page(failure)).await;
    }
}

fn failed_page(failure: &Failure) -> Page {
    let text = failure.hint.clone().unwrap_or_default();
    Page { good: false, title: format!("Not signed in: {}", failure.what), text }
}

/// The page for how a sign-in ended.
pub fn page(kept: &Outcome<Identity>, account: &AccountSettings) -> Page {
    match kept {
        Ok(identity) => Page {
            good: true,
            title: format!("Signed in to {} as {} ({})", account.provider.title(), identity.name, identity.login),
            text: format!(
                "You can close this window. Next, in the terminal: agent add-folder /REMOTE/FOLDER LOCAL --account {}",
                account.name
            ),
        },
        Err(failure) => failed_page(failure),
    }
}

/// Starts whatever shows web pages here; false if there is nothing, as on a server.
fn open(address: &Url) -> bool {
    if !DISPLAYS.iter().any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty())) {
        return false;
    }
    let own =
        std::env::var_os("BROWSER").filter(|program| !program.is_empty() && !program.to_string_lossy().contains(':'));
    let own = own.map(|program| {
        let mut command = Command::new(program);
        command.arg(address.as_str());
        command
    });
    own.into_iter().chain(open::commands(address.as_str())).any(|mut command| {
        for name in SECRET_VARIABLES {
            command.env_remove(name);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // Ctrl-C in the terminal is not for the browser.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command.spawn().is_ok()
    })
}
