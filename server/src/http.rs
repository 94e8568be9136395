//! The HTTP phase of a connection, by hyper: from accept to the upgrade or the end, within the handshake timeout.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use fastwebsockets::WebSocketError;
use fastwebsockets::upgrade::UpgradeFut;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_PROTOCOL};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use wire::deflate::Agreed;

use crate::budget::Charge;
use crate::connection;
use crate::deflate;
use crate::drain::REQUEST_GRACE;
use crate::handshake::{self, Answer, Asked, Refusal};
use crate::worker::{Admission, Worker};

/// Serves HTTP on an accepted connection. An upgrade goes on in a task of its own, since a task keeps the size of its
/// largest future for as long as it lives, and hyper's is large.
/// What that takes is counted as `room`.
pub(crate) async fn serve(admission: Admission, room: Charge, stream: TcpStream, peer: SocketAddr) {
    let limit = admission.worker.config.limits.handshake_timeout;
    let upgraded = timeout(limit, upgrade(&admission.worker, stream)).await;
    drop(room);
    match upgraded {
        Ok(Ok(Some((stream, read_ahead, agreed)))) => {
            connection::start(admission, stream, read_ahead, peer, deflate::connection(agreed));
        }
        Ok(Ok(None)) => {}
        Ok(Err(error)) => tracing::debug!(%peer, "handshake failed: {error}"),
        Err(_) => tracing::debug!(%peer, "no upgrade within {limit:?}"),
    }
}

/// The stream, what was read ahead of it, and what was agreed on compression if the connection was upgraded, `None` if it
/// ended without.
async fn upgrade(
    worker: &Worker,
    stream: TcpStream,
) -> Result<Option<(TcpStream, Bytes, Option<Agreed>)>, HandshakeError> {
    let accepted: Arc<Mutex<Option<Accepted>>> = Arc::default();
    let answered = AtomicBool::new(false);
    let service = service_fn(|request| {
        answered.store(true, Ordering::Relaxed);
        let answer = answer(worker, request).map(|(mut answer, upgrade)| {
            if let Some(upgrade) = upgrade {
                *accepted.lock().unwrap_or_else(PoisonError::into_inner) = Some(upgrade);
            } else if worker.drain.started() {
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            answer
        });
        std::future::ready(answer)
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(worker.config.limits.handshake_timeout)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEADERS)
        .half_close(false);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service).with_upgrades());
    let draining = worker.drain.wait();
    let mut ended = None;
    if !worker.drain.started() {
        tokio::select! {
            result = &mut connection => ended = Some(result),
            () = draining => {}
        }
    }
    if ended.is_none() {
        // A request that lies in the socket already is answered, not reset. Whoever fires a timer has looked at the sockets
        // just before, so that hyper has been told of it by then.
        tokio::select! {
            biased;
            result = &mut connection => ended = Some(result),
            () = sleep(SHORTEST_TIMER) => {}
        }
    }
    match ended {
        Some(result) => result?,
        None => {
            // hyper closes at once what it has read nothing from, which a request under way would find reset. A client that
            // has had an answer knows that a connection kept alive may end.
            if answered.load(Ordering::Relaxed) {
                connection.as_mut().graceful_shutdown();
            }
            timeout(REQUEST_GRACE, connection).await.map_err(|_| HandshakeError::Draining)??;
        }
    }
    let upgrade = accepted.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some((upgrade, agreed)) = upgrade else { return Ok(None) };
    // The library wraps hyper's stream; the socket itself is wanted, with the bytes that hyper read beyond the request.
    let upgraded = upgrade.await?.into_inner().into_inner();
    let parts = upgraded.downcast::<TokioIo<TcpStream>>().expect("hyper gives back the stream that it was given");
    Ok(Some((parts.io.into_inner(), parts.read_buf, agreed)))
}

/// Why a handshake failed, for the log.
#[derive(Debug, thiserror::Error)]
enum HandshakeError {
    #[error(transparent)]
    Http(#[from] hyper::Error),
    #[error(transparent)]
    Upgrade(#[from] WebSocketError),
    #[error("no request within {REQUEST_GRACE:?} of the shutdown")]
    Draining,
}

/// An upgrade that was answered, and what was agreed on compression.
type Accepted = (UpgradeFut, Option<Agreed>);

fn answer(
    worker: &Worker,
    mut request: Request<Incoming>,
) -> Result<(Answer, Option<Accepted>), std::convert::Infallible> {
    Ok(match handshake::judge(&request) {
        Asked::Page => (handshake::page(request.uri().path(), &worker.config_json), None),
        Asked::Refused(refusal) => (handshake::refuse(refusal), None),
        Asked::Upgrade => match accept(worker, &mut request) {
            Ok((answer, accepted)) => (answer, Some(accepted)),
            Err(refusal) => (handshake::refuse(refusal), None),
        },
    })
}

fn accept(worker: &Worker, request: &mut Request<Incoming>) -> Result<(Answer, Accepted), Refusal> {
    let granted = match &worker.config.permessage_deflate {
        Some(options) => handshake::deflate(request.headers(), &options.policy())?,
        None => None,
    };
    // It checks less than `judge` did, so that this cannot fail; if it did, the key would be its concern.
    let (response, upgrade) = fastwebsockets::upgrade::upgrade(&mut *request).map_err(|_| Refusal::MalformedKey)?;
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = response.status();
    *answer.headers_mut() = response.headers().clone();
    if let Some(subprotocol) = handshake::subprotocol(request.headers()) {
        answer.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, subprotocol);
    }
    let agreed = granted.map(|(agreed, response)| {
        answer.headers_mut().insert(SEC_WEBSOCKET_EXTENSIONS, response);
        agreed
    });
    Ok((answer, (upgrade, agreed)))
}

/// tokio's timers tick once in a millisecond.
const SHORTEST_TIMER: Duration = Duration::from_millis(1);

/// Bytes of a request's head. Browsers with many cookies stay below 8 KiB, hyper's own minimum; twice that is ample.
pub(crate) const HEAD_BYTES: usize = 16 * 1024;

/// Headers of a request: hyper's own default, stated since it is a limit.
const HEADERS: usize = 100;
