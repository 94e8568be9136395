//! What a Fathom server says of its own configuration: the JSON at its `/config` goes into the report. Other servers are not
//! asked: what they have there is not for a report, and a look-up costs them a connection.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::header::{HOST, HeaderMap, SERVER};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::host::addresses::Addresses;
use crate::host::proxy;
use crate::host::tls::Ready;
use crate::plan::Connect;
use crate::plan::url::Url;

/// Whether the headers of a handshake's response name Fathom.
pub fn is_fathom(headers: &HeaderMap) -> bool {
    headers.get(SERVER).is_some_and(|server| server.as_bytes().starts_with(PRODUCT))
}

/// The configuration of a server that has named itself in a handshake as `how` says; `None` where it does not serve it in
/// time.
pub fn fetch(url: &Url, addresses: &Addresses, how: &Connect) -> Option<Value> {
    sections(json_at("/config", url, addresses, how)?)
}

/// The JSON that such a server serves at `path`; `None` where it does not serve it in time.
pub(super) fn json_at(path: &str, url: &Url, addresses: &Addresses, how: &Connect) -> Option<Value> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    let given = how.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(HOST.as_str()));
    let host = given.map_or_else(|| url.authority(), |(_, value)| value.clone());
    let answer = async { tokio::time::timeout(TIMEOUT, ask(path, host, url, addresses, how)).await.ok().flatten() };
    runtime.block_on(answer)
}

/// The sections of a Fathom server's configuration and nothing else; `None` for another document.
fn sections(mut config: Value) -> Option<Value> {
    let object = config.as_object_mut()?;
    object.retain(|section, _| server::config::SECTIONS.contains(&section.as_str()));
    TOLD_BY.iter().all(|section| object.contains_key(*section)).then_some(config)
}

async fn ask(path: &str, host: String, url: &Url, addresses: &Addresses, how: &Connect) -> Option<Value> {
    let (mut stream, _) = addresses.connect(0, TIMEOUT).await.ok()?;
    if let Some(proxy) = &how.proxy {
        stream = proxy::through(stream, proxy, url).await.ok()?;
    }
    match addresses.tls() {
        None => get(path, host, stream).await,
        Some(client) => get(path, host, Ready::open(stream, client).await.ok()?).await,
    }
}

async fn get(path: &str, host: String, stream: impl AsyncRead + AsyncWrite + Unpin) -> Option<Value> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
    let request = Request::get(path).header(HOST, host).body(Empty::<Bytes>::new()).ok()?;
    let answer = async {
        let response = sender.send_request(request).await.ok()?;
        if response.status() != StatusCode::OK {
            return None;
        }
        let body = Limited::new(response.into_body(), MAX_BYTES).collect().await.ok()?;
        serde_json::from_slice(&body.to_bytes()).ok()
    };
    tokio::pin!(answer);
    tokio::select! {
        biased;
        config = &mut answer => config,
        // The connection may end with the answer, which is then read from what has come.
        _ = connection => answer.await,
    }
}

/// How a Fathom server begins its name.
const PRODUCT: &[u8] = b"Fathom/";

/// The sections that every version of its configuration has had.
const TOLD_BY: [&str; 5] = ["version", "listen", "workers", "echo", "limits"];

/// How long a Fathom server may take on a busy machine: the report must not wait longer for one that has stopped answering.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The longest answer in bytes: a page of settings or counts, many times over.
const MAX_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_fathoms_own_sections_are_taken() {
        let own = json!({"version": "1", "listen": [], "workers": {}, "echo": {}, "limits": {"max_connections": 1}});
        assert_eq!(sections(own.clone()), Some(own.clone()));
        let mut more = own.clone();
        more["db_password"] = json!("secret");
        assert_eq!(sections(more), Some(own.clone()));
        let mut less = own;
        less.as_object_mut().unwrap().remove("echo");
        for other in [less, json!({"db_password": "secret"}), json!([]), json!("text"), Value::Null] {
            assert_eq!(sections(other.clone()), None, "{other}");
        }
    }

    #[test]
    fn a_server_is_known_by_its_name() {
        let named = |name: &'static str| is_fathom(&HeaderMap::from_iter([(SERVER, name.parse().unwrap())]));
        assert!(named("Fathom/0.1.0"));
        assert!(!named("nginx") && !named("Fathomless/1") && !is_fathom(&HeaderMap::new()));
    }
}
