//! What comes before HTTP on a `wss://` address: the TLS handshake, within the same time as the first request.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::time::{Instant, sleep, timeout_at};

use super::serve;
use crate::connection::Worker;
use crate::engine::closing::close;
use crate::limits::admission::Admission;
use crate::limits::budget::Charge;
use crate::limits::drain::REQUEST_GRACE;
use crate::transport::{Refused, Watched, shake_hands};

/// Serves HTTP over TLS on an accepted connection, in a task of its own after the handshake, of which nothing is left behind
/// then. What both take is counted as `room`.
pub(crate) async fn serve_tls(
    worker: Arc<Worker>,
    admission: Admission,
    room: Charge,
    stream: Watched,
    peer: SocketAddr,
) {
    let since = Instant::now();
    let limits = &worker.config.limits;
    let Some(identity) = &worker.identity else {
        return tracing::error!(%peer, "closed: there is no certificate for TLS");
    };
    let leaving = async {
        worker.drain.wait().await;
        sleep(REQUEST_GRACE).await;
    };
    let shaken = tokio::select! {
        biased;
        shaken = timeout_at(since + limits.handshake_timeout, shake_hands(stream, identity, &worker.share)) => shaken,
        () = leaving => return tracing::debug!(%peer, "no TLS handshake within {REQUEST_GRACE:?} of the shutdown"),
    };
    match shaken {
        Ok(Ok(stream)) => drop(tokio::spawn(serve(Arc::clone(&worker), admission, room, stream, peer, since))),
        Ok(Err(Refused { stream, alert, reason })) => {
            tracing::debug!(%peer, "the TLS handshake failed: {reason}");
            Box::pin(close(stream, alert, limits.close_timeout)).await;
        }
        Err(_) => tracing::debug!(%peer, "no TLS handshake within {:?}", limits.handshake_timeout),
    }
}
