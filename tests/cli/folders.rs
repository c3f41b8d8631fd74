//! Adding, changing and removing folders without a running agent.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::Bed;

async fn with_projects() -> Bed {
    let bed = Bed::signed_in().await;
    for folder in ["/Projects/Inbox", "/Projects/Out", "/受信"] {
        bed.cloud().mkdir_p(folder).unwrap();
    }
    bed.cloud().write("/Projects/plan.txt", b"plan".to_vec()).unwrap();
    bed
}

#[tokio::test]
async fn a_folder_is_looked_up_made_and_written_down() {
    let bed = with_projects().await;
    insta::assert_snapshot!(bed.run(&["add-folder", "/Projects/Inbox", "./inbox", "--exclude", "*.tmp", "--keep-for", "30d"]).await.fine(), @r#"
    Mirror /Projects/Inbox (box, account `work`)
        to $DIR/inbox (will be made)
        local copies are deleted 30 d after they arrived; the cloud keeps its own
    Added folder `Inbox`.
    No agent is running; start one with: agent run
    "#);
    assert!(bed.path("inbox").is_dir());
    let config = bed.config().replace(bed.path("").to_str().unwrap(), "$DIR/");
    insta::assert_snapshot!(config.split_once("[[folder]]").unwrap().1, @r#"
    name = "Inbox"
    account = "work"
    remote = "/Projects/Inbox"
    local = "$DIR/inbox"
    mode = "mirror"
    exclude = ["*.tmp"]
    keep_for = "30d"
    "#);
    let listed = bed.run(&["folders"]).await.fine();
    let columns: Vec<Vec<&str>> =
        listed.lines().map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect()).collect();
    assert_eq!(columns[0], ["FOLDER", "STATE", "ACCOUNT", "REMOTE", "LOCAL", "MODE", "CONTENT"]);
    assert_eq!(columns[1], ["Inbox", "starting", "work", "/Projects/Inbox", "$DIR/inbox", "mirror", "0 files, 0 B"]);
    let rows = bed.run(&["ls", "--json"]).await.json();
    assert_eq!((rows["schema"].as_u64(), rows["rows"][0]["name"].as_str()), (Some(1), Some("Inbox")));
}

#[tokio::test]
async fn a_place_that_is_not_there_is_answered_with_what_is() {
    let bed = with_projects().await;
    insta::assert_snapshot!(bed.run(&["add-folder", "/Projects/Inbx", "a"]).await.failed(1), @r#"
    error: there is no remote folder /Projects/Inbx
    cause: only /Projects exists
    hint: the folders there are Inbox, Out
    "#);
    insta::assert_snapshot!(bed.run(&["add-folder", "/Projects/plan.txt", "a"]).await.failed(1), @r#"
    error: /Projects/plan.txt is a file, not a folder
    hint: name the folder that holds it
    "#);
    insta::assert_snapshot!(bed.run(&["add-folder", "id:999", "a"]).await.failed(1), @r#"
    error: there is no remote folder id:999
    cause: the account sees no folder with this id
    hint: look at its address in the browser, and whether it is shared with this account
    "#);
    insta::assert_snapshot!(bed.run(&["add-folder", "Projects", "a"]).await.failed(2), @r#"
    error: `Projects`: a remote path begins with `/`
    hint: write "/Projects", or "id:…"
    "#);
    insta::assert_snapshot!(bed.run(&["add-folder", "/Projects", "a", "--account", "wrok"]).await.failed(1), @r#"
    error: there is no account named `wrok`
    hint: there is work
    "#);
    assert!(!bed.path("a").exists() && !bed.config().contains("[[folder]]"), "nothing was made");
}

#[tokio::test]
async fn a_dry_run_does_nothing() {
    let bed = with_projects().await;
    insta::assert_snapshot!(bed.run(&["add-folder", "/Projects", "a/b", "-n"]).await.fine(), @r#"
    Would mirror /Projects (box, account `work`)
        to $DIR/a/b (will be made)
    "#);
    assert!(!bed.path("a").exists() && !bed.config().contains("[[folder]]"));
}

#[tokio::test]
async fn a_full_directory_needs_a_yes() {
    let bed = with_projects().await;
    fs::create_dir(bed.path("full")).unwrap();
    fs::write(bed.path("full/mine\u{1b}[31m.txt"), "mine").unwrap();
    insta::assert_snapshot!(bed.run(&["add-folder", "/Projects", "full"]).await.failed(1), @r#"
    error: the directory $DIR/full is not empty
    cause: it holds mine\u{1b}[31m.txt
    hint: with --yes, equal files are kept and not downloaded again, and others are never touched
    "#);
    assert!(bed.run(&["add-folder", "/Projects", "full", "--yes"]).await.fine().contains("Added folder `Projects`."));
    assert_eq!(fs::read_to_string(bed.path("full/mine\u{1b}[31m.txt")).unwrap(), "mine");
}

#[tokio::test]
async fn directories_that_cannot_be_are_refused() {
    let bed = with_projects().await;
    bed.run(&["add-folder", "/Projects/Inbox", "inbox"]).await.fine();
    insta::assert_snapshot!(bed.run(&["add-folder", "/Projects", "inbox"]).await.failed(1), @r#"
    error: this would make the configuration wrong; nothing was changed
    cause: folder.Projects.local: the directory is that of folder "Inbox", $DIR/inbox (it says "$DIR/inbox")
    hint: what it takes: agent config reference folder.local
    "#);
    insta::assert_snapshot!(bed.run(&["add-folder", "/Projects", "inbox/../inbox/deep"]).await.failed(1), @r#"
    error: this would make the configuration wrong; nothing was changed
    cause: folder.Projects.local: the directory lies in that of folder "Inbox", $DIR/inbox (it says "$DIR/inbox/deep")
    hint: what it takes: agent config reference folder.local
    "#);
    insta::assert_snapshot!(bed.run(&["add-folder", "/Projects", "home/files"]).await.failed(1), @r#"
    error: this would make the configuration wrong; nothing was changed
    cause: folder.Projects.local: the directory lies in that of the agent's state, $DIR/home (it says "$DIR/home/files"); choose a directory of its own for the folder
    "#);
    fs::write(bed.path("file"), "").unwrap();
    insta::assert_snapshot!(bed.run(&["add-folder", "/Projects", "file"]).await.failed(1), @r"
    error: $DIR/file is not a directory
    hint: name a directory, or a path where there is nothing yet
    ");
    insta::assert_snapshot!(bed.run(&["add-folder", "/Projects", "file/deep"]).await.failed(1), @r#"
    error: cannot look at $DIR/file/deep
    cause: Not a directory (os error 20)
    hint: name a directory, and look whether everything above it is one
    "#);
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_to_is_refused() {
    if rustix::process::geteuid().is_root() {
        eprintln!("skipped: root may write everywhere");
        return;
    }
    let bed = with_projects().await;
    fs::create_dir(bed.path("locked")).unwrap();
    fs::set_permissions(bed.path("locked"), fs::Permissions::from_mode(0o500)).unwrap();
    assert!(bed.run(&["add-folder", "/Projects", "locked"]).await.failed(1).contains("cannot be written to"));
    assert!(bed.run(&["add-folder", "/Projects", "locked/x"]).await.failed(1).contains("cannot make"));
}

#[tokio::test]
async fn names_come_from_the_cloud_and_are_free() {
    let bed = with_projects().await;
    let id = bed.cloud().id_of("/Projects/Out").unwrap();
    for (remote, local) in [("/受信", "a"), (&*format!("id:{id}"), "b"), ("/", "c"), ("/Projects/Out", "d")] {
        bed.run(&["add-folder", remote, local]).await.fine();
    }
    let rows = bed.run(&["folders", "--json"]).await.json();
    let names: Vec<&str> = rows["rows"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["受信", "Out", "work", "Out-2"]);
}

#[tokio::test]
async fn a_folder_can_be_two_way() {
    let bed = with_projects().await;
    bed.run(&["add-folder", "/Projects", "a", "--mode", "two-way"]).await.fine();
    assert!(bed.config().contains("mode = \"two-way\""), "{}", bed.config());
}

#[tokio::test]
async fn settings_are_changed_in_place() {
    let bed = with_projects().await;
    bed.run(&["add-folder", "/Projects/Inbox", "inbox", "--name", "in"]).await.fine();
    let commented = bed.config().replace("mode = \"mirror\"", "mode = \"mirror\" # the cloud decides");
    fs::write(bed.path("home/config.toml"), commented).unwrap();
    insta::assert_snapshot!(bed.run(&["set-folder", "in", "keep_for=30d", "exclude=*.tmp", "exclude=~$*", "keep_versions=3"]).await.fine(), @r"
    Local copies are deleted 30 d after they arrived; the cloud keeps its own.
    Changed keep_for, exclude, keep_versions of folder `in`.
    ");
    for line in ["keep_for = \"30d\"", "exclude = [\"*.tmp\", \"~$*\"]", "keep_versions = 3", "# the cloud decides"] {
        assert!(bed.config().contains(line), "{line} in {}", bed.config());
    }
    bed.run(&["set-folder", "in", "keep_for="]).await.fine();
    assert!(!bed.config().contains("keep_for"));
    let before = bed.config();
    insta::assert_snapshot!(bed.run(&["set-folder", "in", "on_drfit=keep"]).await.failed(1), @r#"
    error: this would make the configuration wrong; nothing was changed
    cause: folder.in.on_drfit: there is no such key; did you mean `on_drift`?
    "#);
    insta::assert_snapshot!(bed.run(&["set-folder", "out", "on_drift=keep"]).await.failed(1), @r#"
    error: there is no folder named `out`
    hint: there is in
    "#);
    insta::assert_snapshot!(bed.run(&["set-folder", "in", "name=out"]).await.failed(1), @r#"
    error: the name of a folder cannot be changed
    hint: remove the folder and add it again; its files are adopted, not downloaded again
    "#);
    assert_eq!(bed.config(), before);
}

#[tokio::test]
async fn removing_deletes_nothing_unless_it_is_said_twice() {
    let bed = with_projects().await;
    bed.run(&["add-folder", "/Projects/Inbox", "inbox"]).await.fine();
    fs::write(bed.path("inbox/file"), "x").unwrap();
    insta::assert_snapshot!(bed.run(&["remove-folder", "Inbox", "-n", "--delete-local"]).await.fine(), @"Would remove folder `Inbox`; $DIR/inbox is deleted with everything in it.");
    insta::assert_snapshot!(bed.run(&["remove-folder", "Inbox", "--delete-local"]).await.failed(2), @r#"
    error: deleting the local directory must be confirmed
    hint: say so with --yes
    "#);
    insta::assert_snapshot!(bed.run(&["remove-folder", "Inbox"]).await.fine(), @"Removed folder `Inbox`; $DIR/inbox stays as it is.");
    assert!(bed.path("inbox/file").exists() && !bed.config().contains("[[folder]]"));
    bed.run(&["add-folder", "/Projects/Inbox", "inbox", "--yes"]).await.fine();
    bed.run(&["rm", "Inbox", "--delete-local", "--yes"]).await.fine();
    assert!(!bed.path("inbox").exists());
}
