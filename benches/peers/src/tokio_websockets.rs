//! tokio-websockets, as in its `examples/autobahn_server.rs`. It writes out what is queued before it reads the next message,
//! so that a sink that flushes once per batch would gain nothing.

use ::tokio_websockets::ServerBuilder;
use anyhow::Result;
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;

/// Serves one connection until it ends.
pub async fn serve(stream: TcpStream) -> Result<()> {
    let (_request, mut socket) = ServerBuilder::new().accept(stream).await?;
    while let Some(message) = socket.next().await {
        let message = message?;
        if message.is_text() || message.is_binary() {
            socket.send(message).await?;
        }
    }
    Ok(())
}
