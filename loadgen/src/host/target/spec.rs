//! How it is said which server to measure: a URL, flags of the embedded server, or a command.

use std::ffi::OsString;
use std::fmt;
use std::str::FromStr;

use super::embedded;
use crate::plan::Plan;
use crate::plan::url::{Scheme, Url, masked};

/// Which server to measure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spec {
    /// One that runs already.
    Url(Url),
    /// The embedded server, with these flags of `echo-server`.
    Embedded(Vec<String>),
    /// What this command starts; `{port}` in its words stands for a free port of 127.0.0.1. Before it may stand the URL of
    /// what it starts.
    Command(Vec<String>),
}

impl Spec {
    /// The embedded server as it is where nothing is said of it but these `flags`, which come later: it grants what the
    /// plan's permessage-deflate asks for, and answers by the template that the plan expects.
    pub fn embedded_for(plan: &Plan, flags: &[String]) -> Self {
        Self::Embedded(embedded::flags_for(plan, flags))
    }

    /// What is spoken with it, if that is known before it runs.
    pub fn scheme(&self) -> Option<Scheme> {
        match self {
            Self::Url(url) => Some(url.scheme()),
            Self::Embedded(flags) => Some(embedded::scheme(flags)),
            Self::Command(words) => told(words).0.and_then(|url| at_port(url, 1).ok()).map(|url| url.scheme()),
        }
    }

    /// Whether messages may be sent to it as bytes without frames. What a command starts says only later what it speaks.
    pub fn may_take_bytes(&self) -> bool {
        matches!(self.scheme(), None | Some(Scheme::Tcp | Scheme::Udp))
    }

    /// The same, if the embedded server takes the flags that it is given.
    ///
    /// # Errors
    /// What the server says of them.
    pub fn checked(self) -> Result<Self, String> {
        if let Self::Embedded(flags) = &self {
            server::cli::check(flags.iter().map(OsString::from)).map_err(|why| format!("{self}: {why}"))?;
        }
        Ok(self)
    }
}

impl FromStr for Spec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::unchecked(text)?.checked()
    }
}

impl Spec {
    /// What is meant, whether or not an embedded server takes the flags that it is given.
    ///
    /// # Errors
    /// When it is no server.
    pub fn unchecked(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let scheme = text.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
        if scheme.is_some_and(|scheme| ["ws", "wss", "tcp", "udp", "http", "https"].contains(&scheme.as_str())) {
            let words = shell_words::split(text).unwrap_or_default();
            return match told(&words) {
                (Some(url), _) => at_port(url, 1).map(|_| Self::Command(words)),
                (None, [url, _, ..]) if url.parse::<Url>().is_ok() => Err(format!(
                    "{{port}} is missing in '{}', the URL before the command; expected it in the place of the port, as in \
                     ws://localhost:{{port}}/",
                    masked(url)
                )),
                (None, _) => text.parse().map(Self::Url),
            };
        }
        let words = shell_words::split(text).map_err(|error| format!("'{}': {error}", masked(text)))?;
        match words.first() {
            Some(_) if text.contains("{port}") => Ok(Self::Command(words)),
            Some(first) if !first.starts_with('-') => Err(format!(
                "'{}' is no server; expected a ws://, wss://, tcp:// or udp:// URL, flags of echo-server, or a command that holds {{port}}",
                masked(text)
            )),
            _ => Ok(Self::Embedded(words)),
        }
    }
}

/// The URL, or how the server is started.
impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => url.fmt(f),
            Self::Embedded(flags) if flags.is_empty() => f.write_str("embedded server"),
            Self::Embedded(flags) => write!(f, "embedded server {}", shell_words::join(flags)),
            Self::Command(words) => f.write_str(&shown(words)),
        }
    }
}

/// The URL that stands before a command, and the command.
pub(super) fn told(words: &[String]) -> (Option<&str>, &[String]) {
    match words {
        [url, command @ ..] if !command.is_empty() && url.contains("://") && url.contains(PORT) => (Some(url), command),
        _ => (None, words),
    }
}

/// The URL at this port.
pub(super) fn at_port(url: &str, port: u16) -> Result<Url, String> {
    url.replace(PORT, &port.to_string()).parse()
}

/// A command as reports and errors show it: without the secrets of URLs among its words.
pub(super) fn shown(words: &[String]) -> String {
    shell_words::join(words.iter().map(|word| masked(word)))
}

/// What stands for the port.
pub(super) const PORT: &str = "{port}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_is_a_url_flags_or_a_command() {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        assert!(matches!("ws://127.0.0.1:1/".parse(), Ok(Spec::Url(_))));
        assert_eq!("".parse(), Ok(Spec::Embedded(Vec::new())));
        assert_eq!("--tcp-nodelay off".parse(), Ok(Spec::Embedded(words(&["--tcp-nodelay", "off"]))));
        assert_eq!("node 'my server.js' {port}".parse(), Ok(Spec::Command(words(&["node", "my server.js", "{port}"]))));
        assert!(matches!("WS://127.0.0.1:1/".parse(), Ok(Spec::Url(_))));
        assert!(matches!("wss://127.0.0.1:1/".parse(), Ok(Spec::Url(_))));
        let told = "wss://localhost:{port}/chat node wss.js {port}".parse::<Spec>().unwrap();
        assert_eq!(told, Spec::Command(words(&["wss://localhost:{port}/chat", "node", "wss.js", "{port}"])));
        assert_eq!((told.scheme(), "node x.js {port}".parse::<Spec>().unwrap().scheme()), (Some(Scheme::Wss), None));
        for missing in ["wss://localhost/ node wss.js {port}", "wss://h:1/ node x.js"] {
            let error = missing.parse::<Spec>().unwrap_err();
            assert!(error.starts_with("{port} is missing in 'wss://"), "{error}");
        }
        for bad in [
            "node server.js",
            "wss://local host:{port}/ node x.js",
            "wss://h:1/ node x.js {port}",
            "HTTP://x/",
            "http://x/",
            "'unclosed {port}",
        ] {
            assert!(bad.parse::<Spec>().is_err(), "{bad}");
        }
    }
}
