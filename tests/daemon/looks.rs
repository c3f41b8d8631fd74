//! What the agent says right after something happened on disk: it looks before it says "in sync".

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Bed, PATIENCE, REMOTE, until};

/// A process without root's power over permissions.
const NO_RIGHTS: [&str; 2] = ["--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"];

fn remote(path: &str) -> String {
    format!("{REMOTE}/{path}")
}

fn folder_state(bed: &Bed) -> String {
    let status = bed.status().unwrap();
    status["folders"][0]["state"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn wait_right_after_a_write_waits_for_its_upload() {
    let bed = Bed::new();
    bed.add_folder(&["--mode", "two-way"]);
    let cloud = bed.cloud();
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    for round in 0..3 {
        let name = format!("file {round}");
        fs::create_dir_all(bed.local().join("new/deep")).unwrap();
        fs::write(bed.local().join("new/deep").join(&name), &name).unwrap();
        bed.ok(&["wait", "--timeout", "40s"]);
        assert_eq!(cloud.read(&remote(&format!("new/deep/{name}"))).unwrap(), name.as_bytes());
        fs::remove_file(bed.local().join("new/deep").join(&name)).unwrap();
        assert_ne!(folder_state(&bed), "in_sync", "the file is gone on disk, and not yet in the cloud");
        bed.ok(&["wait", "--timeout", "40s"]);
        assert!(cloud.read(&remote(&format!("new/deep/{name}"))).is_err());
    }
    let left = fs::read_dir(bed.local().join(crate::support::RESERVED)).unwrap().flatten();
    let cookies = left.filter(|entry| entry.file_name().to_string_lossy().starts_with("cookie")).count();
    assert_eq!(cookies, 0);
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn a_file_that_is_being_written_is_not_in_sync() {
    let bed = Bed::new();
    bed.add_folder(&["--mode", "two-way"]);
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    let mut file = fs::File::create(bed.local().join("slow")).unwrap();
    let end = std::time::Instant::now() + std::time::Duration::from_secs(5);
    while std::time::Instant::now() < end {
        std::io::Write::write_all(&mut file, b"more").unwrap();
        assert_ne!(folder_state(&bed), "in_sync");
    }
    drop(file);
    bed.ok(&["wait", "--timeout", "40s"]);
    assert!(bed.difference().is_empty(), "{:?}", bed.difference());
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn wait_right_after_drift_waits_until_the_mirror_is_one_again() {
    let bed = Bed::new();
    bed.add_folder(&[]);
    let cloud = bed.cloud();
    cloud.mkdir_p(&remote("docs")).unwrap();
    cloud.write(&remote("docs/a"), b"from the cloud".to_vec()).unwrap();
    let agent = bed.start();
    bed.wait_equal(PATIENCE);
    bed.wait_in_sync(PATIENCE);
    for _ in 0..3 {
        fs::write(bed.local().join("docs/a"), "somebody's").unwrap();
        bed.ok(&["wait", "--timeout", "40s"]);
        assert_eq!(fs::read(bed.local().join("docs/a")).unwrap(), b"from the cloud");
        fs::remove_file(bed.local().join("docs/a")).unwrap();
        bed.ok(&["wait", "--timeout", "40s"]);
        assert_eq!(fs::read(bed.local().join("docs/a")).unwrap(), b"from the cloud");
    }
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn a_directory_that_becomes_unreadable_is_a_problem_at_once_and_heals() {
    if !Command::new("setpriv").args(NO_RIGHTS).arg("true").status().is_ok_and(|status| status.success()) {
        println!("skipped: root's rights cannot be taken away here");
        return;
    }
    for mode in ["two-way", "mirror"] {
        let bed = Bed::new();
        bed.add_folder(&["--mode", mode]);
        let cloud = bed.cloud();
        cloud.mkdir_p(&remote("private/deep")).unwrap();
        cloud.write(&remote("private/deep/a"), b"a".to_vec()).unwrap();
        let agent = bed.start_through("setpriv", &NO_RIGHTS);
        bed.wait_equal(PATIENCE);
        bed.wait_in_sync(PATIENCE);
        let chmod = |path: &str, mode| {
            fs::set_permissions(bed.local().join(path), fs::Permissions::from_mode(mode)).unwrap();
        };
        for path in ["private", "private/deep"] {
            chmod(path, 0);
            assert_ne!(folder_state(&bed), "in_sync", "{mode} {path}: the next answer knows of it");
            until("the problem", || bed.ok(&["problems"]).contains(path));
            chmod(path, 0o755);
            bed.ok(&["wait", "--timeout", "40s"]);
            assert!(bed.difference().is_empty(), "{:?}", bed.difference());
        }
        assert_eq!(agent.stop(), Some(0));
    }
}

#[test]
fn a_root_whose_disk_is_unmounted_is_never_said_to_be_in_sync() {
    let bed = Bed::new();
    fs::create_dir(bed.local()).unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "tmpfs"]).arg(bed.local()).output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        println!("skipped: no right to mount a filesystem here");
        return;
    }
    bed.add_folder(&["--mode", "two-way"]);
    let cloud = bed.cloud();
    cloud.write(&remote("a"), b"a".to_vec()).unwrap();
    let agent = bed.start();
    bed.wait_equal(PATIENCE);
    bed.wait_in_sync(PATIENCE);
    assert!(Command::new("umount").arg("--lazy").arg(bed.local()).status().unwrap().success());
    let status = bed.status().unwrap();
    assert_eq!((&status["in_sync"], &status["folders"][0]["state"]), (&false.into(), &"halted".into()), "{status:#}");
    assert_eq!(status["folders"][0]["degraded"]["name"], "root_lost");
    assert_eq!(bed.run(&["wait", "--timeout", "1s"]).status.code(), Some(3));
    assert_eq!(cloud.count("file_delete"), 0);
    assert_eq!(agent.stop(), Some(0));
}

/// Unmounts what a test mounted, however the test ends.
struct Unmounts(PathBuf);

impl Drop for Unmounts {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).output();
    }
}

