//! Minimal HTTP/2 client for GET requests, because hyper's client is not enabled in this crate.

use super::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, Client, TIMEOUT, timeout};

pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const CONTINUATION: u8 = 9;
const ACK: u8 = 1;
pub(super) const END_STREAM_AND_HEADERS: u8 = 5;

/// Connection of a client.
pub(super) trait Socket: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket for S {}

/// Encodes a frame.
pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, length @ ..] = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// First bytes of a connection.
pub(super) fn begin() -> Vec<u8> {
    [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()
}

/// Header fields of a GET request.
pub(super) fn fields(path: &[u8]) -> Vec<u8> {
    // HPACK: `:method: GET` and `:scheme: http` from the static table, then `:path` and `:authority` as literals.
    let mut fields = vec![0x82, 0x86, 0x04, u8::try_from(path.len()).unwrap()];
    fields.extend_from_slice(path);
    fields.extend_from_slice(&[0x01, 1, b'a']);
    fields
}

async fn send(client: &mut Client<impl Socket>, bytes: &[u8]) {
    client.0.write_all(bytes).await.unwrap();
    client.0.flush().await.unwrap();
}

/// Begins the connection with a request.
pub(super) async fn get(client: &mut Client<impl Socket>, path: &[u8]) {
    send(client, &begin()).await;
    send(client, &frame(HEADERS, END_STREAM_AND_HEADERS, 1, &fields(path))).await;
}

/// Sends the second request of a connection.
pub(super) async fn get_again(client: &mut Client<impl Socket>, path: &[u8]) {
    send(client, &frame(HEADERS, END_STREAM_AND_HEADERS, 3, &fields(path))).await;
}

pub(super) async fn answer_ping(client: &mut Client<impl Socket>, payload: &[u8]) {
    send(client, &frame(PING, ACK, 0, payload)).await;
}

/// Payload of the next frame of this kind, skipping all others.
pub(super) async fn read_frame(client: &mut Client<impl Socket>, kind: u8) -> Vec<u8> {
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
