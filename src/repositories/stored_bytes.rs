//! Size of the text that a user stores, as quotas count it. `src/database/stored_bytes.rs` measures the same in SQL.

use crate::contract::project::Project;
use crate::contract::task::Task;
use crate::contract::task::comment::Comment;

/// Returns the bytes of text in a project itself.
#[must_use]
pub fn project_bytes(project: &Project) -> i64 {
    bytes(&project.name) + project.description.as_deref().map_or(0, bytes)
}

/// Returns the bytes of text in a task itself. Labels count with a separator.
#[must_use]
pub fn task_bytes(task: &Task) -> i64 {
    let labels: i64 = task.labels.iter().map(|label| bytes(label) + 1).sum();
    bytes(&task.title) + task.description.as_deref().map_or(0, bytes) + labels
}

/// Returns the bytes of text in a comment.
#[must_use]
pub fn comment_bytes(comment: &Comment) -> i64 {
    bytes(&comment.body)
}

fn bytes(text: &str) -> i64 {
    i64::try_from(text.len()).unwrap_or(i64::MAX)
}
