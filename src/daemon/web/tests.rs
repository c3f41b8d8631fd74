use super::*;
use crate::config::{Choice, Config, Surroundings};
use crate::daemon::unstarted::Unstarted;
use crate::store::Store;

/// A page over a database without anything in it.
fn page() -> (tempfile::TempDir, Web, mpsc::Receiver<Ordered>) {
    // Only the first caller in a process installs it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let dir = tempfile::tempdir().unwrap();
    let places = Places::find(&Choice::Home(dir.path().to_owned()), &Surroundings::default()).unwrap();
    places.make_state_dirs().unwrap();
    drop(Store::open(&places.database()).unwrap());
    let (orders, ordered) = mpsc::channel(4);
    let reports = Arc::new(Unstarted::new(Config::default()));
    let web = Web::new(places, reports, orders, Arc::default(), History::default(), CancellationToken::new());
    (dir, web, ordered)
}

async fn link(web: &Web, may_change: bool) -> (String, String) {
    let Answer::Ok { message } = web.link(may_change).await else { panic!("no link") };
    let base = message.split("/enter/").next().unwrap().to_owned();
    (message, base)
}

#[tokio::test]
async fn who_may_only_look_changes_nothing() {
    let (_dir, web, mut ordered) = page();
    let (link, base) = link(&web, false).await;
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let entered = http.get(&link).send().await.unwrap();
    let cookie = entered.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let get = |path: &str| http.get(format!("{base}{path}")).header("cookie", &cookie).send();
    let page = get("/").await.unwrap().text().await.unwrap();
    assert!(page.contains("you may look") && !page.contains("Ask the cloud now"), "{page}");
    let csrf = page.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    for path in ["/pause", "/sync", "/decide/hold", "/quarantine/release", "/callbacks/new", "/item/restore"] {
        let form = [("csrf", csrf), ("name", "x"), ("url", "https://example.com/"), ("on", "*")];
        let posted = http.post(format!("{base}{path}")).header("cookie", &cookie).header("origin", &base).form(&form);
        assert_eq!(posted.send().await.unwrap().status(), 403, "{path}");
    }
    assert_eq!(get("/item/kept?folder=a&node=1&kept=1").await.unwrap().status(), 403);
    assert!(ordered.try_recv().is_err(), "nothing reached the agent");
}

#[tokio::test]
async fn the_page_goes_where_the_configuration_says_and_trouble_with_it_stops_nothing_else() {
    let (_dir, web, _ordered) = page();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let settings = WebSettings { listen: address, tls: None, password_hash: None, names: Vec::new() };
    let wishes = watch::Sender::new(Some(settings.clone()));
    let following = tokio::spawn(web.clone().follow(wishes.subscribe()));
    let until = async |is_so: &dyn Fn() -> bool| {
        let end = Instant::now() + Duration::from_secs(20);
        while !is_so() {
            assert!(Instant::now() < end);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    until(&|| web.shared.degraded().iter().any(|degraded| degraded.name == PAGE && !degraded.halts())).await;
    drop(taken);
    wishes.send_replace(None);
    until(&|| web.shared.degraded().is_empty()).await;
    wishes.send_replace(Some(settings));
    let end = Instant::now() + Duration::from_secs(20);
    while tokio::net::TcpStream::connect(address).await.is_err() {
        assert!(Instant::now() < end);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (link, _) = link(&web, true).await;
    assert!(link.starts_with(&format!("http://{address}/enter/")), "{link}");
    wishes.send_replace(None);
    while tokio::net::TcpStream::connect(address).await.is_ok() {
        assert!(Instant::now() < end);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    following.abort();
}
