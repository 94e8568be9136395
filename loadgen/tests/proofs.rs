//! Every flag of `loadgen` has a test that fails when the flag is ignored.

#[path = "../../server/tests/support/proofs.rs"]
mod proofs;
#[path = "../../server/tests/support/tables.rs"]
mod tables;

use proofs::{Proof, wrong};

const QUICK: &[Proof] = &[
    ("--format", "report/cli::without_arguments_it_answers_the_first_two_questions"),
    ("--output", "run::a_failed_run_makes_no_file_and_a_full_stdout_costs_no_file"),
    ("--quiet", "report/cli::without_arguments_it_answers_the_first_two_questions"),
];

const RUN: &[Proof] = &[
    ("--abort-on-fail", "gate::a_run_ends_when_a_limit_is_crossed_if_asked_to"),
    ("--allow-environment-change", "gate::another_machine_is_a_baseline_only_if_that_is_allowed"),
    ("--realtime", "flags::workers_are_in_the_real_time_class_where_that_is_asked_for_and_permitted"),
    ("--arrival", "flags::arrivals_are_uniform_or_drawn_by_the_seed"),
    ("--baseline", "gate::a_baseline_is_compared_with_and_said_to_be_weak"),
    // The default: that it is read shows only where it contradicts another.
    ("--binary", "report/trials::a_load_that_contradicts_itself_is_refused_whichever_command_has_it"),
    ("--connect-rate", "run::connections_are_opened_at_the_rate_asked_for"),
    ("--connect-timeout", "refusals::an_end_instead_of_an_answer_is_told_from_silence"),
    ("--connections", "flags::headers_and_subprotocols_are_in_every_handshake"),
    ("--deflate-context-takeover", "deflate::every_takeover_and_kind_of_message_is_verified_and_counted"),
    ("--deflate-level", "flags::compression_goes_about_it_as_it_is_told"),
    ("--deflate-memory", "flags::compression_goes_about_it_as_it_is_told"),
    ("--deflate-threshold", "flags::compression_goes_about_it_as_it_is_told"),
    ("--deflate-window-bits", "flags::the_window_is_offered"),
    ("--drain-timeout", "flags::replies_are_waited_for_as_long_as_the_drain_timeout_says"),
    ("--duration", "stall::an_open_loop_charges_a_stall_to_every_message_due_in_it"),
    ("--format", "run::as_many_messages_as_were_asked_for"),
    ("--header", "flags::headers_and_subprotocols_are_in_every_handshake"),
    ("--hgrm", "conversion::text_and_percentiles_are_those_of_the_run"),
    ("--hlog", "server_ends::an_open_loop_loses_all_that_is_due_after_its_last_connection"),
    ("--in-flight", "faults::a_server_that_falls_silent_ends_the_run"),
    ("--messages", "run::as_many_messages_as_were_asked_for"),
    ("--output", "run::a_dash_is_stdout"),
    ("--timestamps", "stamps::without_stamps_latency_ends_with_the_reading"),
    ("--pacing", "flags::spinning_takes_the_cpu_that_sleeping_leaves"),
    ("--payload", "flags::payload_size_and_frame_type_are_as_asked_for"),
    ("--permessage-deflate", "deflate::every_takeover_and_kind_of_message_is_verified_and_counted"),
    ("--quiet", "flags::progress_is_drawn_on_a_terminal_unless_it_is_to_be_quiet"),
    ("--rate", "stall::an_open_loop_charges_a_stall_to_every_message_due_in_it"),
    ("--seed", "flags::payloads_are_those_of_the_seed"),
    ("--server", "run::flags_of_the_embedded_server_reach_it"),
    ("--size", "flags::payload_size_and_frame_type_are_as_asked_for"),
    ("--expect", "expect::whatever_comes_next_is_an_answer_where_that_is_expected"),
    ("--skip-messages", "faults::a_greeting_counts_unless_it_is_passed_over"),
    ("--source-ip", "flags::connections_come_from_the_source_addresses_in_turn"),
    ("--subprotocol", "flags::headers_and_subprotocols_are_in_every_handshake"),
    ("--tcp-nodelay", "flags::tcp_nodelay_is_set_on_every_socket_or_on_none"),
    ("--text", "flags::payload_size_and_frame_type_are_as_asked_for"),
    ("--threads", "flags::there_are_as_many_workers_as_threads_are_asked_for"),
    ("--threshold", "gate::limits_that_are_kept_and_one_that_is_crossed"),
    ("--verify", "deflate::the_report_says_how_much_was_verified"),
    ("--warmup", "flags::the_warm_up_is_sent_and_not_counted"),
];

