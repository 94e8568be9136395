//! An HTTP proxy that connections go through. Its user name and password are for the proxy alone: nothing shows or saves them.

use std::fmt;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::url::{Url, masked};

/// An HTTP proxy.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Proxy {
    /// Where it is; only host and port mean anything.
    at: Url,
    /// `USER:PASSWORD`, as bytes.
    credentials: Option<Vec<u8>>,
}

impl Proxy {
    /// Where it listens: host and port of this URL.
    pub fn at(&self) -> &Url {
        &self.at
    }

    /// What it is to be told of who asks, `USER:PASSWORD`.
    pub fn credentials(&self) -> Option<&[u8]> {
        self.credentials.as_deref()
    }
}

impl FromStr for Proxy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{}' is no proxy; expected http://[USER:PASSWORD@]HOST:PORT", masked(text));
        let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (credentials, authority) = match rest.rsplit_once('@') {
            Some((credentials, authority)) => {
                let mut credentials: Vec<u8> = percent_decode_str(credentials).collect();
                // The colon is there without a password, too, and no user name has one (RFC 7617, 2).
                if !credentials.contains(&b':') {
                    credentials.push(b':');
                }
                (Some(credentials), authority)
            }
            None => (None, rest),
        };
        if !scheme.eq_ignore_ascii_case("http") {
            return Err(wrong());
        }
        // The hosts and ports of TCP alone, which has nothing else in its URLs either.
        let at = format!("tcp://{authority}").parse().map_err(|_| wrong())?;
        Ok(Self { at, credentials })
    }
}

/// The URL, `***` in the place of a user name and a password.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hidden = if self.credentials.is_some() { "***@" } else { "" };
        write!(f, "http://{hidden}{}", self.at.host_and_port())
    }
}

/// As it is displayed.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Proxy> for String {
    fn from(proxy: Proxy) -> Self {
        proxy.to_string()
    }
}

impl TryFrom<String> for Proxy {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_read_and_its_password_is_never_shown() {
        let proxy: Proxy = "http://us%40er:pass@proxy.example:3128/".parse().unwrap();
        assert_eq!(proxy.credentials(), Some(&b"us@er:pass"[..]));
        for shown in [proxy.to_string(), format!("{proxy:?}"), String::from(proxy.clone())] {
            assert_eq!(shown, "http://***@proxy.example:3128");
        }
        let without_password: Proxy = "http://u@h:1".parse().unwrap();
        assert_eq!(without_password.credentials(), Some(&b"u:"[..]));
        let escaped: Proxy = "http://u%3Ap@h:1".parse().unwrap();
        assert_eq!(escaped.credentials(), Some(&b"u:p"[..]));
        let plain: Proxy = "HTTP://[::1]:8080".parse().unwrap();
        assert_eq!((plain.to_string().as_str(), plain.at().port()), ("http://[::1]:8080", 8080));
        assert_eq!(serde_json::from_str::<Proxy>(&serde_json::to_string(&plain).unwrap()).unwrap(), plain);
        for bad in ["proxy:1", "https://h:1", "http://h", "http://h:0", "socks5://h:1", "http://h:1/path"] {
            let error = bad.parse::<Proxy>().unwrap_err();
            assert!(error.contains(bad) && error.contains("expected http://[USER:PASSWORD@]HOST:PORT"), "{error}");
        }
        let error = "https://u:SECRET@h:1".parse::<Proxy>().unwrap_err();
        assert!(!error.contains("SECRET"), "{error}");
    }
}
