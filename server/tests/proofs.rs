//! Every flag of `echo-server` has a test that fails when the flag is ignored.

#[path = "support/proofs.rs"]
mod proofs;
#[path = "support/tables.rs"]
mod tables;

use proofs::{Proof, wrong};

const SERVER: &[Proof] = &[
    ("--backlog", "flags::backlog"),
    ("--balance", "balance::the_kernel_spreads_connections_where_it_is_asked_to"),
    ("--busy-poll", "flags::busy_poll"),
    ("--close-timeout", "violations::a_peer_that_does_not_close_is_not_waited_for_for_ever"),
    ("--completions", "docs::completions_and_manual_have_every_flag"),
    ("--defer-accept", "flags::defer_accept_and_fast_open"),
    ("--deflate-context-takeover", "deflate::replies_are_as_small_as_level_memory_and_takeover_make_them"),
    ("--deflate-level", "deflate::replies_are_as_small_as_level_memory_and_takeover_make_them"),
    ("--deflate-memory", "deflate::replies_are_as_small_as_level_memory_and_takeover_make_them"),
    ("--deflate-threshold", "deflate::the_threshold_and_the_policy_for_uncompressed_messages_hold_on_both_paths"),
    ("--deflate-uncompressed", "deflate::the_threshold_and_the_policy_for_uncompressed_messages_hold_on_both_paths"),
    ("--deflate-window-bits", "deflate::offers_are_granted_only_when_switched_on"),
    ("--drain-timeout", "shutdown::connections_that_do_not_close_are_dropped_at_the_deadline"),
    // How often tokio looks at its sockets shows nowhere: the test ends at the configuration.
    ("--event-interval", "cli::numbers_are_read_as_people_write_them"),
    ("--fast-open", "flags::defer_accept_and_fast_open"),
    ("--handshake-timeout", "http::a_handshake_that_dawdles_is_cut_off"),
    ("--inject-cost", "flags::inject_cost"),
    ("--inject-jitter", "flags::inject_jitter"),
    ("--inject-stall", "flags::inject_stall"),
    ("--keepalive", "flags::keepalive"),
    ("--lane", "flags::read_buffer_bounds_a_read"),
    ("--listen", "cli::every_listener_has_its_ready_line"),
    ("--log-format", "echo::messages_are_logged_if_asked"),
    ("--log-messages", "echo::messages_are_logged_if_asked"),
    ("--man", "docs::completions_and_manual_have_every_flag"),
    ("--max-buffered", "buffered::messages_that_are_not_completed"),
    ("--max-connections", "http::one_connection_too_many_is_turned_away"),
    ("--max-fragments", "violations::each_violation_has_its_close_code"),
    ("--max-message-size", "violations::each_violation_has_its_close_code"),
    ("--notsent-lowat", "flags::notsent_lowat"),
    ("--page", "http::the_page_for_browsers_is_there_unless_switched_off"),
    ("--permessage-deflate", "deflate::offers_are_granted_only_when_switched_on"),
    ("--pin", "flags::threads_are_pinned"),
    ("--print-config", "cli::threads_are_resolved_and_cores_checked"),
    ("--read-buffer", "flags::read_buffer_bounds_a_read"),
    ("--recv-buffer", "flags::buffers"),
    ("--relay", "relay::everybody_gets_what_the_others_say_in_order"),
    ("--relay-queue", "relay_slow::the_newest_messages_are_dropped"),
    ("--relay-rooms", "relay::a_room_is_a_path_and_vanishes_with_its_members"),
    ("--reply", "reply::text_is_answered_by_the_template_and_binary_as_it_is"),
    ("--reply-binary", "reply::binary_is_answered_by_the_template_where_that_is_asked_for"),
    ("--runtime", "flags::a_runtime_for_each_worker_or_one_for_all"),
    ("--send-buffer", "flags::buffers"),
    ("--slow-reader", "relay_slow::the_oldest_messages_are_dropped"),
    ("--tcp-nodelay", "flags::tcp_nodelay"),
    ("--tcp-quickack", "flags::tcp_quickack"),
    ("--tls-cert", "tls_files::files_that_cannot_be_used_are_refused_at_the_start_with_the_reason"),
    ("--tls-client-ca", "tls_files::clients_show_certificates_where_they_must"),
    ("--tls-key", "tls_files::files_that_cannot_be_used_are_refused_at_the_start_with_the_reason"),
    ("--tls-self-signed", "tls_files::a_certificate_of_its_own_is_for_localhost_and_the_addresses"),
    ("--tls-tickets", "tls::as_many_tickets_are_sent_as_asked_for"),
    ("--threads", "balance::every_worker_gets_as_many_connections_as_the_others"),
    ("--udp-limit", "udp::a_source_over_its_limit_is_dropped_and_others_are_not"),
    ("--udp-offload", "udp_offload::datagrams_of_one_source_go_back_together_unless_that_is_switched_off"),
    ("--write", "flags::write_modes_differ_in_segments"),
];

#[test]
fn every_flag_has_a_test_that_fails_when_it_is_ignored() {
    let wrong = wrong("echo-server", &tables::help(env!("CARGO_BIN_EXE_echo-server"), &[]), SERVER);
    assert!(wrong.is_empty(), "server/tests/proofs.rs:\n{}", wrong.join("\n"));
}
