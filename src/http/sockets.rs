//! The sockets on which the daemon listens: those that the service manager has opened, and its own. They outlive who
//! serves them: when the configuration is read again, the next one goes on with the same, so that nobody who connects
//! meanwhile is refused.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::Path;

use listenfd::ListenFd;

use crate::http::server::Listener;

/// How an address of a Unix socket begins; the rest is its path.
pub const UNIX: &str = "unix:";

/// What sockets of the service manager are called in their unit (`FileDescriptorName=`), as the sections of the
/// configuration that they are for. One with another name is the webhook's.
const NAMES: [&str; 3] = ["webhook", "metrics", "page"];

/// Sockets by the section that they are for, or by the address of the configuration.
#[derive(Default)]
pub struct Sockets {
    given: BTreeMap<&'static str, Socket>,
    own: BTreeMap<String, Socket>,
}

enum Socket {
    Tcp(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener),
}

impl Sockets {
    /// The sockets that the service manager has opened for us.
    pub fn from_service_manager() -> io::Result<Sockets> {
        let mut passed = ListenFd::from_env();
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let names: Vec<&str> = names.split(':').collect();
        let mut given = BTreeMap::new();
        for at in 0..passed.len() {
            let name = names.get(at).copied().unwrap_or_default();
            let section = NAMES.into_iter().find(|known| *known == name).unwrap_or(NAMES[0]);
            let socket = match passed.take_tcp_listener(at) {
                Ok(socket) => socket.map(Socket::Tcp),
                Err(_) => passed.take_unix_listener(at)?.map(Socket::Unix),
            };
            given.extend(socket.map(|socket| (section, socket)));
        }
        Ok(Sockets { given, own: BTreeMap::new() })
    }

    /// Where the service manager listens for a section of the configuration, such as `webhook`, if it does.
    pub fn given_address(&self, section: &str) -> Option<String> {
        Some(self.given.get(section)?.share().ok()?.address())
    }

    /// The socket of a setting such as `webhook.listen`: that of the service manager, or the one that is open already,
    /// or a new one.
    pub fn bind(&mut self, setting: &str, address: &str) -> io::Result<Listener> {
        let section = setting.split('.').next().unwrap_or(setting);
        if let Some(given) = self.given.get(section) {
            return given.share();
        }
        if let Some(open) = self.own.get(address) {
            return open.share();
        }
        let socket = Socket::open(address)?;
        let shared = socket.share();
        self.own.insert(address.to_owned(), socket);
        shared
    }

    /// Closes what no setting names any more.
    pub fn keep_only(&mut self, addresses: &[&str]) {
        self.own.retain(|address, _| addresses.contains(&address.as_str()));
    }
}

impl Socket {
    fn open(address: &str) -> io::Result<Socket> {
        let Some(path) = address.strip_prefix(UNIX) else {
            return std::net::TcpListener::bind(address).map(Socket::Tcp);
        };
        remove_stale(Path::new(path))?;
        let listener = std::os::unix::net::UnixListener::bind(path)?;
        // Our group may connect; who else may is decided by the folder.
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
        Ok(Socket::Unix(listener))
    }

    /// The same socket once more.
    fn share(&self) -> io::Result<Listener> {
        Ok(match self {
            Socket::Tcp(listener) => {
                let listener = listener.try_clone()?;
                listener.set_nonblocking(true)?;
                Listener::Tcp(tokio::net::TcpListener::from_std(listener)?)
            }
            Socket::Unix(listener) => {
                let listener = listener.try_clone()?;
                listener.set_nonblocking(true)?;
                Listener::Unix(tokio::net::UnixListener::from_std(listener)?)
            }
        })
    }
}

/// A socket that a daemon has left behind which is gone. One that somebody listens on is left alone.
fn remove_stale(path: &Path) -> io::Result<()> {
    let is_socket = path.symlink_metadata().is_ok_and(|known| known.file_type().is_socket());
    match is_socket && std::os::unix::net::UnixStream::connect(path).is_err() {
        true => std::fs::remove_file(path),
        false => Ok(()),
    }
}
