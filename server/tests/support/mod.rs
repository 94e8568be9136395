//! What the tests share: the real binary as a child process, and a client that writes raw bytes.
#![allow(dead_code, reason = "every test binary uses its own part of it")]
#![allow(unreachable_pub, reason = "a module of test binaries has no public")]

pub mod relay;

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};
use wire::{Header, MAX_HEADER_LEN, OpCode};

/// Longer than anything here takes on a loaded machine, short enough for a test that hangs.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A running `echo-server`, killed when dropped.
pub struct Server {
    pub child: Child,
    pub port: u16,
    /// Of the `tcp://` listener, if the flags ask for one on 127.0.0.1.
    pub tcp_port: Option<u16>,
    /// Of the `wss://` listener, if the flags ask for one on 127.0.0.1.
    pub tls_port: Option<u16>,
    /// Of the last `udp://` listener, if the flags ask for one.
    pub udp: Option<SocketAddr>,
    _stdout: BufReader<ChildStdout>,
}

impl Server {
    /// Starts the binary on a free port of 127.0.0.1 and waits until it is ready.
    pub fn start(flags: &[&str]) -> Self {
        // scripts/check runs everything a second time with FATHOM_TEST_LANE=off; a test's own flags come after it.
        let lane = std::env::var("FATHOM_TEST_LANE").map(|lane| ["--lane".to_owned(), lane]);
        let lane = lane.into_iter().flatten();
        Self::spawn(Command::new(env!("CARGO_BIN_EXE_echo-server")).args(lane).args(flags))
    }

    /// Starts `command`, which must end up as an `echo-server`, likewise.
    pub fn spawn(command: &mut Command) -> Self {
        Self::spawn_with_stderr(command, Stdio::piped())
    }