/// Flags of the load, which `compare` and `sweep` make the same plan of as `run`.
const LOAD: &[&str] = &[
    "--arrival",
    "--connect-rate",
    "--connect-timeout",
    "--connections",
    "--deflate-context-takeover",
    "--deflate-level",
    "--deflate-memory",
    "--deflate-threshold",
    "--deflate-window-bits",
    "--drain-timeout",
    "--expect",
    "--header",
    "--in-flight",
    "--pacing",
    "--timestamps",
    "--payload",
    "--permessage-deflate",
    "--rate",
    "--realtime",
    "--size",
    "--skip-messages",
    "--source-ip",
    "--subprotocol",
    "--tcp-nodelay",
    "--text",
    "--threads",
    "--verify",
];

const COMPARE: &[Proof] = &[
    ("--a", "compare::a_faster_server_has_improved"),
    ("--aa", "compare::a_server_is_equivalent_to_itself_and_the_noise_floor_is_told"),
    ("--allow-inconclusive", "compare::too_few_starts_are_inconclusive_and_say_how_many_it_takes"),
    ("--alpha", "compare::a_slower_server_has_regressed_and_fails_the_command_if_asked_to"),
    ("--attempts", "resume::an_attempt_goes_on_with_the_starts_of_the_one_before_until_none_is_left"),
    ("--b", "compare::a_slower_server_has_regressed_and_fails_the_command_if_asked_to"),
    ("--binary", "report/trials::a_load_that_contradicts_itself_is_refused_whichever_command_has_it"),
    ("--force", "warmup::a_time_that_holds_no_verdict_is_told_at_once_unless_it_is_forced"),
    ("--fail-on-regression", "compare::a_slower_server_has_regressed_and_fails_the_command_if_asked_to"),
    ("--format", "compare::a_slower_server_has_regressed_and_fails_the_command_if_asked_to"),
    ("--gate", "compare::a_slower_server_has_regressed_and_fails_the_command_if_asked_to"),
    ("--max-warmup", "warmup::servers_are_studied_until_they_have_settled_and_longer_where_they_have_not"),
    ("--warmup", "warmup::a_warm_up_of_a_given_time_takes_that_long_for_each_server"),
    ("--max-time", "compare::too_few_starts_are_inconclusive_and_say_how_many_it_takes"),
    ("--output", "conversion::a_comparison_has_its_own_formats"),
    ("--quiet", "flags::progress_is_drawn_on_a_terminal_unless_it_is_to_be_quiet"),
    ("--require-conclusive", "compare::too_few_starts_are_inconclusive_and_say_how_many_it_takes"),
    ("--resume", "resume::an_attempt_goes_on_with_the_starts_of_the_one_before_until_none_is_left"),
    (
        "--restart-every",
        "compare::pairs_begin_as_far_from_each_other_as_trial_and_settle_say_and_as_many_share_a_start",
    ),
    ("--seed", "compare::the_order_of_trials_is_the_seed_s"),
    ("--settle", "compare::pairs_begin_as_far_from_each_other_as_trial_and_settle_say_and_as_many_share_a_start"),
    ("--tolerance", "compare::pairs_begin_as_far_from_each_other_as_trial_and_settle_say_and_as_many_share_a_start"),
    ("--trial", "compare::pairs_begin_as_far_from_each_other_as_trial_and_settle_say_and_as_many_share_a_start"),
];

