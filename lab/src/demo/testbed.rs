//! The testbed of the demo and the benchmarks: a throwaway PostgreSQL with a shop and a clinic in
//! it, the sandbox as its provider, and the configuration that a sysadmin would have written.
//! Everything is set up by the commands that a user would run. Dropping it leaves nothing behind.

use std::fs;
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tokio_postgres::NoTls;

use crate::demo::cluster::{Cluster, ClusterError, ClusterOptions};
use crate::demo::daemon::{Daemon, DaemonError};
use crate::demo::scratch::Scratch;
use crate::sandbox::{Sandbox, SandboxOptions};

const SEED: &str = include_str!("testbed.sql");
const CONFIG: &str = include_str!("testbed.toml");

/// Name of the business database.
const DATABASE: &str = "crm";

/// Why there is no testbed.
#[derive(Debug, thiserror::Error)]
pub enum TestbedError {
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error("could not write the files of the demo, or start its provider")]
    Io(#[from] io::Error),
    #[error("could not seed the business database")]
    Database(#[from] tokio_postgres::Error),
    #[error("`rowbell {command}` failed: {said}")]
    Command { command: String, said: String },
    #[error(transparent)]
    Daemon(#[from] DaemonError),
}

/// How many rows the testbed has, and how its daemon is set.
#[derive(Clone, Debug)]
pub struct TestbedOptions {
    pub cluster: ClusterOptions,
    pub customers: u64,
    pub deliveries: u64,
    /// As in the configuration, such as `80/s`.
    pub rate: String,
    /// As in the configuration, such as `1s`.
    pub quiet_period: String,
    /// Whether receipts come by webhook.
    pub webhook: bool,
    /// Texts of the configuration to replace by others.
    pub edits: Vec<(&'static str, &'static str)>,
    pub log_level: String,
}

impl Default for TestbedOptions {
    fn default() -> TestbedOptions {
        TestbedOptions {
            cluster: ClusterOptions { is_durable: true, ..ClusterOptions::default() },
            customers: 40,
            deliveries: 60,
            rate: "80/s".to_owned(),
            quiet_period: "1s".to_owned(),
            webhook: true,
            edits: Vec::new(),
            log_level: "info".to_owned(),
        }
    }
}

/// A running testbed, without its daemon.
pub struct Testbed {
    pub sandbox: Sandbox,
    pub cluster: Cluster,
    folder: Scratch,
    exe: PathBuf,
}

impl Testbed {
    /// Sets everything up. `exe` is the `rowbell` program.
    pub async fn raise(
        exe: &Path,
        options: TestbedOptions,
        provider: SandboxOptions,
    ) -> Result<Testbed, TestbedError> {
        let folder = Scratch::new("testbed")?;
        let sandbox = Sandbox::start(provider)?;
        let cluster = Cluster::start(options.cluster.clone())?;
        let testbed = Testbed { sandbox, cluster, folder, exe: exe.to_owned() };
        testbed.seed(&options).await?;
        testbed.configure(&options)?;
        testbed.command(&["migrate"])?;
        testbed.command(&["watch"])?;
        Ok(testbed)
    }

    async fn seed(&self, options: &TestbedOptions) -> Result<(), TestbedError> {
        let admin = connect(&self.cluster.url("postgres")).await?;
        admin.batch_execute(&format!("create database {DATABASE}")).await?;
        let client = self.connect().await?;
        let seed = SEED
            .replace(":customers", &options.customers.to_string())
            .replace(":deliveries", &options.deliveries.to_string());
        client.batch_execute(&seed).await?;
        Ok(())
    }

    fn configure(&self, options: &TestbedOptions) -> Result<(), TestbedError> {
        let webhook = match options.webhook {
            true => format!("127.0.0.1:{}", free_port()?),
            false => String::new(),
        };
        let folder = self.folder.path().display().to_string();
        let mut config = CONFIG
            .replace("{database}", &self.url())
            .replace("{webhook}", &webhook)
            .replace("{folder}", &folder)
            .replace("{provider}", &self.sandbox.url())
            .replace("{rate}", &options.rate)
            .replace("{quiet}", &options.quiet_period)
            .replace("[log]", &format!("[log]\nlevel = \"{}\"", options.log_level));
        for (from, to) in &options.edits {
            config = config.replace(from, to);
        }
        fs::write(self.config_file(), config)?;
        for (name, secret) in
            [("1msg.token", "sandbox-token\n"), ("webhook.secret", "demo-secret\n")]
        {
            let file = self.folder.path().join(name);
            fs::write(&file, secret)?;
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
        }
        if options.webhook {
            let url = format!("http://{webhook}/webhook/demo-secret");
            self.sandbox.set_webhook("ODI371267300", &[url]);
        }
        Ok(())
    }

    /// Runs a command of rowbell to its end and gives what it printed.
    pub fn command(&self, arguments: &[&str]) -> Result<String, TestbedError> {
        let mut command = Command::new(&self.exe);
        command.arg("--config").arg(self.config_file()).args(arguments).stdin(Stdio::null());
        let output = command.output()?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(TestbedError::Command {
            command: arguments.join(" "),
            said: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        })
    }

    /// Starts the daemon, as systemd would, and waits until it is ready.
    pub async fn daemon(&self) -> Result<Daemon, TestbedError> {
        Ok(Daemon::start(&self.exe, &self.config_file(), self.folder.path()).await?)
    }

    /// URL of the business database.
    pub fn url(&self) -> String {
        self.cluster.url(DATABASE)
    }

    /// A new connection to the business database.
    pub async fn connect(&self) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
        connect(&self.url()).await
    }

    pub fn config_file(&self) -> PathBuf {
        self.folder.path().join("rowbell.toml")
    }

    /// What the daemons of this testbed have logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("daemon.log")).unwrap_or_default()
    }
}

/// Connects; the connection lives as long as the client.
pub async fn connect(url: &str) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    // Its end shows in the next use of the client.
    tokio::spawn(connection);
    Ok(client)
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
