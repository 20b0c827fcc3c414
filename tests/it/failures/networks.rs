//! A daemon on a host of its own, with a wire to the database and one to the provider. Either is cut, or both, and mended.

use std::net::Ipv4Addr;
use std::process::Command;

use rowbell_lab::sandbox::SandboxOptions;

use super::site::{Site, SiteOptions, skipped};

/// A network namespace with two wires to this host. Gone when it is dropped.
struct Host {
    name: String,
    /// Our ends of the wires: to the database, to the provider.
    wires: [String; 2],
    ours: [Ipv4Addr; 2],
}

fn ip(arguments: &str) -> bool {
    let mut command = Command::new("ip");
    command.args(arguments.split(' '));
    command.output().is_ok_and(|done| done.status.success())
}

impl Host {
    /// None: we may not make one.
    fn new() -> Option<Host> {
        let id = std::process::id();
        let name = format!("rowbell-{id}");
        let [high, low] = ((id % 16_384) as u16 * 4).to_be_bytes();
        let wires = ["d", "p"].map(|wire| format!("rb{wire}{id}"));
        let ours = [77, 78].map(|net| Ipv4Addr::new(10, net, high, low + 1));
        if !ip(&format!("netns add {name}")) {
            return None;
        }
        let host = Host { name, wires, ours };
        for (wire, ours) in host.wires.iter().zip(host.ours) {
            let theirs = Ipv4Addr::from(u32::from(ours) + 1);
            let (name, inner) = (&host.name, format!("{wire}i"));
            for step in [
                format!("link add {wire} type veth peer name {inner} netns {name}"),
                format!("addr add {ours}/30 dev {wire}"),
                format!("link set {wire} up"),
                format!("-n {name} addr add {theirs}/30 dev {inner}"),
                format!("-n {name} link set {inner} up"),
            ] {
                if !ip(&step) {
                    return None;
                }
            }
        }
        Some(host)
    }

    fn cut(&self, wire: usize) {
        assert!(ip(&format!("link set {} down", self.wires[wire])));
    }

    fn mend(&self, wire: usize) {
        assert!(ip(&format!("link set {} up", self.wires[wire])));
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        for wire in &self.wires {
            ip(&format!("link del {wire}"));
        }
        ip(&format!("netns del {}", self.name));
    }
}

const DATABASE: usize = 0;
const PROVIDER: usize = 1;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_that_is_cut_off_from_the_database_from_the_provider_and_from_both() {
    let Some(host) = Host::new() else {
        return skipped("a host of its own needs the right to make network namespaces");
    };
    let everywhere = "0.0.0.0:0".parse().unwrap();
    let mut site = Site::with(SiteOptions {
        settings: vec![("listen_addresses".to_owned(), "*".to_owned())],
        provider: SandboxOptions { listen: everywhere, ..SandboxOptions::default() },
    })
    .await;
    site.sql("create table rules (line text); insert into rules values ('host all all 10.0.0.0/8 trust');
              do $$ begin execute format('copy rules to program %L', 'cat >> ' || current_setting('hba_file')); end $$;
              drop table rules; select pg_reload_conf()").await;
    let here = format!("127.0.0.1:{}", site.testbed.cluster.port());
    let there = format!("{}:{}", host.ours[DATABASE], site.testbed.cluster.port());
    site.configure(&here, &there);
    site.configure("http://0.0.0.0:", &format!("http://{}:", host.ours[PROVIDER]));
    let line = format!("exec ip netns exec {} \"$@\"", host.name);
    let daemon = site.daemon_by("one", &line).await;
    site.until_ready("one").await;
    site.change(40).await;
    site.nothing_is_lost_or_doubled("before").await;

    for (wires, reasons) in [
        (&[DATABASE][..], &["[-] database: it did not answer", "[-] listener: "][..]),
        (&[PROVIDER], &["[-] channel main: errors have stopped it"]),
        (&[DATABASE, PROVIDER], &["[-] database: it did not answer", "[-] listener: "]),
    ] {
        site.change(20).await;
        wires.iter().for_each(|wire| host.cut(*wire));
        site.change(20).await;
        for reason in reasons {
            site.until_not_ready("one", reason).await;
        }
        wires.iter().for_each(|wire| host.mend(*wire));
        site.until_ready("one").await;
        site.change(20).await;
        site.nothing_is_lost_or_doubled(&format!("cut {wires:?} and mended")).await;
    }
    assert!(daemon.stop().await.unwrap().success());
}
