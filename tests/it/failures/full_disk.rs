//! The disk of the server is full. The business can write no more, and neither can the daemon; it says so, and goes on
//! when there is room again.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::site::{Site, skipped};

/// A small disk of its own, for the server's user. Unmounted when it is dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// None: we may not mount.
    fn mount(folder: &Path) -> Option<SmallDisk> {
        let at = folder.join("small");
        fs::create_dir(&at).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=48m", "tmpfs"]).arg(&at);
        let disk = mount.output().ok()?.status.success().then(|| SmallDisk(at))?;
        let owner = fs::metadata(folder).unwrap();
        std::os::unix::fs::chown(&disk.0, Some(owner.uid()), Some(owner.gid())).unwrap();
        Some(disk)
    }

    /// Takes all the room that is left.
    fn fill(&self) {
        let mut file = fs::File::create(self.0.join("ballast")).unwrap();
        let piece = [0_u8; 64 * 1024];
        while std::io::Write::write_all(&mut file, &piece).is_ok() {}
    }

    fn free(&self) {
        fs::remove_file(self.0.join("ballast")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_full_and_then_is_not() {
    let mut site = Site::new().await;
    let Some(disk) = SmallDisk::mount(site.testbed.cluster.socket_folder()) else {
        return skipped("a full disk needs the right to mount one");
    };
    site.sql(&format!("create tablespace small location '{}'", disk.0.display())).await;
    site.sql("alter table all in tablespace pg_default set tablespace small").await;
    site.sql("alter index all in tablespace pg_default set tablespace small").await;
    let daemon = site.daemon("one").await;
    site.until_ready("one").await;
    site.change(40).await;
    site.nothing_is_lost_or_doubled("before the disk is full").await;

    // Far more waits than has room in the pages that are there.
    site.testbed.command(&["pause", "channel", "main"]).unwrap();
    site.change(40).await;
    disk.fill();
    let mut refused = None;
    while refused.is_none() {
        let fat = "update delivery set address = address, driver_note = repeat('x', 4000)";
        refused = site.try_sql(fat).await.err();
    }
    let refused = refused.unwrap();
    let said = refused.as_db_error().map_or(String::new(), |error| error.message().to_owned());
    assert!(said.contains("No space left on device"), "{refused:?}");
    site.testbed.command(&["resume", "channel", "main"]).ok();
    let said = site.until_not_ready("one", "[-] stages: ").await;
    assert!(said.contains("No space left on device"), "{said}");
    disk.free();
    let _ = site.testbed.command(&["resume", "channel", "main"]);
    site.until_ready("one").await;
    site.change(40).await;
    site.nothing_is_lost_or_doubled("there is room again").await;
    assert!(daemon.stop().await.unwrap().success());
}
