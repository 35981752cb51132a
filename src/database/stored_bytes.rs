//! Size of stored text, in SQL. `src/repositories/stored_bytes.rs` measures the same.

use sea_orm::sea_query::{Expr, ExprTrait as _, Func, IntoColumnRef};

use super::entities::{comment, project, task};

/// Bytes of text in a project itself.
pub(super) fn of_project() -> Expr {
    use project::{Column, Entity};
    octets((Entity, Column::Name)).add(Func::coalesce([octets((Entity, Column::Description)), Expr::val(0)]))
}

/// Bytes of text in a task.
pub(super) fn of_task() -> Expr {
    use task::{Column, Entity};
    let description = Func::coalesce([octets((Entity, Column::Description)), Expr::val(0)]);
    // The list of labels begins with a separator.
    octets((Entity, Column::Title)).add(description).add(octets((Entity, Column::Labels))).sub(1)
}

/// Bytes of text in a comment.
pub(super) fn of_comment() -> Expr {
    octets((comment::Entity, comment::Column::Body))
}

fn octets(column: impl IntoColumnRef) -> Expr {
    Func::cust("octet_length").arg(Expr::col(column)).into()
}
