//! `rowbell run` as a child process: started as systemd would start it, and looked at from outside.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::net::UnixDatagram;
use tokio::process::{Child, Command};

use crate::demo::scratch::Guard;

/// How long a start or a stop may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Why the daemon is not there.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    #[error("could not start the daemon")]
    Io(#[from] io::Error),
    #[error("the daemon ended instead of getting ready ({status}); it said: {said}")]
    Ended { status: ExitStatus, said: String },
    #[error("the daemon did not {what} within {TIMEOUT:?}")]
    Late { what: &'static str },
}

/// A running daemon. Dropping it kills it, and so does our death.
pub struct Daemon {
    child: Child,
    pid: u32,
    _guard: Guard,
    /// From the start of the process to READY=1.
    pub start_time: Duration,
}

/// What a process has used so far.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    pub cpu: Duration,
    pub rss_kib: u64,
    pub peak_rss_kib: u64,
}

impl Daemon {
    /// Starts `exe run` and waits for READY=1. Its log goes to `folder/daemon.log`.
    pub async fn start(exe: &Path, config: &Path, folder: &Path) -> Result<Daemon, DaemonError> {
        let socket = folder.join(format!("notify-{:08x}", rand::random::<u32>()));
        let notify = UnixDatagram::bind(&socket)?;
        let log = OpenOptions::new().create(true).append(true).open(folder.join("daemon.log"))?;
        let began = Instant::now();
        let mut child = Command::new(exe)
            .arg("--config")
            .arg(config)
            .arg("run")
            .env("NOTIFY_SOCKET", &socket)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // Ctrl-C is for the demo; it stops the daemon in its turn.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let pid = child.id().unwrap_or_default();
        let guard = Guard::new("kill -KILL \"$0\"", None, &[Path::new(&pid.to_string())])?;
        let ready = tokio::select! {
            ready = tokio::time::timeout(TIMEOUT, heard_ready(&notify)) => {
                ready.map_err(|_| DaemonError::Late { what: "get ready" })?
            }
            status = child.wait() => {
                let said = fs::read_to_string(folder.join("daemon.log")).unwrap_or_default();
                return Err(DaemonError::Ended { status: status?, said: said.trim().to_owned() });
            }
        };
        let start_time = began.elapsed();
        ready?;
        let _ = fs::remove_file(&socket);
        Ok(Daemon { child, pid, _guard: guard, start_time })
    }

    /// Asks it to stop, as systemd would, and waits for its end.
    pub async fn stop(mut self) -> Result<ExitStatus, DaemonError> {
        self.signal(Signal::TERM)?;
        let ended = tokio::time::timeout(TIMEOUT, self.child.wait()).await;
        Ok(ended.map_err(|_| DaemonError::Late { what: "stop" })??)
    }

    /// kill -9, and waits until it is gone.
    pub async fn kill(mut self) -> Result<(), DaemonError> {
        self.child.kill().await?;
        Ok(())
    }

    /// The number of its process.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        match i32::try_from(self.pid).ok().and_then(Pid::from_raw) {
            Some(pid) => Ok(kill_process(pid, signal)?),
            None => Err(io::Error::from(io::ErrorKind::NotFound)),
        }
    }

    pub fn usage(&self) -> io::Result<Usage> {
        usage(self.pid)
    }
}

async fn heard_ready(notify: &UnixDatagram) -> io::Result<()> {
    let mut buffer = [0_u8; 4096];
    loop {
        let length = notify.recv(&mut buffer).await?;
        let said = String::from_utf8_lossy(&buffer[..length]);
        if said.lines().any(|line| line == "READY=1") {
            return Ok(());
        }
    }
}

/// What /proc says about a process.
pub fn usage(pid: u32) -> io::Result<Usage> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kib = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
    };
    Ok(Usage { cpu: cpu_time(pid)?, rss_kib: kib("VmRSS:"), peak_rss_kib: kib("VmHWM:") })
}

/// User and system time of a process and of its children that ended.
pub fn cpu_time(pid: u32) -> io::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name, in parentheses, may hold anything; the fields are counted from behind it.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 =
        fields.split_whitespace().skip(11).take(4).filter_map(|f| f.parse::<u64>().ok()).sum();
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Ok(Duration::from_secs_f64(ticks as f64 / per_second as f64))
}

/// CPU time of a process and all its descendants.
pub fn cpu_time_of_tree(root: u32) -> Duration {
    let mut total = cpu_time(root).unwrap_or_default();
    let children = fs::read_to_string(format!("/proc/{root}/task/{root}/children"));
    for child in children.unwrap_or_default().split_whitespace().filter_map(|c| c.parse().ok()) {
        total += cpu_time_of_tree(child);
    }
    total
}
