//! The accept loop of every HTTP server: who may connect, how many at once, and for how long. A client that
//! does not behave costs a bounded amount of memory and time, and nothing of the database.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use axum::Router;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use ipnet::IpNet;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio_util::sync::CancellationToken;

/// How long the head of a request may take; and while more than half of the connections are taken, so
/// that those who only sit there make room for those who have something to say.
const HEAD_TIMEOUT: Duration = Duration::from_secs(3);
const HEAD_TIMEOUT_WHEN_BUSY: Duration = Duration::from_millis(300);

/// Bytes that hyper buffers for one connection; the least that it allows is 8 KiB.
const BUFFER: usize = 16 * 1024;

/// How long somebody who has connected, and not posted yet, may take for that when the server stops.
const JUST_CONNECTED: Duration = Duration::from_millis(500);

/// How long to wait when the system gives no more connections.
const ACCEPT_WAIT: Duration = Duration::from_millis(100);

/// Where connections come from.
pub enum Listener {
    Tcp(TcpListener),
    /// Who may connect is decided by the rights of the socket's file.
    Unix(UnixListener),
}

/// Where a request comes from; None: over a Unix socket. Each request carries it.
#[derive(Clone, Copy, Debug)]
pub struct PeerAddress(pub Option<IpAddr>);

/// One connection, whatever it came over.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Listener {
    /// Where it listens, as a person would write it.
    pub fn address(&self) -> String {
        match self {
            Listener::Tcp(listener) => {
                listener.local_addr().map_or(String::new(), |address| address.to_string())
            }
            Listener::Unix(listener) => {
                let address = listener.local_addr().ok();
                let path = address.as_ref().and_then(|address| address.as_pathname());
                path.map_or(String::new(), |path| format!("unix:{}", path.display()))
            }
        }
    }

    /// The next connection, and its address where it has one.
    async fn accept(&self) -> std::io::Result<(Box<dyn Stream>, Option<SocketAddr>)> {
        Ok(match self {
            Listener::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                (Box::new(stream), Some(peer))
            }
            Listener::Unix(listener) => (Box::new(listener.accept().await?.0), None),
        })
    }
}

/// Serves connections within these limits.
pub struct HttpServer {
    pub networks: Vec<IpNet>,
    pub max_connections: usize,
    /// How long an answer under way may take when the server stops.
    pub timeout: Duration,
}

impl HttpServer {
    /// Serves until it is stopped; then finishes the deliveries that are under way.
    pub async fn serve(&self, listener: Listener, router: Router, stop: CancellationToken) {
        let mut open = FuturesUnordered::new();
        let mut is_failing = false;
        while !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => {}
                Some(()) = open.next(), if !open.is_empty() => {}
                accepted = listener.accept(), if open.len() < self.max_connections => match accepted {
                    Ok((stream, peer)) => {
                        is_failing = false;
                        if peer.is_none_or(|peer| self.admits(peer)) {
                            let is_busy = open.len() * 2 > self.max_connections;
                            let head_timeout = if is_busy { HEAD_TIMEOUT_WHEN_BUSY } else { HEAD_TIMEOUT };
                            let peer = PeerAddress(peer.map(|peer| peer.ip().to_canonical()));
                            open.push(self.one(stream, peer, head_timeout, router.clone(), stop.clone()));
                        }
                    }
                    Err(error) => {
                        if !std::mem::replace(&mut is_failing, true) {
                            tracing::warn!(%error, "connections cannot be accepted; will try again");
                        }
                        tokio::time::sleep(ACCEPT_WAIT).await;
                    }
                },
            }
        }
        drop(listener);
        while open.next().await.is_some() {}
    }

    fn admits(&self, peer: SocketAddr) -> bool {
        let address: IpAddr = peer.ip().to_canonical();
        self.networks.is_empty() || self.networks.iter().any(|network| network.contains(&address))
    }

    /// One connection. A provider that keeps it open may post again on it, each delivery in its time.
    async fn one(
        &self,
        stream: Box<dyn Stream>,
        peer: PeerAddress,
        head_timeout: Duration,
        router: Router,
        stop: CancellationToken,
    ) {
        let asked = CancellationToken::new();
        let answers = TowerToHyperService::new(router);
        let service = service_fn(|mut request: hyper::Request<_>| {
            asked.cancel();
            request.extensions_mut().insert(peer);
            answers.call(request)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(head_timeout)
            .max_buf_size(BUFFER)
            .serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        tokio::select! {
            // A connection that breaks is the other side's affair: it will post again.
            _ = connection.as_mut() => return,
            () = stop.cancelled() => {}
        }
        // Who has just connected is about to post: closed now, that would be refused.
        tokio::select! {
            _ = connection.as_mut() => return,
            () = asked.cancelled() => {}
            () = tokio::time::sleep(JUST_CONNECTED) => {}
        }
        connection.as_mut().graceful_shutdown();
        let _ = tokio::time::timeout(self.timeout, connection).await;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_the_networks_that_are_named_may_connect() {
        let server = |networks: &[&str]| HttpServer {
            networks: networks.iter().map(|network| network.parse().unwrap()).collect(),
            max_connections: 1,
            timeout: Duration::ZERO,
        };
        let peer = |address: &str| format!("{address}:1").parse::<SocketAddr>().unwrap();
        assert!(server(&[]).admits(peer("198.51.100.7")));
        let some = server(&["203.0.113.0/24", "2001:db8::/32"]);
        assert!(some.admits(peer("203.0.113.9")) && some.admits(peer("[2001:db8::1]")));
        assert!(some.admits(peer("[::ffff:203.0.113.9]")), "the same address, as IPv6 writes it");
        assert!(!some.admits(peer("198.51.100.7")) && !some.admits(peer("[2001:db9::1]")));
    }
}
