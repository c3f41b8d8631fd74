//! The sandbox judged by clients that we did not write: the providers' own SDKs and their API description.

use std::path::PathBuf;
use std::process::{Command, Output};

use folder_sync_agent::sandbox::{ACCESS_TOKEN, Options, start};

fn here() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
}

fn installed() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/clients")
}

fn is_there(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

fn said(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Installs a client and lets it work against a fresh sandbox. Skips only where its language is missing.
async fn judged_by(client: &str, needs: &str, program: PathBuf, script: &str) {
    if !is_there(needs) {
        println!("skipped: {client} needs {needs}, which is not installed");
        return;
    }
    let client = client.to_owned();
    let script = here().join(script);
    let sandbox = start(Options::default()).await.unwrap();
    let url = sandbox.url();
    let output = tokio::task::spawn_blocking(move || {
        let setup = Command::new(here().join("setup.sh")).arg(&client).output().unwrap();
        assert!(setup.status.success(), "setup of {client}: {}", said(&setup));
        Command::new(program)
            .arg(script)
            .env("SANDBOX_URL", url)
            .env("SANDBOX_TOKEN", ACCESS_TOKEN)
            .env("NODE_PATH", installed().join(&client).join("node_modules"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env_remove("HTTP_PROXY")
            .env_remove("http_proxy")
            .output()
            .unwrap()
    })
    .await
    .unwrap();
    let text = said(&output);
    println!("{text}");
    assert!(output.status.success(), "{text}");
    assert!(text.contains("all done"), "the script did not reach its end: {text}");
}

fn python(client: &str) -> PathBuf {
    installed().join(client).join("bin/python")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn boxsdk_3_for_python() {
    judged_by("box-py3", "python3", python("box-py3"), "box_py3.py").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn boxsdk_10_for_python() {
    judged_by("box-py10", "python3", python("box-py10"), "box_py10.py").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn box_node_sdk_3() {
    judged_by("box-node3", "node", PathBuf::from("node"), "box_node3.js").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn box_node_sdk_10() {
    judged_by("box-node10", "node", PathBuf::from("node"), "box_node10.js").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn egnyte_for_python() {
    judged_by("egnyte-py", "python3", python("egnyte-py"), "egnyte_py.py").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn egnyte_js_sdk() {
    judged_by("egnyte-js", "node", PathBuf::from("node"), "egnyte_js.js").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_are_as_the_api_description_says() {
    judged_by("schema", "python3", python("schema"), "schema.py").await;
}
