//! What a server says of its own configuration: the JSON at `/config`, if it serves any, goes into the report.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::header::HOST;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;

use crate::addresses::Addresses;
use crate::url::Url;

/// The server's configuration; `None` where it serves none, or none in time.
pub fn fetch(url: &Url, addresses: &Addresses) -> Option<serde_json::Value> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    runtime.block_on(async { tokio::time::timeout(TIMEOUT, get(url, addresses)).await.ok().flatten() })
}

async fn get(url: &Url, addresses: &Addresses) -> Option<serde_json::Value> {
    let (stream, _) = addresses.connect(0, TIMEOUT).await.ok()?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
    let request = Request::get("/config").header(HOST, url.authority()).body(Empty::<Bytes>::new()).ok()?;
    let answer = async {
        let response = sender.send_request(request).await.ok()?;
        if response.status() != StatusCode::OK {
            return None;
        }
        let body = Limited::new(response.into_body(), MAX_BYTES).collect().await.ok()?;
        serde_json::from_slice(&body.to_bytes()).ok().filter(serde_json::Value::is_object)
    };
    tokio::pin!(answer);
    tokio::select! {
        biased;
        config = &mut answer => config,
        // The connection may end with the answer, which is then read from what has come.
        _ = connection => answer.await,
    }
}

/// How long a server may take: the run must not wait for one that does not know the path and never answers.
const TIMEOUT: Duration = Duration::from_secs(1);

/// The longest configuration in bytes: a page of settings, many times over.
const MAX_BYTES: usize = 64 << 10;
