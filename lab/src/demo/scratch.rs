//! A folder for temporary files that is gone when it is dropped, and also when we are killed.
//!
//! A shell watches us: it reads from a pipe whose other end closes however we die. What even the shell
//! cannot remove, because the machine goes down, is removed when the next folder is made.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// User and group.
pub type FileOwner = (u32, u32);

/// A folder of its own. Dropping it removes it.
pub struct Scratch {
    path: PathBuf,
    // Dropped after the folder is removed.
    _guard: Guard,
}

impl Scratch {
    /// An empty folder, with a name that says what it is for.
    pub fn new(what: &str) -> io::Result<Scratch> {
        Scratch::with(what, None, ":", &[])
    }

    /// The same, of another owner. The commands, with `$0` for the folder and `$1` … for the arguments, are run
    /// before it is removed after our death.
    pub fn with(
        what: &str,
        owner: Option<FileOwner>,
        commands: &str,
        arguments: &[&Path],
    ) -> io::Result<Scratch> {
        remove_stale();
        let name = format!("rowbell-{what}-{}-{:08x}", std::process::id(), rand::random::<u32>());
        let path = std::env::temp_dir().join(name);
        let script = format!("{commands}; rm -rf \"$0\"");
        let mut words = vec![path.as_path()];
        words.extend(arguments);
        let guard = Guard::new(&script, owner, &words)?;
        // Secrets are written into it; what belongs to somebody else is entered by us, too.
        let mode = if owner.is_some() { 0o755 } else { 0o700 };
        fs::DirBuilder::new().mode(mode).create(&path)?;
        if let Some((uid, gid)) = owner {
            chown(&path, Some(uid), Some(gid))?;
        }
        Ok(Scratch { path, _guard: guard })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed now is stale later.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// A shell that runs a script when we die. Dropping it ends the shell, and the script does not run.
pub struct Guard(Child);

impl Guard {
    /// The script of a shell, its words `$0` …, and who runs it.
    pub fn new(script: &str, owner: Option<FileOwner>, words: &[&Path]) -> io::Result<Guard> {
        let mut shell = Command::new("/bin/sh");
        shell.arg("-c").arg(format!("read -r _; {script}")).args(words).current_dir("/");
        shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        if let Some((uid, gid)) = owner {
            shell.uid(uid).gid(gid);
        }
        // Out of our process group: Ctrl-C must not end the guard before us.
        Ok(Guard(shell.process_group(0).spawn()?))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Removes folders whose maker is gone and in which no server runs any more.
fn remove_stale() {
    let entries = fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten();
    for entry in entries {
        let Some(maker) = maker(&entry.file_name().to_string_lossy()) else { continue };
        let is_alive = Path::new("/proc").join(maker.to_string()).exists();
        let server = fs::read_to_string(entry.path().join("data/postmaster.pid")).ok();
        let server = server.and_then(|pid| pid.lines().next().map(str::to_owned));
        let runs = server.is_some_and(|pid| Path::new("/proc").join(pid.trim()).exists());
        if !is_alive && !runs {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// The process that made a folder, by the name that it gave it.
fn maker(name: &str) -> Option<u32> {
    let mut parts = name.strip_prefix("rowbell-")?.split('-').skip(1);
    let maker = parts.next()?.parse().ok()?;
    let is_ours = parts.next()?.len() == 8 && parts.next().is_none();
    is_ours.then_some(maker)
}
