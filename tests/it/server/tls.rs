//! HTTPS: protocols, handshakes that do not end, other protocols on the port, and new certificates.

use pocket_tasks::server::TlsFiles;
use tempfile::TempDir;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::CertificateDer;

use super::*;
use crate::support::tls::{certificate, connect, write_identity};

/// A server with a certificate.
struct HttpsServer {
    server: Server,
    tls: Tls,
    files: TlsFiles,
    folder: TempDir,
}

impl HttpsServer {
    async fn start(limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = write_identity(folder.path());
        let tls = Tls::load(files.clone()).unwrap();
        Self { server: Server::start_with(limits, Some(tls.clone())).await, tls, files, folder }
    }

    async fn connect(&self, protocols: &[&str]) -> Client<TlsStream<TcpStream>> {
        self.connect_to(&certificate(&self.files), protocols).await.unwrap()
    }

    /// Connects if the server has this certificate.
    async fn connect_to(
        &self,
        certificate: &CertificateDer<'static>,
        protocols: &[&str],
    ) -> io::Result<Client<TlsStream<TcpStream>>> {
        connect(self.server.address, certificate, protocols).await.map(Client)
    }
}

#[tokio::test]
async fn clients_choose_http_1_1_or_http_2() {
    let https = HttpsServer::start(generous()).await;
    for protocols in [&["http/1.1"][..], &[]] {
        let mut client = https.connect(protocols).await;
        assert_eq!(client.0.get_ref().1.alpn_protocol(), protocols.first().map(|protocol| protocol.as_bytes()));
        client.send(GET).await;
        client.read_until("hello").await;
    }
    let mut client = https.connect(&["http/1.1", "h2"]).await;
    assert_eq!(client.0.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    h2::get(&mut client, b"/scheme").await;
    assert_eq!(h2::read_frame(&mut client, h2::DATA).await, b"https");
    // RFC 7301, section 3.2.
    assert!(https.connect_to(&certificate(&https.files), &["spdy/3"]).await.is_err());
}

#[tokio::test]
async fn a_handshake_has_as_much_time_as_a_request_head() {
    let https = HttpsServer::start(Limits { header_timeout: SHORT, max_connections: 1, ..generous() }).await;
    // A record that announces a ClientHello of 512 bytes.
    for begin in [&b""[..], b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"] {
        let mut silent = https.server.connect().await;
        silent.0.write_all(begin).await.unwrap();
        assert_eq!(silent.read_to_close().await, "");
    }
    let mut client = https.connect(&[]).await;
    client.send(GET).await;
    client.read_until("hello").await;
}

#[tokio::test]
async fn a_handshake_yields_its_slot_to_another_connection() {
    let https = HttpsServer::start(Limits { max_connections: 1, ..generous() }).await;
    let mut silent = https.server.connect().await;
    let mut client = https.connect(&[]).await;
    assert_eq!(silent.read_to_close().await, "");
    client.send(GET).await;
    client.read_until("hello").await;
}

#[tokio::test]
async fn other_protocols_on_the_port_are_refused() {
    let https = HttpsServer::start(Limits { max_connections: 1, ..generous() }).await;
    // A ClientHello whose contents are not valid, a record of a length that is too large, and an alert.
    let garbage =
        [b"\x16\x03\x01\x00\x04\x01\x00\x00\xff", &b"\x16\x03\x03\xff\xff"[..], b"\x15\x03\x03\x00\x02\x02\x00"];
    for bytes in [GET.as_bytes(), h2::PREFACE, &[0xff; 4096], &[0; 4096]].into_iter().chain(garbage) {
        let mut client = https.server.connect().await;
        client.0.write_all(bytes).await.unwrap();
        // It may be closed already.
        let _ = client.0.shutdown().await;
        let mut answer = Vec::new();
        // A reset may overtake the alert.
        let _ = timeout(TIMEOUT, client.0.read_to_end(&mut answer)).await.expect("the connection is still open");
        assert!(answer.is_empty() || answer.starts_with(b"\x15\x03"), "{bytes:?}: {answer:?}");
    }
    let mut client = https.connect(&[]).await;
    client.send(GET).await;
    client.read_until("hello").await;
}

#[tokio::test]
async fn a_new_certificate_is_that_of_new_connections() {
    let https = HttpsServer::start(generous()).await;
    let mut before = https.connect(&[]).await;
    let old = certificate(&https.files);
    write_identity(https.folder.path());
    https.tls.reload().unwrap();
    assert!(https.connect_to(&old, &[]).await.is_err());
    for client in [&mut before, &mut https.connect(&[]).await] {
        client.send(GET).await;
        client.read_until("hello").await;
    }
}

#[tokio::test]
async fn the_answer_to_a_huge_body_arrives_over_tls() {
    let https = HttpsServer::start(generous()).await;
    let mut client = https.connect(&[]).await;
    client.send("POST /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 4194304\r\n\r\n").await;
    let part = vec![b'x'; 64 * 1024];
    for _ in 0..64 {
        client.0.write_all(&part).await.unwrap();
    }
    let answer = client.read_to_close().await;
    assert!(answer.starts_with("HTTP/1.1 401") && answer.contains("connection: close"), "{answer}");
}

#[tokio::test]
async fn a_client_that_never_reads_is_cut_over_tls() {
    let https = HttpsServer::start(Limits { write_timeout: SHORT, max_connections: 1, ..generous() }).await;
    let mut greedy = https.connect(&[]).await;
    greedy.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut next = https.connect(&[]).await;
    next.send(GET).await;
    next.read_until("hello").await;
}

#[tokio::test]
async fn shutdown_does_not_wait_for_handshakes_and_closes_idle_connections_with_an_alert() {
    let https = HttpsServer::start(generous()).await;
    let mut silent = https.server.connect().await;
    let mut idle = https.connect(&[]).await;
    idle.send(GET).await;
    idle.read_until("hello").await;
    https.server.shutdown.closing.cancel();
    assert_eq!(silent.read_to_close().await, "");
    // An end without an alert (RFC 8446, section 6.1) would be an error.
    assert_eq!(idle.read_to_close().await, "");
    https.server.stops().await;
}
