//! Every row of the speed table as one command: `cargo bench --bench speed -- [ROW…|all|--list] [--runs N] [--files N] [--table FILE]`.
//!
//! A row is a name and a function that measures it once; the rows of one subject are one file in `speed/`. Each is measured `--runs` times
//! (five unless told otherwise) and shown as the median, beside its ratio to a limit or a peer that was measured in the same run: walls of
//! one machine mean little on another one, ratios and processor time mean more. Nothing is asserted here; tests assert counts.

#[path = "../support/process.rs"]
mod process;
#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod support;

#[path = "speed/disk.rs"]
mod disk;
#[path = "speed/limits.rs"]
mod limits;
#[path = "speed/peers.rs"]
mod peers;
#[path = "speed/row.rs"]
mod row;
#[path = "speed/scale.rs"]
mod scale;
#[path = "speed/transfers.rs"]
mod transfers;
#[path = "speed/trees.rs"]
mod trees;

use std::fmt::Write as _;

use row::{Arguments, Measure, Row, median};

/// The rows, by subject.
const GROUPS: &[&[Row]] = &[disk::ROWS, peers::ROWS, scale::ROWS, transfers::ROWS, trees::ROWS];

fn main() {
    let arguments = Arguments::read();
    let rows: Vec<&Row> = GROUPS.iter().copied().flatten().collect();
    if arguments.lists {
        for row in rows {
            println!("{:<24} {}", row.name, row.what);
        }
        return;
    }
    let unknown = arguments.rows.iter().find(|name| *name != "all" && !rows.iter().any(|row| row.name == **name));
    if let Some(name) = unknown {
        eprintln!("there is no row `{name}`; `--list` shows them");
        std::process::exit(2);
    }
    let is_wanted = |row: &Row| arguments.rows.iter().any(|name| name == row.name || name == "all");
    let mut table = format!("{}\n\n| row | what | median | ratio | to |\n|---|---|--:|--:|---|\n", machine());
    for row in rows.into_iter().filter(|row| is_wanted(row)) {
        let runs: Vec<Vec<Measure>> = (0..arguments.runs)
            .map(|run| {
                let measures = (row.measure)(&arguments);
                for measure in &measures {
                    eprintln!("{} run {}: {}", row.name, run + 1, measure.shown());
                }
                measures
            })
            .collect();
        for at in 0..runs.first().map_or(0, Vec::len) {
            let value = median(runs.iter().map(|run| run[at].value));
            let first = &runs[0][at];
            let shown = Measure { value, limit: None, ..first.clone() };
            let (ratio, to) = match &first.limit {
                Some(limit) => {
                    let ratio = median(runs.iter().filter_map(|run| run[at].ratio()));
                    (format!("{ratio:.2}"), limit.name)
                }
                None => (String::new(), ""),
            };
            let _ = writeln!(table, "| {} | {} | {} | {ratio} | {to} |", row.name, first.what, shown.number());
        }
    }
    print!("{table}");
    if let Some(file) = &arguments.table {
        std::fs::write(file, table).unwrap();
    }
}

/// The machine, the kernel and the commit.
fn machine() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map(|(_, name)| name);
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let system = rustix::system::uname();
    let commit = std::process::Command::new("git").args(["describe", "--always", "--dirty"]).output();
    let commit = commit.map(|out| String::from_utf8_lossy(&out.stdout).trim().to_owned()).unwrap_or_default();
    format!(
        "{} × {cores}, {} {}, commit {commit}",
        model.unwrap_or("unknown processor"),
        system.sysname().to_string_lossy(),
        system.release().to_string_lossy(),
    )
}
