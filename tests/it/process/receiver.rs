//! Webhook receiver: a server in a thread that accepts every request.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver as Channel, Sender, channel};
use std::thread;
use std::time::Duration;

use super::program::TIMEOUT;

/// Received request.
#[derive(Debug, Clone)]
pub(super) struct Post {
    /// Headers, with names in lower case.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Post {
    #[track_caller]
    pub(super) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(other, _)| other == name);
        found.map_or_else(|| panic!("there is no {name}: {self:?}"), |(_, value)| value.as_str())
    }
}

/// Server that listens until the end of the test.
pub(super) struct Receiver {
    pub(super) address: SocketAddr,
    posts: Channel<Post>,
}

impl Receiver {
    /// Starts a receiver that responds with 204.
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, posts) = channel();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let sender = sender.clone();
                // A killed program leaves an incomplete request.
                thread::spawn(move || serve(&stream, &sender));
            }
        });
        Self { address, posts }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/hooks", self.address)
    }

    /// Next request; `None` after the timeout.
    pub(super) fn next(&self, timeout: Duration) -> Option<Post> {
        self.posts.recv_timeout(timeout).ok()
    }
}

fn serve(stream: &TcpStream, posts: &Sender<Post>) -> Option<()> {
    stream.set_read_timeout(Some(TIMEOUT)).ok()?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        // The request line is always the same.
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let mut headers = Vec::new();
        loop {
            line.clear();
            reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            headers.push((name.to_lowercase(), value.to_owned()));
        }
        let length = headers.iter().find(|(name, _)| name == "content-length")?.1.parse().ok()?;
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        posts.send(Post { headers, body: String::from_utf8(body).ok()? }).ok()?;
        let mut writer = stream;
        writer.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").ok()?;
    }
}
