//! Every error says what did not work, why, and what to do next.

use std::fs;

use super::{Bed, Ran};

/// What a person reads of a failure: the error, and where its next step is told.
fn read(ran: &Ran, command: &str) -> (String, String) {
    let line = |label: &str| {
        let found = ran.err.lines().find_map(|line| line.strip_prefix(label));
        found.map(|text| text.trim().to_owned())
    };
    let error = line("error:").unwrap_or_else(|| panic!("`agent {command}` says no error: {ran:#?}"));
    // What the sentence itself says behind its semicolon is as good as a line of its own.
    let told = || ran.err.split_once("; ").map(|(_, told)| told.to_owned());
    let hint = line("hint:").or_else(told).unwrap_or_else(|| panic!("`agent {command}` says no next step: {ran:#?}"));
    (error, hint)
}

/// Command lines that cannot work beside a signed-in account and a folder `inbox`, with what the next step names.
const FAILING: &[(&str, &str)] = &[
    ("status nosuch", "inbox"),
    ("problems nosuch", "agent folders"),
    ("plan nosuch", "agent folders"),
    ("why /nowhere/x", "agent folders"),
    ("activity nosuch", "inbox"),
    ("verify nosuch", "inbox"),
    ("versions /nowhere/x", "agent folders"),
    ("restore /nowhere/x", "agent folders"),
    ("sync", "agent run"),
    ("sync inbox", "agent run"),
    ("web", "agent run"),
    ("approve 99", "held"),
    ("reject 99", "held"),
    ("pause nosuch", "inbox"),
    ("resume nosuch", "inbox"),
    ("conflicts nosuch", "agent folders"),
    ("add-folder /Nosuch x", "the folders there are"),
    ("add-folder /Inbox/a.txt x", "name the folder that holds it"),
    ("add-folder id:1 x", "shared"),
    ("add-folder /Inbox file", "name a directory"),
    ("add-folder /Inbox file/below", "directory"),
    ("add-folder /Inbox x --account nosuch", "work"),
    ("set-folder nosuch mode=mirror", "inbox"),
    ("set-folder inbox nosuch=1", "mode"),
    ("set-folder inbox default_ignore=perhaps", "default_ignore=true"),
    ("set-folder inbox keep_versions=many", "agent config reference folder.keep_versions"),
    ("set-folder inbox mode=mirror mode=upload", "once"),
    ("set-folder inbox keep_for=soon", "30d"),
    ("remove-folder nosuch", "inbox"),
    ("remove-account nosuch", "work"),
    ("logout nosuch", "work"),
    ("set-hook nosuch switch=off", "agent add-hook"),
    ("remove-hook nosuch", "agent add-hook"),
    ("test-hook nosuch file", "agent add-hook"),
    ("unsubscribe nosuch", "agent subscribe"),
    ("subscriptions replay nosuch --all", "agent subscribe"),
    ("quarantine show 99", "quarantine list"),
    ("quarantine release 99 --reason x", "quarantine list"),
    ("config reference nosuch", "agent config reference"),
    ("db restore nosuch.db --yes", "choose another copy"),
    ("db backup nosuch/x.db", "directory"),
    ("support --output nosuch/x.json", "--output"),
    ("events --from-cursor 0 --account nosuch", "work"),
    ("login box --account other --app-file nosuch.txt", "path"),
    ("login box --account other --jwt nosuch.json", "path"),
];

#[tokio::test]
async fn every_error_names_the_next_step() {
    let bed = Bed::signed_in().await;
    bed.cloud().mkdir_p("/Inbox").unwrap();
    bed.cloud().write("/Inbox/a.txt", b"one".to_vec()).unwrap();
    bed.run(&["add-folder", "/Inbox", "inbox", "--name", "inbox"]).await.fine();
    bed.run(&["run", "--once"]).await.fine();
    fs::write(bed.path("file"), "a file").unwrap();
    let mut wrong = Vec::new();
    for (command, step) in FAILING {
        let words: Vec<&str> = command.split(' ').collect();
        let ran = bed.run(&words).await;
        assert_ne!(ran.code, 0, "`agent {command}` should fail: {ran:#?}");
        let (error, hint) = read(&ran, command);
        // What there is instead may stand in the sentence before.
        if hint.is_empty() || !format!("{error}\n{hint}").contains(step) {
            wrong.push(format!("`agent {command}` names {step:?} nowhere in: {hint} (error: {error})"));
        }
        if error.contains("os error") && !ran.err.contains("cause:") {
            wrong.push(format!("`agent {command}` has the system's reason for an error: {error}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
