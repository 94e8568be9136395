//! An echo for UDP as it is usually written: one tokio `UdpSocket`, a datagram at a time. It is what `echo-server --listen
//! udp://` is compared with, by CPU time for each message (its inverse are packets per CPU-second):
//!
//! ```console
//! $ cargo build --release && cargo build --release -p benches --example udp_tokio
//! $ target/release/loadgen compare --gate server.cpu -c 100 --in-flight 1 --threads 1 \
//!       --a 'target/release/examples/udp_tokio {port}' --b '--listen udp://127.0.0.1:0 --threads 1'
//! ```
//!
//! With `--in-flight 16` more of them wait for the server at a time, and those of one connection pass through the kernel together unless
//! `--udp-offload off` is given to loadgen and to the server. socat (Debian's `socat`) serves one peer in one process.
//! Datagrams that come together it would read from its pipe as one, so that they are sent one by one:
//!
//! ```console
//! $ target/release/loadgen compare --gate server.cpu -c 1 --in-flight 1 --udp-offload off --threads 1 \
//!       --a "sh -c 'echo listening on udp://127.0.0.1:\$1; exec socat UDP4-LISTEN:\$1 PIPE' - {port}" \
//!       --b '--listen udp://127.0.0.1:0 --threads 1'
//! ```

use std::io;

use tokio::net::UdpSocket;

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let port = std::env::args().nth(1).and_then(|port| port.parse::<u16>().ok());
    let port = port.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "expected a port"))?;
    let socket = UdpSocket::bind(("127.0.0.1", port)).await?;
    println!("listening on udp://{}", socket.local_addr()?);
    let mut buffer = vec![0; 64 << 10];
    loop {
        let (bytes, from) = socket.recv_from(&mut buffer).await?;
        socket.send_to(&buffer[..bytes], from).await?;
    }
}
