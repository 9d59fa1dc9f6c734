//! The contract of the store, run for every engine; the model test; the fault simulation.
//!
//! Each contract test is a function over a [`support::Given`], so that a second engine runs the
//! same. After each, the store's own check must find nothing, and again after it was opened anew.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a failed test should say where"
)]

mod accounts;
mod deliveries;
mod faults;
mod history;
mod messages;
mod model;
mod names;
mod search;
mod sessions;
mod space;
mod support;
mod threads;

/// Runs each contract test on each engine.
macro_rules! contract {
    ($($module:ident :: $test:ident,)*) => {
        mod embedded {
            $(
                #[test]
                fn $test() {
                    let engine = Box::new(crate::support::Embedded::new());
                    crate::support::run(engine, |given| Box::pin(crate::$module::$test(given)));
                }
            )*
        }
    };
}

contract! {
    accounts::a_new_account_has_its_folders,
    accounts::names_are_unique_in_any_case,
    accounts::a_change_takes_and_frees_names,
    accounts::a_removed_account_is_gone_at_once,
    accounts::a_new_account_of_an_old_name_starts_over,
    accounts::another_actor_finds_nothing,
    accounts::an_actor_that_may_only_read_changes_nothing,
    accounts::app_passwords_survive_and_are_revoked,
    accounts::accounts_without_scram_are_counted,
    accounts::quota_is_reserved_when_announced,
    accounts::quota_of_messages_and_copies,
    history::the_past_says_who_did_what_to_which_messages,
    history::a_message_is_followed_by_its_message_id,
    history::what_does_not_concern_is_left_out_and_nothing_else,
    names::create_makes_missing_parents,
    names::rule_05_a_name_used_again_has_a_greater_uid_validity,
    names::rule_05_a_rename_over_a_deleted_name_has_a_greater_uid_validity,
    names::rule_26_inbox_is_one_and_its_rename_moves_mail,
    names::rule_27_children_stay_and_move,
    names::rule_29_a_trailing_separator_is_dropped,
    names::rename_refuses,
    names::two_spellings_are_one_name,
    names::subscriptions_are_of_names,
    names::as_many_mailboxes_as_allowed,
    names::lower_limits_of_names_are_for_new_ones,
    names::a_deleted_mailbox_wakes_its_watchers,
    messages::what_was_stored_comes_back,
    messages::a_long_message_comes_back,
    messages::rule_04_uids_ascend_and_are_not_used_again,
    messages::rule_06_mod_sequences_ascend_whatever_the_clock,
    messages::rule_07_a_store_without_effect_keeps_the_mod_sequence,
    messages::rule_08_expunge_raises_the_mod_sequence,
    messages::rule_14_unchanged_since_leaves_what_changed,
    messages::rule_17_append_is_all_or_none,
    messages::replace_is_one_change_and_the_other_is_gone,
    messages::replace_counts_the_difference,
    messages::rule_18_nothing_is_created_on_the_way,
    messages::rule_19_copy_keeps_what_a_message_is,
    messages::rule_19_move_shows_a_message_somewhere_always,
    messages::rule_20_expunge_of_a_set_takes_only_deleted,
    messages::rule_42_static_data_stays,
    messages::flags_change_as_asked,
    messages::as_many_keywords_as_allowed,
    messages::a_lower_limit_of_keywords_is_for_new_ones,
    messages::read_only_changes_nothing,
    messages::recent_is_taken_once,
    messages::long_commands_run_in_steps,
    messages::copy_and_move_within_a_mailbox,
    messages::a_message_that_is_too_large_is_refused,
    deliveries::a_message_to_many_is_stored_once,
    deliveries::each_has_its_own_message,
    deliveries::a_removed_account_takes_nothing_from_others,
    deliveries::one_refusal_is_not_anothers,
    deliveries::a_purge_leaves_what_others_have,
    search::rows_answer_flags_sizes_dates_and_uids,
    search::texts_are_decoded_and_compared_in_any_case,
    search::headers_are_found_whether_kept_or_not,
    search::logic_holds_whatever_the_order,
    space::deleted_mail_gives_its_space_back,
    space::a_mailbox_that_is_deleted_gives_its_space_back,
    space::a_purged_account_gives_its_space_back_at_once,
    space::a_delivery_under_way_keeps_what_its_recipients_share,
    space::who_began_to_read_goes_on_reading,
    threads::answers_join_what_they_answer,
    threads::a_conversation_goes_on_whatever_was_lost,
    threads::a_conversation_is_forgotten_with_its_last_message,
    sessions::what_is_seen_is_durable,
    sessions::sessions_converge,
    sessions::many_writers_get_different_numbers,
    sessions::a_caller_that_goes_away_loses_nothing,
    sessions::account_changes_wake,
    sessions::news_are_what_changed_since_a_version,
    sessions::news_tell_what_changed_and_what_was_before,
    sessions::a_closed_store_refuses,
    sessions::mailboxes_leave_memory_and_come_back,
}
