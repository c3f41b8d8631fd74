//! What a folder that sends leaves out because of its kind.

use serde::{Deserialize, Serialize};

/// Entries of local directories that are neither followed nor sent. `agent why PATH` explains each.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LeftOut {
    /// Symbolic links.
    pub links: u64,
    /// Pipes, sockets and devices.
    pub special: u64,
    /// Other filesystems that are mounted there.
    pub mounts: u64,
    /// Some of their paths, below the folder.
    pub examples: Vec<String>,
}

impl LeftOut {
    /// How many there are.
    pub fn all(&self) -> u64 {
        self.links + self.special + self.mounts
    }

    /// In words: `3 symbolic links and 1 special file are left out, such as a/b`. Nothing if there are none.
    pub fn words(&self) -> Option<String> {
        let several = |number: u64, one: &str, many: &str| match number {
            0 => None,
            1 => Some(format!("1 {one}")),
            number => Some(format!("{number} {many}")),
        };
        let kinds: Vec<String> = [
            several(self.links, "symbolic link", "symbolic links"),
            several(self.special, "special file", "special files"),
            several(self.mounts, "mounted filesystem", "mounted filesystems"),
        ]
        .into_iter()
        .flatten()
        .collect();
        let (last, before) = kinds.split_last()?;
        let kinds = if before.is_empty() { last.clone() } else { format!("{} and {last}", before.join(", ")) };
        let are = if self.all() == 1 { "is" } else { "are" };
        let such = match self.examples.first() {
            Some(only) if self.all() == 1 => format!(": {only}"),
            Some(example) => format!(", such as {example}"),
            None => String::new(),
        };
        Some(format!("{kinds} {are} left out{such}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_told_in_words() {
        assert_eq!(LeftOut::default().words(), None);
        let one = LeftOut { links: 1, examples: vec!["a/b".into()], ..LeftOut::default() };
        assert_eq!(one.words().unwrap(), "1 symbolic link is left out: a/b");
        let many = LeftOut { links: 3, special: 1, mounts: 2, examples: vec!["a/b".into(), "c".into()] };
        let words = "3 symbolic links, 1 special file and 2 mounted filesystems are left out, such as a/b";
        assert_eq!(many.words().unwrap(), words);
    }
}
