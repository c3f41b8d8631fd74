//! The Egnyte face: what is uploaded, made, moved, locked, deleted and restored.

use folder_sync_agent::sandbox::{Answer, Content, Fault, Options, Rule};
use reqwest::multipart::{Form, Part};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use sha2::{Digest, Sha512};

use super::client::Bed;

const CHUNK_BYTES: usize = 1000;

fn sha512(bytes: &[u8]) -> String {
    Sha512::digest(bytes).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn upload(bed: &Bed, path: &str, content: impl Into<Vec<u8>>) -> RequestBuilder {
    bed.ask(Method::POST, &format!("/pubapi/v1/fs-content{path}")).body(content.into())
}

async fn action(bed: &Bed, path: &str, body: Value) -> Response {
    bed.ask(Method::POST, &format!("/pubapi/v1/fs{path}")).json(&body).send().await.unwrap()
}

async fn status(request: RequestBuilder) -> u16 {
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn an_upload_is_checked_and_its_time_is_kept() {
    let bed = Bed::with(Options { egnyte_upload_max_bytes: 100, ..Options::default() }).await;
    bed.cloud.mkdir_p("/Shared/in").unwrap();
    let dated = upload(&bed, "/Shared/in/a%23b", "one").header("last-modified", "Tue, 01 Sep 2020 10:20:30 GMT");
    let made = dated.header("x-sha512-checksum", sha512(b"one")).send().await.unwrap();
    assert_eq!(made.headers()["x-sha512-checksum"], sha512(b"one").as_str());
    assert_eq!(made.headers()["last-modified"], "Tue, 01 Sep 2020 10:20:30 GMT");
    let etag = made.headers()["etag"].clone();
    let told: Value = made.json().await.unwrap();
    assert_eq!(told["entry_id"], etag.to_str().unwrap());
    let wrong = upload(&bed, "/Shared/in/a%23b", "two").header("x-sha512-checksum", sha512(b"three"));
    assert_eq!(status(wrong).await, 400);
    assert_eq!(bed.cloud.read("/Shared/in/a#b").unwrap(), b"one", "a wrong checksum leaves what was there");
    let form = Form::new().text("note", "x").part("file", Part::bytes(b"form".to_vec()));
    let by_form = bed.ask(Method::POST, "/pubapi/v1/fs-content/Shared/in/A%23B").multipart(form);
    let told_again: Value = by_form.send().await.unwrap().json().await.unwrap();
    assert_eq!(told_again["group_id"], told["group_id"], "case does not make another file");
    assert_ne!(told_again["entry_id"], told["entry_id"]);
    assert_eq!(bed.cloud.read("/Shared/in/a#b").unwrap(), b"form");
    assert_eq!(status(upload(&bed, "/Shared/in/large", vec![0; 101])).await, 413);
    let by_id = format!("/ids/file/{}", told["group_id"].as_str().unwrap());
    assert_eq!(status(upload(&bed, &by_id, "by id")).await, 200);
    assert_eq!(bed.cloud.versions("/Shared/in/a#b").unwrap().len(), 3);
}

#[tokio::test]
async fn a_body_that_was_spent_before_the_retry_is_stored_empty() {
    let bed = Bed::new().await;
    bed.cloud.write("/Shared/in/f", Content::from("precious")).unwrap();
    bed.cloud.faults().once("egnyte_upload", Fault::Answer(Answer::gateway_over_qps("1")));
    let throttled = upload(&bed, "/Shared/in/f", "edited").send().await.unwrap();
    assert_eq!(throttled.status(), 403);
    assert_eq!(throttled.headers()["x-mashery-error-code"], "ERR_403_DEVELOPER_OVER_QPS");
    assert_eq!(status(upload(&bed, "/Shared/in/f", "")).await, 200, "the service takes it for what is meant");
    assert_eq!(bed.cloud.read("/Shared/in/f").unwrap(), b"");
    let checked = upload(&bed, "/Shared/in/f", "").header("x-sha512-checksum", sha512(b"edited"));
    assert_eq!(status(checked).await, 400, "unless the checksum says what was meant");
}

#[tokio::test]
async fn an_answer_may_be_lost_although_the_deed_was_done() {
    let bed = Bed::new().await;
    bed.cloud.mkdir_p("/Shared/in").unwrap();
    bed.cloud.faults().add(Rule::on("egnyte_upload", Fault::CutAfter).id("/Shared/in/f"));
    assert!(upload(&bed, "/Shared/in/f", "x").send().await.is_err());
    assert_eq!(bed.cloud.read("/Shared/in/f").unwrap(), b"x");
    bed.cloud.faults().once("egnyte_delete", Fault::AnswerAfter(Answer::html(502)));
    assert_eq!(status(bed.ask(Method::DELETE, "/pubapi/v1/fs/Shared/in/f")).await, 502);
    assert!(bed.cloud.id_of("/Shared/in/f").is_err());
    bed.cloud.faults().add(Rule::on("egnyte_folder_create", Fault::Answer(Answer::html(503))).times(2));
    for expected in [503, 503, 201, 403] {
        assert_eq!(action(&bed, "/Shared/in/new", json!({"action": "add_folder"})).await.status(), expected);
    }
}

/// One chunk; the answer's status and the id of the upload.
async fn chunk(bed: &Bed, id: Option<&str>, number: usize, bytes: &[u8], last: Option<&str>) -> (u16, String) {
    let mut request = bed.ask(Method::POST, "/pubapi/v1/fs-content-chunked/Shared/in/big");
    request = request.header("x-egnyte-chunk-num", number).header("x-egnyte-chunk-sha512-checksum", sha512(bytes));
    if let Some(id) = id {
        request = request.header("x-egnyte-upload-id", id);
    }
    if let Some(checksum) = last {
        request = request.header("x-egnyte-last-chunk", "true").header("x-sha512-checksum", checksum);
    }
    let answer = request.body(bytes.to_vec()).send().await.unwrap();
    if answer.status() == 200 {
        assert_eq!(answer.headers()["x-egnyte-chunk-sha512-checksum"], sha512(bytes).as_str());
        assert_eq!(answer.headers()["x-egnyte-chunk-num"], number.to_string().as_str());
    }
    let id = answer.headers().get("x-egnyte-upload-id").map(|id| id.to_str().unwrap().to_owned());
    (answer.status().as_u16(), id.unwrap_or_default())
}

fn composite(content: &[u8]) -> String {
    let chunks: Vec<String> = content.chunks(CHUNK_BYTES).map(sha512).collect();
    format!("2-{}-{CHUNK_BYTES}-{}", chunks.len(), sha512(chunks.concat().as_bytes()))
}

#[tokio::test]
async fn chunks_come_in_any_order_and_are_checked_as_a_whole() {
    let bed = Bed::with(Options { egnyte_chunk_min_bytes: CHUNK_BYTES as u64, ..Options::default() }).await;
    bed.cloud.mkdir_p("/Shared/in").unwrap();
    let content: Vec<u8> = (0..3500_u32).map(|n| (n * 7 + n / 256) as u8).collect();
    let pieces: Vec<&[u8]> = content.chunks(CHUNK_BYTES).collect();
    assert_eq!(chunk(&bed, None, 1, &pieces[0][1..], None).await.0, 400, "too small");
    assert_eq!(chunk(&bed, None, 2, pieces[1], None).await.0, 400, "no upload to belong to");
    let (made, id) = chunk(&bed, None, 1, pieces[0], None).await;
    assert_eq!(made, 200);
    let id = Some(id.as_str());
    assert_eq!(chunk(&bed, id, 3, pieces[2], None).await.0, 200);
    let whole = composite(&content);
    assert_eq!(chunk(&bed, id, 4, pieces[3], Some(&whole)).await.0, 400, "the second is missing");
    assert_eq!(chunk(&bed, id, 2, pieces[1], None).await.0, 200);
    assert_eq!(chunk(&bed, id, 4, pieces[3], Some(&sha512(&content))).await.0, 400, "the plain digest is refused");
    assert!(bed.cloud.id_of("/Shared/in/big").is_err());
    assert_eq!(chunk(&bed, id, 4, pieces[3], Some(&whole)).await.0, 200);
    assert_eq!(bed.cloud.read("/Shared/in/big").unwrap(), content);
    assert_eq!(bed.json("/pubapi/v1/fs/Shared/in/big").await["checksum"], whole.as_str());
    let copied = action(&bed, "/Shared/in/big", json!({"action": "copy", "destination": "/Shared/in/copy"})).await;
    assert_eq!(copied.status(), 200);
    assert_eq!(bed.json("/pubapi/v1/fs/Shared/in/copy").await["checksum"], whole.as_str());
    assert_eq!(chunk(&bed, id, 4, pieces[3], Some(&whole)).await.0, 404, "a finished upload is forgotten");
    let (_, id) = chunk(&bed, None, 1, pieces[0], None).await;
    bed.cloud.forget_egnyte_chunks();
    assert_eq!(chunk(&bed, Some(&id), 2, pieces[1], None).await.0, 404);
}

#[tokio::test]
async fn moves_and_copies_go_to_a_whole_path_and_never_over_something() {
    let bed = Bed::new().await;
    bed.cloud.write("/Shared/in/a", Content::from("a")).unwrap();
    bed.cloud.write("/Shared/in/b", Content::from("b")).unwrap();
    bed.cloud.mkdir_p("/Shared/out").unwrap();
    let to = |action: &str, path: &str| json!({"action": action, "destination": path});
    for (path, body, expected) in [
        ("/Shared/in/a", to("move", "/Shared/in/B"), 409),
        ("/Shared/in/a", to("copy", "/Shared/in/B"), 409),
        ("/Shared/in/a", to("move", "/Shared/absent/a"), 404),
        ("/Shared/in/a", to("move", "/a"), 409),
        ("/Shared/in/a", to("move", "/Private/other/a"), 403),
        ("/Shared/in/a", to("move", "relative"), 400),
        ("/Shared/in/a", json!({"action": "move", "destination": "/Shared/out/a", "force": true}), 400),
        ("/Shared/in/a", json!({"action": "rename", "name": "c"}), 400),
        ("/Shared/in", to("move", "/Shared/in/below"), 400),
        ("/Shared", to("move", "/Private/agent/Shared"), 403),
        ("/Shared/in/absent", to("move", "/Shared/out/a"), 404),
        ("/Shared/in/a", to("move", "/Shared/in/A"), 200),
        ("/Shared/in", to("move", "/Shared/out/inner"), 200),
        ("/Shared/out/inner", to("copy", "/Private/agent/copy"), 200),
    ] {
        assert_eq!(action(&bed, path, body.clone()).await.status(), expected, "{path} {body}");
    }
    assert_eq!(bed.cloud.read("/Shared/out/inner/A").unwrap(), b"a");
    assert_eq!(bed.cloud.read("/Private/agent/copy/b").unwrap(), b"b");
}

#[tokio::test]
async fn what_is_deleted_lies_in_the_trash_until_it_is_restored_or_purged() {
    let bed = Bed::new().await;
    bed.cloud.write("/Shared/in/sub/a", Content::from("a")).unwrap();
    bed.cloud.write("/Shared/in/b", Content::from("b")).unwrap();
    let (sub, b) = (bed.cloud.egnyte_id_of("/Shared/in/sub").unwrap(), bed.cloud.egnyte_id_of("/Shared/in/b").unwrap());
    assert_eq!(status(bed.ask(Method::DELETE, &format!("/pubapi/v1/fs/ids/folder/{sub}"))).await, 200);
    assert_eq!(status(bed.ask(Method::DELETE, "/pubapi/v1/fs/Shared/in/b")).await, 200);
    assert_eq!(bed.get(&format!("/pubapi/v1/fs/ids/file/{b}")).await.status(), 404);
    let trash = bed.json("/pubapi/v2/fs/trash").await;
    assert_eq!(trash["total_count"], 2);
    assert_eq!(trash["items"][0]["path"], "/Shared/in/sub");
    assert_eq!(action(&bed, "/trash", json!({"action": "RESTORE", "ids": [sub]})).await.status(), 200);
    assert_eq!(bed.cloud.read("/Shared/in/sub/a").unwrap(), b"a");
    assert_eq!(action(&bed, "/trash", json!({"action": "PURGE", "ids": [b]})).await.status(), 200);
    assert_eq!(action(&bed, "/trash", json!({"action": "RESTORE", "ids": [b]})).await.status(), 404);
    let many: Vec<String> = (0..11).map(|_| sub.clone()).collect();
    assert_eq!(action(&bed, "/trash", json!({"action": "RESTORE", "ids": many})).await.status(), 400);
}

#[tokio::test]
async fn one_version_is_deleted_by_its_entry() {
    let bed = Bed::new().await;
    for text in ["one", "two", "three"] {
        bed.cloud.write("/Shared/in/f", Content::from(text)).unwrap();
    }
    let entries = bed.cloud.egnyte_entries("/Shared/in/f").unwrap();
    let delete = async |entry: &str| {
        status(bed.ask(Method::DELETE, &format!("/pubapi/v1/fs/Shared/in/f?entry_id={entry}"))).await
    };
    assert_eq!((delete(&entries[0]).await, delete("none").await), (200, 404));
    assert_eq!(delete(&entries[2]).await, 200);
    assert_eq!(bed.cloud.read("/Shared/in/f").unwrap(), b"two");
    assert_eq!(delete(&entries[1]).await, 400, "the only one left stays");
}

#[tokio::test]
async fn somebody_elses_lock_is_shown_and_respected() {
    let bed = Bed::new().await;
    bed.cloud.write("/Shared/in/f", Content::from("x")).unwrap();
    bed.cloud.lock("/Shared/in/f").unwrap();
    let file = bed.json("/pubapi/v1/fs/Shared/in/f?include_locks=true").await;
    assert_eq!((&file["locked"], &file["lock_info"]["email"]), (&true.into(), &"other@example.test".into()));
    assert_eq!(status(upload(&bed, "/Shared/in/f", "y")).await, 403);
    assert_eq!(status(bed.ask(Method::DELETE, "/pubapi/v1/fs/Shared/in/f")).await, 403);
    let refused = upload(&bed, "/Shared/in/f", "y").send().await.unwrap();
    assert!(!refused.headers().contains_key("x-mashery-error-code"), "which is no throttle");
    bed.cloud.unlock("/Shared/in/f").unwrap();
    let lock = action(&bed, "/Shared/in/f", json!({"action": "lock", "lock_timeout": 60})).await;
    let lock: Value = lock.json().await.unwrap();
    assert_eq!(lock["timeout"], 60);
    assert!(bed.cloud.write("/Shared/in/f", Content::from("z")).is_err(), "ours keeps the other user out");
    assert_eq!(action(&bed, "/Shared/in/f", json!({"action": "unlock", "lock_token": "no"})).await.status(), 404);
    let unlock = json!({"action": "unlock", "lock_token": lock["lock_token"]});
    assert_eq!(action(&bed, "/Shared/in/f", unlock).await.status(), 200);
}

#[tokio::test]
async fn names_and_places_are_refused_in_the_documented_shapes() {
    let bed = Bed::new().await;
    bed.cloud.mkdir_p("/Shared/in").unwrap();
    let body =
        async |response: Response| -> (u16, Value) { (response.status().as_u16(), response.json().await.unwrap()) };
    let add = json!({"action": "add_folder"});
    let (code, told) = body(action(&bed, "/Shared/in/end.", add.clone()).await).await;
    assert_eq!((code, told["inputErrors"]["path"][0]["code"].as_str()), (400, Some("INVALID_NAME")));
    let (code, told) = body(upload(&bed, "/Shared/in/%F0%9F%98%80", "x").send().await.unwrap()).await;
    assert!(code == 400 && told["errorMessage"].is_string());
    let (code, _) = body(upload(&bed, &format!("/Shared/in/{}", "x".repeat(246)), "x").send().await.unwrap()).await;
    assert_eq!(code, 400);
    for (path, expected) in [("/top", 409), ("/Private/new", 409), ("/Shared/new", 201), ("/Shared/absent/new", 404)] {
        assert_eq!(action(&bed, path, add.clone()).await.status().as_u16(), expected, "{path}");
    }
    let (code, told) = body(action(&bed, "/Shared/IN", add).await).await;
    assert_eq!((code, told["errorMessage"].as_str()), (403, Some("Folder already exists at this location")));
    assert_eq!(status(upload(&bed, "/Shared/loose", "x")).await, 403, "files go into folders");
    assert_eq!(status(upload(&bed, "/Shared/in", "x")).await, 403);
    assert_eq!(status(upload(&bed, "/Shared/absent/x", "x")).await, 404);
    let (code, told) = body(bed.get("/pubapi/v1/fs/ids/file/none").await).await;
    assert_eq!((code, told["formErrors"][0]["code"].as_str()), (404, Some("NOT_FOUND")));
    assert_eq!(bed.get("/pubapi/v1/nothing").await.status().as_u16(), 596);
}
