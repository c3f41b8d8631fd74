use proptest::prelude::*;

use super::*;

const REST: Duration = Duration::from_mins(5);
const LIMITS: Limits = Limits { per_day: Some(1_000), per_minute: Some(120) };

fn fresh() -> Ledger {
    Ledger::new(Spent::default())
}

fn spend(ledger: &mut Ledger, share: Share, mono: u64, wall: i64) -> bool {
    if ledger.may(LIMITS, share, REST, mono, Wall(wall)).is_err() {
        return false;
    }
    let _ = ledger.spend(LIMITS, share, 1, mono);
    true
}

#[test]
fn bulk_leaves_what_listening_and_news_need() {
    let mut ledger = fresh();
    let mut mono = 0;
    while spend(&mut ledger, Share::Bulk, mono, 0) {
        mono += 1_000;
    }
    assert!((600..620).contains(&ledger.spent()), "{}", ledger.spent());
    assert_eq!(ledger.stretch(LIMITS, Duration::from_secs(30), REST, Wall(0)), REST);
    while spend(&mut ledger, Share::News, mono, 0) {
        mono += 1_000;
    }
    assert!((890..905).contains(&ledger.spent()), "{}", ledger.spent());
    let tight = ledger.stretch(LIMITS, Duration::from_secs(30), REST, Wall(0));
    assert!(tight > 3 * REST, "{tight:?}");
    while spend(&mut ledger, Share::Listening, mono, 0) {
        mono += 1_000;
    }
    assert_eq!(ledger.spent(), 1_000);
    assert_eq!(ledger.may(LIMITS, Share::Listening, REST, 7, Wall(0)), Err(7 + DAY_MS));
}

#[test]
fn what_is_kept_back_is_let_go_towards_the_evening() {
    let mut ledger = fresh();
    let evening = 23 * HOUR_MS as i64;
    let mut mono = 0;
    while spend(&mut ledger, Share::Bulk, mono, evening) {
        mono += 1_000;
    }
    assert!(ledger.spent() > 980, "{}", ledger.spent());
}

#[test]
fn the_regular_comparison_takes_a_tenth() {
    let mut ledger = fresh();
    let mut mono = 0;
    while spend(&mut ledger, Share::Comparison, mono, 0) {
        mono += 1_000;
    }
    assert_eq!(ledger.spent(), 100);
    assert!(ledger.may(LIMITS, Share::Bulk, REST, mono, Wall(0)).is_ok());
}

#[test]
fn no_more_than_two_a_second_after_the_first_two() {
    let mut ledger = fresh();
    let begun = (0..10_000).filter(|mono| spend(&mut ledger, Share::News, *mono, 0)).count();
    assert!((20..=22).contains(&begun), "{begun}");
}

#[test]
fn a_restart_forgets_nothing_and_a_new_day_starts_at_nothing() {
    let mut ledger = fresh();
    let mut durable = Spent::default();
    for mono in 0..25 {
        durable = ledger.spend(LIMITS, Share::News, 1, mono).unwrap_or(durable);
        assert!(durable.calls >= ledger.spent());
    }
    let mut later = Ledger::new(durable);
    assert!((25..25 + CALLS_PER_BLOCK).contains(&later.spent()));
    later.turn(Wall(DAY_MS as i64));
    assert_eq!(later.spent(), 0);
    let _ = later.spend(LIMITS, Share::News, 5, 0);
    later.turn(Wall(DAY_MS as i64 - 1));
    assert_eq!(later.spent(), 5, "a clock put back gives no new day");
}

#[test]
fn the_providers_count_is_believed() {
    let mut ledger = fresh();
    ledger.provider_counts(400, 0);
    assert_eq!(ledger.spent(), 400);
    ledger.provider_counts(3, 2);
    assert_eq!(ledger.spent(), 15);
}

#[test]
fn headers_and_settings_make_the_limits() {
    let mut settings = AccountSettings {
        name: "a".into(),
        provider: ProviderName::Egnyte,
        api_url: None,
        domain: None,
        stream: crate::settings::BoxStream::Changes,
        suppress: crate::settings::Suppress::None,
        poll_min: None,
        poll_max: None,
        calls_per_day: None,
        calls_per_minute: None,
        transfers: 4,
        bandwidth_down: None,
        bandwidth_up: None,
        quiet: None,
        ca_file: None,
        proxy: None,
    };
    assert_eq!(Limits::of(&settings, None), LIMITS);
    let quota = Quota { per_second: Some(10), per_day: Some(50_000), used_today: None };
    assert_eq!(Limits::of(&settings, Some(quota)), Limits { per_day: Some(50_000), per_minute: Some(600) });
    settings.calls_per_day = Some(2_000);
    assert_eq!(Limits::of(&settings, Some(quota)).per_day, Some(2_000));
    settings.calls_per_day = None;
    settings.api_url = Some("http://127.0.0.1:1".parse().unwrap());
    assert_eq!(Limits::of(&settings, None), Limits::default());
    assert_eq!(Limits::of(&settings, Some(quota)).per_day, Some(50_000));
}

#[test]
fn a_long_first_sync_is_foretold() {
    let text = forecast("egnyte", 1_000, 5_000).unwrap();
    assert_eq!(text, "at 1,000 calls a day this takes 9 days: ask Egnyte for a higher limit, or narrow the folder");
    assert_eq!(forecast("egnyte", 1_000, 500), None);
}

proptest! {
    /// However the calls come, a day never takes more than it has, and listening never ends long before the day does.
    #[test]
    fn a_day_is_never_overspent(
        per_day in 20_u64..3_000,
        wishes in proptest::collection::vec((0_u64..400_000, 0_u8..4), 200..1_500),
    ) {
        let limits = Limits { per_day: Some(per_day), per_minute: None };
        let mut ledger = fresh();
        let (mut mono, mut spent) = (0, 0);
        for (pause, who) in wishes {
            mono = (mono + pause).min(DAY_MS - 1);
            let share = [Share::Listening, Share::News, Share::Bulk, Share::Comparison][who as usize];
            let wall = Wall(mono as i64);
            if ledger.may(limits, share, REST, mono, wall).is_ok() {
                let _ = ledger.spend(limits, share, 1, mono);
                spent += 1;
            }
            let next = ledger.stretch(limits, Duration::from_secs(30), REST, wall);
            prop_assert!(next >= Duration::from_secs(30).min(Duration::from_millis(ms_left(wall))));
            prop_assert!(next <= Duration::from_millis(DAY_MS));
        }
        prop_assert!(spent <= per_day);
    }
}
