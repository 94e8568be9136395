//! Needs as people write them, and the arithmetic by hand.

use super::*;

fn measured() -> Measured {
    Measured {
        capacity: Some(Capacity { messages_per_second: 50_000.0, cores: 1.25 }),
        memory: Some(ConnectionMemory { user_bytes: 240.0, kernel_bytes: 3_856.0, process_bytes: 16.0 * MIB }),
        message: Some(MessageBytes { received: 70.0, sent: 66.0 }),
    }
}

const MIB: f64 = 1048576.0;

const MACHINE: Machine =
    Machine { cores: 8.0, memory_bytes: 16.0 * MIB + 1_000.0 * MIB, network_bits_per_second: Some(1e9) };

fn size(need: &str, measured: &Measured, machine: &Machine) -> Sizing {
    Sizing::new(&need.parse().unwrap(), measured, machine)
}

fn lines(sizing: &Sizing) -> Vec<String> {
    sizing.lines.iter().map(|Line { what, arithmetic, result }| format!("{what}: {arithmetic} = {result}")).collect()
}

#[test]
fn needs_are_read_and_what_is_none_is_named() {
    let need: Need = "messages_per_second=2e6 connections=500e3  headroom=40%".parse().unwrap();
    assert_eq!(need, Need { messages_per_second: Some(2e6), connections: Some(500e3), headroom: 0.4 });
    assert_eq!(
        "connections=10k".parse(),
        Ok(Need { messages_per_second: None, connections: Some(10_000.0), headroom: 0.0 })
    );
    for (text, expected) in [
        ("", "expected messages_per_second or connections"),
        ("headroom=40%", "expected messages_per_second or connections"),
        ("connections", "'connections' is none of what was expected"),
        ("users=5", "'users=5' is none of what was expected"),
        ("connections=0", "'connections=0' is none"),
        ("connections=1.5", "'connections=1.5' is none"),
        ("messages_per_second=-1", "'messages_per_second=-1' is none"),
        ("connections=1 connections=2", "connections is given twice"),
        ("connections=1 headroom=100%", "expected a percentage from 0% to under 100%"),
        ("connections=1 headroom=40", "write 40% if it is 40 of 100"),
    ] {
        let error = text.parse::<Need>().unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn the_arithmetic_is_shown_line_by_line() {
    let sizing = size("messages_per_second=1.2e6 connections=500e3 headroom=40%", &measured(), &MACHINE);
    assert_eq!(
        lines(&sizing),
        [
            "messages per second to provide for: 1,200,000 / (1 - 40.0%) = 2,000,000",
            "messages per second of a core: 50,000 sustained / 1.25 cores used = 40,000",
            "cores: 2,000,000 / 40,000 = 50 cores",
            "machines for cores: 50 / 8 each, rounded up = 7",
            "bandwidth to the servers: 2,000,000 x 70 B x 8 bits = 1,120,000,000 bit/s (1.12 Gbit/s)",
            "bandwidth from the servers: 2,000,000 x 66 B x 8 bits = 1,056,000,000 bit/s (1.06 Gbit/s)",
            "machines for bandwidth: 1,120,000,000 bit/s (1.12 Gbit/s) / 1,000,000,000 bit/s (1.00 Gbit/s) each, rounded up = 2",
            "connections to provide for: 500,000 / (1 - 40.0%) = 833,333",
            "memory of a connection: 240 B of the process + 3,856 B (3.77 KiB) of the kernel = 4,096 B (4.00 KiB)",
            "memory of connections: 833,333 x 4,096 B (4.00 KiB) = 3,413,333,333 B (3.18 GiB)",
            "memory of a machine for connections: 1,065,353,216 B (1016 MiB) - 16,777,216 B (16.0 MiB) without connections = \
             1,048,576,000 B (1000 MiB)",
            "machines for memory: 3,413,333,333 B (3.18 GiB) / 1,048,576,000 B (1000 MiB) each, rounded up = 4",
            "machines: the most of these: cores = 7",
        ]
    );
    assert_eq!(sizing.machines, Some(7));
    assert!((sizing.cores.unwrap() - 50.0).abs() < 1e-6, "{:?}", sizing.cores);
    assert_eq!(sizing.memory_bytes.unwrap().round(), (500e3 / 0.6 * 4096.0f64).round());
    assert!((sizing.bits_per_second.unwrap() - 1.12e9).abs() < 1.0);
    assert_eq!(sizing.assumptions.len(), 5, "{:#?}", sizing.assumptions);
}

#[test]
fn what_was_not_measured_is_left_out_and_said() {
    let measured = Measured { capacity: None, ..measured() };
    let sizing = size(
        "messages_per_second=100k connections=100k",
        &measured,
        &Machine { network_bits_per_second: None, ..MACHINE },
    );
    assert_eq!((sizing.cores, sizing.machines), (None, Some(1)));
    assert_eq!(lines(&sizing).last().unwrap(), "machines: the most of these: memory = 1");
    let says = |sizing: &Sizing, text: &str| sizing.assumptions.iter().any(|assumption| assumption.contains(text));
    assert!(says(&sizing, "cores are left out"), "{:?}", sizing.assumptions);
    assert!(says(&sizing, "network of a machine is not known"), "{:?}", sizing.assumptions);
    let nothing = size("messages_per_second=100k connections=100k", &Measured::default(), &MACHINE);
    assert_eq!((nothing.machines, nothing.memory_bytes, nothing.bits_per_second), (None, None, None));
    assert!(says(&nothing, "memory is left out") && says(&nothing, "bandwidth is left out"));
}

#[test]
fn a_machine_filled_to_its_last_core_is_one_and_one_too_small_is_never_enough() {
    // 0.1 / (1 - 0.7) and the like are not exact.
    let exact = size("messages_per_second=96k headroom=70%", &measured(), &MACHINE);
    assert_eq!(exact.machines, Some(1), "{:?}", exact.cores);
    let small = Machine { memory_bytes: MIB, ..MACHINE };
    let sizing = size("connections=1", &measured(), &small);
    assert_eq!(sizing.machines, None);
    assert_eq!(
        lines(&sizing).last().unwrap(),
        "machines for memory: 4,096 B (4.00 KiB) / 0 B each, rounded up = no number is enough"
    );
}

#[test]
fn small_figures_have_digits_enough_to_follow_and_large_ones_are_not_cut_off() {
    let small = Capacity { messages_per_second: 400.0, cores: 0.025_941_3 };
    let sizing = size("messages_per_second=1k", &Measured { capacity: Some(small), ..measured() }, &MACHINE);
    assert_eq!(lines(&sizing)[1], "messages per second of a core: 400 sustained / 0.0259413 cores used = 15,419.4");
    let vast = size("messages_per_second=1e30", &measured(), &MACHINE);
    assert_eq!(vast.machines, None);
    assert_eq!(lines(&vast).last().unwrap(), "machines: the most of these: cores = 3.125000e24");
}
