//! Log lines as JSON objects.
//!
//! The lines are those of `tracing-subscriber`, whose own formatter parses the fields of every span again for each line.
//! That took a quarter of the instructions of a short request.

use std::fmt::{self, Debug, Display, Write};

use tracing::field::{Field, Visit};
use tracing::span::Record;
use tracing::{Event, Subscriber};
use tracing_log::NormalizeEvent as _;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{ChronoUtc, FormatTime as _};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::{LookupSpan, Scope};

/// Formats the fields of spans and events as members of an object, each with a comma behind it.
pub(super) struct JsonFields;

impl<'writer> FormatFields<'writer> for JsonFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut members = Members { writer, result: Ok(()) };
        fields.record(&mut members);
        members.result
    }

    fn add_fields(&self, current: &'writer mut FormattedFields<Self>, fields: &Record<'_>) -> fmt::Result {
        self.format_fields(current.as_writer(), fields)
    }
}

/// Formats events as lines with their fields, and with those of their spans under `spans`, the outermost first.
pub(super) struct JsonLines;

impl<S> FormatEvent<S, JsonFields> for JsonLines
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        // Events of the crate `log` have their level and target among their fields.
        let normalized = event.normalized_metadata();
        let metadata = normalized.as_ref().unwrap_or_else(|| event.metadata());
        writer.write_str("{\"timestamp\":\"")?;
        ChronoUtc::rfc_3339().format_time(&mut writer)?;
        write!(writer, "\",\"level\":\"{}\",", metadata.level())?;
        context.format_fields(writer.by_ref(), event)?;
        write!(writer, "\"target\":{}", Json(metadata.target()))?;
        let mut separator = ",\"spans\":[";
        for span in context.event_scope().into_iter().flat_map(Scope::from_root) {
            let extensions = span.extensions();
            let fields = extensions.get::<FormattedFields<JsonFields>>().map_or("", |fields| fields.fields.as_str());
            write!(writer, "{separator}{{{fields}\"name\":{}}}", Json(span.name()))?;
            separator = ",";
        }
        writer.write_str(if separator == "," { "]}\n" } else { "}\n" })
    }
}

/// Writes the members of an object.
struct Members<'writer> {
    writer: Writer<'writer>,
    result: fmt::Result,
}

impl Members<'_> {
    fn write(&mut self, field: &Field, value: impl Display) {
        if self.result.is_ok() {
            self.result = write!(self.writer, "{}:{value},", Json(field.name()));
        }
    }
}

impl Visit for Members<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.write(field, Json(DisplayDebug(value)));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.write(field, Json(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.write(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.write(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.write(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() {
            // Unlike `Display`, with an exponent where the number is long.
            self.write(field, DisplayDebug(&value));
        } else {
            self.write(field, "null");
        }
    }
}

struct DisplayDebug<'a>(&'a dyn Debug);

impl Display for DisplayDebug<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A text as a JSON string (RFC 8259, section 7).
struct Json<T>(T);

impl<T: Display> Display for Json<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        write!(Escaped(f), "{}", self.0)?;
        f.write_char('"')
    }
}

/// Escapes what is written.
struct Escaped<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Write for Escaped<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(position) = rest.bytes().position(|byte| byte < 0x20 || byte == b'"' || byte == b'\\') {
            let (plain, special) = rest.split_at(position);
            self.0.write_str(plain)?;
            let mut special = special.chars();
            match special.next() {
                Some(quoted @ ('"' | '\\')) => write!(self.0, "\\{quoted}")?,
                Some('\n') => self.0.write_str("\\n")?,
                Some(control) => write!(self.0, "\\u{:04x}", u32::from(control))?,
                None => {}
            }
            rest = special.as_str();
        }
        self.0.write_str(rest)
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use serde_json::{Value, json};
    use tracing::field::Empty;
    use tracing_subscriber::fmt::MakeWriter;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[derive(Clone, Default)]
    struct Output(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Output {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Output {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    /// Returns the lines that `log` writes, without their time.
    fn lines(log: impl FnOnce()) -> Vec<Value> {
        let output = Output::default();
        let layer = tracing_subscriber::fmt::layer().fmt_fields(JsonFields).event_format(JsonLines);
        let subscriber = tracing_subscriber::registry().with(layer.with_writer(output.clone()));
        tracing::subscriber::with_default(subscriber, log);
        let text = String::from_utf8(output.0.lock().unwrap().clone()).unwrap();
        let lines = text.lines().map(|line| {
            let mut line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            let time = line.as_object_mut().unwrap().shift_remove("timestamp").unwrap();
            assert!(chrono::DateTime::parse_from_rfc3339(time.as_str().unwrap()).is_ok(), "{time}");
            line
        });
        lines.collect()
    }

    #[test]
    fn a_line_has_the_fields_of_its_event_and_of_its_spans() {
        let lines = lines(|| {
            let outer = tracing::info_span!("outer", request.id = "r1", user.id = Empty, late = Empty);
            let _entered = outer.enter();
            outer.record("user.id", 7);
            outer.record("late", tracing::field::display("yes"));
            tracing::info_span!("inner").in_scope(|| {
                tracing::warn!(count = 3_u64, delta = -1, share = 0.5, nothing = f64::NAN, is_new = true, "done");
            });
            tracing::info!(parent: None, "alone");
        });
        let target = module_path!();
        assert_eq!(
            lines,
            [
                json!({"level": "WARN", "message": "done", "count": 3, "delta": -1, "share": 0.5, "nothing": null,
                    "is_new": true, "target": target, "spans": [
                        {"request.id": "r1", "user.id": 7, "late": "yes", "name": "outer"}, {"name": "inner"}]}),
                json!({"level": "INFO", "message": "alone", "target": target}),
            ]
        );
    }

    #[test]
    fn any_text_is_a_valid_string() {
        let every: String = (0..0x300).filter_map(char::from_u32).chain(['\u{2028}', '😀']).collect();
        for text in [every.as_str(), "", "\"", "\\", "a\nb", "\u{7f}"] {
            let lines = lines(|| {
                tracing::info_span!("span", text, shown = %text).in_scope(|| tracing::info!(text, shown = %text));
            });
            let fields = (&lines[0]["text"], &lines[0]["shown"], &lines[0]["spans"][0]["text"]);
            assert_eq!(fields, (&json!(text), &json!(text), &json!(text)));
            assert_eq!(lines[0]["spans"][0]["shown"], text);
        }
    }

    #[test]
    fn an_error_is_written_as_its_message() {
        let error = io::Error::other("no \"disk\"");
        let lines = lines(|| tracing::info!(error = &error as &dyn std::error::Error));
        assert_eq!(lines[0]["error"], "no \"disk\"");
    }
}
