//! Yardsticks: what a server costs that does nothing but the work itself. `floors tcp PORT` sends back the bytes of TCP
//! connections; `floors relay PORT` hands each WebSocket message on to every other connection.
//!
//! Both are one epoll loop on one thread with one buffer for all connections. They check nothing, put nothing together that
//! comes in parts, and keep nothing that a socket does not take: whoever needs that is disconnected, so that no measurement
//! can miss it. No server for use could be written so.

mod relay;
mod sockets;
mod tcp;

use std::env;

use anyhow::{Context, Result, bail};

use crate::sockets::Sockets;

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [floor, port] = arguments.as_slice() else { bail!("usage: floors tcp|relay PORT") };
    let port = port.parse().with_context(|| format!("'{port}' is no port"))?;
    let (scheme, serve): (_, sockets::Serve) = match floor.as_str() {
        "tcp" => ("tcp", tcp::serve),
        "relay" => ("ws", relay::serve),
        unknown => bail!("'{unknown}' is neither tcp nor relay"),
    };
    let sockets = Sockets::listen(port).with_context(|| format!("cannot listen on 127.0.0.1:{port}"))?;
    println!("listening on {scheme}://127.0.0.1:{port}");
    sockets.run(serve)
}
