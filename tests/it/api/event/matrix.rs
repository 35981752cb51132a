//! The lines of `tells.txt`: what each operation that writes leaves in the feed.

use poem::http::Method;
use serde_json::Value;

use crate::api::fixtures::common::NOBODY;
use crate::api::fixtures::roles::{Who, World};
use crate::support::client::Call;

/// A line.
pub(crate) struct Line {
    pub(crate) operation: &'static str,
    pub(crate) who: Who,
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    body: &'static str,
    /// As they stand there; none where the operation leaves nothing.
    pub(crate) events: Vec<&'static str>,
}

impl Line {
    fn parse(line: &'static str) -> Option<Self> {
        let (request, told) = line.split_once(" | ")?;
        let (operation, request) = request.trim().split_once(' ')?;
        let (who, request) = request.trim().split_once(' ')?;
        let (method, address) = request.trim().split_once(' ')?;
        let (path, body) = address.split_once(' ').unwrap_or((address, ""));
        let events = match told.trim().strip_prefix('-') {
            Some(reason) => (reason.len() > 10).then(Vec::new)?,
            None => told.split_whitespace().collect(),
        };
        let who = match who {
            "owner" => Who::Owner,
            "editor" => Who::Editor,
            "viewer" => Who::Viewer,
            "former" => Who::Former,
            "other" => Who::Other,
            "anonymous" => Who::Anonymous,
            _ => return None,
        };
        Some(Self { operation, who, method: method.parse().ok()?, path, body, events })
    }

    /// The body of the request in a world; null where there is none.
    pub(crate) fn body(&self, world: &World) -> Value {
        let body = world.filled(self.body, self.who);
        if body.is_empty() { Value::Null } else { serde_json::from_str(&body).unwrap() }
    }

    /// The request with a body, on its way.
    pub(crate) fn call(&self, world: &World, body: &Value) -> Call {
        let call = world.client(self.who, false).call(self.method.clone(), world.filled(self.path, self.who));
        if body.is_null() { call } else { call.json(body) }
    }

    /// The same, of something that is not there; `None` where the request names nothing.
    pub(crate) fn path_to_nothing(&self) -> Option<String> {
        let (before, rest) = self.path.split_once('{')?;
        let (_, after) = rest.split_once('}')?;
        // What comes behind it is not looked at.
        Some(format!("{before}{NOBODY}{}", after.split('{').collect::<Vec<_>>().join("").replace('}', "")))
    }

    pub(crate) fn place(&self) -> String {
        format!("{} {} {} by {:?}", self.operation, self.path, self.body, self.who)
    }
}

pub(crate) fn lines() -> Vec<Line> {
    let lines = include_str!("matrix.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| Line::parse(line).unwrap_or_else(|| panic!("nobody can read this: {line}"))).collect()
}

/// An event, as it stands in a line.
pub(crate) fn told(event: &Value, world: &World) -> String {
    let project = event["project_id"].as_str().unwrap();
    let known = ["project", "elsewhere", "deleted", "shared", "apart", "private"];
    let name = known.into_iter().find(|name| world.filled(&format!("{{{name}}}"), Who::Owner) == project);
    let kind = event["type"].as_str().unwrap();
    match name {
        Some("project") => kind.to_owned(),
        name => format!("{kind}@{}", name.unwrap_or("new")),
    }
}