const SWEEP: &[Proof] = &[
    ("--alpha", "sweep::a_saved_sweep_has_its_own_formats"),
    ("--gate", "sweep::effects_are_judged_on_the_metrics_that_were_asked_for"),
    ("--binary", "report/trials::a_load_that_contradicts_itself_is_refused_whichever_command_has_it"),
    ("--format", "sweep::effects_have_the_right_sign_and_come_in_order"),
    ("--max-warmup", "report/trials::warm_up_and_restarts_are_as_asked_for"),
    ("--warmup", "report/trials::warm_up_and_restarts_are_as_asked_for"),
    ("--max-time", "sweep::a_saved_sweep_has_its_own_formats"),
    ("--one-at-a-time", "sweep::the_load_is_varied_too_one_at_a_time_and_as_text"),
    ("--output", "sweep::a_saved_sweep_has_its_own_formats"),
    ("--quiet", "flags::progress_is_drawn_on_a_terminal_unless_it_is_to_be_quiet"),
    ("--restart-every", "sweep::a_saved_sweep_has_its_own_formats"),
    ("--seed", "sweep::a_saved_sweep_has_its_own_formats"),
    ("--server", "sweep::effects_have_the_right_sign_and_come_in_order"),
    ("--settle", "sweep::a_saved_sweep_has_its_own_formats"),
    ("--trial", "sweep::a_saved_sweep_has_its_own_formats"),
    ("--vary", "sweep::effects_have_the_right_sign_and_come_in_order"),
    ("--vary-load", "sweep::the_load_is_varied_too_one_at_a_time_and_as_text"),
];

const CONNECTIONS: &[Proof] = &[
    ("--churn", "connections::churn_comes_and_goes_beside_the_held"),
    ("--close-rate", "connections::they_are_closed_at_the_rate_asked_for"),
    ("--connect-rate", "connections::connections_are_opened_no_faster_than_asked_for_and_from_several_addresses"),
    ("--connect-timeout", "connections::connections_are_opened_as_a_run_opens_its_own"),
    ("--connections", "connections::connections_are_opened_in_steps_and_held"),
    ("--deflate-context-takeover", "connections::connections_are_opened_as_a_run_opens_its_own"),
    ("--deflate-level", "connections::connections_are_opened_as_a_run_opens_its_own"),
    ("--deflate-memory", "connections::connections_are_opened_as_a_run_opens_its_own"),
    ("--deflate-threshold", "connections::connections_are_opened_as_a_run_opens_its_own"),
    ("--deflate-window-bits", "connections::connections_are_opened_as_a_run_opens_its_own"),
    ("--format", "connections::connections_are_opened_in_steps_and_held"),
    ("--header", "connections::connections_are_opened_as_a_run_opens_its_own"),
    ("--hold", "connections::connections_are_opened_in_steps_and_held"),
    ("--jitter", "connections::all_come_back_after_a_storm_at_once_or_each_at_its_moment"),
    ("--output", "connections::a_saved_report_is_read_back_in_every_format_but_one"),
    ("--pacing", "connections::connections_are_opened_as_a_run_opens_its_own"),
    ("--permessage-deflate", "connections::connections_are_opened_as_a_run_opens_its_own"),
    ("--quiet", "flags::progress_is_drawn_on_a_terminal_unless_it_is_to_be_quiet"),
    ("--seed", "connections::a_trickle_is_verified_on_every_connection"),
    ("--server", "connections::some_connections_that_fail_are_counted_by_their_cause"),
    ("--source-ip", "connections::connections_are_opened_as_a_run_opens_its_own"),
    ("--steps", "connections::connections_are_opened_in_steps_and_held"),
    ("--storm", "connections::all_come_back_after_a_storm_at_once_or_each_at_its_moment"),
    ("--subprotocol", "connections::connections_are_opened_as_a_run_opens_its_own"),
    ("--tcp-nodelay", "connections::connections_are_opened_as_a_run_opens_its_own"),
    ("--threads", "connections::connections_are_opened_as_a_run_opens_its_own"),
    ("--threshold", "connections::limits_are_kept_crossed_or_not_known"),
    ("--trickle", "connections::a_trickle_is_verified_on_every_connection"),
];

