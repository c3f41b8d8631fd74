//! Every deed in every situation: its result, the tree afterwards, and the same again when it is carried out twice.

use super::rig::{ABILITIES, OPTIONS, Rig, at, lines, mode, parked, publish, relocate, remove};
use crate::deed::{Deed, DeedResult, DiskErrorKind, Displaced, Expect, OnEdit};
use crate::local::LocalFolder;

#[test]
fn a_new_file_appears() {
    for abilities in ABILITIES {
        let rig = Rig::with(abilities);
        let stamp = rig.publish_new(7, "a", "one");
        assert_eq!(stamp, rig.stamp("a"));
        assert_eq!(lines(&rig.picture()), "a=one\n");
    }
}
