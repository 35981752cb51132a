//! Traces as a collector receives them, by OTLP over HTTP.

use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyValue;
use opentelemetry_proto::tonic::trace::v1::Span;
use pocket_tasks::telemetry::{LogFormat, Traces, subscriber};
use poem::http::Method;
use prost::Message as _;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep};
use tracing::Dispatch;
use tracing::instrument::WithSubscriber as _;
use tracing::subscriber::NoSubscriber;

use crate::on_sqlite;
use crate::repositories::fixtures::TIMEOUT;
use crate::support::{POLL_INTERVAL, TestApp};

const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT_ID: &str = "b7ad6b7169203331";

/// Collector that keeps what it receives.
struct Collector {
    url: String,
    received: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
}

impl Collector {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let received = Arc::<Mutex<Vec<_>>>::default();
        let kept = Arc::clone(&received);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let request = read(&mut stream).await;
                kept.lock().unwrap().push(request);
                let response = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                stream.write_all(response.as_bytes()).await.unwrap();
            }
        });
        Self { url, received }
    }

    /// Received spans.
    fn spans(&self) -> Vec<Span> {
        let received = self.received.lock().unwrap();
        let resources = received.iter().flat_map(|request| &request.resource_spans);
        resources.flat_map(|resource| &resource.scope_spans).flat_map(|scope| scope.spans.clone()).collect()
    }

    /// Waits until a span with this name was received. A slow machine exports after the shutdown.
    async fn wait_for(&self, name: &str) -> Vec<Span> {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let spans = self.spans();
            if spans.iter().any(|span| span.name == name) || Instant::now() > deadline {
                return spans;
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    /// Name of the service that sent the spans.
    fn service(&self) -> Option<AnyValue> {
        let received = self.received.lock().unwrap();
        let resource = received[0].resource_spans[0].resource.as_ref()?;
        let name = resource.attributes.iter().find(|attribute| attribute.key == "service.name")?;
        name.value.clone()?.value
    }
}

async fn read(stream: &mut TcpStream) -> ExportTraceServiceRequest {
    let mut bytes = Vec::new();
    loop {
        assert!(stream.read_buf(&mut bytes).await.unwrap() > 0, "an incomplete request");
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap().to_lowercase();
        assert!(head.starts_with("post /v1/traces "), "{head}");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        if let Some(body) = bytes.get(end + 4..end + 4 + length.parse::<usize>().unwrap()) {
            return ExportTraceServiceRequest::decode(body).unwrap();
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[track_caller]
fn find<'s>(spans: &'s [Span], name: &str) -> &'s Span {
    let names: Vec<_> = spans.iter().map(|span| &span.name).collect();
    spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no {name}: {names:?}"))
}

on_sqlite! {
    async fn a_request_and_the_job_that_it_enqueues_are_in_the_trace_of_the_client(app: TestApp) {
        let collector = Collector::start().await;
        let traces = Traces::new(&collector.url).unwrap();
        // With one subscriber, tracing asks that of the current thread about a new span. The thread of another test has
        // none, so the span would stay disabled. With two, tracing asks both.
        let _second = Dispatch::new(NoSubscriber::new());
        let dispatch = Dispatch::new(subscriber(LogFormat::Json, "off", Some(&traces)));
        async {
            let body = json!({"email": "ada@example.com", "name": "Ada", "password": "correct horse"});
            let traceparent = format!("00-{TRACE_ID}-{PARENT_ID}-01");
            let call = app.anonymous().call(Method::POST, "/v1/auth/register").header("traceparent", &traceparent);
            call.json(&body).send().await.created();
            app.work().await;
        }
        .with_subscriber(dispatch)
        .await;
        traces.shutdown().await;

        let spans = collector.wait_for("job welcome_email").await;
        let (request, job) = (find(&spans, "POST /v1/auth/register"), find(&spans, "job welcome_email"));
        assert_eq!((hex(&request.trace_id), hex(&job.trace_id)), (TRACE_ID.to_owned(), TRACE_ID.to_owned()));
        assert_eq!((hex(&request.parent_span_id), &job.parent_span_id), (PARENT_ID.to_owned(), &request.span_id));
        let status = request.attributes.iter().find(|attribute| attribute.key == "http.response.status_code").unwrap();
        assert_eq!(status.value.clone().unwrap().value, Some(AnyValue::IntValue(201)));
        for parent in [request, job] {
            let mut children = spans.iter().filter(|span| span.parent_span_id == parent.span_id);
            let query = children.find(|span| span.name == "INSERT" || span.name == "DELETE").unwrap();
            assert!(query.attributes.iter().any(|attribute| attribute.key == "db.query.text"), "{query:?}");
        }
        // Statements outside of a request or a job, such as those that claim jobs, are not exported.
        assert!(spans.iter().all(|span| !span.parent_span_id.is_empty()), "{spans:#?}");
        assert_eq!(collector.service(), Some(AnyValue::StringValue("pocket-tasks".to_owned())));
    }
}
