//! Conformance of the event stream client used in tests with its standard.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::clients::EventClient;
use super::program::TIMEOUT;

/// Longer than the default reconnection time of 3 s.
const RETRY: Duration = Duration::from_millis(3_200);

/// Server whose responses the test controls.
struct Listener {
    url: String,
    streams: Receiver<TcpStream>,
}

impl Listener {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/stream", listener.local_addr().unwrap());
        let (sender, streams) = channel();
        thread::spawn(move || listener.incoming().map_while(Result::ok).try_for_each(|stream| sender.send(stream)));
        Self { url, streams }
    }

    /// Next request, with the lines of its head.
    #[track_caller]
    fn accept(&self) -> (TcpStream, Vec<String>) {
        let stream = self.streams.recv_timeout(TIMEOUT).expect("nobody connects");
        let lines = BufReader::new(stream.try_clone().unwrap()).lines();
        let head = lines.map(|line| line.unwrap().to_lowercase()).take_while(|line| !line.is_empty()).collect();
        (stream, head)
    }
}

fn answer(mut stream: TcpStream, status: &str, body: &str) {
    write!(stream, "HTTP/1.1 {status}\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n{body}").unwrap();
}

#[track_caller]
fn last_event_id(head: &[String], expected: Option<&str>) {
    assert!(head.iter().any(|line| line == "authorization: bearer secret"), "{head:#?}");
    assert_eq!(head.iter().find_map(|line| line.strip_prefix("last-event-id: ")), expected, "{head:#?}");
}

#[test]
fn a_client_reconnects_after_the_last_event_at_the_given_time() {
    let listener = Listener::start();
    let Some(mut client) = EventClient::start(&listener.url, "secret", Some("begun")) else { return };
    let event = |kind: &str, id: &str| json!({"type": kind, "lastEventId": id, "data": "{\n}"});
    let mut expected: Vec<Value> = Vec::new();
    let mut happens = |client: &mut EventClient, all: &[Value]| {
        for next in all {
            assert_eq!(client.next(), *next);
        }
        expected.extend_from_slice(all);
    };

    let (stream, head) = listener.accept();
    last_event_id(&head, Some("begun"));
    answer(stream, "200 OK", "retry: 1\n\nid: one\nevent: task.created\ndata: {\ndata: }\n\n: still there\n\n");
    happens(&mut client, &[json!({"open": 1}), event("task.created", "one"), json!({"error": null})]);

    let (stream, head) = listener.accept();
    last_event_id(&head, Some("one"));
    let retry = RETRY.as_millis();
    let whole = format!("retry: {retry}\n\nid: two\nevent: webhook.test\ndata: {{\ndata: }}\n\n");
    // The last event is cut off by the end of the stream.
    answer(stream, "200 OK", &(whole + "id: three\nevent: task.updated\ndata: {\n"));
    let closed = Instant::now();
    happens(&mut client, &[json!({"open": 2}), event("webhook.test", "two"), json!({"error": null})]);

    let (stream, head) = listener.accept();
    let waited = closed.elapsed();
    last_event_id(&head, Some("two"));
    // Timers may fire slightly early.
    assert!(waited + Duration::from_millis(20) > RETRY, "it waited {waited:?}");
    answer(stream, "401 Unauthorized", "");
    happens(&mut client, &[json!({"error": 401})]);
    assert_eq!(client.stop(), expected);
}

#[test]
fn the_recipe_retries_rejected_streams_and_lists_again_after_an_expired_cursor() {
    let listener = Listener::start();
    let api = listener.url.strip_suffix("/stream").unwrap();
    let Some(mut client) = EventClient::follow(api, "a cursor") else { return };
    let asked = |head: &[String], query: &str, token: &str, last: Option<&str>| {
        assert!(head[0].starts_with(&format!("get /v1/events/stream?{query} ")), "{head:#?}");
        assert!(head.contains(&format!("authorization: bearer {token}")), "{head:#?}");
        assert_eq!(head.iter().find_map(|line| line.strip_prefix("last-event-id: ")), last, "{head:#?}");
    };
    let mut happens = |expected: Value| assert_eq!(client.next(), expected);

    let (stream, head) = listener.accept();
    asked(&head, "cursor=a%20cursor", "secret", None);
    answer(stream, "200 OK", "retry: 1\n\nid: one\nevent: task.moved\ndata: {\"sequence\":1}\n\n");
    happens(json!({"token": false}));
    happens(json!({"sequence": 1}));
    // The recipe reconnects by itself.
    let (stream, head) = listener.accept();
    asked(&head, "cursor=a%20cursor", "secret", Some("one"));
    answer(stream, "401 Unauthorized\r\nretry-after: 0", "");
    happens(json!({"token": false}));
    // The recipe has given up.
    let (stream, head) = listener.accept();
    asked(&head, "cursor=one", "another", None);
    answer(stream, "400 Bad Request\r\nretry-after: 0", "");
    happens(json!({"token": true}));
    happens(json!({"reloaded": true}));
    let (stream, head) = listener.accept();
    asked(&head, "cursor=reloaded", "secret", None);
    let kept = stream.try_clone().unwrap();
    answer(stream, "200 OK", "id: two\nevent: invitation.revoked\ndata: {\"sequence\":2}\n\n");
    happens(json!({"token": false}));
    happens(json!({"sequence": 2}));
    assert_eq!(client.stop().len(), 7);
    drop(kept);
}

#[test]
fn a_client_without_a_last_event_starts_anywhere_and_stops_on_request() {
    let listener = Listener::start();
    let Some(mut client) = EventClient::start(&listener.url, "secret", None) else { return };
    let (stream, head) = listener.accept();
    last_event_id(&head, None);
    let kept = stream.try_clone().unwrap();
    answer(stream, "200 OK", ": nothing has happened yet\n\n");
    assert_eq!(client.next(), json!({"open": 1}));
    assert_eq!(client.stop(), [json!({"open": 1})]);
    drop(kept);
}
