//! Mistakes in the configuration: each of the files in `broken/` changes a good one, and what is said of it names the
//! file, the line, the key, what was expected, and what to do.

use std::fmt::Write as _;
use std::path::Path;

use rowbell::config::load::{self, LoadError, Secrets};
use rowbell::finding::Finding;
use rowbell::operations::check;
use rowbell::operations::check::report::CheckReport;

use crate::harness::World;

const SHOP: &str = "
    create table customer (id bigint primary key, full_name text, phone text, opted_in boolean default true);
    create table place (id bigint primary key, name text);
    create type gate as enum ('A', 'B');
    create table delivery (
        id bigint primary key, customer_id bigint, place_id bigint, status text not null default 'planned', gate gate,
        arrives_at timestamptz
    );
    create table keyless (status text, arrives_at timestamptz, place_id bigint, customer_id bigint);
    create view open_delivery as select * from delivery where status = 'planned';
    insert into customer values (1, 'Maria', '+1 212 200 0001', true);
    insert into place values (1, 'North gate');
    insert into delivery values (1, 1, 1, 'planned', 'A', now() + interval '1 day');";

const BASE: &str = include_str!("broken/base.toml");

/// The files, by name.
fn broken() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/doctor/broken");
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let named = paths.map(|path| {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        (name, std::fs::read_to_string(path).unwrap())
    });
    let mut files: Vec<_> = named.filter(|(name, _)| name != "base").collect();
    files.sort();
    files
}

/// What `rowbell check` finds, with the places.
async fn found(world: &World, path: &Path) -> Vec<Finding> {
    let (config, places) = match load::load_with_places(path, Secrets::Needed) {
        Ok(loaded) => loaded,
        Err(LoadError::Mistakes(found)) => return found,
        Err(error) => panic!("{error}"),
    };
    let mut report = CheckReport { findings: check::offline(&config), ..CheckReport::default() };
    if report.findings.is_empty() {
        let mut client = world.stages.context.pool.get().await.unwrap();
        report.add(check::online(&mut client, &config).await);
    }
    report.place(&places);
    report.findings.dedup();
    report.findings
}

#[tokio::test]
async fn every_mistake_says_where_it_is_and_what_to_do() {
    let (mut base, mut folder) = (String::new(), std::path::PathBuf::new());
    let world = World::made(SHOP, |url, scratch, provider| {
        folder = scratch.to_owned();
        base = BASE
            .replace("{database}", url)
            .replace("{folder}", &scratch.display().to_string())
            .replace("{provider}", provider);
        base.clone()
    })
    .await;
    std::fs::create_dir(folder.join("watch.d")).unwrap();
    let path = folder.join("rowbell.toml");
    std::fs::write(&path, &base).unwrap();
    let healthy = found(&world, &path).await;
    assert_eq!(healthy, [], "the site that is broken has to be good");
    let files = broken();
    assert!(files.len() >= 60, "{} files", files.len());
    let here = format!("{}/", folder.display());
    let (mut told, mut wrong) = (String::new(), Vec::new());
    for (name, text) in files {
        let file = folder.join(format!("watch.d/{name}.toml"));
        std::fs::write(&file, text.replace("{folder}", &folder.display().to_string())).unwrap();
        let findings = found(&world, &path).await;
        std::fs::remove_file(&file).unwrap();
        if findings.is_empty() {
            wrong.push(format!("{name}: nothing is found"));
        }
        let _ = writeln!(told, "{name}");
        for finding in &findings {
            let place = finding.place.as_ref();
            let is_placed = place.is_some_and(|place| place.line.is_some());
            if !is_placed {
                wrong.push(format!("{name}: {finding} stands nowhere"));
            }
            let _ = writeln!(told, "    {}", finding.to_string().replace(&here, ""));
        }
    }
    insta::assert_snapshot!(told);
    assert!(wrong.is_empty(), "{wrong:#?}");
}
