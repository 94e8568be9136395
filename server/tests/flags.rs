//! Every tuning flag is in force: read back by getsockopt from the sockets of the running server, of which this process
//! takes duplicates (pidfd_getfd), or seen in what the server sends.
#![allow(unsafe_code, reason = "TCP_INFO and two integer options have no safe wrapper")]

mod support;
#[path = "support/tls.rs"]
mod tls;

use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, Signal, pidfd_getfd, pidfd_open};
use socket2::{SockRef, Socket};
use support::relay::{join, start};
use support::{Client, Server, frame, payload};
use tls::{Setting, seal};
use wire::OpCode::Binary;

/// The server's sockets: those that listen, and the one connected to `client`.
struct Sockets {
    listeners: Vec<Socket>,
    accepted: Socket,
}

fn sockets(server: &Server, client: &Client) -> Sockets {
    let pid = Pid::from_raw(i32::try_from(server.child.id()).unwrap()).unwrap();
    let process = pidfd_open(pid, PidfdFlags::empty()).unwrap();
    let mut sockets: Vec<Socket> = std::fs::read_dir(format!("/proc/{}/fd", server.child.id()))
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| {
            std::fs::read_link(entry.path()).is_ok_and(|link| link.to_string_lossy().starts_with("socket:"))
        })
        .map(|entry| entry.file_name().to_str().unwrap().parse().unwrap())
        .filter_map(|fd| pidfd_getfd(&process, fd, PidfdGetfdFlags::empty()).ok())
        .map(|fd: OwnedFd| Socket::from(fd))
        .filter(|socket| socket.local_addr().is_ok_and(|address| address.is_ipv4()))
        .collect();
    let ours: SocketAddr = client.stream.local_addr().unwrap();
    let at = sockets
        .iter()
        .position(|socket| socket.peer_addr().is_ok_and(|peer| peer.as_socket() == Some(ours)))
        .expect("the server's end of our connection");
    let accepted = sockets.swap_remove(at);
    Sockets { listeners: sockets.into_iter().filter(|socket| socket.is_listener().unwrap()).collect(), accepted }
}

fn with(flags: &[&str]) -> (Server, Client, Sockets) {
    let server = Server::start(flags);
    let mut client = server.connect();
    // After a few round trips the connection has certainly been served by the protocol phase.
    for _ in 0..4 {
        client.send(&frame(Binary, b"hello"));
        assert_eq!(client.frame(), (0x82, b"hello".to_vec()));
    }
    let sockets = sockets(&server, &client);
    (server, client, sockets)
}

