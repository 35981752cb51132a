//! Certificates: nothing is sent to servers that do not prove their identity.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use pocket_tasks::webhooks::{Client, ClientOptions, EgressPolicy};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};

use super::{Names, SHORT_TIMEOUT, TIMEOUT, prepared};
use crate::support::receiver::{Message, until_closed};

/// Certificate authority.
struct Authority {
    certificate: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
}

/// Certificate and key.
type Identity = (Vec<u8>, Vec<u8>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().der().to_vec();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    /// Issues a certificate for the name, valid from one year to another.
    fn issue(&self, name: &str, (from, to): (i32, i32)) -> Identity {
        let key = KeyPair::generate().unwrap();
        let certificate = params(name, (from, to)).signed_by(&key, &self.issuer).unwrap();
        (certificate.der().to_vec(), key.serialize_der())
    }
}

fn params(name: &str, (from, to): (i32, i32)) -> CertificateParams {
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(to, 1, 1));
    params
}

/// Currently valid.
const NOW: (i32, i32) = (2020, 2200);

fn self_signed(name: &str) -> Identity {
    let key = KeyPair::generate().unwrap();
    let mut params = params(name, NOW);
    params.distinguished_name.push(DnType::CommonName, name);
    (params.self_signed(&key).unwrap().der().to_vec(), key.serialize_der())
}

/// Server with the certificate, which records the requests it could read.
async fn serve((certificate, key): Identity) -> (u16, Arc<Mutex<Vec<Message>>>) {
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(certificate)], PrivatePkcs8KeyDer::from(key).into())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let requests = Arc::<Mutex<Vec<Message>>>::default();
    let seen = Arc::clone(&requests);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            if let Some(request) = Message::read(&mut stream).await {
                seen.lock().unwrap().push(request);
            }
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
            until_closed(&mut stream).await;
        }
    });
    (port, requests)
}

/// Client that trusts the authority and resolves every name to the local host.
fn client(authority: &Authority) -> Client {
    let names = Names::new(|_, _| Ok(vec![IpAddr::from([127, 0, 0, 1])]));
    let policy = EgressPolicy { allow_http: false, ..super::allowing(&["127.0.0.1"]) };
    let authorities = vec![authority.certificate.clone()];
    Client::with_options(
        policy,
        ClientOptions { timeout: TIMEOUT, resolver: names, authorities, ..ClientOptions::default() },
    )
}

#[tokio::test]
async fn requests_are_sent_only_to_servers_with_a_valid_certificate() {
    let (trusted, stranger) = (Authority::new(), Authority::new());
    let client = client(&trusted);
    let untrusted = Some("The certificate is not valid: its issuer is not trusted.");
    let another = Some("The certificate is not valid: it is for another name.");
    for (what, host, identity, error) in [
        ("good", "hooks.example", trusted.issue("hooks.example", NOW), None),
        ("good for a wildcard", "a.hooks.example", trusted.issue("*.hooks.example", NOW), None),
        ("good for an address", "127.0.0.1", trusted.issue("127.0.0.1", NOW), None),
        ("self-signed", "hooks.example", self_signed("hooks.example"), untrusted),
        (
            "of a stranger who takes the name of the authority",
            "hooks.example",
            stranger.issue("hooks.example", NOW),
            untrusted,
        ),
        ("wrong name", "hooks.example", trusted.issue("other.example", NOW), another),
        ("wrong depth", "a.b.hooks.example", trusted.issue("*.hooks.example", NOW), another),
        ("name for an address", "127.0.0.1", trusted.issue("hooks.example", NOW), another),
        (
            "expired",
            "hooks.example",
            trusted.issue("hooks.example", (2020, 2021)),
            Some("The certificate is not valid: it has expired."),
        ),
        (
            "early",
            "hooks.example",
            trusted.issue("hooks.example", (2199, 2200)),
            Some("The certificate is not valid yet."),
        ),
    ] {
        let (port, requests) = serve(identity).await;
        let outcome = client.post(&format!("https://{host}:{port}/"), &[], "secret".to_owned()).await;
        assert_eq!(outcome.error.as_deref(), error, "{what}: {outcome:?}");
        assert_eq!(outcome.is_success(), error.is_none(), "{what}: {outcome:?}");
        assert_eq!(requests.lock().unwrap().len(), usize::from(error.is_none()), "{what}");
    }
}

#[tokio::test]
async fn nothing_is_sent_to_a_server_without_tls() {
    let authority = Authority::new();
    // Accepted by the operating system only: the connection is open and silent.
    let means = ClientOptions { timeout: SHORT_TIMEOUT, ..ClientOptions::default() };
    let policy = EgressPolicy { allow_http: false, ..super::allowing(&["127.0.0.1"]) };
    let silent = prepared(Client::with_options(policy, means));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let outcome = silent.post(&format!("https://{}/", listener.local_addr().unwrap()), &[], "secret".to_owned()).await;
    assert_eq!(outcome.error.as_deref(), Some("The connection timed out."));

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        until_closed(&mut stream).await;
    });
    let outcome = client(&authority).post(&url, &[], "secret".to_owned()).await;
    assert_eq!(outcome.error.as_deref(), Some("The TLS handshake failed."));
    server.await.unwrap();
}
