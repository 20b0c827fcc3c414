//! A throwaway PostgreSQL: for the demo, the benchmarks and the tests.
//!
//! Runs as another user when we are root, because PostgreSQL refuses root. Leaves nothing behind: it
//! is stopped when it is dropped, and by the guard of its folder if we are killed.

use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::demo::scratch::{FileOwner, Scratch};

/// How long initdb and the start of the server may take.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// Why there is no cluster.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    #[error(
        "found no PostgreSQL server; install Debian's package postgresql, or put its bin folder on PATH"
    )]
    NoServer,
    #[error(
        "ROWBELL_POSTGRES names {}, which has no postgres, initdb and pg_ctl; name the bin folder of a PostgreSQL server", .0.display()
    )]
    NoServerThere(PathBuf),
    #[error(
        "we are root, which PostgreSQL refuses, and there is no user postgres or nobody to run it as"
    )]
    NoUser,
    #[error("{what} failed: {said}")]
    Failed { what: &'static str, said: String },
    #[error("could not prepare the folder of the throwaway cluster")]
    Io(#[from] std::io::Error),
}

/// How a cluster is set up.
#[derive(Clone, Debug, Default)]
pub struct ClusterOptions {
    /// False: without fsync, for tests that do not measure.
    pub is_durable: bool,
    /// More settings, as in postgresql.conf.
    pub settings: Vec<(String, String)>,
    /// Folder for a copy of what initdb made, so that many clusters in a row start sooner.
    pub cache: Option<PathBuf>,
}

/// A running server. Dropping it stops it and removes its folder.
pub struct Cluster {
    folder: Scratch,
    bin: PathBuf,
    user: Option<FileOwner>,
    port: u16,
    options: ClusterOptions,
}

impl Cluster {
    /// Makes and starts a cluster, and waits until it takes connections.
    pub fn start(options: ClusterOptions) -> Result<Cluster, ClusterError> {
        let bin = server_binaries(std::env::var_os("ROWBELL_POSTGRES"))?;
        let user = other_user()?;
        let stop = "\"$1\" stop -m immediate -D \"$0/data\"";
        let folder = Scratch::with("pg", user, stop, &[&bin.join("pg_ctl")])?;
        let port = free_port()?;
        let mut cluster = Cluster { folder, bin, user, port, options };
        cluster.initdb()?;
        cluster.launch()?;
        Ok(cluster)
    }

    /// URL of a database of this cluster, as its superuser.
    pub fn url(&self, database: &str) -> String {
        self.url_as("postgres", database)
    }

    /// URL of a database of this cluster.
    pub fn url_as(&self, user: &str, database: &str) -> String {
        format!("postgresql://{user}@127.0.0.1:{}/{database}?sslmode=disable", self.port)
    }

    /// Port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Folder of the unix socket.
    pub fn socket_folder(&self) -> &Path {
        self.folder.path()
    }

    /// A program of the server's folder, to be run as the server's user.
    pub fn program(&self, name: &str) -> Command {
        self.command(name)
    }

    /// Process id of the postmaster.
    pub fn postmaster(&self) -> Option<u32> {
        let file = fs::read_to_string(self.data().join("postmaster.pid")).ok()?;
        file.lines().next()?.trim().parse().ok()
    }

    /// A standby of this server, by streaming replication, on a port and in a folder of its own.
    pub fn standby(&self) -> Result<Cluster, ClusterError> {
        let stop = "\"$1\" stop -m immediate -D \"$0/data\"";
        let folder = Scratch::with("pg", self.user, stop, &[&self.bin.join("pg_ctl")])?;
        let (bin, user, options) = (self.bin.clone(), self.user, self.options.clone());
        let mut standby = Cluster { folder, bin, user, port: free_port()?, options };
        let mut copy = standby.command("pg_basebackup");
        copy.args(["-R", "-X", "stream", "-c", "fast", "-U", "postgres", "-h", "127.0.0.1"]);
        copy.args(["-p", &self.port.to_string(), "-D"]).arg(standby.data());
        standby.run(copy, "pg_basebackup")?;
        standby.write_settings()?;
        standby.launch()?;
        Ok(standby)
    }

    /// Makes a standby the primary, and waits until it is.
    pub fn promote(&self) -> Result<(), ClusterError> {
        let mut promote = self.command("pg_ctl");
        promote.args(["promote", "-w", "-D"]).arg(self.data());
        self.run(promote, "promoting PostgreSQL")
    }

    /// Stops the server: `fast` lets it finish, `immediate` is a crash.
    pub fn stop(&mut self, mode: &str) -> Result<(), ClusterError> {
        let data = self.data();
        let mut stop = self.command("pg_ctl");
        stop.args(["stop", "-w", "-m", mode, "-D"]).arg(data);
        self.run(stop, "stopping PostgreSQL")
    }

    /// Starts the server again after `stop`.
    pub fn launch(&mut self) -> Result<(), ClusterError> {
        let data = self.data();
        let mut start = self.command("pg_ctl");
        start.args(["start", "-w", "-t", "60", "-D"]).arg(&data);
        start.arg("-l").arg(self.folder.path().join("log"));
        self.run(start, "starting PostgreSQL")
    }

    fn initdb(&self) -> Result<(), ClusterError> {
        if !self.copy_from_cache() {
            let mut initdb = self.command("initdb");
            initdb.args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-D"]);
            initdb.arg(self.data());
            if !self.options.is_durable {
                initdb.arg("-N");
            }
            self.run(initdb, "initdb")?;
            self.copy_to_cache();
        }
        self.write_settings()
    }

    /// The copy of an untouched cluster of this server, as the same user.
    fn cached(&self) -> Option<PathBuf> {
        let version = self.bin.to_string_lossy().replace('/', "_");
        let user = self.user.map_or(0, |(uid, _)| uid);
        Some(self.options.cache.as_ref()?.join(format!("initdb{version}_{user}")))
    }

    fn copy_from_cache(&self) -> bool {
        let Some(cached) = self.cached().filter(|cached| cached.exists()) else { return false };
        copy(&cached, &self.data())
    }

    /// Best effort: another process may do the same at the same time, and one of them wins.
    fn copy_to_cache(&self) {
        let Some(cached) = self.cached() else { return };
        let unfinished = cached.with_extension(format!("{:08x}", rand::random::<u32>()));
        if !copy(&self.data(), &unfinished) || fs::rename(&unfinished, &cached).is_err() {
            let _ = fs::remove_dir_all(&unfinished);
        }
    }

    fn write_settings(&self) -> Result<(), ClusterError> {
        let mut settings = format!(
            "listen_addresses = '127.0.0.1'\nport = {}\nunix_socket_directories = '{}'\nmax_connections = 200\n",
            self.port,
            self.folder.path().display()
        );
        if !self.options.is_durable {
            // What was committed is with the operating system: it outlives a server that is stopped at once.
            settings += "fsync = off\nfull_page_writes = off\n";
        }
        for (name, value) in &self.options.settings {
            settings += &format!("{name} = '{value}'\n");
        }
        let mut file =
            fs::OpenOptions::new().append(true).open(self.data().join("postgresql.conf"))?;
        file.write_all(settings.as_bytes())?;
        Ok(())
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        command.current_dir(self.folder.path());
        if let Some((uid, gid)) = self.user {
            use std::os::unix::process::CommandExt as _;
            command.uid(uid).gid(gid);
        }
        command
    }

    fn run(&self, mut command: Command, what: &'static str) -> Result<(), ClusterError> {
        command.stdin(Stdio::null());
        // pg_ctl hands its output to the server, which would keep a pipe open for ever.
        let log = self.folder.path().join("said");
        let file = fs::File::create(&log)?;
        command.stdout(file.try_clone()?).stderr(file);
        let said = || fs::read_to_string(&log).unwrap_or_default().trim().to_owned();
        match command.status() {
            Ok(status) if status.success() => Ok(()),
            Ok(_) => Err(ClusterError::Failed { what, said: said() }),
            Err(error) => Err(ClusterError::Failed { what, said: error.to_string() }),
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Nothing can be done about a failure here.
        let _ = self.stop("immediate");
    }
}

/// Copies a folder with owners and modes. Says whether it did.
fn copy(from: &Path, to: &Path) -> bool {
    let mut copy = Command::new("cp");
    copy.arg("-a").arg(from).arg(to).stdin(Stdio::null()).stderr(Stdio::null());
    copy.status().is_ok_and(|status| status.success())
}

/// The folder with `postgres`, `initdb` and `pg_ctl`: the one that was chosen; else the newest of Debian's, or one on
/// PATH.
fn server_binaries(chosen: Option<OsString>) -> Result<PathBuf, ClusterError> {
    let has_server = |bin: &PathBuf| {
        ["postgres", "initdb", "pg_ctl"].iter().all(|program| bin.join(program).exists())
    };
    if let Some(bin) = chosen.filter(|bin| !bin.is_empty()).map(PathBuf::from) {
        return if has_server(&bin) { Ok(bin) } else { Err(ClusterError::NoServerThere(bin)) };
    }
    let mut found: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .collect();
    found.sort_by_key(|bin| {
        let version = bin.parent().and_then(Path::file_name).and_then(|name| name.to_str());
        version.and_then(|version| version.parse::<u32>().ok()).unwrap_or(0)
    });
    found.reverse();
    let path = std::env::var_os("PATH").unwrap_or_default();
    found.extend(std::env::split_paths(&path));
    found.into_iter().find(has_server).ok_or(ClusterError::NoServer)
}

/// Who to run the server as; None: as ourselves.
fn other_user() -> Result<Option<FileOwner>, ClusterError> {
    if own_uid() != 0 {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd")?;
    let find = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    find("postgres").or_else(|| find("nobody")).map(Some).ok_or(ClusterError::NoUser)
}

/// Our user id, by the owner of our own entry in /proc.
fn own_uid() -> u32 {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata("/proc/self").map(|meta| meta.uid()).unwrap_or(1)
}

fn free_port() -> Result<u16, ClusterError> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Waits for a condition, looking every 20 ms. False: it did not come true in time.
pub fn wait_until(timeout: Duration, mut is_true: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + timeout.min(START_TIMEOUT);
    while Instant::now() < end {
        if is_true() {
            return true;
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
    is_true()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_chosen_server_is_taken_and_no_other() {
        let newest = server_binaries(None).unwrap();
        assert_eq!(server_binaries(Some(OsString::new())).unwrap(), newest);
        let folder = Scratch::new("chosen").unwrap();
        let error = server_binaries(Some(folder.path().into())).unwrap_err();
        assert!(error.to_string().contains("ROWBELL_POSTGRES"), "{error}");
        for program in ["postgres", "initdb", "pg_ctl"] {
            std::os::unix::fs::symlink(newest.join(program), folder.path().join(program)).unwrap();
        }
        assert_eq!(server_binaries(Some(folder.path().into())).unwrap(), folder.path());
    }
}
