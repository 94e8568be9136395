//! An answer to the handshake other than 101, in words: what it says of itself, what to try, and how its body begins. The
//! words are bounded, and the query of the URL, which may be a secret, is masked where the server repeats it.

use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderName};
use hyper::{Response, StatusCode};
use tokio::time::{Instant, timeout_at};

use crate::measure::failures::{printable, shortened};
use crate::plan::url::Url;

/// The query of a URL.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a>(Option<&'a str>);

/// What the answer says, each part behind a separator; empty where it says nothing. Its body is waited for a moment only.
pub async fn words(response: Response<Incoming>, query: &Query<'_>) -> String {
    let status = response.status();
    let mut parts = notes(status, response.headers(), query);
    let body = beginning(response.into_body(), query).await;
    if !body.is_empty() {
        parts.push(format!("\"{body}\""));
    }
    parts.extend(hint(status).map(str::to_owned));
    if parts.is_empty() { String::new() } else { format!(": {}", parts.join("; ")) }
}

/// What to try after such an answer, of which only the status is known, behind a separator.
pub fn advice(status: StatusCode) -> String {
    hint(status).map_or_else(String::new, |hint| format!(": {hint}"))
}

/// What the headers say.
fn notes(status: StatusCode, headers: &HeaderMap, query: &Query<'_>) -> Vec<String> {
    let named = |name: HeaderName| {
        let value = String::from_utf8_lossy(headers.get(name)?.as_bytes()).into_owned();
        Some(shortened(&printable(&value), MOST_SHOWN))
    };
    let mut notes = Vec::new();
    if status.is_redirection() {
        // Its query is the server's, and may repeat the URL's in another encoding.
        let location = named(header::LOCATION).map(|to| to.split('?').next().unwrap_or_default().to_owned());
        notes.extend(location.map(|to| format!("it redirects to {to}; that is not followed, give the right URL")));
    }
    let wanted: &[(HeaderName, &str)] = match status {
        StatusCode::UNAUTHORIZED => &[(header::WWW_AUTHENTICATE, "WWW-Authenticate")],
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => &[(header::PROXY_AUTHENTICATE, "Proxy-Authenticate")],
        StatusCode::UPGRADE_REQUIRED | StatusCode::BAD_REQUEST => {
            &[(header::UPGRADE, "Upgrade"), (header::SEC_WEBSOCKET_VERSION, "Sec-WebSocket-Version")]
        }
        status if status.is_success() => &[(header::CONTENT_TYPE, "Content-Type")],
        _ => &[],
    };
    let always = [(header::RETRY_AFTER, "Retry-After")];
    for (header, name) in wanted.iter().chain(&always) {
        notes.extend(named(header.clone()).map(|value| format!("{name}: {}", query.mask(&value))));
    }
    notes
}

/// What to try.
fn hint(status: StatusCode) -> Option<&'static str> {
    match status {
        StatusCode::UNAUTHORIZED => Some("it wants credentials, as -H 'Authorization: …' gives them"),
        StatusCode::FORBIDDEN => Some("it may want another Origin or credentials (-H)"),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            Some("it may take fewer connections, or the same ones more slowly (--connect-rate)")
        }
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => Some("is the URL's path right?"),
        status if status.is_success() => Some("there is no WebSocket endpoint at this path"),
        _ => None,
    }
}

/// How the body begins: its first line, or the beginning of its markup. A body that does not end, or that comes byte by
/// byte, is taken as far as it has come within [`BODY_TIME`].
async fn beginning(mut body: Incoming, query: &Query<'_>) -> String {
    let deadline = Instant::now() + BODY_TIME;
    let mut bytes = Vec::new();
    while bytes.len() < MOST_READ {
        let Ok(Some(Ok(frame))) = timeout_at(deadline, body.frame()).await else { break };
        let Some(data) = frame.data_ref() else { break };
        bytes.extend_from_slice(&data[..data.len().min(MOST_READ - bytes.len())]);
    }
    let text = String::from_utf8_lossy(&bytes);
    let text = query.mask(&text);
    let text = text.trim();
    let line = if text.starts_with('<') {
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    } else {
        text.lines().next().unwrap_or_default().trim_end().to_owned()
    };
    shortened(&printable(&line), MOST_SHOWN)
}

impl<'a> Query<'a> {
    /// The query of this URL.
    pub fn of(url: &'a Url) -> Self {
        Self(url.path().split_once('?').map(|(_, query)| query).filter(|query| !query.is_empty()))
    }

