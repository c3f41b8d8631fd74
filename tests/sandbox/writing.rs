//! Creating, uploading, changing, trashing: what is kept, what is refused, and how that is said.

use folder_sync_agent::sandbox::{Content, Options, User};
use reqwest::multipart::{Form, Part};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use sha1::{Digest, Sha1};

use super::client::Bed;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

fn coded(bytes: &[u8]) -> String {
    use base64::Engine as _;
    format!("sha={}", base64::engine::general_purpose::STANDARD.encode(Sha1::digest(bytes)))
}

async fn upload(bed: &Bed, path: &str, attributes: &Value, content: &[u8], headers: &[(&str, &str)]) -> Response {
    let form = Form::new()
        .text("attributes", attributes.to_string())
        .part("file", Part::bytes(content.to_vec()).file_name("x"));
    let mut ask = bed.ask(Method::POST, path).multipart(form);
    for (name, value) in headers {
        ask = ask.header(*name, *value);
    }
    ask.send().await.unwrap()
}

async fn code(response: Response) -> (u16, String, Value) {
    let status = response.status().as_u16();
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["status"], status, "{body}");
    assert_eq!(body["type"], "error");
    (status, body["code"].as_str().unwrap().to_owned(), body["context_info"].clone())
}

#[tokio::test]
async fn an_upload_is_checked_kept_and_told() {
    let bed = Bed::new().await;
    let folder = bed.cloud.mkdir_p("/in").unwrap();
    let attributes = json!({"name": "a.txt", "parent": {"id": folder}, "content_modified_at": "2024-05-06T07:08:09Z"});
    let bad = upload(&bed, "/api/2.0/files/content", &attributes, b"hello", &[("content-md5", "00")]).await;
    assert_eq!(code(bad).await.1, "bad_digest");
    let sha1 = hex(&Sha1::digest(b"hello"));
    let good = upload(&bed, "/api/2.0/files/content", &attributes, b"hello", &[("content-md5", &sha1)]).await;
    assert_eq!(good.status(), 201);
    let file = good.json::<Value>().await.unwrap()["entries"][0].take();
    assert_eq!(file["sha1"], sha1);
    assert_eq!(file["content_modified_at"], "2024-05-06T00:08:09-07:00");
    assert_eq!(file["path_collection"]["entries"][1]["name"], "in");
    assert_eq!(bed.cloud.read("/in/a.txt").unwrap(), b"hello");

    let again = upload(&bed, "/api/2.0/files/content", &attributes, b"hello", &[]).await;
    let (status, why, context) = code(again).await;
    assert_eq!((status, why.as_str()), (409, "item_name_in_use"));
    assert_eq!(context["conflicts"]["id"], file["id"], "one object for files");

    let id = file["id"].as_str().unwrap();
    let path = format!("/api/2.0/files/{id}/content");
    let stale = upload(&bed, &path, &json!({"name": "a.txt"}), b"two", &[("if-match", "7")]).await;
    assert_eq!(code(stale).await.0, 412);
    let etag = file["etag"].as_str().unwrap();
    let version = upload(&bed, &path, &json!({"name": "b.txt"}), b"two", &[("if-match", etag)]).await;
    assert_eq!(version.status(), 200);
    assert_eq!(bed.cloud.read("/in/B.TXT").unwrap(), b"two", "renamed in passing, and names ignore case");

    let mixed = Form::new().part("file", Part::bytes(vec![1])).text("attributes", attributes.to_string());
    let late = bed.ask(Method::POST, "/api/2.0/files/content").multipart(mixed).send().await.unwrap();
    assert_eq!(code(late).await.1, "metadata_after_file_contents");
}

