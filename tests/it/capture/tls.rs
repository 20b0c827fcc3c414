//! The connection to PostgreSQL is secured as the configuration says.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rowbell::config::Database;
use rowbell::postgres::connection::pool;
use rowbell_lab::demo::scratch::Scratch;

use crate::harness::World;

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Gives the server a certificate for the name `localhost`, signed by `authority`.
async fn with_certificate(world: &World, authority: &CertifiedIssuer<'static, KeyPair>) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    let folder = world.value("select current_setting('data_directory')").await;
    // Written by the server itself, so that the files are its own.
    for (name, pem) in [("server.crt", certificate.pem()), ("server.key", key.serialize_pem())] {
        let lines = format!("select unnest(string_to_array($pem${pem}$pem$, E'\\n'))");
        world.sql(&format!("copy ({lines}) to '{folder}/{name}'")).await;
    }
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(format!("{folder}/server.key"), private).unwrap();
    world.sql("alter system set ssl = on").await;
    world.sql("select pg_reload_conf()").await;
}

/// What the connection says of itself, or why there is none.
async fn connect(world: &World, url: String, ca_file: Option<PathBuf>) -> Result<bool, String> {
    let database = Database { url, ca_file, ..world.config.database.clone() };
    let pool = pool::connect(&database).map_err(said)?;
    let client = pool::get(&pool).await.map_err(said)?;
    let encrypted = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";
    Ok(client.query_one(encrypted, &[]).await.unwrap().get(0))
}

fn said(error: impl std::error::Error + 'static) -> String {
    rowbell::error_chain::chain(&error)
}

fn write(folder: &Path, name: &str, text: &str) -> Option<PathBuf> {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    Some(path)
}

#[tokio::test]
async fn a_server_must_prove_who_it_is_when_an_authority_is_configured() {
    let world = World::new().await;
    let (ours, stranger) = (authority(), authority());
    let folder = Scratch::new("test").unwrap();
    let ca = write(folder.path(), "ca.pem", &ours.pem());
    let other = write(folder.path(), "other.pem", &stranger.pem());
    let port = world.cluster.port();
    let named = format!("postgresql://postgres@localhost:{port}/postgres");
    let by_address = format!("postgresql://postgres@127.0.0.1:{port}/postgres");

    let plain = connect(&world, named.clone(), ca.clone()).await.unwrap_err();
    assert!(plain.contains("server does not support TLS"), "{plain}");
    assert!(plain.contains("check sslmode in database.url, and database.ca_file"), "{plain}");

    with_certificate(&world, &ours).await;
    // The server takes its new settings up when it comes to it.
    let end = tokio::time::Instant::now() + Duration::from_secs(20);
    while connect(&world, named.clone(), None).await != Ok(true) {
        assert!(tokio::time::Instant::now() < end, "the server does not offer TLS");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(connect(&world, named.clone(), ca.clone()).await, Ok(true));
    // The authority is asked for: sslmode of the URL cannot take that back.
    let in_the_clear = format!("{named}?sslmode=disable");
    assert_eq!(connect(&world, in_the_clear, ca.clone()).await, Ok(true));

    let unknown = connect(&world, named.clone(), other).await.unwrap_err();
    assert!(unknown.contains("invalid peer certificate: BadSignature"), "{unknown}");
    let misnamed = connect(&world, by_address, ca).await.unwrap_err();
    assert!(misnamed.contains("certificate not valid for name \"127.0.0.1\""), "{misnamed}");

    let empty = write(folder.path(), "empty.pem", "");
    let empty = connect(&world, named.clone(), empty).await.unwrap_err();
    assert!(empty.contains("holds no certificate; expected a PEM file"), "{empty}");
    let missing = connect(&world, named, Some(folder.path().join("no.pem"))).await.unwrap_err();
    assert!(missing.starts_with("could not read certificates from database.ca_file"), "{missing}");
}
