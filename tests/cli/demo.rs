//! `agent demo`, as somebody runs it who only wants to see it work.

use super::Bed;

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_ends_with_equal_trees_and_says_what_it_did() {
    let bed = Bed::new();
    let kept = bed.path("demo");
    let kept = kept.to_str().unwrap();
    let shown = bed.run(&["demo", "--large", "3 MiB", "--seconds", "1", "--dir", kept]).await.fine();
    assert!(!shown.contains('\u{1b}'), "plain where nobody looks:\n{shown}");
    assert!(shown.contains("comparison     equal: "), "{shown}");
    for told in [
        "First mirror of 35 files",
        "renamed from 契約書/見積書 2026.xlsx",
        "→ replaced",
        "uploaded  archive/2026/placeholder",
        "until on disk  median",
        "API calls",
    ] {
        assert!(shown.contains(told), "{told} is missing:\n{shown}");
    }
    assert!(!shown.contains("problem"), "{shown}");
    let kept_file = bed.path("demo/inbox/notes/today.txt");
    assert_eq!(std::fs::read_to_string(kept_file).unwrap(), "second thoughts");

    let again = bed.run(&["demo", "--dir", kept]).await.failed(1);
    assert!(again.contains("is not empty"), "{again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_catches_an_infected_upload() {
    let bed = Bed::new();
    let kept = bed.path("demo");
    let shown = bed.run(&["demo", "--scan", "--large", "1 MiB", "--dir", kept.to_str().unwrap()]).await.fine();
    for told in ["caught: hook `scan` says Eicar-Test-String FOUND", "number 1 in quarantine", "comparison     equal: "]
    {
        assert!(shown.contains(told), "{told} is missing:\n{shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_speaks_egnyte_too() {
    let bed = Bed::new();
    let shown = bed.run(&["demo", "--provider", "egnyte", "--large", "3 MiB"]).await.fine();
    assert!(shown.contains("comparison     equal: "), "{shown}");
    for told in ["First mirror of 35 files", "renamed from 契約書/見積書 2026.xlsx", "→ replaced", "API calls"]
    {
        assert!(shown.contains(told), "{told} is missing:\n{shown}");
    }
    assert!(!shown.contains("problem"), "{shown}");
}