    /// Likewise, with a stderr of the test's choice.
    pub fn spawn_with_stderr(command: &mut Command, stderr: impl Into<Stdio>) -> Self {
        let mut child = command
            .args(["--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .expect("the server starts");
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        let (mut tcp_port, mut tls_port, mut udp) = (None, None, None);
        let port_of = |line: &str, before: &str, behind: &str| {
            line.strip_prefix(before).and_then(|rest| rest.strip_suffix(behind)).and_then(|port| port.parse().ok())
        };
        let port = loop {
            line.clear();
            stdout.read_line(&mut line).unwrap();
            if let Some(address) = line.strip_prefix("listening on udp://") {
                udp = Some(address.trim_end().parse().unwrap());
            } else if let Some(port) = port_of(&line, "listening on tcp://127.0.0.1:", "\n") {
                tcp_port = Some(port);
            } else if let Some(port) = port_of(&line, "listening on wss://127.0.0.1:", "/\n") {
                tls_port = Some(port);
            } else {
                break port_of(&line, "listening on ws://127.0.0.1:", "/\n");
            }
        };
        let Some(port) = port else {
            let mut stderr = String::new();
            let _ = child.kill();
            if let Some(mut reader) = child.stderr.take() {
                reader.read_to_string(&mut stderr).unwrap();
            }
            panic!("not a ready line: {line:?}; stderr: {stderr}");
        };
        Self { child, port, tcp_port, tls_port, udp, _stdout: stdout }
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Stops it, and waits until every thread has: the signal takes effect late.
    pub fn stop(&self) {
        self.signal(Signal::STOP);
        let tasks = format!("/proc/{}/task", self.child.id());
        let stopped = |task: std::io::Result<std::fs::DirEntry>| {
            // The state follows the name, which is in parentheses.
            let stat = std::fs::read_to_string(task.unwrap().path().join("stat")).unwrap();
            stat.rsplit_once(") ").unwrap().1.starts_with('T')
        };
        let deadline = Instant::now() + PATIENCE;
        while !std::fs::read_dir(&tasks).unwrap().all(stopped) {
            assert!(Instant::now() < deadline, "it does not stop");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits for the end, which something must have asked for.
    pub fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "the server does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Everything it has logged; ends it.
    pub fn into_log(mut self) -> String {
        self.child.kill().unwrap();
        let mut log = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        log
    }

    /// A figure of /proc/PID/status in KiB, such as VmRSS.
    pub fn memory_kib(&self, figure: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(figure)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// The CPU time that it has used, in steps of 10 ms.
    pub fn cpu_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        // Behind the name, which is in parentheses: utime and stime are fields 14 and 15 of all, in ticks of which Linux
        // shows 100 a second.
        let ticks = stat.rsplit_once(") ").unwrap().1.split(' ').skip(11).take(2);
        Duration::from_millis(ticks.map(|ticks| ticks.parse::<u64>().unwrap()).sum::<u64>() * 10)
    }

    pub fn tcp(&self) -> TcpStream {
        Self::stream_to(self.port)
    }

    /// A connection to the `tcp://` listener.
    pub fn bytes(&self) -> TcpStream {
        Self::stream_to(self.tcp_port.expect("the flags ask for tcp://127.0.0.1:0"))
    }

    pub fn stream_to(port: u16) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// An upgraded connection.
    pub fn connect(&self) -> Client {
        self.connect_with("", b"")
    }

    /// An upgraded connection, with more header lines and with bytes sent along with the request.
    pub fn connect_with(&self, headers: &str, ahead: &[u8]) -> Client {
        let mut stream = self.tcp();
        let mut request = format!("{UPGRADE}{headers}\r\n").into_bytes();
        request.extend_from_slice(ahead);
        stream.write_all(&request).unwrap();
        upgraded(stream)
    }

    /// Upgraded connections, all of them asked for before any is waited for.
    pub fn connect_many(&self, count: usize) -> Vec<Client> {
        let request = format!("{UPGRADE}\r\n");
        let ask = |_| {
            let mut stream = self.tcp();
            stream.write_all(request.as_bytes()).unwrap();
            stream
        };
        let asked: Vec<TcpStream> = (0..count).map(ask).collect();
        asked.into_iter().map(upgraded).collect()
    }

    /// The response to a request as raw bytes, read until the server closes.
    pub fn http(&self, request: &str) -> String {
        let mut stream = self.tcp();
        stream.write_all(request.as_bytes()).unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        response
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lets this process, and the servers that it starts from now on, open `needed` descriptors each.
pub fn allow_descriptors(needed: u64) {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    assert!(maximum.is_none_or(|maximum| maximum >= needed), "{needed} descriptors are needed (ulimit -Hn)");
    if current.is_some_and(|current| current < needed) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(needed), maximum }).unwrap();
    }
}

/// The request of RFC 6455, 1.3, without its empty last line.
pub const UPGRADE: &str = "GET /chat HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

/// The client of a connection on which an upgrade has been asked for.
pub fn upgraded<S: Read>(mut stream: S) -> Client<S> {
    let head = read_head(&mut stream);
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
    Client { stream, head }
}

fn read_head(stream: &mut impl Read) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(0) => break,
            Ok(_) => head.push(byte[0]),
            // With a time limit on the socket, a signal to this process ends the read: a child of another test has ended.
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => panic!("{error}, after {} bytes of a response", head.len()),
        }
    }
    String::from_utf8(head).unwrap()
}

/// A connection on which frames are written as bytes.
pub struct Client<S = TcpStream> {
    pub stream: S,
    pub head: String,
}

impl<S: Read + Write> Client<S> {
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// The next frame: its first byte, and its payload.
    pub fn frame(&mut self) -> (u8, Vec<u8>) {
        let mut bytes = vec![0; 2];
        self.stream.read_exact(&mut bytes).expect("a frame follows");
        loop {
            if let Some((header, _)) = Header::parse(&bytes).expect("a lawful frame") {
                assert_eq!(header.mask, None, "a server does not mask");
                let mut payload = vec![0; usize::try_from(header.payload_len).unwrap()];
                self.stream.read_exact(&mut payload).unwrap();
                return (bytes[0], payload);
            }
            let mut byte = [0];
            self.stream.read_exact(&mut byte).unwrap();
            bytes.push(byte[0]);
        }
    }

    /// Asserts that a Close frame with `code` follows, and then the end of the stream. Does not answer.
    pub fn expect_close(&mut self, code: u16) {
        let (first, payload) = self.frame();
        assert_eq!(first, 0x88, "not a Close frame, payload {payload:?}");
        let (found, reason) = wire::parse_close(&payload).unwrap().expect("a code");
        assert_eq!(found.get(), code, "{reason}");
        self.expect_end();
    }

    /// Asserts that nothing more comes but the end of the stream: no reset.
    pub fn expect_end(&mut self) {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).expect("a stream that ends in order");
        assert_eq!(rest, b"");
    }
}

impl Client {
    pub fn finish(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }
}

/// A client's frame.
pub fn frame(opcode: OpCode, payload: &[u8]) -> Vec<u8> {
    fragment(opcode, true, payload)
}

/// A client's frame, final or not.
pub fn fragment(opcode: OpCode, fin: bool, payload: &[u8]) -> Vec<u8> {
    let key = [0xa1, 0x5c, 0x03, 0xfe];
    let mut head = [0; MAX_HEADER_LEN];
    let length = Header { fin, rsv: 0, opcode, mask: Some(key), payload_len: payload.len() as u64 }.encode(&mut head);
    let mut bytes = head[..length].to_vec();
    bytes.extend_from_slice(payload);
    wire::apply_mask(&mut bytes[length..], key);
    bytes
}

/// `length` printable bytes without a short period, so that no piece of them can stand for another.
pub fn payload(length: usize) -> Vec<u8> {
    (0..length).map(|at| b'A' + ((at ^ (at >> 5) ^ (at >> 10) ^ (at >> 15)) & 31) as u8).collect()
}