#[tokio::test]
async fn a_large_upload_lives_on_disk_and_comes_back_whole() {
    let dir = tempfile::tempdir().unwrap();
    let bed = Bed::with(Options { data: Some(dir.path().to_owned()), ..Options::default() }).await;
    let content: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let attributes = json!({"name": "large", "parent": {"id": "0"}});
    assert_eq!(upload(&bed, "/api/2.0/files/content", &attributes, &content, &[]).await.status(), 201);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    let id = bed.cloud.id_of("/large").unwrap();
    let link = bed.link(&id, "").await;
    assert_eq!(bed.http.get(link).send().await.unwrap().bytes().await.unwrap(), content);
    bed.cloud.delete_forever(&id).unwrap();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_chunked_upload_needs_every_part_and_the_right_digests() {
    let bed = Bed::with(Options { chunked_min_bytes: 1000, part_bytes: 1000, ..Options::default() }).await;
    let content: Vec<u8> = (0..2500_u32).map(|n| (n % 251) as u8).collect();
    let start = |size: usize| {
        let body = json!({"folder_id": "0", "file_name": "big", "file_size": size});
        bed.ask(Method::POST, "/api/2.0/files/upload_sessions").json(&body)
    };
    assert_eq!(code(start(999).send().await.unwrap()).await.1, "file_size_too_small");
    let session: Value = start(2500).send().await.unwrap().json().await.unwrap();
    assert_eq!((session["part_size"].as_u64(), session["total_parts"].as_u64()), (Some(1000), Some(3)));
    let base = format!("/api/2.0/files/upload_sessions/{}", session["id"].as_str().unwrap());
    assert_eq!(session["session_endpoints"]["commit"], format!("{}{base}/commit", bed.url));

    let put = async |from: usize, to: usize, digest: &str| {
        bed.ask(Method::PUT, &base)
            .header("digest", digest)
            .header("content-range", format!("bytes {from}-{}/2500", to - 1))
            .body(content[from..to].to_vec())
            .send()
            .await
            .unwrap()
    };
    assert_eq!(code(put(0, 1000, "sha=AAAA").await).await.1, "bad_digest");
    assert_eq!(put(0, 900, &coded(&content[..900])).await.status(), 416);
    let mut parts = Vec::new();
    for (from, to) in [(0, 1000), (1000, 2000)] {
        let part: Value = put(from, to, &coded(&content[from..to])).await.json().await.unwrap();
        assert_eq!(part["part"]["sha1"], hex(&Sha1::digest(&content[from..to])));
        parts.push(part["part"].clone());
    }
    assert_eq!(code(put(0, 1000, &coded(&content[..1000])).await).await.1, "range_overlaps_existing_part");
    let commit = async |parts: &[Value], digest: &str| {
        let body = json!({"parts": parts, "attributes": {"content_modified_at": "2024-05-06T07:08:09Z"}});
        bed.ask(Method::POST, &format!("{base}/commit")).header("digest", digest).json(&body).send().await.unwrap()
    };
    let whole = coded(&content);
    assert_eq!(code(commit(&parts, &whole).await).await.1, "parts_mismatch");
    let part: Value = put(2000, 2500, &coded(&content[2000..])).await.json().await.unwrap();
    parts.push(part["part"].clone());
    let listed: Value = bed.json(&format!("{base}/parts")).await;
    assert_eq!(listed["entries"].as_array().unwrap(), &parts);
    assert_eq!(code(commit(&parts, "sha=AAAA").await).await.1, "bad_digest");
    assert_eq!(commit(&parts, &whole).await.status(), 201);
    assert_eq!(bed.cloud.read("/big").unwrap(), content);
    assert_eq!(bed.get(&base).await.status(), 404, "the session is over");
}

#[tokio::test]
async fn folders_are_made_moved_trashed_and_restored() {
    let bed = Bed::new().await;
    let make = async |name: &str, parent: &str| {
        let body = json!({"name": name, "parent": {"id": parent}});
        bed.ask(Method::POST, "/2.0/folders").json(&body).send().await.unwrap()
    };
    let a = make("a", "0").await.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned();
    let b = make("b", &a).await.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned();
    let (status, _, context) = code(make("A", "0").await).await;
    assert_eq!((status, &context["conflicts"][0]["id"]), (409, &json!(a)), "an array for folders");
    for name in ["", ".", "..", "x/y", "tail ", "\u{7}", &"x".repeat(256)] {
        assert_eq!(code(make(name, "0").await).await.1, "item_name_invalid", "{name:?}");
    }
    assert_eq!(make(&"日".repeat(255), "0").await.status(), 201);

    let put = async |id: &str, body: Value| {
        bed.ask(Method::PUT, &format!("/2.0/folders/{id}")).json(&body).send().await.unwrap()
    };
    assert_eq!(code(put(&a, json!({"parent": {"id": b}})).await).await.1, "cyclical_folder_structure");
    assert_eq!(code(put("0", json!({"name": "x"})).await).await.0, 403);
    assert_eq!(put(&b, json!({"name": "c", "parent": {"id": "0"}})).await.status(), 200);
    assert_eq!(bed.cloud.id_of("/c").unwrap(), b);
    bed.cloud.write("/c/d/file", "x").unwrap();
    let file = bed.cloud.id_of("/c/d/file").unwrap();

    let delete = async |query: &str| bed.ask(Method::DELETE, &format!("/2.0/folders/{b}{query}")).send().await.unwrap();
    assert_eq!(code(delete("").await).await.1, "folder_not_empty");
    assert_eq!(delete("?recursive=true").await.status(), 204);
    assert_eq!(code(bed.get(&format!("/2.0/files/{file}")).await).await.1, "trashed", "with everything below");
    assert_eq!(bed.json("/2.0/folders/trash/items").await["entries"][0]["id"], b);
    assert_eq!(bed.json(&format!("/2.0/folders/{b}/trash")).await["item_status"], "trashed");
    let restore = bed.ask(Method::POST, &format!("/2.0/folders/{b}")).json(&json!({})).send().await.unwrap();
    assert_eq!(restore.status(), 201);
    assert_eq!(bed.cloud.read("/c/d/file").unwrap(), b"x");
    assert_eq!(bed.get(&format!("/2.0/files/{a}")).await.status(), 404, "a folder is no file");
}

#[tokio::test]
async fn promoting_an_old_version_brings_its_etag_back() {
    let bed = Bed::new().await;
    let id = bed.cloud.write("/f", "one").unwrap();
    bed.cloud.write("/f", "two").unwrap();
    let before = bed.json(&format!("/2.0/files/{id}")).await;
    let past = bed.json(&format!("/2.0/files/{id}/versions")).await;
    assert_eq!(past["total_count"], 1, "the current one is not among them");
    let body = json!({"type": "file_version", "id": past["entries"][0]["id"]});
    let promote = bed.ask(Method::POST, &format!("/2.0/files/{id}/versions/current")).json(&body).send().await.unwrap();
    assert_eq!(promote.status(), 201);
    let after = bed.json(&format!("/2.0/files/{id}")).await;
    assert_eq!((&before["etag"], &after["etag"]), (&json!("1"), &json!("0")), "not monotonic");
    assert_eq!((&before["sequence_id"], &after["sequence_id"]), (&json!("1"), &json!("2")));
    assert_ne!(after["file_version"]["id"], past["entries"][0]["id"], "but a new version");
    assert_eq!(bed.cloud.read("/f").unwrap(), b"one");
}

#[tokio::test]
async fn anothers_lock_is_respected_and_if_none_match_saves_the_answer() {
    let bed = Bed::new().await;
    let id = bed.cloud.write("/f", "one").unwrap();
    bed.cloud.lock("/f").unwrap();
    let refused = bed.ask(Method::DELETE, &format!("/2.0/files/{id}")).send().await.unwrap();
    assert_eq!(code(refused).await.1, "access_denied_item_locked");
    assert_eq!(
        bed.json(&format!("/2.0/files/{id}?fields=lock")).await["lock"]["created_by"]["id"],
        User::Other.id().to_string()
    );
    bed.cloud.unlock("/f").unwrap();
    let seen = bed.ask(Method::GET, &format!("/2.0/files/{id}")).header("if-none-match", "\"2\"").send().await.unwrap();
    assert_eq!(seen.status(), 304);
    assert_eq!(bed.ask(Method::DELETE, &format!("/2.0/files/{id}")).send().await.unwrap().status(), 204);
}

#[tokio::test]
async fn a_preflight_says_what_the_upload_would_meet() {
    let bed = Bed::with(Options { max_upload_bytes: 1000, space_bytes: 1500, ..Options::default() }).await;
    bed.cloud.write("/taken", Content::pattern(1, 900)).unwrap();
    let ask = async |name: &str, size: u64| {
        let body = json!({"name": name, "size": size, "parent": {"id": "0"}});
        bed.ask(Method::OPTIONS, "/2.0/files/content").json(&body).send().await.unwrap()
    };
    assert_eq!(ask("free", 10).await.status(), 200);
    assert_eq!(code(ask("TAKEN", 10).await).await.1, "item_name_in_use");
    assert_eq!(code(ask("free", 1001).await).await.1, "file_size_limit_exceeded");
    assert_eq!(code(ask("free", 800).await).await.1, "storage_limit_exceeded");
}

#[tokio::test]
async fn tokens_are_refreshed_once_and_revoked() {
    let bed = Bed::new().await;
    let pair = bed.cloud.issue_pair(User::Agent, 3600);
    let refresh = async |token: &str| {
        let form =
            [("grant_type", "refresh_token"), ("refresh_token", token), ("client_id", "c"), ("client_secret", "s")];
        bed.http.post(format!("{}/oauth2/token", bed.url)).form(&form).send().await.unwrap()
    };
    let next: Value = refresh(&pair.refresh_token).await.json().await.unwrap();
    assert_eq!(next["expires_in"], 3600);
    let me = async |token: &str| {
        bed.http.get(format!("{}/2.0/users/me", bed.url)).bearer_auth(token).send().await.unwrap().status()
    };
    assert_eq!(me(&pair.access_token).await, 401, "the old access token died with the refresh");
    let access = next["access_token"].as_str().unwrap();
    assert_eq!(me(access).await, 200);
    let used = refresh(&pair.refresh_token).await;
    assert_eq!(used.status(), 400, "the pair that it bought was used");
    assert_eq!(used.json::<Value>().await.unwrap()["error"], "invalid_grant");
    bed.http.post(format!("{}/oauth2/revoke", bed.url)).form(&[("token", access)]).send().await.unwrap();
    assert_eq!(me(access).await, 401);

    let back = bed.http.get(format!("{}/api/oauth2/authorize?redirect_uri=http://127.0.0.1:9/cb&state=s", bed.url));
    let back = back.send().await.unwrap().headers()["location"].to_str().unwrap().to_owned();
    let code = back.split("code=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    assert!(back.contains("state=s"));
    let form = [("grant_type", "authorization_code"), ("code", code.as_str())];
    let redeem = async || bed.http.post(format!("{}/oauth2/token", bed.url)).form(&form).send().await.unwrap().status();
    assert_eq!((redeem().await.as_u16(), redeem().await.as_u16()), (200, 400));
}
