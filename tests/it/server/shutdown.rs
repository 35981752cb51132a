//! Shutdown: draining, closing, and the end of the grace period.

use super::*;

#[tokio::test]
async fn a_draining_server_accepts_serves_and_closes_http_1_connections_after_their_response() {
    let server = Server::start(generous()).await;
    let mut kept_alive = server.connect().await;
    kept_alive.send(GET).await;
    assert!(!kept_alive.read_until("hello").await.contains("connection: close"));
    let mut http_2 = server.connect().await;
    h2::get(&mut http_2, b"/").await;
    assert_eq!(h2::read_frame(&mut http_2, h2::DATA).await, b"hello");
    server.shutdown.draining.cancel();
    for mut client in [kept_alive, server.connect().await] {
        client.send(GET).await;
        let answer = client.read_to_close().await;
        assert!(answer.contains("connection: close\r\n") && answer.ends_with("hello"), "{answer}");
    }
    h2::get_again(&mut http_2, b"/").await;
    assert_eq!(h2::read_frame(&mut http_2, h2::DATA).await, b"hello");
    server.shutdown.closing.cancel();
    h2::read_frame(&mut http_2, h2::GOAWAY).await;
}

#[tokio::test]
async fn an_unused_http2_connection_whose_client_ignores_goaway_delays_shutdown_for_a_moment_only() {
    let server = Server::start(Limits { goaway_grace: SHORT, ..generous() }).await;
    let mut client = server.connect().await;
    h2::get(&mut client, b"/").await;
    assert_eq!(h2::read_frame(&mut client, h2::DATA).await, b"hello");
    let mut busy = server.connect().await;
    h2::get(&mut busy, b"/wait").await;
    timeout(TIMEOUT, server.entered.notified()).await.expect("the handler was not called");
    server.shutdown.closing.cancel();
    // No pong, and the connection stays open on this side.
    client.read_to_close_of_frames().await;
    server.release.notify_one();
    assert_eq!(h2::read_frame(&mut busy, h2::DATA).await, b"done");
    server.stops().await;
}

#[tokio::test]
async fn a_request_in_flight_finishes_during_shutdown() {
    let server = Server::start(generous()).await;
    let mut client = server.connect_and_enter("/wait").await;
    server.shutdown.closing.cancel();
    assert!(client.is_silent().await);
    assert!(!server.stopped.is_finished());
    server.release.notify_one();
    assert!(client.read_to_close().await.ends_with("done"));
    server.stops().await;
}

#[tokio::test]
async fn idle_and_silent_connections_close_at_once_on_shutdown() {
    let server = Server::start(generous()).await;
    let mut idle = server.connect().await;
    idle.send(GET).await;
    idle.read_until("hello").await;
    let mut silent = server.connect().await;
    assert!(silent.is_silent().await);
    server.shutdown.closing.cancel();
    assert_eq!(idle.read_to_close().await, "");
    assert_eq!(silent.read_to_close().await, "");
    server.stops().await;
}

#[tokio::test]
async fn half_a_head_does_not_delay_shutdown() {
    let server = Server::start(generous()).await;
    let mut client = server.connect().await;
    client.send("GET / HTTP/1.1\r\nHos").await;
    assert!(client.is_silent().await);
    server.shutdown.closing.cancel();
    assert_eq!(client.read_to_close().await, "");
    server.stops().await;
}

#[tokio::test]
async fn a_stuck_request_is_dropped_after_the_grace() {
    let server = Server::start(Limits { shutdown_grace: SHORT, ..generous() }).await;
    let mut client = server.connect_and_enter("/wait").await;
    let begin = Instant::now();
    server.shutdown.closing.cancel();
    assert_eq!(client.read_to_close().await, "");
    assert!(begin.elapsed() >= SHORT);
    server.stops().await;
}

#[tokio::test]
async fn new_connections_are_refused_once_shutdown_began() {
    let server = Server::start(generous()).await;
    let _in_flight = server.connect_and_enter("/wait").await;
    server.shutdown.closing.cancel();
    let refused = async { while TcpStream::connect(server.address).await.is_ok() {} };
    timeout(TIMEOUT, refused).await.expect("still accepting");
    assert!(!server.stopped.is_finished());
}

#[tokio::test]
async fn shutdown_does_not_wait_for_a_free_slot() {
    let server = Server::start(Limits { max_connections: 1, shutdown_grace: SHORT, ..generous() }).await;
    let _in_flight = server.connect_and_enter("/wait").await;
    server.shutdown.closing.cancel();
    server.stops().await;
}

#[tokio::test]
async fn dropping_the_server_drops_its_connections() {
    let server = Server::start(generous()).await;
    let mut client = server.connect_and_enter("/wait").await;
    server.stopped.abort();
    assert_eq!(client.read_to_close().await, "");
}

#[tokio::test]
async fn an_http2_request_in_flight_finishes_during_shutdown() {
    let server = Server::start(generous()).await;
    let mut client = server.connect().await;
    h2::get(&mut client, b"/wait").await;
    timeout(TIMEOUT, server.entered.notified()).await.expect("the handler was not called");
    server.shutdown.closing.cancel();
    let ping = h2::read_frame(&mut client, h2::PING).await;
    h2::answer_ping(&mut client, &ping).await;
    server.release.notify_one();
    assert_eq!(h2::read_frame(&mut client, h2::DATA).await, b"done");
    server.stops().await;
}

#[tokio::test]
async fn a_stuck_http2_request_is_dropped_after_the_grace() {
    let server = Server::start(Limits { shutdown_grace: SHORT, ..generous() }).await;
    let mut client = server.connect().await;
    h2::get(&mut client, b"/wait").await;
    timeout(TIMEOUT, server.entered.notified()).await.expect("the handler was not called");
    server.shutdown.closing.cancel();
    server.stops().await;
}
