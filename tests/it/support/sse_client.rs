//! Client of the event stream that checks each event against the published document.

use std::pin::Pin;
use std::time::Duration;

use poem::Body;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader, Lines};
use tokio::time::timeout;

use super::{Answer, document};

/// Timeout, generous for slow machines.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Shorter than the 15 s after which an idle stream checks its end, so it must have been notified.
const WOKEN: Duration = Duration::from_secs(10);

/// Open stream.
pub(crate) struct SseClient {
    pub(crate) answer: Answer,
    lines: Lines<BufReader<Pin<Box<dyn AsyncRead + Send>>>>,
    /// Lines of the message that is being received.
    begun: Block,
    /// Last received id, for resumption.
    pub(crate) last_id: String,
}

/// Lines of a message by field name; comments have an empty name.
pub(crate) type Block = Vec<(String, String)>;

impl SseClient {
    #[track_caller]
    pub(crate) fn new(answer: Answer, body: Body) -> Self {
        assert_eq!(answer.status, 200, "{}", answer.text);
        let body: Pin<Box<dyn AsyncRead + Send>> = Box::pin(body.into_async_read());
        Self { answer, lines: BufReader::new(body).lines(), begun: Block::new(), last_id: String::new() }
    }

    /// Next message; `None` at the end.
    pub(crate) async fn block(&mut self) -> Option<Block> {
        loop {
            let Ok(line) = timeout(TIMEOUT, self.lines.next_line()).await else { panic!("nothing came") };
            let Some(line) = line.unwrap() else {
                assert!(self.begun.is_empty(), "the stream ended within an event");
                return None;
            };
            if line.is_empty() {
                return Some(std::mem::take(&mut self.begun));
            }
            let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("{line}"));
            if name == "id" {
                value.clone_into(&mut self.last_id);
            }
            self.begun.push((name.to_owned(), value.to_owned()));
        }
    }

    /// Next event; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        loop {
            let block = self.block().await?;
            let field = |name: &str| block.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str());
            let Some(data) = field("data") else { continue };
            let event: Value = serde_json::from_str(data).unwrap();
            document::check_event(&event);
            assert_eq!(field("event"), event["type"].as_str());
            assert!(field("id").is_some(), "{block:?}");
            return Some(event);
        }
    }

    /// Next event, within the timeout.
    pub(crate) async fn event(&mut self) -> Value {
        // A timeout for the event rather than for each line, because heartbeats are sent in between.
        let Ok(next) = timeout(TIMEOUT, self.next()).await else { panic!("no event came") };
        next.unwrap_or_else(|| panic!("the stream has ended"))
    }

    /// Asserts that the stream ends without further events.
    pub(crate) async fn ends(&mut self) {
        let Ok(more) = timeout(WOKEN, self.next()).await else { panic!("the stream does not end") };
        assert!(more.is_none(), "{more:?}");
    }
}
