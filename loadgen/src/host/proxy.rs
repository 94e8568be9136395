//! The way through an HTTP proxy (RFC 9110, 9.3.6): it is asked to CONNECT to the server, and what it refuses is told by its cause,
//! with the proxy's name and without its password.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http_body_util::Empty;
use hyper::header::{HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::host::addresses::race::NoAddress;
use crate::host::exchange::{chain, drive};
use crate::plan::proxy::Proxy;
use crate::plan::url::Url;

/// Why there is no way through.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// It cannot be connected to.
    #[error("the proxy {proxy} cannot be reached: {source}")]
    Unreached {
        /// The proxy.
        proxy: Proxy,
        /// Why not.
        source: NoAddress,
    },
    /// It keeps quiet.
    #[error(
        "the proxy {proxy} took the connection and did not answer to CONNECT within {}",
        humantime::format_duration(*.after)
    )]
    Silent {
        /// The proxy.
        proxy: Proxy,
        /// The limit.
        after: Duration,
    },
    /// It said no.
    #[error("the proxy {proxy} answered {status} to CONNECT {server}{}", because(*.status, .wants))]
    Refused {
        /// The proxy.
        proxy: Proxy,
        /// What it was asked for.
        server: String,
        /// Its answer.
        status: StatusCode,
        /// The schemes by which it wants to be told who asks.
        wants: Vec<String>,
    },
    /// It gave no answer that is one.
    #[error("the proxy {proxy} {} to CONNECT {server}: {}", unanswered(.source), chain(.source))]
    Failed {
        /// The proxy.
        proxy: Proxy,
        /// What it was asked for.
        server: String,
        /// The cause.
        source: hyper::Error,
    },
    /// It sent more than an answer.
    #[error("the proxy {proxy} sent bytes behind its answer to CONNECT {server} that nobody had asked for")]
    Talks {
        /// The proxy.
        proxy: Proxy,
        /// What it was asked for.
        server: String,
    },
}

/// Has the proxy at the other end of `stream` connect it with the URL's server.
///
/// # Errors
/// When it does not.
pub async fn through(stream: TcpStream, proxy: &Proxy, url: &Url) -> Result<TcpStream, ProxyError> {
    let server = url.host_and_port();
    let failed = |source| ProxyError::Failed { proxy: proxy.clone(), server: server.clone(), source };
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    let exchange = async {
        let mut response = sender.send_request(request(&server, proxy)).await.map_err(failed)?;
        if !response.status().is_success() {
            return Err(refused(&response, proxy, &server));
        }
        hyper::upgrade::on(&mut response).await.map_err(failed)
    };
    let upgraded = drive(connection.with_upgrades(), exchange, |error, cause| match error {
        // The exchange knows only that it was given up.
        ProxyError::Failed { source, .. } if source.is_canceled() => failed(cause),
        error => error,
    })
    .await?;
    let parts = upgraded.downcast::<TokioIo<TcpStream>>().expect("it is the stream that it began as");
    if !parts.read_buf.is_empty() {
        return Err(ProxyError::Talks { proxy: proxy.clone(), server: server.clone() });
    }
    Ok(parts.io.into_inner())
}

fn request(server: &str, proxy: &Proxy) -> Request<Empty<Bytes>> {
    let mut request = Request::builder().method(Method::CONNECT).uri(server).header(HOST, server);
    if let Some(credentials) = proxy.credentials() {
        request = request.header(PROXY_AUTHORIZATION, format!("Basic {}", BASE64.encode(credentials)));
    }
    request.body(Empty::new()).expect("a URL's host and port are an authority")
}

fn refused<B>(response: &Response<B>, proxy: &Proxy, server: &str) -> ProxyError {
    let headers = response.headers().get_all(PROXY_AUTHENTICATE).into_iter().filter_map(|value| value.to_str().ok());
    let wants = headers.flat_map(schemes).map(str::to_owned).collect();
    ProxyError::Refused { proxy: proxy.clone(), server: server.to_owned(), status: response.status(), wants }
}

/// The schemes of a list of challenges (RFC 9110, 11.6.1): what stands between its commas begins with one, or is a parameter,
/// `realm="a, b"`, of the one before.
fn schemes(challenges: &str) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    let between = challenges.split(move |c| {
        quoted ^= c == '"' && !escaped;
        escaped = quoted && c == '\\' && !escaped;
        c == ',' && !quoted
    });
    between.filter_map(|part| {
        let (scheme, rest) = part.trim().split_once(char::is_whitespace).unwrap_or((part.trim(), ""));
        let parameter = scheme.contains('=') || rest.trim_start().starts_with('=');
        (!scheme.is_empty() && !parameter).then_some(scheme)
    })
}

/// What came instead of an answer.
fn unanswered(why: &hyper::Error) -> &'static str {
    if why.is_parse() {
        "sent what is no answer in HTTP/1.1, so that its port may not be an HTTP proxy's,"
    } else {
        "gave no answer"
    }
}

/// What the answer means, and what to try.
fn because(status: StatusCode, wants: &[String]) -> String {
    let basic = wants.is_empty() || wants.iter().any(|scheme| scheme.eq_ignore_ascii_case("basic"));
    match (status, basic) {
        (StatusCode::PROXY_AUTHENTICATION_REQUIRED, false) => {
            format!(": it wants to be told who asks by {}, and loadgen knows Basic only", wants.join(" or "))
        }
        (StatusCode::PROXY_AUTHENTICATION_REQUIRED, true) => {
            ": it wants a user name and a password, or others; expected --proxy http://USER:PASSWORD@HOST:PORT"
                .to_owned()
        }
        (StatusCode::FORBIDDEN | StatusCode::METHOD_NOT_ALLOWED, _) => {
            ": it does not let this server be reached".to_owned()
        }
        (StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT, _) => {
            ": it could not reach the server".to_owned()
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scheme_of_a_list_of_challenges_is_found() {
        for (challenges, found) in [
            ("Basic", &["Basic"][..]),
            ("Negotiate, Basic realm=\"x\"", &["Negotiate", "Basic"]),
            ("Digest realm=\"a, Basic b\", qop = \"auth\",nonce=\"\\\"c, d\", NTLM", &["Digest", "NTLM"]),
            (" , Negotiate YWJj ,", &["Negotiate"]),
            ("", &[]),
        ] {
            assert_eq!(schemes(challenges).collect::<Vec<_>>(), found, "{challenges}");
        }
    }
}
