//! Readers for single values: durations, sizes, permissions, names, places; each says what to write instead.

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use ignore::gitignore::GitignoreBuilder;
use jiff::SpanRelativeTo;
use jiff::fmt::friendly::SpanParser;
use url::{Host, Url};

use super::raw::{Wrong, did_you_mean, list};
use crate::settings::{MaxDelete, Minute, Quiet, Rates, RemotePlace};

/// The longest name of an account or folder, in bytes.
pub const NAME_MAX_BYTES: usize = 64;
/// The longest pattern, in bytes.
const PATTERN_MAX_BYTES: usize = 1024;

/// A span of time such as `30d` or `120s`; a day has 24 hours.
pub fn duration(text: &str) -> Result<Duration, Wrong> {
    let wrong = || Wrong::new("this is not a duration").hint("write it like \"30d\", \"12h\" or \"90s\"");
    let span = SpanParser::new().parse_span(text).map_err(|_| wrong())?;
    let duration = span
        .to_duration(SpanRelativeTo::days_are_24_hours())
        .map_err(|_| Wrong::new("months and years have no fixed length").hint("write days, such as \"365d\""))?;
    let duration = Duration::try_from(duration).map_err(|_| wrong())?;
    if duration.is_zero() { Err(Wrong::new("the duration is zero")) } else { Ok(duration) }
}

/// A number of bytes such as `10 MiB`, or plain `4096`.
pub fn size(text: &str) -> Result<u64, Wrong> {
    text.parse::<bytesize::ByteSize>()
        .map(|size| size.as_u64())
        .map_err(|_| Wrong::new("this is not a size").hint("write it like \"10 MiB\" or \"2 GB\""))
}

/// Bytes per second: one rate, `off`, or rates from times of the day on, such as `08:00 2 MB, 19:00 off`.
pub fn rates(text: &str) -> Result<Rates, Wrong> {
    let rate = |text: &str| match text.trim() {
        "off" => Ok(None),
        text => size(text).map(|rate| Some(rate).filter(|rate| *rate > 0)),
    };
    if !text.contains(':') {
        return rate(text).map(Rates::always);
    }
    let wrong = |problem: &str| Wrong::new(problem).hint("write it like \"08:00 2 MB, 19:00 off\"");
    let mut steps = Vec::new();
    for step in text.split(',') {
        let (from, limit) =
            step.trim().split_once(' ').ok_or_else(|| wrong("a time of the day has no rate behind it"))?;
        let from = Minute::parse(from).ok_or_else(|| wrong("this is not a time of the day"))?;
        steps.push((from, rate(limit)?));
    }
    Rates::new(steps).ok_or_else(|| wrong("two rates begin at the same time"))
}

/// Spans of the day such as `08:00-18:00`, separated by commas.
pub fn quiet(text: &str) -> Result<Quiet, Wrong> {
    let wrong =
        |problem: &str| Wrong::new(problem).hint("write it like \"08:00-18:00\", or \"08:00-12:00, 13:00-18:00\"");
    let mut spans = Vec::new();
    for span in text.split(',') {
        let ends = span.trim().split_once('-').ok_or_else(|| wrong("a span of the day has a beginning and an end"))?;
        let minute = |text: &str| Minute::parse(text.trim()).ok_or_else(|| wrong("this is not a time of the day"));
        spans.push((minute(ends.0)?, minute(ends.1)?));
    }
    Quiet::new(spans).ok_or_else(|| wrong("a span of the day has no length"))
}

