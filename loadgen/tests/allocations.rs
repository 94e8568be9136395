//! Measuring allocates nothing per message: a counting allocator in the process that runs the lanes, the server being
//! another one, or on threads that do not count. Over TLS nothing is allocated but what rustls does.
#![allow(unsafe_code, reason = "an allocator is unsafe to implement")]

#[path = "tls/authority.rs"]
#[allow(dead_code, reason = "other certificates are the tests' of TLS")]
mod authority;
mod binary;
#[path = "tls/secure.rs"]
#[allow(dead_code, reason = "other servers are the tests' of TLS")]
mod secure;
#[path = "faults/servers.rs"]
#[allow(dead_code, reason = "servers over plain TCP are others' affair")]
mod servers;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use binary::EmbeddedServer;
use loadgen::host::addresses::Addresses;
use loadgen::host::target::Spec;
use loadgen::load::live::{Live, Phase};
use loadgen::load::run::{World, measure};
use loadgen::plan::messages::Corpus;
use loadgen::program::cli::{Invocation, parse};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// Whether this thread looks on only: collecting and sampling may allocate.
    static LOOKS_ON: Cell<bool> = const { Cell::new(false) };
}

fn count() {
    if !LOOKS_ON.get() {
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

/// The progress is shown every 200 ms while nothing else comes: from the first time in the measured phase on, this long
/// lies within one interval, at whose end histograms change hands.
const WINDOW: Duration = Duration::from_millis(700);

/// What the threads of a server in this process do first.
fn on_server_thread() {
    LOOKS_ON.set(true);
}

/// Allocations of the workers and replies that came, within [`WINDOW`].
fn allocations(url: &str, load: &[&str]) -> (u64, u64) {
    let arguments = ["loadgen", "run", url, "-c", "8", "--warmup", "500ms", "-d", "1s"];
    let arguments = arguments.iter().chain(load).map(OsString::from);
    let Ok(Invocation::Run { plan, server: Spec::Url(url), .. }) = parse(arguments, NonZeroUsize::MIN) else {
        panic!("{load:?} is no run")
    };
    let live = Live::default();
    let (mut first, mut last) = (None, (0, 0));
    let mut show = |phase| {
        let now = (ALLOCATIONS.load(Ordering::Relaxed), live.replies.load(Ordering::Relaxed));
        if phase == Phase::Measuring {
            let (since, _) = *first.get_or_insert((Instant::now(), now));
            if since.elapsed() < WINDOW {
                last = now;
            }
        }
    };
    let world = World {
        url: &url,
        addresses: &Addresses::find(&url, &plan.connect, &AtomicBool::new(false)).unwrap(),
        server_pids: &[],
        corpus: &Corpus::new(&plan, None),
        cores: None,
        interrupted: &AtomicBool::new(false),
        abort: &|_| false,
        live: &live,
        show: &mut show,
    };
    let measured = measure(&plan, world).unwrap();
    assert_eq!(measured.counts.messages.verified, measured.counts.messages.sent);
    let (_, (allocations, replies)) = first.expect("the progress was shown");
    (last.0 - allocations, last.1 - replies)
}

// One test, since the counter is the process's.
#[test]
fn measuring_allocates_nothing_per_message() {
    LOOKS_ON.set(true);
    let deflate = ["--permessage-deflate", "--payload", "json", "--size", "100", "--deflate-context-takeover"];
    let [off, both] = ["off", "both"].map(|takeover| [&deflate[..], &[takeover]].concat());
    for load in [
        &[][..],
        &["--in-flight", "16"],
        // Sleeps and learns from it where there is a core to spin on.
        &["--rate", "3000"],
        &["--rate", "10000"],
        &["--rate", "10000", "--arrival", "poisson"],
        &off,
        &both,
    ] {
        let takeover = load.last().filter(|_| load.contains(&"--permessage-deflate"));
        let server = takeover
            .map_or(vec![], |takeover| vec!["--permessage-deflate", "on", "--deflate-context-takeover", takeover]);
        expect_none_per_message("127.0.0.1:0", &server, load);
    }
    for load in [&[][..], &["--in-flight", "16"], &["--rate", "10000"]] {
        expect_none_per_message("tcp://127.0.0.1:0", &[], load);
    }
    for load in [&[][..], &["--in-flight", "8", "--size", "1KiB"], &["--rate", "10000"]] {
        let load = [&["--udp-timeout", "10s"], load].concat();
        expect_none_per_message("udp://127.0.0.1:0", &[], &load);
    }
    let url = secure::echo_server(authority::Authority::new().leaf().config());
    for version in ["1.2", "1.3"] {
        let (allocations, replies) = allocations(&url, &["--insecure", "--tls-versions", version]);
        assert!(replies > 1_000, "TLS {version}: {replies} replies are too few to tell");
        #[expect(clippy::print_stderr, reason = "how many they are, with --no-capture")]
        let () = eprintln!("TLS {version}: {allocations} allocations for {replies} replies");
        // One for each record that goes, and one for each that comes.
        assert!(allocations * 100 < replies * 205, "TLS {version}: {allocations} allocations for {replies} replies");
    }
}

fn expect_none_per_message(listen: &str, server: &[&str], load: &[&str]) {
    let server = EmbeddedServer::start_at(listen, server);
    let (allocations, replies) = allocations(&server.url, load);
    assert!(replies > 1_000, "{listen} {load:?}: {replies} replies are too few to tell");
    // A stall of the machine may grow a connection's queue a few times; a message would show a hundredfold.
    assert!(allocations * 100 < replies, "{listen} {load:?}: {allocations} allocations for {replies} replies");
}
