//! A real c-icap with its echo service and its virus scanner, which asks a clamd of the test's own.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Where Debian keeps the modules.
const MODULES: &str = "/usr/lib/x86_64-linux-gnu/c_icap";

/// A running c-icap; it ends with this value.
pub struct CIcap {
    child: Child,
    port: u16,
    dir: PathBuf,
}

/// Whether c-icap and its modules are here. Where they are not, tests with it are skipped, except where they were promised to run.
pub fn is_installed() -> bool {
    let found = Path::new(MODULES).join("virus_scan.so").exists() && Path::new("/usr/bin/c-icap").exists();
    assert!(found || std::env::var_os("REQUIRE_C_ICAP").is_none(), "c-icap was promised and is not installed");
    if !found {
        eprintln!("skipped: c-icap is not installed (apt-get install c-icap libc-icap-mod-virus-scan)");
    }
    found
}

impl CIcap {
    /// Starts one in a directory, with a clamd behind it, and waits until it listens.
    pub fn start(dir: &Path, clamd: &Path) -> Self {
        let dir = fs::canonicalize(dir).unwrap();
        // A port that was free a moment ago.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let at = dir.display();
        let user = if rustix::process::geteuid().is_root() { "User root\nGroup root\n" } else { "" };
        let config = format!(
            "PidFile {at}/icap.pid\nCommandsSocket {at}/icap.ctl\nPort 127.0.0.1:{port}\n{user}ServerName test\nTmpDir {at}\n\
             StartServers 1\nMaxServers 1\nThreadsPerChild 8\nMinSpareThreads 1\nMaxSpareThreads 8\nDebugLevel 1\n\
             MaxMemObject 131072\nKeepAliveTimeout 60\nModulesDir {MODULES}\nServicesDir {MODULES}\n\
             LoadMagicFile /etc/c-icap/c-icap.magic\nacl all src 0.0.0.0/0.0.0.0\nicap_access allow all\n\
             ServerLog {at}/icap.log\nAccessLog {at}/access.log\nService echo srv_echo.so\nService avscan virus_scan.so\n\
             Module common clamd_mod.so\nclamd_mod.ClamdSocket {}\nvirus_scan.DefaultEngine clamd\n\
             virus_scan.ScanFileTypes TEXT DATA EXECUTABLE ARCHIVE GIF JPEG MSOFFICE\nvirus_scan.Allow204Responces on\n\
             virus_scan.PassOnError off\nvirus_scan.MaxObjectSize 5M\n",
            clamd.display()
        );
        let path = dir.join("c-icap.conf");
        fs::write(&path, config).unwrap();
        let log = fs::File::create(dir.join("icap.out")).unwrap();
        let mut command = Command::new("/usr/bin/c-icap");
        command.args(["-N", "-D", "-f"]).arg(&path).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let child = std::os::unix::process::CommandExt::process_group(&mut command, 0).spawn().unwrap();
        let mut server = Self { child, port, dir };
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let said = || fs::read_to_string(server.dir.join("icap.out")).unwrap_or_default();
            assert!(server.child.try_wait().unwrap().is_none(), "c-icap ended: {}", said());
            assert!(Instant::now() < deadline, "c-icap does not listen: {}", said());
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }

    /// The address of a service.
    pub fn url(&self, service: &str) -> String {
        format!("icap://127.0.0.1:{}/{service}", self.port)
    }
}

impl Drop for CIcap {
    fn drop(&mut self) {
        let group = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        let _ = self.child.wait();
    }
}