/// One word of a closed list.
pub fn word<T: Copy>(text: &str, words: &[(&'static str, T)]) -> Result<T, Wrong> {
    if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
        return Ok(*value);
    }
    let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    let wrong = Wrong::new(format!("expected one of {}", list(&known)));
    Err(match did_you_mean(&text.to_lowercase(), known) {
        Some(known) => wrong.hint(format!("did you mean \"{known}\"?")),
        None => wrong,
    })
}

/// Permission bits in octal, never more than `allowed` and never less than `needed`.
pub fn permissions(text: &str, needed: u32, allowed: u32) -> Result<u32, Wrong> {
    let example = format!("write octal permissions like \"0{allowed:o}\"");
    let Some(bits) = u32::from_str_radix(text, 8).ok().filter(|_| text.len() >= 3) else {
        return Err(Wrong::new("these are not permissions").hint(example));
    };
    if bits & !allowed != 0 {
        return Err(Wrong::new(format!("permissions above 0{allowed:o} are never given")).hint(example));
    }
    if bits & needed != needed {
        return Err(Wrong::new(format!("the agent itself needs at least 0{needed:o}")));
    }
    Ok(bits)
}

/// The name of an account or folder: letters and digits of any language, with `.`, `_` and `-` inside.
pub fn name(text: &str) -> Result<String, Wrong> {
    let hint =
        format!("letters, digits, `.`, `_` and `-`, at most {NAME_MAX_BYTES} bytes, beginning with a letter or digit");
    let sane = text.len() <= NAME_MAX_BYTES
        && text.starts_with(char::is_alphanumeric)
        && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-'));
    if sane { Ok(text.to_owned()) } else { Err(Wrong::new("this cannot be a name").hint(hint)) }
}

/// A remote folder: `/path/in/the/cloud` or `id:123456`.
pub fn remote(text: &str) -> Result<RemotePlace, Wrong> {
    if let Some(id) = text.strip_prefix("id:") {
        let plain = !id.is_empty() && id.len() <= 128 && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        return if plain { Ok(RemotePlace::Id(id.to_owned())) } else { Err(Wrong::new("this is not a folder id")) };
    }
    let Some(path) = text.strip_prefix('/') else {
        return Err(Wrong::new("a remote path begins with `/`").hint(format!("write \"/{text}\", or \"id:…\"")));
    };
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    if parts.iter().any(|part| matches!(*part, "." | "..")) {
        return Err(Wrong::new("a remote path has no `.` or `..`"));
    }
    Ok(RemotePlace::Path(format!("/{}", parts.join("/"))))
}

/// An absolute local directory, without `..`, in its plain form.
pub fn local(text: &str) -> Result<PathBuf, Wrong> {
    let path = Path::new(text);
    if !path.is_absolute() {
        let hint = "write the whole path, beginning with `/`; `agent add-folder` also takes relative ones";
        return Err(Wrong::new("a local directory is an absolute path").hint(hint));
    }
    if path.components().any(|component| component == Component::ParentDir) {
        return Err(Wrong::new("a local directory has no `..` in its path"));
    }
    let plain: PathBuf = path.components().collect();
    if plain.parent().is_none() { Err(Wrong::new("the whole disk cannot be a folder")) } else { Ok(plain) }
}

/// A file of this machine, as an absolute path.
pub fn file(text: &str) -> Result<PathBuf, Wrong> {
    let path = PathBuf::from(text);
    if path.is_absolute() { Ok(path) } else { Err(Wrong::new("a file is named by its absolute path")) }
}

/// The brake on deletions: `off`, a share such as `25%`, or a number of files.
pub fn max_delete(text: &str) -> Result<MaxDelete, Wrong> {
    let wrong = || Wrong::new("this is no limit for deletions").hint("write \"25%\", a number of files, or \"off\"");
    if text == "off" {
        return Ok(MaxDelete::Off);
    }
    match text.strip_suffix('%') {
        Some(share) => match share.trim().parse() {
            Ok(percent @ 0..=100) => Ok(MaxDelete::Percent(percent)),
            _ => Err(wrong()),
        },
        None => text.parse().map(MaxDelete::Files).map_err(|_| wrong()),
    }
}

/// One gitignore pattern that compiles.
pub fn pattern(text: &str) -> Result<(), Wrong> {
    if text.trim().is_empty() {
        return Err(Wrong::new("the pattern is empty"));
    }
    if text.len() > PATTERN_MAX_BYTES {
        return Err(Wrong::new(format!("the pattern is longer than {PATTERN_MAX_BYTES} bytes")));
    }
    if text.starts_with('#') {
        return Err(
            Wrong::new("gitignore takes this as a comment").hint("write \"\\\\#…\" for a name that begins with #")
        );
    }
    let hint = "patterns are written as in a .gitignore file";
    // Git takes `a[` for a plain name; in a file written by hand it is a slip.
    let mut builder = GitignoreBuilder::new("/");
    builder.allow_unclosed_class(false);
    builder.add_line(None, text).map(|_| ()).map_err(|error| Wrong::new(error.to_string()).hint(hint))
}

/// The one origin that stands for a provider's hosts: https, or http on loopback.
pub fn origin(text: &str) -> Result<Url, Wrong> {
    let url = web_address(text)?;
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        let hint = format!("write \"{}\"", url.origin().ascii_serialization());
        return Err(Wrong::new("this is an origin only, without a path").hint(hint));
    }
    if url.scheme() == "http" && !is_loopback(&url) {
        return Err(Wrong::new("plain http is accepted for loopback addresses only").hint("write https://…"));
    }
    Ok(url)
}

/// Where deliveries go: https, or http on loopback.
pub fn delivery_url(text: &str) -> Result<Url, Wrong> {
    let url = web_address(text)?;
    if url.scheme() == "http" && !is_loopback(&url) {
        return Err(Wrong::new("plain http is accepted for loopback addresses only").hint("write https://…"));
    }
    Ok(url)
}

/// A proxy by http or https.
pub fn proxy(text: &str) -> Result<Url, Wrong> {
    web_address(text)
}

