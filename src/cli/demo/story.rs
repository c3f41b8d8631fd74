//! What lies in the demo's cloud at the beginning, and what the other user does with it.

use super::stage::REMOTE;
use crate::sandbox::{Cloud, Content, Refusal};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
/// A folder that is not watched.
const ELSEWHERE: &str = "/Shared/Elsewhere";
/// Small files, as a camera makes them.
const PHOTOS: u64 = 24;

/// Makes the tree that is mirrored first.
pub fn fill(cloud: &Cloud, large: u64) -> Result<(), Refusal> {
    let files = [
        ("Readme.txt", 700),
        ("a.txt", 3),
        ("b.txt", 5),
        ("empty.txt", 0),
        ("reports/2026/q1.pdf", 180 * KIB),
        ("reports/2026/q2.pdf", 240 * KIB),
        ("reports/forecast.xlsx", 48 * KIB),
        ("契約書/見積書 2026.xlsx", 33 * KIB),
        ("契約書/御社 控え.pdf", 95 * KIB),
        ("drawings/plan.dwg", 6 * MIB),
        ("video/recording.mp4", large),
    ];
    for (seed, (path, len)) in (1..).zip(files) {
        cloud.write(&inbox(path), Content::pattern(seed, len))?;
    }
    for number in 0..PHOTOS {
        let content = Content::pattern(100 + number, (20 + number * 7) * KIB);
        cloud.write(&inbox(&format!("photos/IMG_{:04}.jpg", 1201 + number)), content)?;
    }
    for folder in ["archive", "an empty folder"] {
        cloud.mkdir_p(&inbox(folder))?;
    }
    for (seed, name) in (200..).zip(["offer.docx", "drawings/site.pdf", "drawings/roof.pdf"]) {
        cloud.write(&format!("{ELSEWHERE}/tender/{name}"), Content::pattern(seed, 60 * KIB))?;
    }
    Ok(())
}

/// One thing that the other user does.
pub struct Act {
    /// In plain words.
    pub title: &'static str,
    /// The deed.
    pub deed: fn(&Cloud) -> Result<(), Refusal>,
}

/// Everything that the other user does, in order.
pub fn acts() -> Vec<Act> {
    let act = |title, deed| Act { title, deed };
    vec![
        act("uploads a file", |cloud| write(cloud, "notes/today.txt", "first thoughts")),
        act("edits it", |cloud| write(cloud, "notes/today.txt", "second thoughts")),
        act("uploads a file with a Japanese name", |cloud| write(cloud, "契約書/覚書.txt", "覚書")),
        act("renames a file, in Japanese", |cloud| {
            cloud.rename(&inbox("契約書/見積書 2026.xlsx"), "見積書 最終版.xlsx")
        }),
        act("moves a file to another folder", |cloud| cloud.move_to(&inbox("reports/2026/q1.pdf"), &inbox("archive"))),
        act("renames a folder with 24 files in it", |cloud| cloud.rename(&inbox("photos"), "pictures")),
        act("renames the largest file", |cloud| cloud.rename(&inbox("video/recording.mp4"), "final cut.mp4")),
        act("swaps the names of two files", |cloud| {
            cloud.rename(&inbox("a.txt"), "c.txt")?;
            cloud.rename(&inbox("b.txt"), "a.txt")?;
            cloud.rename(&inbox("c.txt"), "b.txt")
        }),
        act("changes nothing but the case of a name", |cloud| cloud.rename(&inbox("Readme.txt"), "README.txt")),
        act("trashes a file", |cloud| cloud.trash(&inbox("reports/2026/q2.pdf")).map(drop)),
        act("trashes another one and restores it", |cloud| {
            let id = cloud.trash(&inbox("reports/forecast.xlsx"))?;
            cloud.restore(&id)
        }),
        act("moves a folder in from elsewhere", |cloud| cloud.move_to(&format!("{ELSEWHERE}/tender"), REMOTE)),
        act("edits a file in it", |cloud| write(cloud, "tender/offer.docx", "a better offer")),
        act("moves it out again", |cloud| cloud.move_to(&inbox("tender"), ELSEWHERE)),
        act("makes an empty folder and an empty file", |cloud| {
            cloud.mkdir_p(&inbox("archive/2026"))?;
            write(cloud, "archive/2026/placeholder", "")
        }),
    ]
}

fn inbox(path: &str) -> String {
    format!("{REMOTE}/{path}")
}

fn write(cloud: &Cloud, path: &str, text: &'static str) -> Result<(), Refusal> {
    cloud.write(&inbox(path), text).map(drop)
}
