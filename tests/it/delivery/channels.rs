//! Channels that are not WhatsApp: a gateway over HTTP, and mail.

use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rowbell_lab::demo::scratch::Scratch;
use tokio_rustls::TlsAcceptor;

use crate::delivery::http_gateway::{Gateway, Say};
use crate::delivery::mail_server::{Do, MailServer};
use crate::harness::World;

/// A shop whose customers have phones and mail addresses, or one of them, or none.
pub const SHOP: &str = "
    create table customer (
        id bigint primary key, full_name text, phone text, email text, locale text,
        whatsapp_opt_in boolean default true
    );
    create table delivery (id bigint primary key, customer_id bigint, address text);
    insert into customer values
        (1, 'Maria \"Mia\" Gómez', '+1 212 200 0001', 'maria@example.com', 'en-US'),
        (2, 'Juan', '+34 612 345 678', 'juan@example.com', 'es-ES'),
        (3, 'Nobody', null, null, 'en-US');
    insert into delivery values (1, 1, '1 Main Street'), (2, 2, 'Calle Mayor 1'), (3, 3, 'Nowhere');";

/// `{channel}` is the name of the watch's channel, `{channels}` are more channels.
pub const CONFIG: &str = r#"
[installation]
environment = "test"
[database]
url = "{database}"
[delivery]
lease = "60s"
unconfirmed_after = "5m"
[channel.main]
provider   = "1msg"
channel_id = "ODI371267300"
token_file = "{folder}/token"
base_url   = "{provider}"
rate       = "100000/s"
timeout    = "2s"
{channels}
[template.service_change]
name      = "service_change"
namespace = "3f1c0000_sandbox"
language  = { default = "en", es = "es" }
body      = ["{{ recipient.name }}", "{{ service }}", "{{ summary }}"]
text.en   = "Hello, {{1}}! The status of your {{2}} has been updated. {{3}}"
text.es   = "Hola, {{1}}: novedades de tu {{2}}. {{3}}"
[watch.home_delivery]
table        = "public.delivery"
channel      = "{channel}"
template     = "service_change"
service      = { en = "home delivery", es = "entrega a domicilio" }
columns      = ["address"]
context      = ["customer_id"]
recipient    = """
  select c.full_name as name, c.phone, c.email, c.locale, c.whatsapp_opt_in as opted_in
    from customer c where c.id = changed.customer_id"""
quiet_period = "0s"
label.address = { en = "Address", es = "Dirección" }
{watch}
"#;

/// Channel `sms`: a gateway with a secret in a header.
pub fn sms(gateway: &Gateway) -> String {
    format!(
        r#"
[channel.sms]
provider        = "http"
url             = "{}"
timeout         = "1s"
rate            = "100000/s"
header_files    = {{ Authorization = "{}" }}
headers         = {{ X-Sender = "shop" }}
accepted_if     = {{ "/status" = ["queued", "sent"] }}
id              = "/messages/0/id"
error_code      = "/code"
error_text      = "/message"
recipient_on    = [21614, "unknown_subscriber"]
body            = """{{"to": "+{{{{ recipient.phone }}}}", "text": "{{{{ text }}}}", "key": "{{{{ attempt_id }}}}",
                     "for": "{{{{ recipient.name }}}}", "parts": {{{{ parameters | tojson }}}} }}"""
"#,
        gateway.url,
        gateway.secret().display()
    )
}

/// Channel `mail`; more settings of it.
pub fn mail(workload: &MailServer, more: &str) -> String {
    format!(
        r#"
[channel.mail]
provider = "smtp"
host     = "localhost"
port     = {}
timeout  = "2s"
rate     = "100000/s"
from     = "The Shop <hello@shop.example>"
subject  = {{ en = "Your {{{{ parameters[1] }}}}", es = "Tu {{{{ parameters[1] }}}}" }}
body     = {{ default = "{{{{ text }}}}\n\n-- \nThe Shop" }}
{more}
"#,
        workload.port
    )
}

