//! Servers over TLS, which do right and wrong in chosen ways. They end with the test.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use wire::OpCode;

use crate::servers::{frame, read_frame, upgrade};

/// A connection to a server.
pub type Secure = StreamOwned<ServerConnection, TcpStream>;

/// What a server writes in answer to message number `n` of a connection.
pub type Answer = fn(stream: &mut Secure, n: usize, payload: &[u8]) -> io::Result<()>;

/// A WebSocket server that answers so; its URL.
pub fn server(config: ServerConfig, answer: Answer) -> String {
    url(listen(config, move |mut stream| {
        if upgrade(&mut stream)?.is_none() {
            return Ok(());
        }
        let mut n = 0;
        loop {
            match read_frame(&mut stream)? {
                (OpCode::Close, payload) => {
                    stream.write_all(&frame(OpCode::Close, &payload))?;
                    return end(&mut stream);
                }
                (_, payload) => answer(&mut stream, n, &payload)?,
            }
            n += 1;
        }
    }))
}

/// A WebSocket server that echoes; its URL.
pub fn echo_server(config: ServerConfig) -> String {
    server(config, echo)
}

pub fn echo(stream: &mut Secure, _n: usize, payload: &[u8]) -> io::Result<()> {
    stream.write_all(&frame(OpCode::Binary, payload))
}

/// Ends TLS. TCP ends once the stream is dropped.
pub fn end(stream: &mut Secure) -> io::Result<()> {
    stream.conn.send_close_notify();
    stream.conn.complete_io(&mut stream.sock).map(drop)
}

/// The same right behind these bytes, so that both come at once; TCP stays open.
pub fn end_with(stream: &mut Secure, bytes: &[u8]) -> io::Result<()> {
    stream.conn.writer().write_all(bytes)?;
    end(stream)
}

/// A server that ends TLS together with its answer to the WebSocket handshake, and leaves TCP open; its URL.
pub fn server_that_ends_with_the_upgrade(config: ServerConfig) -> String {
    url(listen(config, |mut stream| {
        upgrade(&mut Unsent(&mut stream))?;
        end(&mut stream)?;
        io::copy(&mut stream, &mut io::sink()).map(drop)
    }))
}

/// Keeps what is written until the connection has more to send.
struct Unsent<'a>(&'a mut Secure);

impl Read for Unsent<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into)
    }
}

impl Write for Unsent<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.conn.writer().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// TLS in front of a server that speaks none, at this `ws://` URL; its own URL.
pub fn before(config: ServerConfig, behind: &str) -> String {
    let behind: SocketAddr = behind.trim_start_matches("ws://").trim_end_matches('/').parse().unwrap();
    url(listen(config, move |mut stream| {
        let mut server = TcpStream::connect(behind)?;
        for socket in [&stream.sock, &server] {
            socket.set_read_timeout(Some(Duration::from_millis(1)))?;
            socket.set_nodelay(true)?;
        }
        let mut buffer = vec![0; 64 << 10];
        loop {
            if !pass(&mut stream, &mut server, &mut buffer)? || !pass(&mut server, &mut stream, &mut buffer)? {
                return end(&mut stream);
            }
        }
    }))
}

/// Passes on what has come; whether more may come.
fn pass(from: &mut impl Read, to: &mut impl Write, buffer: &mut [u8]) -> io::Result<bool> {
    match from.read(buffer) {
        Ok(came) => to.write_all(&buffer[..came]).map(|()| came > 0),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(true),
        Err(error) => Err(error),
    }
}

/// Has each connection served on a thread of its own.
pub fn listen(config: ServerConfig, serve: impl Fn(Secure) -> io::Result<()> + Clone + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let config = Arc::new(config);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (config, serve) = (config.clone(), serve.clone());
            thread::spawn(move || {
                crate::on_server_thread();
                let stream = stream?;
                stream.set_nodelay(true)?;
                // A connection ends with an error here whenever loadgen closes it first.
                serve(StreamOwned::new(ServerConnection::new(config).unwrap(), stream))
            });
        }
        io::Result::Ok(())
    });
    address
}

pub fn url(address: SocketAddr) -> String {
    format!("wss://localhost:{}/", address.port())
}
