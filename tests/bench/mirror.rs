//! The mirror's figures: first mirror, foreign changes, restart, latency and memory, with client and server side by side.
//!
//! `cargo bench --bench mirror -- [--files N] [--folders N] [--changes N] [--large MIB] [--events N] [--kills N] [--egnyte]`

#[path = "../support/process.rs"]
mod process;
#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod support;

use std::time::{Duration, Instant};

use folder_sync_agent::sandbox::{Bustle, Content};
use process::{cpu_ms, memory_kib};
use support::{Bed, EGNYTE_REMOTE, REMOTE};

const LONG: Duration = Duration::from_mins(30);

fn argument(name: &str, default: u64) -> u64 {
    let args: Vec<String> = std::env::args().collect();
    args.iter().position(|arg| arg == name).map_or(default, |at| args[at + 1].parse().unwrap())
}

fn main() {
    let (files, folders) = (argument("--files", 10_000), argument("--folders", 500));
    let (changes, large) = (argument("--changes", 1_000), argument("--large", 0));
    let (noise, kills) = (argument("--events", 0), argument("--kills", 0));
    let egnyte = std::env::args().any(|arg| arg == "--egnyte");
    let (bed, remote) = if egnyte { (Bed::egnyte(), EGNYTE_REMOTE) } else { (Bed::new(), REMOTE) };
    let (listed, fetched) = if egnyte { ("egnyte_list", "egnyte_download") } else { ("folder_items", "content") };
    let cloud = bed.cloud();
    let begun = Instant::now();
    for folder in 0..folders {
        cloud.mkdir_p(&format!("{remote}/d{:02}/d{folder:04}", folder % 20)).unwrap();
    }
    for file in 0..files {
        let folder = file % folders;
        let path = format!("{remote}/d{:02}/d{folder:04}/f{file:06}.bin", folder % 20);
        cloud.write(&path, Content::pattern(file + 1, 4_096)).unwrap();
    }
    if large > 0 {
        cloud.write(&format!("{remote}/large.bin"), Content::pattern(7, large << 20)).unwrap();
    }
    println!(
        "cloud: {files} files of 4 KiB in {folders} folders, large file {large} MiB, made in {:.1?}",
        begun.elapsed()
    );

    bed.add_folder(&[]);
    cloud.reset_counters();
    let begun = Instant::now();
    let mut agent = bed.start();
    bed.wait_in_sync(LONG);
    let took = begun.elapsed();
    let (peak, rss) = memory_kib(agent.pid());
    let calls = cloud.api_calls();
    println!(
        "first mirror: {took:.2?}, {:.0} files/s, {calls} API calls ({:.3} per file, {} listing pages), peak {} MiB, now {} MiB, CPU {} ms",
        files as f64 / took.as_secs_f64(),
        calls as f64 / (files + u64::from(large > 0)) as f64,
        cloud.count(listed),
        peak >> 10,
        rss >> 10,
        cpu_ms(agent.pid()),
    );
    let difference = bed.difference();
    assert!(difference.is_empty(), "{difference:#?}");

    latency(&bed, remote);

    if changes > 0 {
        cloud.reset_counters();
        let begun = Instant::now();
        let mut bustle = Bustle::new(&cloud, remote, 42).unwrap();
        let mut rng = 0x1234_5678_u64;
        let mut killed = 0;
        for change in 0..changes {
            bustle.step().unwrap();
            rng = rng.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            if kills > 0 && (change + 1) % (changes / kills).max(1) == 0 {
                std::thread::park_timeout(Duration::from_millis(rng >> 54));
                agent.kill();
                killed += 1;
                agent = bed.start();
            }
        }
        bed.wait_equal(LONG);
        let downloads = cloud.count(fetched);
        println!(
            "{changes} foreign changes, {killed} SIGKILLs: equal after {:.2?}; {} API calls, {downloads} downloads, {} listing pages",
            begun.elapsed(),
            cloud.api_calls(),
            cloud.count(listed),
        );
        bed.wait_in_sync(LONG);
        assert!(bed.difference().is_empty());
        println!("left in staging: {:?}, parked: {:?}", bed.ours("staging"), bed.ours("parked"));
    }

    if noise > 0 {
        let before = cpu_ms(agent.pid());
        let begun = Instant::now();
        cloud.foreign_noise(noise);
        let wanted = noise;
        while bed.status().unwrap()["accounts"][0]["events"]["foreign"].as_u64().unwrap() < wanted {
            std::thread::park_timeout(Duration::from_millis(200));
        }
        let cpu = cpu_ms(agent.pid()) - before;
        println!(
            "{noise} foreign events: {:.2?}, {:.1} µs of CPU each",
            begun.elapsed(),
            cpu as f64 * 1_000.0 / noise as f64
        );
    }

    assert_eq!(agent.stop(), Some(0));
    cloud.reset_counters();
    let begun = Instant::now();
    let agent = bed.start();
    bed.wait_in_sync(LONG);
    println!(
        "restart with nothing to do: in sync after {:.0?}, listing pages {}, API calls {}, peak {} MiB",
        begun.elapsed(),
        cloud.count(listed),
        cloud.api_calls(),
        memory_kib(agent.pid()).0 >> 10
    );
    assert_eq!(agent.stop(), Some(0));
}

/// From the cloud's change to the visible file.
fn latency(bed: &Bed, remote: &str) {
    let mut times: Vec<Duration> = (0..100)
        .map(|round| {
            let name = format!("latency-{round}.txt");
            let local = bed.local().join(&name);
            let begun = Instant::now();
            bed.cloud().write(&format!("{remote}/{name}"), format!("round {round}").into_bytes()).unwrap();
            while !local.exists() {
                std::thread::park_timeout(Duration::from_micros(200));
                assert!(begun.elapsed() < Duration::from_mins(1), "{}", bed.log());
            }
            begun.elapsed()
        })
        .collect();
    times.sort();
    println!("change to visible file: median {:.1?}, p99 {:.1?}", times[50], times[98]);
}
