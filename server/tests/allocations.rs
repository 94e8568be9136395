//! Echoing allocates nothing once it has warmed up: a counting allocator around a server and a client in this process.
#![allow(unsafe_code, reason = "an allocator is unsafe to implement")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use server::config::{
    Balance, Config, EchoOptions, Endpoint, Limits, RelayOptions, RelayTo, Runtime, Scheme, SlowReader, SocketOptions,
    Workers, WriteMode,
};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

/// The process's first thread is not counted: the test harness says there that a test takes long.
fn count() {
    if rustix::thread::gettid() != rustix::process::getpid() {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: every call is passed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn config(lane: bool, runtime: Runtime, write: WriteMode) -> Config {
    Config {
        version: "test",
        listen: vec![Endpoint::ws(SocketAddr::from(([127, 0, 0, 1], 0)))],
        tls: None,
        page: false,
        workers: Workers {
            runtime,
            threads: NonZeroUsize::MIN,
            balance: Balance::Exact,
            pin: Vec::new(),
            event_interval: NonZeroU32::new(61).unwrap(),
        },
        socket: SocketOptions {
            tcp_nodelay: true,
            tcp_quickack: false,
            busy_poll: None,
            recv_buffer: None,
            send_buffer: None,
            backlog: 16,
            defer_accept: None,
            fast_open: None,
            notsent_lowat: None,
            keepalive: None,
            udp_offload: true,
        },
        echo: EchoOptions {
            lane,
            write,
            read_buffer: None,
            log_messages: false,
            reply: None,
            reply_binary: false,
            inject_cost: 0,
            inject_jitter: Duration::ZERO,
            inject_stall: None,
        },
        relay: None,
        permessage_deflate: None,
        limits: Limits {
            max_message_size: 1 << 20,
            max_fragments: 16,
            max_buffered: 64 << 20,
            max_connections: 16,
            udp_limit: None,
            handshake_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(1),
            drain_timeout: Duration::from_secs(1),
        },
    }
}

/// Runs `act` with the address of a server that runs meanwhile. Only its housekeeping does not, which gives memory back every
/// half second and allocates for that: it is a task of this thread, which `act` keeps busy.
fn with_server(config: Config, act: impl FnOnce(SocketAddr)) {
    // The allocations of all other threads are counted: one test at a time.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let listeners = server::bind(&config).unwrap();
    let address = listeners.addresses[0].address;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(server::run(config, listeners, async { act(address) })).unwrap();
}

fn connect(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
        .write_all(
            b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        )
        .unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    stream
}

/// A binary frame of `size` bytes, unmasked by a key of zeros: the payload is itself.
fn frame(size: usize) -> Vec<u8> {
    let key_and_payload = [0; 4].into_iter().chain((0..size).map(|byte| byte as u8));
    let header = match size {
        ..126 => vec![0x82, 0x80 | size as u8],
        126..=0xffff => [&[0x82, 0xfe][..], &(size as u16).to_be_bytes()].concat(),
        _ => [&[0x82, 0xff][..], &(size as u64).to_be_bytes()].concat(),
    };
    header.into_iter().chain(key_and_payload).collect()
}

/// What the server allocates once, it allocates now, whatever part of a batch it finds in the socket at a time: the place in
/// which a connection is noted that has sent half a message, and a buffer for a message of `size` bytes; and what tokio takes to
/// forget an epoll set, which happens after about a thousand messages.
fn warm_up(streams: &mut [TcpStream; 3], size: usize) {
    let (large, small) = (frame(size), frame(1));
    let mut reply = vec![0; large.len() - 4];
    let (first, rest) = large.split_at(size / 2);
    streams[0].write_all(first).unwrap();
    // What has come on one connection has been read once another has been answered twice: the worker looks at all in turn.
    for _ in 0..2_000 {
        streams[1].write_all(&small).unwrap();
        streams[1].read_exact(&mut [0; 3]).unwrap();
    }
    streams[0].write_all(rest).unwrap();
    streams[0].read_exact(&mut reply).unwrap();
}

#[test]
fn an_echo_allocates_nothing() {
    // Bytes of the largest batch, and of a message that makes the library's buffer so large that it never grows again: it does
    // while less than twice what one read may bring and one more message fit in. On the lane a batch is what one read takes:
    // beyond that it keeps the beginning of a frame in a buffer of its own. A thread of the work-stealing runtime keeps no
    // buffer over 512 KiB.
    const LANE: (usize, usize) = (20_000, 1_000);
    const OFF: (usize, usize) = (300_000, 700_000);
    const STEALING: (usize, usize) = (100_000, 300_000);
    for (lane, runtime, write, (largest, warming)) in [
        (true, Runtime::Sharded, WriteMode::Cork, LANE),
        (false, Runtime::Sharded, WriteMode::Cork, OFF),
        (false, Runtime::Sharded, WriteMode::PerFrame, OFF),
        (false, Runtime::Sharded, WriteMode::Vectored, OFF),
        (false, Runtime::WorkStealing, WriteMode::Cork, STEALING),
    ] {
        with_server(config(lane, runtime, write), |address| {
            let mut streams = [connect(address), connect(address), connect(address)];
            warm_up(&mut streams, warming);
            for (size, in_flight) in [(64, 1), (64, 16), (1000, 1), (1000, 16), (16_384, 1), (16_384, 5), (16_384, 16)]
            {
                if size * in_flight > largest {
                    continue;
                }
                let frame = frame(size);
                let batch = frame.repeat(in_flight);
                let mut replies = vec![0; batch.len() - 4 * in_flight];
                let mut rounds = |count: usize| {
                    for round in 0..count {
                        let stream = &mut streams[round % 3];
                        // A batch fits into the sockets' buffers, so that writing first cannot block for ever.
                        stream.write_all(&batch).unwrap();
                        stream.read_exact(&mut replies).unwrap();
                    }
                };
                rounds(100);
                let before = ALLOCATIONS.load(Ordering::Relaxed);
                rounds(if size < 10_000 { 10_000 } else { 1_000_usize }.div_ceil(in_flight));
                let allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
                assert_eq!(
                    allocations, 0,
                    "lane {lane}, {runtime:?}, {write:?}, {in_flight} of {size} bytes in flight"
                );
                assert!(replies.ends_with(&frame[frame.len() - size..]));
            }
        });
    }
}

#[test]
fn a_reply_by_template_allocates_nothing() {
    for lane in [true, false] {
        let mut config = config(lane, Runtime::Sharded, WriteMode::Cork);
        config.echo.reply = Some("got {}, thanks".parse().unwrap());
        with_server(config, |address| {
            let mut stream = connect(address);
            // Unmasked by a key of zeros, the payload is itself.
            let batch = [&[0x81, 0x85, 0, 0, 0, 0][..], b"hello"].concat().repeat(16);
            let expected = [&[0x81, 17][..], b"got hello, thanks"].concat().repeat(16);
            let mut replies = vec![0; expected.len()];
            let mut rounds = |count: usize| {
                for _ in 0..count {
                    stream.write_all(&batch).unwrap();
                    stream.read_exact(&mut replies).unwrap();
                }
            };
            // Also for what tokio takes to forget an epoll set.
            rounds(2_000);
            let before = ALLOCATIONS.load(Ordering::Relaxed);
            rounds(1_000);
            assert_eq!(ALLOCATIONS.load(Ordering::Relaxed) - before, 0, "lane {lane}");
            assert_eq!(replies, expected);
        });
    }
}

#[test]
fn relaying_allocates_nothing_on_one_worker() {
    for to in [RelayTo::Others, RelayTo::All] {
        let mut config = config(true, Runtime::Sharded, WriteMode::Cork);
        config.relay = Some(RelayOptions { to, queue: 1 << 20, slow_reader: SlowReader::Close, rooms: 10 });
        with_server(config, |address| {
            let mut streams = [connect(address), connect(address), connect(address)];
            // Unmasked by a key of zeros, the payload is itself.
            let batch = [&[0x81, 0x85, 0, 0, 0, 0][..], b"hello"].concat().repeat(16);
            let expected = [&[0x81, 5][..], b"hello"].concat().repeat(16);
            let mut received = vec![0; expected.len()];
            let mut rounds = |count: usize| {
                for round in 0..count {
                    let sender = round % streams.len();
                    streams[sender].write_all(&batch).unwrap();
                    for (at, stream) in streams.iter_mut().enumerate() {
                        if at != sender || to == RelayTo::All {
                            stream.read_exact(&mut received).unwrap();
                            assert_eq!(received, expected);
                        }
                    }
                }
            };
            // Also for what tokio takes to forget an epoll set.
            rounds(1_000);
            let before = ALLOCATIONS.load(Ordering::Relaxed);
            rounds(2_000);
            assert_eq!(ALLOCATIONS.load(Ordering::Relaxed) - before, 0, "{to:?}");
        });
    }
}

#[test]
fn datagrams_allocate_nothing() {
    for (address, asked) in [("127.0.0.1:0", "127.0.0.1"), ("0.0.0.0:0", "127.0.0.2"), ("[::]:0", "::1")] {
        let mut config = config(true, Runtime::Sharded, WriteMode::Cork);
        config.listen = vec![Endpoint { scheme: Scheme::Udp, address: address.parse().unwrap() }];
        config.limits.udp_limit = Some(NonZeroU32::MAX);
        with_server(config, |address| {
            let asked: IpAddr = asked.parse().unwrap();
            let from = if asked.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
            let socket = UdpSocket::bind(from).unwrap();
            socket.connect((asked, address.port())).unwrap();
            let mut reply = [0; 64];
            let mut rounds = |count: usize| {
                for _ in 0..count {
                    (0..16_u8).for_each(|at| assert_eq!(socket.send(&[at; 64]).unwrap(), 64));
                    for at in 0..16_u8 {
                        assert_eq!(socket.recv(&mut reply).unwrap(), 64);
                        assert_eq!(reply, [at; 64]);
                    }
                }
            };
            rounds(100);
            let before = ALLOCATIONS.load(Ordering::Relaxed);
            rounds(1_000);
            assert_eq!(ALLOCATIONS.load(Ordering::Relaxed) - before, 0, "{address}");
        });
    }
}