async fn world(channel: &str, channels: &str) -> World {
    let config = CONFIG.replace("{channel}", channel).replace("{channels}", channels);
    World::over(SHOP, &config, "").await
}

async fn over_sms(gateway: &Gateway) -> World {
    world("sms", &sms(gateway)).await
}

async fn moved(world: &mut World, delivery: i64) {
    world
        .sql(&format!("update delivery set address = '2 \"New\" Street' where id = {delivery}"))
        .await;
    world.work().await;
}

/// How the last attempt ended, and where its message stands.
async fn fate(world: &World) -> String {
    world
        .value(
            "select concat_ws(' ', a.result, a.http_status, a.error_class, '|', m.state, m.reason, '|', a.error_text)
               from rowbell.attempt a join rowbell.message m using (message_id)
              order by a.message_id desc, a.number desc limit 1",
        )
        .await
}

#[tokio::test]
async fn a_gateway_gets_the_text_of_the_template_in_a_body_of_its_own_making() {
    let gateway = Gateway::start().await;
    let mut world = over_sms(&gateway).await;
    moved(&mut world, 1).await;
    moved(&mut world, 2).await;
    let asked = gateway.asked();
    let text = "Hello, Maria \"Mia\" Gómez! The status of your home delivery has been updated. Address: 1 Main Street → 2 \"New\" Street.";
    assert_eq!(
        asked[0].json(),
        serde_json::json!({
            "to": "+12122000001", "text": text, "key": "test-1-1", "for": "Maria \"Mia\" Gómez",
            "parts": ["Maria \"Mia\" Gómez", "home delivery", "Address: 1 Main Street → 2 \"New\" Street."],
        })
    );
    assert_eq!(asked[0].headers["authorization"], "Bearer hush-hush");
    assert_eq!(asked[0].headers["x-sender"], "shop");
    assert_eq!(asked[0].headers["content-type"], "application/json");
    assert!(
        asked[1].json()["text"]
            .as_str()
            .unwrap()
            .starts_with("Hola, Juan: novedades de tu entrega")
    );
    let sent = "select string_agg(concat_ws(' ', state, provider_message_id, recipient_phone, channel), ', ' order by message_id) from rowbell.message";
    assert_eq!(world.value(sent).await, "sent sms-1 12122000001 sms, sent sms-2 34612345678 sms");
}

