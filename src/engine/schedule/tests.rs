use super::*;

const A: NodeId = NodeId(1);
const B: NodeId = NodeId(2);
const C: NodeId = NodeId(3);

const NOTES: [Note; 6] =
    [Note::BytesAsked, Note::NoAdopt, Note::ClearWay, Note::PutBack, Note::AsideRemotely, Note::Crowded];

/// Everything that a record can hold.
fn worked_on(node: NodeId) -> Schedule {
    let mut schedule = Schedule::default();
    schedule.await_node(node, C);
    for note in NOTES {
        assert!(schedule.note(node, note));
    }
    schedule.decide(node, Action::Update);
    schedule.note_done(node, "published");
    schedule.set_trash(node, Some(FolderTrash::InParts));
    schedule
}

#[test]
fn an_item_that_leaves_leaves_nothing_behind() {
    let mut schedule = worked_on(A);
    schedule.leave(A);
    assert_eq!((schedule.items.len(), schedule.held), (0, 0));
    assert_eq!(schedule.done(A), "no change");
    assert_eq!(schedule.trash(A), None);
    assert!(!schedule.is_decided(A, &Action::Update));
}

#[test]
fn of_an_item_that_rests_only_how_it_goes_into_the_trash_is_kept() {
    let mut schedule = worked_on(A);
    schedule.rest(A);
    assert_eq!(schedule.items[&A], Working { trash: Some(FolderTrash::InParts), ..Working::default() });
    assert_eq!(schedule.held, 0);
    schedule.forget_trash();
    assert!(schedule.items.is_empty());
}

#[test]
fn each_note_is_its_own() {
    for note in NOTES {
        let mut schedule = Schedule::default();
        assert!(schedule.note(A, note));
        assert!(!schedule.note(A, note), "{note:?} was noted before");
        for other in NOTES {
            assert_eq!(schedule.is_noted(A, other), other == note, "{other:?}");
        }
        assert!(schedule.take_note(A, note));
        assert!(!schedule.take_note(A, note));
        assert!(schedule.items.is_empty());
    }
}

#[test]
fn a_ready_item_is_in_one_queue_once_and_news_comes_first() {
    let mut schedule = Schedule::default();
    schedule.make_ready(A, Priority::Bulk);
    schedule.make_ready(A, Priority::Bulk);
    schedule.make_ready(B, Priority::News);
    assert_eq!([schedule.pop_ready(), schedule.pop_ready(), schedule.pop_ready()], [Some(B), Some(A), None]);
    assert!(schedule.is_idle());
}

#[test]
fn those_that_wait_for_an_item_are_ready_once_it_moves_on() {
    /// How the item that is waited for moves on.
    type MovesOn = fn(&mut Schedule);
    let table: [(&str, MovesOn); 3] = [
        ("leave", |schedule| schedule.leave(C)),
        ("rest", |schedule| schedule.rest(C)),
        ("wake_waiters", |schedule| schedule.wake_waiters(C)),
    ];
    for (word, moves_on) in table {
        let mut schedule = Schedule::default();
        schedule.await_node(A, C);
        schedule.await_node(B, C);
        schedule.set_phase(B, Phase::Busy);
        moves_on(&mut schedule);
        assert_eq!(schedule.phase(A), Some(Phase::Ready), "{word}");
        assert!(schedule.is_busy(B), "{word}: it does something else by now");
    }
}

#[test]
fn a_turn_is_only_for_who_still_waits_for_it() {
    let mut schedule = Schedule::default();
    schedule.set_phase(A, Phase::AwaitDisk);
    assert!(!schedule.take_turn(A, Phase::AwaitHook));
    assert!(schedule.take_turn(A, Phase::AwaitDisk));
    assert!(!schedule.take_turn(A, Phase::AwaitDisk));
    assert!(schedule.is_idle(), "who has the turn is in no queue");
}

#[test]
fn a_circle_is_closed_by_those_that_do_nothing_else() {
    // The phase of the third item of the circle, and how many are in it.
    let table = [
        (Some(Phase::AwaitNode), 3),
        (None, 3),
        (Some(Phase::Busy), 0),
        (Some(Phase::Ready), 0),
        (Some(Phase::AwaitCall), 0),
    ];
    for (phase, count) in table {
        let mut schedule = Schedule::default();
        schedule.await_node(A, B);
        schedule.await_node(B, C);
        schedule.note_waits_for(C, A);
        if let Some(phase) = phase {
            schedule.set_phase(C, phase);
        }
        assert_eq!(schedule.circle(A).len(), count, "{phase:?}");
    }
    let mut schedule = Schedule::default();
    schedule.await_node(A, B);
    schedule.await_node(B, C);
    schedule.await_node(C, B);
    assert_eq!(schedule.circle(A), [], "it waits for a circle and is in none");
    assert_eq!(schedule.circle(B), [B, C]);
    schedule.step_aside_remotely(C);
    assert_eq!(schedule.circle(B), []);
    assert_eq!((schedule.phase(C), schedule.is_noted(C, Note::AsideRemotely)), (Some(Phase::Ready), true));
}

#[test]
fn a_cleared_schedule_keeps_what_a_job_is_under_way_for() {
    let mut schedule = worked_on(A);
    schedule.set_phase(B, Phase::Busy);
    schedule.set_phase(C, Phase::Busy);
    schedule.make_ready(NodeId(4), Priority::News);
    schedule.clear(&BTreeSet::from([B]));
    assert!(schedule.is_busy(B));
    assert_eq!((schedule.phase(C), schedule.phase(A), schedule.held), (None, None, 1));
    assert!(schedule.is_idle());
    assert!(schedule.is_noted(A, Note::Crowded), "what was found out holds for the next try");
    schedule.await_node(A, C);
    schedule.leave(C);
    assert_eq!(schedule.phase(A), Some(Phase::Ready));
}

#[test]
fn bulk_leaves_room_for_news() {
    let mut schedule = Schedule::default();
    assert_eq!(schedule.to_load(Priority::Bulk), Some((LOADED_NOTHING, ROWS_PER_LOAD)));
    let bulk_most = WORKING_SET_ITEMS - WORKING_SET_ITEMS / 10;
    for number in 0..bulk_most - 1 {
        schedule.set_phase(NodeId(number as i64), Phase::AwaitCall);
    }
    assert_eq!(schedule.to_load(Priority::Bulk).map(|(_, rows)| rows), Some(1));
    schedule.load(NodeId(-1), Priority::Bulk, 7, true);
    assert_eq!(schedule.to_load(Priority::Bulk), None);
    assert_eq!(schedule.to_load(Priority::News), Some((LOADED_NOTHING, ROWS_PER_LOAD)));
    schedule.leave(NodeId(-1));
    assert_eq!(schedule.to_load(Priority::Bulk), Some((7, 1)));
    schedule.reload(Priority::Bulk);
    assert_eq!(schedule.to_load(Priority::Bulk), Some((LOADED_NOTHING, 1)));
    schedule.load(NodeId(-2), Priority::Bulk, 8, false);
    assert_eq!(schedule.phase(NodeId(-2)), None, "its folder cannot be worked on");
}

#[test]
fn a_lane_with_enough_for_a_step_is_not_filled_up() {
    let mut schedule = Schedule::default();
    for number in 0..ITEMS_PER_STEP {
        schedule.load(NodeId(number as i64), Priority::News, number as i64, true);
    }
    assert!(schedule.has_enough(Priority::News));
    assert_eq!(schedule.to_load(Priority::News), None);
    assert!(schedule.to_load(Priority::Bulk).is_some());
}
