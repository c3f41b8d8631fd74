//! `agent support`: one file that helps, and gives nothing away.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use folder_sync_agent::sandbox::ACCESS_TOKEN;

use super::Bed;

#[tokio::test]
async fn the_file_says_what_it_holds_and_holds_no_names_and_no_secrets() {
    let bed = Bed::signed_in().await;
    bed.cloud().mkdir_p("/Takeover Plan").unwrap();
    bed.cloud().write("/Takeover Plan/price list.xlsx", b"one".to_vec()).unwrap();
    bed.run(&["add-folder", "/Takeover Plan", "takeover"]).await.fine();
    bed.run(&["run", "--once"]).await.fine();
    bed.cloud().write("/Takeover Plan/second offer.pdf", b"two".to_vec()).unwrap();
    bed.run(&["run", "--once"]).await.fine();
    let said = bed.run(&["support"]).await.fine();
    for part in
        ["configuration", "status", "doctor", "problems", "database", "journal", "log", "Wrote $DIR/agent-support.json"]
    {
        assert!(said.contains(part), "{part} in {said}");
    }
    let path = bed.path("agent-support.json");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let text = fs::read_to_string(&path).unwrap();
    for name in ["Takeover", "takeover", "price list", "second offer", "agent@example.test", ACCESS_TOKEN] {
        assert!(!text.contains(name), "{name} in {text}");
    }
    let file: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(file["agent"]["version"].as_str().unwrap().starts_with("0."), "{}", file["agent"]);
    assert_eq!(file["database"]["rows"].as_array().unwrap().iter().find(|row| row[0] == "folder").unwrap()[1], 1);
    assert!(
        file["journal"]
            .as_array()
            .unwrap()
            .iter()
            .any(|event| event["path"].as_str().is_some_and(|path| path.contains(".pdf")))
    );
    assert!(file["doctor"].as_array().unwrap().len() > 4);
    assert_eq!(bed.run(&["support"]).await.code, 1, "what is there is not replaced unasked");
    let named = bed.run(&["support", "--names", "--output", "-"]).await.fine();
    assert!(named.contains("second offer.pdf") && !named.contains(ACCESS_TOKEN));
}

#[tokio::test]
async fn the_version_says_what_it_was_made_of() {
    let bed = Bed::new();
    let said = bed.run(&["--version"]).await.fine();
    let words: Vec<&str> = said.split_whitespace().collect();
    assert_eq!((words[0], words.len()), ("agent", 4), "{said}");
    assert!(words[2].starts_with('(') && words[3].ends_with(')') && words[3].len() == 11, "{said}");
}
