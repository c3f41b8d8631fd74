//! A plain HTTP client for these tests: no retries, no redirects, nothing of the agent's.

use folder_sync_agent::sandbox::{ACCESS_TOKEN, Cloud, Options, Sandbox, start};
use reqwest::{Client, Method, RequestBuilder, Response, redirect};
use serde_json::Value;

/// A sandbox with a client that is signed in as the agent's user.
pub struct Bed {
    pub sandbox: Sandbox,
    pub cloud: Cloud,
    pub url: String,
    pub http: Client,
}

impl Bed {
    pub async fn new() -> Self {
        Self::with(Options::default()).await
    }

    pub async fn with(options: Options) -> Self {
        // Only the first caller in a process installs it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let sandbox = start(options).await.unwrap();
        let http = Client::builder().redirect(redirect::Policy::none()).no_proxy().build().unwrap();
        Self { cloud: sandbox.cloud(), url: sandbox.url(), sandbox, http }
    }

    pub fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url)).bearer_auth(ACCESS_TOKEN)
    }

    pub async fn get(&self, path: &str) -> Response {
        self.ask(Method::GET, path).send().await.unwrap()
    }

    /// The JSON of a GET that must succeed.
    pub async fn json(&self, path: &str) -> Value {
        let response = self.get(path).await;
        assert_eq!(response.status(), 200, "{path}");
        response.json().await.unwrap()
    }

    /// Where the content of a file can be had.
    pub async fn link(&self, file: &str, query: &str) -> String {
        let response = self.get(&format!("/2.0/files/{file}/content{query}")).await;
        assert_eq!(response.status(), 302);
        response.headers()["location"].to_str().unwrap().to_owned()
    }
}

/// One text field of every entry.
pub fn each(page: &Value, field: &str) -> Vec<String> {
    page["entries"].as_array().unwrap().iter().map(|entry| entry[field].as_str().unwrap().to_owned()).collect()
}
