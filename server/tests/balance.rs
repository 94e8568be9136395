//! Which worker gets a connection, and who else may listen on the port.
//!
//! The worker that serves a connection is the one whose epoll set holds its socket: the kernel lists the descriptors of a
//! set in /proc/PID/fdinfo. (With the lane it is the lane's set, without it tokio's, for which there are two descriptors;
//! each worker has its own.)

mod support;

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};
use support::{Client, PATIENCE, Server, frame};
use wire::OpCode::Text;

/// Client ports of the connections, by the epoll set that holds the server's end.
type Spread = BTreeMap<String, Vec<u16>>;

fn spread(server: &Server) -> Spread {
    let process = format!("/proc/{}", server.child.id());
    // Socket's inode to the client's port: local and remote address, state (0A: listening), and the inode.
    let table = std::fs::read_to_string(format!("{process}/net/tcp")).unwrap();
    let port = |address: &str| u16::from_str_radix(address.rsplit(':').next().unwrap(), 16).unwrap();
    let clients: BTreeMap<String, u16> = table
        .lines()
        .skip(1)
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|fields| port(fields[1]) == server.port && fields[3] != "0A")
        .map(|fields| (format!("socket:[{}]", fields[9]), port(fields[2])))
        .collect();
    let mut sets = Spread::new();
    for entry in std::fs::read_dir(format!("{process}/fdinfo")).unwrap() {
        let set = entry.unwrap().file_name().into_string().unwrap();
        // A descriptor may be closed meanwhile.
        let info = std::fs::read_to_string(format!("{process}/fdinfo/{set}")).unwrap_or_default();
        let members = info.lines().filter_map(|line| line.strip_prefix("tfd:")?.split_whitespace().next());
        for member in members {
            let link = std::fs::read_link(format!("{process}/fd/{member}")).unwrap_or_default();
            if let Some(&client) = clients.get(&*link.to_string_lossy()) {
                sets.entry(set.clone()).or_default().push(client);
            }
        }
    }
    let mut spread = Spread::new();
    for (set, mut clients) in sets {
        clients.sort_unstable();
        // Two descriptors of one set have the same members.
        if !spread.values().any(|seen| *seen == clients) {
            spread.insert(set, clients);
        }
    }
    spread
}

/// Waits until `total` connections rest on their workers.
fn settled(server: &Server, total: usize) -> Spread {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let spread = spread(server);
        // A connection on its way between two sets may be seen in none or both: looked at twice.
        if spread.values().map(Vec::len).sum::<usize>() == total && spread == self::spread(server) {
            return spread;
        }
        assert!(Instant::now() < deadline, "never {total} connections: {spread:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn connect(server: &Server, count: usize) -> Vec<Client> {
    let mut clients: Vec<Client> = (0..count).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send(&frame(Text, b"hello"));
        assert_eq!(client.frame(), (0x81, b"hello".to_vec()));
    }
    clients
}

fn counts(spread: &Spread) -> Vec<usize> {
    let mut counts: Vec<usize> = spread.values().map(Vec::len).collect();
    counts.sort_unstable();
    counts
}

#[test]
fn every_worker_gets_as_many_connections_as_the_others() {
    let cases: [(&str, usize, &[usize]); 4] =
        [("2", 2, &[1, 1]), ("4", 4, &[1, 1, 1, 1]), ("4", 8, &[2, 2, 2, 2]), ("3", 11, &[3, 4, 4])];
    for (threads, connections, expected) in cases {
        for lane in ["on", "off"] {
            // The kernel's hash of the addresses spreads two connections over two workers in one start of two.
            for _ in 0..5 {
                let server = Server::start(&["--threads", threads, "--lane", lane]);
                let _clients = connect(&server, connections);
                let spread = settled(&server, connections);
                assert_eq!(counts(&spread), expected, "lane {lane}: {spread:?}");
            }
        }
    }
}

#[test]
fn connections_opened_at_once_are_spread_as_well() {
    let server = Server::start(&["--threads", "4"]);
    let clients = server.connect_many(200);
    assert_eq!(counts(&settled(&server, clients.len())), [50; 4]);
}

#[test]
fn a_worker_whose_connections_have_ended_gets_the_next_ones() {
    let server = Server::start(&["--threads", "2"]);
    let mut clients = connect(&server, 8);
    let before = settled(&server, 8);
    let (worker, ports) = before.iter().next().unwrap();
    let (stays, leaving) = ports.split_first().unwrap();
    clients.retain(|client| !leaving.contains(&client.stream.local_addr().unwrap().port()));
    settled(&server, 5);
    // The sockets are gone; another message on the same worker is served after it has counted that.
    let last = clients.iter_mut().find(|client| client.stream.local_addr().unwrap().port() == *stays).unwrap();
    last.send(&frame(Text, b"again"));
    assert_eq!(last.frame(), (0x81, b"again".to_vec()));
    let new = connect(&server, 3);
    let after = settled(&server, 8);
    assert_eq!(counts(&after), [4, 4], "{after:?}");
    let mut expected: Vec<u16> = new.iter().map(|client| client.stream.local_addr().unwrap().port()).collect();
    expected.push(*stays);
    expected.sort_unstable();
    assert_eq!(after[worker], expected, "{before:?}, {after:?}");
}

#[test]
fn no_other_program_joins_the_port_of_the_only_listener() {
    let cases: [&[&str]; 4] = [
        &["--threads", "1"],
        &["--threads", "2"],
        &["--threads", "1", "--balance", "kernel"],
        &["--threads", "2", "--runtime", "work-stealing"],
    ];
    for flags in cases {
        let server = Server::start(flags);
        let error = join(server.port).expect_err("the port is the server's alone");
        assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse, "{flags:?}");
    }
    // The help says so.
    join(Server::start(&["--threads", "2", "--balance", "kernel"]).port).expect("its listeners share the port");
}

fn join(port: u16) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_port(true)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], port)).into())?;
    socket.listen(1)?;
    Ok(socket.into())
}

#[test]
fn the_kernel_spreads_connections_where_it_is_asked_to() {
    let server = Server::start(&["--threads", "2", "--balance", "kernel"]);
    // The chance that its hash puts 40 connections on one of two workers is 2 in a million million.
    let clients = server.connect_many(40);
    assert_eq!(settled(&server, clients.len()).len(), 2);
}
