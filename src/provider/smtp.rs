//! Mail: one message is one conversation with the mail server, and each of its replies means something.
//!
//! The conversation is held command by command, because what a lost connection means depends on how far it
//! came: before the text was sent the server certainly has nothing; after it, it may.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters,
};
use lettre::transport::smtp::commands::{Data, Mail as MailFrom, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailParameter};
use secrecy::{ExposeSecret as _, SecretString};

use crate::config::{Channel, Config, Smtp, SmtpTls};
use crate::domain::message::attempt::{Answer, AttemptId, ErrorClass};
use crate::domain::message::outgoing::TemplateMessage;
use crate::domain::text::whatsapp_limits;
use crate::error_chain::chain;
use crate::provider::client_error::{ClientError, secret};
use crate::provider::message_body::{BodyFormat, MessageBodies};
use crate::provider::onemsg::webhook_payload::{bounded, bounded_id};
use crate::provider::redact::{redact_emails, redact_phones};
use crate::provider::transport::use_ring;

/// Settings that hold templates.
const SUBJECT: &str = "subject";
const BODY: &str = "body";

/// A connection that rested longer is asked whether it still stands.
const FRESH: Duration = Duration::from_secs(1);

/// A client of one mail server. Cheap to clone; neither password nor address is ever printed.
#[derive(Clone)]
pub struct SmtpClient(Arc<Inner>);

struct Inner {
    server: (String, u16),
    tls: SmtpTls,
    tls_parameters: Option<TlsParameters>,
    hello: ClientId,
    credentials: Option<Credentials>,
    password: Option<SecretString>,
    from: Mailbox,
    bodies: MessageBodies,
    environment: String,
    /// For all that comes before the text, and for the text with the reply to it.
    timeouts: (Duration, Duration),
    idle: Mutex<Vec<(AsyncSmtpConnection, Instant)>>,
    most_idle: usize,
}

impl SmtpClient {
    pub fn new(
        channel: &Channel,
        settings: &Smtp,
        config: &Config,
    ) -> Result<SmtpClient, ClientError> {
        use_ring();
        let wrong =
            |setting: &str, why: String| ClientError::Setting { setting: setting.to_owned(), why };
        let texts = vec![(SUBJECT, settings.subject.clone()), (BODY, settings.body.clone())];
        let file = settings.password_file.as_ref();
        let password = file.map(|file| secret("password_file", file)).transpose()?;
        let credentials = settings.user.as_ref().zip(password.as_ref()).map(|(user, password)| {
            Credentials::new(user.clone(), password.expose_secret().to_owned())
        });
        let half = channel.timeout / 2;
        Ok(SmtpClient(Arc::new(Inner {
            server: (settings.host.clone(), settings.port),
            tls: settings.tls,
            tls_parameters: tls_parameters(settings)?,
            hello: ClientId::default(),
            credentials,
            password,
            from: settings.from.parse().map_err(|_| wrong("from", "is no sender".to_owned()))?,
            bodies: MessageBodies::compile(texts, BodyFormat::Plain, &config.recipient.locale)?,
            environment: config.installation.environment.clone(),
            timeouts: (channel.connect_timeout + half, half),
            idle: Mutex::default(),
            most_idle: channel.concurrency,
        })))
    }

    /// The mail for one message.
    pub fn mail(&self, id: AttemptId, message: &TemplateMessage) -> Result<Mail, Answer> {
        let (message_id, bytes) = self.0.mail(id, message).map_err(|answer| *answer)?;
        Ok(Mail { message_id, to: message.email.clone(), bytes })
    }

    /// Hands it to the mail server. Every outcome is an answer.
    pub async fn post(&self, mail: Mail) -> Answer {
        match self.0.converse(&mail).await {
            Ok(()) => Answer::accepted(bounded_id(&mail.message_id), None),
            Err(answer) => *answer,
        }
    }
}

/// A mail as it goes out.
pub struct Mail {
    message_id: String,
    to: String,
    bytes: Vec<u8>,
}

/// How far a conversation had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Connection, greeting, TLS, password, sender: the same for every message.
    Opening,
    Recipient,
    /// The server was asked whether it wants the text.
    Asking,
    /// The text is on its way.
    Text,
}

impl Inner {
    /// The conversation in which the server takes the mail.
    async fn converse(&self, mail: &Mail) -> Result<(), Box<Answer>> {
        let (before, after) = self.timeouts;
        let ready = tokio::time::timeout(before, self.up_to_text(&mail.to)).await;
        let late =
            || Box::new(Answer::unreached("the mail server did not answer in time".to_owned()));
        let mut connection = ready.map_err(|_| late())??;
        let sent = tokio::time::timeout(after, connection.message(&mail.bytes)).await;
        let silent = || {
            Box::new(Answer::unknown(
                None,
                "the mail server did not answer to the text in time".to_owned(),
            ))
        };
        sent.map_err(|_| silent())?.map_err(|error| self.answer_to(&error, Step::Text))?;
        let mut idle = self.idle.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if idle.len() < self.most_idle {
            idle.push((connection, Instant::now()));
        }
        Ok(())
    }

    /// Everything that comes before the text. An error ends the connection.
    async fn up_to_text(&self, to: &str) -> Result<AsyncSmtpConnection, Box<Answer>> {
        let to = to.parse::<lettre::Address>().map_err(|error| {
            Box::new(Answer::refused(
                ErrorClass::Recipient,
                format!("the mail address is not valid: {error}"),
            ))
        })?;
        let mut connection = match self.rested().await {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let mut parameters = Vec::new();
        if !AsRef::<str>::as_ref(&to).is_ascii() {
            if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
                let why = "the mail server takes no addresses beyond ASCII (SMTPUTF8)".to_owned();
                return Err(Box::new(Answer::refused(ErrorClass::Recipient, why)));
            }
            parameters.push(MailParameter::SmtpUtfEight);
        }
        let from = MailFrom::new(Some(self.from.email.clone()), parameters);
        let said = |step| move |error: Error| self.answer_to(&error, step);
        connection.command(from).await.map_err(said(Step::Opening))?;
        connection.command(Rcpt::new(to, Vec::new())).await.map_err(said(Step::Recipient))?;
        connection.command(Data).await.map_err(said(Step::Asking))?;
        Ok(connection)
    }

