//! A site's own configuration against the simulator: the daemon runs as it would, and a page shows the phone on which the
//! messages appear.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::extract::State;
use axum::response::Html;
use axum::routing::get;
use axum::{Json, Router};
use rowbell::config::{Config, load};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::demo::daemon::Daemon;
use crate::demo::scratch::Scratch;
use crate::sandbox::{ChannelOptions, Delay, ReceiptOptions, Sandbox, SandboxOptions, SeenMessage};

/// The environment for which the database is claimed: one that was installed for another sends nothing here, and
/// nothing of it is lost.
const ENVIRONMENT: &str = "dev";

/// The page with the phones.
const PAGE: &str = include_str!("phone.html");

/// The daemon, its provider and the page. Dropping it ends them.
pub struct Dev {
    pub daemon: Daemon,
    pub sandbox: Arc<Sandbox>,
    /// Where the page is.
    pub url: String,
    page: JoinHandle<io::Result<()>>,
    folder: Scratch,
}

impl Drop for Dev {
    fn drop(&mut self) {
        self.page.abort();
    }
}

impl Dev {
    /// Starts everything. `channels` are those of the configuration, as the simulator has them.
    pub async fn start(
        exe: &Path,
        file: &Path,
        channels: Vec<ChannelOptions>,
        listen: SocketAddr,
    ) -> anyhow::Result<Dev> {
        let file = fs::canonicalize(file)?;
        let config = load::load(&file)?;
        let receipts = ReceiptOptions { read: Some(Delay::of(2)), ..ReceiptOptions::at_once() };
        let options = SandboxOptions { channels, receipts, ..SandboxOptions::default() };
        let sandbox = Arc::new(Sandbox::start(options)?);
        let folder = Scratch::new("dev")?;
        let ours = copied(&file, &config, &sandbox.url(), folder.path())?;
        let listener = TcpListener::bind(listen).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let pages = Router::new()
            .route("/", get(|| async { Html(PAGE) }))
            .route("/messages", get(messages))
            .with_state(sandbox.clone());
        let page = tokio::spawn(async move { axum::serve(listener, pages).await });
        let daemon = Daemon::start(exe, &ours, folder.path()).await?;
        Ok(Dev { daemon, sandbox, url, page, folder })
    }

    /// What the daemon has logged.
    pub fn log(&self) -> PathBuf {
        self.folder.path().join("daemon.log")
    }
}

async fn messages(State(sandbox): State<Arc<Sandbox>>) -> Json<Vec<SeenMessage>> {
    Json(sandbox.all_seen())
}

/// The files of the configuration in a folder of their own, with a last one that leads them to the simulator.
fn copied(file: &Path, config: &Config, provider: &str, folder: &Path) -> io::Result<PathBuf> {
    let ours = folder.join("rowbell.toml");
    fs::copy(file, &ours)?;
    let fragments = folder.join("watch.d");
    fs::create_dir(&fragments)?;
    for fragment in load::fragments(file) {
        fs::copy(&fragment, fragments.join(fragment.file_name().unwrap_or_default()))?;
    }
    // Its name comes after all others.
    fs::write(fragments.join("~dev.toml"), last(config, provider))?;
    Ok(ours)
}

/// Nothing leaves this machine, and nobody else is listened to.
fn last(config: &Config, provider: &str) -> String {
    let mut text = format!(
        "[installation]\nenvironment = \"{ENVIRONMENT}\"\ndry_run = false\n[webhook]\nlisten = \"\"\n[metrics]\nlisten = \"\"\n\
         [page]\nlisten = \"\"\n[polling]\nenabled = true\nfirst_after = \"1s\"\n[database]\n"
    );
    let files =
        [("password_file", &config.database.password_file), ("ca_file", &config.database.ca_file)];
    for (setting, file) in files {
        if let Some(file) = file {
            let _ = writeln!(text, "{setting} = {}", quoted(&file.display().to_string()));
        }
    }
    for (name, channel) in &config.channel {
        let _ = writeln!(text, "[channel.{}]", quoted(name));
        for (setting, file) in channel.secret_files() {
            let _ = writeln!(text, "{setting} = {}", quoted(&file.display().to_string()));
        }
        let _ = match channel.one_msg() {
            Some(_) => writeln!(text, "base_url = {}\ndry_run = false", quoted(provider)),
            None => writeln!(text, "dry_run = true"),
        };
    }
    text
}

/// A text as TOML and JSON both write it.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
