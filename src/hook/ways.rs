//! Every way by which content or a name can enter a folder or leave for the cloud, and how each passes the gate.
//!
//! `tests/hooks/ways.rs` goes each of them with the EICAR test string and a real clamd, and refuses a way without a test.

/// One way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    /// What happens.
    pub what: &'static str,
    /// How it passes the gate.
    pub gate: &'static str,
    /// The test that goes it, in `tests/hooks`.
    pub test: &'static str,
}

const fn way(what: &'static str, gate: &'static str, test: &'static str) -> Way {
    Way { what, gate, test }
}

/// All ways.
pub const WAYS: &[Way] = &[
    way("first download", "the staged file is examined", "downloads_are_examined"),
    way(
        "new version",
        "the staged file is examined; the version before stays until it may be replaced",
        "downloads_are_examined",
    ),
    way("promotion of an old version in the cloud", "it is a new version", "downloads_are_examined"),
    way("content that equals a quarantined one", "it is examined under its own name", "downloads_are_examined"),
    way(
        "restore from the cloud's versions",
        "a rejected version or content is refused; every other is examined before it is written",
        "what_was_rejected_is_not_restored",
    ),
    way("restore from the local version store", "the same", "what_was_rejected_is_not_restored"),
    way(
        "release from quarantine",
        "a person's decision with a reason, for exactly this content",
        "people_release_delete_and_rescan",
    ),
    way(
        "adoption of existing files",
        "equal files are fetched and examined before they count as synced",
        "existing_files_are_examined",
    ),
    way("hook added later", "what it never saw is examined in the background", "existing_files_are_examined"),
    way(
        "rename to a name that `match` covers",
        "the file is examined where it is, and then renamed",
        "a_covered_name_is_given_after_a_look",
    ),
    way("move to a place that `match` covers", "the same", "a_covered_name_is_given_after_a_look"),
    way(
        "rename of a folder above files that `match` covers then",
        "the files are examined where they are, and then the folder is renamed",
        "a_covered_name_is_given_after_a_look",
    ),
    way(
        "folder moved in",
        "what is in it is new: it is fetched and examined",
        "what_comes_in_from_elsewhere_is_examined",
    ),
    way(
        "`include` widened",
        "what comes into sight is fetched and examined",
        "what_comes_in_from_elsewhere_is_examined",
    ),
    way("mode changed", "what goes up is examined before it leaves", "what_leaves_is_examined"),
    way(
        "two-way upload of a new file or an edit",
        "examined before a byte leaves; the upload compares the digest",
        "what_leaves_is_examined",
    ),
    way(
        "rename on disk to a name that `match` covers",
        "examined before the cloud gets to know the name",
        "what_leaves_is_examined",
    ),
    way("hard link into the folder", "a new file, and examined like one", "what_leaves_is_examined"),
    way(
        "conflict copy",
        "the disk's content, examined before it leaves; it gives its name up only to something that may be published",
        "an_edit_keeps_its_name_until_something_may_be_published",
    ),
    way(
        "file changed between scan and publication",
        "publication compares the file with what was examined",
        "several_hooks_decide_in_order_and_a_guest_that_alters_the_file_publishes_nothing_of_it",
    ),
    way(
        "signatures changed",
        "`rescan` examines again; what is found leaves for quarantine",
        "what_is_found_later_leaves_the_folder",
    ),
];
