//! Minimal HTTP/2 client for GET requests, because hyper's client is not enabled in this crate.

use super::{AsyncReadExt as _, AsyncWriteExt as _, Client, TIMEOUT, timeout};

pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub(super) const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
const ACK: u8 = 1;
const END_STREAM_AND_HEADERS: u8 = 5;

async fn send(client: &mut Client, kind: u8, flags: u8, stream: u8, payload: &[u8]) {
    let length = u8::try_from(payload.len()).unwrap();
    let mut frame = vec![0, 0, length, kind, flags, 0, 0, 0, stream];
    frame.extend_from_slice(payload);
    client.0.write_all(&frame).await.unwrap();
}

pub(super) async fn get(client: &mut Client, path: &[u8]) {
    client.0.write_all(PREFACE).await.unwrap();
    send(client, SETTINGS, 0, 0, &[]).await;
    // HPACK: `:method: GET` and `:scheme: http` from the static table, then `:path` and `:authority` as literals.
    let mut fields = vec![0x82, 0x86, 0x04, u8::try_from(path.len()).unwrap()];
    fields.extend_from_slice(path);
    fields.extend_from_slice(&[0x01, 1, b'a']);
    send(client, HEADERS, END_STREAM_AND_HEADERS, 1, &fields).await;
}

pub(super) async fn answer_ping(client: &mut Client, payload: &[u8]) {
    send(client, PING, ACK, 0, payload).await;
}

/// Payload of the next frame of this kind, skipping all others.
pub(super) async fn read_frame(client: &mut Client, kind: u8) -> Vec<u8> {
    let found = async {
        loop {
            let mut head = [0; 9];
            client.0.read_exact(&mut head).await.unwrap();
            let mut payload = vec![0; usize::from(head[1]) * 256 + usize::from(head[2])];
            client.0.read_exact(&mut payload).await.unwrap();
            if head[3] == kind {
                return payload;
            }
        }
    };
    timeout(TIMEOUT, found).await.expect("the frame did not come")
}