fn granted(server: &Server, name: &str) -> serde_json::Value {
    let answer = server.http("GET /config HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let config: serde_json::Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    config["granted"][name].clone()
}

fn tcp_option(socket: &impl AsRawFd, option: i32) -> i32 {
    let mut value = 0i32;
    let mut size = 4;
    // SAFETY: the descriptor is open; the kernel writes at most `size` bytes to `value`.
    let result = unsafe {
        libc::getsockopt(socket.as_raw_fd(), libc::IPPROTO_TCP, option, (&raw mut value).cast(), &raw mut size)
    };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    value
}

/// Segments with data that have arrived: `tcpi_data_segs_in` of Linux's struct tcp_info, at byte 152.
fn data_segments_in(stream: &TcpStream) -> u32 {
    let mut info = [0u8; 160];
    let mut size = 160;
    // SAFETY: the descriptor is open; the kernel writes at most `size` bytes to `info`.
    let result = unsafe {
        libc::getsockopt(stream.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_INFO, (&raw mut info).cast(), &raw mut size)
    };
    assert_eq!((result, size), (0, 160), "{}", std::io::Error::last_os_error());
    u32::from_ne_bytes(info[152..156].try_into().unwrap())
}

/// Segments that the reply to `count` messages of 64 bytes, sent at once, comes in.
fn segments_for(flags: &[&str], count: usize) -> u32 {
    let server = Server::start(flags);
    let mut client = server.connect();
    let before = data_segments_in(&client.stream);
    client.send(&frame(Binary, &payload(64)).repeat(count));
    for _ in 0..count {
        assert_eq!(client.frame(), (0x82, payload(64)));
    }
    data_segments_in(&client.stream) - before
}

/// The same over TLS.
fn segments_over_tls(flags: &[&str], count: usize) -> u32 {
    let setting = Setting::new(flags);
    let mut client = setting.connect();
    // Behind it no ticket comes any more.
    tls::echoed(&mut client, b"first");
    let before = data_segments_in(&client.stream.sock);
    let records = seal(&mut client.stream, &frame(Binary, &payload(64)).repeat(count));
    std::io::Write::write_all(&mut client.stream.sock, &records).unwrap();
    for _ in 0..count {
        assert_eq!(client.frame(), (0x82, payload(64)));
    }
    data_segments_in(&client.stream.sock) - before
}

#[test]
fn what_a_room_says_in_one_turn_is_one_write_for_each_member() {
    const SENDERS: usize = 40;
    let server = start(&["--relay", "others", "--threads", "1"]);
    let mut receiver = join(&server, "/");
    let mut senders: Vec<Client> = (0..SENDERS).map(|_| join(&server, "/")).collect();
    let before = data_segments_in(&receiver.stream);
    // All have spoken when the server goes on.
    server.stop();
    senders.iter_mut().for_each(|sender| sender.send(&frame(Binary, &payload(64)).repeat(5)));
    server.signal(Signal::CONT);
    (0..5 * SENDERS).for_each(|_| assert_eq!(receiver.frame(), (0x82, payload(64))));
    let segments = data_segments_in(&receiver.stream) - before;
    assert!(segments <= 2, "{segments} segments");
}

#[test]
fn tcp_nodelay() {
    for (value, expected) in [("on", true), ("off", false)] {
        let (server, _client, sockets) = with(&["--tcp-nodelay", value]);
        assert_eq!(sockets.accepted.tcp_nodelay().unwrap(), expected);
        assert_eq!(granted(&server, "tcp_nodelay"), expected);
    }
    assert!(with(&[]).2.accepted.tcp_nodelay().unwrap(), "the default is on");
}

#[test]
fn tcp_quickack() {
    let (_server, _client, sockets) = with(&["--tcp-quickack", "on"]);
    // The reply that we have seen precedes the call that sets it.
    let deadline = Instant::now() + support::PATIENCE;
    while !sockets.accepted.tcp_quickack().unwrap() {
        assert!(Instant::now() < deadline, "never set");
    }
    // A connection that answers what it gets delays its acknowledgements, unless told otherwise.
    assert!(!with(&["--tcp-quickack", "off"]).2.accepted.tcp_quickack().unwrap());
}

#[test]
fn buffers() {
    let (server, _client, sockets) = with(&["--recv-buffer", "100KiB", "--send-buffer", "50KiB"]);
    // The kernel doubles what is asked for (socket(7)).
    assert_eq!(sockets.accepted.recv_buffer_size().unwrap(), 2 * 100 * 1024);
    assert_eq!(sockets.accepted.send_buffer_size().unwrap(), 2 * 50 * 1024);
    assert_eq!(granted(&server, "recv_buffer"), 100 * 1024);
    assert_eq!(granted(&server, "send_buffer"), 50 * 1024);
}

#[test]
fn notsent_lowat() {
    let (server, _client, sockets) = with(&["--notsent-lowat", "16KiB"]);
    assert_eq!(sockets.accepted.tcp_notsent_lowat().unwrap(), 16384);
    assert_eq!(granted(&server, "notsent_lowat"), 16384);
}

#[test]
fn keepalive() {
    let seconds = std::time::Duration::from_secs;
    let times = |socket: &Socket| {
        let (idle, interval) = (socket.tcp_keepalive_time().unwrap(), socket.tcp_keepalive_interval().unwrap());
        (idle, interval, socket.tcp_keepalive_retries().unwrap(), socket.tcp_user_timeout().unwrap())
    };
    for lane in ["on", "off"] {
        let (server, _client, sockets) = with(&["--lane", lane, "--keepalive", "7s,3s,4"]);
        assert!(sockets.accepted.keepalive().unwrap());
        assert_eq!(times(&sockets.accepted), (seconds(7), seconds(3), 4, Some(seconds(19))));
        assert_eq!(granted(&server, "keepalive"), serde_json::json!({ "idle": 7.0, "interval": 3.0, "probes": 4 }));
    }
    let (_server, _client, sockets) = with(&[]);
    assert!(sockets.accepted.keepalive().unwrap(), "the default is on");
    assert_eq!(times(&sockets.accepted), (seconds(60), seconds(10), 6, Some(seconds(120))));
    let (server, _client, sockets) = with(&["--keepalive", "off"]);
    assert!(!sockets.accepted.keepalive().unwrap());
    assert_eq!(sockets.accepted.tcp_user_timeout().unwrap(), None);
    assert_eq!(granted(&server, "keepalive"), serde_json::Value::Null);
}

#[test]
fn busy_poll() {
    let (server, _client, sockets) = with(&["--busy-poll", "50"]);
    // Raising it takes CAP_NET_ADMIN; without, the server must say that it was not granted.
    match granted(&server, "busy_poll").as_u64() {
        Some(value) => assert_eq!((value, sockets.accepted.busy_poll().unwrap()), (50, 50)),
        None => assert!(server.into_log().contains("--busy-poll 50: the kernel granted 0")),
    }
}

#[test]
fn defer_accept_and_fast_open() {
    for (balance, count) in [("exact", 1), ("kernel", 2)] {
        let flags = ["--defer-accept", "5", "--fast-open", "64", "--threads", "2", "--balance", balance];
        let (server, _client, sockets) = with(&flags);
        assert_eq!(sockets.listeners.len(), count, "one listener for all workers, or one per worker");
        for listener in &sockets.listeners {
            let seconds = tcp_option(listener, libc::TCP_DEFER_ACCEPT);
            assert!(seconds >= 5, "{seconds}");
            assert_eq!(granted(&server, "defer_accept"), seconds);
            assert_eq!(tcp_option(listener, libc::TCP_FASTOPEN), 64);
        }
    }
}

#[test]
fn backlog() {
    // For a listener the kernel reports the backlog as tcpi_sacked, `ss` as Send-Q; connections beyond it are not
    // completed. A backlog of N lets N + 1 wait.
    let server = Server::start(&["--backlog", "3", "--threads", "1"]);
    assert_eq!(granted(&server, "backlog"), 3);
    server.stop();
    let address = SocketAddr::from(([127, 0, 0, 1], server.port));
    let waiting: Vec<TcpStream> = (0..20)
        .map_while(|_| TcpStream::connect_timeout(&address, std::time::Duration::from_millis(300)).ok())
        .collect();
    assert_eq!(waiting.len(), 4);
    server.signal(Signal::CONT);
}

#[test]
fn a_grant_that_falls_short_is_a_warning_with_what_was_granted() {
    let server = Server::start(&["--recv-buffer", "1GiB", "--backlog", "1000000000"]);
    let (buffer, backlog) = (granted(&server, "recv_buffer"), granted(&server, "backlog"));
    assert!(buffer.as_u64().unwrap() < 1 << 30);
    let log = server.into_log();
    assert!(log.contains(&format!("--recv-buffer {}: the kernel granted {buffer}", 1 << 30)), "{log}");
    assert!(log.contains(&format!("--backlog 1000000000: the kernel granted {backlog}")), "{log}");
}

#[test]
fn write_modes_differ_in_segments() {
    assert_eq!(segments_for(&["--write", "cork"], 16), 1);
    // One each, but for those that the kernel joins while the one before is under way.
    assert!(segments_for(&["--write", "per-frame"], 16) > 4);
    assert!(segments_for(&["--write", "vectored"], 16) > 4);
}

#[test]
fn the_replies_to_one_read_leave_in_one_write_over_tls_too() {
    // 40,000 bytes, in records of 16 KiB at the most.
    assert!(segments_over_tls(&["--lane", "on"], 600) <= 2);
    assert!(segments_over_tls(&["--lane", "off", "--read-buffer", "64KiB"], 600) <= 2);
    assert!(segments_over_tls(&["--write", "per-frame"], 16) > 4);
}

#[test]
fn read_buffer_bounds_a_read() {
    // 40 frames of 70 bytes are one read, or 22 of 128 bytes with a write each, of which the kernel may join some.
    for lane in ["on", "off"] {
        assert_eq!(segments_for(&["--lane", lane], 40), 1);
        assert!(segments_for(&["--lane", lane, "--read-buffer", "128"], 40) > 4);
    }
    // 42,000 bytes are one read on the lane, and six into the library's own buffer of 8 KiB.
    assert!(segments_for(&["--lane", "on"], 600) <= 2);
    assert!(segments_for(&["--lane", "off"], 600) > 2);
    assert!(segments_for(&["--lane", "off", "--read-buffer", "64KiB"], 600) <= 2);
}

#[test]
fn threads_are_pinned() {
    let cores = std::thread::available_parallelism().unwrap().get();
    let allowed_lists = |server: &Server| -> Vec<String> {
        let mut lists: Vec<String> = std::fs::read_dir(format!("/proc/{}/task", server.child.id()))
            .unwrap()
            .map(|task| std::fs::read_to_string(task.unwrap().path().join("status")).unwrap())
            .filter(|status| status.contains("Name:\tworker-"))
            .map(|status| {
                let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:\t"));
                list.unwrap().to_owned()
            })
            .collect();
        lists.sort();
        lists
    };
    // Threads may start, and pin themselves, after the ready line.
    let await_pinned = |server: &Server, count: usize, wanted: &dyn Fn(&str) -> bool| {
        let deadline = Instant::now() + support::PATIENCE;
        loop {
            let lists = allowed_lists(server);
            if lists.iter().filter(|list| wanted(list)).count() >= count {
                return;
            }
            assert!(Instant::now() < deadline, "{lists:?}");
        }
    };
    let any = rustix::thread::sched_getaffinity(None).unwrap();
    let core = (0..1024).rfind(|&core| any.is_set(core)).unwrap().to_string();
    for runtime in ["sharded", "work-stealing"] {
        let server = Server::start(&["--pin", "on", "--runtime", runtime, "--threads", &cores.to_string()]);
        await_pinned(&server, cores, &|list| list.parse::<usize>().is_ok());
        let server = Server::start(&["--pin", &core, "--runtime", runtime, "--threads", "2"]);
        await_pinned(&server, 2, &|list| list == core);
    }
}

#[test]
fn a_runtime_for_each_worker_or_one_for_all() {
    for (runtime, expected) in [("sharded", ["worker-0", "worker-1"]), ("work-stealing", ["worker-0", "worker-0"])] {
        let server = Server::start(&["--runtime", runtime, "--threads", "2"]);
        // A runtime's threads have its number. The one of the work-stealing runtime that only waits for the others has it too.
        let names = || {
            let tasks = std::fs::read_dir(format!("/proc/{}/task", server.child.id())).unwrap();
            let name =
                |task: std::io::Result<std::fs::DirEntry>| std::fs::read_to_string(task.ok()?.path().join("comm")).ok();
            let mut names: Vec<String> = tasks.filter_map(name).filter(|name| name.starts_with("worker-")).collect();
            names.sort();
            names.iter().map(|name| name.trim_end().to_owned()).collect::<Vec<_>>()
        };
        // They may start after the ready line.
        let deadline = Instant::now() + support::PATIENCE;
        while names().len() < 2 {
            assert!(Instant::now() < deadline, "{runtime}: {:?}", names());
        }
        assert_eq!(names()[..2], expected, "{runtime}");
    }
}

#[test]
fn the_socket_looked_at_is_the_right_one() {
    // Guards the helper: a socket that is not the server's must not be taken for it.
    let server = Server::start(&[]);
    let (a, b) = (server.connect(), server.connect());
    let found = sockets(&server, &a).accepted;
    assert_eq!(found.peer_addr().unwrap().as_socket(), a.stream.local_addr().ok());
    assert_ne!(found.peer_addr().unwrap().as_socket(), SockRef::from(&b.stream).local_addr().unwrap().as_socket());
}

#[test]
fn inject_cost() {
    for lane in ["on", "off"] {
        let (_server, mut client, _) = with(&["--lane", lane, "--inject-cost", "1000000"]);
        let start = Instant::now();
        for _ in 0..20 {
            client.send(&frame(Binary, b"hello"));
            assert_eq!(client.frame(), (0x82, b"hello".to_vec()));
        }
        // At least, since it is burnt and not slept; one portion may have been credited.
        assert!(start.elapsed().as_millis() >= 19, "lane {lane}: {:?}", start.elapsed());
    }
}

#[test]
fn inject_jitter() {
    for lane in ["on", "off"] {
        let (_server, mut client, _) = with(&["--lane", lane, "--inject-jitter", "1ms"]);
        let start = Instant::now();
        for _ in 0..200 {
            client.send(&frame(Binary, b"hello"));
            assert_eq!(client.frame(), (0x82, b"hello".to_vec()));
        }
        // The sum of 200 has a standard deviation of 14 ms; the seed is fixed.
        assert!(start.elapsed().as_millis() >= 140, "lane {lane}: {:?}", start.elapsed());
    }
}

#[test]
fn inject_stall() {
    for lane in ["on", "off"] {
        let (_server, mut client, _) = with(&["--lane", lane, "--inject-stall", "100ms/200ms"]);
        let start = Instant::now();
        // A stall holds up for all of its length who sends just before it begins: most messages do not, but one will.
        loop {
            let sent = Instant::now();
            client.send(&frame(Binary, b"hello"));
            assert_eq!(client.frame(), (0x82, b"hello".to_vec()));
            if sent.elapsed() >= Duration::from_millis(90) {
                break;
            }
            assert!(start.elapsed() < Duration::from_secs(10), "lane {lane}: no stall");
        }
    }
}
