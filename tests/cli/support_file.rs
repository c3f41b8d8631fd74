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

/// An agent with a secret in every place that can hold one, and none of them in what is handed on, with names or without.
#[tokio::test]
async fn no_secret_of_a_configured_agent_is_handed_on() {
    let bed = Bed::signed_in().await;
    bed.cloud().mkdir_p("/Inbox").unwrap();
    bed.run(&["add-folder", "/Inbox", "inbox", "--name", "inbox"]).await.fine();
    bed.run(&["run", "--once"]).await.fine();
    let secrets = [
        "hush-header",
        "hush-query",
        "hush-user",
        "hush-proxy",
        "hush-nats",
        "hush-argument",
        "hush-signing",
        "hush-app",
        "hush-refresh",
    ];
    let kept = bed.path("home/credentials/hooks");
    fs::create_dir_all(&kept).unwrap();
    fs::set_permissions(&kept, fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(kept.join("crm-key"), "hush-signing").unwrap();
    fs::set_permissions(kept.join("crm-key"), fs::Permissions::from_mode(0o600)).unwrap();
    let login = bed.path("home/credentials/work.json");
    let tokens = serde_json::json!({ "access_token": ACCESS_TOKEN, "refresh_token": "hush-refresh", "client_id": "app",
        "client_secret": "hush-app" });
    bed.run_with(&["login", "box", "--account", "work", "--api-url", &bed.url(), "--token-stdin"], &tokens.to_string())
        .await
        .fine();
    assert!(fs::read_to_string(login).unwrap().contains("hush-app"), "it is where it can be found");
    let plain = bed.config();
    let settings = [
        "[[hook]]\nname = \"crm\"\nwhen = \"after\"\non = [\"file.*\"]\nurl = \"https://hush-user:hush-user@crm.example.com/in?token=hush-query\"\n\
         headers = { x-api-key = \"hush-header\" }\nsign = \"credential:crm-key\"\n",
        "[[hook]]\nname = \"crm\"\nwhen = \"after\"\non = [\"file.*\"]\nurl = \"https://crm.example.com/in?token=hush-query\"\n",
        "[[hook]]\nname = \"crm\"\nwhen = \"after\"\non = [\"file.*\"]\nurl = \"https://crm.example.com/in\"\n\
         headers = { x-api-key = \"hush-header\" }\n",
        "[[hook]]\nname = \"crm\"\nwhen = \"after\"\non = [\"file.*\"]\nurl = \"https://crm.example.com/in\"\n\
         proxy = \"http://someone:hush-proxy@proxy.example.com:3128\"\n",
        "[[hook]]\nname = \"crm\"\nwhen = \"after\"\non = [\"file.*\"]\nrun = [\"/bin/true\", \"--token\", \"hush-argument\"]\n",
        "[[subscription]]\nname = \"bus\"\nnats = \"nats://someone:hush-nats@127.0.0.1:4222\"\nsubject = \"a.b\"\n",
        "[[subscription]]\nname = \"crm\"\nurl = \"https://hush-user@crm.example.com/events?token=hush-query\"\n\
         headers = { authorization = \"Bearer hush-header\" }\n",
        "[[account]]\nname = \"far\"\nprovider = \"box\"\nproxy = \"http://someone:hush-proxy@127.0.0.1:9\"\n",
    ];
    for setting in settings {
        bed.write_config(&format!("{plain}\n{setting}"));
        for names in [&[][..], &["--names"]] {
            let text = bed.run(&[&["support", "--output", "-"], names].concat()).await;
            let text = format!("{}{}", text.out, text.err);
            assert!(text.contains("schema"), "{text}");
            for secret in secrets.iter().chain([&ACCESS_TOKEN]) {
                assert!(!text.contains(secret), "{secret} of {setting} is in {text}");
            }
        }
    }
}
