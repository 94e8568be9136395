use super::*;

/// A small closed-loop plan, for tests to vary.
pub(crate) fn plan() -> Plan {
    Plan {
        connections: NonZeroU32::MIN,
        load: Load::Closed { in_flight: NonZeroU32::MIN },
        stop: Stop::After(Duration::from_secs(1)),
        warmup: Duration::ZERO,
        drain_timeout: Duration::from_secs(1),
        udp_timeout: default_udp_timeout(),
        udp_offload: true,
        message: Message { kind: Kind::Binary, payload: Payload::Random, size: Sizes { min: 64, max: 64 } },
        verify: Verify::Full,
        skip_messages: 0,
        expect: Expect::Echo,
        connect: Connect {
            rate: None,
            timeout: Duration::from_secs(1),
            headers: Vec::new(),
            subprotocols: Vec::new(),
            permessage_deflate: None,
            tcp_nodelay: true,
            source_ips: Vec::new(),
            tls: Default::default(),
            proxy: None,
        },
        pacing: Pacing::Sleep,
        timestamps: Timestamps::Auto,
        realtime: false,
        threads: NonZeroUsize::MIN,
        seed: 1,
    }
}

#[test]
fn a_plan_of_before_timestamps_went_without() {
    let mut saved = serde_json::to_value(plan()).unwrap();
    assert_eq!(serde_json::from_value::<Plan>(saved.clone()).unwrap(), plan());
    saved.as_object_mut().unwrap().remove("timestamps").expect("it is part of the plan");
    let read: Plan = serde_json::from_value(saved).unwrap();
    assert_eq!(read, Plan { timestamps: Timestamps::Off, ..plan() });
}

#[test]
fn sizes_are_read_with_units_and_as_ranges() {
    assert_eq!("64".parse(), Ok(Sizes { min: 64, max: 64 }));
    assert_eq!("4KiB".parse(), Ok(Sizes { min: 4096, max: 4096 }));
    assert_eq!("64..4096".parse(), Ok(Sizes { min: 64, max: 4096 }));
    assert_eq!("0..=1KiB".parse(), Ok(Sizes { min: 0, max: 1024 }));
    assert_eq!("1k..1_024".parse(), Ok(Sizes { min: 1_000, max: 1_024 }));
    for bad in ["", "x", "9..1", "-1", "1GiB", "..", "5..", "99999999999999"] {
        assert!(bad.parse::<Sizes>().is_err(), "{bad}");
    }
}

#[test]
fn rates_are_positive_and_finite() {
    for (text, rate) in [("0.5", 0.5), ("10k", 1e4), ("1_000", 1e3), ("1.5k/s", 1_500.0), ("1e6", 1e6), ("+2", 2.0)] {
        assert_eq!(text.parse::<Rate>().map(Rate::get), Ok(rate), "{text}");
    }
    for bad in ["0", "-1", "nan", "inf", "1e9", "fast", "", "1e-9", "10kB"] {
        assert!(bad.parse::<Rate>().is_err(), "{bad}");
    }
}
