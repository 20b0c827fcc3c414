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
    for (name, pem) in [("server.crt", certificate.pem()), ("server.key", key.serialize_pem())] {
        write_on_server(world, name, &pem).await;
    }
    let folder = world.value("select current_setting('data_directory')").await;
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(format!("{folder}/server.key"), private).unwrap();
    world.sql("alter system set ssl = on").await;
    world.sql("select pg_reload_conf()").await;
}

/// Written by the server itself, so that the file is its own.
async fn write_on_server(world: &World, name: &str, text: &str) {
    let folder = world.value("select current_setting('data_directory')").await;
    let lines = format!("select unnest(string_to_array($pem${text}$pem$, E'\\n'))");
    world.sql(&format!("copy ({lines}) to '{folder}/{name}'")).await;
}

/// Until the server has taken its new settings up.
async fn offers_tls(world: &World, url: &str) {
    let end = tokio::time::Instant::now() + Duration::from_secs(20);
    while connect(world, url.to_owned(), None).await != Ok(true) {
        assert!(tokio::time::Instant::now() < end, "the server does not offer TLS");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
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
    offers_tls(&world, &named).await;
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

/// A DBA who gives no passwords asks for certificates; another one has SCRAM, and the passwords stand where psql finds
/// them. The URL says it as it does for psql.
#[tokio::test]
async fn a_daemon_proves_who_it_is_as_psql_does() {
    let world = World::new().await;
    let (ours, stranger) = (authority(), authority());
    let folder = Scratch::new("test").unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    write(folder.path(), "ca.pem", &ours.pem());
    let key = KeyPair::generate().unwrap();
    for (name, authority) in [("ours.pem", &ours), ("strange.pem", &stranger)] {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, "certified");
        write(folder.path(), name, &params.signed_by(&key, authority).unwrap().pem());
    }
    write(folder.path(), "key.pem", &key.serialize_pem());
    world.sql("create role certified login").await;
    world.sql("set password_encryption = 'scram-sha-256'; create role scrammed login password 'hush:hush'").await;
    write_on_server(&world, "authority.crt", &ours.pem()).await;
    let rules = "local all all trust\nhostssl all certified all cert\nhostssl all scrammed all scram-sha-256\n\
                 host all postgres all trust\n";
    write_on_server(&world, "pg_hba.conf", rules).await;
    world.sql("alter system set ssl_ca_file = 'authority.crt'").await;
    with_certificate(&world, &ours).await;
    let at = |user: &str, options: &str| {
        let port = world.cluster.port();
        format!("postgresql://{user}@localhost:{port}/postgres?{options}")
    };
    offers_tls(&world, &at("postgres", "")).await;

    let proven = format!("sslmode=verify-full&sslrootcert={}", path("ca.pem"));
    let by = |certificate: &str| {
        format!("{proven}&sslcert={}&sslkey={}", path(certificate), path("key.pem"))
    };
    let open = Path::new(&path("key.pem")).to_owned();
    assert_eq!(connect(&world, at("certified", &by("ours.pem")), None).await, Ok(true));
    let strange = connect(&world, at("certified", &by("strange.pem")), None).await;
    assert!(strange.is_err(), "{strange:?}");
    let without = connect(&world, at("certified", &proven), None).await.unwrap_err();
    assert!(without.contains("certificate"), "{without}");
    // Everybody could be us.
    let mode = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(&open, 0o644);
    mode(folder.path(), 0o755);
    let refused = connect(&world, at("certified", &by("ours.pem")), None).await.unwrap_err();
    assert!(refused.starts_with("sslkey: every user of this machine can read"), "{refused}");

    let port = world.cluster.port();
    write(
        folder.path(),
        "pass",
        &format!("elsewhere:*:*:*:no\nlocalhost:{port}:*:scrammed:hush\\:hush\n"),
    );
    let bound = format!("{proven}&channel_binding=require&passfile={}", path("pass"));
    mode(Path::new(&path("pass")), 0o640);
    let refused = connect(&world, at("scrammed", &bound), None).await.unwrap_err();
    assert!(refused.contains("(mode 0640); expected mode 0600: chmod 0600 "), "{refused}");
    mode(Path::new(&path("pass")), 0o600);
    assert_eq!(connect(&world, at("scrammed", &bound), None).await, Ok(true));
    // Whoever stands between us and the server has no channel of its own to bind to.
    let unbound = format!("sslmode=disable&channel_binding=require&passfile={}", path("pass"));
    assert!(connect(&world, at("scrammed", &unbound), None).await.is_err());

    let service = format!(
        "# ours\n[other]\nhost=nowhere\n[crm]\nhost=localhost\nport={port}\nuser=scrammed\ndbname=postgres\n\
         passfile={}\nsslmode=require\n",
        path("pass")
    );
    write(folder.path(), "services", &service);
    let of = |name: &str| format!("postgresql://?service={name}&servicefile={}", path("services"));
    assert_eq!(connect(&world, of("crm"), None).await, Ok(true));
    let unknown = connect(&world, of("crn"), None).await.unwrap_err();
    assert!(unknown.contains("there is no service \"crn\" in "), "{unknown}");
}

/// `sslmode=verify-full` alone: the authorities are those that the machine trusts.
#[tokio::test]
async fn what_the_system_trusts_proves_the_server() {
    let world = World::new().await;
    let (ours, stranger) = (authority(), authority());
    let folder = Scratch::new("test").unwrap();
    let port = world.cluster.port();
    with_certificate(&world, &ours).await;
    offers_tls(&world, &format!("postgresql://postgres@localhost:{port}/postgres")).await;
    let configuration = format!(
        "[database]\nurl = \"postgresql://postgres@localhost:{port}/postgres?sslmode=verify-full\"\n"
    );
    let file = write(folder.path(), "rowbell.toml", &configuration).unwrap();
    for (authority, is_trusted) in [(&ours, true), (&stranger, false)] {
        let store = write(folder.path(), "store.pem", &authority.pem()).unwrap();
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_rowbell"));
        command.arg("--config").arg(&file).arg("migrate").env("SSL_CERT_FILE", store);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.success(), is_trusted, "{said}");
        assert!(is_trusted || said.contains("invalid peer certificate"), "{said}");
    }
}
