//! The Egnyte face: signing in, looking, downloading, following events, and what a token may spend.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use folder_sync_agent::sandbox::{
    ACCESS_TOKEN, Bustle, Cloud, Content, Fault, OTHER_ACCESS_TOKEN, Options, Quota, Rule, ThrottleForm, User,
};
use reqwest::{Method, Response};
use serde_json::Value;

use super::client::Bed;

/// The id that a cursor begins with.
async fn latest(bed: &Bed) -> u64 {
    bed.json("/pubapi/v2/events/cursor").await["latest_event_id"].as_u64().unwrap()
}

/// One page of events; none means 204.
async fn page(bed: &Bed, id: u64, query: &str) -> Option<Value> {
    let response = bed.get(&format!("/pubapi/v2/events?id={id}{query}")).await;
    match response.status().as_u16() {
        204 => None,
        200 => Some(response.json().await.unwrap()),
        other => panic!("{other}"),
    }
}

/// Action and path of every event.
fn told(page: Option<Value>) -> Vec<(String, String)> {
    let page = page.unwrap_or_default();
    let events = page["events"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    events.iter().map(|event| (text(&event["action"]), text(&event["data"]["target_path"]))).collect()
}

fn pair(action: &str, path: &str) -> (String, String) {
    (action.to_owned(), path.to_owned())
}

async fn body(response: Response) -> Value {
    response.json().await.unwrap()
}

#[tokio::test]
async fn both_providers_are_spoken_on_one_port_over_one_cloud() {
    let bed = Bed::new().await;
    let id = bed.cloud.write("/Shared/in/a.txt", Content::from("abc")).unwrap();
    let by_box = bed.json(&format!("/2.0/files/{id}")).await;
    let by_egnyte = bed.json("/pubapi/v1/fs/Shared/IN/A.TXT").await;
    assert_eq!((&by_box["name"], &by_box["size"]), (&by_egnyte["name"], &by_egnyte["size"]));
    let sha512 = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                  2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";
    assert_eq!(by_egnyte["checksum"], sha512);
    assert_eq!(by_egnyte["group_id"], bed.cloud.egnyte_id_of("/Shared/in/a.txt").unwrap().as_str());
    assert_eq!(by_egnyte["entry_id"], bed.cloud.egnyte_entries("/Shared/in/a.txt").unwrap()[0].as_str());
}

#[tokio::test]
async fn signing_in_by_code_and_by_refresh_token() {
    let bed = Bed::new().await;
    let back = "http%3A%2F%2F127.0.0.1%3A9%2Fback";
    let query = format!("?client_id=k&response_type=code&state=s&redirect_uri={back}");
    let sent = bed.http.get(format!("{}/puboauth/token{query}", bed.url)).send().await.unwrap();
    let location = url::Url::parse(sent.headers()["location"].to_str().unwrap()).unwrap();
    let fields: HashMap<String, String> = location.query_pairs().into_owned().collect();
    assert_eq!(fields["state"], "s");
    let token = async |form: &[(&str, &str)]| {
        let request = bed.http.post(format!("{}/puboauth/token", bed.url));
        request.form(form).send().await.unwrap()
    };
    let by_code = [("grant_type", "authorization_code"), ("client_id", "k"), ("code", &fields["code"])];
    let first = body(token(&by_code).await).await;
    assert_eq!(first["expires_in"], 2_592_000);
    assert_eq!(token(&by_code).await.status(), 400, "a code works once");
    let refresh = first["refresh_token"].as_str().unwrap();
    let by_refresh = [("grant_type", "refresh_token"), ("client_id", "k"), ("refresh_token", refresh)];
    let second = body(token(&by_refresh).await).await;
    let who = async |token: &Value| {
        let request = bed.http.get(format!("{}/pubapi/v1/userinfo", bed.url));
        request.bearer_auth(token.as_str().unwrap()).send().await.unwrap()
    };
    let refused = who(&first["access_token"]).await;
    assert_eq!(refused.status(), 401);
    assert!(refused.text().await.unwrap().contains("<h1>"));
    let user = body(who(&second["access_token"]).await).await;
    assert_eq!((&user["username"], &user["id"]), (&"agent".into(), &User::Agent.id().into()));
    let revoke = bed.http.post(format!("{}/pubapi/v1/tokens/revoke", bed.url));
    revoke.bearer_auth(second["access_token"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(who(&second["access_token"]).await.status(), 401);
}

#[tokio::test]
async fn a_folder_is_listed_by_pages_and_sized_by_one_call() {
    let bed = Bed::new().await;
    for n in 0..12 {
        bed.cloud.write(&format!("/Shared/in/file {n}"), Content::pattern(n, 10)).unwrap();
        bed.cloud.mkdir_p(&format!("/Shared/in/Folder {n}")).unwrap();
    }
    bed.cloud.web_link("/Shared/in/link").unwrap();
    let id = bed.cloud.egnyte_id_of("/Shared/in").unwrap();
    let mut names = Vec::new();
    for offset in (0..24).step_by(7) {
        let page = bed.json(&format!("/pubapi/v1/fs/ids/folder/{id}?count=7&offset={offset}")).await;
        assert_eq!((&page["total_count"], &page["offset"]), (&24.into(), &offset.into()));
        for list in ["folders", "files"] {
            assert_ne!(page[list], Value::Array(Vec::new()), "an empty list is absent");
            let items = page[list].as_array().cloned().unwrap_or_default();
            names.extend(items.iter().map(|item| item["name"].as_str().unwrap().to_owned()));
        }
    }
    assert_eq!(names.len(), 24);
    assert_eq!(names.into_iter().collect::<BTreeSet<_>>(), bed.cloud.tree("/Shared/in").unwrap().into_keys().collect());
    let alone = bed.json("/pubapi/v1/fs/Shared/in?list_content=false").await;
    assert!(alone.get("total_count").is_none() && alone.get("files").is_none());
    assert!(alone["lastModified"].is_u64() && alone["folder_id"] == id.as_str());
    let stats = bed.json(&format!("/pubapi/v1/fs/ids/folder/{id}/stats")).await;
    assert_eq!(
        (&stats["filesCount"], &stats["foldersCount"], &stats["allFilesSize"]),
        (&12.into(), &12.into(), &120.into())
    );
    assert_eq!((bed.cloud.count("egnyte_list"), bed.cloud.count("egnyte_stat")), (4, 1));
}

#[tokio::test]
async fn only_the_shared_tree_and_the_own_one_are_seen() {
    let bed = Bed::new().await;
    let from = latest(&bed).await;
    for path in ["/Projects/a", "/Private/other/b", "/Private/agent/c", "/Shared/d/e"] {
        bed.cloud.write(path, Content::from("x")).unwrap();
    }
    let root = bed.json("/pubapi/v1/fs/").await;
    let names: Vec<_> = root["folders"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Private", "Shared"]);
    let private = bed.json("/pubapi/v1/fs/Private").await;
    assert_eq!(private["total_count"], 1);
    for (path, status) in [("Projects", 404), ("Private/other", 403), ("Private/agent/c", 200), ("Shared/a%2Fb", 596)] {
        assert_eq!(bed.get(&format!("/pubapi/v1/fs/{path}")).await.status().as_u16(), status, "{path}");
    }
    let hidden = bed.cloud.egnyte_id_of("/Private/other/b").unwrap();
    assert_eq!(bed.get(&format!("/pubapi/v1/fs-content/ids/file/{hidden}")).await.status(), 403);
    let seen = told(page(&bed, from, "").await);
    assert_eq!(seen, [pair("create", "/Private/agent/c"), pair("create", "/Shared/d"), pair("create", "/Shared/d/e")]);
}

#[tokio::test]
async fn a_download_is_pinned_to_a_version_and_read_in_parts() {
    let bed = Bed::new().await;
    bed.cloud.write_at("/Shared/in/f", Content::pattern(1, 5000), Some(1_600_000_000_123)).unwrap();
    let old = bed.cloud.read("/Shared/in/f").unwrap();
    bed.cloud.write("/Shared/in/f", Content::from("new")).unwrap();
    let (id, entries) =
        (bed.cloud.egnyte_id_of("/Shared/in/f").unwrap(), bed.cloud.egnyte_entries("/Shared/in/f").unwrap());
    let by_id = format!("/pubapi/v1/fs-content/ids/file/{id}?entry_id={}", entries[0]);
    let part = bed.ask(Method::GET, &by_id).header("range", "bytes=1000-1999").send().await.unwrap();
    assert_eq!(
        (part.status().as_u16(), &part.headers()["content-range"]),
        (206, &"bytes 1000-1999/5000".parse().unwrap())
    );
    assert_eq!(part.headers()["etag"], entries[0].as_str());
    assert_eq!(part.bytes().await.unwrap(), old[1000..2000]);
    let over = bed.ask(Method::GET, &by_id).header("range", "bytes=5000-").send().await.unwrap();
    assert_eq!(over.status(), 416);
    let current = bed.get("/pubapi/v1/fs-content/Shared/in/f").await;
    assert_eq!(current.headers()["x-sha512-checksum"].len(), 128);
    assert_eq!(current.headers()["etag"], entries[1].as_str());
    assert!(current.headers().contains_key("last-modified"));
    assert_eq!(current.text().await.unwrap(), "new");
    let gone = bed.get(&format!("/pubapi/v1/fs-content/ids/file/{id}?entry_id=none")).await;
    assert_eq!(gone.status(), 404);
    let file = bed.json(&format!("/pubapi/v1/fs/ids/file/{id}?entry_id={}", entries[0])).await;
    assert_eq!((&file["size"], &file["entry_id"]), (&5000.into(), &entries[0].as_str().into()));
}

#[tokio::test]
async fn events_come_by_pages_and_an_old_id_is_refused() {
    let bed = Bed::new().await;
    let from = latest(&bed).await;
    assert!(page(&bed, from, "").await.is_none(), "nothing is 204");
    bed.cloud.mkdir_p("/Shared/in").unwrap();
    for n in 0..5 {
        bed.cloud.write(&format!("/Shared/in/{n}"), Content::from("x")).unwrap();
    }
    let first = page(&bed, from, "&count=4").await.unwrap();
    assert_eq!(first["events"].as_array().unwrap().len(), 4);
    assert_eq!(first["latest_id"], first["events"][3]["id"], "the position is that of the page");
    let rest = page(&bed, first["latest_id"].as_u64().unwrap(), "").await;
    assert_eq!(told(rest), [pair("create", "/Shared/in/3"), pair("create", "/Shared/in/4")][..]);
    let event = &first["events"][1];
    assert_eq!(event["data"]["target_group_id"], bed.cloud.egnyte_id_of("/Shared/in/0").unwrap().as_str());
    assert_eq!(event["data"]["target_id"], bed.cloud.egnyte_entries("/Shared/in/0").unwrap()[0].as_str());
    let kept = bed.cloud.history(0)[2].number;
    bed.cloud.forget_events_up_to(kept);
    let cursor = bed.json("/pubapi/v1/events/cursor").await;
    assert_eq!(cursor["oldest_event_id"], Cloud::egnyte_event_id(kept));
    let lost = bed.get(&format!("/pubapi/v1/events?id={from}")).await;
    assert_eq!(lost.status(), 404);
    assert_eq!(body(lost).await["message"], "Invalid cursor");
    assert_eq!(told(page(&bed, Cloud::egnyte_event_id(kept), "").await).len(), 3, "on from the oldest");
    assert_eq!(bed.get("/pubapi/v1/events").await.status(), 400);
    bed.cloud.foreign_noise(3);
    assert_eq!(told(page(&bed, latest(&bed).await - 3, "&folder=/Shared").await).len(), 3);
}

#[tokio::test]
async fn events_are_filtered_by_folder_type_and_who_did_it() {
    let bed = Bed::new().await;
    bed.cloud.mkdir_p("/Shared/in").unwrap();
    bed.cloud.mkdir_p("/Shared/out").unwrap();
    let from = latest(&bed).await;
    let other = async |path: &str, token: &str| {
        let request = bed.http.post(format!("{}/pubapi/v1/fs-content{path}", bed.url)).bearer_auth(token);
        assert_eq!(request.body("x").send().await.unwrap().status(), 200);
    };
    other("/Shared/in/mine", ACCESS_TOKEN).await;
    other("/Shared/in/theirs", OTHER_ACCESS_TOKEN).await;
    bed.cloud.as_user(User::Agent).write("/Shared/in/web", Content::from("x")).unwrap();
    bed.cloud.move_to("/Shared/in/mine", "/Shared/out").unwrap();
    bed.cloud.announce("permission_change:permission_change", Some("/Shared/in")).unwrap();
    bed.cloud.announce("note:create", Some("/Shared/in/web")).unwrap();
    bed.cloud.announce("ITEM_SHARED", Some("/Shared/in/web")).unwrap();
    bed.cloud.lock("/Shared/in/web").unwrap();
    bed.cloud.describe("/Shared/in/web", "text").unwrap();
    let [mine, theirs, web] = ["mine", "theirs", "web"].map(|name| pair("create", &format!("/Shared/in/{name}")));
    let moved = pair("move", "/Shared/out/mine");
    let files = "&type=file_system";
    assert_eq!(told(page(&bed, from, files).await), [mine.clone(), theirs.clone(), web.clone(), moved.clone()]);
    let suppressed = told(page(&bed, from, "&type=file_system&suppress=app").await);
    assert_eq!(suppressed, [web.clone(), moved.clone()], "every client of the key is hidden");
    let suppressed = told(page(&bed, from, "&type=file_system&suppress=user").await);
    assert_eq!(suppressed, [theirs.clone(), web.clone(), moved], "what the user did elsewhere is not");
    let inside = told(page(&bed, from, "&type=file_system&folder=/shared/IN").await);
    assert_eq!(inside, [mine, theirs, web], "a filtered watcher does not hear of a move out");
    assert_eq!(told(page(&bed, from, "&type=note|permission_change").await).len(), 2);
    let v1 = body(bed.get(&format!("/pubapi/v1/events?id={from}&type=note|permission_change")).await).await;
    assert_eq!(v1["events"].as_array().unwrap().len(), 1, "the first version has no changes of permissions");
}

/// What one knows of the tree who only listens: paths with the API's address of the item.
#[derive(Default)]
struct Listener {
    paths: BTreeMap<String, String>,
    deleted: HashMap<String, Vec<(String, String)>>,
}

impl Listener {
    /// Takes out the item at a path with everything below, as paths relative to it.
    fn take(&mut self, path: &str) -> Vec<(String, String)> {
        let below = format!("{path}/");
        let gone: Vec<_> = self.paths.keys().filter(|one| *one == path || one.starts_with(&below)).cloned().collect();
        gone.into_iter().map(|one| (one[path.len()..].to_owned(), self.paths.remove(&one).unwrap())).collect()
    }

    fn put(&mut self, path: &str, items: Vec<(String, String)>) {
        self.paths.extend(items.into_iter().map(|(below, id)| (format!("{path}{below}"), id)));
    }

    fn hear(&mut self, event: &Value) {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let (path, id) = (text(&event["data"]["target_path"]), text(&event["object_detail"]));
        match event["action"].as_str().unwrap() {
            "create" | "copy" => drop(self.paths.insert(path, id)),
            "move" => {
                let items = self.take(event["data"]["source_path"].as_str().unwrap());
                self.put(&path, items);
            }
            "delete" => {
                let items = self.take(&path);
                assert!(!items.is_empty(), "{path} was there");
                self.deleted.insert(id, items);
            }
            "restore" => {
                let items = self.deleted.remove(&id).unwrap();
                self.put(&path, items);
            }
            other => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn who_listens_to_a_busy_folder_knows_its_tree() {
    let bed = Bed::new().await;
    bed.cloud.mkdir_p("/Shared/in").unwrap();
    let mut from = latest(&bed).await;
    let mut bustle = Bustle::new(&bed.cloud, "/Shared/in", 11).unwrap();
    for _ in 0..600 {
        bustle.step().unwrap();
    }
    let mut listener = Listener::default();
    while let Some(page) = page(&bed, from, "&count=100&folder=/Shared/in").await {
        from = page["latest_id"].as_u64().unwrap();
        page["events"].as_array().unwrap().iter().for_each(|event| listener.hear(event));
    }
    let known: BTreeSet<String> =
        listener.paths.into_keys().map(|path| path["/Shared/in/".len()..].to_owned()).collect();
    assert!(known.len() > 50, "{}", known.len());
    assert_eq!(known, bed.cloud.tree("/Shared/in").unwrap().into_keys().collect());
}

#[tokio::test]
async fn a_token_that_spends_too_much_is_throttled_in_either_form() {
    let bed = Bed::with(Options { egnyte_quota: Quota::DOCUMENTED, ..Options::default() }).await;
    let me = "/pubapi/v1/userinfo";
    let first = bed.get(me).await;
    assert_eq!(first.headers()["x-accesstoken-qps-allotted"], "2");
    assert_eq!(first.headers()["x-accesstoken-quota-allotted"], "1000");
    assert_eq!(first.headers()["x-accesstoken-quota-current"], "1");
    bed.cloud.set_egnyte_quota(Quota { per_second: Some(0), ..Quota::NONE });
    let over = bed.get(me).await;
    assert_eq!(over.status(), 403);
    assert_eq!(over.headers()["x-mashery-error-code"], "ERR_403_DEVELOPER_OVER_QPS");
    assert_eq!(over.headers()["retry-after"], "1");
    bed.cloud.set_egnyte_quota(Quota { per_day: Some(3), ..Quota::NONE });
    for _ in 0..2 {
        assert_eq!(bed.get(me).await.status(), 200);
    }
    let over = bed.get(me).await;
    assert_eq!(over.headers()["x-mashery-error-code"], "ERR_403_DEVELOPER_OVER_RATE");
    assert!(over.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap() <= 86_400);
    assert_eq!(over.headers()["x-accesstoken-quota-current"], "3");
    bed.cloud.set_egnyte_quota(Quota { per_day: Some(3), form: ThrottleForm::TooMany, ..Quota::NONE });
    let over = bed.get(me).await;
    assert_eq!((over.status().as_u16(), over.headers().contains_key("x-mashery-error-code")), (429, false));
    let other = bed.http.get(format!("{}{me}", bed.url)).bearer_auth(OTHER_ACCESS_TOKEN).send().await.unwrap();
    assert_eq!(other.status(), 200, "every token has its own quota");
    assert_eq!(bed.cloud.egnyte_spent_today(ACCESS_TOKEN), 3);
    bed.cloud.egnyte_next_day();
    assert_eq!(bed.cloud.egnyte_spent_today(ACCESS_TOKEN), 0);
    assert_eq!(bed.get(me).await.status(), 200);
    assert_eq!(bed.cloud.count("throttled"), 3);
}

#[tokio::test]
async fn scripted_faults_hit_by_path_and_by_either_id() {
    let bed = Bed::new().await;
    let id = bed.cloud.write("/Shared/in/f", Content::pattern(1, 600_000)).unwrap();
    bed.cloud.write("/Shared/in/g", Content::from("g")).unwrap();
    let group = bed.cloud.egnyte_id_of("/Shared/in/f").unwrap();
    let (by_path, by_id) = ("/pubapi/v1/fs-content/Shared/in/f", format!("/pubapi/v1/fs-content/ids/file/{group}"));
    for name in [id.as_str(), &group, "/Shared/in/f"] {
        for path in [by_path, &by_id] {
            bed.cloud.faults().add(Rule::on("egnyte_download", Fault::CutBody { after: 1000 }).id(name));
            assert_eq!(bed.get("/pubapi/v1/fs-content/Shared/in/g").await.text().await.unwrap(), "g");
            assert!(bed.get(path).await.bytes().await.is_err(), "{name} {path}");
        }
    }
    bed.cloud.faults().once("egnyte_download", Fault::IgnoreRange);
    let whole = bed.ask(Method::GET, by_path).header("range", "bytes=5-9").send().await.unwrap();
    assert_eq!((whole.status().as_u16(), whole.content_length()), (200, Some(600_000)));
    bed.cloud.faults().once("egnyte_userinfo", Fault::RevokeToken);
    for _ in 0..2 {
        assert_eq!(bed.get("/pubapi/v1/userinfo").await.status(), 401);
    }
}

#[tokio::test]
async fn pages_of_events_and_listings_are_disturbed() {
    let bed = Bed::new().await;
    bed.cloud.mkdir_p("/Shared/in").unwrap();
    let from = latest(&bed).await;
    for name in ["a", "b", "c"] {
        bed.cloud.write(&format!("/Shared/in/{name}"), Content::from(name)).unwrap();
    }
    let with = async |fault: Fault| {
        bed.cloud.faults().once("egnyte_events", fault);
        page(&bed, from, "").await
    };
    let names = |page: Option<Value>| -> String {
        told(page).iter().map(|(_, path)| path.rsplit('/').next().unwrap().to_owned()).collect()
    };
    assert_eq!(names(with(Fault::DuplicateEvents).await), "aabbcc");
    assert_eq!(names(with(Fault::ReorderEvents).await), "cba");
    assert_eq!(names(with(Fault::RewindEvents { by: 1 }).await), "inabc");
    assert_eq!(names(with(Fault::ShortPage { entries: 2 }).await), "ab");
    assert!(with(Fault::LateEvents).await.is_none());
    let dropped = with(Fault::DropEvents).await.unwrap();
    assert_eq!((&dropped["latest_id"], &dropped["count"]), (&(from + 3).into(), &0.into()));
    assert_eq!(with(Fault::PositionText).await.unwrap()["latest_id"], (from + 3).to_string());
    assert_eq!(with(Fault::PositionStuck).await.unwrap()["latest_id"], from);
    bed.cloud.faults().once("egnyte_list", Fault::EmptyListing);
    let listing = bed.json("/pubapi/v1/fs/Shared/in").await;
    assert!(listing.get("files").is_none());
    bed.cloud.faults().once("egnyte_list", Fault::DuplicateEntries);
    assert_eq!(bed.json("/pubapi/v1/fs/Shared/in").await["files"].as_array().unwrap().len(), 6);
}
