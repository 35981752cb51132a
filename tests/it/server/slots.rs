//! Connection slots: the longest idle connection is closed, an address has a share, and health checks get through.

use super::*;

const GET_SLOT: &str = "GET /slot HTTP/1.1\r\nHost: a\r\n\r\n";

/// Returns the kind of slot that the connection of the request has.
pub(super) fn respond(request: &Request) -> Response {
    Response::from(if request.extensions().get::<Reserved>().is_some() { "reserved" } else { "regular" })
}

impl Server {
    /// Connects from another address of this machine.
    async fn connect_from(&self, address: &str) -> Client {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(format!("{address}:0").parse().unwrap()).unwrap();
        Client(socket.connect(self.address).await.unwrap())
    }

    /// A connection from another address whose request has reached its handler.
    async fn connect_from_and_enter(&self, address: &str) -> Client {
        let mut client = self.connect_from(address).await;
        client.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n").await;
        timeout(TIMEOUT, self.entered.notified()).await.expect("the handler was not called");
        client
    }
}

#[tokio::test]
async fn the_longest_idle_connection_gives_way() {
    let server = Server::start(Limits { max_connections: 2, ..generous() }).await;
    let mut busy = server.connect_and_enter("/wait").await;
    let mut idle = server.connect().await;
    idle.send(GET).await;
    idle.read_until("hello").await;
    let mut next = server.connect().await;
    next.send(GET).await;
    next.read_until("hello").await;
    assert_eq!(idle.read_to_close().await, "");
    server.release.notify_one();
    busy.read_until("done").await;
}

#[tokio::test]
async fn half_a_request_head_does_not_hold_a_slot() {
    let server = Server::start(Limits { max_connections: 1, ..generous() }).await;
    let mut slow = server.connect().await;
    slow.send("GET / HTTP/1.1\r\nHost:").await;
    let mut next = server.connect().await;
    next.send(GET).await;
    next.read_until("hello").await;
    assert_eq!(slow.read_to_close().await, "");
}

#[tokio::test]
async fn an_idle_http2_connection_gives_way_with_a_goaway() {
    let server = Server::start(Limits { max_connections: 1, ..generous() }).await;
    let mut idle = server.connect().await;
    h2::get(&mut idle, b"/").await;
    assert_eq!(h2::read_frame(&mut idle, h2::DATA).await, b"hello");
    let mut next = server.connect().await;
    next.send(GET).await;
    next.read_until("hello").await;
    h2::read_frame(&mut idle, h2::GOAWAY).await;
    idle.read_to_close_of_frames().await;
}

#[tokio::test]
async fn a_reserved_slot_serves_one_request_of_a_full_server() {
    let server = Server::start(Limits { max_connections: 1, reserved_connections: 2, ..generous() }).await;
    let mut busy = server.connect_and_enter("/wait").await;
    let mut probe = server.connect().await;
    probe.send(GET_SLOT).await;
    let answer = probe.read_to_close().await;
    assert!(answer.contains("connection: close") && answer.ends_with("reserved"), "{answer}");
    let mut probe = server.connect().await;
    h2::get(&mut probe, b"/slot").await;
    assert_eq!(h2::read_frame(&mut probe, h2::DATA).await, b"reserved");
    server.release.notify_one();
    busy.read_until("done").await;
    let mut next = server.connect().await;
    next.send(GET_SLOT).await;
    next.read_until("regular").await;
}

#[tokio::test]
async fn silent_connections_do_not_hold_reserved_slots() {
    let server = Server::start(Limits { max_connections: 1, reserved_connections: 2, ..generous() }).await;
    let _busy = server.connect_and_enter("/wait").await;
    let mut silent = Vec::new();
    for _ in 0..10 {
        silent.push(server.connect().await);
    }
    let mut probe = server.connect().await;
    probe.send(GET_SLOT).await;
    assert!(probe.read_to_close().await.ends_with("reserved"));
}

#[tokio::test]
async fn an_address_that_never_reads_has_a_share_and_others_are_served() {
    let limits =
        Limits { max_connections: 8, max_connections_per_address: Some(4), reserved_connections: 8, ..generous() };
    let server = Server::start(limits).await;
    let mut greedy = Vec::new();
    for _ in 0..20 {
        let mut client = server.connect_from("127.0.0.2").await;
        client.send("GET /endless HTTP/1.1\r\nHost: a\r\n\r\n").await;
        greedy.push(client);
    }
    for address in ["127.0.0.3", "127.0.0.4"] {
        let mut other = server.connect_from(address).await;
        other.send(GET_SLOT).await;
        other.read_until("regular").await;
    }
}

#[tokio::test]
async fn an_address_beyond_its_share_loses_its_own_idle_connection() {
    let limits = Limits { max_connections: 8, max_connections_per_address: Some(2), ..generous() };
    let server = Server::start(limits).await;
    let mut other = server.connect_from("127.0.0.3").await;
    other.send(GET_SLOT).await;
    other.read_until("regular").await;
    let mut busy = server.connect_from_and_enter("127.0.0.2").await;
    let mut idle = server.connect_from("127.0.0.2").await;
    idle.send(GET_SLOT).await;
    idle.read_until("regular").await;
    let mut third = server.connect_from_and_enter("127.0.0.2").await;
    assert_eq!(idle.read_to_close().await, "");
    other.send(GET_SLOT).await;
    other.read_until("regular").await;
    // None of its own is idle, and nothing is reserved.
    assert_eq!(server.connect_from("127.0.0.2").await.read_to_close().await, "");
    for client in [&mut busy, &mut third] {
        server.release.notify_one();
        client.read_until("done").await;
    }
}
