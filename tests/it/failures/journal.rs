//! What the journal of systemd is given: a line to which a person must react has an id that stays the same.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use rowbell::domain::notice;
use tokio::net::UnixDatagram;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::site::{Site, skipped};

/// One entry in the journal's own protocol: `NAME=value`, or the name, a length of eight bytes and the value.
fn entry(mut bytes: &[u8]) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
        let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
        let (name, value) = match line.iter().position(|byte| *byte == b'=') {
            Some(at) => {
                bytes = rest;
                (&line[..at], &line[at + 1..])
            }
            None => {
                let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
                bytes = &rest[8 + length + 1..];
                (line, &rest[8..8 + length])
            }
        };
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        fields.insert(text(name), text(value));
    }
    fields
}

/// Takes in what is sent to the journal, so that nobody has to wait for it.
fn entries(journal: UnixDatagram) -> UnboundedReceiver<BTreeMap<String, String>> {
    let (told, entries) = unbounded_channel();
    tokio::spawn(async move {
        let mut bytes = vec![0; 65_536];
        while let Ok(length) = journal.recv(&mut bytes).await {
            let _ = told.send(entry(&bytes[..length]));
        }
    });
    entries
}

/// The next entry that says this.
async fn said(
    entries: &mut UnboundedReceiver<BTreeMap<String, String>>,
    words: &str,
) -> BTreeMap<String, String> {
    let next = async {
        loop {
            let entry = entries.recv().await.unwrap();
            if entry.get("MESSAGE").is_some_and(|message| message.contains(words)) {
                return entry;
            }
        }
    };
    let next = tokio::time::timeout(Duration::from_secs(60), next).await;
    next.unwrap_or_else(|_| panic!("the journal was not told: {words}"))
}

/// A sysadmin has an alarm for the id. The words of the line may change, the id does not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_needs_a_person_has_a_message_id() {
    let may_mount = Command::new("unshare").args(["--mount", "true"]).status();
    if !may_mount.is_ok_and(|status| status.success()) {
        return skipped("a journal of its own needs the right to mount one");
    }
    let mut site = Site::new().await;
    let socket = site.testbed.cluster.socket_folder().join("journal");
    let mut journal = entries(UnixDatagram::bind(&socket).unwrap());
    let line = format!(
        "export ROWBELL__LOG__FORMAT=journald\nexec unshare --mount sh -c 'mount -t tmpfs tmpfs /run && \
         mkdir -p /run/systemd/journal && ln -s {} /run/systemd/journal/socket && exec \"$@\"' sh \"$@\"",
        socket.display()
    );
    let daemon = site.daemon_by("one", &line).await;
    let first = said(&mut journal, "").await;
    assert_eq!(first.get("MESSAGE_ID"), None, "{first:?}");
    site.testbed.sandbox.set_token("ODI371267300", "another");
    site.change(1).await;
    let stopped = said(&mut journal, "stopped sending").await;
    let (_, id) = notice::ALL.iter().find(|(kind, _)| *kind == notice::CHANNEL_STOPPED).unwrap();
    assert_eq!(stopped["MESSAGE_ID"], *id, "{stopped:?}");
    assert_eq!(stopped["PRIORITY"], "3", "{stopped:?}");
    assert!(stopped["F_CIRCUIT"].contains("main"), "{stopped:?}");
    assert!(daemon.stop().await.unwrap().success());
}
