//! Requests of the webhook client, and the interpretation of responses.

use std::process::Command;

use pocket_tasks::contract::Timestamp;
use pocket_tasks::webhooks::RetryAfter;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use super::{SHORT_TIMEOUT, TIMEOUT, local_client};
use crate::support::Receiver;
use crate::support::receiver::{Message, until_closed};

#[tokio::test]
async fn a_request_is_a_post_with_the_given_headers_and_few_others() {
    let receiver = Receiver::saying("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let headers = [("webhook-id", "an-id".to_owned()), ("webhook-timestamp", "1614265330".to_owned())];
    let url = format!("http://{}/hooks/é?token=a%20b", receiver.address);
    let outcome = local_client(TIMEOUT).post(&url, &headers, r#"{"name":"Küche"}"#.to_owned()).await;
    assert!(outcome.is_success(), "{outcome:?}");
    assert_eq!((outcome.status_code, outcome.excerpt.as_deref()), (Some(200), Some("ok")));
    let messages = receiver.messages();
    let [message] = messages.as_slice() else { panic!("{messages:?}") };
    assert_eq!(message.text, r#"{"name":"Küche"}"#);
    let mut lines: Vec<&str> = message.head.lines().collect();
    assert_eq!(lines.remove(0), "POST /hooks/%C3%A9?token=a%20b HTTP/1.1");
    lines.sort_unstable();
    // No encodings are accepted, so nothing is unpacked; the origin of the request is not revealed.
    assert_eq!(
        lines,
        [
            "accept: */*",
            "content-length: 17",
            "content-type: application/json",
            &format!("host: {}", receiver.address),
            &format!("user-agent: Pocket-Tasks/{}", env!("CARGO_PKG_VERSION")),
            "webhook-id: an-id",
            "webhook-timestamp: 1614265330",
        ]
    );
}

#[tokio::test]
async fn a_given_header_replaces_the_default_and_an_invalid_one_is_an_error() {
    let receiver = Receiver::saying("HTTP/1.1 204 No Content\r\n\r\n");
    let client = local_client(TIMEOUT);
    let headers = [("Content-Type", "text/plain".to_owned())];
    assert!(client.post(&receiver.url, &headers, String::new()).await.is_success());
    let message = receiver.messages().remove(0);
    assert!(message.header("content-type") == "text/plain" && !message.head.contains("json"), "{message:?}");
    for (name, value) in [("x-a", "a\r\nx-b: b"), ("x a", "a"), ("", "a"), ("x-a", "a\0")] {
        let outcome = client.post(&receiver.url, &[(name, value.to_owned())], String::new()).await;
        assert_eq!(outcome.error.as_deref(), Some("A request header is invalid."), "{name}");
    }
    assert_eq!(receiver.messages().len(), 1);
}

#[tokio::test]
async fn the_status_decides() {
    let client = local_client(TIMEOUT);
    for (status, success) in [
        (200, true),
        (201, true),
        (204, true),
        (299, true),
        (400, false),
        (404, false),
        (410, false),
        (500, false),
        (999, false),
    ] {
        let receiver = Receiver::saying(format!("HTTP/1.1 {status} So\r\nContent-Length: 0\r\n\r\n"));
        let outcome = client.post(&receiver.url, &[], "{}".to_owned()).await;
        assert_eq!((outcome.status_code, outcome.is_success()), (Some(status), success), "{outcome:?}");
        assert_eq!((&outcome.error, &outcome.excerpt, outcome.retry_after), (&None, &None, None), "{status}");
        assert_eq!(receiver.messages().len(), 1, "{status}");
    }
    // An interim response is not final.
    let receiver = Receiver::saying("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\nno");
    let outcome = client.post(&receiver.url, &[], "{}".to_owned()).await;
    assert_eq!((outcome.status_code, outcome.excerpt.as_deref()), (Some(500), Some("no")));
}

#[tokio::test]
async fn redirects_are_failures_and_not_followed() {
    let elsewhere = Receiver::saying("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let client = local_client(TIMEOUT);
    for status in [300, 301, 302, 303, 304, 307, 308] {
        for target in [elsewhere.url.clone(), format!("//{}/", elsewhere.address), "http://169.254.169.254/".to_owned()]
        {
            let answer = format!("HTTP/1.1 {status} Go\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n");
            let receiver = Receiver::saying(answer);
            let outcome = client.post(&receiver.url, &[], "{}".to_owned()).await;
            assert_eq!((outcome.status_code, outcome.is_success()), (Some(status), false));
            assert_eq!(outcome.error.as_deref(), Some("The response is a redirect. Redirects are not followed."));
        }
    }
    assert!(elsewhere.messages().is_empty());
}

#[tokio::test]
async fn retry_after_is_parsed() {
    let client = local_client(TIMEOUT);
    for (value, expected) in [
        ("120", Some(RetryAfter::Seconds(120))),
        ("Fri, 31 Dec 1999 23:59:59 GMT", Some(RetryAfter::At(Timestamp::parse("1999-12-31T23:59:59Z").unwrap()))),
        ("later", None),
        ("\u{fc}", None),
    ] {
        for status in [200, 429, 503] {
            let answer = format!("HTTP/1.1 {status} So\r\nRetry-After: {value}\r\nContent-Length: 0\r\n\r\n");
            let receiver = Receiver::saying(answer);
            let outcome = client.post(&receiver.url, &[], "{}".to_owned()).await;
            assert_eq!((outcome.status_code, outcome.retry_after), (Some(status), expected), "{value}");
        }
    }
}

#[tokio::test]
async fn a_late_response_is_a_timeout() {
    for part in [
        "",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n",
    ] {
        let receiver = Receiver::saying(part);
        let outcome = local_client(SHORT_TIMEOUT).post(&receiver.url, &[], "{}".to_owned()).await;
        assert_eq!(outcome.error.as_deref(), Some("No response within 0.6 seconds."), "{part}");
        assert_eq!((outcome.status_code, outcome.is_success()), (None, false));
        assert!(outcome.duration >= SHORT_TIMEOUT && outcome.duration < TIMEOUT, "{outcome:?}");
    }
    // Sending something from time to time does not extend the timeout.
    for drip in ["HTTP/1.1 100 Continue\r\n\r\n", "X"] {
        let receiver = Receiver::start(move |mut stream| async move {
            let mut drops = tokio::time::interval(SHORT_TIMEOUT / 10);
            while stream.write_all(drip.as_bytes()).await.is_ok() {
                drops.tick().await;
            }
        });
        let outcome = local_client(SHORT_TIMEOUT).post(&receiver.url, &[], "{}".to_owned()).await;
        assert!(outcome.status_code.is_none() && outcome.error.is_some(), "{outcome:?}");
        assert!(outcome.duration < TIMEOUT);
    }
}

#[tokio::test]
async fn an_invalid_response_is_described_in_a_sentence() {
    let huge = format!("HTTP/1.1 200 OK\r\nX-Huge: {}\r\nContent-Length: 0\r\n\r\n", "x".repeat(1_000_000));
    let many = format!("HTTP/1.1 200 OK\r\n{}Content-Length: 0\r\n\r\n", "X-Many: 1\r\n".repeat(101));
    let client = local_client(TIMEOUT);
    for (answer, error) in [
        ("", "The connection was closed before a response was received."),
        ("HTTP/1.1 200 OK\r\nContent-Le", "The connection was closed before a response was received."),
        ("220 mail.example ESMTP\r\n", "The response is not HTTP."),
        ("HTTP/1.1 two hundred\r\n\r\n", "The response is not HTTP."),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "The response is not HTTP."),
        ("HTTP/1.1 200 OK\r\nNo colon\r\n\r\n", "The response is not HTTP."),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "The response is not HTTP."),
        ("\0\0\0\0\0\0\0\0", "The response is not HTTP."),
        (&huge, "The response headers are too large."),
        (&many, "The response headers are too large."),
    ] {
        let receiver =
            if answer.len() > 10_000 { Receiver::saying(answer) } else { Receiver::saying_and_leaving(answer) };
        let outcome = client.post(&receiver.url, &[], "{}".to_owned()).await;
        let shown = &answer[..answer.len().min(60)];
        assert_eq!((outcome.status_code, outcome.error.as_deref()), (None, Some(error)), "{shown}");
        assert_eq!(receiver.messages().len(), 1, "it is sent once: {shown}");
    }
}

#[tokio::test]
async fn a_refused_or_reset_connection_is_described_in_a_sentence() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let outcome = local_client(TIMEOUT).post(&url, &[], "{}".to_owned()).await;
    assert_eq!(outcome.error.as_deref(), Some("The connection was refused."));

    let receiver = Receiver::start(|stream| async move { stream.set_zero_linger().unwrap() });
    let outcome = local_client(TIMEOUT).post(&receiver.url, &[], "{}".to_owned()).await;
    assert_eq!(outcome.error.as_deref(), Some("The connection was closed before a response was received."));
}

#[tokio::test]
async fn a_connection_is_kept_for_the_next_request() {
    let accepted = Receiver::start(|mut stream| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        let second = Message::read(&mut stream).await.unwrap();
        assert_eq!(second.text, "second");
        stream.write_all(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        until_closed(&mut stream).await;
    });
    let client = local_client(TIMEOUT);
    assert_eq!(client.post(&accepted.url, &[], "first".to_owned()).await.status_code, Some(200));
    assert_eq!(client.clone().post(&accepted.url, &[], "second".to_owned()).await.status_code, Some(202));
    assert_eq!(accepted.messages().len(), 1, "there was one connection");
}

/// Proxies would resolve names in our place, so those of the environment are ignored. The environment of a running process
/// cannot be changed safely, so another process runs the test.
#[test]
fn proxies_of_the_environment_are_ignored() {
    let test = "webhooks::answers::a_request_is_a_post_with_the_given_headers_and_few_others";
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test]).env_remove("NO_PROXY").env_remove("no_proxy");
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        command.env(name, "http://127.0.0.1:1");
    }
    let output = command.output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && printed.contains("1 passed"), "{printed}");
}
