//! What a Fathom relay says of the deliveries that it did not make.

use std::fs;

use super::binary::{EmbeddedServer, converted};
use super::{assert_valid, file, measured};

#[test]
fn a_fathom_relay_says_by_which_policy_deliveries_were_lost() {
    let flags = ["--rate", "100", "--size", "64KiB", "--drain-timeout", "1s", "--stall", "1"];
    let losses = |policy: &str| {
        let server = EmbeddedServer::start(&["--relay", "others", "--relay-queue", "256KiB", "--slow-reader", policy]);
        let report = measured(&server.url, &flags, &[0, 98]);
        assert_valid(&report.0);
        let saved = file(&format!("{policy}.json"));
        fs::write(&saved, report.0.to_string()).unwrap();
        let shown = converted(saved.to_str().unwrap(), "text").stdout;
        fs::remove_file(&saved).unwrap();
        assert!(shown.contains("\n  relay lost  by its own count, warm-up included: "), "{shown}");
        let causes = ["drop_newest", "drop_oldest", "slow_reader_closed", "evicted"];
        let counts = causes.map(|cause| report.number(&format!("/relay_losses/{cause}")));
        (counts, report.number("/stalled/deliveries/lost"), report.number("/stalled/dropped"))
    };
    let ([newest, others @ ..], lost, closed) = losses("drop-newest");
    assert!(0.0 < newest && newest <= lost, "{newest} dropped, {lost} lost");
    assert_eq!((others, closed), ([0.0; 3], 0.0));
    let ([newest, oldest, others @ ..], lost, closed) = losses("drop-oldest");
    assert!(0.0 < oldest && oldest <= lost, "{oldest} dropped, {lost} lost");
    assert_eq!((newest, others, closed), (0.0, [0.0; 2], 0.0));
    let ([newest, oldest, slow, evicted], lost, closed) = losses("close");
    assert!(0.0 < slow && slow <= lost, "{slow} went with the connection, {lost} lost");
    assert_eq!((newest, oldest, evicted, closed), (0.0, 0.0, 0.0, 1.0));
}
