//! TLS to PostgreSQL.
//!
//! With `database.ca_file`, `sslrootcert` or `sslmode=verify-full` the server must prove who it is: a certificate signed by
//! that authority, or by one that the system trusts, in the name of the host of `database.url`. Without them the
//! connection is encrypted where `sslmode` of the URL says so, and the certificate is not checked, as libpq does for
//! `prefer` and `require`: PostgreSQL servers commonly have a self-signed one.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::config::Database;
use crate::config::secret::{SecretError, refuse_exposed};
use crate::config::server_address::server_address::{ServerAddress, ServerProof};
use crate::postgres::connection::answer_deadline::AnswerDeadline;
use crate::postgres::connection::socket::Socket;

/// Why connections cannot be secured.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("TLS is not available")]
    Unavailable(#[from] rustls::Error),
    #[error("could not read certificates from database.ca_file = \"{path}\"; expected a PEM file")]
    CaFile { path: String, source: pem::Error },
    #[error("database.ca_file = \"{path}\" holds no certificate; expected a PEM file")]
    NoCertificate { path: String },
    #[error(
        "could not read \"{path}\" (sslcert or sslkey); expected a PEM file, a key without a passphrase"
    )]
    Certificate { path: String, source: pem::Error },
    #[error("sslkey")]
    Exposed(#[source] SecretError),
}

/// What makes a connection to this database secure.
pub fn connector(
    database: &Database,
    address: &ServerAddress,
) -> Result<MakeRustlsConnect, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?;
    let proof = match &database.ca_file {
        Some(path) => ServerProof::Authority(path.clone()),
        None => address.proof.clone(),
    };
    let builder = match proof {
        ServerProof::Authority(path) => builder.with_root_certificates(authority(&path)?),
        ServerProof::System => builder.with_platform_verifier()?,
        ServerProof::None => {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        }
    };
    let config = match &address.certificate {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            refuse_exposed(key).map_err(TlsError::Exposed)?;
            let read = |path: &Path, source| TlsError::Certificate {
                path: path.display().to_string(),
                source,
            };
            let certificates = CertificateDer::pem_file_iter(certificate)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .map_err(|source| read(certificate, source))?;
            let key = PrivateKeyDer::from_pem_file(key).map_err(|source| read(key, source))?;
            builder.with_client_auth_cert(certificates, key)?
        }
    };
    Ok(MakeRustlsConnect::new(config))
}

fn authority(path: &Path) -> Result<RootCertStore, TlsError> {
    let name = || path.display().to_string();
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|source| TlsError::CaFile { path: name(), source })?;
    if certificates.is_empty() {
        return Err(TlsError::NoCertificate { path: name() });
    }
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate)?;
    }
    Ok(roots)
}

/// Secures what is below a deadline, so that the deadline sees what is said and not how it is encrypted.
pub struct DeadlineTls(<MakeRustlsConnect as MakeTlsConnect<Socket>>::TlsConnect);

type SecuredStream = AnswerDeadline<<MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>;

impl DeadlineTls {
    /// For a host of this name.
    pub fn new(connector: &MakeRustlsConnect, host: &str) -> DeadlineTls {
        let Ok(tls) = MakeTlsConnect::<Socket>::make_tls_connect(&mut connector.clone(), host);
        DeadlineTls(tls)
    }
}

impl TlsConnect<AnswerDeadline<Socket>> for DeadlineTls {
    type Stream = SecuredStream;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<SecuredStream, std::io::Error>> + Send>>;

    fn connect(self, stream: AnswerDeadline<Socket>) -> Self::Future {
        let (stream, wait, process) = stream.into_parts();
        let secured = self.0.connect(stream);
        Box::pin(async move { Ok(AnswerDeadline::new(secured.await?, wait, process)) })
    }
}

impl<S: TlsStream + Unpin> TlsStream for AnswerDeadline<S> {
    fn channel_binding(&self) -> ChannelBinding {
        self.get_ref().channel_binding()
    }
}

/// Takes any certificate.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
