//! The keys of the page in the browser: on this machine's loopback only, unless it is encrypted and asks for a password.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use super::super::raw::{Block, Wrong};
use super::super::{PasswordHash, WebSettings, value};

/// Takes the keys from the outermost table.
pub fn web(top: &mut Block<'_, '_>) -> Option<WebSettings> {
    let spot = top.spot_of("web");
    let listen = top.text("web", address);
    let tls_spot = top.spot_of("web_tls");
    let mut files = top.pairs("web_tls", |name, text| match name {
        "cert" => Ok((true, value::file(text)?)),
        "key" => Ok((false, value::file(text)?)),
        _ => Err(Wrong::new("there is no such key").hint("the keys here are `cert` and `key`")),
    });
    let mut take = |cert: bool| -> Option<PathBuf> {
        let at = files.iter().position(|(is_cert, _)| *is_cert == cert)?;
        Some(files.swap_remove(at).1)
    };
    let tls = take(true).zip(take(false));
    let password_hash = top.text("web_password_hash", |text| {
        PasswordHash::parse(text).ok_or_else(|| {
            Wrong::new("this is no hash of a password").hint("`agent web --hash-password` makes one").secret()
        })
    });
    let names = top.texts("web_names", |text| value::domain(text).map(drop));
    if let (Some(tls_spot), None) = (tls_spot, &tls) {
        top.complain_at(&tls_spot, Wrong::new("`web_tls` needs both `cert` and `key`"));
    }
    // Whoever takes `web` away for a while need not take the others away too.
    let (listen, spot) = (listen?, spot?);
    if !listen.ip().is_loopback() && (tls.is_none() || password_hash.is_none()) {
        let wrong = Wrong::new("other machines could reach this, in the clear or without a password");
        top.complain_at(&spot, wrong.hint("write web = \"127.0.0.1:8477\", or set `web_tls` and `web_password_hash`"));
    }
    Some(WebSettings { listen, tls, password_hash, names })
}

fn address(text: &str) -> Result<SocketAddr, Wrong> {
    let wrong = || Wrong::new("this is no address with a port").hint("write \"127.0.0.1:8477\"");
    let text = text.replacen("localhost:", "127.0.0.1:", 1);
    let address: SocketAddr = text.parse().map_err(|_| wrong())?;
    match (address.ip(), address.port()) {
        (_, 0) => Err(Wrong::new("the port must be named").hint("write \"127.0.0.1:8477\"")),
        (IpAddr::V4(_) | IpAddr::V6(_), _) => Ok(address),
    }
}
