//! Cursors of task lists (keyset pagination).
//!
//! A cursor holds the sort value and the ID of the last task, which need not exist any more, and the end of the event
//! feed when the first page was read. Its signature covers the user, project, filters, sort order and epoch of the feed,
//! so a cursor of another list is rejected.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use poem_openapi::types::ToJSON as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::contract::page::Sort;
use crate::contract::strings::Cursor;
use crate::contract::task::query::{TaskFilterParams, TaskSort};
use crate::contract::{ProjectId, TaskId, UserId, unicode};
use crate::repositories::{SortKey, SortValue};
use crate::security::Signer;
use crate::services::error::Error;
use crate::services::search;

/// List to which a cursor is bound.
#[derive(Clone)]
pub(crate) struct TaskCursorScope {
    /// User who reads the list.
    pub(crate) reader: UserId,
    /// Name of the list: that of a project, or that of all tasks.
    pub(crate) list: &'static str,
    pub(crate) project: Option<ProjectId>,
    pub(crate) conditions: TaskFilterParams,
    pub(crate) sort: Sort<TaskSort>,
    /// Epoch of the event feed.
    pub(crate) epoch: Option<Uuid>,
}

impl TaskCursorScope {
    /// Hashes the list. Equivalent filters have the same hash.
    fn hash(&self) -> [u8; 32] {
        let mut conditions = self.conditions.to_json().unwrap_or_default();
        for (name, condition) in conditions.as_object_mut().into_iter().flatten() {
            if name == "q" {
                *condition = json!(search::terms(self.conditions.q.as_deref().map(unicode::fold).as_deref()));
            }
            if name == "assignee_id" && condition == "me" {
                *condition = json!(self.reader.to_string());
            }
            if let Value::Array(values) = condition {
                values.sort_by_key(Value::to_string);
                values.dedup();
            }
        }
        let mut list = json!([
            self.reader.to_string(),
            self.list,
            self.project.map(|project| project.to_string()),
            conditions,
            self.sort.field.to_json(),
            self.sort.direction.to_json(),
        ]);
        // The cursors of the first epoch are those of earlier versions.
        list.as_array_mut().into_iter().for_each(|list| list.extend(self.epoch.map(|epoch| json!(epoch))));
        Sha256::digest(list.to_string()).into()
    }

    /// Returns the cursor that continues after a task.
    pub(crate) fn encode(&self, signer: &Signer, key: &SortKey, feed_position: i64) -> Cursor {
        let mut bytes = key.id.0.as_bytes().to_vec();
        bytes.extend(feed_position.to_be_bytes());
        match &key.value {
            SortValue::Number(number) => {
                bytes.push(b'n');
                bytes.extend(number.to_be_bytes());
            }
            SortValue::Text(text) => {
                bytes.push(b't');
                bytes.extend(text.as_bytes());
            }
        }
        let signature = signer.sign(&self.hash(), &bytes);
        bytes.extend(signature);
        Cursor::new_unchecked(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Returns the key of the last task, and the feed position of the first page.
    pub(crate) fn decode(&self, signer: &Signer, cursor: &Cursor) -> Result<(SortKey, i64), Error> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor.as_bytes()).map_err(|_| Error::InvalidCursor)?;
        let text = signer.verify(&self.hash(), &bytes).ok_or(Error::InvalidCursor)?;
        parse(text).ok_or(Error::InvalidCursor)
    }
}

fn parse(bytes: &[u8]) -> Option<(SortKey, i64)> {
    let (id, bytes) = bytes.split_first_chunk::<16>()?;
    let (feed_position, bytes) = bytes.split_first_chunk::<8>()?;
    let value = match bytes.split_first()? {
        (b'n', number) => SortValue::Number(i64::from_be_bytes(number.try_into().ok()?)),
        (b't', text) => SortValue::Text(str::from_utf8(text).ok()?.to_owned()),
        _ => return None,
    };
    Some((SortKey { value, id: TaskId(Uuid::from_bytes(*id)) }, i64::from_be_bytes(*feed_position)))
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;
    use poem_openapi::types::ParseFromJSON as _;

    use super::*;
    use crate::contract::page::Direction;

    fn conditions(json: Value) -> TaskFilterParams {
        TaskFilterParams::parse_from_json(Some(json)).unwrap()
    }

    fn list(conditions: &TaskFilterParams) -> TaskCursorScope {
        let sort = Sort { field: TaskSort::Title, direction: Direction::Asc };
        let reader = UserId(Uuid::from_u128(1));
        TaskCursorScope { reader, list: "all", project: None, conditions: conditions.clone(), sort, epoch: None }
    }

    #[test]
    fn a_cursor_is_valid_for_its_own_list_only() {
        let signer = Signer::new(&STANDARD.encode([1; 32]).into(), None, "cursors").unwrap();
        let all = conditions(json!({}));
        let done = conditions(json!({"status": ["done"]}));
        let (list, filtered) = (list(&all), list(&done));
        let (reader, other) = (UserId(Uuid::from_u128(2)), Sort { direction: Direction::Desc, ..list.sort });
        for value in [SortValue::Number(-5), SortValue::Text("äpfel".to_owned())] {
            let key = SortKey { value, id: TaskId::generate() };
            let cursor = list.encode(&signer, &key, 7);
            assert_eq!(list.decode(&signer, &cursor).unwrap(), (key, 7));
            for foreign in [
                filtered.decode(&signer, &cursor),
                TaskCursorScope { reader, ..list.clone() }.decode(&signer, &cursor),
                TaskCursorScope { list: "project", ..list.clone() }.decode(&signer, &cursor),
                TaskCursorScope { project: Some(ProjectId::generate()), ..list.clone() }.decode(&signer, &cursor),
                TaskCursorScope { sort: other, ..list.clone() }.decode(&signer, &cursor),
                TaskCursorScope { epoch: Some(Uuid::from_u128(1)), ..list.clone() }.decode(&signer, &cursor),
            ] {
                assert!(matches!(foreign, Err(Error::InvalidCursor)));
            }
        }
        for nonsense in ["", "x", "AAAA", "not base64!", &"A".repeat(500)] {
            assert!(
                matches!(list.decode(&signer, &Cursor::new_unchecked(nonsense)), Err(Error::InvalidCursor)),
                "{nonsense}"
            );
        }
    }

    #[test]
    fn equivalent_filters_have_the_same_hash() {
        let one = conditions(json!({"status": ["done", "todo"], "label": ["a", "b"], "q": "tea  Time"}));
        let other = conditions(json!({"q": "time tea", "label": ["b", "a"], "status": ["todo", "done", "todo"]}));
        assert_eq!(list(&one).hash(), list(&other).hash());
        assert_ne!(list(&one).hash(), list(&conditions(json!({"q": "tea time"}))).hash());
        let (me, my_id) = (json!({"assignee_id": "me"}), json!({"assignee_id": list(&one).reader.to_string()}));
        assert_eq!(list(&conditions(me)).hash(), list(&conditions(my_id)).hash());
    }
}