/// Whether a URL names this machine by its loopback address.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(domain)) => domain == "localhost",
        None => false,
    }
}

fn web_address(text: &str) -> Result<Url, Wrong> {
    let wrong = |why: String| Wrong::new(why).hint("write it like \"https://host:port\"");
    let url = Url::parse(text).map_err(|error| wrong(format!("this is not a URL: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(wrong("expected an http or https URL".to_owned()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("a URL in this file must not hold a user name or password".to_owned()).secret());
    }
    Ok(url)
}

/// Egnyte's domain: `acme.egnyte.com`, or just `acme`.
pub fn domain(text: &str) -> Result<String, Wrong> {
    let wrong = || Wrong::new("this is not a domain").hint("write it like \"acme.egnyte.com\", without https://");
    let sane = !text.is_empty()
        && text.len() <= 253
        && text.split('.').all(|part| !part.is_empty() && !part.starts_with('-') && !part.ends_with('-'))
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'));
    if !sane {
        return Err(wrong());
    }
    Ok(if text.contains('.') { text.to_lowercase() } else { format!("{}.egnyte.com", text.to_lowercase()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_what_people_write() {
        assert_eq!(duration("30d"), Ok(Duration::from_hours(24 * 30)));
        assert_eq!(duration("120s"), Ok(Duration::from_mins(2)));
        assert_eq!(duration("1h 30m"), Ok(Duration::from_mins(90)));
        assert!(duration("1 month").unwrap_err().problem.contains("no fixed length"));
        for wrong in ["", "30", "soon", "-5s", "0s"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_are_what_people_write() {
        assert_eq!(size("10 MiB"), Ok(10 << 20));
        assert_eq!(size("2GB"), Ok(2_000_000_000));
        assert_eq!(size("4096"), Ok(4096));
        assert!(size("big").is_err());
    }

    #[test]
    fn permissions_never_execute() {
        assert_eq!(permissions("0640", 0o600, 0o666), Ok(0o640));
        assert!(permissions("0755", 0o600, 0o666).is_err());
        assert!(permissions("4640", 0o600, 0o666).is_err());
        assert!(permissions("0440", 0o600, 0o666).is_err());
        assert!(permissions("rw-r--r--", 0o600, 0o666).is_err());
    }

    #[test]
    fn names_are_letters_of_any_language() {
        for good in ["inbox", "契約書", "a.b-c_d", "2024"] {
            assert_eq!(name(good).as_deref(), Ok(good));
        }
        for bad in ["", ".", "..", "a/b", "a b", "-rf", "a\u{202e}b", "a\n", &"x".repeat(65)] {
            assert!(name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn remote_places() {
        assert_eq!(remote("/Projects//Inbox/"), Ok(RemotePlace::Path("/Projects/Inbox".into())));
        assert_eq!(remote("/"), Ok(RemotePlace::Path("/".into())));
        assert_eq!(remote("id:123"), Ok(RemotePlace::Id("123".into())));
        for bad in ["Projects", "", "/a/../b", "id:", "id:a b"] {
            assert!(remote(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn local_directories_are_absolute_and_plain() {
        assert_eq!(local("/srv//inbox/"), Ok(PathBuf::from("/srv/inbox")));
        for bad in ["inbox", "~/inbox", "/", "/srv/../etc"] {
            assert!(local(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn plain_http_is_for_loopback() {
        for good in ["https://api.example.com", "http://127.0.0.1:8080", "http://[::1]:9", "http://localhost:1"] {
            assert!(origin(good).is_ok(), "{good}");
        }
        for bad in
            ["http://example.com", "http://127.0.0.1.example.com", "ftp://x", "https://u:p@x", "https://x/2.0", "x"]
        {
            assert!(origin(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_brake() {
        assert_eq!(max_delete("25%"), Ok(MaxDelete::Percent(25)));
        assert_eq!(max_delete("500"), Ok(MaxDelete::Files(500)));
        assert_eq!(max_delete("off"), Ok(MaxDelete::Off));
        assert!(max_delete("101%").is_err());
        assert!(max_delete("many").is_err());
    }

    #[test]
    fn patterns_compile_or_say_why() {
        assert!(pattern("*.tmp").is_ok());
        assert!(pattern("~$*").is_ok());
        assert!(pattern("a[").is_err());
        assert!(pattern(" ").is_err());
        assert!(pattern("# note").is_err());
    }

    #[test]
    fn a_bare_domain_is_egnytes() {
        assert_eq!(domain("Acme").as_deref(), Ok("acme.egnyte.com"));
        assert_eq!(domain("files.acme.com").as_deref(), Ok("files.acme.com"));
        assert!(domain("https://acme.egnyte.com").is_err());
    }
}
