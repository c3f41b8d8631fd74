//! The contract of `Provider`, as one suite that runs for each adapter over the sandbox.
//!
//! A new adapter brings a `Face` and one line at the end of this file, and gets every test.

mod bed;
mod content;
mod events;
mod faults;
mod items;

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
        content::what_is_gone_is_not_found,
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
    }
}
