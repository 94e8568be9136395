//! yawc, with the buffers of its own benchmarks (the README's "tuned"): they cost memory for every connection.

use ::yawc::frame::OpCode;
use ::yawc::{Options, UpgradeFut, WebSocket, WebSocketError};
use anyhow::Result;
use bytes::Bytes;
use futures_util::{StreamExt, future};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Serves one connection until it ends.
pub async fn serve(stream: TcpStream) -> Result<()> {
    http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(upgrade)).with_upgrades().await?;
    Ok(())
}

async fn upgrade(mut request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, WebSocketError> {
    let options = Options::default()
        .without_compression()
        .with_read_buffer_capacity(READ_BUFFER)
        .with_backpressure_boundary(WRITE_BOUNDARY);
    let (response, upgraded) = WebSocket::upgrade_with_options(&mut request, options)?;
    tokio::spawn(echo(upgraded));
    Ok(response)
}

async fn echo(upgraded: UpgradeFut) -> Result<(), WebSocketError> {
    let (sink, frames) = upgraded.await?.split();
    let data = frames.filter(|frame| future::ready(matches!(frame.opcode(), OpCode::Text | OpCode::Binary)));
    data.map(Ok).forward(sink).await
}

/// Bytes that one read takes.
const READ_BUFFER: usize = 128 << 10;

/// Bytes of replies after which they are flushed before the next message is taken.
const WRITE_BOUNDARY: usize = 64 << 10;
