//! The echo servers of other Rust libraries, each written as its own example writes it, for `scripts/peers` to compare
//! with: `peers LIBRARY PORT`.
//!
//! All run as Fathom does there: one thread with a `current_thread` runtime, the same allocator and build profile,
//! TCP_NODELAY, no compression.

mod fastwebsockets;
mod tokio_tungstenite;
mod tokio_websockets;
mod yawc;

use std::env;
use std::future::Future;
use std::net::Ipv4Addr;

use anyhow::{Context, Result, bail};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [library, port] = arguments.as_slice() else { bail!("usage: peers LIBRARY PORT") };
    let port = port.parse().with_context(|| format!("'{port}' is no port"))?;
    tokio::runtime::Builder::new_current_thread().enable_io().build()?.block_on(async {
        let listener = listen(port).with_context(|| format!("cannot listen on 127.0.0.1:{port}"))?;
        match library.as_str() {
            "fastwebsockets" => accept(listener, fastwebsockets::serve).await,
            "tokio-tungstenite" => accept(listener, tokio_tungstenite::serve).await,
            "tokio-websockets" => accept(listener, tokio_websockets::serve).await,
            "yawc" => accept(listener, yawc::serve).await,
            unknown => {
                bail!("'{unknown}' is none of fastwebsockets, tokio-tungstenite, tokio-websockets, yawc")
            }
        }
    })
}

fn listen(port: u16) -> Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind((Ipv4Addr::LOCALHOST, port).into())?;
    Ok(socket.listen(BACKLOG)?)
}

/// Gives every connection a task with its library's own future in it, so that none pays for the size of another's.
async fn accept<F>(listener: TcpListener, serve: impl Fn(TcpStream) -> F) -> Result<()>
where
    F: Future<Output = Result<()>> + 'static + Send,
{
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        // However a connection ends is the client's affair: it counts what it misses.
        tokio::spawn(serve(stream));
    }
}

/// Connections waiting for accept, as with Fathom; the kernel may grant less.
const BACKLOG: u32 = 4096;
