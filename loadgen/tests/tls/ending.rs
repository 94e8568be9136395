//! Servers that end first: what loadgen says before it ends its side, too.

use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustls::ServerConfig;
use wire::OpCode;

use crate::authority::Authority;
use crate::binary::{PATIENCE, loadgen};
use crate::secure;
use crate::servers::{frame, read_frame, upgrade};

/// What came in answer to a Close frame: the payload of one, and whether the stream came to a clean end behind it.
type Answer = (Vec<u8>, bool);

/// Sends a Close frame with this payload once loadgen has begun, and reads to the end.
fn close_first(stream: &mut (impl Read + Write), payload: &[u8], came: &mpsc::Sender<Answer>) -> io::Result<()> {
    if upgrade(stream)?.is_none() {
        return Ok(());
    }
    thread::sleep(Duration::from_millis(300));
    stream.write_all(&frame(OpCode::Close, payload))?;
    let answer = loop {
        if let (OpCode::Close, payload) = read_frame(stream)? {
            break payload;
        }
    };
    let clean = stream.read_to_end(&mut Vec::new()).is_ok_and(|more| more == 0);
    let _ = came.send((answer, clean));
    Ok(())
}

/// A server that ends first; its URL, and what came.
fn server(config: Option<ServerConfig>, payload: &'static [u8]) -> (String, mpsc::Receiver<Answer>) {
    let (tell, came) = mpsc::channel();
    if let Some(config) = config {
        let address = secure::listen(config, move |mut stream| close_first(&mut stream, payload, &tell));
        return (secure::url(address), came);
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, tell) = (stream?, tell.clone());
            thread::spawn(move || close_first(&mut stream, payload, &tell));
        }
        io::Result::Ok(())
    });
    (url, came)
}

#[test]
fn a_close_frame_is_answered_with_its_code_and_tls_is_ended() {
    let authority = Authority::new();
    let (going_away, without_code): (&[u8], &[u8]) = (b"\x03\xe9bye", b"");
    for (tls, version) in [(false, "1.3"), (true, "1.2"), (true, "1.3")] {
        for (command, flags, payload) in [
            ("run", &["-c", "2", "-d", "2s", "--warmup", "0s", "--in-flight", "2"][..], going_away),
            ("run", &["-c", "2", "-d", "2s", "--warmup", "2s", "--rate", "10"], without_code),
            ("connections", &["-n", "2", "--steps", "1", "--hold", "2s"], going_away),
            ("fanout", &["--receivers", "1", "-d", "2s", "--warmup", "0s", "--senders", "1"], going_away),
        ] {
            let (url, came) = server(tls.then(|| authority.leaf().config()), payload);
            let trusted: &[_] = if tls { &["--cacert", authority.file(), "--tls-versions", version] } else { &[] };
            let flags = [&[command, &url, "-q"], flags, trusted].concat();
            let finished = loadgen(&flags).wait();
            let next = || came.recv_timeout(PATIENCE).map_err(|_| (&finished.stdout, &finished.stderr));
            let answers = [next(), next()].map(|answer| answer.expect("a Close frame"));
            let code = &payload[..payload.len().min(2)];
            let answered: Vec<_> = answers.iter().filter(|(answer, _)| answer == code).collect();
            let clean = answered.iter().all(|(_, clean)| *clean);
            // A fan-out is over once its only receiver is gone. Its sender ends then, too; a Close frame that comes to it after that
            // is not read, and the kernel resets a connection whose bytes are not read.
            let least = if command == "fanout" { 1 } else { 2 };
            assert!(clean && answered.len() >= least, "{flags:?}: {answers:?}");
        }
    }
}