#[tokio::test]
async fn what_a_gateway_answers_means_what_the_settings_say() {
    let gateway = Gateway::start().await;
    let mut world = over_sms(&gateway).await;
    let mut table = String::new();
    for say in [
        Say::Answer(200, r#"{"status": "sent", "messages": [{"id": 4711}]}"#),
        Say::Answer(200, r#"{"status": "rejected", "message": "no credit"}"#),
        Say::Answer(200, r#"{"status": "queued"}"#),
        Say::Answer(200, "<html>taken, perhaps</html>"),
        Say::Answer(400, r#"{"message": "text is missing"}"#),
        Say::Answer(400, r#"{"code": 21614, "message": "+12122000001 is no mobile number"}"#),
        Say::Answer(422, r#"{"code": "unknown_subscriber", "message": "ask maria@example.com"}"#),
        Say::Answer(302, ""),
        Say::Answer(401, r#"{"message": "hush-hush is not the token"}"#),
        Say::Answer(408, ""),
        Say::Answer(500, "oops"),
        Say::Answer(502, ""),
        Say::Answer(503, ""),
        Say::Answer(504, ""),
        Say::Hang,
        // The channel rests after it.
        Say::SlowDown("120"),
    ] {
        let shown = match &say {
            Say::Answer(status, body) => format!("{status} {body}"),
            Say::SlowDown(_) => "429".to_owned(),
            Say::Hang => "hangs".to_owned(),
        };
        // Whoever is slow may see several attempts.
        gateway.say(std::iter::repeat_n(say, 10));
        moved(&mut world, 1).await;
        table += &format!("{shown}\n    {}\n", fate(&world).await);
        world
            .sql("delete from rowbell.queue; delete from rowbell.circuit; delete from rowbell.attempt;
                  delete from rowbell.message; update delivery set address = 'x'; delete from rowbell.change")
            .await;
    }
    insta::assert_snapshot!("what_a_gateway_answers", table);
}

#[tokio::test]
async fn a_gateway_that_cannot_be_reached_certainly_has_nothing() {
    let gateway = Gateway::start().await;
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let channel = sms(&gateway).replace(&gateway.url, &format!("http://{unused}/messages"));
    let mut world = world("sms", &channel).await;
    moved(&mut world, 1).await;
    let fate = fate(&world).await;
    assert!(fate.starts_with("unreached | scheduled"), "{fate}");
}

#[tokio::test]
async fn each_attempt_names_itself_so_that_a_gateway_can_tell_it_from_the_last() {
    let gateway = Gateway::start().await;
    let mut world = over_sms(&gateway).await;
    gateway.say([Say::Answer(503, "")]);
    moved(&mut world, 1).await;
    world.pass(Duration::from_secs(10));
    world.work().await;
    let keys: Vec<String> = gateway.asked().iter().map(|a| a.json()["key"].to_string()).collect();
    assert_eq!(keys, ["\"test-1-1\"", "\"test-1-2\""]);
}

#[tokio::test]
async fn mail_is_a_letter_in_the_language_of_its_recipient() {
    let workload = MailServer::start(None).await;
    let mut world = world("mail", &mail(&workload, "tls = \"none\"")).await;
    moved(&mut world, 1).await;
    moved(&mut world, 2).await;
    let letters = workload.letters();
    assert_eq!(letters[0].to, "RCPT TO:<maria@example.com>");
    assert_eq!(letters[0].header("From"), "\"The Shop\" <hello@shop.example>");
    assert_eq!(letters[0].header("Subject"), "Your home delivery");
    assert_eq!(letters[0].header("Auto-Submitted"), "auto-generated");
    assert_eq!(letters[0].header("Message-ID"), "<rowbell-test-1-1@shop.example>");
    let text = letters[0].body().replace("=\r\n", "");
    assert!(
        text.starts_with("Hello, Maria \"Mia\" G=C3=B3mez! The status of your home delivery"),
        "{text}"
    );
    assert!(text.ends_with("--=20\r\nThe Shop"), "{text}");
    assert_eq!(letters[1].header("Subject"), "Tu entrega a domicilio");
    assert_eq!(workload.connections(), 1, "the connection is used again");
    let sent = "select string_agg(concat_ws(' ', state, provider_message_id, channel), ', ' order by message_id) from rowbell.message";
    assert_eq!(
        world.value(sent).await,
        "sent <rowbell-test-1-1@shop.example> mail, sent <rowbell-test-2-1@shop.example> mail"
    );
}

#[tokio::test]
async fn what_a_mail_server_says_means_something_at_each_step() {
    let workload = MailServer::start(None).await;
    let mut world = world("mail", &mail(&workload, "tls = \"none\"")).await;
    let mut table = String::new();
    for (word, what) in [
        ("MAIL", Do::Say("450 4.7.1 greylisted")),
        ("MAIL", Do::Say("550 5.7.1 hello@shop.example may not send")),
        ("RCPT", Do::Say("450 4.2.0 mailbox busy")),
        ("RCPT", Do::Say("550 5.1.1 <maria@example.com>: no such user")),
        ("RCPT", Do::HangUp),
        ("DATA", Do::Say("421 4.3.2 going down")),
        ("DATA", Do::HangUp),
        (".", Do::Say("451 4.3.0 try later")),
        (".", Do::Say("554 5.7.1 this is spam")),
        (".", Do::HangUp),
    ] {
        let shown = match &what {
            Do::Say(said) => (*said).to_owned(),
            Do::HangUp => "hangs up".to_owned(),
        };
        workload.forget();
        workload.on(word, std::iter::repeat_n(what, 10));
        moved(&mut world, 1).await;
        table += &format!("{word}: {shown}\n    {}\n", fate(&world).await);
        world
            .sql("delete from rowbell.queue; delete from rowbell.circuit; delete from rowbell.attempt;
                  delete from rowbell.message; update delivery set address = 'x'; delete from rowbell.change")
            .await;
    }
    insta::assert_snapshot!("what_a_mail_server_says", table);
}

/// TLS for the name `localhost`, and the certificate of the authority that vouches for it.
fn secured() -> (TlsAcceptor, String) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), authority.pem())
}

#[tokio::test]
async fn a_mail_server_must_offer_tls_and_prove_who_it_is() {
    let folder = Scratch::new("test").unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (tls, authority) = secured();
    let (_, stranger) = secured();
    let ours = format!("ca_file = \"{}\"", write("ours.pem", &authority));
    let other = format!("ca_file = \"{}\"", write("other.pem", &stranger));
    let password = write("password", "hush-hush");
    let login = format!("{ours}\nuser = \"shop\"\npassword_file = \"{password}\"");

    let plain = MailServer::start(None).await;
    let mut world = world("mail", &mail(&plain, &ours)).await;
    moved(&mut world, 1).await;
    let said = fate(&world).await;
    assert!(
        said.starts_with("refused channel | scheduled | the mail server does not offer STARTTLS"),
        "{said}"
    );
    assert_eq!(plain.letters().len(), 0, "nothing goes out in the clear");

    let workload = MailServer::start(Some(tls)).await;
    let mut world = crate::delivery::channels::world("mail", &mail(&workload, &other)).await;
    moved(&mut world, 1).await;
    let said = fate(&world).await;
    assert!(
        said.starts_with("refused channel | scheduled |") && said.contains("certificate"),
        "{said}"
    );

    let mut world = crate::delivery::channels::world("mail", &mail(&workload, &login)).await;
    moved(&mut world, 1).await;
    assert_eq!(fate(&world).await, "accepted | sent |");
    assert!(workload.letters()[0].was_secured);

    workload.on("AUTH", [Do::Say("535 5.7.8 wrong password hush-hush")]);
    let mut world = crate::delivery::channels::world("mail", &mail(&workload, &login)).await;
    moved(&mut world, 2).await;
    let said = fate(&world).await;
    assert!(said.starts_with("refused channel | scheduled |") && said.contains("535"), "{said}");
    assert!(!said.contains("hush"), "{said}");
}

#[tokio::test]
async fn whom_a_channel_cannot_reach_is_skipped_with_the_reason() {
    let workload = MailServer::start(None).await;
    let gateway = Gateway::start().await;
    let both = mail(&workload, "tls = \"none\"") + &sms(&gateway);
    let mut mails = world("mail", &both).await;
    moved(&mut mails, 3).await;
    let why = "select concat_ws(': ', reason, reason_text) from rowbell.message";
    assert_eq!(
        mails.value(why).await,
        "bad_email: the mail address is empty (column email of the recipient)"
    );
    let mut texts = world("sms", &both).await;
    // The body asks for a phone, so a mail address is not enough.
    texts.sql("update customer set email = 'nobody@example.com' where id = 3").await;
    moved(&mut texts, 3).await;
    assert_eq!(texts.value(why).await, "bad_phone: the phone is empty");

    // Who has a mail address needs no phone.
    mails.sql("update customer set email = 'nobody@example.com' where id = 3").await;
    mails.sql("update delivery set address = 'Somewhere' where id = 3").await;
    mails.work().await;
    assert_eq!(workload.letters()[0].to, "RCPT TO:<nobody@example.com>");
}
