//! The end of a text of any length, in bounded memory.

use std::collections::VecDeque;

/// Keeps the last bytes of what is pushed.
#[derive(Debug)]
pub struct Tail {
    kept: VecDeque<u8>,
    most: usize,
    cut: bool,
}

impl Tail {
    /// Keeps at most this many bytes.
    pub fn new(most: usize) -> Self {
        Self { kept: VecDeque::new(), most, cut: false }
    }

    /// Adds bytes, and forgets the oldest that are too many.
    pub fn push(&mut self, bytes: &[u8]) {
        let fresh = &bytes[bytes.len().saturating_sub(self.most)..];
        let too_many = (self.kept.len() + fresh.len()).saturating_sub(self.most);
        self.cut |= too_many > 0 || fresh.len() < bytes.len();
        self.kept.drain(..too_many);
        self.kept.extend(fresh);
    }

    /// The text, and whether something was forgotten.
    pub fn into_text(self) -> (String, bool) {
        let bytes: Vec<u8> = self.kept.into();
        // A character that was cut in two is not shown as damage.
        let start = if self.cut { bytes.iter().take(3).take_while(|byte| (**byte & 0xC0) == 0x80).count() } else { 0 };
        (String::from_utf8_lossy(&bytes[start..]).into_owned(), self.cut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_kept() {
        let mut tail = Tail::new(4);
        tail.push(b"ab");
        tail.push(b"cd");
        let mut longer = Tail::new(4);
        longer.push(b"abc");
        longer.push(b"de");
        assert_eq!(tail.into_text(), ("abcd".to_owned(), false));
        assert_eq!(longer.into_text(), ("bcde".to_owned(), true));
        let mut torrent = Tail::new(4);
        torrent.push("xx€y".as_bytes());
        torrent.push("z".as_bytes());
        assert_eq!(torrent.into_text(), ("yz".to_owned(), true));
    }
}
