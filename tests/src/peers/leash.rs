//! A server process that cannot outlive its test.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use super::ports::wait_for_port;

/// Starts the server, waits for it, and stops it as soon as standard input ends: when the
/// [`Leash`] is dropped, and also when the test is killed. What
/// has not stopped after ten seconds is killed.
const HOLD: &str = r#"
exec 3<&0 </dev/null
"$@" 3<&- &
server=$!
{
    read -r _ <&3
    kill "$server"
    left=50
    while [ "$left" -gt 0 ]; do sleep 0.2; left=$((left - 1)); done
    kill -KILL "$server"
} 2>/dev/null &
watch=$!
wait "$server"
status=$?
kill "$watch" 2>/dev/null
exit "$status"
"#;

/// How long a server may take to listen on all of its ports.
const START: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct Leash {
    name: &'static str,
    child: Child,
    hand: Option<ChildStdin>,
    logs: Vec<PathBuf>,
}

impl Leash {
    /// Starts a server that stays in the foreground. What it prints goes to `output`, and
    /// `logs` are further files that tell what it did.
    pub(super) fn start(
        name: &'static str,
        server: &[&str],
        output: PathBuf,
        mut logs: Vec<PathBuf>,
    ) -> Self {
        let file = File::create(&output).expect("a log");
        let mut command = Command::new("sh");
        command
            .args(["-c", HOLD, "leash"])
            .args(server)
            .stdin(Stdio::piped())
            .stdout(file.try_clone().expect("a log"))
            .stderr(file);
        // In a process group of its own: what kills the test's group spares the shell, which
        // then stops the server.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn().expect("sh");
        let hand = child.stdin.take();
        logs.insert(0, output);
        Self { name, child, hand, logs }
    }

    /// Waits until the server listens on all of these ports.
    pub(super) fn wait_for_ports(&mut self, ports: &[u16]) {
        let deadline = Instant::now() + START;
        for &port in ports {
            while !wait_for_port(port, Duration::from_millis(50)) {
                if let Ok(Some(status)) = self.child.try_wait() {
                    panic!("{} ended at its start: {status}", self.name);
                }
                assert!(Instant::now() < deadline, "{}: not on port {port} in time", self.name);
            }
        }
    }

    /// Waits until the server says that it is ready, which some do only after they listen.
    pub(super) fn wait_for_log(&mut self, ready: &str) {
        let deadline = Instant::now() + START;
        while !self.log().contains(ready) {
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("{} ended at its start: {status}", self.name);
            }
            assert!(Instant::now() < deadline, "{}: did not say {ready:?} in time", self.name);
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(super) fn log(&self) -> String {
        let read = |log: &PathBuf| fs::read(log).unwrap_or_default();
        let all: Vec<u8> = self.logs.iter().flat_map(read).collect();
        String::from_utf8_lossy(&all).into_owned()
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        drop(self.hand.take());
        let ended = self.child.wait();
        if std::thread::panicking() {
            eprintln!("---- {} ({ended:?}) said:\n{}----", self.name, self.log());
        }
    }
}

/// A path as an argument or in a configuration file.
pub(super) fn text(path: &Path) -> &str {
    path.to_str().expect("a temporary directory whose name is UTF-8")
}
