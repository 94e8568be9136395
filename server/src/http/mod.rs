//! The HTTP phase of a connection, by hyper: from accept to the upgrade or the end. Every request must come within the
//! handshake timeout of the one before it.
//!
//! hyper reads requests and writes pages. The last response of a connection that is upgraded or refused is written
//! here: hyper would write its headers as `Sec-Websocket-Accept`, and clients on small devices look for
//! `Sec-WebSocket-Accept`.

mod handshake;
mod page;
mod response;
mod secure;

use std::future::{poll_fn, ready};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt as _;
use tokio::time::{Instant, sleep_until, timeout};
use wire::deflate::Agreed;

use self::handshake::{Asked, Refusal};
use self::response::{Page, Paths};
pub(crate) use self::secure::serve_tls;
use crate::config::Limits;
use crate::connection::{self, Worker};
use crate::dialogue::Dialogue;
use crate::engine::closing::close;
use crate::limits::admission::Admission;
use crate::limits::budget::Charge;
use crate::limits::drain::REQUEST_GRACE;
use crate::relay::{LONGEST_NAME, Member, Place};
use crate::transport::Watched;

/// Serves HTTP on an accepted connection. An upgrade goes on in a task of its own, since a task keeps the size of its
/// largest future for as long as it lives, and hyper's is large.
/// What that takes is counted as `room`. The time of the first request is counted from `since` on.
pub(crate) async fn serve(
    worker: Arc<Worker>,
    admission: Admission,
    room: Charge,
    stream: Watched,
    peer: SocketAddr,
    since: Instant,
) {
    let limits = &worker.config.limits;
    let (limit, close_timeout) = (limits.handshake_timeout, limits.close_timeout);
    let ended = requests(&worker, stream, peer, since).await;
    drop(room);
    let Some(AfterHttp { mut stream, read_ahead, end }) = ended else { return };
    match end {
        HttpEnd::Upgraded { response, agreed, place } => match timeout(limit, stream.write_all(&response)).await {
            Ok(Ok(())) => {
                let dialogue = match place {
                    Some(place) => {
                        let Limits { max_message_size, max_fragments, .. } = worker.config.limits;
                        let limits = wire::Limits { max_message_size, max_fragments };
                        Dialogue::relay(Member::new(place, agreed, limits))
                    }
                    None => Dialogue::websocket(agreed, worker.config.echo.reply.is_some()),
                };
                connection::start(&worker, admission, stream, read_ahead, peer, dialogue);
            }
            Ok(Err(error)) => tracing::debug!(%peer, "handshake failed: {error}"),
            Err(_) => tracing::debug!(%peer, "the handshake's response was not taken in time"),
        },
        // Boxed, as it would otherwise make every handshake's task larger.
        HttpEnd::Closing { response } => Box::pin(close(stream, response, close_timeout)).await,
    }
}

/// A connection whose HTTP phase is over.
struct AfterHttp {
    stream: Watched,
    /// What was read behind the last request.
    read_ahead: Bytes,
    end: HttpEnd,
}

/// How the HTTP phase ends. The response is still to be sent.
enum HttpEnd {
    /// With an upgrade, what was agreed on compression, and the room that the connection is a member of, if it is of one.
    Upgraded { response: Vec<u8>, agreed: Option<Agreed>, place: Option<Place> },
    /// Without one. The response is empty where hyper has written it.
    Closing { response: Vec<u8> },
}

/// What the requests of a connection have come to so far.
struct Course {
    /// When the last request came, or the connection if none has.
    since: Instant,
    requests: u64,
    end: Option<HttpEnd>,
}

/// A connection in its HTTP phase while the server goes down.
struct Leaving {
    stage: Stage,
    /// When something is next to be done about it.
    next: Instant,
}

#[derive(Clone, Copy)]
enum Stage {
    /// So many timers are still to fire until the peer is told.
    ///
    /// A request that lies in the socket already is answered, not reset. Whoever fires a timer has looked at the sockets just
    /// before. But where several threads share that work, the one that fires the first timer may have looked before the server
    /// went down, and what the second one's look has found reaches hyper before the third.
    Looking(u32),
    /// The peer was told, when so many requests had come.
    Told(u64),
}

