//! Echoing allocates nothing once it has warmed up: a counting allocator around a server and a client in this process.
#![allow(unsafe_code, reason = "an allocator is unsafe to implement")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use server::config::{Balance, Config, EchoOptions, Endpoint, Limits, Runtime, SocketOptions, Workers, WriteMode};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call is passed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
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
        permessage_deflate: None,
        limits: Limits {
            max_message_size: 1 << 20,
            max_fragments: 16,
            max_buffered: 64 << 20,
            max_connections: 16,
            handshake_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(1),
            drain_timeout: Duration::from_secs(1),
        },
    }
}

/// Runs `act` with the address of a server that runs meanwhile.
fn with_server(config: Config, act: impl FnOnce(SocketAddr)) {
    let listeners = server::bind(&config).unwrap();
    let address = listeners.addresses[0].address;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(server::run(config, listeners, async {
            let _ = stopped.await;
        }))
    });
    act(address);
    stop.send(()).unwrap();
    running.join().unwrap().unwrap();
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

#[test]
fn an_echo_allocates_nothing() {
    for (lane, runtime, write) in [
        (true, Runtime::Sharded, WriteMode::Cork),
        (false, Runtime::Sharded, WriteMode::Cork),
        (false, Runtime::Sharded, WriteMode::PerFrame),
        (false, Runtime::Sharded, WriteMode::Vectored),
        (false, Runtime::WorkStealing, WriteMode::Cork),
    ] {
        with_server(config(lane, runtime, write), |address| {
            let mut streams = [connect(address), connect(address), connect(address)];
            for size in [64, 1000, 16_384] {
                for in_flight in [1, 16] {
                    if lane && size * in_flight > 100_000 {
                        // More than one read takes: the lane keeps the beginning of a frame in a buffer of its own.
                        continue;
                    }
                    let payload: Vec<u8> = (0..size).map(|byte| byte as u8).collect();
                    // Unmasked by a key of zeros, the payload is itself.
                    let frame = [&[0x82, 0xfe][..], &(size as u16).to_be_bytes(), &[0; 4], &payload].concat();
                    let frame = if size < 126 { [&[0x82, 0x80 | size as u8][..], &frame[4..]].concat() } else { frame };
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
                    // How much of a large batch is read and answered at once is chance: off the lane a buffer may still grow
                    // once to a size that none of the first rounds asked for. An allocation for each of the rounds is many.
                    let growths = if !lane && size * in_flight > 100_000 { 2 } else { 0 };
                    assert!(
                        allocations <= growths,
                        "{allocations}: lane {lane}, {runtime:?}, {write:?}, {in_flight} of {size} bytes in flight"
                    );
                    assert!(replies.ends_with(&payload));
                }
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
            rounds(100);
            let before = ALLOCATIONS.load(Ordering::Relaxed);
            rounds(1_000);
            assert_eq!(ALLOCATIONS.load(Ordering::Relaxed) - before, 0, "lane {lane}");
            assert_eq!(replies, expected);
        });
    }
}
