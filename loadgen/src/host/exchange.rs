//! One request and its answer on an HTTP/1 connection of hyper's, which answers only while the connection is driven.

use std::error::Error as _;
use std::future::Future;
use std::pin::pin;

/// Drives the connection until the exchange on it is over. Where hyper says only that the exchange was given up, `give_up` takes
/// the error of the exchange and the reason that the connection ended for, and says what went wrong.
pub async fn drive<T, E>(
    connection: impl Future<Output = Result<(), hyper::Error>>,
    exchange: impl Future<Output = Result<T, E>>,
    give_up: impl FnOnce(E, hyper::Error) -> E,
) -> Result<T, E> {
    let (mut connection, mut exchange) = (pin!(connection), pin!(exchange));
    let mut ended = None;
    let result = loop {
        tokio::select! {
            biased;
            end = &mut connection, if ended.is_none() => ended = Some(end),
            result = &mut exchange => break result,
        }
    };
    match (result, ended) {
        (Err(error), Some(Err(cause))) => Err(give_up(error, cause)),
        (result, _) => result,
    }
}

/// The error and its causes, since hyper's own names the step only.
pub fn chain(error: &hyper::Error) -> String {
    let mut words = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        words += &format!(", {cause}");
        next = cause.source();
    }
    words
}