impl Leaving {
    fn looking(timers: u32) -> Self {
        Self { stage: Stage::Looking(timers), next: Instant::now() + SHORTEST_TIMER }
    }

    fn told(requests: u64) -> Self {
        Self { stage: Stage::Told(requests), next: Instant::now() + REQUEST_GRACE }
    }

    /// Requests that had come when the peer was told; 0 before that.
    fn answered(&self) -> u64 {
        match self.stage {
            Stage::Looking(_) => 0,
            Stage::Told(requests) => requests,
        }
    }
}

/// Answers requests until the last one. `None` where nothing is left to say to the peer.
async fn requests(worker: &Worker, stream: Watched, peer: SocketAddr, since: Instant) -> Option<AfterHttp> {
    let limit = worker.config.limits.handshake_timeout;
    let course = Mutex::new(Course { since, requests: 0, end: None });
    let service = service_fn(|request| ready(answer(worker, &mut lock(&course), request)));
    let mut builder = http1::Builder::new();
    // A client that has ended its side after the request still waits for the answer.
    builder.half_close(true).max_buf_size(HEAD_BYTES).max_headers(HEADERS).title_case_headers(true);
    let mut connection = builder.serve_connection(TokioIo::new(stream), service);
    let mut draining = pin!(worker.drain.wait());
    let mut leaving: Option<Leaving> = worker.drain.started().then(|| Leaving::looking(TIMERS));
    let result = loop {
        let last = lock(&course).since + limit;
        let deadline = leaving.as_ref().map_or(last, |leaving| leaving.next.min(last));
        tokio::select! {
            biased;
            result = poll_fn(|cx| connection.poll_without_shutdown(cx)) => break Some(result),
            () = &mut draining, if leaving.is_none() => leaving = Some(Leaving::looking(TIMERS)),
            () = sleep_until(deadline) => match &mut leaving {
                Some(leaving) if leaving.next <= Instant::now() => match leaving.stage {
                    Stage::Looking(timers @ 2..) => *leaving = Leaving::looking(timers - 1),
                    Stage::Looking(_) => {
                        let requests = lock(&course).requests;
                        *leaving = Leaving::told(requests);
                        // hyper closes at once what it has read nothing from, which a request under way would find reset.
                        // A client that has had an answer knows that a connection kept alive may end.
                        if requests > 0 {
                            std::pin::Pin::new(&mut connection).graceful_shutdown();
                        }
                    }
                    Stage::Told(_) => {
                        tracing::debug!(%peer, "no request within {REQUEST_GRACE:?} of the shutdown");
                        break None;
                    }
                },
                _ if late(&course, limit) => {
                    tracing::debug!(%peer, "no request within {limit:?}");
                    break None;
                }
                _ => {}
            }
        }
    };
    let parts = connection.into_parts();
    let mut stream = parts.io.into_inner();
    let read_ahead = stream.take_ahead(parts.read_buf);
    let Course { requests, end, .. } = course.into_inner().unwrap_or_else(PoisonError::into_inner);
    let end = match (end, result) {
        (Some(end), _) => end,
        (None, None) => return say_end(stream),
        // Nothing was asked, at all or since the server goes down: no answer can be lost, and a client that keeps an
        // idle connection open must not hold up the shutdown.
        (None, Some(Ok(()))) if requests == leaving.map_or(0, |leaving| leaving.answered()) => {
            return say_end(stream);
        }
        (None, Some(Ok(()))) => HttpEnd::Closing { response: Vec::new() },
        (None, Some(Err(error))) => {
            tracing::debug!(%peer, "HTTP failed: {error}");
            HttpEnd::Closing { response: last_words(&error) }
        }
    };
    Some(AfterHttp { stream, read_ahead, end })
}

/// Ends a connection to which nothing is owed but that.
fn say_end(mut stream: Watched) -> Option<AfterHttp> {
    stream.say_end();
    None
}

