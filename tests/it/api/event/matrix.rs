//! Parser of `matrix.txt`, the table of the events that each write operation emits.

use poem::http::Method;
use serde_json::Value;

use crate::api::fixtures::common::UNKNOWN_ID;
use crate::api::fixtures::roles::{Actor, RoleFixture};
use crate::support::client::Call;

/// Row of the table.
pub(crate) struct Line {
    pub(crate) operation: &'static str,
    pub(crate) who: Actor,
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    body: &'static str,
    /// Expected events, in the notation of the table; empty if the operation emits none.
    pub(crate) events: Vec<&'static str>,
}

impl Line {
    fn parse(line: &'static str) -> Option<Self> {
        let (request, notation) = line.split_once(" | ")?;
        let (operation, request) = request.trim().split_once(' ')?;
        let (who, request) = request.trim().split_once(' ')?;
        let (method, address) = request.trim().split_once(' ')?;
        let (path, body) = address.split_once(' ').unwrap_or((address, ""));
        let events = match notation.trim().strip_prefix('-') {
            Some(reason) => (reason.len() > 10).then(Vec::new)?,
            None => notation.split_whitespace().collect(),
        };
        let who = match who {
            "owner" => Actor::Owner,
            "editor" => Actor::Editor,
            "viewer" => Actor::Viewer,
            "former" => Actor::Former,
            "other" => Actor::Other,
            "anonymous" => Actor::Anonymous,
            _ => return None,
        };
        Some(Self { operation, who, method: method.parse().ok()?, path, body, events })
    }

    /// Body of the request, or null if it has none.
    pub(crate) fn body(&self, fixture: &RoleFixture) -> Value {
        let body = fixture.filled(self.body, self.who);
        if body.is_empty() { Value::Null } else { serde_json::from_str(&body).unwrap() }
    }

    /// Prepares the request with the given body.
    pub(crate) fn call(&self, fixture: &RoleFixture, body: &Value) -> Call {
        let call = fixture.client(self.who, false).call(self.method.clone(), fixture.filled(self.path, self.who));
        if body.is_null() { call } else { call.json(body) }
    }

    /// Path with an unknown id in place of the first one; `None` if the path has no id.
    pub(crate) fn path_with_unknown_id(&self) -> Option<String> {
        let (before, rest) = self.path.split_once('{')?;
        let (_, after) = rest.split_once('}')?;
        // Later ids are irrelevant, because the first one is unknown.
        Some(format!("{before}{UNKNOWN_ID}{}", after.split('{').collect::<Vec<_>>().join("").replace('}', "")))
    }

    pub(crate) fn context(&self) -> String {
        format!("{} {} {} by {:?}", self.operation, self.path, self.body, self.who)
    }
}

pub(crate) fn lines() -> Vec<Line> {
    let lines = include_str!("matrix.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| Line::parse(line).unwrap_or_else(|| panic!("invalid line: {line}"))).collect()
}

/// Formats an event in the notation of the table.
pub(crate) fn notation(event: &Value, fixture: &RoleFixture) -> String {
    let project = event["project_id"].as_str().unwrap();
    let known = ["project", "elsewhere", "deleted", "shared", "apart", "private"];
    let name = known.into_iter().find(|name| fixture.filled(&format!("{{{name}}}"), Actor::Owner) == project);
    let kind = event["type"].as_str().unwrap();
    match name {
        Some("project") => kind.to_owned(),
        name => format!("{kind}@{}", name.unwrap_or("new")),
    }
}
