//! Who may have written a program that we run: root or we ourselves, and nobody else, at no step of its path.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Bits that let the group or the rest of the world write.
const GROUP_WRITES: u32 = 0o020;
const WORLD_WRITES: u32 = 0o002;
const STICKY: u32 = 0o1000;

/// Whose programs are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trust {
    /// This user's besides root's; nothing for the system service, whose own user must not be able to plant a program.
    pub user: Option<u32>,
}

impl Trust {
    /// What an installation trusts: the system service root alone, every other one its own user too.
    pub fn of(is_system: bool) -> Self {
        Self { user: (!is_system).then(|| rustix::process::geteuid().as_raw()) }
    }

    /// Checks a program and every directory above it. What is to be run is the path in the answer: the one that was
    /// checked, without symbolic links.
    pub fn check(self, program: &Path) -> Result<PathBuf, String> {
        let shown = program.display();
        if !program.is_absolute() {
            return Err(format!("{shown} is not an absolute path"));
        }
        let real = fs::canonicalize(program).map_err(|error| format!("{shown} cannot be run: {error}"))?;
        // Whoever can change a link on the way chooses the program as well.
        for path in program.ancestors().skip(1).chain(real.ancestors()) {
            let metadata =
                fs::metadata(path).map_err(|error| format!("{} cannot be checked: {error}", path.display()))?;
            if let Some(why) = self.doubt(&metadata) {
                return Err(format!("{} {why}, so that {shown} is not run", path.display()));
            }
        }
        let metadata = fs::metadata(&real).map_err(|error| format!("{shown} cannot be run: {error}"))?;
        if !metadata.is_file() {
            return Err(format!("{shown} is not a file"));
        }
        if metadata.mode() & 0o111 == 0 {
            return Err(format!("{shown} is not executable"));
        }
        Ok(real)
    }

    fn doubt(self, metadata: &fs::Metadata) -> Option<String> {
        let (mode, uid, gid) = (metadata.mode(), metadata.uid(), metadata.gid());
        if uid != 0 && Some(uid) != self.user {
            return Some(format!("belongs to user {uid}"));
        }
        // In a directory such as /tmp everybody may add files, and nobody may replace another's.
        if metadata.is_dir() && mode & STICKY != 0 {
            return None;
        }
        // A group of one's own, numbered like the user, has one member.
        let own_group = gid == uid && Some(uid) == self.user;
        if mode & WORLD_WRITES != 0 || (mode & GROUP_WRITES != 0 && gid != 0 && !own_group) {
            return Some("can be written by others".to_owned());
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use super::*;

    fn me() -> Trust {
        Trust { user: Some(rustix::process::geteuid().as_raw()) }
    }

    #[test]
    fn only_programs_that_nobody_else_can_change() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("bin");
        fs::create_dir(&inner).unwrap();
        let program = inner.join("scan");
        fs::write(&program, "#!/bin/sh\n").unwrap();
        let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        mode(&program, 0o644);
        assert!(me().check(&program).unwrap_err().contains("not executable"));
        mode(&program, 0o755);
        assert_eq!(me().check(&program), Ok(fs::canonicalize(&program).unwrap()));
        mode(&program, 0o757);
        assert!(me().check(&program).unwrap_err().contains("can be written by others"));
        mode(&program, 0o755);
        mode(&inner, 0o777);
        assert!(me().check(&program).unwrap_err().contains("can be written by others"));
        mode(&inner, 0o1777);
        assert!(me().check(&program).is_ok(), "a sticky directory protects what is in it");
        mode(&inner, 0o755);

        let link = dir.path().join("link");
        symlink(&program, &link).unwrap();
        assert_eq!(me().check(&link), Ok(fs::canonicalize(&program).unwrap()));
        assert!(me().check(&inner).unwrap_err().contains("not a file"));
        assert!(me().check(Path::new("scan")).unwrap_err().contains("not an absolute path"));
        assert!(me().check(&inner.join("none")).unwrap_err().contains("cannot be run"));

        if rustix::process::geteuid().is_root() {
            chown(&program, Some(1234), None).unwrap();
            assert!(Trust { user: None }.check(&program).unwrap_err().contains("belongs to user 1234"));
            assert!(Trust { user: Some(1234) }.check(&program).is_ok());
        }
    }
}