    /// The text without it: servers repeat the request in their answers, sometimes cut short or escaped, and a token alone.
    pub fn mask(&self, text: &str) -> String {
        let Some(query) = self.0 else { return text.to_owned() };
        let mut masked = String::with_capacity(text.len());
        let mut rest = text;
        let begins = query.char_indices().nth(RECOGNIZED).map_or(query, |(end, _)| &query[..end]);
        while let Some(at) = rest.find('?') {
            let (before, query) = rest.split_at(at + 1);
            masked.push_str(before);
            rest = query;
            // Cut short, what is left of the query is shorter than what it is recognized by.
            if query.starts_with(begins) || (!query.is_empty() && begins.starts_with(query)) {
                masked.push_str(MASK);
                rest = &query[query.find(ends_query).unwrap_or(query.len())..];
            }
        }
        masked.push_str(rest);
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let secrets = pairs.filter(|(name, _)| is_secret(name)).map(|(_, value)| value);
        for value in [query].into_iter().chain(secrets).filter(|value| value.len() >= RECOGNIZED) {
            masked = masked.replace(value, MASK);
        }
        masked
    }
}

fn ends_query(c: char) -> bool {
    c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>')
}

/// Whether a parameter of this name is likely to be one.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRETS.iter().any(|part| name.contains(part))
}

/// What the names of secrets contain.
const SECRETS: [&str; 9] = ["token", "key", "auth", "secret", "pass", "sig", "jwt", "session", "ticket"];

/// Stands for the query.
const MASK: &str = "***";

/// Characters by which a query or one of its values is recognized: shorter ones are words that stand anywhere.
const RECOGNIZED: usize = 6;

/// How long the body is waited for once the status is known: it is wanted for its first words only.
const BODY_TIME: Duration = Duration::from_millis(500);

/// Bytes read of the body: a line of explanation, not a page.
const MOST_READ: usize = 4096;

/// Characters shown of the body or of a header.
const MOST_SHOWN: usize = 120;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_is_masked_however_it_comes_back() {
        let url: Url = "ws://h/p?room=lobbies&token=s3cr3t!&x=2".parse().unwrap();
        let query = Query::of(&url);
        for (text, expected) in [
            ("Cannot GET /p?room=lobbies&token=s3cr3t!&x=2", "Cannot GET /p?***"),
            ("<a href=\"/p?room=lobbies&amp;token=s3cr3t!&amp;x=2\">?</a>", "<a href=\"/p?***\">?</a>"),
            ("cut: /p?room=lobbies&tok", "cut: /p?***"),
            ("cut: /p?roo", "cut: /p?***"),
            ("bad token s3cr3t!", "bad token ***"),
            ("what? no room", "what? no room"),
            ("lobbies are closed", "lobbies are closed"),
            ("twice ?room=lobbies and ?room=lobbies&y", "twice ?*** and ?***"),
            ("ends in ?", "ends in ?"),
        ] {
            assert_eq!(query.mask(text), expected);
        }
        let without: Url = "ws://h/p".parse().unwrap();
        assert_eq!(Query::of(&without).mask("GET /p?a"), "GET /p?a");
    }

    #[test]
    fn status_and_headers_say_what_came_and_what_to_try() {
        let url: Url = "ws://h/p?token=s3cr3t".parse().unwrap();
        for (status, name, value, expected) in [
            (302, "location", "/login?next=%2Fp%3Ftoken%3Ds3cr3t", &["it redirects to /login; that is", ""][..]),
            (
                401,
                "www-authenticate",
                "Basic realm=\"x\"",
                &["-H 'Authorization", "WWW-Authenticate: Basic realm=\"x\""],
            ),
            (403, "x", "", &["Origin"]),
            (429, "retry-after", "30", &["--connect-rate", "Retry-After: 30"]),
            (503, "retry-after", "9", &["--connect-rate", "Retry-After: 9"]),
            (426, "upgrade", "h2c", &["Upgrade: h2c"]),
            (400, "sec-websocket-version", "8", &["Sec-WebSocket-Version: 8"]),
            (200, "content-type", "text/html", &["no WebSocket endpoint", "Content-Type: text/html"]),
            (404, "x", "", &["path"]),
            (500, "x-powered-by", "y", &[]),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(HeaderName::from_static(name), value.parse().unwrap());
            let status = StatusCode::from_u16(status).unwrap();
            let mut notes = notes(status, &headers, &Query::of(&url));
            notes.extend(hint(status).map(str::to_owned));
            let notes = notes.join("; ");
            assert!(expected.iter().all(|words| notes.contains(words)), "{status}: {notes}");
            assert!(!notes.contains("s3cr3t"), "{notes}");
            assert_eq!(notes.is_empty(), expected.is_empty(), "{status}: {notes}");
            // How many there are is -c of one command, -n of another, and --senders and --receivers of a third.
            assert!(!notes.contains("-c)"), "{notes}");
        }
    }
}