    /// A connection that stands from an earlier message.
    async fn rested(&self) -> Option<AsyncSmtpConnection> {
        loop {
            let last = self.idle.lock().unwrap_or_else(std::sync::PoisonError::into_inner).pop();
            let (mut connection, since) = last?;
            if since.elapsed() < FRESH || connection.test_connected().await {
                return Some(connection);
            }
        }
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Box<Answer>> {
        let said = |error: Error| self.answer_to(&error, Step::Opening);
        let server = (self.server.0.as_str(), self.server.1);
        let from_the_first = self.tls_parameters.clone().filter(|_| self.tls == SmtpTls::Tls);
        let connected =
            AsyncSmtpConnection::connect_tokio1(server, None, &self.hello, from_the_first, None);
        let mut connection = connected.await.map_err(said)?;
        if let (SmtpTls::Starttls, Some(tls)) = (self.tls, &self.tls_parameters) {
            if !connection.can_starttls() {
                let why =
                    "the mail server does not offer STARTTLS, and tls = \"starttls\" asks for it"
                        .to_owned();
                return Err(Box::new(Answer::refused(ErrorClass::Channel, why)));
            }
            connection.starttls(tls.clone(), &self.hello).await.map_err(said)?;
        }
        if let Some(credentials) = &self.credentials {
            connection.auth(DEFAULT_MECHANISMS, credentials).await.map_err(said)?;
        }
        Ok(connection)
    }

    /// The id of the mail, and the mail as it goes out.
    fn mail(
        &self,
        id: AttemptId,
        message: &TemplateMessage,
    ) -> Result<(String, Vec<u8>), Box<Answer>> {
        let name = id.name(&self.environment);
        let wrong = |why: String| Box::new(Answer::refused(ErrorClass::Content, why));
        let render = |setting| {
            self.bodies.render(setting, message, &name).map_err(|error| wrong(error.to_string()))
        };
        let (subject, body) = (whatsapp_limits::clean(&render(SUBJECT)?), render(BODY)?);
        let to: lettre::Address = message.email.parse().map_err(|_| {
            Box::new(Answer::refused(
                ErrorClass::Recipient,
                "the mail address is not valid".to_owned(),
            ))
        })?;
        // Environment names are free text; an id of mail is not.
        let name: String =
            name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let message_id = format!("<rowbell-{name}@{}>", self.from.email.domain());
        let to_name = Some(message.name.clone()).filter(|name| !name.is_empty());
        let mail = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(to_name, to))
            .subject(subject)
            .message_id(Some(message_id.clone()))
            .header(ContentType::TEXT_PLAIN)
            // Out-of-office replies are not wanted (RFC 3834).
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ))
            .body(body)
            .map_err(|error| wrong(error.to_string()))?;
        Ok((message_id, mail.formatted()))
    }

    /// What the end of a conversation means.
    fn answer_to(&self, error: &Error, step: Step) -> Box<Answer> {
        let said = chain(error);
        let said =
            self.password.as_ref().map_or(said.clone(), |p| said.replace(p.expose_secret(), "…"));
        let text = bounded(&redact_emails(&redact_phones(&said)), 500);
        let class = match step {
            _ if error.is_transient() => ErrorClass::Retry,
            Step::Recipient if error.is_permanent() => ErrorClass::Recipient,
            Step::Asking | Step::Text if error.is_permanent() => ErrorClass::Content,
            // Certificate, password, or sender are not as the server wants them.
            Step::Opening if error.is_permanent() || error.is_client() || is_of_tls(error) => {
                ErrorClass::Channel
            }
            Step::Text => return Box::new(Answer::unknown(None, text)),
            Step::Opening => return Box::new(Answer::unreached(text)),
            // It broke off before the text.
            Step::Recipient | Step::Asking => ErrorClass::Retry,
        };
        Box::new(Answer::refused(class, text))
    }
}

/// Whether TLS failed, not the network below it: lettre calls both an error of the connection.
fn is_of_tls(error: &Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let within = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if within.is_some_and(|inner| inner.is::<rustls::Error>()) || cause.is::<rustls::Error>() {
            return true;
        }
        source = cause.source();
    }
    error.is_tls()
}

fn tls_parameters(settings: &Smtp) -> Result<Option<TlsParameters>, ClientError> {
    if settings.tls == SmtpTls::None {
        return Ok(None);
    }
    let mut builder = TlsParameters::builder(settings.host.clone());
    if let Some(path) = &settings.ca_file {
        let pem = std::fs::read(path).map_err(|source| ClientError::File {
            setting: "ca_file".to_owned(),
            path: path.clone(),
            source,
        })?;
        let certificate = Certificate::from_pem(&pem).map_err(|error| ClientError::Setting {
            setting: "ca_file".to_owned(),
            why: format!("holds no certificate in PEM: {}", chain(&error)),
        })?;
        builder =
            builder.certificate_store(CertificateStore::None).add_root_certificate(certificate);
    }
    let built = builder.build_rustls();
    built.map(Some).map_err(|error| ClientError::Setting {
        setting: "tls".to_owned(),
        why: format!("TLS is not available: {}", chain(&error)),
    })
}
