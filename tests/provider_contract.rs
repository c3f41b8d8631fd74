//! The contract of `Provider`, as one suite that runs for each adapter over the sandbox.
//!
//! A new adapter brings a `Face` and one line at the end of this file, and gets every test.

mod bed;
mod content;
mod egnyte_only;
mod events;
mod faults;
mod items;
mod parts;
mod writes;

/// Makes a test of each function, for each face.
macro_rules! contract {
    ($($face:ident => $module:ident),* ; $tests:tt) => {
        $(contract!(@face $face, $module, $tests);)*
    };
    (@face $face:ident, $module:ident, { $($group:ident :: $test:ident),* $(,)? }) => {
        mod $module {
            use super::bed::{Bed, $face};
            $(
                #[tokio::test]
                async fn $test() {
                    super::$group::$test(Bed::<$face>::new().await).await;
                }
            )*
        }
    };
}

contract! {
    BoxFace => box_com, EgnyteFace => egnyte;
    {
        items::we_are_who_the_token_says,
        items::a_path_leads_to_its_folder,
        items::what_is_not_there_is_explained,
        items::every_child_comes_once,
        items::the_state_of_an_item_is_told,
        events::every_change_is_found_after_the_cursor,
        events::a_quiet_stream_is_drained_and_keeps_its_place,
        events::a_long_backlog_comes_page_by_page,
        events::a_foreign_cursor_is_lost,
        events::news_wakes_the_waiting,
        events::waiting_ends_without_news,
        content::the_bytes_are_those_of_the_version,
        content::a_part_is_a_part,
        parts::a_part_holds_what_was_asked_for,
        parts::a_long_content_comes_over_several_streams,
        content::older_versions_are_listed_and_can_be_fetched,
        content::what_is_gone_is_not_found,
        content::an_answer_that_is_not_the_version_is_never_staged,
        faults::what_passes_is_tried_again,
        faults::trying_again_has_an_end,
        faults::a_long_wait_is_the_callers,
        faults::nonsense_is_never_an_empty_answer,
        faults::a_download_that_broke_is_taken_up_again,
        faults::content_that_is_not_ready_says_when,
        faults::a_redirect_into_the_clear_or_in_circles_is_not_followed,
        faults::a_token_that_dies_midway_costs_one_renewal,
        faults::a_token_near_its_end_is_renewed_before_it_is_used,
        faults::a_dead_sign_in_is_said_and_healed,
        faults::odd_positions_cost_time_and_no_event,
        faults::a_listing_that_goes_in_circles_ends_in_an_error,
        faults::a_bad_realtime_server_is_borne,
        faults::a_long_poll_that_cannot_be_had_is_an_error_that_names_what_came,
        writes::a_file_goes_up_and_comes_back,
        writes::a_new_version_replaces_only_the_expected_one,
        writes::a_taken_name_is_a_conflict,
        writes::a_lost_answer_is_found_again,
        writes::what_did_not_happen_is_sent_again_whole,
        writes::a_token_that_dies_under_an_upload_costs_a_second_sending,
        writes::sending_again_has_an_end,
        writes::what_nobody_can_tell_is_said_to_be_unknown,
        writes::somebody_elses_file_is_not_taken_for_ours,
        writes::a_body_that_changes_leaves_nothing_behind,
        writes::a_wrong_digest_is_never_kept,
        writes::places_change_and_the_rest_stays,
        writes::the_trash_takes_what_was_expected,
        writes::a_large_file_goes_up_in_parts,
        writes::lost_parts_are_made_good,
        writes::an_upload_goes_on_after_a_crash,
        writes::a_session_that_is_forgotten_is_begun_anew,
        writes::a_commit_is_looked_for,
        writes::a_full_or_narrow_account_refuses,
        writes::the_worker_brings_a_file_from_disk_to_the_cloud,
    }
}