/// An overlay of two filesystems gives directories and files different device numbers, as below many a container.
#[test]
fn a_folder_on_an_overlay_is_as_any_other() {
    for mode in ["mirror", "two-way"] {
        let bed = Bed::new();
        let (lower, upper) = (bed.dir.path().join("lower"), bed.dir.path().join("upper"));
        for dir in [&lower, &upper, &bed.local()] {
            fs::create_dir(dir).unwrap();
        }
        let mount = |args: &[&str], at: &Path| {
            let output = Command::new("mount").args(args).arg(at).output();
            output.is_ok_and(|output| output.status.success())
        };
        let layers =
            format!("lowerdir={0},upperdir={1}/up,workdir={1}/work,xino=off", lower.display(), upper.display());
        let _unmounts = (Unmounts(upper.clone()), Unmounts(bed.local()));
        let made = mount(&["-t", "tmpfs", "tmpfs"], &upper)
            && fs::create_dir(upper.join("up")).is_ok()
            && fs::create_dir(upper.join("work")).is_ok()
            && mount(&["-t", "overlay", "overlay", "-o", &layers], &bed.local());
        if made {
            bed.add_folder(&["--mode", mode]);
            let cloud = bed.cloud();
            cloud.write(&remote("d/a"), b"a".to_vec()).unwrap();
            let agent = bed.start();
            bed.wait_equal(PATIENCE);
            bed.wait_in_sync(PATIENCE);
            fs::write(bed.local().join("d/a"), b"edited").unwrap();
            let wanted: &[u8] = if mode == "mirror" { b"a" } else { b"edited" };
            until("the edit's answer", || {
                fs::read(bed.local().join("d/a")).unwrap() == wanted && cloud.read(&remote("d/a")).unwrap() == wanted
            });
            bed.wait_in_sync(PATIENCE);
            assert_eq!(bed.status().unwrap()["problems"], 0, "{mode}: {}", bed.ok(&["problems"]));
            assert!(bed.difference().is_empty(), "{mode}: {:?}", bed.difference());
            assert_eq!(agent.stop(), Some(0));
        } else {
            println!("skipped: no right to mount an overlay here");
        }
    }
}

#[test]
fn many_who_ask_at_the_same_time_all_learn_that_it_is_in_sync() {
    let bed = Bed::new();
    bed.add_folder(&[]);
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..12 {
                    let status = bed.status().unwrap();
                    assert_eq!(status["folders"][0]["degraded"], serde_json::Value::Null, "{status:#}");
                }
            });
        }
    });
    assert_eq!(agent.stop(), Some(0));
}
