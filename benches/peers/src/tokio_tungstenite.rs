//! tokio-tungstenite, as in its `examples/echo-server.rs`: `forward` flushes once per batch of messages that were ready.

use ::tokio_tungstenite::accept_async;
use anyhow::Result;
use futures_util::{StreamExt, TryStreamExt, future};
use tokio::net::TcpStream;

/// Serves one connection until it ends.
pub async fn serve(stream: TcpStream) -> Result<()> {
    let (sink, messages) = accept_async(stream).await?.split();
    messages.try_filter(|message| future::ready(message.is_text() || message.is_binary())).forward(sink).await?;
    Ok(())
}