const FANOUT: &[Proof] = &[
    ("--churn", "fanout::members_that_join_and_leave_get_all_while_they_are_there"),
    ("--connect-rate", "fanout/command::members_connect_as_a_run_s_connections_do"),
    ("--connect-timeout", "fanout/command::members_connect_as_a_run_s_connections_do"),
    ("--drain-timeout", "fanout::deliveries_are_waited_for_as_long_as_the_drain_timeout_says"),
    ("--duration", "fanout::every_message_reaches_every_receiver"),
    ("--format", "fanout::every_message_reaches_every_receiver"),
    ("--header", "fanout/command::members_connect_as_a_run_s_connections_do"),
    ("--mark", "fanout::a_number_is_found_in_rewritten_json"),
    ("--output", "fanout/command::a_saved_report_is_read_back_in_every_format_but_one"),
    ("--pacing", "fanout/command::members_connect_as_a_run_s_connections_do"),
    ("--quiet", "flags::progress_is_drawn_on_a_terminal_unless_it_is_to_be_quiet"),
    ("--rate", "fanout::every_message_reaches_every_receiver"),
    ("--receivers", "fanout::every_message_reaches_every_receiver"),
    ("--rooms", "fanout::rooms_keep_their_messages_to_themselves_and_threads_share_them_out"),
    ("--seed", "fanout/command::members_connect_as_a_run_s_connections_do"),
    ("--senders", "fanout::every_message_reaches_every_receiver"),
    ("--server", "fanout::a_server_is_started_and_an_embedded_one_is_told_to_relay"),
    ("--size", "fanout::every_message_reaches_every_receiver"),
    ("--source-ip", "fanout/command::members_connect_as_a_run_s_connections_do"),
    ("--stall", "fanout::receivers_that_do_not_read_are_told_apart"),
    ("--subprotocol", "fanout/command::members_connect_as_a_run_s_connections_do"),
    ("--tcp-nodelay", "fanout/command::members_connect_as_a_run_s_connections_do"),
    ("--text", "fanout::rooms_keep_their_messages_to_themselves_and_threads_share_them_out"),
    ("--threads", "fanout/command::members_connect_as_a_run_s_connections_do"),
    ("--threshold", "fanout/command::limits_are_kept_crossed_or_not_known"),
    ("--timestamps", "fanout/command::members_connect_as_a_run_s_connections_do"),
    ("--warmup", "fanout::every_message_reaches_every_receiver"),
];

const REPORT: &[Proof] = &[
    ("--allow-environment-change", "conversion::files_that_do_not_belong_together_are_refused"),
    ("--github", "conversion::markdown_goes_to_stdout_or_to_the_summary_of_the_job"),
    ("--output", "conversion::text_and_percentiles_are_those_of_the_run"),
    ("--over-time", "report/over_time::a_line_for_each_second_says_what_the_json_says"),
    ("--to", "conversion::csv_has_a_line_for_each_run"),
];

#[test]
fn every_flag_has_a_test_that_fails_when_it_is_ignored() {
    let of_load = LOAD.iter().map(|flag| (*flag, "report/trials::a_load_is_the_same_whichever_command_has_it"));
    let of_load: Vec<Proof> = of_load.collect();
    let help = |arguments: &[&str]| tables::help(env!("CARGO_BIN_EXE_loadgen"), arguments);
    let wrong = [
        wrong("loadgen", &help(&[]), QUICK),
        wrong("run", &help(&["run"]), RUN),
        wrong("compare", &help(&["compare"]), &[COMPARE, &of_load].concat()),
        wrong("sweep", &help(&["sweep"]), &[SWEEP, &of_load].concat()),
        wrong("connections", &help(&["connections"]), CONNECTIONS),
        wrong("fanout", &help(&["fanout"]), FANOUT),
        wrong("report", &help(&["report"]), REPORT),
    ]
    .concat();
    assert!(wrong.is_empty(), "loadgen/tests/proofs.rs:\n{}", wrong.join("\n"));
}
