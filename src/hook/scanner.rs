//! Scanners that are asked in their own protocol: clamd's, and ICAP (RFC 3507).

use std::fmt;
use std::path::PathBuf;

use url::Url;

use crate::tree::Wall;

/// Where Debian's and Fedora's packages have clamd listen.
pub const CLAMD_SOCKETS: [&str; 3] =
    ["/run/clamav/clamd.ctl", "/run/clamd.scan/clamd.sock", "/var/run/clamd.scan/clamd.sock"];
/// The port of clamd.
const CLAMD_PORT: u16 = 3310;
/// The port of ICAP, and of ICAP over TLS.
pub const ICAP_PORT: u16 = 1344;
/// The port of ICAP over TLS.
pub const ICAPS_PORT: u16 = 11344;

/// Where a clamd is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Clamd {
    /// Where its package has it listen.
    Packaged,
    /// At this Unix socket.
    Unix(PathBuf),
    /// At this host and port.
    Tcp(String, u16),
}

/// A scanner.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scanner {
    /// ClamAV's daemon.
    Clamd(Clamd),
    /// A service of an ICAP server.
    Icap {
        /// Its address, `icap:` or `icaps:`.
        url: Url,
        /// Certificates that are trusted instead of the system's, in PEM.
        ca_file: Option<PathBuf>,
    },
}

impl Scanner {
    /// Reads `clamd`, `clamd:/path/of/socket`, `clamd://host:port`, `icap://host:port/service` or `icaps://…`.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text == "clamd" {
            return Ok(Self::Clamd(Clamd::Packaged));
        }
        if let Some(place) = text.strip_prefix("clamd://") {
            return tcp(place).map(Self::Clamd).ok_or("this is no host and port");
        }
        if let Some(path) = text.strip_prefix("clamd:") {
            return if path.starts_with('/') && !path.contains('\0') {
                Ok(Self::Clamd(Clamd::Unix(path.into())))
            } else {
                Err("the socket of clamd is an absolute path")
            };
        }
        if text.starts_with("icap:") || text.starts_with("icaps:") {
            let url = Url::parse(text).map_err(|_| "this is no address of an ICAP service")?;
            let names_a_service = url.host_str().is_some_and(|host| !host.is_empty()) && url.path().len() > 1;
            if !names_a_service {
                return Err("an ICAP address names a host and a service: icap://host/service");
            }
            if !url.username().is_empty() || url.password().is_some() {
                return Err("an ICAP address holds no password");
            }
            return Ok(Self::Icap { url, ca_file: None });
        }
        Err("this is no scanner that we know")
    }
}

/// Of when the signatures of a clamd are, as its version tells: `ClamAV 1.4.6/27000/Sun Nov 29 09:00:00 2026`.
pub fn signatures_at(version: &str) -> Option<Wall> {
    let made = version.strip_prefix("ClamAV ")?.splitn(3, '/').nth(2)?;
    let at = jiff::civil::DateTime::strptime("%a %b %d %H:%M:%S %Y", made.trim()).ok()?;
    Some(Wall(at.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_millisecond()))
}

fn tcp(place: &str) -> Option<Clamd> {
    // The url crate knows how hosts are written, IPv6 among them.
    let url = Url::parse(&format!("tcp://{place}")).ok()?;
    let host = url.host_str().filter(|host| !host.is_empty())?;
    let is_bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.username().is_empty();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    is_bare.then(|| Clamd::Tcp(host.to_owned(), url.port().unwrap_or(CLAMD_PORT)))
}

impl fmt::Display for Scanner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clamd(Clamd::Packaged) => f.write_str("clamd"),
            Self::Clamd(Clamd::Unix(path)) => write!(f, "clamd:{}", path.display()),
            Self::Clamd(Clamd::Tcp(host, port)) if host.contains(':') => write!(f, "clamd://[{host}]:{port}"),
            Self::Clamd(Clamd::Tcp(host, port)) => write!(f, "clamd://{host}:{port}"),
            Self::Icap { url, .. } => url.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_tells_the_age_of_signatures() {
        let at = signatures_at("ClamAV 1.4.6/27821/Sun Nov 29 09:31:00 2026");
        assert_eq!(at, Some(Wall(1_795_944_660_000)));
        for none in ["ClamAV 1.4.6", "ClamAV 1.4.6/27821/soon", "Antivirus CI0001-1B2M2"] {
            assert_eq!(signatures_at(none), None);
        }
    }

    #[test]
    fn addresses_are_read_and_shown() {
        for (text, shown) in [
            ("clamd", "clamd"),
            ("clamd:/run/x.sock", "clamd:/run/x.sock"),
            ("clamd://scan.example.com", "clamd://scan.example.com:3310"),
            ("clamd://127.0.0.1:99", "clamd://127.0.0.1:99"),
            ("clamd://[::1]:99", "clamd://[::1]:99"),
            ("icap://scan.example.com/avscan", "icap://scan.example.com/avscan"),
            ("icaps://scan.example.com:11344/avscan?x=1", "icaps://scan.example.com:11344/avscan?x=1"),
        ] {
            let scanner = Scanner::parse(text).unwrap();
            assert_eq!(scanner.to_string(), shown);
            assert_eq!(Scanner::parse(shown), Ok(scanner));
        }
        for wrong in [
            "",
            "clam",
            "clamd:run/x",
            "clamd://",
            "clamd://host/path",
            "icap://host",
            "icap:///x",
            "icap://a:b@host/x",
        ] {
            assert!(Scanner::parse(wrong).is_err(), "{wrong}");
        }
    }
}