/// Whether the deadline still holds: another request may have come meanwhile.
fn late(course: &Mutex<Course>, limit: Duration) -> bool {
    lock(course).since + limit <= Instant::now()
}

fn lock(course: &Mutex<Course>) -> MutexGuard<'_, Course> {
    course.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What hyper leaves unsaid when it gives a connection up; it answers other malformed requests itself.
fn last_words(error: &hyper::Error) -> Vec<u8> {
    if error.is_parse_version_h2() {
        response::refuse(Refusal::Http2, &Method::GET)
    } else if error.is_incomplete_message() {
        response::refuse(Refusal::Incomplete, &Method::GET)
    } else {
        Vec::new()
    }
}

/// Ends hyper's part in a connection: the response is written by [`serve`].
#[derive(Debug, thiserror::Error)]
#[error("the HTTP phase is over")]
struct Over;

fn answer(worker: &Worker, course: &mut Course, mut request: Request<Incoming>) -> Result<Page, Over> {
    course.since = Instant::now();
    course.requests += 1;
    let end = match handshake::judge(&request) {
        Asked::Page => {
            let paths = Paths {
                page: worker.config.page,
                config_json: &worker.config_json,
                template: worker.config.echo.reply.is_some(),
                relay: worker.relay.as_deref(),
                datagrams: worker.datagrams.as_ref(),
            };
            let mut page = paths.answer(request.method(), request.uri().path());
            if !request.body().is_end_stream() || worker.drain.started() {
                // Nobody wants to read the body, so that no request can follow it; nor is one served after the signal.
                page.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            return Ok(page);
        }
        Asked::Refused(refusal) => Err(refusal),
        Asked::Upgrade => accept(worker, &mut request),
    };
    let refused = |refusal| HttpEnd::Closing { response: response::refuse(refusal, request.method()) };
    course.end = Some(end.unwrap_or_else(refused));
    Err(Over)
}

fn accept(worker: &Worker, request: &mut Request<Incoming>) -> Result<HttpEnd, Refusal> {
    let granted = match &worker.config.permessage_deflate {
        Some(options) => handshake::deflate(request.headers(), &options.policy())?,
        None => None,
    };
    let subprotocol = handshake::subprotocol(request.headers())?.map(str::to_owned);
    // It checks less than `judge` did, so that this cannot fail; if it did, the key would be its concern. The stream is
    // taken over otherwise than by the future that it gives.
    let (accepted, _) = fastwebsockets::upgrade::upgrade(&mut *request).map_err(|_| Refusal::MalformedKey)?;
    let (agreed, extensions) = granted.unzip();
    let place = match &worker.relay {
        Some(_) if request.uri().path().len() > LONGEST_NAME => return Err(Refusal::RoomName),
        Some(relay) => Some(relay.enter(request.uri().path(), takes_compressed(worker, agreed)).ok_or(Refusal::Rooms)?),
        None => None,
    };
    let response = response::switch(accepted.headers(), subprotocol.as_deref(), extensions.as_deref());
    Ok(HttpEnd::Upgraded { response, agreed, place })
}

/// Whether a connection with this agreement can read what is compressed for all. One that asked for a smaller window than the
/// server compresses with gets its messages as they are, which is always allowed.
fn takes_compressed(worker: &Worker, agreed: Option<Agreed>) -> bool {
    let window = worker.config.permessage_deflate.map(|options| options.window_bits);
    agreed.zip(window).is_some_and(|(agreed, window)| agreed.server.window >= window)
}

/// Timers that fire before the peer is told that the server goes down.
const TIMERS: u32 = 3;

/// tokio's timers tick once in a millisecond.
const SHORTEST_TIMER: Duration = Duration::from_millis(1);

/// Bytes of a request's head. Browsers with many cookies stay below 8 KiB, hyper's own minimum; twice that is ample.
pub(crate) const HEAD_BYTES: usize = 16 * 1024;

/// Headers of a request: hyper's own default, stated since it is a limit.
const HEADERS: usize = 100;
