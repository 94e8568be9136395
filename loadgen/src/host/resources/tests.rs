//! Processes that are measured, and listeners that are found.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::time::Instant;

use super::*;
use crate::host::addresses::race::tests::{addresses, deaf};

/// Burns at least `cpu` of this thread's CPU time.
fn burn(cpu: Duration) {
    let start = thread_cpu();
    while thread_cpu() - start < cpu {
        std::hint::black_box((0..10_000u64).sum::<u64>());
    }
}

#[test]
fn the_time_of_a_thread_that_has_ended_counts() {
    let sampler = Sampler::own();
    std::thread::spawn(|| burn(Duration::from_millis(30))).join().unwrap();
    let usage = sampler.finish().unwrap();
    assert!(usage.cpu >= Duration::from_millis(30), "{:?}", usage.cpu);
    assert!(usage.max_rss_bytes > 1 << 20, "{}", usage.max_rss_bytes);
}

#[test]
fn another_process_is_measured_and_its_end_is_noticed() {
    let mut child = Command::new("sh").args(["-c", "while :; do :; done"]).stdin(Stdio::null()).spawn().unwrap();
    let sampler = Sampler::of(&[child.id() as i32]).unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    let busy = loop {
        match sampler.so_far() {
            Some(usage) if usage.cpu < Duration::from_millis(5) && Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(2));
            }
            other => break other,
        }
    };
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(busy.is_some_and(|usage| usage.cpu >= Duration::from_millis(5)), "{busy:?}");
    assert_eq!(sampler.finish(), None);
}

#[test]
fn a_peak_from_here_forgets_what_was_before() {
    let before = {
        let large = std::hint::black_box(vec![1u8; 64 << 20]);
        assert_eq!(large.len(), 64 << 20);
        max_rss_bytes(Pid::this()).unwrap()
    };
    let usage = Sampler::own().from_here().finish().unwrap();
    assert!(usage.max_rss_of > PeakOf::Life, "{usage:?}");
    assert!(before > 64 << 20 && usage.max_rss_bytes + (32 << 20) < before, "{before} {usage:?}");
    assert_eq!(Sampler::own().finish().unwrap().max_rss_of, PeakOf::Life);
}

#[test]
fn a_peak_that_cannot_be_reset_is_that_of_what_was_seen() {
    let mut sampler = Sampler::own();
    sampler.processes[0].peak = Peak::Sampled(Cell::new(1 << 50));
    let usage = sampler.finish().unwrap();
    assert_eq!((usage.max_rss_bytes, usage.max_rss_of), (1 << 50, PeakOf::Samples));
    let mut sampler = Sampler::own();
    sampler.processes[0].peak = Peak::Sampled(Cell::default());
    let usage = sampler.finish().unwrap();
    assert!(usage.max_rss_bytes >= usage.rss_bytes.unwrap() && usage.rss_bytes.unwrap() > 0, "{usage:?}");
}

#[test]
fn what_is_no_process_has_no_usage() {
    // Linux gives out process ids up to 4,194,304 (PID_MAX_LIMIT).
    for pids in [&[][..], &[0], &[-1], &[4_194_305]] {
        assert!(Sampler::of(pids).is_none(), "{pids:?}");
    }
}

/// A process that does nothing but hold a listener; killed when dropped.
struct Holder(std::process::Child);

impl Holder {
    fn of(listener: impl Into<OwnedFd>) -> Self {
        Self(Command::new("sleep").arg("60").stdin(Stdio::from(listener.into())).spawn().unwrap())
    }

    fn pid(&self) -> i32 {
        self.0.id() as i32
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn of_a_name_s_addresses_the_one_that_answers_says_who_the_server_is() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut deaf = deaf("127.0.0.2", port);
    let (other, server) = (Holder::of(deaf.pop().unwrap()), Holder::of(listener));
    let name = addresses(&["127.0.0.2", "127.0.0.1"], port);
    assert_eq!(listeners_of(&name), [[other.pid()], [server.pid()]]);
    assert_eq!(of_server(None, &name), [server.pid()]);
    assert_eq!(of_server(Some(1), &name), [1, server.pid()]);
    // Where there is only one, nobody has to be connected to.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = Holder::of(listener);
    let name = addresses(&["127.0.0.2", "127.0.0.1"], port);
    assert_eq!((of_server(None, &name), name.undecided()), (vec![server.pid()], true));
}

#[test]
#[allow(clippy::print_stderr, reason = "scripts/check lists what is skipped")]
fn a_listener_of_all_addresses_is_found_by_its_family() {
    let six = socket2::Socket::new(socket2::Domain::IPV6, socket2::Type::STREAM, None).and_then(|six| {
        six.set_only_v6(true)?;
        six.bind(&"[::]:0".parse::<SocketAddr>().unwrap().into())?;
        six.listen(1).map(|()| six)
    });
    let Ok(six) = six else {
        eprintln!("SKIPPED: a listener of all addresses is found by its family: no IPv6");
        return;
    };
    let port = six.local_addr().unwrap().as_socket().unwrap().port();
    let four = Holder::of(TcpListener::bind(("0.0.0.0", port)).unwrap());
    let six = Holder::of(six);
    let of = |address: &str| listeners(SocketAddr::new(address.parse().unwrap(), port), false);
    assert_eq!((of("127.0.0.1"), of("::1")), (vec![four.pid()], vec![six.pid()]));
}

#[test]
#[allow(clippy::print_stderr, reason = "scripts/check lists what is skipped")]
fn the_listener_of_an_address_is_found_and_a_free_port_has_none() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let listener = match TcpListener::bind(address) {
            Err(_) if address.starts_with('[') => {
                eprintln!("SKIPPED: the listener of an IPv6 address is found: no IPv6");
                continue;
            }
            bound => bound.unwrap(),
        };
        let address = listener.local_addr().unwrap();
        assert_eq!(listeners(address, false), [Pid::this().as_raw()]);
        drop(listener);
        assert_eq!(listeners(address, false), [0i32; 0]);
    }
}
